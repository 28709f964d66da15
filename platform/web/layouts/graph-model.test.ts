import fc from "fast-check";
import { expect, test } from "vitest";
import {
  foldedAtFirst,
  type Model,
  neighbourhood,
  ranksOf,
  showGraph,
  unite,
} from "./graph-model.ts";

const task = (id: string, downstream: string[] = [], group: string | null = null) => ({
  id,
  name: id,
  group,
  downstream,
});
const model: Model = {
  groups: [
    { id: "g", label: "g", parent: null },
    { id: "g.in", label: "in", parent: "g" },
  ],
  tasks: [
    task("start", ["g.a", "g.in.b"]),
    task("g.a", ["g.in.b", "end"], "g"),
    task("g.in.b", ["g.in.c"], "g.in"),
    task("g.in.c", ["end"], "g.in"),
    task("end"),
  ],
};

test("open groups are boxes, in each other as the file has them", () => {
  const { nodes, edges } = showGraph(model, new Set());
  expect(nodes).toContainEqual({ kind: "task", id: "t:g.in.b", parent: "g:g.in" });
  expect(nodes).toContainEqual({ kind: "box", id: "g:g.in", parent: "g:g" });
  expect(nodes).toContainEqual({ kind: "box", id: "g:g", parent: null });
  expect(edges).toHaveLength(6);
});

test("a folded group takes the edges of its tasks, and those within it are gone", () => {
  const { nodes, edges } = showGraph(model, new Set(["g"]));
  expect(nodes.map(({ id }) => id).toSorted()).toEqual(["g:g", "t:end", "t:start"]);
  expect(nodes).toContainEqual({
    kind: "folded",
    id: "g:g",
    parent: null,
    tasks: ["g.a", "g.in.b", "g.in.c"],
  });
  expect(edges).toEqual([
    { from: "t:start", to: "g:g", count: 2, change: "same" },
    { from: "g:g", to: "t:end", count: 2, change: "same" },
  ]);
  const inner = showGraph(model, new Set(["g.in"]));
  expect(inner.nodes).toContainEqual({
    kind: "folded",
    id: "g:g.in",
    parent: "g:g",
    tasks: ["g.in.b", "g.in.c"],
  });
});

test("whatever is folded: every task is somewhere once, and no edge leads to what is not shown", () => {
  const groups = ["a", "b", "c", "d"];
  const random = fc.record({
    parents: fc.array(fc.constantFrom(null, ...groups), { minLength: 4, maxLength: 4 }),
    tasks: fc.array(
      fc.tuple(fc.constantFrom(null, ...groups, "unknown"), fc.array(fc.nat(19), { maxLength: 4 })),
      { maxLength: 20 },
    ),
    folded: fc.subarray(groups),
  });
  fc.assert(
    fc.property(random, ({ parents, tasks, folded }) => {
      // A parent always comes before: no circles, as the reader of specs sees to.
      const made: Model = {
        groups: groups.map((id, at) => ({
          id,
          label: id,
          parent: groups.slice(0, at).find((one) => one === parents[at]) ?? null,
        })),
        tasks: tasks.map(([group, below], at) =>
          task(String(at), below.filter((to) => to > at && to < tasks.length).map(String), group),
        ),
      };
      const { nodes, edges } = showGraph(made, new Set(folded));
      const held = nodes.flatMap((node) =>
        node.kind === "task" ? [node.id.slice(2)] : node.kind === "folded" ? node.tasks : [],
      );
      expect(held.toSorted()).toEqual(made.tasks.map(({ id }) => id).toSorted());
      const ends = new Set(nodes.filter(({ kind }) => kind !== "box").map(({ id }) => id));
      for (const { from, to } of edges)
        expect([ends.has(from), ends.has(to), from !== to]).toEqual([true, true, true]);
      const ids = new Set(nodes.map(({ id }) => id));
      for (const { parent } of nodes) expect(parent === null || ids.has(parent)).toBe(true);
      expect(ranksOf({ nodes, edges }).size).toBe(ends.size);
    }),
  );
});

test("the union keeps what is gone, with the edges it had", () => {
  const before: Model = { groups: [], tasks: [task("a", ["b"]), task("b", ["c"]), task("c")] };
  const after: Model = { groups: [], tasks: [task("a", ["c"]), task("c")] };
  const both = unite(before, after);
  expect(both.tasks.map(({ id, downstream }) => [id, downstream])).toEqual([
    ["a", ["c", "b"]],
    ["c", []],
    ["b", ["c"]],
  ]);
  const changes = showGraph(both, new Set(), {
    edgeChange: (from, to) => (from === "a" && to === "c" ? "added" : "removed"),
  });
  expect(changes.edges.map(({ from, to, change }) => [from, to, change])).toEqual([
    ["t:a", "t:c", "added"],
    ["t:a", "t:b", "removed"],
    ["t:b", "t:c", "removed"],
  ]);
});

test("a neighbourhood goes so many steps up and so many down, and not sideways", () => {
  expect([...neighbourhood(model, "g.in.b", 1)].toSorted()).toEqual([
    "g.a",
    "g.in.b",
    "g.in.c",
    "start",
  ]);
  expect(neighbourhood(model, "nothing", 3).size).toBe(0);
  const only = showGraph(model, new Set(), { only: new Set(["start", "g.a"]) });
  expect(only.nodes.map(({ id }) => id)).toEqual(["t:start", "t:g.a", "g:g"]);
  expect(only.edges).toHaveLength(1);
});

test("few tasks start open, many folded", () => {
  expect(foldedAtFirst(model).size).toBe(0);
  const many = { ...model, tasks: Array.from({ length: 5_000 }, (_, at) => task(String(at))) };
  expect([...foldedAtFirst(many)]).toEqual(["g", "g.in"]);
});
