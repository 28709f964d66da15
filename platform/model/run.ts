/**
 * The words between the engine and whoever keeps its rows (the door over Postgres, a run on a laptop in
 * memory): what it is shown, what happened, what it decides. Everything is a row; nothing here is code.
 *
 * The order of a turn: `reach(dag, run, events)` names what to load; the keeper loads it and puts it into a
 * view with `seen(view, need, rows)`; `decide(dag, view, events, nowMs)` answers either `more` (load this
 * as well and ask again) or `decided` (write this, in the order of the fields of `RunDecisions`).
 */
import type { DagId, RunId, RunKey, TaskId } from "./ids.ts";
import type { RunState, RunType, TaskState } from "./states.ts";

/** Facts of the run row. Times are epoch milliseconds. */
export type RunFacts = {
  readonly dag_id: DagId;
  readonly run_id: RunId;
  readonly run_type: RunType;
  readonly state: RunState;
  readonly logical_date_ms?: number;
  /** When it last went from queued to running. */
  readonly start_ms?: number;
  /** Its task instances exist: set by the first `run_started`. */
  readonly has_instances: boolean;
  /** Task instances in no finished state. The run ends when it is zero. */
  readonly unfinished: number;
  /** Instances of leaf tasks in failed or upstream_failed: what decides how the run ends. */
  readonly failed_leaves: number;
};

/** `map_index` −1: not mapped, or mapped and not yet expanded. */
export type InstanceKey = { readonly task_id: TaskId; readonly map_index: number };

/** The task instance that triggered a run. */
export type RunOrigin = InstanceKey & { readonly run: RunKey };

export type InstanceRow = InstanceKey & {
  readonly state: TaskState;
  /** 0 until it is scheduled for the first time; the number of the current or last try after that. */
  readonly try_number: number;
  readonly max_tries: number;
};

/**
 * How the relevant direct upstream instances of a task stand. One row per task and scope: scope −1 counts
 * the upstreams that every instance of the task waits for; scope i counts those inside a mapped task group
 * shared with the upstream, where instance i waits only for index i; scope −2 counts the task's own instances,
 * where it is mapped and others map over it. Instances in no finished state are
 * `total` less the rest. Setups are counted a second time for the rule of teardowns.
 */
export type CounterKey = { readonly task_id: TaskId; readonly scope: number };
export type Counts = {
  readonly total: number;
  readonly success: number;
  readonly failed: number;
  readonly upstream_failed: number;
  readonly skipped: number;
  readonly removed: number;
  readonly setups: number;
  readonly setups_success: number;
  readonly setups_skipped: number;
};
export type CounterRow = CounterKey & Counts;

/** What a branch or short circuit said, per instance of it. Read at every evaluation of a direct downstream, so that a cleared task skips again. */
export type SkipRow = InstanceKey & { readonly skipped: readonly TaskId[] };

/**
 * `pushed`: the length of a value that a task pushed and something maps over (`name` is `pushedName`).
 * `expanded`: how many indexes a mapped task or group has by now (`name` is the task or group id).
 */
export type LengthRow = {
  readonly kind: "pushed" | "expanded";
  readonly name: string;
  readonly length: number;
};

/** Under which name a pushed length is kept: the task id for the return value, else id and key with a blank between, which no id holds. */
export const pushedName = (task: TaskId, key: string): string =>
  key === "return_value" ? task : `${task} ${key}`;

/**
 * For depends_on_past: how a task stood in the run before. That is, with catchup, the latest run of an
 * earlier logical date that is not manual; without, the latest earlier run of any type.
 */
export type PastRow = {
  readonly task_id: TaskId;
  /** There is no earlier run, or it is the first of a backfill, or it lies before the task's start_date. */
  readonly first: boolean;
  /** States of the task's instances in the run before; empty if that run did not have the task. */
  readonly states: readonly TaskState[];
  /** States of its direct downstreams there; only read with wait_for_downstream. */
  readonly downstream_states: readonly TaskState[];
};

/** What to load. `everything` is the whole run (starts again, ends early, changes version): rare. */
export type RunNeed = {
  readonly everything: boolean;
  /** Single rows, whether or not they exist. */
  readonly instances: readonly InstanceKey[];
  /** All instances of these tasks. */
  readonly tasks: readonly TaskId[];
  readonly counters: readonly CounterKey[];
  /** All counters of these tasks. */
  readonly counter_tasks: readonly TaskId[];
  /** All skip rows of these tasks. */
  readonly skips: readonly TaskId[];
  /** Length rows of both kinds with these names. */
  readonly lengths: readonly string[];
  readonly past: readonly TaskId[];
};

/** What was found; a row that was asked for and is not here does not exist. */
export type LoadedRows = {
  readonly instances: readonly InstanceRow[];
  readonly counters: readonly CounterRow[];
  readonly skips: readonly SkipRow[];
  readonly lengths: readonly LengthRow[];
  readonly past: readonly PastRow[];
};

