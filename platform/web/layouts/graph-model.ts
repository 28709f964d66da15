/**
 * What the graph shows of a DAG, as plain data: the union of two versions, groups folded into one box with their
 * edges led to it, and only so much around a task as is asked for. Positions are given elsewhere.
 */

export type ModelTask = {
  readonly id: string;
  readonly name: string;
  readonly group: string | null;
  /** Ids. */
  readonly downstream: readonly string[];
};
export type ModelGroup = {
  readonly id: string;
  readonly label: string;
  readonly parent: string | null;
};
export type Model<T extends ModelTask = ModelTask> = {
  readonly groups: readonly ModelGroup[];
  readonly tasks: readonly T[];
};

export type Change = "added" | "removed" | "changed" | "same";

export type ShownNode =
  | { readonly kind: "task"; readonly id: string; readonly parent: string | null }
  /** An open group: a box around its nodes. */
  | { readonly kind: "box"; readonly id: string; readonly parent: string | null }
  /** A folded group, in the place of all tasks within. */
  | {
      readonly kind: "folded";
      readonly id: string;
      readonly parent: string | null;
      readonly tasks: readonly string[];
    };
export type ShownEdge = {
  /** Ids of nodes: a task's or a folded group's. */
  readonly from: string;
  readonly to: string;
  /** How many edges between tasks it stands for. */
  readonly count: number;
  readonly change: Change;
};
export type Shown = { readonly nodes: readonly ShownNode[]; readonly edges: readonly ShownEdge[] };

/** Ids of tasks and of groups may be equal in a hostile file: nodes have names of their own. */
export const taskNode = (id: string): string => `t:${id}`;
export const groupNode = (id: string): string => `g:${id}`;
export const idOfNode = (node: string): string => node.slice(2);

/** Groups from the inside out. */
export function groupsAround(model: Model, group: string | null): readonly string[] {
  const parents = new Map(model.groups.map(({ id, parent }) => [id, parent]));
  const around: string[] = [];
  let at = group;
  while (at !== null && parents.has(at) && !around.includes(at)) {
    around.push(at);
    at = parents.get(at) ?? null;
  }
  return around;
}

export function showGraph(
  model: Model,
  folded: ReadonlySet<string>,
  {
    only,
    edgeChange = () => "same",
  }: {
    /** Of the tasks only these. */
    readonly only?: ReadonlySet<string> | undefined;
    readonly edgeChange?: (from: string, to: string) => Change;
  } = {},
): Shown {
  const parents = new Map(model.groups.map(({ id, parent }) => [id, parent]));
  const chains = new Map<string, readonly string[]>();
  const chainOf = (group: string | null): readonly string[] => {
    if (group === null) return [];
    const kept = chains.get(group);
    if (kept !== undefined) return kept;
    const chain = groupsAround(model, group);
    chains.set(group, chain);
    return chain;
  };
  /** The node that stands for each task: itself, or the outermost folded group around it. */
  const placeOf = new Map<string, string>();
  const inside = new Map<string, string[]>();
  const nodes: ShownNode[] = [];
  const boxes = new Set<string>();
  const parentOf = (group: string | null): string | null =>
    group !== null && parents.has(group) ? groupNode(group) : null;
  for (const { id, group } of model.tasks) {
    if (only !== undefined && !only.has(id)) continue;
    const chain = chainOf(group);
    const outer = chain.findLast((one) => folded.has(one));
    const open = outer === undefined ? chain : chain.slice(chain.indexOf(outer) + 1);
    for (const one of open) boxes.add(one);
    if (outer === undefined) {
      placeOf.set(id, taskNode(id));
      nodes.push({ kind: "task", id: taskNode(id), parent: parentOf(group) });
      continue;
    }
    placeOf.set(id, groupNode(outer));
    const tasks = inside.get(outer);
    if (tasks !== undefined) tasks.push(id);
    else {
      const first = [id];
      inside.set(outer, first);
      nodes.push({
        kind: "folded",
        id: groupNode(outer),
        parent: parentOf(parents.get(outer) ?? null),
        tasks: first,
      });
    }
  }
  for (const id of boxes)
    nodes.push({ kind: "box", id: groupNode(id), parent: parentOf(parents.get(id) ?? null) });

  const edges = new Map<string, { from: string; to: string; count: number; change: Change }>();
  for (const { id, downstream } of model.tasks) {
    const from = placeOf.get(id);
    if (from === undefined) continue;
    for (const below of downstream) {
      const to = placeOf.get(below);
      if (to === undefined || to === from) continue;
      const change = edgeChange(id, below);
      const before = edges.get(`${from}\n${to}`);
      if (before === undefined) edges.set(`${from}\n${to}`, { from, to, count: 1, change });
      else {
        before.count += 1;
        // One that stands for several is only new, or gone, if all of them are.
        if (before.change !== change) before.change = "changed";
      }
    }
  }
  return { nodes, edges: [...edges.values()] };
}

