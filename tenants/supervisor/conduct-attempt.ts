/**
 * One attempt from its first frame to its outcome: answers what the child asks, carries its words, watches its
 * limits. The outcome stands with the terminal frame; that everything of the attempt ends, and its last words
 * arrive, is seen to afterwards (`Conducted.settled`).
 */
import type { Socket } from "node:net";
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type {
  AttemptEnd,
  AttemptHost,
  AttemptOutcome,
  AttemptStart,
  GuestKey,
  LogLine,
} from "../../platform/model/guest.ts";
import { isObject, type Json } from "../../platform/model/json.ts";
import { storable } from "../../platform/model/storable-text.ts";
import {
  answerRequest,
  type Body,
  jsonOf,
  type Reply,
  RequestProblem,
  refusal,
} from "./answer-requests.ts";
import { collectArtifacts } from "./collect-artifacts.ts";
import { FrameCutter, FrameTooLong, frameOf } from "./frames.ts";
import { type LogWay, openLogWay } from "./log-lines.ts";
import { openMask } from "./mask-secrets.ts";
import { startupDetails } from "./start-frames.ts";
import type { Child, ChildExit } from "./warm-guest.ts";

export type Conducted = {
  readonly outcome: Promise<AttemptOutcome>;
  /** Resolves when nothing of the attempt is left. */
  readonly settled: Promise<void>;
};

export type ConductOptions = {
  readonly key: GuestKey;
  readonly start: AttemptStart;
  readonly host: AttemptHost;
  readonly signal: AbortSignal;
  readonly child: Child;
  /** performance.now() when the attempt was asked for. */
  readonly begunAt: number;
  readonly uid: number | undefined;
  readonly copyDir: string;
};

const stopGraceMs = 5000;
const afterTerminalMs = 20_000;
const executionTimeoutGraceS = 10;
const reasonLengthMax = 4000;
const framesWaitingMax = 32;
const lastWordsMs = 10_000;

/** Why the supervisor itself ends an attempt. */
type Ending =
  | { readonly kind: "stopped"; readonly reason: string }
  | {
      readonly kind: "limit";
      readonly limit: string;
      readonly reason: string;
      readonly retryable: boolean;
    };

