import type { SemanticsLevel } from "../model/states.ts";

/** A task instance in `scheduled`, of a running run of an unpaused DAG of one tenant. */
export type Waiting = {
  readonly id: string;
  readonly dag_id: string;
  /** The run's key, unique in the tenant; a whole number as text. */
  readonly run: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly logical_date_ms?: number | undefined;
  readonly priority_weight: number;
  readonly pool: string;
  readonly pool_slots: number;
  readonly level: SemanticsLevel;
  readonly max_active_tasks: number;
  readonly max_active_tis_per_dag?: number | undefined;
  readonly max_active_tis_per_dagrun?: number | undefined;
};

/** What admitted attempts of the tenant hold now (permits); absent is zero. */
export type InUse = {
  readonly tenant: number;
  /** Slots by pool. */
  readonly pools: ReadonlyMap<string, number>;
  readonly dags: ReadonlyMap<string, number>;
  readonly runs: ReadonlyMap<string, number>;
  /** By `taskKey(dag_id, task_id)`. */
  readonly tasks: ReadonlyMap<string, number>;
  /** By `taskKey(run, task_id)`. */
  readonly runTasks: ReadonlyMap<string, number>;
};

export type AdmissionLimits = {
  readonly tenant: number;
  /** Slots by pool, −1 for without end. A pool that is not here admits nothing. */
  readonly pools: ReadonlyMap<string, number>;
};

type HeldBy =
  | "tenant_quota"
  | "no_such_pool"
  /** It needs more slots than the pool has at all: it waits until somebody changes one of the two. */
  | "pool_too_small"
  | "pool_full"
  | "max_active_tasks"
  | "max_active_tis_per_dag"
  | "max_active_tis_per_dagrun";

export type Admission = {
  /** In the order in which they are to be queued. */
  readonly admitted: readonly string[];
  readonly held: readonly { readonly id: string; readonly by: HeldBy }[];
};

/**
 * Which waiting instances may be queued now, by Airflow's order and limits. One that does not fit lets
 * smaller ones behind it pass. max_active_tasks counts per DAG at levels 1.10 and 2, per run at 3.
 */
export function admit(question: {
  readonly waiting: readonly Waiting[];
  readonly inUse: InUse;
  readonly limits: AdmissionLimits;
}): Admission {
  const { limits } = question;
  const use = {
    tenant: question.inUse.tenant,
    pools: new Map(question.inUse.pools),
    dags: new Map(question.inUse.dags),
    runs: new Map(question.inUse.runs),
    tasks: new Map(question.inUse.tasks),
    runTasks: new Map(question.inUse.runTasks),
  };
  const admitted: string[] = [];
  const held: { id: string; by: HeldBy }[] = [];
  for (const one of question.waiting.toSorted(byTurn)) {
    const task = taskKey(one.dag_id, one.task_id);
    const runTask = taskKey(one.run, one.task_id);
    const by = heldBy(one, use, limits, task, runTask);
    if (by) {
      held.push({ id: one.id, by });
      continue;
    }
    admitted.push(one.id);
    use.tenant++;
    add(use.pools, one.pool, one.pool_slots);
    add(use.dags, one.dag_id, 1);
    add(use.runs, one.run, 1);
    add(use.tasks, task, 1);
    add(use.runTasks, runTask, 1);
  }
  return { admitted, held };
}

function heldBy(
  one: Waiting,
  use: InUse,
  limits: AdmissionLimits,
  task: string,
  runTask: string,
): HeldBy | undefined {
  const slots = limits.pools.get(one.pool);
  if (slots === undefined) return "no_such_pool";
  if (slots >= 0 && one.pool_slots > slots) return "pool_too_small";
  if (use.tenant >= limits.tenant) return "tenant_quota";
  if (slots >= 0 && (use.pools.get(one.pool) ?? 0) + one.pool_slots > slots) return "pool_full";
  const active = one.level === "3" ? (use.runs.get(one.run) ?? 0) : (use.dags.get(one.dag_id) ?? 0);
  if (active >= one.max_active_tasks) return "max_active_tasks";
  if ((use.tasks.get(task) ?? 0) >= (one.max_active_tis_per_dag ?? Number.POSITIVE_INFINITY))
    return "max_active_tis_per_dag";
  if (
    (use.runTasks.get(runTask) ?? 0) >= (one.max_active_tis_per_dagrun ?? Number.POSITIVE_INFINITY)
  )
    return "max_active_tis_per_dagrun";
  return undefined;
}

/** Ids hold no blank. */
export const taskKey = (dagOrRun: string, task: string): string => `${dagOrRun} ${task}`;

/**
 * Airflow's order: priority_weight, highest first; then the logical date, oldest first, runs without one
 * last; then the map index. Run and task only keep equal ones apart.
 */
export const byTurn = (a: Turn, b: Turn): number =>
  b.priority_weight - a.priority_weight ||
  compare(a.logical_date_ms ?? Number.MAX_VALUE, b.logical_date_ms ?? Number.MAX_VALUE) ||
  a.map_index - b.map_index ||
  a.run.length - b.run.length ||
  compare(a.run, b.run) ||
  compare(a.task_id, b.task_id);

export type Turn = Pick<
  Waiting,
  "run" | "task_id" | "priority_weight" | "logical_date_ms" | "map_index"
>;

const compare = <T extends number | string>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

const add = (use: Map<string, number>, key: string, by: number): void =>
  void use.set(key, (use.get(key) ?? 0) + by);

/**
 * A job's priority in the queue, smallest first, in a smallint: everybody's first task comes before
 * anybody's second. `inFlightOrdinal` is 1 for the tenant's first attempt in flight; a tenant of weight 2
 * has two turns where others have one.
 */
export const priorityOf = (inFlightOrdinal: number, weight: number): number =>
  Math.min(32_767, Math.ceil((inFlightOrdinal / weight) * 8));
