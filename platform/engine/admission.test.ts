import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type AdmissionLimits,
  admit,
  byTurn,
  type InUse,
  priorityOf,
  taskKey,
  type Waiting,
} from "./admission.ts";

const nothing: InUse = {
  tenant: 0,
  pools: new Map(),
  dags: new Map(),
  runs: new Map(),
  tasks: new Map(),
  runTasks: new Map(),
};
const limits: AdmissionLimits = { tenant: 100, pools: new Map([["default_pool", 128]]) };
const waiting = (id: string, more: Partial<Waiting> = {}): Waiting => ({
  id,
  dag_id: "d",
  run: "r",
  task_id: id,
  map_index: -1,
  logical_date_ms: 0,
  priority_weight: 1,
  pool: "default_pool",
  pool_slots: 1,
  level: "3",
  max_active_tasks: 16,
  ...more,
});
const held = (answer: ReturnType<typeof admit>): string[] =>
  answer.held.map((one) => `${one.id} ${one.by}`);

test("the order is weight, then logical date, then map index; runs without a date come last", () => {
  const answer = admit({
    waiting: [
      waiting("none", { logical_date_ms: undefined }),
      waiting("late", { logical_date_ms: 2 }),
      waiting("third", { logical_date_ms: 1, map_index: 3 }),
      waiting("second", { logical_date_ms: 1, map_index: 2 }),
      waiting("heavy", { priority_weight: 5, logical_date_ms: 9 }),
    ],
    inUse: nothing,
    limits,
  });
  expect(answer.admitted).toEqual(["heavy", "second", "third", "late", "none"]);
});

test("a pool admits as many slots as it has; what is too big now lets smaller ones pass", () => {
  const answer = admit({
    waiting: [
      waiting("big", { pool: "p", pool_slots: 3, priority_weight: 9 }),
      waiting("small", { pool: "p", pool_slots: 1 }),
      waiting("huge", { pool: "p", pool_slots: 9 }),
      waiting("lost", { pool: "nowhere" }),
      waiting("free", { pool: "endless", pool_slots: 1000 }),
    ],
    inUse: { ...nothing, pools: new Map([["p", 2]]) },
    limits: {
      tenant: 100,
      pools: new Map([
        ["p", 4],
        ["endless", -1],
      ]),
    },
  });
  expect(answer.admitted).toEqual(["free", "small"]);
  expect(held(answer).toSorted()).toEqual([
    "big pool_full",
    "huge pool_too_small",
    "lost no_such_pool",
  ]);
});

test("max_active_tasks counts per DAG before generation 3, per run since", () => {
  const two = (level: Waiting["level"]) =>
    admit({
      waiting: ["a", "b"].map((id) => waiting(id, { level, run: id, max_active_tasks: 1 })),
      inUse: nothing,
      limits,
    }).admitted;
  expect(two("2")).toEqual(["a"]);
  expect(two("1.10")).toEqual(["a"]);
  expect(two("3")).toEqual(["a", "b"]);
});

test("a task's own limits count across runs, or within one", () => {
  const of = (more: Partial<Waiting>) =>
    held(
      admit({
        waiting: [
          waiting("x", { task_id: "t", run: "r1", ...more }),
          waiting("y", { task_id: "t", run: "r2", ...more }),
        ],
        inUse: {
          ...nothing,
          tasks: new Map([[taskKey("d", "t"), 1]]),
          runTasks: new Map([[taskKey("r1", "t"), 1]]),
        },
        limits,
      }),
    );
  expect(of({ max_active_tis_per_dag: 2 })).toEqual(["y max_active_tis_per_dag"]);
  expect(of({ max_active_tis_per_dagrun: 1 })).toEqual(["x max_active_tis_per_dagrun"]);
});

test("the tenant's quota bounds everything", () => {
  const answer = admit({
    waiting: ["a", "b", "c"].map((id) => waiting(id)),
    inUse: { ...nothing, tenant: 3 },
    limits: { ...limits, tenant: 5 },
  });
  expect(answer.admitted).toEqual(["a", "b"]);
  expect(held(answer)).toEqual(["c tenant_quota"]);
});

test("no limit is ever passed, and nothing that would still fit is held back", () => {
  const drawn = fc.array(
    fc.record({
      pool: fc.constantFrom("p", "q", "endless", "nowhere"),
      pool_slots: fc.integer({ min: 1, max: 5 }),
      run: fc.constantFrom("r1", "r2"),
      task_id: fc.constantFrom("t1", "t2"),
      priority_weight: fc.nat(3),
      level: fc.constantFrom("2" as const, "3" as const),
      max_active_tis_per_dag: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
      max_active_tasks: fc.integer({ min: 1, max: 6 }),
    }),
    { maxLength: 25 },
  );
  const pools = new Map([
    ["p", 4],
    ["q", 7],
    ["endless", -1],
  ]);
  fc.assert(
    fc.property(drawn, fc.nat(12), (sketches, tenant) => {
      const all = sketches.map((sketch, i) => waiting(`i${i}`, sketch));
      const answer = admit({ waiting: all, inUse: nothing, limits: { tenant, pools } });
      const got = all.filter((one) => answer.admitted.includes(one.id));
      expect(answer.admitted.length + answer.held.length).toBe(all.length);
      expect(got.length).toBeLessThanOrEqual(tenant);
      for (const pool of ["p", "q"])
        expect(sum(got.filter((one) => one.pool === pool))).toBeLessThanOrEqual(
          pools.get(pool) ?? 0,
        );
      expect(answer.admitted).toEqual(got.toSorted(byTurn).map((one) => one.id));
      for (const one of all.filter((w) => !answer.admitted.includes(w.id))) {
        const slots = pools.get(one.pool) ?? 0;
        const full =
          got.length >= tenant ||
          (slots >= 0 && sum(got.filter((g) => g.pool === one.pool)) + one.pool_slots > slots) ||
          got.filter((g) => one.level === "2" || g.run === one.run).length >=
            one.max_active_tasks ||
          got.filter((g) => g.task_id === one.task_id).length >= (one.max_active_tis_per_dag ?? 99);
        expect([one, full]).toEqual([one, true]);
      }
    }),
    { numRuns: 500 },
  );
});

const sum = (of: readonly Waiting[]): number => of.reduce((all, one) => all + one.pool_slots, 0);

test("everybody's first task comes before anybody's second, and weight buys turns", () => {
  expect(priorityOf(1, 1)).toBeLessThan(priorityOf(2, 1));
  expect(priorityOf(2, 2)).toBe(priorityOf(1, 1));
  expect(priorityOf(1_000_000, 1)).toBe(32_767);
});
