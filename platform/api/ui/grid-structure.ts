/**
 * The rows of a DAG's grid: its tasks and groups as a tree, of all versions that its runs in sight have. Pure.
 *
 * On each level what comes first in the flow is above; where the flow does not say, groups are before tasks, and
 * otherwise the file's order holds. What only older versions have comes last in its group.
 */
import type { DagSpec, TaskSpec } from "../../model/dag-spec.ts";

export type GridStructure = {
  readonly tasks: readonly {
    readonly id: string;
    readonly name: string | null;
    readonly operator: string;
    /** Index into `groups`; −1: of the DAG itself. */
    readonly group: number;
    readonly mapped: boolean;
    /** The live version does not have it any more. */
    readonly gone: boolean;
  }[];
  readonly groups: readonly {
    readonly id: string;
    readonly parent: number;
    readonly tooltip: string | null;
    readonly mapped: boolean;
  }[];
  /** The tree from above to below: a task by its index, a group as −1 − its index, its members after it. */
  readonly tree: readonly number[];
};

type Merged = { readonly task: TaskSpec; readonly gone: boolean };

/** `specs`: the newest version first. */
export function structureOf(specs: readonly DagSpec[]): GridStructure {
  const tasks = new Map<string, Merged>();
  const groups = new Map<
    string,
    { parent: string | undefined; tooltip: string | null; mapped: boolean }
  >();
  for (const [age, spec] of specs.entries()) {
    for (const group of spec.groups)
      if (!groups.has(group.group_id))
        groups.set(group.group_id, {
          parent: group.parent,
          tooltip: group.tooltip ?? null,
          mapped: group.map !== undefined,
        });
    for (const task of spec.tasks)
      if (!tasks.has(task.task_id)) tasks.set(task.task_id, { task, gone: age > 0 });
  }
  const parentOf = (id: string): string | undefined => groups.get(id)?.parent;
  const known = (id: string | undefined): string | undefined =>
    id !== undefined && groups.has(id) ? id : undefined;
  const children = new Map<string | undefined, string[]>();
  const add = (parent: string | undefined, node: string): void => {
    const list = children.get(parent);
    if (list === undefined) children.set(parent, [node]);
    else list.push(node);
  };
  // A node is its id behind "g" or "t": a group and a task may have the same.
  for (const [id, group] of groups) add(known(group.parent), `g${id}`);
  for (const [id, { task }] of tasks) add(known(task.group), `t${id}`);

  const order = orderLevels(tasks, children, known, parentOf);
  const taskIds: string[] = [];
  const groupIds: string[] = [];
  const tree: number[] = [];
  const seen = new Set<string>();
  const walk = (parent: string | undefined): void => {
    for (const node of order.get(parent) ?? []) {
      if (seen.has(node)) continue;
      seen.add(node);
      const id = node.slice(1);
      if (node.startsWith("t")) {
        tree.push(taskIds.length);
        taskIds.push(id);
      } else {
        tree.push(-1 - groupIds.length);
        groupIds.push(id);
        walk(id);
      }
    }
  };
  walk(undefined);
  const groupIndex = new Map(groupIds.map((id, at) => [id, at]));
  const indexOf = (id: string | undefined): number =>
    id === undefined ? -1 : (groupIndex.get(id) ?? -1);
  return {
    tasks: taskIds.flatMap((id) => {
      const found = tasks.get(id);
      if (found === undefined) return [];
      const { task, gone } = found;
      const group = known(task.group);
      return [
        {
          id,
          name: task.display_name ?? null,
          operator: task.operator,
          group: indexOf(group),
          mapped: task.map !== undefined || isInMapped(group, groups),
          gone,
        },
      ];
    }),
    groups: groupIds.map((id) => ({
      id,
      parent: indexOf(known(parentOf(id))),
      tooltip: groups.get(id)?.tooltip ?? null,
      mapped: groups.get(id)?.mapped ?? false,
    })),
    tree,
  };
}

function isInMapped(
  group: string | undefined,
  groups: ReadonlyMap<string, { readonly parent: string | undefined; readonly mapped: boolean }>,
): boolean {
  for (let at = group, depth = 0; at !== undefined && depth < 60; depth += 1) {
    const found = groups.get(at);
    if (found?.mapped === true) return true;
    at = found?.parent;
  }
  return false;
}

/** Children of each group in the order of the flow: Kahn's algorithm per level, over edges lifted to the level. */
function orderLevels(
  tasks: ReadonlyMap<string, Merged>,
  children: ReadonlyMap<string | undefined, readonly string[]>,
  known: (id: string | undefined) => string | undefined,
  parentOf: (id: string) => string | undefined,
): ReadonlyMap<string | undefined, readonly string[]> {
  /** From the DAG down to the node: the group on each level, then the node itself. */
  const paths = new Map<string, readonly string[]>();
  const pathOf = (id: string, task: TaskSpec): readonly string[] => {
    const kept = paths.get(id);
    if (kept !== undefined) return kept;
    const path = [`t${id}`];
    for (let at = known(task.group); at !== undefined && path.length < 60; at = known(parentOf(at)))
      path.push(`g${at}`);
    path.reverse();
    paths.set(id, path);
    return path;
  };
  const after = new Map<string, Set<string>>();
  const before = new Map<string, number>();
  for (const [id, { task }] of tasks) {
    const from = pathOf(id, task);
    for (const next of task.downstream) {
      const other = tasks.get(next);
      if (other === undefined) continue;
      const to = pathOf(next, other.task);
      let level = 0;
      while (from[level] === to[level] && level < from.length) level += 1;
      const a = from[level];
      const b = to[level];
      if (a === undefined || b === undefined || a === b) continue;
      const set = after.get(a) ?? new Set();
      if (set.has(b)) continue;
      set.add(b);
      after.set(a, set);
      before.set(b, (before.get(b) ?? 0) + 1);
    }
  }
  const rankOf = (node: string): number =>
    tasks.get(node.slice(1))?.gone === true && node.startsWith("t")
      ? 2
      : node.startsWith("g")
        ? 0
        : 1;
  return new Map(
    [...children].map(([parent, nodes]) => [parent, flowOrder(nodes, after, before, rankOf)]),
  );
}

function flowOrder(
  nodes: readonly string[],
  after: ReadonlyMap<string, ReadonlySet<string>>,
  before: ReadonlyMap<string, number>,
  rankOf: (node: string) => number,
): readonly string[] {
  const waits = new Map(nodes.map((node) => [node, before.get(node) ?? 0]));
  const byRank = (some: readonly string[]): readonly string[] =>
    some.toSorted((a, b) => rankOf(a) - rankOf(b));
  const sorted: string[] = [];
  // In waves: what is free now, groups first, then what became free by it.
  let free = byRank(nodes.filter((node) => waits.get(node) === 0));
  while (free.length > 0) {
    const next: string[] = [];
    for (const node of free) {
      sorted.push(node);
      for (const to of after.get(node) ?? []) {
        const left = (waits.get(to) ?? 0) - 1;
        waits.set(to, left);
        if (left === 0) next.push(to);
      }
    }
    free = byRank(next);
  }
  // Groups may depend on each other both ways though no task does: they keep the file's order.
  const done = new Set(sorted);
  return [...sorted, ...nodes.filter((node) => !done.has(node))];
}