export function conductAttempt(options: ConductOptions): Conducted {
  const { key, start, host, signal, child, begunAt } = options;
  const { limits } = key;
  const mask = openMask();
  const cutter = new FrameCutter(limits.xcomBytes + (1 << 20));
  const waiting: unknown[] = [];
  const timers = new Set<NodeJS.Timeout>();
  const { promise: outcome, resolve: settleOutcome } = Promise.withResolvers<AttemptOutcome>();
  const outputs: Socket[] = [];
  const outputsEnded: Promise<void>[] = [];
  let startMs: number | undefined;
  let terminal: AttemptEnd | undefined;
  let ending: Ending | undefined;
  let exit: ChildExit | undefined;
  let decided = false;
  let working = false;
  let pressed = false;
  let relief = Promise.withResolvers<void>();
  let limitHit: string | undefined;
  const mapped = new Map<string, number>();
  const skipped: string[] = [];

  const log: LogWay = openLogWay({
    mask,
    limits,
    write: (lines) => host.log(lines),
    onPressure: (pause) => {
      pressed = pause;
      if (pause) relief = Promise.withResolvers();
      else relief.resolve();
      for (const socket of [...outputs, child.comms]) {
        if (pause) socket.pause();
        else if (socket !== child.comms || waiting.length < framesWaitingMax) socket.resume();
      }
    },
    onFull: () =>
      end({
        kind: "limit",
        limit: "log",
        retryable: true,
        reason: `The task wrote more log than the limit of ${bytesText(limits.logBytes)} and was ended.`,
      }),
    onRefused: (error) =>
      end({ kind: "stopped", reason: `The house no longer takes its log: ${messageOf(error)}` }),
  });

  carryOutput("stdout");
  carryOutput("stderr");
  child.comms.on("data", onBytes);
  child.comms.once("close", onSilence);
  void child.exited.then(onExit);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  if (limits.wallSeconds > 0)
    after(limits.wallSeconds * 1000, () =>
      end({
        kind: "limit",
        limit: "wall",
        retryable: true,
        reason: `The task ran longer than the limit of ${String(limits.wallSeconds)} s and was ended.`,
      }),
    );
  if (start.execution_timeout_s !== undefined)
    after((start.execution_timeout_s + executionTimeoutGraceS) * 1000, () =>
      end({
        kind: "limit",
        limit: "execution_timeout",
        retryable: true,
        reason: `The task did not end at its execution_timeout of ${String(start.execution_timeout_s)} s and was ended.`,
      }),
    );
  reply([0, startupDetails(key, start)]);
  child.comms.resume();
  return { outcome, settled: settle() };

  function carryOutput(role: "stdout" | "stderr"): void {
    outputsEnded.push(
      child.output(role).then(async (socket) => {
        if (socket === undefined) return;
        const source = log.source(role);
        outputs.push(socket);
        socket.on("data", (chunk: Buffer) => source.push(chunk));
        if (pressed) socket.pause();
        else socket.resume();
        await new Promise<void>((resolve) => {
          socket.once("close", resolve);
          socket.once("end", resolve);
          if (socket.destroyed) resolve();
        });
        source.end();
      }),
    );
  }

  function onBytes(chunk: Buffer): void {
    try {
      cutter.push(chunk);
      for (let frame = cutter.take(); frame !== undefined; frame = cutter.take())
        waiting.push(frame);
    } catch (error) {
      const tooLong = error instanceof FrameTooLong;
      end({
        kind: "limit",
        limit: tooLong ? "xcom" : "protocol",
        retryable: false,
        reason: tooLong
          ? `The task sent ${bytesText(error.length)} at once, over the limit of ${bytesText(limits.xcomBytes)} per XCom: store large data elsewhere and return its address, or write it to $AIRLOCK_ARTIFACTS.`
          : `The task sent something to the supervisor that is no message: ${messageOf(error)}.`,
      });
      child.comms.destroy();
      return;
    }
    if (waiting.length >= framesWaitingMax) child.comms.pause();
    if (!working) void work();
  }

  async function work(): Promise<void> {
    working = true;
    while (waiting.length > 0) {
      const frame = waiting.shift();
      try {
        await onFrame(frame);
      } catch (error) {
        end(
          error instanceof RequestProblem
            ? {
                kind: "limit",
                limit: "protocol",
                retryable: false,
                reason: `The task sent a message that cannot be read: ${messageOf(error)}.`,
              }
            : // Ours, not the task's: it is tried again.
              { kind: "stopped", reason: `The supervisor met a problem: ${messageOf(error)}` },
        );
      }
      if (!pressed && waiting.length < framesWaitingMax) child.comms.resume();
    }
    working = false;
    if (exit !== undefined) void onAllSaid();
  }

  async function onFrame(frame: unknown): Promise<void> {
    const [id, message] = Array.isArray(frame) ? (frame as unknown[]) : [];
    if (typeof id !== "number" || !isObject(message)) throw new RequestProblem("it is no request");
    switch (message["type"]) {
      case "TaskStarted":
        startMs ??= performance.now() - begunAt;
        return;
      case "Log":
        for (const line of readRecords(message["records"])) log.record(line);
        return;
      case "SkipDownstreamTasks":
        skipped.push(...readTaskIds(message["tasks"]));
        reply([id]);
        return;
      default:
    }
    const last = readTerminal(message);
    if (last !== undefined) {
      reply([id]);
      if (failpointsSet) await hit("guest.after_terminal");
      await onTerminal(last, message);
      return;
    }
    reply(replyFrame(id, await answer(message)));
  }

  async function answer(message: Body): Promise<Reply> {
    if (terminal !== undefined && message["type"] === "SetXCom")
      return refusal("the task has already said how it ended");
    try {
      const given = await answerRequest(message, { host, start, limits, mask });
      limitHit = given.limit ?? limitHit;
      if (given.mapped !== undefined) mapped.set(given.mapped.key, given.mapped.length);
      return given;
    } catch (error) {
      if (error instanceof RequestProblem) return refusal(error.message);
      if (error instanceof Error && error.name === "StaleFence") {
        end({ kind: "stopped", reason: "Another attempt has taken this one's place." });
        return refusal("this attempt is over");
      }
      return refusal(mask.text(messageOf(error)));
    }
  }

  function readTerminal(message: Body): AttemptEnd | undefined {
    const reason = (otherwise: string): string => reasonOf(message["reason"], otherwise);
    switch (message["type"]) {
      case "SucceedTask":
        return successOf(message);
      case "RetryTask":
        return failed(reason("The task failed."), true);
      case "TaskState":
        return message["state"] === "skipped"
          ? { kind: "skipped", ...(message["reason"] ? { reason: reason("") } : {}) }
          : failed(reason("The task failed."), false);
      case "RescheduleTask":
        return { kind: "reschedule", at: readTime(message["reschedule_date"], "reschedule_date") };
      case "DeferTask":
        return readDeferral(message);
      default:
        return undefined;
    }
  }

  function successOf(message: Body): AttemptEnd {
    const skip = isObject(message["skip"]) ? message["skip"] : {};
    const follow = readTaskIds(skip["followed"]);
    const leave = [...skipped, ...readTaskIds(skip["skipped"])];
    const { return_value: length, ...others } = Object.fromEntries(mapped);
    return {
      kind: "success",
      ...(leave.length === 0 && follow.length === 0
        ? {}
        : { skip: { followed: follow, skipped: leave } }),
      ...(length === undefined ? {} : { mapped_length: length }),
      ...(Object.keys(others).length === 0 ? {} : { mapped_lengths: others }),
    };
  }

  function failed(reason: string, retryable: boolean): AttemptEnd {
    return {
      kind: "failed",
      retryable,
      reason,
      ...(limitHit === undefined ? {} : { limit: limitHit }),
    };
  }

  async function onTerminal(last: AttemptEnd, message: Body): Promise<void> {
    if (terminal !== undefined || ending !== undefined) return;
    terminal = last;
    // Without control groups /proc is the only count, and a process that has ended has none there.
    child.usage();
    const label = message["rendered_map_index"];
    if (typeof label === "string" && label !== "")
      await host
        .setRenderedMapIndex(storable(mask.text(label).slice(0, 250)))
        .catch(() => undefined);
    await readWhatWasPrinted();
    await decide(last);
    after(afterTerminalMs, () => void stopChild());
  }

  /**
   * What it printed before its last frame is in the kernel already. Usually two rounds of the event loop bring it
   * here; where the log's pressure holds its sockets back, when that is over. What comes after the outcome would no
   * longer be kept: the attempt is over then.
   */
  async function readWhatWasPrinted(): Promise<void> {
    const until = performance.now() + lastWordsMs;
    const bytesRead = (): number => outputs.reduce((bytes, socket) => bytes + socket.bytesRead, 0);
    for (let quiet = 0, read = bytesRead(); quiet < 2 && performance.now() < until; ) {
      if (pressed)
        await Promise.race([
          relief.promise,
          new Promise((resolve) => after(until - performance.now(), () => resolve(undefined))),
        ]);
      await nextRound();
      const now = bytesRead();
      quiet = now === read && !pressed ? quiet + 1 : 0;
      read = now;
    }
  }

  function onAbort(): void {
    const why: unknown = signal.reason;
    end({
      kind: "stopped",
      reason: why instanceof Error && why.name !== "AbortError" ? why.message : "It was stopped.",
    });
  }

  /** The first ending counts; the outcome comes when the processes are gone, so that a retry never meets them. */
  function end(why: Ending): void {
    if (ending !== undefined || decided) {
      if (decided) void stopChild();
      return;
    }
    ending = why;
    log.say("error", why.reason);
    void stopChild();
  }

  async function stopChild(): Promise<void> {
    if (exit !== undefined) return;
    child.terminate();
    const killer = after(stopGraceMs, () => {
      child.kill();
      // A guest that was taken over may never report its child's end; the kernel has ended it all the same.
      after(1000, () => onExit({ code: null, signal: "SIGKILL" }));
    });
    await child.exited;
    clearTimeout(killer);
  }

  /** It hung up without a word. Normally its exit follows at once. */
  function onSilence(): void {
    if (terminal !== undefined || exit !== undefined) return;
    after(stopGraceMs, () => {
      if (exit === undefined && terminal === undefined)
        end({
          kind: "limit",
          limit: "protocol",
          retryable: true,
          reason: "The task closed its connection to the supervisor without saying how it ended.",
        });
    });
  }

  function onExit(how: ChildExit): void {
    if (exit !== undefined) return;
    exit = how;
    if (!working) void onAllSaid();
  }

  async function onAllSaid(): Promise<void> {
    if (busyOrDecided() || exit === undefined) return;
    // Frames and output sent before the end are in the kernel: until its sockets end, but no longer than a grandchild holds them.
    await Promise.race([
      Promise.all([closed(child.comms), ...outputsEnded]),
      new Promise((resolve) => after(200, () => resolve(undefined))),
    ]);
    // A terminal frame must be read also where we paused the sockets, or where after a stall of ours the timer comes first.
    await readWhatWasPrinted();
    if (busyOrDecided()) return;
    await decide(ending === undefined ? (terminal ?? endOfExit(exit)) : endOfEnding(ending));
  }

  function busyOrDecided(): boolean {
    return working || decided;
  }

  function endOfEnding(why: Ending): AttemptEnd {
    if (why.kind === "stopped") return { kind: "stopped", reason: why.reason };
    return { kind: "failed", retryable: why.retryable, reason: why.reason, limit: why.limit };
  }

  function endOfExit(how: ChildExit): AttemptEnd {
    if (how.code === 0 && how.signal === null) return successOf({});
    const hits = child.group?.hits() ?? { memory: 0, processes: 0 };
    const facts = {
      ...(how.code === null ? {} : { exit_code: how.code }),
      ...(how.signal === null ? {} : { signal: how.signal }),
    };
    if (hits.memory > 0)
      return {
        ...failed(
          `The task needed more memory than the limit of ${bytesText(limits.memoryBytes)} and was ended by the kernel.`,
          true,
        ),
        ...facts,
        limit: "memory",
      } as AttemptEnd;
    const fork =
      hits.processes > 0 ? ` It had hit the limit of ${String(limits.processes)} processes.` : "";
    const file =
      how.signal === "SIGXFSZ"
        ? ` It wrote a file larger than the limit of ${bytesText(limits.fileBytes)}.`
        : "";
    const limit = fork !== "" ? "processes" : file !== "" ? "file" : limitHit;
    return {
      kind: "failed",
      retryable: true,
      reason: `The task's process ended ${how.signal === null ? `with exit code ${String(how.code)}` : `by ${how.signal}`} without saying why.${fork}${file}`,
      ...facts,
      ...(limit === undefined ? {} : { limit }),
    };
  }

  async function decide(last: AttemptEnd): Promise<void> {
    if (decided) return;
    decided = true;
    let usage = child.usage();
    if (usage.peak_memory_bytes === 0 && exit === undefined) {
      // It ended between its last frame and our look, and no group counts: its parent was told.
      await Promise.race([
        child.exited,
        new Promise((resolve) => after(100, () => resolve(undefined))),
      ]);
      usage = child.usage();
    }
    if (last.kind === "failed" && last.limit === undefined) last = explain(last);
    const problems = await collectArtifacts(
      {
        workDir: child.workDir,
        copyDir: options.copyDir,
        uid: options.uid,
        bytesMax: limits.artifactBytes,
      },
      (file) => host.artifact({ ...file, name: storable(mask.text(file.name)) }),
    ).catch((error: unknown) => [`The artifacts could not be kept: ${messageOf(error)}`]);
    for (const problem of problems) log.say("error", problem);
    // In the house's hands before the outcome is: what is written later finds an attempt that has ended.
    await log.flushed();
    const wallMs = performance.now() - begunAt;
    settleOutcome({
      ...last,
      usage: { ...usage, start_ms: startMs ?? wallMs, wall_ms: wallMs },
    });
  }

  /** A task that failed by itself, but under a limit: a killed subprocess, a refused fork. */
  function explain(last: AttemptEnd & { readonly kind: "failed" }): AttemptEnd {
    const hits = child.group?.hits() ?? { memory: 0, processes: 0 };
    if (hits.memory > 0)
      return {
        ...last,
        limit: "memory",
        reason: cut(
          `${last.reason} (The memory limit of ${bytesText(limits.memoryBytes)} was hit.)`,
        ),
      };
    if (hits.processes > 0)
      return {
        ...last,
        limit: "processes",
        reason: cut(`${last.reason} (The limit of ${String(limits.processes)} processes was hit.)`),
      };
    return last;
  }

  async function settle(): Promise<void> {
    await outcome;
    if (exit === undefined) {
      await Promise.race([
        child.exited,
        new Promise((resolve) =>
          after(afterTerminalMs + stopGraceMs + 2000, () => resolve(undefined)),
        ),
      ]);
    }
    exit ??= { code: null, signal: "SIGKILL" };
    signal.removeEventListener("abort", onAbort);
    await child.release("still wanted");
    // Whatever held the output open is dead now.
    await Promise.all(outputsEnded);
    await log.flushed();
    for (const timer of timers) clearTimeout(timer);
  }

  function reasonOf(raw: unknown, otherwise: string): string {
    return typeof raw === "string" && raw !== ""
      ? cut(storable(mask.text(raw.slice(0, 65_536))))
      : otherwise;
  }

  function reply(frame: readonly unknown[]): void {
    if (!child.comms.destroyed) child.comms.write(frameOf(frame));
  }

  function after(ms: number, deed: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      timers.delete(timer);
      deed();
    }, ms);
    timers.add(timer);
    return timer;
  }
}

