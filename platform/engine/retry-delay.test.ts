import { expect, test } from "vitest";
import { known } from "../model/ids.ts";
import { retryDelayMs } from "./retry-delay.ts";

const task = (id: string, delay: number, backoff: number, max?: number) => ({
  task_id: known.task(id),
  retry_delay_s: delay,
  retry_exponential_backoff: backoff,
  ...(max === undefined ? {} : { max_retry_delay_s: max }),
});
const seconds = (
  spec: ReturnType<typeof task>,
  dag_id: string,
  logical_date_ms: number | undefined,
): number[] =>
  Array.from(
    { length: 11 },
    (_, i) => retryDelayMs(spec, { dag_id, level: "3", logical_date_ms, try_number: i + 1 }) / 1000,
  );

// Computed with Python's hashlib by Airflow's formula.
test("exponential backoff is Airflow's, to the second", () => {
  expect(seconds(task("t", 300, 2), "d", Date.UTC(2026, 0, 1))).toEqual([
    389, 1115, 1778, 3593, 4950, 14300, 27829, 48430, 86400, 86400, 86400,
  ]);
  expect(
    seconds(task("load-x", 0.5, 2), "orders.etl", Date.UTC(2025, 11, 31, 23, 59, 59, 250)),
  ).toEqual([1, 1, 3, 7, 15, 25, 36, 68, 136, 490, 967]);
  expect(seconds(task("t", 300, 3), "d", undefined).slice(0, 6)).toEqual([
    313, 1790, 4098, 10928, 44162, 77716,
  ]);
  expect(seconds(task("t", 300, 2, 1000), "d", Date.UTC(2026, 0, 1)).slice(0, 3)).toEqual([
    389, 1000, 1000,
  ]);
});

test("without backoff the delay is constant", () => {
  expect(seconds(task("t", 7, 0), "d", undefined)).toEqual(Array.from({ length: 11 }, () => 7));
});

test("generation 1.10 hashes the next try and has no cap of a day", () => {
  const of = { dag_id: "d", level: "1.10" as const, logical_date_ms: Date.UTC(2026, 0, 1) };
  const tenth = retryDelayMs(task("t", 300, 2), { ...of, try_number: 10 });
  expect(tenth).toBeGreaterThan(86_400_000);
});

test("a huge try number is a long wait, never NaN", () => {
  const ms = retryDelayMs(task("t", 300, 2), {
    dag_id: "d",
    level: "3",
    logical_date_ms: 0,
    try_number: 5000,
  });
  expect(ms).toBe(86_400_000);
});
