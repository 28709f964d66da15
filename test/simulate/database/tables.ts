/** The rows that the simulated database has: the columns that a statement of the house reads. Times are epoch milliseconds. */
import type { DagSpec } from "../../../platform/model/dag-spec.ts";
import type { CounterRow, LengthRow, SkipRow } from "../../../platform/model/run.ts";
import type { RunState, RunType, TaskState } from "../../../platform/model/states.ts";

export type Tenant = {
  readonly tenant: string;
  readonly state: "active" | "suspended";
  readonly max_running: number;
  readonly weight: number;
};

export type Dag = {
  readonly tenant: string;
  readonly dag_id: string;
  readonly state: "active" | "retired";
  readonly is_paused: boolean;
  readonly version: number;
  readonly level: string;
  readonly max_active_runs: number;
  readonly max_active_tasks: number;
  readonly next_logical_at: number | null;
  readonly next_interval_start: number | null;
  readonly next_interval_end: number | null;
  readonly next_run_at: number | null;
  readonly plan_needed: boolean;
};

export type DagVersion = {
  readonly tenant: string;
  readonly dag_id: string;
  readonly version: number;
  readonly spec: DagSpec;
};

export type Run = {
  readonly tenant: string;
  readonly run: string;
  readonly dag_id: string;
  readonly run_id: string;
  readonly run_type: RunType;
  readonly logical_date: number | null;
  readonly interval_start: number | null;
  readonly interval_end: number | null;
  readonly run_after: number;
  readonly state: RunState;
  readonly version: number;
  readonly has_instances: boolean;
  readonly unfinished: number;
  readonly failed_leaves: number;
  readonly started_at: number | null;
  readonly clear_number: number;
  readonly reason: string | null;
};

export type Instance = {
  readonly tenant: string;
  readonly run: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly id: string;
  readonly dag_id: string;
  readonly state: TaskState;
  readonly try_number: number;
  readonly max_tries: number;
  readonly pool: string;
  readonly pool_slots: number;
  readonly queue: string;
  readonly priority_weight: number;
  readonly max_per_dag: number | null;
  readonly max_per_run: number | null;
  readonly operator: string;
  /** Infinity: its run has no logical date. */
  readonly order_at: number;
  readonly scheduled_at: number | null;
  readonly started_at: number | null;
  readonly first_reschedule_at: number | null;
};

type OfRun = { readonly tenant: string; readonly run: string };
export type Counter = OfRun & CounterRow;
export type Skip = OfRun & SkipRow;
export type Length = OfRun & LengthRow;

export type Attempt = {
  readonly tenant: string;
  readonly attempt: string;
  readonly run: string;
  readonly dag_id: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly try_number: number;
  readonly state: "admitted" | "running" | "ended";
  readonly fence: number;
  readonly worker: string | null;
  readonly lease_until: number | null;
  readonly queue: string;
  readonly crashes: number;
  readonly admitted_at: number;
  readonly outcome: string | null;
  readonly stop_asked: string | null;
};

export type Permit = {
  readonly tenant: string;
  readonly attempt: string;
  readonly run: string;
  readonly dag_id: string;
  readonly task_id: string;
  readonly pool: string;
  readonly slots: number;
};

export type Pool = {
  readonly tenant: string;
  readonly pool: string;
  readonly slots: number;
  readonly include_deferred: boolean;
};

export type TimerRow = {
  readonly tenant: string;
  readonly run: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly try_number: number;
  readonly kind: string;
  readonly due_at: number;
};

export type Worker = {
  readonly worker: string;
  readonly lock_key: number;
  readonly queue_pool: string | null;
  readonly home: string;
  readonly lease_only: boolean;
  readonly beat_at: number;
};

/** A row of graphile-worker's. */
export type Job = {
  readonly id: string;
  readonly key: string | null;
  readonly queue: string;
  readonly tenant: string;
  readonly attempt: string;
  readonly priority: number;
  readonly run_at: number;
  readonly attempts: number;
  readonly max_attempts: number;
  readonly locked_by: string | null;
  readonly locked_at: number | null;
};

/** A row of the feed; it is only ever added. */
export type Change = {
  readonly tenant: string;
  readonly run: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly from: string | null;
  readonly to: string | null;
};

/** Versions of one row, the newest first. */
type Version<R> = {
  readonly at: number;
  readonly row: R | undefined;
  before: Version<R> | undefined;
};

