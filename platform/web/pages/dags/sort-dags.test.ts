import { expect, test } from "vitest";
import { stripOf } from "../../../../test/kit/run-columns.ts";
import type { RunState } from "../../../model/states.ts";
import { factsOf } from "./query.ts";
import { sortDags } from "./sort-dags.ts";
import type { SortKey } from "./sort-keys.ts";

const nowMs = Date.UTC(2026, 10, 24, 12);
const dag = (
  dag_id: string,
  next_run_at: string | null,
  last: RunState | undefined,
  median_s: number | null,
) =>
  factsOf({
    dag_id,
    display_name: dag_id.toUpperCase(),
    is_paused: false,
    tags: [],
    owners: [],
    repository: "r",
    schedule: "s",
    next_run_at,
    max_active_runs: 1,
    running: 0,
    queued: 0,
    median_s,
    p95_s: null,
    has_import_error: false,
    runs: stripOf(
      ...(last === undefined
        ? []
        : [{ run_id: "r", state: last, after: median_s ?? 0, started: null, ended: null }]),
    ),
    may: { pause: false, trigger: false },
  });
const dags = [
  dag("c", "2026-11-24T13:00:00Z", "success", 30),
  dag("a", null, undefined, null),
  dag("b", "2026-11-24T11:00:00Z", "failed", 10),
];
const sorted = (by: SortKey | undefined, down = false, favourites: readonly string[] = []) =>
  sortDags(dags, by, down, { nowMs, favourites: new Set(favourites) })
    .map(({ dag: { dag_id } }) => dag_id)
    .join("");

test.each<[SortKey | undefined, boolean, string]>([
  [undefined, false, "abc"],
  ["name", true, "cba"],
  // The most late first, then the soonest.
  ["next", false, "bca"],
  ["next", true, "cba"],
  ["state", false, "bca"],
  ["last", false, "cba"],
  ["lasts", false, "cba"],
  ["lasts", true, "bca"],
])("by %s, down %s: %s", (by, down, order) => {
  expect(sorted(by, down)).toBe(order);
});

test("favourites come first unless another order is asked for", () => {
  expect(sorted(undefined, false, ["c"])).toBe("cab");
  expect(sorted("name", false, ["c"])).toBe("abc");
});
