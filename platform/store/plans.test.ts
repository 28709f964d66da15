/** A hundred thousand task instances lie about: the statements of a hop, of the clock and of recovery must not read them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { type OpenedDoor, openRunStage, type RunStage } from "../../test/kit/run-stage.ts";
import { known } from "../model/ids.ts";
import { claimAttempt } from "./claim.ts";
import type { Store, Tx } from "./open.ts";
import * as rows from "./run-rows.ts";
import { dueTimers, nextDueMs } from "./timers.ts";
import { beat, readmitLost, ringForgotten, waitingTenants } from "./workers.ts";

type Read = { readonly relname: string; readonly seq: number; readonly idx: number };
let stage: RunStage;
let measured: OpenedDoor;
let reads: Read[] = [];
const acme = known.tenant("acme");
const big = ["task_instance", "attempt", "change", "dag_run", "xcom", "task_counter"];

/** What the connection has read, table by table, by Postgres' own count. */
const countReads = (tx: Tx) => tx<Read[]>`
  select relname::text, coalesce(seq_tup_read, 0)::int as seq, coalesce(idx_tup_fetch, 0)::int as idx
    from pg_stat_xact_user_tables where schemaname = 'airlock' and relname = any(${big})`;
const measuring = (store: Store): Store => {
  const watch =
    <T>(work: (tx: Tx) => Promise<T>) =>
    async (tx: Tx): Promise<T> => {
      // The server adds up what this connection did before as well, until it passes it on.
      const before = new Map((await countReads(tx)).map((read) => [read.relname, read]));
      const result = await work(tx);
      for (const { relname, seq, idx } of await countReads(tx)) {
        const { seq: seq0 = 0, idx: idx0 = 0 } = before.get(relname) ?? {};
        reads.push({ relname, seq: seq - seq0, idx: idx - idx0 });
      }
      return result;
    };
  return {
    ...store,
    tx: (tenant, work) => store.tx(tenant, watch(work)),
    once: (tenant, statement) =>
      store.tx(
        tenant,
        watch(async (tx) => statement(tx)),
      ),
    system: (work) => store.system(watch(work)),
  };
};

beforeAll(async () => {
  stage = await openRunStage();
  await stage.reset();
  measured = stage.another(undefined, measuring);
  const { owner } = stage.database;
  const tasks = [
    { task_id: "a", downstream: ["b"] },
    { task_id: "b", downstream: ["c"] },
    { task_id: "c" },
  ];
  await stage.deploy(dagSpec(tasks, { dag_id: known.dag("d"), max_active_tasks: 16 }), {
    max_active_runs: 100_000,
  });
  // History: ended runs, their instances and attempts.
  await owner`
    insert into airlock.dag_run (tenant, dag_id, run_id, run_type, logical_date, run_after, state, version, repository, commit, path,
           environment, has_instances)
    select 'acme', 'd', 'old' || n, 'scheduled', '2020-01-01'::timestamptz + n * interval '1 hour', '2020-01-01', 'success', 1, 'main',
           'c', 'x.py', 'e', true from generate_series(1, 2000) n`;
  await owner`
    insert into airlock.task_instance (tenant, run, task_id, map_index, dag_id, state, try_number, pool, pool_slots, queue, priority_weight,
           operator, order_at)
    select 'acme', r.run, 't' || n, -1, 'd', 'success', 1, 'default_pool', 1, 'default', 1, 'X', r.logical_date
      from airlock.dag_run r, generate_series(1, 40) n`;
  await owner`
    insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue, outcome)
    select tenant, id, run, dag_id, task_id, map_index, 1, 'ended', queue, 'success' from airlock.task_instance`;
  await owner`
    insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
    select tenant, run, dag_id, 'r', task_id, map_index, 1, 'running', 'success' from airlock.task_instance`;
  await owner`
    insert into airlock.xcom (tenant, run, task_id, map_index, key, value, bytes)
    select tenant, run, task_id, map_index, 'return_value', '1', 1 from airlock.task_instance`;
  await owner`
    insert into airlock.task_counter (tenant, run, task_id, scope, total, success, failed, upstream_failed, skipped, removed, setups,
           setups_success, setups_skipped)
    select tenant, run, task_id, -1, 1, 1, 0, 0, 0, 0, 0, 0, 0 from airlock.task_instance`;
  // A flood that waits behind a full pool, of the same tenant.
  await owner`insert into airlock.pool (tenant, pool, slots) values ('acme', 'full', 0)`;
  await owner`
    insert into airlock.dag_run (tenant, run, dag_id, run_id, run_type, run_after, state, version, repository, commit, path, environment,
           has_instances, unfinished)
    values ('acme', 900000, 'd', 'flood', 'manual', now(), 'running', 1, 'main', 'c', 'x.py', 'e', true, 20000)`;
  await owner`
    insert into airlock.task_instance (tenant, run, task_id, map_index, dag_id, state, try_number, pool, pool_slots, queue, priority_weight,
           operator, order_at, scheduled_at)
    select 'acme', 900000, 'wide', n, 'd', 'scheduled', 1, 'full', 1, 'default', 5, 'X', '2019-01-01', now() from generate_series(1, 20000) n`;
  await owner`analyze`;
}, 60_000);
afterAll(() => stage.closeAll());

