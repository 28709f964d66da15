import { expect, test } from "vitest";
import { minutes, rowsOf, runsPerMinute } from "./due-layout.ts";

const from = Date.UTC(2026, 0, 1, 12);
const at = (minute: number): string => new Date(from + minute * 60_000).toISOString();
const dag = (dag_id: string, ...times: readonly number[]) => ({
  tenant: "acme",
  dag_id,
  display_name: dag_id,
  times: times.map(at),
});
const due = [dag("b", 10, 20), dag("a", -1, 0.5, 61), dag("gone", -5), dag("c", 10.2)];

test("each minute has the runs that come in it; what is outside of the hour is not on the line", () => {
  const counts = runsPerMinute(due, from);
  expect(counts).toHaveLength(minutes);
  expect(counts[0]).toBe(1);
  expect(counts[10]).toBe(2);
  expect(counts[20]).toBe(1);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(4);
  expect(runsPerMinute([], from)).toHaveLength(minutes);
});

test("the soonest first, without what has passed", () => {
  expect(rowsOf(due, from).map(({ dag_id, more }) => [dag_id, more])).toEqual([
    ["a", 1],
    ["b", 1],
    ["c", 0],
  ]);
});
