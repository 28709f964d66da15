/** A run as bytes, and how long it is remembered. */
import { expect, test } from "vitest";
import { codeOfState } from "../../model/grid-matrix.ts";
import { type Column, columnOf, openColumns, planesOf } from "./grid-columns.ts";

const places = new Map([
  ["a", 0],
  ["b", 1],
  ["c", 2],
]);

test("a line is a byte; of many instances the one to look at first stands, and all are counted", () => {
  const { states, counts } = columnOf(
    "a success\nb success\nb failed\nb success\ngone failed\nc ",
    places,
    false,
  );
  expect([...states]).toEqual([codeOfState("success"), codeOfState("failed"), codeOfState(null)]);
  expect([...counts.keys()]).toEqual([1]);
  expect(counts.get(1)).toEqual(
    new Map([
      [codeOfState("success"), 2],
      [codeOfState("failed"), 1],
    ]),
  );
  expect([...columnOf("", places, false).states]).toEqual([0, 0, 0]);
});

test("times go from the first that began to the last that ended; what is unknown is no number", () => {
  const { ran, waited } = columnOf(
    "a success 1000 3000 8000\nb success 1000 2000 3000\nb success 1500 2500 9000\nc running 1000 4000 ",
    places,
    true,
  );
  expect([...(ran ?? [])]).toEqual([5, 7, Number.NaN]);
  expect([...(waited ?? [])]).toEqual([2, 1, 3]);
  // Clocks of two machines may differ: no negative time is shown.
  expect(columnOf("a success 5000 3000 1000", places, true).ran?.[0]).toBeNaN();
});

test("columns lie side by side, and their counts with them", () => {
  const one = columnOf("b success\nb failed", places, false);
  const { states, counts } = planesOf([columnOf("a success", places, false), one], 3, false);
  expect([...states]).toEqual([codeOfState("success"), 0, 0, 0, codeOfState("failed"), 0]);
  expect([...counts.keys()]).toEqual([4]);
});

const second = 1_000;
const start = 1_000_000_000;
const ended = (
  run: string,
  more: Partial<{ state: string; changed: string | null; ended_at: Date | null }> = {},
) => ({ run, state: "success", changed: "7", ended_at: new Date(start - 60 * second), ...more });
const columnOfSize = (size: number): Column => ({
  states: new Uint8Array(size),
  counts: new Map(),
  ran: undefined,
  waited: undefined,
});

test("a run that is over is remembered until it is cleared or marked, or its structure is another", () => {
  const columns = openColumns({ now: () => start });
  const column = columnOfSize(10);
  columns.set("s", ended("1"), false, column);
  expect(columns.get("s", ended("1"), false)).toBe(column);
  // A change that came after it ended is one that the feed has: read again.
  expect(columns.get("s", ended("1", { changed: "8" }), false)).toBeUndefined();
  expect(columns.get("s", ended("1", { state: "failed" }), false)).toBeUndefined();
  expect(columns.get("other", ended("1"), false)).toBeUndefined();
  expect(columns.get("s", ended("2"), false)).toBeUndefined();
  // Without times it cannot answer with them.
  expect(columns.get("s", ended("1"), true)).toBeUndefined();
});

test.each([
  ["is running", { state: "running", ended_at: null }],
  ["is running again, with the end of before", { state: "running" }],
  ["ended a moment ago", { ended_at: new Date(start - 2 * second) }],
])("a run that %s is not remembered", (_, more) => {
  const columns = openColumns({ now: () => start });
  columns.set("s", ended("1", more), false, columnOfSize(10));
  expect(columns.get("s", ended("1", more), false)).toBeUndefined();
});

test("it forgets by age before the feed does", () => {
  let now = start;
  const columns = openColumns({ lifeMs: 60 * second, now: () => now });
  columns.set("s", ended("1"), false, columnOfSize(10));
  now += 60 * second;
  expect(columns.get("s", ended("1"), false)).toBeDefined();
  now += 1;
  expect(columns.get("s", ended("1"), false)).toBeUndefined();
});

test("it holds no more bytes than it may, and lets go of the oldest first", () => {
  const columns = openColumns({ bytesMax: 3_000, now: () => start });
  for (const run of ["1", "2", "3", "4"]) columns.set("s", ended(run), false, columnOfSize(800));
  const held = (): string[] =>
    ["1", "2", "3", "4"].filter((run) => columns.get("s", ended(run), false) !== undefined);
  expect(held()).toEqual(["2", "3", "4"]);
  // The same one twice is one.
  for (let again = 0; again < 5; again += 1) columns.set("s", ended("4"), false, columnOfSize(800));
  expect(held()).toEqual(["2", "3", "4"]);
  columns.set("s", ended("1"), false, columnOfSize(5_000));
  expect(held()).toEqual([]);
});
