import { expect, test } from "vitest";
import { known } from "../../model/ids.ts";
import type { FailureRow } from "../../store/attention.ts";
import { groupFailures, judgeOpenTask } from "./judge-attention.ts";

const failure = (dag_id: string, minute: number, more: Partial<FailureRow> = {}): FailureRow => ({
  tenant: known.tenant("acme"),
  dag_id,
  run_id: `r${minute}`,
  task_id: "load",
  map_index: -1,
  try_number: 1,
  at: new Date(Date.UTC(2026, 0, 1, 12, minute)),
  reason: `KeyError: row ${minute}`,
  last_state: "failed",
  ...more,
});

test("failures of one cause are one group, with its DAGs, its newest and when it was first seen", () => {
  const groups = groupFailures([
    failure("b", 9, { last_state: "success" }),
    failure("a", 8),
    failure("a", 7),
  ]);
  expect(groups).toMatchObject([
    {
      fingerprint: "KeyError: row ‹n›",
      count: 3,
      dag_ids: ["a", "b"],
      still_failing: 1,
      newest: { run_id: "r9" },
      first_at: new Date("2026-01-01T12:07:00Z"),
    },
  ]);
});

test("what still fails comes before what has gone well since, then the newest", () => {
  const groups = groupFailures([
    failure("a", 9, { reason: "mended", last_state: "success" }),
    failure("b", 8, { reason: "newer" }),
    failure("c", 7, { reason: "older" }),
  ]);
  expect(groups.map((group) => group.fingerprint)).toEqual(["newer", "older", "mended"]);
});

test("one cause in two tenants is two things to do", () => {
  const other = known.tenant("globex");
  expect(groupFailures([failure("a", 2), failure("a", 1, { tenant: other })])).toHaveLength(2);
  expect(groupFailures([])).toEqual([]);
});

const now = Date.UTC(2026, 0, 1);
const task = (seconds: number, samples: number, median_s: number | null, p95_s: number | null) => ({
  state: "running" as const,
  since: new Date(now - seconds * 1_000),
  samples,
  median_s,
  p95_s,
});

test.each([
  ["as long as always", task(100, 20, 90, 110), undefined],
  ["twice as long as nearly all", task(230, 20, 90, 110), "long"],
  ["four times as long as half of them, within the usual", task(500, 20, 100, 600), undefined],
  ["four times as long as half of them, and longer than usual", task(700, 20, 100, 600), "long"],
  ["short, however many times longer", task(50, 20, 1, 1), undefined],
  ["not known yet", task(3_600, 2, 1, 1), undefined],
  ["not known yet, for a quarter of a day", task(22_000, 0, null, null), "very_long"],
  ["waits for a worker", { ...task(200, 0, null, null), state: "queued" as const }, undefined],
  [
    "waits for a worker for long",
    { ...task(400, 0, null, null), state: "queued" as const },
    "queued",
  ],
])("%s", (_name, open, verdict) => {
  expect(judgeOpenTask(open, now)).toBe(verdict);
});
