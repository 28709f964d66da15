import { expect, test } from "vitest";
import { stripOf } from "../../test/kit/run-columns.ts";
import { durationsOf, percentiles, type StripRun, unpackRuns } from "./run-strip.ts";

const run = (run_id: string, after: number, more: Partial<StripRun> = {}): StripRun => ({
  run_id,
  state: "success",
  after,
  started: after + 1.25,
  ended: after + 61.5,
  ...more,
});

test.each<[string, readonly StripRun[]]>([
  ["nothing", []],
  ["one", [run("manual__x", 1_790_000_000)]],
  [
    "the scheduler's ids",
    [
      run("scheduled__2026-11-24T07:00:00+00:00", 1_790_003_600, { state: "running", ended: null }),
      run("scheduled__2026-11-24T06:00:00+00:00", 1_790_000_000),
      run("scheduled__2026-11-24T05:00:00+00:00", 1_789_996_400.5, { state: "failed" }),
    ],
  ],
  [
    "one that begins or ends as its neighbour does, and one that is the same",
    [run("aa", 30), run("aaa", 20), run("a", 10), run("a", 5)],
  ],
  [
    "ids with points and numbers, beyond the plane, with marks",
    [run("1.2.3", 40), run("1.2.4", 35), run("😀\u202Ex", 30), run("😁\u202Ex", 20)],
  ],
  ["waiting ones", [run("b", 20, { state: "queued", started: null, ended: null }), run("a", 10)]],
])("packed and unpacked they are as before: %s", (_name, runs) => {
  const packed = stripOf(...runs);
  expect(unpackRuns(packed)).toEqual(runs);
  expect(unpackRuns(JSON.parse(JSON.stringify(packed)) as never)).toEqual(runs);
});

test("an hourly DAG's ids cost a few letters each", () => {
  const runs = ["07", "06", "05"].map((hour) =>
    run(`scheduled__2026-11-24T${hour}:00:00+00:00`, 1),
  );
  expect(stripOf(...runs).ids).toEqual(["scheduled__2026-11-24T0", ":00:00+00:00", "7 6 5"]);
});

test("only what has ended has a duration", () => {
  const runs = [
    run("c", 30, { state: "running", ended: null }),
    run("b", 20),
    run("a", 10, { ended: 11.25 }),
  ];
  expect(durationsOf(stripOf(...runs))).toEqual([60.25, 0]);
});

test("a clock that was set back between start and end makes no time negative", () => {
  const runs = [run("a", 10, { started: 9.5, ended: 9 })];
  expect(unpackRuns(stripOf(...runs))).toEqual([{ ...runs[0], started: 10, ended: 10 }]);
});

test("percentiles lie between neighbours", () => {
  expect(percentiles([], [0.5])).toEqual([null]);
  expect(percentiles([7], [0.95])).toEqual([7]);
  expect(percentiles([30, 1, 2], [0, 0.5, 1])).toEqual([1, 2, 30]);
  expect(percentiles([1, 2, 3, 4], [0.5])).toEqual([2.5]);
  expect(percentiles([0, 100], [0.95])).toEqual([95]);
});
