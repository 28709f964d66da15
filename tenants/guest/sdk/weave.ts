/** Turns what authors say about order (tasks and groups, before and after) into edges between tasks, and finds circles. */
import { nearest, type Place, type Problem } from "./problem.ts";

export type Thread = {
  readonly id: string;
  readonly at?: Place;
  /** Full ids of tasks or groups that it waits for. */
  readonly after: readonly { readonly id: string; readonly at?: Place }[];
};
export type Weave = {
  readonly downstream: ReadonlyMap<string, readonly string[]>;
  readonly problems: readonly Problem[];
};

/** `groupOf`: the group a task or group lies in directly. Edges of a group are those of its first or last tasks. */
export function weave(
  tasks: readonly Thread[],
  groups: readonly Thread[],
  groupOf: ReadonlyMap<string, string>,
): Weave {
  const problems: Problem[] = [];
  const inside = membersOf(tasks, groupOf);
  const known = new Set([...tasks, ...groups].map((thread) => thread.id));
  const plain: [string, string][] = [];
  const withGroups: [string, string][] = [];
  for (const thread of [...tasks, ...groups]) {
    for (const { id, at = thread.at } of thread.after) {
      if (!known.has(id)) {
        const meant = nearest(id, [...known]);
        problems.push({
          message: `"${thread.id}" waits for "${id}", but there is no such task or group`,
          ...(meant === undefined ? {} : { hint: `Did you mean "${meant}"?` }),
          ...(at === undefined ? {} : { at }),
        });
      } else if (inside.has(id) || inside.has(thread.id)) withGroups.push([id, thread.id]);
      else plain.push([id, thread.id]);
    }
  }
  const { first, last } = endsOf(inside, plain);
  const edges = new Map(tasks.map((task) => [task.id, new Set<string>()]));
  for (const [from, to] of plain) edges.get(from)?.add(to);
  for (const [from, to] of withGroups)
    for (const one of last.get(from) ?? [from])
      for (const other of first.get(to) ?? [to]) edges.get(one)?.add(other);
  const circle = findCircle(edges);
  if (circle !== undefined) {
    const at = tasks.find((task) => task.id === circle[0])?.at;
    problems.push({
      message: `the tasks go round in a circle: ${circle.join(" → ")}`,
      hint: "Take one of these dependencies away.",
      ...(at === undefined ? {} : { at }),
    });
  }
  return {
    downstream: new Map([...edges].map(([id, to]) => [id, [...to]])),
    problems,
  };
}

function membersOf(
  tasks: readonly Thread[],
  groupOf: ReadonlyMap<string, string>,
): Map<string, Set<string>> {
  const inside = new Map<string, Set<string>>();
  for (const group of groupOf.values()) inside.set(group, inside.get(group) ?? new Set());
  for (const { id } of tasks)
    for (let group = groupOf.get(id); group !== undefined; group = groupOf.get(group))
      inside.get(group)?.add(id);
  return inside;
}

/** First: nothing of the same group before it. Last: nothing of the same group after it. */
function endsOf(
  inside: ReadonlyMap<string, ReadonlySet<string>>,
  edges: readonly (readonly [string, string])[],
): { first: Map<string, string[]>; last: Map<string, string[]> } {
  const first = new Map<string, string[]>();
  const last = new Map<string, string[]>();
  for (const [group, members] of inside) {
    const within = edges.filter(([from, to]) => members.has(from) && members.has(to));
    const entered = new Set(within.map(([, to]) => to));
    const left = new Set(within.map(([from]) => from));
    first.set(
      group,
      [...members].filter((id) => !entered.has(id)),
    );
    last.set(
      group,
      [...members].filter((id) => !left.has(id)),
    );
  }
  return { first, last };
}

function findCircle(edges: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const done = new Set<string>();
  for (const start of edges.keys()) {
    const path: string[] = [];
    const onPath = new Set<string>();
    const open: { id: string; rest: Iterator<string> }[] = [];
    const enter = (id: string): void => {
      path.push(id);
      onPath.add(id);
      open.push({ id, rest: (edges.get(id) ?? new Set<string>()).values() });
    };
    if (!done.has(start)) enter(start);
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const next = top.rest.next();
      if (next.done === true) {
        done.add(top.id);
        onPath.delete(top.id);
        path.pop();
        open.pop();
      } else if (onPath.has(next.value))
        return [...path.slice(path.indexOf(next.value)), next.value];
      else if (!done.has(next.value)) enter(next.value);
    }
  }
  return undefined;
}

/** Everything that comes after a task, at any distance. */
export function allDownstream(
  downstream: ReadonlyMap<string, readonly string[]>,
  from: string,
): Set<string> {
  const seen = new Set<string>();
  const open = [...(downstream.get(from) ?? [])];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    open.push(...(downstream.get(id) ?? []));
  }
  return seen;
}

/** A branch with a group as its target goes on with the group's first tasks. */
export function firstTasks(
  target: string,
  downstream: ReadonlyMap<string, readonly string[]>,
  groupOf: ReadonlyMap<string, string>,
): string[] {
  if (downstream.has(target)) return [target];
  const members = [...downstream.keys()].filter((id) => {
    for (let group = groupOf.get(id); group !== undefined; group = groupOf.get(group))
      if (group === target) return true;
    return false;
  });
  const entered = new Set(members.flatMap((id) => downstream.get(id) ?? []));
  return members.filter((id) => !entered.has(id));
}
