import type { CompiledDag } from "../engine/compile-dag.ts";
import { type ContinuationKey, mayContinue } from "../engine/continuation.ts";
import type { TaskSpec } from "../model/dag-spec.ts";
import type { StateChange } from "../model/run.ts";
import type { ContinuationRows, Holder, RunRow } from "../store/run-rows.ts";

/** A worker that ends an attempt and would go on with a next one of the same run, on its warm guest. */
export type ContinuationWish = {
  readonly pool: string;
  readonly pool_slots: number;
  readonly queue: string;
  /** The kind of guest that it has warm. */
  readonly guest: TaskSpec["runs_in"];
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

/**
 * Which of the tasks that just became ready go on at once on the worker that made them so, instead of by
 * admission and doorbell. The rule is the engine's (`mayContinue`): nobody who waits is passed over, what the
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
    const at = ready.findIndex((next) => mayGoOn(entry, next, row));
    const [found] = at < 0 ? [] : ready.splice(at, 1);
    if (found !== undefined) chosen.push({ ...entry, change: found.change, task: found.task });
  }
  return chosen;
}

function mayGoOn(
  { wish, facts }: Wish,
  next: { readonly change: StateChange; readonly task: TaskSpec; readonly weight: number },
  row: RunRow,
): boolean {
  const { task } = next;
  const first = facts.first_waiting;
  // Of one run: tenant, environment, bundle, level and grants are the same by construction.
  const keyOf = (guest: string, queue: string): ContinuationKey => ({
    tenant: "",
    environment: "",
    bundle: "",
    guest,
    level: "",
    resource_class: "",
    grants: "",
    queue,
  });
  return (
    mayContinue({
      worker: { draining: false, lock_session_alive: true },
      ended: {
        key: keyOf(wish.guest, wish.queue),
        permits: { pool: wish.pool, pool_slots: wish.pool_slots, limits: [] },
      },
      next: {
        state: "scheduled",
        dag_paused: facts.dag_paused,
        tenant_active: facts.tenant_active,
        key: keyOf(task.runs_in, task.queue),
        permits: { pool: task.pool, pool_slots: task.pool_slots, limits: [] },
        has_own_limit:
          task.max_active_tis_per_dag !== undefined || task.max_active_tis_per_dagrun !== undefined,
        run: row.run,
        task_id: task.task_id,
        priority_weight: next.weight,
        logical_date_ms: row.facts.logical_date_ms,
        map_index: next.change.map_index,
      },
      over_committed:
        facts.in_flight > facts.max_running ||
        (facts.pool_open !== null && facts.pool_open < 0) ||
        facts.dag_open < 0,
      first_ready:
        first === null
          ? undefined
          : {
              // A tie goes to the one who waits.
              run: "",
              task_id: "",
              priority_weight: first.priority_weight,
              logical_date_ms: first.order_ms ?? undefined,
              map_index: first.map_index,
            },
      own: { in_flight_with_next: facts.in_flight, weight: facts.weight },
      others: facts.others_least === null ? [] : [{ in_flight: facts.others_least - 1, weight: 1 }],
      own_waiting: facts.own_admitted > 0,
      hops: wish.hops,
      ms: wish.ms,
    }) === undefined
  );
}
