import type { TaskId } from "../model/ids.ts";
import type { InstanceKey, InstanceRow } from "../model/run.ts";
import type { TaskState } from "../model/states.ts";
import { type CompiledDag, reachable } from "./compile-dag.ts";
import { instanceName } from "./view.ts";

export type Selection = {
  /** Task ids, or single indexes of mapped tasks; absent: all tasks. */
  readonly tasks?: readonly (TaskId | InstanceKey)[];
  readonly upstream: boolean;
  readonly downstream: boolean;
};

/**
 * Which instances of a run a clear means, by Airflow's `partial_subset`: a task takes its relevant setups
 * and their teardowns along, a setup its teardowns. For the event `instances_cleared`.
 */
export function planClear(
  dag: CompiledDag,
  instances: readonly InstanceRow[],
  how: Selection & { readonly only_failed: boolean; readonly only_running: boolean },
): readonly InstanceKey[] {
  const chosen = choose(dag, instances, how);
  return chosen
    .filter((row) => row.state !== "removed")
    .filter((row) => !how.only_failed || isFailed(row.state))
    .filter((row) => !how.only_running || row.state === "running")
    .map(keyOf);
}

/**
 * Which instances a mark means, and which failed ones after them are to be cleared because of it. The
 * keeper sends `instances_marked` and then, if there are any, `instances_cleared`.
 */
export function planMark(
  dag: CompiledDag,
  instances: readonly InstanceRow[],
  how: Selection & { readonly state: "success" | "failed" | "skipped" },
): { readonly mark: readonly InstanceKey[]; readonly clear: readonly InstanceKey[] } {
  const asked = askedFor(dag, how);
  const picked = new Set(asked.keys());
  if (how.downstream) for (const id of reachable([...picked], downOf(dag))) asked.set(id, "all");
  if (how.upstream) for (const id of reachable([...picked], upOf(dag))) asked.set(id, "all");
  const mark = instances.filter(
    (row) => isAsked(asked, row) && row.state !== how.state && row.state !== "removed",
  );
  const marked = new Set(instances.filter((row) => isAsked(asked, row)).map(instanceName));
  const clear = choose(dag, instances, {
    tasks: how.tasks ?? [],
    upstream: false,
    downstream: true,
  })
    .filter((row) => isFailed(row.state) && !marked.has(instanceName(row)))
    .map(keyOf);
  return { mark: mark.map(keyOf), clear };
}

/** Per task: all of its instances, or these indexes. */
type Asked = Map<TaskId, "all" | Set<number>>;

function choose(
  dag: CompiledDag,
  instances: readonly InstanceRow[],
  how: Selection,
): readonly InstanceRow[] {
  if (how.tasks === undefined) return instances;
  const asked = askedFor(dag, how);
  const chosen: Asked = new Map(asked);
  // Tasks meant as a whole are walked from together: one walk for a thousand of them.
  const whole = [...asked].filter(([id, indexes]) => indexes === "all" || !groupOf(dag, id));
  const single = [...asked].filter(([id, indexes]) => indexes !== "all" && groupOf(dag, id));
  includeRelatives(
    dag,
    chosen,
    asked,
    whole.map(([id]) => id),
    "all",
    how,
  );
  for (const [id, indexes] of single) includeRelatives(dag, chosen, asked, [id], indexes, how);
  return instances.filter((row) => isAsked(chosen, row));
}

function includeRelatives(
  dag: CompiledDag,
  chosen: Asked,
  asked: Asked,
  ids: readonly TaskId[],
  indexes: "all" | ReadonlySet<number>,
  how: Selection,
): void {
  const [first] = ids;
  if (first === undefined) return;
  const include = (other: TaskId): void => includeOne(dag, chosen, first, indexes, other);
  if (how.downstream)
    for (const down of reachable(ids, downOf(dag))) {
      include(down);
      if (!asked.has(down)) for (const one of setupsAround(dag, down)) include(one);
    }
  if (how.upstream)
    for (const up of reachable(ids, upOf(dag))) {
      include(up);
      if (dag.tasks.get(up)?.spec.is_setup) for (const one of teardownsOf(dag, up)) include(one);
    }
  else for (const id of ids) for (const one of setupsAround(dag, id)) include(one);
  if (!how.downstream)
    for (const id of ids)
      if (dag.tasks.get(id)?.spec.is_setup) for (const one of teardownsOf(dag, id)) include(one);
}

function askedFor(dag: CompiledDag, how: Selection): Asked {
  const asked: Asked = new Map();
  for (const one of how.tasks ?? dag.order.map((task) => task.id)) {
    if (typeof one === "string") {
      asked.set(one, "all");
      continue;
    }
    const before = asked.get(one.task_id);
    if (before === "all") continue;
    asked.set(one.task_id, (before ?? new Set<number>()).add(one.map_index));
  }
  return asked;
}

/** In a mapped group the relatives of index i are index i; everybody else is meant as a whole. */
function includeOne(
  dag: CompiledDag,
  chosen: Asked,
  of: TaskId,
  indexes: "all" | ReadonlySet<number>,
  other: TaskId,
): void {
  const before = chosen.get(other);
  if (before === "all") return;
  if (indexes === "all" || groupOf(dag, of) !== groupOf(dag, other)) chosen.set(other, "all");
  else chosen.set(other, new Set([...(before ?? []), ...indexes]));
}

const groupOf = (dag: CompiledDag, id: TaskId): string | undefined =>
  dag.tasks.get(id)?.mappedGroup;

const isAsked = (asked: Asked, row: InstanceRow): boolean => {
  const indexes = asked.get(row.task_id);
  return indexes === "all" || indexes?.has(row.map_index) === true;
};

/** The setups a piece of work needs, and all their teardowns. */
function setupsAround(dag: CompiledDag, id: TaskId): readonly TaskId[] {
  const task = dag.tasks.get(id);
  if (!task || task.spec.is_setup || task.spec.is_teardown) return [];
  return task.relevantSetups.flatMap((setup) => [setup, ...teardownsOf(dag, setup)]);
}

const teardownsOf = (dag: CompiledDag, setup: TaskId): readonly TaskId[] =>
  downOf(dag)(setup).filter((id) => dag.tasks.get(id)?.spec.is_teardown);
const downOf =
  (dag: CompiledDag) =>
  (id: TaskId): readonly TaskId[] =>
    dag.tasks.get(id)?.downstream.map((edge) => edge.id) ?? [];
const upOf =
  (dag: CompiledDag) =>
  (id: TaskId): readonly TaskId[] =>
    dag.tasks.get(id)?.upstream.map((edge) => edge.id) ?? [];
const isFailed = (state: TaskState): boolean => state === "failed" || state === "upstream_failed";
const keyOf = (row: InstanceRow): InstanceKey => ({
  task_id: row.task_id,
  map_index: row.map_index,
});