const expectFew = (most: number): void => {
  const readFromEndToEnd = reads.filter((read) => read.seq > 0);
  expect(readFromEndToEnd).toEqual([]);
  expect(rowsRead()).toBeLessThan(most);
};
const rowsRead = (): number => reads.reduce((sum, read) => sum + read.idx, 0);
const measure = async (what: () => Promise<unknown>, most: number): Promise<void> => {
  // More often than the five times after which Postgres may settle on one plan for all.
  for (let i = 0; i < 8; i += 1) {
    reads = [];
    await what();
    expectFew(most);
  }
};

test("a whole run by doorbell: created, claimed, ended, each step of it", async () => {
  for (let i = 0; i < 8; i += 1) {
    reads = [];
    const created = await stage.create("d", {}, measured);
    if (created.kind !== "created") throw new Error(created.kind);
    expectFew(400);
    for (let step = 0; step < 3; step += 1) {
      const claimed = await stage.claimNext(created.run);
      reads = [];
      await stage.finish(claimed, {}, measured);
      expectFew(200);
    }
    expect((await stage.runState(created.run)).state).toBe("success");
  }
});

test("a hop by continuation, with the facts that it asks for", async () => {
  for (let i = 0; i < 8; i += 1) {
    const run = await stage.trigger("d");
    const a = await stage.claimNext(run);
    reads = [];
    const answer = await stage.finish(a, { wish: true }, measured);
    expectFew(200);
    // The flood waits for another pool, but for the same DAG, and comes first: it is right not to go on.
    expect(answer).toMatchObject({ kind: "done" });
    await stage.advance(run, [{ kind: "run_marked", state: "failed", reason: "stopped" }]);
  }
});

test("admission with twenty thousand waiting behind a full pool", async () => {
  await measure(() => measured.store.tx(acme, (tx) => rows.admit(tx, "acme")), 100);
  expect(rowsRead()).toBeGreaterThan(0); // else nothing was counted
});

test("a claim", async () => {
  const run = await stage.trigger("d");
  const [row] = await stage.database.owner<{ attempt: string }[]>`
    select attempt from airlock.attempt where run = ${run}`;
  const attempt = known.attempt(row?.attempt ?? "");
  await measure(async () => {
    await claimAttempt(measured.store, acme, attempt, stage.worker, 15);
    await stage.database
      .owner`update airlock.attempt set state = 'admitted' where attempt = ${attempt}`;
    await stage.database
      .owner`update airlock.task_instance set state = 'queued' where id = ${attempt}`;
  }, 60);
  expect(rowsRead()).toBeGreaterThan(0);
  await stage.advance(run, [{ kind: "run_marked", state: "failed", reason: "stopped" }]);
});

test.each<[string, (tx: Tx) => Promise<unknown>]>([
  ["what is due", (tx) => dueTimers(tx, 1000)],
  ["when the next thing is due", nextDueMs],
  ["a heartbeat", (tx) => beat(tx, stage.worker, 15)],
  ["leases that ran out", (tx) => readmitLost(tx, undefined)],
  ["attempts of a dead worker", (tx) => readmitLost(tx, stage.worker)],
  ["doorbells that were lost", (tx) => ringForgotten(tx, 3600)],
  ["tenants in which something waits", (tx) => waitingTenants(tx, 3600)],
])("the clock and recovery: %s", async (_name, ask) => {
  await measure(() => measured.store.system(ask), 100);
  expect(reads.length).toBeGreaterThan(0);
});
