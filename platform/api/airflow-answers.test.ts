/* oxlint-disable typescript/no-unsafe-member-access, typescript/no-unsafe-assignment, typescript/no-unsafe-return -- answers are JSON of any shape here */
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { openApiStage, type Stage } from "../../test/kit/api-stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openApiStage();
  await stage.ask("cat", "POST", "/t/acme/api/v2/pools", { name: "audited", slots: 1 });
  await stage.ask("cat", "DELETE", "/t/acme/api/v2/pools/audited");
});
afterAll(() => stage.close());

const base = "/t/acme/api/v2";
const run = `${base}/dags/orders_etl/dagRuns/r1`;
const instance = `${run}/taskInstances/extract`;

/** Path → the route that answers it, whose declared shape the answer must have, key by key. */
const reads: readonly (readonly [string, string])[] = [
  [`${base}/version`, "/version"],
  [`${base}/monitor/health`, "/monitor/health"],
  [`${base}/dags`, "/dags"],
  [`${base}/dags/orders_etl`, "/dags/{dag_id}"],
  [`${base}/dags/orders_etl/details`, "/dags/{dag_id}/details"],
  [`${base}/dags/orders_etl/tasks`, "/dags/{dag_id}/tasks"],
  [`${base}/dags/orders_etl/tasks/extract`, "/dags/{dag_id}/tasks/{task_id}"],
  [`${base}/dagTags`, "/dagTags"],
  [`${base}/dagStats`, "/dagStats"],
  [`${base}/dags/~/dagVersions`, "/dags/{dag_id}/dagVersions"],
  [`${base}/dags/orders_etl/dagVersions/1`, "/dags/{dag_id}/dagVersions/{version_number}"],
  [`${base}/dagSources/orders_etl`, "/dagSources/{dag_id}"],
  [`${base}/dags/orders_etl/dagRuns`, "/dags/{dag_id}/dagRuns"],
  [run, "/dags/{dag_id}/dagRuns/{dag_run_id}"],
  [`${run}/taskInstances`, "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances"],
  [instance, "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}"],
  [
    `${run}/taskInstances/load/1`,
    "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/{map_index}",
  ],
  [
    `${run}/taskInstances/load/listMapped`,
    "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/listMapped",
  ],
  [`${instance}/tries`, "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/tries"],
  [
    `${instance}/tries/1`,
    "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/tries/{try_number}",
  ],
  [
    `${instance}/dependencies`,
    "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/dependencies",
  ],
  [`${instance}/why`, "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/why"],
  [
    `${instance}/logs/1`,
    "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/logs/{try_number}",
  ],
  [`${run}/artifacts`, "/dags/{dag_id}/dagRuns/{dag_run_id}/artifacts"],
  [
    `${instance}/xcomEntries`,
    "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/xcomEntries",
  ],
  [
    `${instance}/xcomEntries/tries`,
    "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/xcomEntries/{xcom_key*}",
  ],
  [`${base}/importErrors`, "/importErrors"],
  [`${base}/importErrors/1`, "/importErrors/{import_error_id}"],
  [`${base}/connections`, "/connections"],
  [`${base}/connections/warehouse`, "/connections/{connection_id}"],
  [`${base}/variables`, "/variables"],
  [`${base}/variables/city`, "/variables/{variable_key*}"],
  [`${base}/pools`, "/pools"],
  [`${base}/pools/default_pool`, "/pools/{pool_name*}"],
  [`${base}/eventLogs`, "/eventLogs"],
  [`${base}/eventLogs/1`, "/eventLogs/{event_log_id}"],
  [`${base}/dagWarnings`, "/dagWarnings"],
  [`${base}/providers`, "/providers"],
  [`${base}/plugins`, "/plugins"],
];

