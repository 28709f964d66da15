import { expect, test } from "vitest";
import { packRuns, percentiles, type StripRun, unpackRuns } from "./run-strip.ts";

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
  expect(unpackRuns(packRuns(runs))).toEqual(runs);
  expect(unpackRuns(JSON.parse(JSON.stringify(packRuns(runs))) as never)).toEqual(runs);
});

test("an hourly DAG's ids cost a few letters each", () => {
  const runs = ["07", "06", "05"].map((hour) =>
    run(`scheduled__2026-11-24T${hour}:00:00+00:00`, 1),
  );
  expect(packRuns(runs).ids).toBe("0.0.scheduled__2026-11-24T07:00:00+00:00 23.12.6 23.12.5");
});

test("percentiles lie between neighbours", () => {
  expect(percentiles([], [0.5])).toEqual([null]);
  expect(percentiles([7], [0.95])).toEqual([7]);
  expect(percentiles([30, 1, 2], [0, 0.5, 1])).toEqual([1, 2, 30]);
  expect(percentiles([1, 2, 3, 4], [0.5])).toEqual([2.5]);
  expect(percentiles([0, 100], [0.95])).toEqual([95]);
});
