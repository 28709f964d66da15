/**
 * Failpoints: named places before and after each COMMIT and each outside effect, at which a process can be made to
 * die, to stall or to fail. For storms and for whoever wants to see what a crash at exactly that line does.
 *
 *   AIRLOCK_FAILPOINT='door.after_commit=exit;claim.after=20%sleep(3000);xcom.after_object=2*error'
 *
 * `exit` ends the process as SIGKILL does: nothing of it runs any more, no handler, no finally. `sleep(ms)` holds this
 * one flow while the process lives on. `error` throws. `N*` is the first N times, `P%` by dice; both may stand before.
 * What fires says so on standard error, one line each, before it does anything.
 */
import { writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** Every place there is, with what is true at that moment. A test sees to it that each stands once in the source. */
export const failpoints = {
  "door.before_commit": "a run's turn is decided and written; its COMMIT was not sent",
  "door.after_commit":
    "a run's turn is committed; feed, stops, timers and the next run were not told",
  "admission.before_commit": "a tenant's waiting tasks are admitted; its COMMIT was not sent",
  "admission.after_commit":
    "a tenant's waiting tasks are admitted and rung for; the feed was not told",
  "run_create.before_commit": "somebody's run is made and started; its COMMIT was not sent",
  "run_create.after_commit": "somebody's run is there; who asked for it does not know",
  "timers.before_fire": "timers are known to be due; none was taken",
  "timers.after_fire": "due timers have fired through the door; the clock was not set again",
  "plan.before_commit": "a DAG's next run is worked out; its COMMIT was not sent",
  "plan.after_commit": "a DAG's next run is known; the clock was not set for it",
  "scheduled_run.before_commit":
    "a due run is made and the one after it planned; its COMMIT was not sent",
  "scheduled_run.after_commit": "a due run is there; what follows a turn was not told",
  "recovery.before_readmit": "a worker is taken for dead, or leases ran out; nothing was handed on",
  "recovery.after_readmit": "lost attempts are queued again; those for the door did not get there",
  "recovery.before_bury":
    "a dead worker's attempts are handed on; its row and its jobs are still there",
  "recovery.after_bury": "a dead worker is forgotten; nobody was told",
  "worker.after_lock": "a worker holds its session lock; nobody knows it",
  "worker.after_register": "a worker is known; it takes no jobs yet",
  "claim.before": "a job was delivered; nothing was claimed",
  "claim.after": "an attempt is this worker's; nothing of it runs",
  "attempt.before_guest": "an attempt is about to be given to its guest",
  "attempt.after_guest": "the guest has said how the attempt ended; the door does not know",
  "attempt.after_door": "the door has the outcome; what it continues with does not run",
  "guest.after_terminal": "the task has said how it ended, and was told that this was heard",
  "log.before_write": "lines of a running task's log are about to be written",
  "log.after_write": "lines of a running task's log are written; who wrote them does not know",
  "heartbeat.before": "a worker is about to renew its leases",
  "heartbeat.after": "leases are renewed; what is not ours any more still runs",
  "hand_over.before": "an attempt was ended for the worker's own need; it is still this worker's",
  "hand_over.after": "an attempt was given to others; this worker did not yet forget it",
  "xcom.before_object": "a large XCom is about to be put into the object store",
  "xcom.after_object": "a large XCom lies in the object store; no row names it",
  "artifact.before_object": "an artifact is about to be put into the object store",
  "artifact.after_object": "an artifact lies in the object store; no row names it",
  "artifact.after_row": "an artifact is kept; the attempt did not end",
  "push.received": "the git host has a push; nobody was asked to sync it",
  "sync.after_lease": "a repository is leased for a sync that did not begin",
  "sync.after_checkout": "a commit is checked out; nothing of it was parsed",
  "sync.after_parse": "all files are parsed; nothing was published",
  "publish.before_commit": "versions, errors and head are written; their COMMIT was not sent",
  "publish.after_commit": "a commit is live; its deploy says that it is still under way",
  "deploy.after_end": "a deploy says how it ended; the scheduler was not woken",
  "sync.before_lease_end": "a sync is over; its lease is still held",
  "feed.before_notify": "something changed; listeners were not woken",
  "audit.before_anchor":
    "the audit chains are sealed; their heads are not anchored outside of the database",
} as const;

export type FailpointName = keyof typeof failpoints;
export const failpointNames = Object.keys(failpoints) as readonly FailpointName[];

/** Looked at before each place, so that places cost nothing where no failpoint is set: `if (failpointsSet) await hit(…)`. */
export let failpointsSet = false;

type Action =
  | { readonly kind: "exit" }
  | { readonly kind: "sleep"; readonly ms: number }
  | { readonly kind: "error" };

type Setting = { readonly action: Action; readonly chance: number; left: number };

let settings: ReadonlyMap<string, Setting> = new Map();

/** Throws with a sentence if the text is none of ours. Answers which names are set. */
export function setFailpoints(text: string | undefined): readonly FailpointName[] {
  const read = readFailpoints(text ?? "");
  settings = read;
  failpointsSet = read.size > 0;
  return [...read.keys()];
}

/** A failpoint that was set to `error` came by. */
export class FailpointError extends Error {
  constructor(name: FailpointName) {
    super(`The failpoint ${name} is set to error.`);
    this.name = "FailpointError";
  }
}

export async function hit(name: FailpointName): Promise<void> {
  const setting = settings.get(name);
  if (setting === undefined || setting.left <= 0) return;
  if (setting.chance < 1 && Math.random() >= setting.chance) return;
  setting.left -= 1;
  const { action } = setting;
  say(`failpoint ${name}: ${action.kind === "sleep" ? `sleep(${action.ms})` : action.kind}`);
  switch (action.kind) {
    case "exit":
      process.kill(process.pid, "SIGKILL");
      return;
    case "sleep":
      await pause(action.ms);
      return;
    case "error":
      throw new FailpointError(name);
  }
}

/** At once and past every buffer: the process may not be there a moment later. */
function say(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Nobody reads, or not fast enough: what it announces happens all the same.
  }
}

