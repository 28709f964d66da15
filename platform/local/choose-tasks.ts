import { type Answer, bad, good } from "../model/answer.ts";
import type { DagSpec, MapSource, MapSpec, TaskSpec } from "../model/dag-spec.ts";
import { lengthOf, type Results } from "./keep-results.ts";

/** `task`: that one alone. `from`: it and all that follows. */
export type Choice =
  | { readonly kind: "all" }
  | { readonly kind: "task" | "from"; readonly task_id: string };

/**
 * The DAG as far as it is to run; what comes before counts as done, its results as those of the run before.
 * A chosen task may map over such a result only where it is known.
 */
export function chooseTasks(
  spec: DagSpec,
  choice: Choice,
  before: Results,
): Answer<DagSpec, string> {
  if (choice.kind === "all") return good(spec);
  const byId = new Map<string, TaskSpec>(spec.tasks.map((task) => [task.task_id, task]));
  if (!byId.has(choice.task_id))
    return bad(
      `DAG ${spec.dag_id} has no task ${JSON.stringify(choice.task_id)}; it has ${spec.tasks
        .slice(0, 20)
        .map(({ task_id }) => task_id)
        .join(", ")}`,
    );
  const chosen = new Set<string>([choice.task_id]);
  if (choice.kind === "from")
    for (const id of chosen) for (const down of byId.get(id)?.downstream ?? []) chosen.add(down);

  const missing: string[] = [];
  const settle = (source: MapSource): MapSource => {
    switch (source.kind) {
      case "literal":
        return source;
      case "zip":
      case "concat":
        return { ...source, of: source.of.map(settle) };
      case "task": {
        if (chosen.has(source.task_id)) return source;
        const { task_id, key } = source;
        const mapped = byId.get(task_id)?.map !== undefined;
        const length = mapped
          ? before.list(task_id, key).length || undefined
          : lengthOf(before.get(task_id, -1, key));
        if (length === undefined) missing.push(task_id);
        return { kind: "literal", length: length ?? 0 };
      }
    }
  };
  const settleMap = (map: MapSpec): MapSpec => ({ ...map, sources: map.sources.map(settle) });
  const tasks = spec.tasks
    .filter(({ task_id }) => chosen.has(task_id))
    .map((task) => ({
      ...task,
      downstream: task.downstream.filter((id) => chosen.has(id)),
      ...(task.map === undefined ? {} : { map: settleMap(task.map) }),
    }));
  const used = new Set(tasks.flatMap(({ group }) => ancestors(spec, group)));
  const groups = spec.groups
    .filter(({ group_id }) => used.has(group_id))
    .map((group) => (group.map === undefined ? group : { ...group, map: settleMap(group.map) }));
  if (missing.length > 0)
    return bad(
      `${choice.task_id} maps over the result of ${missing[0] ?? ""}, which is not known: run the whole DAG once, or use --from ${missing[0] ?? ""}`,
    );
  return good({ ...spec, tasks, groups });
}

function ancestors(spec: DagSpec, group: string | undefined): string[] {
  const chain: string[] = [];
  for (let at = group; at !== undefined && !chain.includes(at); ) {
    chain.push(at);
    at = spec.groups.find(({ group_id }) => group_id === at)?.parent;
  }
  return chain;
}
