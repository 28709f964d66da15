/** The gauges tell what the rows say, of all tenants at once, and cost the same however much waits or has been. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { openRunStage, type RunStage } from "../../test/kit/run-stage.ts";
import { known } from "../model/ids.ts";
import { readGauges, readLastSuccesses } from "./gauges.ts";

let stage: RunStage;
beforeAll(async () => {
  stage = await openRunStage();
});
beforeEach(() => stage.reset());
afterAll(() => stage.closeAll());

const ids = (...names: string[]) => names.map((task_id) => ({ task_id }));

test("what is ready, queued and running, and the pools that hold it", async () => {
  const { owner } = stage.database;
  await stage.deploy(dagSpec(ids("a", "b", "c"), { dag_id: known.dag("d") }));
  await owner`update airlock.pool set slots = 2`;
  const run = await stage.trigger("d");
  await stage.claimNext(run);
  const read = await stage.store.system(readGauges);
  const state = (name: string) => read.tasks.find((row) => row.state === name)?.n;
  expect([state("ready"), state("queued"), state("running")]).toEqual([1, 1, 1]);
  expect(read.ready).toMatchObject([{ tenant: "acme", queue: "default", n: 1 }]);
  expect(read.admitted).toMatchObject([{ queue: "default", n: 1 }]);
  expect(read.pools).toMatchObject([
    { tenant: "acme", pool: "default_pool", slots: 2, running: 1, queued: 1, deferred: 0 },
  ]);
  expect(read.dags).toEqual([{ tenant: "acme", n: 1 }]);
});

test("instances that wait are counted to their bound, and the history of a DAG is not read", async () => {
  const { owner } = stage.database;
  await stage.deploy(dagSpec(ids("a"), { dag_id: known.dag("d") }));
  await owner`
    insert into airlock.dag_run (tenant, dag_id, run_id, run_type, run_after, state, version, repository, commit, path, environment, ended_at)
    select 'acme', 'd', 'r' || n, 'manual', timestamptz '2026-01-01' + make_interval(secs => n), case when n % 7 = 0 then 'success' else 'failed' end,
           1, 'main', 'c', 'x', 'default', timestamptz '2026-01-01' + make_interval(secs => n)
      from generate_series(1, 5000) n`;
  await owner`
    insert into airlock.task_instance (tenant, run, dag_id, task_id, map_index, id, state, pool, pool_slots, queue, priority_weight, operator, order_at, scheduled_at)
    select 'acme', (select max(run) from airlock.dag_run), 'd', 'a', n, gen_random_uuid(), 'scheduled', 'default_pool', 1, 'default', 1, 'x', 'infinity', now()
      from generate_series(1, 15000) n`;
  await owner`analyze airlock.task_instance, airlock.dag_run`;
  const read = await stage.store.system(readGauges);
  expect(read.ready).toMatchObject([{ n: 10_000 }]);
  const [last] = await stage.store.system((tx) => readLastSuccesses(tx, 100));
  expect(last?.success_s).toBe(Date.parse("2026-01-01T00:00:00Z") / 1000 + 4_998);
  const reads = await stage.store.system(async (tx) => {
    const count = async () =>
      (
        await tx<{ n: number }[]>`
          select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::int as n from pg_stat_xact_user_tables
           where schemaname = 'airlock' and relname in ('task_instance', 'dag_run')`
      )[0]?.n ?? 0;
    const before = await count();
    await readGauges(tx);
    await readLastSuccesses(tx, 100);
    return (await count()) - before;
  });
  expect(reads).toBeLessThan(11_000);
});

test("a DAG of which no late run succeeded says so; one that never ran says nothing", async () => {
  const { owner } = stage.database;
  for (const name of ["bad", "new"])
    await stage.deploy(dagSpec(ids("a"), { dag_id: known.dag(name) }));
  await owner`
    insert into airlock.dag_run (tenant, dag_id, run_id, run_type, run_after, state, version, repository, commit, path, environment, ended_at)
    values ('acme', 'bad', ${randomUUID()}, 'manual', now(), 'failed', 1, 'main', 'c', 'x', 'default', now())`;
  const read = await stage.store.system((tx) => readLastSuccesses(tx, 100));
  expect(read).toMatchObject([{ dag_id: "bad", success_s: null }]);
});