test.each(reads)("GET %s has exactly the keys that its shape names", async (path, route) => {
  const endpoint = stage.api.endpoints.find(
    (candidate) => candidate.method === "GET" && candidate.path === `/t/{tenant}/api/v2${route}`,
  );
  const answered = await stage.ask("dan", "GET", path);
  expect([answered.status, answered.text]).toEqual([200, answered.text]);
  expect(answered.headers.get("content-type")).toBe("application/json");
  const shape = endpoint?.answers[200];
  expect(shape).toBeDefined();
  const parsed = strict(shape ?? z.never()).safeParse(answered.body);
  expect(parsed.error?.issues).toBeUndefined();
  expect(stage.surprises).toEqual([]);
});

test("every GET of the Airflow tree is in the list above", () => {
  const all = stage.api.endpoints
    .filter(({ method, path }) => method === "GET" && path.startsWith("/t/{tenant}/api/v2"))
    .map(({ path }) => path.replace("/t/{tenant}/api/v2", ""))
    // The same answers below another path, and the one that is never shown.
    .filter(
      (path) =>
        !path.includes("{map_index}/") && path !== "/config" && !path.includes("/artifacts/"),
    );
  expect(all.toSorted()).toEqual(reads.map(([, route]) => route).toSorted());
});

test("an artifact comes as a download that can do nothing, and only to those who may read the DAG's data", async () => {
  await stage.database.owner`
    insert into airlock.artifact (tenant, attempt, name, bytes, content_type, object)
    select a.tenant, a.attempt, 'report/day.html', 9, 'text/html', 'file' from airlock.attempt a
     where a.tenant = 'acme' and a.task_id = 'extract' limit 1`;
  const { body } = await stage.ask("cat", "GET", `${run}/artifacts`);
  expect(body.artifacts).toMatchObject([{ task_id: "extract", name: "report/day.html", bytes: 9 }]);
  const at = `${instance}/artifacts/${String(body.artifacts[0].try_number)}/report/day.html`;
  const file = await stage.ask("cat", "GET", at);
  expect(file.text).toBe("<b>hi</b>");
  expect(file.headers.get("content-security-policy")).toMatch(/^sandbox;/);
  expect(file.headers.get("content-disposition")).toMatch(/^attachment;/);
  expect((await stage.ask("gil", "GET", at)).status).toBe(404);
  expect(
    (await stage.ask("cat", "GET", `${instance}/artifacts/1/..%2f..%2fetc%2fpasswd`)).status,
  ).toBe(404);
});

test("a page is 50 unless asked, never more than 100, and says how many there are", async () => {
  await stage.database.owner`
    insert into airlock.variable (tenant, key, sealed)
    select 'globex', 'many_' || lpad(n::text, 3, '0'), v.sealed from generate_series(1, 120) n,
      (select sealed from airlock.variable where tenant = 'globex' and key = 'city') v`;
  // Sealed for another key: they do not open. What is asked here is how many come, of those that do.
  await stage.database.owner`
    insert into airlock.pool (tenant, pool, slots) select 'globex', 'p' || lpad(n::text, 3, '0'), n from generate_series(1, 120) n`;
  const page = async (query: string): Promise<readonly [number, number, string | undefined]> => {
    const { body } = await stage.ask("gil", "GET", `/t/globex/api/v2/pools${query}`);
    return [body.pools.length, body.total_entries, body.pools[0]?.name];
  };
  expect(await page("")).toEqual([50, 121, "default_pool"]);
  expect(await page("?limit=0")).toEqual([50, 121, "default_pool"]);
  expect(await page("?limit=1000000000")).toEqual([100, 121, "default_pool"]);
  expect(await page("?limit=10&offset=115")).toEqual([6, 121, "p115"]);
  expect(await page("?order_by=-name&limit=1")).toEqual([1, 121, "p120"]);
  expect(await page("?pool_name_pattern=p00_ | p12%")).toEqual([10, 10, "p001"]);
});

