/**
 * One run of one DAG on this machine: the engine decides over rows in memory, the supervisor runs each attempt
 * in the sandbox. No database, no clock of a scheduler; otherwise as on the server.
 */
import { randomUUID } from "node:crypto";
import { compileDag } from "../engine/compile-dag.ts";
import { runIdOf } from "../engine/run-id.ts";
import { RunInMemory } from "../engine/run-in-memory.ts";
import { manualInterval } from "../engine/timetable.ts";
import type { DagSpec, GuestKind } from "../model/dag-spec.ts";
import type { AttemptEnd, AttemptStart, GuestKey, Guests, LogLine } from "../model/guest.ts";
import { known, type RunId } from "../model/ids.ts";
import type { JsonObject } from "../model/json.ts";
import type { AttemptRef, InstanceKey, RunDecisions, RunEvent, TimerRow } from "../model/run.ts";
import { isFinished, type RunState, type TaskState } from "../model/states.ts";
import { artifactsFolder, hostLocally, type LocalThings, type Results } from "./keep-results.ts";

export type LocalRun = {
  readonly spec: DagSpec;
  /** Path of its file, relative to the bundle. */
  readonly dagFile: string;
  readonly guests: Pick<Guests, "run">;
  readonly keyOf: (kind: GuestKind) => Promise<GuestKey>;
  readonly conf: JsonObject;
  readonly params: JsonObject;
  readonly logicalDateMs: number;
  readonly things: LocalThings;
  readonly results: Results;
  /** Absolute folder; each instance's artifacts lie below it. */
  readonly artifactsDir: string;
  readonly concurrency: number;
  readonly onEvent: (event: LocalEvent) => void;
  /** Ends what runs: SIGTERM, five seconds, SIGKILL. */
  readonly signal: AbortSignal;
};

export type LocalEvent =
  | (InstanceKey & {
      readonly kind: "state";
      readonly state: TaskState;
      readonly try_number: number;
      readonly reason?: string;
    })
  | (InstanceKey & { readonly kind: "log"; readonly lines: readonly LogLine[] })
  | (InstanceKey & { readonly kind: "label"; readonly text: string })
  | { readonly kind: "note"; readonly text: string };

export type LocalOutcome = {
  readonly run_id: RunId;
  readonly state: RunState;
  readonly ms: number;
  readonly instances: readonly (InstanceKey & {
    readonly state: TaskState;
    readonly try_number: number;
    readonly reason?: string;
  })[];
  readonly artifacts: readonly string[];
};

/** Nobody sits before a terminal for the five minutes of Airflow's usual retry delay. */
export const waitMsMax = 10_000;
const cutWaitMs = 1_000;