/** Rows under their key, each with as many of its versions as somebody may still look at. */
export class Table<R extends object> {
  readonly name: string;
  readonly keyOf: (row: R) => string;
  /** What rows are looked for together: their run, their tenant. */
  readonly groupOf: (row: R) => string;
  /** Names under which no other row may stand; undefined: this row has none. */
  readonly uniques: readonly ((row: R) => string | undefined)[];
  readonly #rows = new Map<string, Version<R>>();
  readonly #groups = new Map<string, Set<string>>();

  constructor(
    name: string,
    keyOf: (row: R) => string,
    groupOf: (row: R) => string = () => "",
    uniques: readonly ((row: R) => string | undefined)[] = [],
  ) {
    this.name = name;
    this.keyOf = keyOf;
    this.groupOf = groupOf;
    this.uniques = uniques;
  }

  /** The row as it was after this many commits. */
  at(key: string, commit: number): R | undefined {
    let version = this.#rows.get(key);
    while (version !== undefined && version.at > commit) version = version.before;
    return version?.row;
  }

  keysOf(group: string | undefined): Iterable<string> {
    return group === undefined ? this.#rows.keys() : (this.#groups.get(group) ?? []);
  }

  /** The newest rows, of all transactions that were committed. */
  newest(group?: string): R[] {
    const found: R[] = [];
    for (const key of this.keysOf(group)) {
      const row = this.#rows.get(key)?.row;
      if (row !== undefined) found.push(row);
    }
    return found;
  }

  /** `oldest`: nobody looks at a state from before this commit any more. */
  write(key: string, row: R | undefined, commit: number, oldest: number): void {
    const before = this.#rows.get(key);
    if (row === undefined && oldest >= commit) {
      if (before?.row !== undefined) this.#groups.get(this.groupOf(before.row))?.delete(key);
      this.#rows.delete(key);
      return;
    }
    this.#rows.set(key, { at: commit, row, before: oldest >= commit ? undefined : before });
    if (row === undefined) return;
    const group = this.groupOf(row);
    const keys = this.#groups.get(group);
    if (keys === undefined) this.#groups.set(group, new Set([key]));
    else keys.add(key);
  }
}

export const instanceKey = (row: {
  readonly run: string;
  readonly task_id: string;
  readonly map_index: number;
}): string => `${row.run} ${row.task_id} ${row.map_index}`;
export const dagKey = (tenant: string, dagId: string): string => `${tenant}/${dagId}`;

export const openTables = () => ({
  tenant: new Table<Tenant>("tenant", (row) => row.tenant),
  dag: new Table<Dag>("dag", (row) => dagKey(row.tenant, row.dag_id)),
  version: new Table<DagVersion>(
    "dag_version",
    (row) => `${row.tenant}/${row.dag_id}/${row.version}`,
  ),
  run: new Table<Run>(
    "dag_run",
    (row) => row.run,
    (row) => dagKey(row.tenant, row.dag_id),
    [
      (row) => `run_id ${row.tenant}/${row.dag_id}/${row.run_id}`,
      (row) =>
        row.logical_date === null
          ? undefined
          : `logical_date ${row.tenant}/${row.dag_id}/${row.logical_date}`,
    ],
  ),
  instance: new Table<Instance>("task_instance", instanceKey, (row) => row.run),
  counter: new Table<Counter>(
    "task_counter",
    (row) => `${row.run} ${row.task_id} ${row.scope}`,
    (row) => row.run,
  ),
  skip: new Table<Skip>("skip_decision", instanceKey, (row) => row.run),
  length: new Table<Length>(
    "mapped_length",
    (row) => `${row.run} ${row.kind} ${row.name}`,
    (row) => row.run,
  ),
  attempt: new Table<Attempt>(
    "attempt",
    (row) => row.attempt,
    (row) => row.run,
    [(row) => (row.state === "ended" ? undefined : `open ${instanceKey(row)}`)],
  ),
  permit: new Table<Permit>(
    "permit",
    (row) => row.attempt,
    (row) => row.tenant,
  ),
  pool: new Table<Pool>("pool", (row) => `${row.tenant}/${row.pool}`),
  timer: new Table<TimerRow>(
    "timer",
    (row) => `${instanceKey(row)} ${row.kind}`,
    (row) => row.run,
  ),
  worker: new Table<Worker>("worker", (row) => row.worker),
  job: new Table<Job>(
    "job",
    (row) => row.id,
    () => "",
    [(row) => row.key ?? undefined],
  ),
});
export type Tables = ReturnType<typeof openTables>;
