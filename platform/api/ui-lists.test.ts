/* oxlint-disable typescript/no-unsafe-member-access, typescript/no-unsafe-assignment, typescript/no-unsafe-return, typescript/no-unsafe-call -- answers are JSON of any shape here */
/** The DAG index and what needs attention: shapes, rights, bounds. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openApiStage, type Stage } from "../../test/kit/api-stage.ts";
import { known } from "../model/ids.ts";
import { type RunStrip, unpackRuns } from "../model/run-strip.ts";
import { addRule } from "../store/grants.ts";

let stage: Stage;
const acme = known.tenant("acme");
beforeAll(async () => {
  stage = await openApiStage();
  const { owner } = stage.database;
  for (const tenant of ["acme", "globex"]) {
    await owner`
      insert into airlock.repository (tenant, repository, kind, branch, failures, last_error, last_error_hint)
      values (${tenant}, 'pipelines', 'hosted', 'main', 0, null, null), (${tenant}, 'lost', 'hosted', 'main', 3, 'it is gone', 'look')`;
    await owner`
      insert into airlock.import_error (tenant, repository, path, commit, message, line, problems)
      values (${tenant}, 'pipelines', 'dags/payroll.py', 'c', 'bad indent in payroll', 3, '[]'),
             (${tenant}, 'pipelines', 'dags/fresh.py', 'c', 'bad indent in fresh', 4, '[]')`;
    await owner`
      insert into airlock.deploy (tenant, repository, commit, reason, state, dags_new, errors_count)
      values (${tenant}, 'pipelines', ${"b".repeat(40)}, 'push', 'live', 2, 1)`;
    // r2 of each DAG: its extract failed a minute ago, one row number per DAG.
    await owner`
      update airlock.task_instance i set state = 'failed', ended_at = now() - interval '1 minute', try_number = 2,
             reason = 'KeyError: row ' || length(i.dag_id)
        from airlock.dag_run r
       where i.tenant = ${tenant} and r.tenant = i.tenant and r.run = i.run and r.run_id = 'r2' and i.task_id = 'extract'`;
  }
});
afterAll(() => stage.close());
beforeEach(() => {
  stage.surprises.length = 0;
});

const index = "/t/acme/api/ui/dags";
const now = "/t/acme/api/ui/now";
const everywhere = "/api/platform/ui/now";
const idsOf = (answer: { body: { dags: { dag_id: string }[] } }): string[] =>
  answer.body.dags.map(({ dag_id }) => dag_id);

test("the index tells each DAG with its last runs and what the asker may do with it", async () => {
  const answer = await stage.ask("bob", "GET", index);
  expect(answer.status).toBe(200);
  expect(answer.body.complete).toBe(true);
  expect(idsOf(answer)).toEqual(["fin-x", "fin_report", "orders_etl", "payroll"]);
  const orders = answer.body.dags[2];
  expect(orders).toMatchObject({
    display_name: "orders_etl",
    schedule: "every day at 06:00",
    tags: ["etl", "orders_etl"],
    owners: ["data"],
    running: 1,
    queued: 0,
    median_s: 60,
    p95_s: 60,
    has_import_error: false,
    next_run_at: "2030-01-01T06:00:00.000Z",
    may: { pause: true, trigger: true },
  });
  expect(unpackRuns(orders.runs as RunStrip)).toMatchObject([
    { run_id: "r2", state: "running", ended: null },
    { run_id: "r1", state: "success", started: Date.parse("2026-01-01T06:00:01Z") / 1000 },
  ]);
  expect(answer.body.dags[3].has_import_error).toBe(true);
});

test("who may only look is offered nothing to do", async () => {
  const { body } = await stage.ask("ann", "GET", index);
  expect(body.dags.map((dag: { may: object }) => dag.may)).toEqual(
    Array.from({ length: 4 }, () => ({ pause: false, trigger: false })),
  );
});

test("who sees a part sees that part: other DAGs are in no list, by no name", async () => {
  const answer = await stage.ask("eve", "GET", index);
  expect(idsOf(answer)).toEqual(["fin_report", "payroll"]);
  const asked = await stage.ask("eve", "GET", `${index}?dag_id=orders_etl&dag_id=payroll`);
  expect(idsOf(asked)).toEqual(["payroll"]);
  const attention = await stage.ask("eve", "GET", now);
  expect(attention.status).toBe(200);
  expect(attention.text).not.toMatch(/orders_etl|fin-x/);
  // Neither the tenant's limits, nor its pools, nor its repositories are hers.
  expect(attention.body).toMatchObject({ pressure: [], pools: [], sync_errors: [], deploys: [] });
  expect(attention.body.import_errors.map((file: { path: string }) => file.path)).toEqual([
    "dags/payroll.py",
  ]);
});

test("runs that one may not read are not told with the DAG", async () => {
  await stage.store.system((tx) =>
    addRule(tx, acme, {
      subject: "user:nob",
      thing: "dag:payroll",
      deed: "dag.read",
      effect: "allow",
    }),
  );
  const { body } = await stage.ask("nob", "GET", index);
  expect(body.dags).toMatchObject([
    { dag_id: "payroll", runs: null, running: 0, median_s: null, p95_s: null },
  ]);
  const attention = await stage.ask("nob", "GET", now);
  expect(attention.body.failures).toEqual([]);
  expect(attention.body.import_errors).toEqual([]);
});

test.each([index, now])("%s: strangers and other tenants' people learn nothing", async (path) => {
  expect((await stage.ask(undefined, "GET", path)).status).toBe(401);
  expect((await stage.ask("gil", "GET", path)).status).toBe(404);
  expect((await stage.ask("ann", "GET", path.replace("acme", "globex"))).status).toBe(404);
  expect((await stage.ask("ann", "GET", path.replace("acme", "no-such"))).status).toBe(404);
});

test("too many or impossible ids are refused by name", async () => {
  const many = Array.from({ length: 101 }, (_, i) => `dag_id=d${i}`).join("&");
  expect((await stage.ask("ann", "GET", `${index}?${many}`)).status).toBe(422);
  expect((await stage.ask("ann", "GET", `${index}?dag_id=${"x".repeat(251)}`)).status).toBe(422);
  expect((await stage.ask("ann", "GET", `${index}?dag_id=%00`)).status).toBe(400);
  expect(idsOf(await stage.ask("ann", "GET", `${index}?dag_id='%22%7B%7D,`))).toEqual([]);
  expect(stage.surprises).toEqual([]);
});

test("failures of one cause are one entry, which names the newest try", async () => {
  const { body } = await stage.ask("dan", "GET", now);
  expect(body.failures).toHaveLength(1);
  expect(body.failures[0]).toMatchObject({
    tenant: "acme",
    fingerprint: "KeyError: row ‹n›",
    count: 4,
    more: false,
    dag_count: 4,
    // r1 of each went well, r2 has not ended.
    still_failing: 0,
    newest: { run_id: "r2", task_id: "extract", map_index: -1, try_number: 2 },
  });
  expect(body.sync_errors).toMatchObject([
    { repository: "lost", message: "it is gone", failures: 3 },
  ]);
  expect(body.import_errors).toHaveLength(2);
  expect(body.deploys).toMatchObject([{ repository: "pipelines", dags_new: 2, errors: 1 }]);
  expect(body.pressure).toMatchObject([{ tenant: "acme", max_running: 64, running: 0 }]);
  expect(body.pools).toMatchObject([{ pool: "default_pool", slots: 128, waiting: 0 }]);
});

test("what a person ended is no failure, and neither is what failed the day before yesterday", async () => {
  const { owner } = stage.database;
  const before = await owner`
    select tenant, run, task_id, map_index, reason, ended_at from airlock.task_instance
     where tenant = 'acme' and state = 'failed' and dag_id in ('payroll', 'fin-x')`;
  await owner`
    update airlock.task_instance set reason = 'marked failed' where tenant = 'acme' and dag_id = 'payroll' and state = 'failed'`;
  await owner`
    update airlock.task_instance set ended_at = now() - interval '2 days' where tenant = 'acme' and dag_id = 'fin-x' and state = 'failed'`;
  const { body } = await stage.ask("dan", "GET", now);
  expect(body.failures[0]).toMatchObject({ count: 2, dag_count: 2 });
  for (const row of before)
    await owner`
      update airlock.task_instance set reason = ${row["reason"]}, ended_at = ${row["ended_at"]}
       where tenant = 'acme' and run = ${row["run"]} and task_id = ${row["task_id"]} and map_index = ${row["map_index"]}`;
});

test("late, due, stuck and waiting are told as they come", async () => {
  const { owner } = stage.database;
  await owner`update airlock.dag set next_run_at = now() - interval '10 minutes' where tenant = 'acme' and dag_id = 'payroll'`;
  await owner`
    update airlock.dag set next_run_at = now() + interval '5 minutes', next_interval_start = now() + interval '5 minutes',
           next_interval_end = now() + interval '5 minutes', timetable = '{"kind":"delta","seconds":600,"interval_s":0}'
     where tenant = 'acme' and dag_id = 'fin_report'`;
  await owner`update airlock.dag set next_run_at = now() - interval '10 minutes', is_paused = true where tenant = 'acme' and dag_id = 'fin-x'`;
  await owner`
    update airlock.task_instance i set state = 'running', started_at = now() - interval '7 hours'
      from airlock.dag_run r
     where i.tenant = 'acme' and r.tenant = i.tenant and r.run = i.run and r.run_id = 'r2' and i.dag_id = 'orders_etl'
       and i.task_id = 'load' and i.map_index = 0`;
  await owner`
    update airlock.task_instance i set state = 'scheduled', scheduled_at = now() - interval '1 hour'
      from airlock.dag_run r
     where i.tenant = 'acme' and r.tenant = i.tenant and r.run = i.run and r.run_id = 'r2' and i.dag_id = 'orders_etl'
       and i.task_id = 'load' and i.map_index = 1`;
  const { body } = await stage.ask("dan", "GET", now);
  expect(body.late).toMatchObject([{ dag_id: "payroll", open_runs: 1, max_active_runs: 16 }]);
  expect(body.due).toHaveLength(1);
  expect(body.due[0]).toMatchObject({ dag_id: "fin_report" });
  expect(body.due[0].times).toHaveLength(6);
  expect(body.stuck).toMatchObject([
    { dag_id: "orders_etl", run_id: "r2", task_id: "load", map_index: 0, kind: "very_long" },
  ]);
  expect(body.pools).toMatchObject([{ pool: "default_pool", waiting: 1 }]);
  const eves = await stage.ask("eve", "GET", now);
  expect(eves.body.stuck).toEqual([]);
  expect(eves.body.late).toMatchObject([{ dag_id: "payroll" }]);
});

test("of all tenants it is one answer, of each what is seen there", async () => {
  const tenantsOf = (rows: { tenant: string }[]): string[] =>
    [...new Set(rows.map(({ tenant }) => tenant))].toSorted();
  const roots = await stage.ask("root", "GET", everywhere);
  expect(roots.status).toBe(200);
  expect(tenantsOf(roots.body.failures)).toEqual(["acme", "globex"]);
  expect(tenantsOf(roots.body.pressure)).toEqual(["acme", "globex"]);
  expect(tenantsOf(roots.body.deploys)).toEqual(["acme", "globex"]);
  expect(roots.body.left_out).toEqual([]);
  const gils = await stage.ask("gil", "GET", everywhere);
  expect(tenantsOf(gils.body.failures)).toEqual(["globex"]);
  expect(gils.text).not.toContain("acme");
  const eves = await stage.ask("eve", "GET", everywhere);
  expect(eves.text).not.toMatch(/orders_etl|fin-x|globex|secret_plan/);
  expect(eves.body.failures[0].dag_ids.toSorted()).toEqual(["fin_report", "payroll"]);
  expect((await stage.ask(undefined, "GET", everywhere)).status).toBe(401);
});

test("what a tenant denies to an admin is not in the answer of all tenants either", async () => {
  await stage.store.system((tx) =>
    addRule(tx, known.tenant("globex"), {
      subject: "user:root",
      thing: "dag:secret_plan",
      deed: "*",
      effect: "deny",
    }),
  );
  const { body } = await stage.ask("root", "GET", everywhere);
  const globex = body.failures.find(({ tenant }: { tenant: string }) => tenant === "globex");
  expect(globex.dag_ids).toEqual(["orders_etl"]);
  const acmes = body.failures.find(({ tenant }: { tenant: string }) => tenant === "acme");
  expect(acmes.dag_count).toBe(4);
});