test("filters, wildcards and orders of Airflow's lists work on DAGs, runs and instances", async () => {
  const ids = async (path: string, list: string, id: string): Promise<string[]> => {
    const { body, text, status } = await stage.ask("dan", "GET", `${base}${path}`);
    expect([status, text]).toEqual([200, text]);
    return body[list].map((row: Record<string, string>) => row[id]);
  };
  expect(await ids("/dags?dag_id_pattern=fin", "dags", "dag_id")).toEqual(["fin-x", "fin_report"]);
  expect(await ids("/dags?tags=payroll&tags=orders_etl", "dags", "dag_id")).toEqual([
    "orders_etl",
    "payroll",
  ]);
  expect(await ids("/dags?tags=payroll&tags=etl&tags_match_mode=all", "dags", "dag_id")).toEqual([
    "payroll",
  ]);
  expect(await ids("/dags?owners=nobody", "dags", "dag_id")).toEqual([]);
  expect(
    await ids("/dags?last_dag_run_state=running&order_by=-dag_id&limit=2", "dags", "dag_id"),
  ).toEqual(["payroll", "orders_etl"]);
  expect(
    await ids("/dags?order_by=last_run_state&order_by=dag_id&limit=1", "dags", "dag_id"),
  ).toEqual(["fin-x"]);
  expect(await ids("/dags/~/dagRuns?state=success", "dag_runs", "dag_run_id")).toEqual([
    "r1",
    "r1",
    "r1",
    "r1",
  ]);
  expect(
    await ids(
      "/dags/orders_etl/dagRuns?state=success&state=running&order_by=-run_after",
      "dag_runs",
      "dag_run_id",
    ),
  ).toEqual(["r2", "r1"]);
  expect(
    await ids(
      "/dags/orders_etl/dagRuns?logical_date_gte=2026-01-02T00:00:00%2B00:00",
      "dag_runs",
      "dag_run_id",
    ),
  ).toEqual(["r2"]);
  expect(
    await ids("/dags/orders_etl/dagRuns?duration_lt=61&duration_gte=60", "dag_runs", "dag_run_id"),
  ).toEqual(["r1"]);
  expect(
    await ids("/dags/orders_etl/dagRuns?run_id_pattern=%25_2", "dag_runs", "dag_run_id"),
  ).toEqual(["r2"]);
  expect(
    await ids("/dags/orders_etl/dagRuns/~/taskInstances?state=none", "task_instances", "task_id"),
  ).toEqual(["load", "load"]);
  expect(
    await ids(
      "/dags/~/dagRuns/~/taskInstances?state=running&dag_id_pattern=pay",
      "task_instances",
      "dag_id",
    ),
  ).toEqual(["payroll"]);
  expect(
    await ids("/dags/orders_etl/dagRuns/r1/taskInstances?map_index=1", "task_instances", "task_id"),
  ).toEqual(["load"]);
  const posted = await stage.ask("dan", "POST", `${base}/dags/~/dagRuns/~/taskInstances/list`, {
    dag_ids: ["payroll"],
    state: ["running", null],
    page_limit: 2,
    order_by: "-map_index",
  });
  expect(posted.body.task_instances.map((row: { map_index: number }) => row.map_index)).toEqual([
    1, 0,
  ]);
  expect(posted.body.total_entries).toBe(3);
  const runs = await stage.ask("dan", "POST", `${base}/dags/~/dagRuns/list`, {
    dag_ids: ["payroll"],
    states: ["success"],
  });
  expect(runs.body.dag_runs.map((row: { dag_id: string }) => row.dag_id)).toEqual(["payroll"]);
  const odd = await stage.ask("dan", "GET", `${base}/dags?order_by=is_paused;drop`);
  expect([odd.status, odd.body.detail]).toEqual([400, expect.stringContaining("disallowed")]);
});

test("numbers that JavaScript would round come out as they went in", async () => {
  expect((await stage.ask("dan", "GET", run)).text).toContain('"big":12345678901234567890');
  const xcom = await stage.ask("dan", "GET", `${instance}/xcomEntries/return_value`);
  expect(xcom.text).toContain('"n":12345678901234567890');
  const text = await stage.ask("dan", "GET", `${instance}/xcomEntries/return_value?stringify=true`);
  expect(text.body.value).toContain("12345678901234567890");
  const large = await stage.ask("dan", "GET", `${instance}/xcomEntries/tries`);
  expect(large.body.value).toEqual({ big: true });
});