export async function runDag(run: LocalRun): Promise<LocalOutcome> {
  const { spec, signal } = run;
  const begun = Date.now();
  const dag = compileDag(spec);
  const run_id = runIdOf({
    type: "manual",
    level: spec.level,
    logical_date_ms: run.logicalDateMs,
    run_after_ms: begun,
    suffix: "local",
  });
  const keeper = new RunInMemory(
    dag,
    {
      dag_id: spec.dag_id,
      run_id,
      run_type: "manual",
      state: "queued",
      logical_date_ms: run.logicalDateMs,
      has_instances: false,
      unfinished: 0,
      failed_leaves: 0,
    },
    (task_id) => ({ task_id, first: true, states: [], downstream_states: [] }),
  );
  const reasons = new Map<string, string>();
  const firstTries = new Map<string, string>();
  const artifacts: string[] = [];
  const running = new Map<
    string,
    { readonly abort: AbortController; readonly done: Promise<void> }
  >();
  const timers = new Set<NodeJS.Timeout>();
  const inbox: RunEvent[] = [];
  let wake = (): void => undefined;
  const knock = (event: RunEvent): void => {
    inbox.push(event);
    wake();
  };
  const stop = (): void => knock({ kind: "run_marked", state: "failed", reason: "stopped" });
  signal.addEventListener("abort", stop, { once: true });

  try {
    let next: readonly RunEvent[] = [{ kind: "run_started" }];
    for (;;) {
      const decided = keeper.turn(next, Date.now());
      tell(decided);
      setTimers();
      if (keeper.run.state !== "success" && keeper.run.state !== "failed") admit();
      else if (running.size === 0) break;
      if (inbox.length === 0 && running.size === 0 && timers.size === 0) {
        next = [{ kind: "deadlock_check" }];
        continue;
      }
      if (inbox.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      wake = () => undefined;
      next = inbox.splice(0);
    }
  } finally {
    signal.removeEventListener("abort", stop);
    for (const timer of timers) clearTimeout(timer);
    for (const { abort } of running.values()) abort.abort(new Error("the run is over"));
    await Promise.all([...running.values()].map(({ done }) => done));
  }
  return {
    run_id,
    state: keeper.run.state,
    ms: Date.now() - begun,
    instances: keeper.instances().map(({ task_id, map_index, state, try_number }) => {
      const reason = reasons.get(nameOf({ task_id, map_index }));
      return { task_id, map_index, state, try_number, ...(reason === undefined ? {} : { reason }) };
    }),
    artifacts,
  };

  /** What changed, for people; whoever was ended from outside is killed. */
  function tell({ created, states }: RunDecisions): void {
    for (const { task_id, map_index, state, try_number } of created)
      run.onEvent({ kind: "state", task_id, map_index, state, try_number });
    for (const change of states) {
      const { task_id, map_index, to, try_number } = change;
      const name = nameOf(change);
      if (change.stop) running.get(name)?.abort.abort(new Error(change.reason ?? "stopped"));
      const reason = change.reason ?? (to === "success" ? undefined : reasons.get(name));
      if (to === "success" || to === "skipped") reasons.delete(name);
      run.onEvent({
        kind: "state",
        task_id,
        map_index,
        state: to,
        try_number,
        ...(reason === undefined ? {} : { reason }),
      });
    }
  }

  function setTimers(): void {
    for (const timer of keeper.timers.splice(0)) {
      const waitMs = timer.due_ms - Date.now();
      if (waitMs > waitMsMax) run.onEvent({ kind: "note", text: cutNote(timer, waitMs) });
      const { task_id, map_index, try_number, timer: kind } = timer;
      const handle = setTimeout(
        () => {
          timers.delete(handle);
          knock({ kind: "timer_fired", task_id, map_index, try_number, timer: kind });
        },
        Math.max(0, waitMs > waitMsMax ? cutWaitMs : waitMs),
      );
      timers.add(handle);
    }
  }

  /** The rule of admission, without pools and other tenants: as many as this machine and the DAG allow. */
  function admit(): void {
    const max = Math.min(run.concurrency, spec.max_active_tasks);
    const waiting = keeper
      .instances()
      .filter(({ state }) => state === "scheduled")
      .toSorted(
        (a, b) =>
          (dag.tasks.get(b.task_id)?.priorityWeight ?? 0) -
          (dag.tasks.get(a.task_id)?.priorityWeight ?? 0),
      );
    for (const row of waiting) {
      if (running.size >= max) return;
      const task = dag.tasks.get(row.task_id)?.spec;
      const perRun = Math.min(
        task?.max_active_tis_per_dagrun ?? Number.POSITIVE_INFINITY,
        task?.max_active_tis_per_dag ?? Number.POSITIVE_INFINITY,
      );
      const same = keeper
        .instances()
        .filter(({ task_id, state }) => task_id === row.task_id && state === "running").length;
      if (same >= perRun) continue;
      keeper.move(row, "scheduled", "queued");
      keeper.move(row, "queued", "running");
      run.onEvent({ kind: "state", ...keyOf(row), state: "running", try_number: row.try_number });
      const abort = new AbortController();
      const name = nameOf(row);
      const done = attempt(row, row.max_tries, abort.signal).then((event) => {
        running.delete(name);
        knock(event);
      });
      running.set(name, { abort, done });
    }
  }

  async function attempt(ref: AttemptRef, maxTries: number, abort: AbortSignal): Promise<RunEvent> {
    const at = keyOf(ref);
    let end: AttemptEnd;
    try {
      const task = dag.tasks.get(ref.task_id);
      if (task === undefined) throw new Error(`the DAG has no task ${ref.task_id}`);
      const { runs_in } = task.spec;
      const firstKey = `${nameOf(at)} ${ref.try_number}`;
      const resumed = firstTries.get(firstKey);
      // A sensor that was rescheduled goes on with the same try and keeps what it pushed.
      if (resumed === undefined) run.results.clear(at);
      firstTries.set(firstKey, resumed ?? new Date().toISOString());
      const start: AttemptStart = {
        attempt: known.attempt(randomUUID()),
        fence: 1,
        dag_id: spec.dag_id,
        ...at,
        try_number: ref.try_number,
        max_tries: maxTries,
        dag_file: run.dagFile,
        queue: task.spec.queue,
        pool: task.spec.pool,
        priority_weight: task.priorityWeight,
        ...(task.spec.execution_timeout_s === undefined
          ? {}
          : { execution_timeout_s: task.spec.execution_timeout_s }),
        ...(resumed === undefined ? {} : { first_reschedule_at: resumed }),
        ...scopedUpstreams(at, task.upstream),
        run: runFacts(),
        push_length: task.pushesLength,
        ...(task.pushesKeys.length === 0 ? {} : { push_length_keys: task.pushesKeys }),
        ...(task.spec.payload === undefined ? {} : { payload: task.spec.payload }),
      };
      const host = hostLocally({
        dag_id: spec.dag_id,
        run_id,
        at,
        results: run.results,
        things: run.things,
        artifactsDir: artifactsFolder(run.artifactsDir, at),
        states: () => keeper.instances(),
        runState: () => keeper.run.state,
        onLog: (lines) => run.onEvent({ kind: "log", ...at, lines }),
        onArtifact: (path) => artifacts.push(path),
        onLabel: (text) => run.onEvent({ kind: "label", ...at, text }),
      });
      end = await run.guests.run(
        await run.keyOf(runs_in === "node" ? "node" : "python"),
        start,
        host,
        abort,
      );
    } catch (error) {
      end = {
        kind: "failed",
        retryable: false,
        reason: error instanceof Error ? error.message : String(error),
      };
    }
    const event = eventOf({ ...at, try_number: ref.try_number }, end);
    if (event.kind === "attempt_failed") reasons.set(nameOf(at), event.reason);
    return event;
  }

  function scopedUpstreams(
    at: InstanceKey,
    upstream: readonly { readonly id: string; readonly scoped: boolean }[],
  ): Pick<AttemptStart, "upstream_map_indexes"> {
    const scoped = upstream.filter((edge) => edge.scoped);
    return scoped.length === 0 || at.map_index < 0
      ? {}
      : { upstream_map_indexes: Object.fromEntries(scoped.map(({ id }) => [id, at.map_index])) };
  }

  function runFacts(): AttemptStart["run"] {
    const interval = manualInterval(spec.timetable, run.logicalDateMs);
    const iso = (ms: number): string => new Date(ms).toISOString();
    return {
      run_id,
      run_type: "manual",
      logical_date: iso(run.logicalDateMs),
      data_interval_start: iso(interval.start_ms),
      data_interval_end: iso(interval.end_ms),
      run_after: iso(run.logicalDateMs),
      start_date: iso(begun),
      conf: run.conf,
      params: run.params,
      clear_number: 0,
    };
  }
}

const keyOf = ({ task_id, map_index }: InstanceKey): InstanceKey => ({ task_id, map_index });
const nameOf = ({ task_id, map_index }: InstanceKey): string => `${task_id} ${map_index}`;

function cutNote({ task_id, timer }: TimerRow, waitMs: number): string {
  const seconds = Math.round(waitMs / 1000);
  return timer === "retry"
    ? `${task_id}: the server would wait ${seconds} s before the next try; here it goes on at once`
    : `${task_id}: the server would look again in ${seconds} s; here it does at once`;
}

function eventOf(ref: AttemptRef, end: AttemptEnd): Extract<RunEvent, AttemptRef> {
  switch (end.kind) {
    case "success":
      return {
        kind: "attempt_succeeded",
        ...ref,
        ...(end.skip === undefined ? {} : { skip: end.skip }),
        ...(end.mapped_length === undefined ? {} : { mapped_length: end.mapped_length }),
        ...(end.mapped_lengths === undefined ? {} : { mapped_lengths: end.mapped_lengths }),
      };
    case "skipped":
      return { kind: "attempt_skipped", ...ref };
    case "failed":
      return { kind: "attempt_failed", ...ref, retryable: end.retryable, reason: end.reason };
    case "reschedule":
      return { kind: "attempt_rescheduled", ...ref, at_ms: Date.parse(end.at) };
    case "deferred":
      return {
        kind: "attempt_failed",
        ...ref,
        retryable: false,
        reason:
          "The task deferred itself to a trigger, and there is no trigger host. Set deferrable=False on the operator.",
      };
    case "stopped":
      return { kind: "attempt_stopped", ...ref };
  }
}

/** How a run stands, for people: counts by state, finished ones first. */
export function countStates(instances: LocalOutcome["instances"]): string {
  const counts = new Map<string, number>();
  for (const { state } of instances) {
    const word = state ?? "not started";
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts]
    .toSorted(([a], [b]) => Number(isFinished(b as TaskState)) - Number(isFinished(a as TaskState)))
    .map(([state, n]) => `${n} ${state}`)
    .join(", ");
}
