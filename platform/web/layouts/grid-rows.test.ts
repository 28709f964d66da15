import { describe, expect, test } from "vitest";
import {
  hitTest,
  moveOf,
  readFolded,
  rowsOf,
  type Shape,
  scrollTo,
  windowOf,
  writeFolded,
} from "./grid-rows.ts";

const task = (id: string, group: number) => ({
  id,
  name: null,
  operator: "PythonOperator",
  group,
  mapped: false,
  gone: false,
});
const shape: Shape = {
  tasks: [task("start", -1), task("g.a", 0), task("g.in.x", 1), task("g.in.y", 1), task("end", -1)],
  groups: [
    { id: "g", parent: -1, tooltip: null, mapped: false },
    { id: "g.in", parent: 0, tooltip: null, mapped: false },
  ],
  tree: [0, -1, 1, -2, 2, 3, 4],
};
const said = (folded: readonly string[], words = ""): readonly string[] =>
  rowsOf(shape, new Set(folded), words).map(({ label, depth }) => `${" ".repeat(depth)}${label}`);

describe("rows", () => {
  test("groups and what is in them, names without what the group says already", () => {
    expect(said([])).toEqual(["start", "g", " a", " in", "  x", "  y", "end"]);
  });
  test("a folded group stands for its tasks", () => {
    expect(said(["g.in"])).toEqual(["start", "g", " a", " in", "end"]);
    expect(said(["g"])).toEqual(["start", "g", "end"]);
    expect(rowsOf(shape, new Set(["g"]))[1]).toMatchObject({ from: 1, to: 4, folded: true });
  });
  test("what is looked for is shown with its groups, whatever is folded", () => {
    expect(said(["g"], "IN x")).toEqual(["g", " in", "  x"]);
    expect(said([], "nowhere")).toEqual([]);
  });
});

test("what is folded goes through an address and back", () => {
  const all = ["a", "b", "c", "d"];
  for (const folded of [[], ["a"], ["a", "b", "c"], all])
    expect(readFolded(writeFolded(new Set(folded), all), all)).toEqual(new Set(folded));
  expect(writeFolded(new Set(all), all)).toBe("*");
});

const geometry = { labels: 100, head: 50, row: 20, column: 10 };
const view = { width: 300, height: 250, left: 0, top: 0 };

test("the window holds what is seen, whole or in part, and never more than there is", () => {
  expect(windowOf(geometry, { ...view, top: 30 }, 5_000, 50)).toEqual({
    firstRow: 1,
    endRow: 12,
    firstColumn: 0,
    endColumn: 20,
  });
  expect(windowOf(geometry, { ...view, top: 1e9, left: -5 }, 3, 2)).toEqual({
    firstRow: 3,
    endRow: 3,
    firstColumn: 0,
    endColumn: 2,
  });
  expect(windowOf(geometry, { ...view, width: 0, height: 0 }, 3, 2).endColumn).toBe(0);
});

test("under a point is a cell, a name, a run's head, or nothing", () => {
  const at = (x: number, y: number) => hitTest(geometry, { ...view, top: 20 }, 5, 3, x, y);
  expect(at(105, 55)).toEqual({ row: 1, column: 0 });
  expect(at(5, 55)).toEqual({ row: 1, column: -1 });
  expect(at(125, 5)).toEqual({ row: -1, column: 2 });
  for (const [x, y] of [
    [5, 5],
    [135, 55],
    [105, 200],
    [-1, 60],
    [400, 60],
  ] as const)
    expect(at(x, y)).toBeUndefined();
});

test("keys lead to the edges and not beyond", () => {
  const from = { row: 0, column: 0 };
  expect(moveOf("ArrowUp", false, from, 5, 3, 2)).toEqual({ row: -1, column: 0 });
  expect(moveOf("ArrowLeft", false, from, 5, 3, 2)).toEqual({ row: 0, column: -1 });
  expect(moveOf("PageDown", false, from, 5, 3, 10)).toEqual({ row: 4, column: 0 });
  expect(moveOf("End", false, from, 5, 3, 2)).toEqual({ row: 0, column: 2 });
  expect(moveOf("End", true, from, 5, 3, 2)).toEqual({ row: 4, column: 0 });
  expect(moveOf("ArrowUp", false, { row: 0, column: -1 }, 5, 3, 2)).toEqual({ row: 0, column: -1 });
  expect(moveOf("x", false, from, 5, 3, 2)).toBeUndefined();
});

test("what the keys are on is scrolled into sight, and no further", () => {
  expect(scrollTo(geometry, view, { row: 9, column: 5 })).toEqual({ left: 0, top: 0 });
  expect(scrollTo(geometry, view, { row: 10, column: 25 })).toEqual({ left: 60, top: 20 });
  expect(scrollTo(geometry, { ...view, top: 400 }, { row: 3, column: -1 })).toEqual({
    left: 0,
    top: 60,
  });
});