export class NoSuchFailpoint extends Error {
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.name = "NoSuchFailpoint";
    this.hint = hint;
  }
}

const sleepMsMax = 600_000;

function readFailpoints(text: string): ReadonlyMap<FailpointName, Setting> {
  const found = new Map<FailpointName, Setting>();
  for (const part of text.split(";").map((one) => one.trim())) {
    if (part === "") continue;
    const at = part.indexOf("=");
    const name = (at < 0 ? part : part.slice(0, at)).trim();
    if (!isName(name))
      throw new NoSuchFailpoint(
        `AIRLOCK_FAILPOINT names '${name.slice(0, 60)}', which is no failpoint.`,
        hintFor(name),
      );
    if (found.has(name))
      throw new NoSuchFailpoint(`AIRLOCK_FAILPOINT names ${name} twice.`, "set each one once");
    found.set(name, readSetting(name, at < 0 ? "" : part.slice(at + 1).trim()));
  }
  return found;
}

const isName = (name: string): name is FailpointName => Object.hasOwn(failpoints, name);

function readSetting(name: string, text: string): Setting {
  const read =
    /^(?:(\d{1,9})\*)?(?:(\d{1,3}(?:\.\d{1,6})?)%)?(?:(exit)|(error)|sleep\((\d{1,9})\))$/.exec(
      text,
    );
  const [, times, percent, exit, error, ms] = read ?? [];
  const chance = percent === undefined ? 1 : Number(percent) / 100;
  if (read === null || chance > 1 || Number(ms ?? 0) > sleepMsMax)
    throw new NoSuchFailpoint(
      `AIRLOCK_FAILPOINT sets ${name} to '${text.slice(0, 60)}', which is no action.`,
      `write exit, error or sleep(1000) (at most ${sleepMsMax} ms), with 3* for the first three times or 20% for one in five before it`,
    );
  return {
    action:
      exit !== undefined
        ? { kind: "exit" }
        : error !== undefined
          ? { kind: "error" }
          : { kind: "sleep", ms: Number(ms) },
    chance,
    left: times === undefined ? Number.POSITIVE_INFINITY : Number(times),
  };
}

/** What was likely meant: the names of the same place, else those that are few letters away, else where the list is. */
function hintFor(name: string): string {
  const [place = ""] = name.split(".");
  const near = failpointNames
    .map((other) => ({
      other,
      far: other.startsWith(`${place}.`) && place !== "" ? 1 : distance(name, other),
    }))
    .filter(({ other, far }) => far <= Math.max(3, Math.floor(other.length / 3)))
    .toSorted((a, b) => a.far - b.far || (a.other < b.other ? -1 : 1))
    .slice(0, 5)
    .map(({ other }) => other);
  return near.length > 0
    ? `did you mean ${near.join(", ")}?`
    : `there are: ${failpointNames.join(", ")}`;
}

/** Levenshtein's, of short texts. */
function distance(one: string, other: string): number {
  const a = one.slice(0, 80);
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1)
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a[i - 1] === other[j - 1] ? 0 : 1),
        ),
      );
    row = next;
  }
  return row[other.length] ?? 0;
}