export function replyFrame(id: number, { body, error }: Reply): readonly unknown[] {
  if (error !== undefined) return [id, null, error];
  return body === undefined ? [id] : [id, body];
}

/** A map: `constructor` is a word that a task may send as well. */
const levels: ReadonlyMap<string, LogLine["level"]> = new Map(
  Object.entries({
    debug: "debug",
    info: "info",
    warning: "warning",
    warn: "warning",
    error: "error",
    exception: "error",
    critical: "critical",
    fatal: "critical",
  } as const),
);

function readRecords(raw: unknown): readonly LogLine[] {
  if (!Array.isArray(raw)) throw new RequestProblem("records must be a list");
  const now = Date.now();
  return raw.filter(isObject).map((record) => {
    const at = Number(record["at"]);
    const event = record["event"];
    return {
      // A clock of the author's: kept near ours, so that logs stay sorted.
      at: Number.isFinite(at) && Math.abs(at - now) < 86_400_000 ? Math.round(at) : now,
      level: levels.get(String(record["level"]).toLowerCase()) ?? "info",
      source: "task",
      text: typeof event === "string" ? event : JSON.stringify(event ?? "", bigAsText),
    };
  });
}

const bigAsText = (_: string, value: unknown): unknown =>
  typeof value === "bigint" ? String(value) : value;