/** An event about one attempt carries its try; if the instance is not in flight with that try, it changes nothing. */
export type AttemptRef = InstanceKey & { readonly try_number: number };

export type RunEvent =
  /** queued → running, by whoever keeps max_active_runs. Creates the instances the first time. */
  | { readonly kind: "run_started" }
  | (AttemptRef & {
      readonly kind: "attempt_succeeded";
      readonly skip?: {
        readonly followed?: readonly string[];
        readonly skipped?: readonly string[];
      };
      readonly mapped_length?: number;
      /** Lengths of other keys than the return value, by key. */
      readonly mapped_lengths?: { readonly [key: string]: number };
    })
  | (AttemptRef & {
      readonly kind: "attempt_failed";
      readonly retryable: boolean;
      readonly reason: string;
    })
  | (AttemptRef & { readonly kind: "attempt_skipped" })
  | (AttemptRef & { readonly kind: "attempt_rescheduled"; readonly at_ms: number })
  /** The keeper stores trigger, next_method and timeout itself, in the same transaction. */
  | (AttemptRef & { readonly kind: "attempt_deferred" })
  /** It was asked to stop and has: an instance in `restarting` begins anew, any other keeps the state it was given. */
  | (AttemptRef & { readonly kind: "attempt_stopped" })
  /** A deferral's trigger fired or timed out: the same try goes on. Retry and reschedule: their time has come. */
  | (AttemptRef & { readonly kind: "timer_fired"; readonly timer: TimerKind | "deferral" })
  /** What `planClear` chose. A finished run goes back to queued. */
  | { readonly kind: "instances_cleared"; readonly keys: readonly InstanceKey[] }
  /** What `planMark` chose to set; what it chose to clear comes as a second event. */
  | {
      readonly kind: "instances_marked";
      readonly keys: readonly InstanceKey[];
      readonly state: "success" | "failed" | "skipped";
    }
  /** By a person: everything that runs is ended; pending teardowns still run. */
  | {
      readonly kind: "run_marked";
      readonly state: "success" | "failed";
      readonly reason: "marked" | "stopped";
    }
  /** start_ms + dagrun_timeout has passed. */
  | { readonly kind: "run_timed_out" }
  /** The run before ended some of these tasks: look at depends_on_past again. */
  | { readonly kind: "past_changed"; readonly task_ids: readonly TaskId[] }
  /** The run is to go on with another DAG version; `dag` is the new one already. */
  | { readonly kind: "dag_changed" }
  /** Nothing of the run is in flight and no timer is set: recount, and fail it if nothing can go on. */
  | { readonly kind: "deadlock_check" };

export type TimerKind = "retry" | "reschedule";

export type TimerRow = AttemptRef & { readonly timer: TimerKind; readonly due_ms: number };

export type StateChange = InstanceKey & {
  /** What the row must hold now; no such row: abort all. */
  readonly from: TaskState;
  readonly from_try_number: number;
  readonly to: TaskState;
  readonly try_number: number;
  readonly max_tries: number;
  /** Somebody else than the attempt ended it while it was admitted or running: raise the fence, free the permit, kill it. */
  readonly stop: boolean;
  /** A clear: history of the last try is kept, the instance gets a new id, deferral and reschedule rows go. */
  readonly cleared: boolean;
  /** Why, for people, where it is not plain from the states. */
  readonly reason?: string;
};

export type RunEndReason =
  | "success"
  | "task_failure"
  | "all_tasks_deadlocked"
  | "timed_out"
  | "marked"
  | "stopped";

/** The run row after the turn; absolute values. */
export type RunChange = {
  readonly from: RunState;
  readonly state: RunState;
  readonly has_instances: boolean;
  readonly unfinished: number;
  readonly failed_leaves: number;
  /** Set when it ended in this turn. */
  readonly ended?: RunEndReason;
  /** A clear brought a finished run back to queued: clear_number + 1, start and end date empty. */
  readonly restarted: boolean;
};

/** Rows to write, in the order of the fields. All counter values are absolute. */
export type RunDecisions = {
  /** The placeholder (map_index −1) becomes index 0; its key in all later fields is 0. */
  readonly expanded: readonly TaskId[];
  /** New rows, already in the state they begin in (`scheduled` for a root, `success` for an inline one). */
  readonly created: readonly InstanceRow[];
  /** One per instance: from what was loaded to what holds after the turn. */
  readonly states: readonly StateChange[];
  readonly counters: readonly CounterRow[];
  readonly skips: readonly SkipRow[];
  readonly skips_deleted: readonly InstanceKey[];
  readonly lengths: readonly LengthRow[];
  readonly timers: readonly TimerRow[];
  /** Tasks that ended and that a later run may wait for (depends_on_past): a row and a wake-up for it. */
  readonly past_changed: readonly TaskId[];
  readonly run?: RunChange;
};

/** How the answer ends for a run that is there already: by its id, or by its logical date. The command tells them apart by these words. */
export const takenIdWords = "exists already";
export const takenDateWords = `${takenIdWords} for this logical date`;
