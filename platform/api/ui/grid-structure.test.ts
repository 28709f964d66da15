import { expect, test } from "vitest";
import { dagSpec, groupSpec } from "../../../test/kit/dag-spec.ts";
import { type GridStructure, structureOf } from "./grid-structure.ts";

const names = ({ tree, tasks, groups }: GridStructure): readonly string[] =>
  tree.map((node) => (node >= 0 ? (tasks[node]?.id ?? "?") : `[${groups[-1 - node]?.id ?? "?"}]`));

test("tasks come in the order of the flow, groups first where it does not say", () => {
  const structure = structureOf([
    dagSpec(
      [
        { task_id: "z" },
        { task_id: "load", group: "last" },
        { task_id: "start", downstream: ["g.b", "g.a"] },
        { task_id: "g.a", group: "g", downstream: ["load"] },
        { task_id: "g.b", group: "g", downstream: ["g.a"] },
        { task_id: "free.x", group: "free" },
      ],
      { groups: ["last", "g", "free"].map((group_id) => groupSpec({ group_id })) },
    ),
  ]);
  expect(names(structure)).toEqual([
    "[free]",
    "free.x",
    "z",
    "start",
    "[g]",
    "g.b",
    "g.a",
    "[last]",
    "load",
  ]);
});

test("what only an older version had comes last in its group, and is said to be gone", () => {
  const structure = structureOf([
    dagSpec([{ task_id: "b" }, { task_id: "c" }]),
    dagSpec(
      [{ task_id: "a", downstream: ["b"] }, { task_id: "b" }, { task_id: "old.x", group: "old" }],
      {
        groups: [groupSpec({ group_id: "old" })],
      },
    ),
  ]);
  expect(names(structure)).toEqual(["[old]", "old.x", "c", "a", "b"]);
  expect(structure.tasks.filter(({ gone }) => gone).map(({ id }) => id)).toEqual(["old.x", "a"]);
});

test("tasks of mapped groups count as mapped; a group and a task may share a name", () => {
  const structure = structureOf([
    dagSpec([{ task_id: "g", group: "g" }], {
      groups: [
        groupSpec({ group_id: "outer", map: { kind: "list", sources: [] } }),
        groupSpec({ group_id: "g", parent: "outer" }),
      ],
    }),
  ]);
  expect(names(structure)).toEqual(["[outer]", "[g]", "g"]);
  expect(structure.tasks[0]).toMatchObject({ mapped: true, group: 1 });
});

test("groups that depend on each other both ways, or on a parent that is not there, are all there once", () => {
  const structure = structureOf([
    dagSpec(
      [
        { task_id: "p.a", group: "p", downstream: ["q.a"] },
        { task_id: "q.a", group: "q" },
        { task_id: "q.b", group: "q", downstream: ["p.b"] },
        { task_id: "p.b", group: "p" },
        { task_id: "lost", group: "nowhere" },
      ],
      { groups: [groupSpec({ group_id: "p", parent: "nowhere" }), groupSpec({ group_id: "q" })] },
    ),
  ]);
  expect(names(structure).toSorted()).toEqual(["[p]", "[q]", "lost", "p.a", "p.b", "q.a", "q.b"]);
});

test("a wide and deep DAG is quick to order and complete", () => {
  const count = 5_000;
  const structure = structureOf([
    dagSpec(
      Array.from({ length: count }, (_, i) => ({
        task_id: `t${String(i)}`,
        ...(i + 1 < count ? { downstream: [`t${String(i + 1)}`] } : {}),
      })),
    ),
  ]);
  expect(structure.tree).toEqual(Array.from({ length: count }, (_, i) => i));
});
