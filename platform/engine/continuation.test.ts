import { expect, test } from "vitest";
import { type ContinuationFacts, type ContinuationRefusal, mayContinue } from "./continuation.ts";

const key = {
  tenant: "acme",
  environment: "e",
  bundle: "b",
  guest: "python",
  level: "3",
  resource_class: "",
  grants: "*",
  queue: "default",
};
const permits = { pool: "default_pool", pool_slots: 1, limits: ["dag d", "run r"] };
const facts: ContinuationFacts = {
  worker: { draining: false, lock_session_alive: true },
  ended: { key, permits },
  next: {
    run: "1",
    task_id: "n",
    priority_weight: 1,
    logical_date_ms: 5,
    map_index: -1,
    state: "scheduled",
    dag_paused: false,
    tenant_active: true,
    key,
    permits,
    has_own_limit: false,
  },
  over_committed: false,
  own: { in_flight_with_next: 2, weight: 1 },
  others: [],
  own_waiting: false,
  hops: 0,
  ms: 0,
};
const next = (more: Partial<ContinuationFacts["next"]>): Partial<ContinuationFacts> => ({
  next: { ...facts.next, ...more },
});

test("a warm worker goes on when nobody's turn comes first", () => {
  expect(mayContinue(facts)).toBeUndefined();
});

const other = (key_: keyof typeof key) => next({ key: { ...key, [key_]: "other" } });
test.each<[string, Partial<ContinuationFacts>, ContinuationRefusal | undefined]>([
  ["draining", { worker: { draining: true, lock_session_alive: true } }, "worker"],
  ["lost lock session", { worker: { draining: false, lock_session_alive: false } }, "worker"],
  ["already queued", next({ state: "queued" }), "not_scheduled"],
  ["still waiting", next({ state: null }), "not_scheduled"],
  ["paused DAG", next({ dag_paused: true }), "paused"],
  ["suspended tenant", next({ tenant_active: false }), "tenant_inactive"],
  ["another tenant", other("tenant"), "another_guest"],
  ["another environment", other("environment"), "another_guest"],
  ["another bundle", other("bundle"), "another_guest"],
  ["another guest", other("guest"), "another_guest"],
  ["another level", other("level"), "another_guest"],
  ["another resource class", other("resource_class"), "another_guest"],
  ["other grants", other("grants"), "another_guest"],
  ["another queue", other("queue"), "another_guest"],
  ["another pool", next({ permits: { ...permits, pool: "p" } }), "other_permits"],
  ["more slots", next({ permits: { ...permits, pool_slots: 2 } }), "other_permits"],
  ["another limit", next({ permits: { ...permits, limits: ["dag d", "run x"] } }), "other_permits"],
  [
    "one limit more",
    next({ permits: { ...permits, limits: ["dag d", "run r", "x"] } }),
    "other_permits",
  ],
  ["a limit of its own", next({ has_own_limit: true }), "own_limit"],
  ["an over-committed pool", { over_committed: true }, "over_committed"],
  [
    "a heavier ready one",
    {
      first_ready: {
        run: "1",
        task_id: "a",
        priority_weight: 2,
        logical_date_ms: 9,
        map_index: -1,
      },
    },
    "somebody_comes_first",
  ],
  [
    "an older ready one",
    {
      first_ready: {
        run: "1",
        task_id: "a",
        priority_weight: 1,
        logical_date_ms: 4,
        map_index: -1,
      },
    },
    "somebody_comes_first",
  ],
  [
    "a younger ready one",
    {
      first_ready: {
        run: "1",
        task_id: "a",
        priority_weight: 1,
        logical_date_ms: 6,
        map_index: -1,
      },
    },
    undefined,
  ],
  ["an idle tenant waits", { others: [{ in_flight: 0, weight: 1 }] }, "another_tenants_turn"],
  ["a tie", { others: [{ in_flight: 1, weight: 1 }] }, "another_tenants_turn"],
  ["a busier tenant waits", { others: [{ in_flight: 2, weight: 1 }] }, undefined],
  [
    "a busier tenant of weight 2 waits",
    { others: [{ in_flight: 2, weight: 2 }] },
    "another_tenants_turn",
  ],
  [
    "my own weight",
    { own: { in_flight_with_next: 2, weight: 4 }, others: [{ in_flight: 0, weight: 1 }] },
    undefined,
  ],
  ["7 hops, own tasks wait", { own_waiting: true, hops: 7, ms: 19 }, undefined],
  ["8 hops, own tasks wait", { own_waiting: true, hops: 8, ms: 1 }, "own_tasks_wait"],
  ["20 ms, own tasks wait", { own_waiting: true, hops: 1, ms: 20 }, "own_tasks_wait"],
  ["8 hops, nobody waits", { own_waiting: false, hops: 100, ms: 900 }, undefined],
])("%s: %o gives %s", (_name, change, refusal) => {
  expect(mayContinue({ ...facts, ...change })).toBe(refusal);
});