/** Tasks that are so many steps up or down from this one, itself with them. */
export function neighbourhood(model: Model, task: string, steps: number): ReadonlySet<string> {
  const below = new Map(model.tasks.map(({ id, downstream }) => [id, downstream]));
  const above = new Map<string, string[]>();
  for (const { id, downstream } of model.tasks)
    for (const to of downstream) {
      const list = above.get(to);
      if (list === undefined) above.set(to, [id]);
      else list.push(id);
    }
  if (!below.has(task)) return new Set();
  const found = new Set([task]);
  for (const edges of [below, above] as readonly ReadonlyMap<string, readonly string[]>[]) {
    let edge: readonly string[] = [task];
    const seen = new Set(edge);
    for (let step = 0; step < steps && edge.length > 0; step++) {
      const next: string[] = [];
      for (const at of edge)
        for (const to of edges.get(at) ?? [])
          if (!seen.has(to) && below.has(to)) {
            seen.add(to);
            next.push(to);
          }
      edge = next;
    }
    for (const id of seen) found.add(id);
  }
  return found;
}

/** Both versions in one picture: what is gone stays, where it was. Of what is in both, the later tells. */
export function unite<T extends ModelTask>(before: Model<T>, after: Model<T>): Model<T> {
  const now = new Set(after.tasks.map(({ id }) => id));
  const groups = new Set(after.groups.map(({ id }) => id));
  const was = new Map(before.tasks.map((task) => [task.id, task]));
  return {
    groups: [...after.groups, ...before.groups.filter(({ id }) => !groups.has(id))],
    tasks: [
      ...after.tasks.map((task) => ({
        ...task,
        downstream: [...new Set([...task.downstream, ...(was.get(task.id)?.downstream ?? [])])],
      })),
      ...before.tasks.filter(({ id }) => !now.has(id)),
    ],
  };
}

const foldedFrom = 150;

/** How a DAG's groups stand before anybody touched them: all folded when open they would show too much at once. */
export const foldedAtFirst = (model: Model): ReadonlySet<string> =>
  new Set(model.tasks.length > foldedFrom ? model.groups.map(({ id }) => id) : []);

/** Nodes by how far the longest way to them is: what an arrow across an edge's direction moves along. */
export function ranksOf(shown: Shown): ReadonlyMap<string, number> {
  const open = new Map<string, number>();
  const below = new Map<string, string[]>();
  for (const { id, kind } of shown.nodes) if (kind !== "box") open.set(id, 0);
  for (const { from, to } of shown.edges) {
    open.set(to, (open.get(to) ?? 0) + 1);
    const list = below.get(from);
    if (list === undefined) below.set(from, [to]);
    else list.push(to);
  }
  const ranks = new Map<string, number>();
  let edge = [...open].flatMap(([id, count]) => (count === 0 ? [id] : []));
  for (let rank = 0; edge.length > 0; rank++) {
    const next: string[] = [];
    for (const id of edge) {
      ranks.set(id, rank);
      for (const to of below.get(id) ?? []) {
        const left = (open.get(to) ?? 0) - 1;
        open.set(to, left);
        if (left === 0) next.push(to);
      }
    }
    edge = next;
  }
  // Folded groups may stand in a circle (a → g → b → g's other task): those have no rank of their own.
  for (const id of open.keys()) if (!ranks.has(id)) ranks.set(id, 0);
  return ranks;
}