test("a log is read in pages by token, as a stream, and from its archive", async () => {
  const first = await stage.ask("dan", "GET", `${instance}/logs/1`);
  expect(first.body.content.map((line: { event: string }) => line.event)).toEqual([
    "acme orders_etl line 0",
    "acme orders_etl line 1",
  ]);
  expect(first.body.continuation_token).toBeNull();
  const archived = await stage.ask("dan", "GET", `${instance}/logs/2`);
  expect(archived.body.content[0].event).toBe("archived 1");
  const next = await stage.ask(
    "dan",
    "GET",
    `${instance}/logs/2?token=${archived.body.continuation_token}`,
  );
  expect(next.body).toMatchObject({ content: [{ event: "archived 2" }], continuation_token: null });
  const whole = await stage.ask("dan", "GET", `${instance}/logs/2?full_content=true`);
  expect(whole.body.content).toHaveLength(2);
  const stream = await stage.ask("dan", "GET", `${instance}/logs/2`, undefined, {
    accept: "application/x-ndjson",
  });
  expect(stream.headers.get("content-type")).toBe("application/x-ndjson");
  expect(
    stream.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).event),
  ).toEqual(["archived 1", "archived 2"]);
  const text = await stage.ask("dan", "GET", `${instance}/logs/1`, undefined, {
    accept: "text/plain",
  });
  expect(text.text).toContain("{task} INFO - acme orders_etl line 0");
  const running = await stage.ask(
    "dan",
    "GET",
    `${base}/dags/orders_etl/dagRuns/r2/taskInstances/extract/logs/1`,
  );
  expect(running.body).toEqual({ content: [], continuation_token: null });
  for (const token of [
    "x",
    "e30",
    Buffer.from('{"attempt":-1,"seq":0,"byte":0}').toString("base64url"),
  ])
    expect((await stage.ask("dan", "GET", `${instance}/logs/1?token=${token}`)).status).toBe(400);
});

test("an attempt that still runs gives a token to go on with, and what came since", async () => {
  const [row] = await stage.database.owner<{ run: string }[]>`
    select run from airlock.dag_run where tenant = 'acme' and dag_id = 'payroll' and run_id = 'r2'`;
  const key = row?.run ?? "";
  const attempt = crypto.randomUUID();
  await stage.database.owner`
    insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue)
    values ('acme', ${attempt}, ${key}, 'payroll', 'extract', -1, 1, 'running', 'default')`;
  const path = `${base}/dags/payroll/dagRuns/r2/taskInstances/extract/logs/1`;
  const write = (seq: number) => stage.database.owner`
    insert into airlock.log_chunk (tenant, attempt, seq, lines, text) values ('acme', ${attempt}, ${seq}, 1, ${`[1,"info","task","line ${seq}"]\n`})`;
  const empty = await stage.ask("dan", "GET", path);
  expect(empty.body.content).toEqual([]);
  expect(empty.body.continuation_token).not.toBeNull();
  await write(0);
  const first = await stage.ask("dan", "GET", `${path}?token=${empty.body.continuation_token}`);
  expect(first.body.content.map((l: { event: string }) => l.event)).toEqual(["line 0"]);
  await write(1);
  const second = await stage.ask("dan", "GET", `${path}?token=${first.body.continuation_token}`);
  expect(second.body.content.map((l: { event: string }) => l.event)).toEqual(["line 1"]);
  await stage.database.owner`update airlock.attempt set state = 'ended' where attempt = ${attempt}`;
  const last = await stage.ask("dan", "GET", `${path}?token=${second.body.continuation_token}`);
  expect(last.body).toEqual({ content: [], continuation_token: null });
});

