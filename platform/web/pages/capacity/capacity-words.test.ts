import { expect, test } from "vitest";
import type { Capacity, Usage } from "../../../api/ui/capacity.ts";
import { blockWords, free, holderWords } from "./block-words.ts";
import { amount, sumUsage, totalOf, usageCsv } from "./usage.ts";

const row = (day: string, dag_id: string, cpu_s: number): Usage["rows"][number] => ({
  day,
  dag_id,
  cpu_s,
  tries: 1,
  unmeasured: 0,
  run_s: 2,
  gb_s: 0.5,
});
const usage: Usage = {
  zone: "UTC",
  today: "2026-11-24",
  rows: [
    row("2026-11-24", "b", 3),
    row("2026-11-24", "a", 3),
    row("2026-11-23", "a", 4),
    row("2026-11-23", "=cmd()", 1),
  ],
};

test("usage is summed per DAG, of today or of the week, the largest first", () => {
  expect(sumUsage(usage, "today", "cpu").map(({ dag_id }) => dag_id)).toEqual(["a", "b"]);
  const week = sumUsage(usage, "week", "cpu");
  expect(week.map(({ dag_id, cpu_s, tries }) => [dag_id, cpu_s, tries])).toEqual([
    ["a", 7, 2],
    ["b", 3, 1],
    ["=cmd()", 1, 1],
  ]);
  expect(sumUsage(usage, "week", "tries")[0]?.dag_id).toBe("a");
  expect(totalOf(week)).toMatchObject({ cpu_s: 11, tries: 4, run_s: 8 });
});

test("the file has a row per day and DAG, and no formula", () => {
  const lines = usageCsv(usage).trimEnd().split("\r\n");
  expect(lines).toHaveLength(5);
  expect(lines[1]).toBe("2026-11-24,b,1,0,2.000,3.000,0.500");
  expect(lines[4]).toContain(",'=cmd(),");
});

test("amounts have the digits that tell something", () => {
  expect([amount(0.0421), amount(12.345), amount(1234.5)]).toEqual(["0.042", "12.3", "1,235"]);
});

const facts = {
  tenant: { max_running: 64 } as Capacity["tenant"],
  pools: [
    {
      pool: "db",
      slots: 4,
      taken_slots: 3,
      deferred_slots: 1,
      include_deferred: true,
      holders: [
        { dag_id: "orders", running: 2, slots: 2 },
        { dag_id: null, running: 1, slots: 1 },
      ],
    } as unknown as Capacity["pools"][number],
  ],
};

test("who waits is told for what, and for whom", () => {
  const pool = { dag_id: "stock", by: { kind: "pool", pool: "db" } } as const;
  expect(blockWords(pool, facts)).toBe("the pool db has 0 of 4 slots free");
  expect(holderWords(pool, facts)).toBe("orders 2, others 1");
  const run = { dag_id: "stock", by: { kind: "run_tasks", max: 16 } } as const;
  expect(blockWords(run, facts)).toContain("16 running");
  expect(holderWords(run, facts)).toBe("stock");
  expect(free(facts.pools[0] as Capacity["pools"][number])).toBe(0);
});
