import { expect, test } from "vitest";
import { criticalPath } from "./critical-path.ts";

const tasks = [
  { id: "extract", downstream: ["left", "right"] },
  { id: "left", downstream: ["load"] },
  { id: "right", downstream: ["load"] },
  { id: "load", downstream: [] },
  { id: "apart", downstream: [] },
];
const timed = (id: string, start: number | null, end: number | null) => ({ id, start, end });

test("the chain goes back from the last end over the upstream that ended last, with waits between", () => {
  const path = criticalPath(
    tasks,
    [
      timed("extract", 100, 200),
      timed("left", 210, 900),
      timed("right", 210, 300),
      timed("load", 950, 1_000),
      timed("apart", 100, 990),
    ],
    50,
  );
  expect(path).toEqual([
    { id: "extract", wait: 50, run: 100 },
    { id: "left", wait: 10, run: 690 },
    { id: "load", wait: 50, run: 50 },
  ]);
});

test("a task without times is passed through to what is above it", () => {
  const path = criticalPath(
    [
      { id: "a", downstream: ["skipped"] },
      { id: "skipped", downstream: ["b"] },
      { id: "b", downstream: [] },
    ],
    [timed("a", 0, 10), timed("skipped", null, null), timed("b", 20, 30)],
    0,
  );
  expect(path.map(({ id }) => id)).toEqual(["a", "b"]);
});

test("a run in which nothing ran has none; clocks that went back give no negative time", () => {
  expect(criticalPath(tasks, [], 0)).toEqual([]);
  expect(criticalPath(tasks, [timed("extract", 100, 90)], 500)).toEqual([
    { id: "extract", wait: 0, run: 0 },
  ]);
});
