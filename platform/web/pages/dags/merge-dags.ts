import type { DagIndex } from "../../../api/ui/dag-index.ts";

/** `some`: the answer about the DAGs `names`. One of them that is not in it is gone, or no longer for this person to see. */
export function mergeDags(old: DagIndex, names: readonly string[], some: DagIndex): DagIndex {
  const fresh = new Map(some.dags.map((dag) => [dag.dag_id, dag]));
  const asked = new Set(names);
  const known = new Set(old.dags.map(({ dag_id }) => dag_id));
  const kept = old.dags.flatMap((dag) => {
    if (!asked.has(dag.dag_id)) return [dag];
    const now = fresh.get(dag.dag_id);
    return now === undefined ? [] : [now];
  });
  const added = some.dags.filter(({ dag_id }) => !known.has(dag_id));
  return {
    at: some.at,
    dags: added.length === 0 ? kept : [...kept, ...added],
    complete: old.complete,
  };
}