test("a trigger needs no field, hands over what was sent, and answers the run", async () => {
  const made = await stage.ask("bob", "POST", `${base}/dags/orders_etl/dagRuns`, {
    dag_run_id: "by hand",
    logical_date: null,
  });
  expect([made.status, made.body.detail[0].loc]).toEqual([422, ["body", "dag_run_id"]]);
  const fine = await stage.ask("bob", "POST", `${base}/dags/orders_etl/dagRuns`, {
    dag_run_id: "by_hand",
    logical_date: "2026-03-01T00:00:00Z",
    conf: { a: [1, { b: null }] },
    note: "why",
    partition_key: null,
    of_a_newer_client: null,
  });
  expect([fine.status, fine.text]).toEqual([200, fine.text]);
  expect(fine.body).toMatchObject({
    dag_run_id: "by_hand",
    state: "queued",
    conf: { a: [1, { b: null }] },
    triggering_user_name: "bob",
    note: "why",
  });
  expect(stage.calls.at(-1)).toMatchObject({
    deed: "triggerRun",
    tenant: "acme",
    asked: {
      dag_id: "orders_etl",
      run_id: "by_hand",
      user: "bob",
      triggered_by: "rest_api",
      logical_date: new Date("2026-03-01T00:00:00Z"),
    },
  });
  const again = await stage.ask("bob", "POST", `${base}/dags/orders_etl/dagRuns`, {
    dag_run_id: "by_hand",
  });
  expect(again.status).toBe(409);
  expect((await stage.ask("bob", "POST", `${base}/dags/orders_etl/dagRuns`, {})).status).toBe(200);
  expect((await stage.ask("bob", "POST", `${base}/dags/none/dagRuns`, {})).status).toBe(404);
});

test("clearing only says what it would do unless told otherwise", async () => {
  const path = `${base}/dags/orders_etl/clearTaskInstances`;
  const dry = await stage.ask("bob", "POST", path, {});
  expect([dry.status, dry.body.total_entries]).toEqual([200, 1]);
  expect(stage.calls.at(-1)).toMatchObject({
    deed: "clearInstances",
    asked: { dry_run: true, only_failed: true, reset_dag_runs: true, run_on_latest_version: false },
  });
  await stage.ask("bob", "POST", path, {
    dry_run: false,
    dag_run_id: "r1",
    task_ids: ["extract", ["load", 1]],
    include_downstream: true,
  });
  expect(stage.calls.at(-1)).toMatchObject({
    asked: {
      dry_run: false,
      run_ids: ["r1"],
      tasks: [{ task_id: "extract" }, { task_id: "load", map_index: 1 }],
      include_downstream: true,
    },
  });
  expect((await stage.ask("bob", "POST", path, { dag_run_id: "nope" })).status).toBe(404);
  expect((await stage.ask("bob", "POST", path, { include_past: true })).status).toBe(422);
});

test("marking, notes, pause, stop and delete go to the door with the person's name", async () => {
  const marked = await stage.ask("bob", "PATCH", `${instance}`, {
    new_state: "success",
    note: "by hand",
    include_downstream: true,
  });
  expect([marked.status, marked.text]).toEqual([200, marked.text]);
  expect(stage.calls.slice(-2)).toMatchObject([
    {
      deed: "markInstances",
      asked: { state: "success", include_downstream: true, dry_run: false, user: "bob" },
    },
    { deed: "noteInstance", asked: { note: "by hand", task_id: "extract" } },
  ]);
  const dry = await stage.ask("bob", "PATCH", `${instance}/dry_run`, { new_state: "failed" });
  expect([dry.status, stage.calls.at(-1)]).toMatchObject([
    200,
    { deed: "markInstances", asked: { dry_run: true } },
  ]);
  await stage.ask("bob", "PATCH", `${run}?update_mask=note`, { state: "failed", note: "n" });
  expect(stage.calls.at(-1)).toMatchObject({ deed: "noteRun", asked: { note: "n" } });
  expect((await stage.ask("bob", "PATCH", run, { state: "failed" })).status).toBe(200);
  expect((await stage.ask("bob", "POST", `${run}/stop`)).status).toBe(200);
  expect((await stage.ask("bob", "DELETE", run)).status).toBe(204);
  const paused = await stage.ask("bob", "PATCH", `${base}/dags/orders_etl`, { is_paused: true });
  expect(paused.body.is_paused).toBe(true);
  const refused = await stage.ask("bob", "DELETE", `${base}/dags/orders_etl`);
  expect([refused.status, refused.body.detail]).toEqual([400, "its file is live in pipelines"]);
});

