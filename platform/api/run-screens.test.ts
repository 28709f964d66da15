/* oxlint-disable typescript/no-unsafe-member-access, typescript/no-unsafe-assignment, typescript/no-unsafe-return, typescript/no-unsafe-argument -- answers are JSON of any shape here */
/** What the screens of a run and of a task instance are told: all in one answer, and only to those who may. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApiStage, type Stage } from "../../test/kit/api-stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openApiStage();
});
afterAll(() => stage.close());

const run = (tenant: string, dag: string, id = "r1") =>
  `/t/${tenant}/api/ui/dags/${dag}/dagRuns/${id}`;
const get = (who: Parameters<Stage["ask"]>[0], path: string) => stage.ask(who, "GET", path);

test("a run is told in columns: instances, their attempts, the order of its tasks", async () => {
  const { status, body } = await get("ann", run("acme", "orders_etl"));
  expect(status).toBe(200);
  expect(body.structure).toMatchObject({
    tasks: ["extract", "load"],
    names: ["extract", "Load it"],
    downstream: [[1], []],
    mapped: [false, true],
  });
  const { instances, attempts, states } = body;
  expect(instances.task).toEqual([0, 1, 1]);
  expect(instances.map).toEqual([-1, 0, 1]);
  expect(instances.state.map((at: number) => states[at])).toEqual([
    "success",
    "success",
    "success",
  ]);
  expect(attempts.instance).toEqual([0, 0]);
  expect(attempts.try).toEqual([1, 2]);
  expect(attempts.outcome).toEqual(["failed", "success"]);
  // Every column has a value for each row.
  for (const column of Object.values<unknown[]>({ ...instances, labels: instances.task }))
    expect(column).toHaveLength(3);
  for (const column of Object.values<unknown[]>(attempts)) expect(column).toHaveLength(2);
  expect(body.run.conf).toBe('{"big": 12345678901234567890}');
  expect(body.next).toMatchObject({ run_id: "r2" });
  expect(body.previous).toBeNull();
});

test("what is known of a version is not told again", async () => {
  const first = await get("ann", run("acme", "orders_etl"));
  const again = await get("ann", `${run("acme", "orders_etl")}?known=${first.body.version_id}`);
  expect(again.body.structure).toBeNull();
  expect(again.body.instances).toEqual(first.body.instances);
  const other = await get("ann", `${run("acme", "orders_etl")}?known=nonsense`);
  expect(other.body.structure).not.toBeNull();
});

test.each([
  ["nobody is signed in", undefined, run("acme", "orders_etl"), 401],
  ["somebody without rights in the tenant", "nob", run("acme", "orders_etl"), 404],
  ["another tenant's admin", "gil", run("acme", "orders_etl"), 404],
  ["a DAG that one may not read", "eve", run("acme", "orders_etl"), 404],
  ["a DAG that one may read", "eve", run("acme", "fin_report"), 200],
  ["a DAG of another tenant by its name", "ann", run("acme", "secret_plan"), 404],
  ["a run that is not there", "ann", run("acme", "orders_etl", "nope"), 404],
  ["a wildcard", "ann", run("acme", "~"), 404],
  ["a run's wildcard", "ann", run("acme", "orders_etl", "~"), 404],
] as const)("%s", async (_, who, path, status) => {
  for (const more of ["", "/why", "/taskInstances/extract", "/taskInstances/load/siblings"])
    expect((await get(who, `${path}${more}`)).status, more).toBe(status);
});

test("hostile names are refused or not found, and nothing is surprised", async () => {
  const names = [
    "%3Cimg%20onerror%3D1%3E",
    "%E2%80%AErtl",
    "x".repeat(250),
    "x".repeat(700),
    "..%2F..%2Fetc",
    "a%00b",
    "'%3B%20drop%20table",
    "%ED%A0%80",
    "%25",
    "__proto__",
  ];
  const before = stage.surprises.length;
  for (const name of names)
    for (const path of [
      run("acme", name),
      run("acme", "orders_etl", name),
      `${run("acme", "orders_etl")}/taskInstances/${name}`,
      `${run("acme", "orders_etl")}/taskInstances/${name}/siblings`,
    ]) {
      const { status } = await get("dan", path);
      expect([400, 404], `${status} ${path}`).toContain(status);
    }
  for (const search of ["map_index=-2", "map_index=x", "try_number=99999999999", "map_index=1e3"])
    expect(
      (await get("dan", `${run("acme", "orders_etl")}/taskInstances/extract?${search}`)).status,
    ).toBe(422);
  expect(stage.surprises.length).toBe(before);
});

test("a task instance is told whole: tries, XComs in and out, what it was given, its neighbours", async () => {
  const { status, body } = await get("ann", `${run("acme", "orders_etl")}/taskInstances/extract`);
  expect(status).toBe(200);
  expect(body.attempts.map((one: any) => [one.try_number, one.outcome, one.host])).toEqual([
    [1, "failed", "host1"],
    [2, "success", "host1"],
  ]);
  expect(body.task).toMatchObject({
    upstream: [],
    downstream: ["load"],
    trigger_rule: "all_success",
  });
  expect(body.xcoms.out.map(({ key }: any) => key)).toEqual(["return_value", "tries"]);
  expect(body.xcoms.in).toEqual([]);
  expect(body.given).toMatchObject({ queue: "default", pool: "default_pool", level: "3" });
  expect(body.next).toMatchObject({ run_id: "r2", state: "running" });
  const load = await get("ann", `${run("acme", "orders_etl")}/taskInstances/load?map_index=1`);
  expect(load.body.xcoms.in.map(({ task_id, key }: any) => [task_id, key])).toEqual([
    ["extract", "return_value"],
    ["extract", "tries"],
  ]);
  expect(load.body.siblings).toEqual([{ state: "success", count: 2 }]);
});

test("a mapped task without an index says so, and its instances are a list", async () => {
  const { status, body } = await get("ann", `${run("acme", "orders_etl")}/taskInstances/load`);
  expect(status).toBe(404);
  expect(body.detail).toContain("map_index");
  const all = await get("ann", `${run("acme", "orders_etl")}/taskInstances/load/siblings`);
  expect(all.body).toMatchObject({ map: [0, 1], state: ["success", "success"], truncated: false });
});

test("nothing of the server's disk is in what a task was given", async () => {
  await stage.database.owner`
    insert into airlock.repository (tenant, repository, kind, branch) values ('acme', 'pipelines', 'hosted', 'main')`;
  await stage.database.owner`
    insert into airlock.bundle (tenant, repository, commit, path, dags_folder, limits, environments)
    values ('acme', 'pipelines', ${"a".repeat(40)}, '', 'dags', '{"memoryBytes": 1073741824}',
      '{"python": {"hash": "abc123", "dir": "/srv/secret-place", "interpreter": "/srv/secret-place/bin/python"}}')`;
  const { text, body } = await get("ann", `${run("acme", "orders_etl")}/taskInstances/extract`);
  expect(text).not.toContain("secret-place");
  expect(body.given).toMatchObject({
    environments: { python: "abc123" },
    limits: { memoryBytes: 1_073_741_824 },
  });
});

test("what triggered a run and what it triggered is told as far as one may see", async () => {
  const { owner } = stage.database;
  const [parent] = await owner<{ run: string }[]>`
    select run from airlock.dag_run where tenant = 'acme' and dag_id = 'fin_report' and run_id = 'r1'`;
  await owner`
    update airlock.dag_run set by_run = ${parent?.run ?? ""}, by_task = 'extract', by_map_index = -1, triggered_by = 'operator'
     where tenant = 'acme' and run_id = 'r2' and dag_id in ('orders_etl', 'fin_report')`;
  const child = await get("ann", run("acme", "orders_etl", "r2"));
  expect(child.body.origin).toMatchObject({
    dag_id: "fin_report",
    run_id: "r1",
    task_id: "extract",
  });
  const seen = await get("ann", run("acme", "fin_report"));
  expect(seen.body.triggered.map(({ dag_id }: any) => dag_id).toSorted()).toEqual([
    "fin_report",
    "orders_etl",
  ]);
  const half = await get("eve", run("acme", "fin_report"));
  expect(half.body.triggered.map(({ dag_id }: any) => dag_id)).toEqual(["fin_report"]);
  expect(half.text).not.toContain("orders_etl");
});

// ---- why

const why = (who: Parameters<Stage["ask"]>[0], dag: string, task: string) =>
  get(who, `/t/acme/api/v2/dags/${dag}/dagRuns/r2/taskInstances/${task}/why?map_index=0`);

test("why names the instances that are waited for", async () => {
  const { body } = await why("ann", "orders_etl", "load");
  expect(body).toMatchObject({
    waits: true,
    why: "It waits for extract (trigger rule all_success).",
    blocked_by: [{ kind: "instance", run_id: "r2", task_id: "extract", state: "running" }],
    others: 0,
  });
});

test("why names a full pool and who has its slots; those of unseen DAGs are only counted", async () => {
  const { owner } = stage.database;
  await owner`update airlock.pool set slots = 1 where tenant = 'acme' and pool = 'default_pool'`;
  await owner`
    with a as (
      insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue, started_at)
      select 'acme', gen_random_uuid(), run, dag_id, 'extract', -1, 1, 'running', 'default', clock_timestamp()
        from airlock.dag_run where tenant = 'acme' and run_id = 'r2' and dag_id in ('orders_etl', 'fin_report')
      returning tenant, attempt, run, dag_id, task_id)
    insert into airlock.permit (tenant, attempt, run, dag_id, task_id, pool, slots, queue, level)
    select tenant, attempt, run, dag_id, task_id, 'default_pool', 1, 'default', '3' from a`;
  await owner`
    update airlock.task_instance i set state = 'scheduled' from airlock.dag_run r
     where i.tenant = 'acme' and r.tenant = 'acme' and r.run = i.run and r.run_id = 'r2' and i.task_id = 'load' and i.map_index = 0`;
  const all = await why("ann", "fin_report", "load");
  expect(all.body.why).toBe("It waits for the pool default_pool: 2 of 1 slots are taken.");
  expect(all.body.blocked_by).toMatchObject([
    { kind: "pool", pool: "default_pool" },
    { kind: "instance", task_id: "extract" },
    { kind: "instance", task_id: "extract" },
  ]);
  const half = await why("eve", "fin_report", "load");
  expect(half.body.blocked_by).toHaveLength(2);
  expect(half.body.others).toBe(1);
  expect(half.text).not.toContain("orders_etl");
  await owner`update airlock.pool set slots = 128 where tenant = 'acme' and pool = 'default_pool'`;
});

test("why tells the limit of a task, a paused DAG and a queue without workers", async () => {
  const { owner } = stage.database;
  await owner`
    update airlock.task_instance i set max_per_run = 1 from airlock.dag_run r
     where i.tenant = 'acme' and r.tenant = 'acme' and r.run = i.run and r.run_id = 'r2' and i.task_id = 'load'`;
  await owner`
    update airlock.permit set task_id = 'load' where tenant = 'acme' and dag_id = 'fin_report'`;
  expect((await why("ann", "fin_report", "load")).body.why).toBe(
    "It waits for others of its task in this run: 1 of at most 1 instances are running.",
  );
  await owner`update airlock.dag set is_paused = true where tenant = 'acme' and dag_id = 'fin_report'`;
  expect((await why("ann", "fin_report", "load")).body).toMatchObject({
    why: "The DAG is paused.",
    blocked_by: [{ kind: "dag", dag_id: "fin_report" }],
  });
  await owner`update airlock.dag set is_paused = false where tenant = 'acme' and dag_id = 'fin_report'`;
  await owner`
    update airlock.task_instance i set state = 'queued', queue = 'gpu' from airlock.dag_run r
     where i.tenant = 'acme' and r.tenant = 'acme' and r.run = i.run and r.run_id = 'r2' and i.task_id = 'load' and i.map_index = 0`;
  expect((await why("ann", "fin_report", "load")).body.why).toBe(
    "It has a slot, but no worker takes tasks of the queue gpu.",
  );
});

test("a queued run says what it waits for: its pause, its time, the runs before it", async () => {
  const { owner } = stage.database;
  const set = (more: "paused" | "early" | "full") => owner`
    with d as (
      update airlock.dag set is_paused = ${more === "paused"}, max_active_runs = ${more === "full" ? 1 : 16}
       where tenant = 'acme' and dag_id = 'payroll')
    update airlock.dag_run set state = case run_id when 'r1' then 'running' else 'queued' end,
           run_after = ${more === "early" ? "2099-01-01T00:00:00Z" : "2026-01-02T06:00:00Z"}::timestamptz
     where tenant = 'acme' and dag_id = 'payroll'`;
  const ask = async () => (await get("ann", `${run("acme", "payroll", "r2")}/why`)).body;
  await set("paused");
  expect(await ask()).toMatchObject({
    why: "It waits, because the DAG is paused.",
    blocked_by: [{ kind: "dag", dag_id: "payroll" }],
  });
  await set("early");
  expect(await ask()).toMatchObject({ why: "It is not due before 2099-01-01T00:00:00.000Z." });
  await set("full");
  expect(await ask()).toMatchObject({
    why: "It waits for other runs of its DAG: 1 of at most 1 are running.",
    blocked_by: [{ kind: "run", run_id: "r1", state: "running" }],
  });
});

// ---- artifacts to look at

test("an artifact opens inline only as what a browser shows, and always without any right", async () => {
  const { owner } = stage.database;
  const files = [
    ["page.html", "text/html"],
    ["picture.svg", "image/svg+xml"],
    ["data.json", "application/json; charset=utf-8"],
    ["program.bin", "application/octet-stream"],
    ["doc.pdf", "application/pdf"],
    ["code.js", "application/javascript"],
    ["x.xhtml", "application/xhtml+xml"],
  ] as const;
  for (const [name, type] of files)
    await owner`
      insert into airlock.artifact (tenant, attempt, name, bytes, content_type, object)
      select a.tenant, a.attempt, ${name}, 9, ${type}, 'file' from airlock.attempt a
        join airlock.dag_run r on r.tenant = a.tenant and r.run = a.run
       where a.tenant = 'acme' and r.dag_id = 'orders_etl' and r.run_id = 'r1' and a.task_id = 'extract' and a.try_number = 2`;
  const at = (name: string, search: string) =>
    `/t/acme/api/v2/dags/orders_etl/dagRuns/r1/taskInstances/extract/artifacts/2/${name}${search}`;
  const shown: string[] = [];
  for (const [name] of files)
    for (const search of ["", "?inline=true"]) {
      const { status, headers } = await get("ann", at(name, search));
      expect(status).toBe(200);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toMatch(/^sandbox; default-src 'none';/);
      expect(policy).not.toContain("allow-");
      expect(policy).toContain("frame-ancestors 'self'");
      if (headers.get("content-disposition")?.startsWith("inline")) shown.push(`${name}${search}`);
    }
  expect(shown).toEqual([
    "page.html?inline=true",
    "picture.svg?inline=true",
    "data.json?inline=true",
  ]);
  expect((await get("gil", at("page.html", "?inline=true"))).status).toBe(404);
  expect((await get("eve", at("page.html", "?inline=true"))).status).toBe(404);
});

test("a failed run names what failed, and with one culprit its reason", async () => {
  const { owner } = stage.database;
  await owner`
    update airlock.dag_run set state = 'failed', reason = 'task_failure'
     where tenant = 'acme' and dag_id = 'fin-x' and run_id = 'r1'`;
  await owner`
    update airlock.task_instance i set state = 'failed', reason = 'ValueError: off' from airlock.dag_run r
     where i.tenant = 'acme' and r.tenant = 'acme' and r.run = i.run and r.dag_id = 'fin-x' and r.run_id = 'r1' and i.task_id = 'extract'`;
  expect((await get("ann", `${run("acme", "fin-x")}/why`)).body).toMatchObject({
    why: "It failed, because extract failed: ValueError: off.",
    waits: false,
    blocked_by: [{ kind: "instance", task_id: "extract", state: "failed" }],
  });
});
