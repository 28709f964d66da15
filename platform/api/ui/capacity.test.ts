/* oxlint-disable typescript/no-unsafe-assignment, typescript/no-unsafe-member-access, typescript/no-unsafe-return -- answers are JSON of any shape here */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApiStage, type Stage } from "../../../test/kit/api-stage.ts";

let stage: Stage;

beforeAll(async () => {
  stage = await openApiStage();
  const sql = stage.database.owner;
  await sql`update airlock.pool set slots = 2 where tenant = 'acme' and pool = 'default_pool'`;
  for (const dag of ["payroll", "orders_etl"]) {
    const [run] = await sql<{ run: string }[]>`
      select run from airlock.dag_run where tenant = 'acme' and dag_id = ${dag} and run_id = 'r2'`;
    // One runs with both slots, the two mapped ones wait.
    if (dag === "payroll")
      await sql`
        with made as (
          insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue, started_at)
          values ('acme', gen_random_uuid(), ${run?.run ?? ""}, ${dag}, 'extract', -1, 1, 'running', 'default', now())
          returning attempt)
        insert into airlock.permit (tenant, attempt, run, dag_id, task_id, pool, slots, queue, level)
        select 'acme', attempt, ${run?.run ?? ""}, ${dag}, 'extract', 'default_pool', 2, 'default', '3' from made`;
    await sql`
      update airlock.task_instance set state = 'scheduled', scheduled_at = now() - interval '1 minute'
       where tenant = 'acme' and run = ${run?.run ?? ""} and task_id = 'load'`;
  }
  await sql`
    update airlock.attempt set ended_at = now(), started_at = now() - interval '4 seconds', cpu_s = 2.5, peak_memory = 500000000
     where tenant = 'acme' and dag_id = 'payroll' and state = 'ended' and try_number = 1`;
  await sql`
    insert into airlock.worker (worker, home, host, pid, queues, slots)
    values (gen_random_uuid(), '/home', 'host1', 7, '{default}', 16)`;
});
afterAll(() => stage.close());

test("what waits is told with the limit that stops it and who holds it", async () => {
  const { body } = await stage.ask("dan", "GET", "/t/acme/api/ui/capacity");
  expect(body.tenant).toMatchObject({ running: 1, admitted: 0, waiting: 4 });
  expect(body.pools).toMatchObject([
    {
      pool: "default_pool",
      slots: 2,
      taken_slots: 2,
      waiting: 4,
      holders: [{ dag_id: "payroll", running: 1, slots: 2 }],
    },
  ]);
  expect(body.queues).toMatchObject([{ queue: "default", running: 1, waiting: 4 }]);
  expect(body.blocked).toMatchObject([
    {
      dag_id: "payroll",
      task_id: "load",
      waiting: 2,
      by: { kind: "pool", pool: "default_pool" },
    },
    {
      dag_id: "orders_etl",
      task_id: "load",
      waiting: 2,
      by: { kind: "pool", pool: "default_pool" },
    },
  ]);
});

test("DAGs that one may not read are counted and not named", async () => {
  await stage.database.owner`
    insert into airlock.grant_rule (tenant, subject, thing, deed, effect)
    values ('acme', 'user:ann', 'dag:payroll', '*', 'deny')`;
  const { body, text } = await stage.ask("ann", "GET", "/t/acme/api/ui/capacity");
  expect(body.pools[0].holders).toEqual([{ dag_id: null, running: 1, slots: 2 }]);
  expect(body.tenant.waiting).toBe(4);
  expect(text).not.toContain("payroll");
  const usage = await stage.ask("ann", "GET", "/t/acme/api/ui/capacity/usage");
  expect(usage.body.rows).toEqual([]);
});

test("what was used is summed per day and DAG, in days of the zone that is asked for", async () => {
  const { body } = await stage.ask("dan", "GET", "/t/acme/api/ui/capacity/usage?zone=UTC");
  expect(body.rows).toEqual([
    {
      day: body.today,
      dag_id: "payroll",
      tries: 1,
      unmeasured: 0,
      run_s: expect.closeTo(4, 1),
      cpu_s: 2.5,
      gb_s: expect.closeTo(2, 1),
    },
  ]);
  const zurich = await stage.ask("dan", "GET", "/t/acme/api/ui/capacity/usage?zone=Europe/Zurich");
  expect(zurich).toMatchObject({ status: 200, body: { zone: "Europe/Zurich" } });
  for (const query of ["zone=Nowhere", "zone=%2B01:00", "zone=';--", "days=0", "days=8", "days=x"])
    expect((await stage.ask("dan", "GET", `/t/acme/api/ui/capacity/usage?${query}`)).status).toBe(
      422,
    );
});

test("another tenant's capacity is not there, and workers are the platform's", async () => {
  for (const path of ["/t/acme/api/ui/capacity", "/t/acme/api/ui/capacity/usage"])
    for (const [who, status] of [
      ["gil", 404],
      ["nob", 404],
      [undefined, 401],
    ] as const)
      expect((await stage.ask(who, "GET", path)).status).toBe(status);
  // eve may read some DAGs and no pool.
  expect((await stage.ask("eve", "GET", "/t/acme/api/ui/capacity")).status).toBe(403);
  expect((await stage.ask("dan", "GET", "/api/platform/workers")).status).toBe(403);
  const { body } = await stage.ask("root", "GET", "/api/platform/workers");
  expect(body.workers).toMatchObject([
    { host: "host1", queues: ["default"], slots: 16, running: 0 },
  ]);
});