test("connections, variables and pools are made, changed and removed as Airflow's clients do it", async () => {
  const codes: number[] = [];
  const tell = async (...args: Parameters<Stage["ask"]>): Promise<any> => {
    const answered = await stage.ask(...args);
    codes.push(answered.status);
    return answered.body;
  };
  const c = `${base}/connections`;
  const made = await tell("cat", "POST", c, {
    connection_id: "pg",
    conn_type: "postgres",
    host: "h",
    port: 5432,
    password: "pw1",
    extra: '{"sslmode":"require","token":"t1"}',
    login: null,
    description: null,
    schema: null,
    team_name: null,
  });
  expect(made).toMatchObject({
    connection_id: "pg",
    password: "***",
    extra: '{"sslmode":"require","token":"***"}',
  });
  await tell("cat", "POST", c, { connection_id: "pg", conn_type: "postgres" });
  await tell("cat", "PATCH", `${c}/pg?update_mask=host`, {
    connection_id: "pg",
    conn_type: "mysql",
    host: "h2",
    password: "lost",
  });
  await tell("cat", "PATCH", `${c}/pg`, {
    connection_id: "pg",
    conn_type: "postgres",
    password: "***",
    extra: '{"sslmode":"disable","token":"***"}',
  });
  const [row] = await stage.database
    .owner`select sealed, host from airlock.connection where tenant = 'acme' and conn_id = 'pg'`;
  expect(JSON.parse(await stage.keyring.open("acme", "connection", "pg", row?.["sealed"]))).toEqual(
    { password: "pw1", extra: '{"sslmode":"disable","token":"t1"}' },
  );
  expect(row?.["host"]).toBe("h2");
  await tell("cat", "DELETE", `${c}/pg`);
  await tell("cat", "DELETE", `${c}/pg`);
  expect(codes.splice(0)).toEqual([201, 409, 200, 200, 204, 404]);

  const v = `${base}/variables`;
  expect(await tell("cat", "POST", v, { key: "a/b", value: { n: 1 } })).toMatchObject({
    key: "a/b",
    value: '{\n  "n": 1\n}',
    is_encrypted: true,
  });
  expect(await tell("cat", "PATCH", `${v}/a%2Fb`, { key: "a/b", value: "two" })).toMatchObject({
    value: "two",
  });
  expect(await tell("cat", "GET", `${v}/a/b`)).toMatchObject({ value: "two" });
  await tell("cat", "DELETE", `${v}/a/b`);
  expect(codes.splice(0)).toEqual([201, 200, 200, 204]);

  const p = `${base}/pools`;
  expect(await tell("cat", "POST", p, { name: "db", slots: 3 })).toMatchObject({
    name: "db",
    slots: 3,
    open_slots: 3,
    occupied_slots: 0,
  });
  expect(await tell("cat", "PATCH", `${p}/db`, { slots: -1 })).toMatchObject({
    slots: -1,
    open_slots: -1,
  });
  // What waited for a slot may start.
  expect(stage.calls.at(-1)).toMatchObject({ deed: "limitGrew", tenant: "acme" });
  await tell("cat", "DELETE", `${p}/db`);
  await tell("cat", "DELETE", `${p}/default_pool`);
  expect(codes.splice(0)).toEqual([201, 200, 204, 400]);

  const bulk = await tell("cat", "PATCH", p, {
    actions: [
      {
        action: "create",
        entities: [
          { name: "b1", slots: 1 },
          { name: "default_pool", slots: 1 },
        ],
      },
      { action: "update", entities: [{ name: "b1", slots: 7 }] },
      { action: "delete", entities: ["b1", "none"] },
    ],
  });
  expect(bulk).toEqual({
    create: {
      success: ["b1"],
      errors: [{ error: "default_pool already exists", status_code: 409 }],
    },
    update: { success: ["b1"], errors: [] },
    delete: { success: ["b1"], errors: [{ error: "none was not found", status_code: 404 }] },
  });
});