/** Task ids, or pairs of id and map index. */
function readTaskIds(raw: unknown): readonly string[] {
  if (raw === null || raw === undefined) return [];
  if (!Array.isArray(raw) || raw.length > 20_000) throw new RequestProblem("tasks must be a list");
  return raw.map((item: unknown) => {
    const id: unknown = Array.isArray(item) ? item[0] : item;
    if (typeof id !== "string" || id.length > 512 || id !== storable(id))
      throw new RequestProblem("a task id must be text");
    return id;
  });
}

function readTime(raw: unknown, field: string): string {
  const time = typeof raw === "string" ? new Date(raw) : new Date(Number.NaN);
  if (Number.isNaN(time.getTime())) throw new RequestProblem(`${field} must be a time`);
  return time.toISOString();
}

function readDeferral(message: Body): AttemptEnd {
  const { classpath, next_method: next } = message as {
    classpath?: unknown;
    next_method?: unknown;
  };
  if (
    typeof classpath !== "string" ||
    typeof next !== "string" ||
    classpath.length + next.length > 2000
  )
    throw new RequestProblem("classpath and next_method must be texts");
  const timeout = message["trigger_timeout"];
  const seconds = typeof timeout === "number" ? timeout : readDuration(timeout);
  const kwargs = message["next_kwargs"];
  return {
    kind: "deferred",
    trigger: { classpath, kwargs: jsonOf(message["trigger_kwargs"] ?? {}, "trigger_kwargs") },
    next_method: next,
    ...(seconds === undefined ? {} : { timeout_s: seconds }),
    ...(kwargs === undefined || kwargs === null
      ? {}
      : { next_kwargs: jsonOf(kwargs, "next_kwargs") satisfies Json }),
  };
}

/** ISO 8601 as msgspec writes a timedelta: `P1DT2.5S`. */
function readDuration(raw: unknown): number | undefined {
  if (typeof raw !== "string") return undefined;
  const parts = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(raw);
  if (parts === null) throw new RequestProblem("trigger_timeout must be a duration");
  const [days, hours, minutes, seconds] = parts
    .slice(1)
    .map((part: string | undefined) => Number(part ?? 0));
  return (days ?? 0) * 86_400 + (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0);
}

export function bytesText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${String(Math.round(value * 10) / 10)} ${units[unit] as string}`;
}

const cut = (text: string): string =>
  text.length <= reasonLengthMax ? text : `${text.slice(0, reasonLengthMax - 1)}…`;

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

const nextRound = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const closed = (socket: {
  destroyed: boolean;
  once(event: "close" | "end", f: () => void): unknown;
}) =>
  new Promise<void>((resolve) => {
    if (socket.destroyed) resolve();
    socket.once("close", () => resolve());
    socket.once("end", () => resolve());
  });
