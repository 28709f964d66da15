import { expect, test } from "vitest";
import type { Now } from "../../../api/ui/now.ts";
import { countByTenant, slowPools } from "./sum-up.ts";

const nowMs = Date.UTC(2026, 0, 1, 12);
const now = {
  failures: [
    { tenant: "acme", still_failing: 1 },
    { tenant: "acme", still_failing: 0 },
  ],
  stuck: [{ tenant: "acme" }],
  late: [{ tenant: "globex" }],
  import_errors: [],
  sync_errors: [],
  pools: [
    { tenant: "acme", pool: "slow", oldest_wait_at: "2026-01-01T11:00:00Z" },
    { tenant: "acme", pool: "quick", oldest_wait_at: "2026-01-01T11:59:00Z" },
    { tenant: "acme", pool: "idle", oldest_wait_at: null },
  ],
} as unknown as Now;

test("only what has waited for long is slow", () => {
  expect(slowPools(now, nowMs).map(({ pool }) => pool)).toEqual(["slow"]);
});

test("what has gone well since is nothing to do", () => {
  expect([...countByTenant(now, nowMs)]).toEqual([
    ["acme", 3],
    ["globex", 1],
  ]);
});