test("a secret that was tampered with is told to the log and shown masked; the list stays readable", async () => {
  await stage.database.owner`
    update airlock.variable set sealed = (select sealed from airlock.variable where tenant = 'globex' and key = 'city')
     where tenant = 'acme' and key = 'city'`;
  const listed = await stage.ask("cat", "GET", `${base}/variables`);
  expect(listed.body.variables).toMatchObject([
    { key: "api_token" },
    { key: "city", value: "***" },
  ]);
  expect(String(stage.surprises.splice(0))).toContain("variable city of acme cannot be opened");
  await stage.database.owner`
    update airlock.connection set sealed = (select sealed from airlock.connection where tenant = 'globex')
     where tenant = 'acme' and conn_id = 'warehouse'`;
  const warehouse = `${base}/connections/warehouse`;
  expect((await stage.ask("cat", "GET", warehouse)).body).toMatchObject({
    password: "***",
    host: "db.acme.example",
  });
  const mended = { connection_id: "warehouse", conn_type: "postgres", password: "new" };
  expect((await stage.ask("cat", "PATCH", warehouse, mended)).status).toBe(200);
  stage.surprises.splice(0);
  expect((await stage.ask("cat", "GET", warehouse)).body).toMatchObject({
    password: "***",
    extra: null,
  });
  expect(stage.surprises).toEqual([]);
  expect(
    (await stage.ask("cat", "PATCH", `${base}/variables/city`, { value: "again" })).body.value,
  ).toBe("again");
});

test("XComs can be written, changed and removed by who may, within 64 KiB", async () => {
  const path = `${base}/dags/payroll/dagRuns/r1/taskInstances/extract/xcomEntries`;
  expect((await stage.ask("cat", "POST", path, { key: "k", value: { a: 1 } })).status).toBe(201);
  expect((await stage.ask("cat", "POST", path, { key: "k", value: 2 })).status).toBe(409);
  expect((await stage.ask("cat", "PATCH", `${path}/k`, { value: [3] })).body.value).toEqual([3]);
  expect(
    (await stage.ask("cat", "POST", path, { key: "big", value: "x".repeat(70_000) })).status,
  ).toBe(413);
  expect((await stage.ask("bob", "PATCH", `${path}/k`, { value: 4 })).status).toBe(403);
  expect((await stage.ask("cat", "DELETE", `${path}/k`)).status).toBe(204);
  expect((await stage.ask("cat", "GET", `${path}/k`)).status).toBe(404);
  expect(
    (await stage.ask("cat", "POST", path.replace("extract", "none"), { key: "k", value: 1 }))
      .status,
  ).toBe(404);
});

test("why says what holds an instance back", async () => {
  const why = async (path: string): Promise<string> =>
    (await stage.ask("dan", "GET", `${base}/dags/fin_report/dagRuns/${path}/why`)).body.why;
  expect(await why("r2/taskInstances/load/0")).toBe(
    "It waits for extract (trigger rule all_success).",
  );
  expect(await why("r2/taskInstances/extract")).toBe("It runs (try 1).");
  expect(await why("r1/taskInstances/extract")).toBe("It succeeded.");
  await stage.database.owner`
    update airlock.task_instance set state = 'scheduled', pool_slots = 500 where tenant = 'acme' and dag_id = 'fin_report' and task_id = 'load' and state is null`;
  expect(await why("r2/taskInstances/load/0")).toBe(
    "It needs 500 slots of the pool default_pool, which has 128 in all: it can never start.",
  );
});

/** The same shape, but a key that is not in it is an error: what is declared is what comes. */
function strict(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodObject)
    return z.strictObject(
      Object.fromEntries(
        Object.entries(schema.shape).map(([key, part]) => [key, strict(part as z.ZodType)]),
      ),
    );
  if (schema instanceof z.ZodArray) return z.array(strict(schema.element as z.ZodType));
  if (schema instanceof z.ZodNullable) return strict(schema.unwrap() as z.ZodType).nullable();
  return schema;
}
