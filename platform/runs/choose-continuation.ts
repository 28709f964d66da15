import type { CompiledDag } from "../engine/compile-dag.ts";
import type { TaskSpec } from "../model/dag-spec.ts";
import type { StateChange } from "../model/run.ts";
import type { ContinuationRows, Holder, RunRow } from "../store/run-rows.ts";

/** A worker that ends an attempt and would go on with a next one of the same run, on its warm guest. */
export type ContinuationWish = {
  readonly pool: string;
  readonly pool_slots: number;
  readonly queue: string;
  /** Whether its guest can run that task: same tenant, environment, bundle, kind, level, grants. */
  readonly fits: (task: TaskSpec) => boolean;
  /** Since this slot's last doorbell. */
  readonly hops: number;
  readonly ms: number;
};

type Wish = {
  readonly wish: ContinuationWish;
  readonly holder: Holder;
  readonly facts: ContinuationRows;
};
export type Chosen = Wish & { readonly change: StateChange; readonly task: TaskSpec };

const hopsMax = 8;
const msMax = 20;

/**
 * Which of the tasks that just became ready go on at once on the worker that made them so, instead of by
 * admission and doorbell. The conditions are those under which nobody who waits is passed over: what the
 * tenant, the pool and the DAG have in use does not grow, and no other tenant's turn it is.
 */
export function chooseContinuation(
  dag: CompiledDag,
  row: RunRow,
  states: readonly StateChange[],
  wishes: readonly Wish[],
): Chosen[] {
  if (wishes.length === 0) return [];
  const ready = states
    .filter((change) => change.to === "scheduled" && change.from === null)
    .flatMap((change) => {
      const task = dag.tasks.get(change.task_id);
      return task === undefined ? [] : [{ change, task: task.spec, weight: task.priorityWeight }];
    })
    .toSorted((a, b) => b.weight - a.weight || a.change.map_index - b.change.map_index);
  const chosen: Chosen[] = [];
  for (const entry of wishes) {
    const at = ready.findIndex(({ task, weight, change }) =>
      mayGoOn(entry, task, weight, change, row),
    );
    const [found] = at < 0 ? [] : ready.splice(at, 1);
    if (found !== undefined) chosen.push({ ...entry, change: found.change, task: found.task });
  }
  return chosen;
}

function mayGoOn(
  { wish, facts }: Wish,
  task: TaskSpec,
  weight: number,
  change: StateChange,
  row: RunRow,
): boolean {
  const samePermits =
    task.pool === wish.pool &&
    task.pool_slots === wish.pool_slots &&
    task.queue === wish.queue &&
    task.max_active_tis_per_dag === undefined &&
    task.max_active_tis_per_dagrun === undefined;
  const overCommitted =
    facts.in_flight > facts.max_running ||
    (facts.pool_open !== null && facts.pool_open < 0) ||
    facts.dag_open < 0;
  const first = facts.first_waiting;
  const orderMs = row.facts.logical_date_ms ?? Number.POSITIVE_INFINITY;
  const passedOver =
    first !== null &&
    (first.priority_weight > weight ||
      (first.priority_weight === weight &&
        (first.order_ms < orderMs ||
          (first.order_ms === orderMs && first.map_index <= change.map_index))));
  // A tie goes to the one who waits.
  const othersTurn =
    facts.others_least !== null && facts.others_least <= facts.in_flight / facts.weight;
  const ownWait = facts.own_admitted > 0 && (wish.hops >= hopsMax || wish.ms >= msMax);
  return (
    facts.tenant_active &&
    !facts.dag_paused &&
    samePermits &&
    !overCommitted &&
    !passedOver &&
    !othersTurn &&
    !ownWait &&
    wish.fits(task)
  );
}
