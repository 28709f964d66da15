/* oxlint-disable typescript/no-unsafe-member-access, typescript/no-unsafe-assignment, typescript/no-unsafe-return -- answers are JSON of any shape here */
/** The attack classes of Airflow's advisories that these routes could fall to, each replayed. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  canary,
  openApiStage,
  type PersonName,
  password,
  people,
  type Stage,
} from "../../test/kit/api-stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openApiStage();
});
afterAll(() => stage.close());

const base = "/t/acme/api/v2";
const status = async (...args: Parameters<Stage["ask"]>): Promise<number> =>
  (await stage.ask(...args)).status;

/** A route's path with something plausible in each place. */
const fill = (path: string, tenant: string, dag: string): string =>
  path
    .replace("{tenant}", tenant)
    .replace("{dag_id}", dag)
    .replace("{dag_run_id}", "r1")
    .replace("{task_id}", "extract")
    .replace("{map_index}", "0")
    .replace("{try_number}", "1")
    .replace("{version_number}", "1")
    .replace("{connection_id}", "warehouse")
    .replace("{variable_key*}", "city")
    .replace("{pool_name*}", "default_pool")
    .replace("{xcom_key*}", "return_value")
    .replace("{import_error_id}", "1")
    .replace("{event_log_id}", "1")
    .replace("{repository}", "pipelines")
    .replace("{username}", "ann")
    .replace("{token_id}", "AAAAAAAAAAAA");

// ---- M: no authentication

test("everything that Hono would answer was declared with a policy", () => {
  const mounted = stage.api.routes.map(
    ({ method, path }) => `${method} ${path.replace(/\{[^}]*\}/g, "")}`,
  );
  const declared = stage.api.endpoints.map(
    ({ method, path }) => `${method} ${path.replace(/\{(\w+)\*?\}/g, ":$1")}`,
  );
  expect(declared.length).toBeGreaterThan(80);
  expect(mounted.toSorted()).toEqual(declared.toSorted());
  for (const { policy } of stage.api.endpoints)
    expect("deed" in policy || "open" in policy || "signedIn" in policy).toBe(true);
});

test("only these routes answer strangers", () => {
  const open = stage.api.endpoints.filter(({ policy }) => "open" in policy);
  expect(open.map(({ method, path }) => `${method} ${path}`).toSorted()).toEqual([
    "GET /api/platform/openapi.json",
    "GET /api/platform/version",
    "GET /livez",
    "GET /readyz",
    "GET /t/{tenant}/api/v2/monitor/health",
    "GET /t/{tenant}/api/v2/version",
    "POST /api/platform/session",
    "POST /t/{tenant}/auth/token",
    "POST /t/{tenant}/auth/token/cli",
  ]);
});

test("a stranger gets 401 from every other route, whether the tenant exists or not", async () => {
  for (const endpoint of stage.api.endpoints) {
    if ("open" in endpoint.policy) continue;
    for (const tenant of ["acme", "nowhere"]) {
      const path = fill(endpoint.path, tenant, "orders_etl");
      const answered = await stage.ask(
        undefined,
        endpoint.method,
        path,
        endpoint.body ? {} : undefined,
      );
      expect([endpoint.method, path, answered.status]).toEqual([endpoint.method, path, 401]);
    }
  }
});

test("forged, cut and misplaced tokens are no tokens", async () => {
  const token = stage.tokens.dan;
  const bad = [
    `${token.slice(0, -1)}A`,
    `${token.slice(0, -2)}`,
    token.toUpperCase(),
    "alk_x",
    "",
    "null",
    `${token} `.repeat(2),
  ];
  for (const value of bad) {
    if (value === token) continue;
    expect(
      await status(undefined, "GET", `${base}/dags`, undefined, {
        authorization: `Bearer ${value}`,
      }),
    ).toBe(401);
  }
  expect(await status(undefined, "GET", `${base}/dags?access_token=${token}`)).toBe(401);
  expect(
    await status(undefined, "GET", `${base}/dags`, undefined, {
      cookie: `airlock_session=${token}`,
    }),
  ).toBe(401);
  expect(
    await status(undefined, "GET", `${base}/dags`, undefined, {
      authorization: `Basic ${btoa(`dan:${password}`)}`,
    }),
  ).toBe(401);
});

// ---- other tenants

test("the admin of one tenant gets 404 from every route of another, and changes nothing there", async () => {
  const before = stage.calls.length;
  for (const endpoint of stage.api.endpoints) {
    if ("open" in endpoint.policy || !endpoint.path.includes("{tenant}")) continue;
    const path = fill(endpoint.path, "acme", "orders_etl");
    const there = await stage.ask("gil", endpoint.method, path, endpoint.body ? {} : undefined);
    const nowhere = await stage.ask(
      "gil",
      endpoint.method,
      fill(endpoint.path, "nowhere", "orders_etl"),
      endpoint.body ? {} : undefined,
    );
    // The platform's own deed on a tenant is closed to tenant admins for every name alike.
    const expected = "platform" in endpoint.policy ? 403 : 404;
    expect([endpoint.method, path, there.status]).toEqual([endpoint.method, path, expected]);
    expect(there.text).toBe(nowhere.text);
  }
  expect(stage.calls.length).toBe(before);
});

test("two tenants have things of the same name, and each sees its own", async () => {
  const connection = async (who: PersonName, tenant: string) =>
    (await stage.ask(who, "GET", `/t/${tenant}/api/v2/connections/warehouse`)).body;
  expect((await connection("dan", "acme")).host).toBe("db.acme.example");
  expect((await connection("gil", "globex")).host).toBe("db.globex.example");
  expect((await stage.ask("gil", "GET", "/t/globex/api/v2/variables/city")).body.value).toBe(
    "globex city",
  );
  const dags = (await stage.ask("gil", "GET", "/t/globex/api/v2/dags")).body.dags;
  expect(dags.map((dag: { dag_id: string }) => dag.dag_id)).toEqual(["orders_etl", "secret_plan"]);
});

test("a token of one tenant is nothing in another, even for a platform admin", async () => {
  const made = await stage.ask("root", "POST", "/api/platform/tokens", {
    name: "ci",
    tenant: "acme",
  });
  const bound = { authorization: `Bearer ${made.body.token}` };
  expect(await status(undefined, "GET", `${base}/dags`, undefined, bound)).toBe(200);
  expect(await status(undefined, "GET", "/t/globex/api/v2/dags", undefined, bound)).toBe(404);
  expect(await status(undefined, "GET", "/api/platform/users", undefined, bound)).toBe(403);
  expect(await status(undefined, "POST", "/api/platform/tokens", { name: "wider" }, bound)).toBe(
    403,
  );
  expect(
    await status(
      undefined,
      "PUT",
      "/api/platform/users/root/password",
      { password: "a new password" },
      bound,
    ),
  ).toBe(403);
  const tenants = await stage.ask(undefined, "GET", "/api/platform/tenants", undefined, bound);
  expect(tenants.body.tenants.map((row: { name: string }) => row.name)).toEqual(["acme"]);
});

test("tenants are listed to those who have something to do there", async () => {
  const names = async (who: PersonName) =>
    (await stage.ask(who, "GET", "/api/platform/tenants")).body.tenants.map(
      (row: { name: string }) => row.name,
    );
  expect(await names("root")).toEqual(["acme", "globex"]);
  expect(await names("eve")).toEqual(["acme"]);
  expect(await names("gil")).toEqual(["globex"]);
  expect(await names("nob")).toEqual([]);
});

// ---- A: the id in the body is not the id in the path

test("a right on one DAG does not reach another one that the body names", async () => {
  const clear = await stage.ask("eve", "POST", `${base}/dags/payroll/clearTaskInstances`, {
    dag_id: "orders_etl",
    dry_run: false,
  });
  expect([clear.status, clear.body.detail[0]]).toMatchObject([
    422,
    { loc: ["body", "dag_id"], type: "extra_forbidden" },
  ]);
  expect(await status("eve", "POST", `${base}/dags/orders_etl/clearTaskInstances`, {})).toBe(404);
  expect(await status("eve", "POST", `${base}/dags/~/clearTaskInstances`, {})).toBe(404);
  expect(await status("eve", "POST", `${base}/dags/~/dagRuns`, {})).toBe(404);
  const listed = await stage.ask("eve", "POST", `${base}/dags/~/dagRuns/list`, {
    dag_ids: ["orders_etl", "payroll"],
  });
  expect(new Set(listed.body.dag_runs.map((run: { dag_id: string }) => run.dag_id))).toEqual(
    new Set(["payroll"]),
  );
  expect(
    (
      await stage.ask("eve", "POST", `${base}/dags/payroll/dagRuns/~/taskInstances/list`, {
        dag_ids: ["orders_etl"],
      })
    ).body.total_entries,
  ).toBe(0);
});

test("a PATCH whose body names another connection, variable or pool is refused", async () => {
  expect(
    await status("cat", "PATCH", `${base}/connections/warehouse`, {
      connection_id: "other",
      conn_type: "x",
    }),
  ).toBe(422);
  expect(await status("cat", "PATCH", `${base}/variables/city`, { key: "other", value: "x" })).toBe(
    422,
  );
  expect(await status("cat", "PATCH", `${base}/pools/default_pool`, { pool: "other" })).toBe(422);
});

// ---- B: wildcards and lists

test("a list shows only what the asker may see, whatever wildcard or filter is used", async () => {
  const seen = async (path: string, list: string, key: string): Promise<Set<string>> =>
    new Set(
      (await stage.ask("eve", "GET", `${base}${path}`)).body[list].map(
        (row: Record<string, string>) => row[key],
      ),
    );
  const own = new Set(["payroll", "fin_report"]);
  expect(await seen("/dags", "dags", "dag_id")).toEqual(own);
  expect(await seen("/dags?dag_id_pattern=%25", "dags", "dag_id")).toEqual(own);
  expect(await seen("/dags?order_by=-last_run_state", "dags", "dag_id")).toEqual(own);
  expect(await seen("/dags/~/dagRuns", "dag_runs", "dag_id")).toEqual(own);
  expect(await seen("/dags/~/dagRuns?dag_id_pattern=orders", "dag_runs", "dag_id")).toEqual(
    new Set(),
  );
  expect(await seen("/dags/~/dagRuns/~/taskInstances", "task_instances", "dag_id")).toEqual(own);
  expect(
    await seen("/dags/~/dagRuns/~/taskInstances/~/xcomEntries", "xcom_entries", "dag_id"),
  ).toEqual(own);
  expect(await seen("/dags/~/dagVersions", "dag_versions", "dag_id")).toEqual(own);
  expect(await seen("/dagStats?dag_ids=orders_etl&dag_ids=payroll", "dags", "dag_id")).toEqual(
    new Set(["payroll"]),
  );
  expect((await stage.ask("eve", "GET", `${base}/dagTags`)).body.tags).toEqual([
    "etl",
    "fin_report",
    "payroll",
  ]);
  const total = (await stage.ask("eve", "GET", `${base}/dags?limit=1`)).body.total_entries;
  expect(total).toBe(2);
  for (const list of ["connections", "variables", "pools"])
    expect(await status("eve", "GET", `${base}/${list}`)).toBe(403);
  for (const path of [
    "/dags/orders_etl",
    "/dags/orders_etl/dagRuns",
    "/dags/fin-x",
    "/dags/orders_etl/dagRuns/r1/taskInstances",
    "/dags/orders_etl/dagRuns/r1/taskInstances/extract/logs/1",
  ])
    expect(await status("eve", "GET", `${base}${path}`)).toBe(404);
});

test("a hidden DAG answers like one that is not there", async () => {
  const hidden = await stage.ask("eve", "GET", `${base}/dags/orders_etl`);
  const absent = await stage.ask("eve", "GET", `${base}/dags/never_was`);
  expect([hidden.status, hidden.text]).toEqual([absent.status, absent.text]);
});

// ---- D: create = overwrite

test("bulk asks for the right on each entity, and one without it changes nothing", async () => {
  await stage.ask("dan", "POST", "/api/platform/tenants/acme/grants", {
    subject: "user:ann",
    thing: "conn:mine_*",
    deed: "conn.write",
  });
  const answered = await stage.ask("ann", "PATCH", `${base}/connections`, {
    actions: [
      {
        action: "create",
        action_on_existence: "overwrite",
        entities: [
          { connection_id: "warehouse", conn_type: "x", host: "evil" },
          { connection_id: "mine_1", conn_type: "http" },
        ],
      },
      {
        action: "update",
        entities: [{ connection_id: "warehouse", conn_type: "x", host: "evil" }],
      },
      { action: "delete", entities: ["warehouse", { connection_id: "warehouse" }] },
    ],
  });
  expect(answered.body.create.success).toEqual(["mine_1"]);
  expect(
    [
      ...answered.body.create.errors,
      ...answered.body.update.errors,
      ...answered.body.delete.errors,
    ].map((e: { status_code: number }) => e.status_code),
  ).toEqual([404, 404, 404, 404]);
  expect((await stage.ask("dan", "GET", `${base}/connections/warehouse`)).body.host).toBe(
    "db.acme.example",
  );
  expect(
    await status("ann", "POST", `${base}/connections`, { connection_id: "theirs", conn_type: "x" }),
  ).toBe(404);
});

// ---- E: errors and sources

test("import errors and sources are for those who may read every DAG of the file", async () => {
  const files = async (who: PersonName) =>
    (await stage.ask(who, "GET", `${base}/importErrors`)).body.import_errors.map(
      (e: { filename: string }) => e.filename,
    );
  expect(await files("ann")).toEqual(["dags/payroll.py", "dags/fin_report.py"]);
  await stage.ask("dan", "POST", "/api/platform/tenants/acme/grants", {
    subject: "user:ann",
    thing: "dag:payroll",
    deed: "*",
    effect: "deny",
  });
  expect(await files("ann")).toEqual(["dags/fin_report.py"]);
  expect(await status("ann", "GET", `${base}/importErrors/1`)).toBe(404);
  expect(await status("ann", "GET", `${base}/dagSources/payroll`)).toBe(404);
  await stage.database
    .owner`update airlock.dag_version set path = 'dags/payroll.py' where tenant = 'acme' and dag_id = 'fin_report'`;
  await stage.database
    .owner`update airlock.dag set path = 'dags/payroll.py' where tenant = 'acme' and dag_id = 'fin_report'`;
  expect(await status("ann", "GET", `${base}/dagSources/fin_report`)).toBe(404);
  expect(await status("dan", "GET", `${base}/dagSources/fin_report`)).toBe(200);
});

// ---- F: audit and logs

test("the audit log is the admin's, and holds who did what, refusals included", async () => {
  for (const who of ["ann", "bob", "cat", "eve"] as const)
    expect(await status(who, "GET", "/api/platform/tenants/acme/audit")).toBe(403);
  expect(await status("dan", "GET", "/api/platform/audit")).toBe(403);
  await stage.ask("ann", "DELETE", `${base}/dags/orders_etl`);
  await stage.ask("cat", "PATCH", `${base}/variables/city`, { value: "new" });
  const { events } = (await stage.ask("dan", "GET", "/api/platform/tenants/acme/audit")).body;
  expect(events.slice(0, 2)).toMatchObject([
    { actor: "user:cat", deed: "var.write", thing: "var:city", outcome: "done", ip: "192.0.2.1" },
    { actor: "user:ann", deed: "dag.delete", outcome: "refused" },
  ]);
});

test("a DAG whose name begins with another's is not that DAG", async () => {
  await stage.ask("dan", "POST", "/api/platform/tenants/acme/grants", {
    subject: "user:nob",
    thing: "dag:fin",
    deed: "b:viewer",
  });
  expect(await status("nob", "GET", `${base}/dags/fin_report`)).toBe(404);
  expect((await stage.ask("nob", "GET", `${base}/dags`)).body.total_entries).toBe(0);
});

// ---- H: secrets

test("no planted secret comes out of any route, for anybody, nor lies in the database", async () => {
  for (const who of Object.keys(people) as PersonName[])
    for (const endpoint of stage.api.endpoints) {
      if (endpoint.method !== "GET") continue;
      const answered = await stage.ask(who, "GET", fill(endpoint.path, "acme", "orders_etl"));
      expect([endpoint.path, answered.text.includes(canary)]).toEqual([endpoint.path, false]);
    }
  for (const path of [
    "/variables/api_token",
    "/connections/warehouse",
    "/variables?order_by=-_val",
  ])
    expect((await stage.ask("cat", "GET", `${base}${path}`)).text).not.toContain(canary);
  const made = await stage.ask("cat", "POST", `${base}/connections`, {
    connection_id: "c2",
    conn_type: "http",
    password: `${canary}2`,
    extra: `${canary}3`,
  });
  expect(made.text).not.toContain(canary);
  const twice = await stage.ask("cat", "POST", `${base}/connections`, {
    connection_id: "c2",
    conn_type: "http",
    port: -1,
    password: `${canary}4`,
  });
  expect([twice.status, twice.text.includes(canary)]).toEqual([422, false]);
  const holding = async (): Promise<string[]> => {
    const tables = await stage.database.owner<{ tablename: string }[]>`
      select tablename from pg_tables where schemaname = 'airlock'`;
    const hits: string[] = [];
    for (const { tablename } of tables) {
      // Bytes show as hexadecimal digits in a row's text.
      const rows = await stage.database.owner`
        select 1 from ${stage.database.owner(`airlock.${tablename}`)} t
         where strpos(t::text, ${canary}) > 0 or strpos(t::text, ${Buffer.from(canary).toString("hex")}) > 0 limit 1`;
      if (rows.length > 0) hits.push(tablename);
    }
    return hits;
  };
  expect(await holding()).toEqual([]);
  // The search itself can find: bytes that are not sealed, and text.
  await stage.database.owner`
    insert into airlock.variable (tenant, key, sealed) values ('globex', 'control', ${Buffer.from(canary)})`;
  await stage.database
    .owner`update airlock.tenant set display_name = ${canary} where tenant = 'globex'`;
  expect((await holding()).toSorted()).toEqual(["tenant", "variable"]);
  await stage.database.owner`delete from airlock.variable where key = 'control'`;
  await stage.database.owner`update airlock.tenant set display_name = '' where tenant = 'globex'`;
});

// ---- L: sessions

test("a session ends with sign-out, a new password, disabling, idleness and age, at once", async () => {
  const me = (cookie: string) =>
    status(undefined, "GET", "/api/platform/session", undefined, { cookie });
  const signIn = async (name: string, secret = password): Promise<string> => {
    const answered = await stage.ask(undefined, "POST", "/api/platform/session", {
      username: name,
      password: secret,
    });
    expect([answered.status, answered.text]).toEqual([201, answered.text]);
    const set = answered.headers.get("set-cookie") ?? "";
    expect(set).toMatch(
      /^airlock_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+$/,
    );
    return set.split(";")[0] ?? "";
  };
  const planted = `airlock_session=${"A".repeat(43)}`;
  const first = await stage.ask(
    undefined,
    "POST",
    "/api/platform/session",
    { username: "nob", password },
    { cookie: planted },
  );
  expect(first.headers.get("set-cookie")).not.toContain("A".repeat(43));
  expect(await me(planted)).toBe(401);

  const out = await signIn("nob");
  expect(await me(out)).toBe(200);
  await stage.ask(undefined, "DELETE", "/api/platform/session", undefined, {
    cookie: out,
    origin: "http://localhost:8080",
  });
  expect(await me(out)).toBe(401);

  const changed = await signIn("nob");
  expect(
    await status("root", "PUT", "/api/platform/users/nob/password", { password: "another one" }),
  ).toBe(204);
  expect(await me(changed)).toBe(401);
  expect(
    (await stage.ask(undefined, "POST", "/api/platform/session", { username: "nob", password }))
      .status,
  ).toBe(401);

  const disabled = await signIn("nob", "another one");
  expect(await status("root", "PATCH", "/api/platform/users/nob", { state: "disabled" })).toBe(200);
  expect(await me(disabled)).toBe(401);
  expect(await status("nob", "GET", "/api/platform/session")).toBe(401);
  await stage.ask("root", "PATCH", "/api/platform/users/nob", { state: "active" });

  for (const change of [
    "seen_at = clock_timestamp() - interval '13 hours'",
    "expires_at = clock_timestamp() - interval '1 second'",
  ]) {
    const old = await signIn("nob", "another one");
    await stage.database.owner.unsafe(`update airlock.session set ${change} where person = 'nob'`);
    expect(await me(old)).toBe(401);
  }
});

test("a revoked, expired or narrowed token does what it then may, and no more", async () => {
  const token = async (body: object): Promise<{ id: string; token: string }> =>
    (await stage.ask("dan", "POST", "/api/platform/tokens", { name: "t", ...body })).body;
  const as = (text: string) => ({ authorization: `Bearer ${text}` });
  const narrow = await token({ scopes: ["dag.read"] });
  expect(await status(undefined, "GET", `${base}/dags`, undefined, as(narrow.token))).toBe(200);
  expect(await status(undefined, "GET", `${base}/connections`, undefined, as(narrow.token))).toBe(
    403,
  );
  expect(
    await status(undefined, "POST", "/api/platform/tokens", { name: "wide" }, as(narrow.token)),
  ).toBe(403);
  const wide = await token({ scopes: ["b:admin"] });
  expect(
    await status(
      undefined,
      "POST",
      "/api/platform/tenants/acme/roles",
      { subject: "user:gil", role: "admin" },
      as(wide.token),
    ),
  ).toBe(403);
  expect(
    await status("dan", "POST", "/api/platform/tokens", { name: "t", scopes: ["b:god"] }),
  ).toBe(422);
  const old = await token({ expires_in_days: 1 });
  await stage.database
    .owner`update airlock.token set expires_at = clock_timestamp() where id = ${old.id}`;
  expect(await status(undefined, "GET", `${base}/dags`, undefined, as(old.token))).toBe(401);
  expect(await status("ann", "DELETE", `/api/platform/tokens/${wide.id}`)).toBe(404);
  expect(await status("dan", "DELETE", `/api/platform/tokens/${wide.id}`)).toBe(204);
  expect(await status(undefined, "GET", `${base}/dags`, undefined, as(wide.token))).toBe(401);
});

test("a role taken away is gone with the next request, a role given is there", async () => {
  expect(await status("gil", "GET", `${base}/dags`)).toBe(404);
  expect(
    await status("dan", "POST", "/api/platform/tenants/acme/roles", {
      subject: "user:gil",
      role: "viewer",
    }),
  ).toBe(201);
  expect(await status("gil", "GET", `${base}/dags`)).toBe(200);
  expect(
    await status("dan", "DELETE", "/api/platform/tenants/acme/roles?subject=user:gil&role=viewer"),
  ).toBe(204);
  expect(await status("gil", "GET", `${base}/dags`)).toBe(404);
});

test("a tenant's admin cannot become the platform's, and the platform's last admin stays", async () => {
  expect(
    await status("dan", "POST", "/api/platform/admins", { subject: "user:dan", role: "admin" }),
  ).toBe(403);
  expect(await status("dan", "PATCH", "/api/platform/tenants/acme", { max_running: 100_000 })).toBe(
    403,
  );
  expect(await status("dan", "POST", "/api/platform/tenants", { name: "mine" })).toBe(403);
  expect(
    await status("dan", "POST", "/api/platform/tenants/globex/roles", {
      subject: "user:dan",
      role: "admin",
    }),
  ).toBe(404);
  expect(await status("root", "DELETE", "/api/platform/admins?subject=user:root&role=admin")).toBe(
    409,
  );
  expect(await status("root", "PATCH", "/api/platform/users/root", { state: "disabled" })).toBe(
    409,
  );
  expect(await status("root", "DELETE", "/api/platform/users/root")).toBe(409);
});

test("access tokens open one tenant, for who has something to do there", async () => {
  const sign = (tenant: string, username: string, secret = password) =>
    stage.ask(undefined, "POST", `/t/${tenant}/auth/token`, { username, password: secret });
  const made = await sign("acme", "ann");
  expect([made.status, Object.keys(made.body)]).toEqual([201, ["access_token"]]);
  const as = { authorization: `Bearer ${made.body.access_token}` };
  expect(await status(undefined, "GET", `${base}/dags`, undefined, as)).toBe(200);
  const form = await stage.ask(
    undefined,
    "POST",
    "/t/acme/auth/token/cli",
    "username=ann&password=correct+horse",
    { "content-type": "application/x-www-form-urlencoded" },
  );
  expect(form.status).toBe(201);
  const refusals = [
    await sign("globex", "ann"),
    await sign("nowhere", "ann"),
    await sign("acme", "ann", "wrong password"),
    await sign("acme", "who?"),
  ];
  expect(new Set(refusals.map((answered) => `${answered.status} ${answered.text}`))).toEqual(
    new Set(['401 {"detail":"Invalid credentials"}']),
  );
});

test("who guesses is slowed down by account and address", async () => {
  const codes: number[] = [];
  for (let tries = 0; tries < 12; tries++)
    codes.push(
      await status(undefined, "POST", "/api/platform/session", {
        username: "cat",
        password: "x".repeat(2_000),
      }),
    );
  expect(codes.slice(0, 10)).toEqual(Array(10).fill(401));
  expect(codes.slice(10)).toEqual([429, 429]);
  const late = await stage.ask(undefined, "POST", "/api/platform/session", {
    username: "cat",
    password,
  });
  expect([late.status, Number(late.headers.get("retry-after")) > 0]).toEqual([429, true]);
});

// ---- M: CSRF

test("with a cookie, what changes something must come from our own pages", async () => {
  const session = await stage.api.signIn.openSession("dan", null);
  const cookie = `airlock_session=${session}`;
  const trigger = (headers: Record<string, string>, body: unknown = {}) =>
    status(undefined, "POST", `${base}/dags/orders_etl/dagRuns`, body, { cookie, ...headers });
  expect(await trigger({})).toBe(403);
  expect(await trigger({ origin: "http://evil.example" })).toBe(403);
  expect(await trigger({ origin: "null" })).toBe(403);
  expect(await trigger({ origin: "http://localhost:8080.evil.example" })).toBe(403);
  expect(await trigger({ origin: "http://localhost:9999" })).toBe(403);
  expect(await trigger({ "sec-fetch-site": "cross-site" })).toBe(403);
  expect(await trigger({ origin: "http://localhost:8080" })).toBe(200);
  expect(await trigger({ "sec-fetch-site": "same-origin" })).toBe(200);
  expect(
    await trigger({ origin: "http://localhost:8080", "content-type": "text/plain" }, "{}"),
  ).toBe(415);
  expect(
    await status(undefined, "GET", `${base}/dags/orders_etl/dagRuns?trigger=1`, undefined, {
      cookie,
    }),
  ).toBe(200);
  const foreign = await stage.ask(
    undefined,
    "POST",
    "/api/platform/session",
    { username: "ann", password },
    { origin: "http://evil.example" },
  );
  expect(foreign.status).toBe(403);
});

// ---- N: paths, and everything else that is odd

test("odd ids are refused by name and reach nothing", async () => {
  const before = stage.calls.length;
  for (const id of [
    "..%2F..%2Fetc",
    "%252e%252e",
    "a%00b",
    "x".repeat(300),
    "a%20b",
    "%F0%9F%98%80",
    "a%0Ab",
    "'%20or%201=1",
  ]) {
    for (const path of [
      `/dags/${id}`,
      `/dags/orders_etl/dagRuns/${id}`,
      `/dags/orders_etl/dagRuns/r1/taskInstances/${id}`,
      `/connections/${id}`,
      `/variables/${id}`,
      `/pools/${id}`,
    ]) {
      const answered = await stage.ask("dan", "GET", `${base}${path}`);
      expect([path, [400, 404].includes(answered.status)]).toEqual([path, true]);
    }
    expect([400, 404]).toContain(await status("dan", "POST", `${base}/dags/${id}/dagRuns`, {}));
  }
  expect([400, 404]).toContain(await status("dan", "GET", `${base}/dags/%E0%A4%A`));
  expect(stage.calls.length).toBe(before);
});

test("malformed requests get a 4xx that names the field, never a 5xx", async () => {
  const ugly: unknown[] = [
    "",
    "{",
    "[]",
    "null",
    "1",
    '"x"',
    "[".repeat(100_000),
    `{"conf":${"[".repeat(70)}${"]".repeat(70)}}`,
    '{"a":1e400}',
    { dag_run_id: 5 },
    { dag_run_id: "a\u0000b" },
    { note: "\ud800" },
    { conf: [] },
    { logical_date: "tomorrow" },
    { logical_date: "2026-13-45" },
    { run_after: {} },
    { constructor: 1 },
    { data_interval_start: "2026-01-01" },
  ];
  for (const body of ugly) {
    const answered = await stage.ask("dan", "POST", `${base}/dags/orders_etl/dagRuns`, body);
    expect([body, answered.status]).toEqual([body, answered.status === 400 ? 400 : 422]);
    expect(answered.headers.get("content-type")).toBe("application/json");
    expect(answered.text).not.toMatch(/\bat .*\.ts|node_modules|postgres/i);
  }
  const inert = await stage.ask(
    "dan",
    "POST",
    `${base}/dags/orders_etl/dagRuns`,
    '{"conf":{"__proto__":{"polluted":1}}}',
  );
  expect(inert.status).toBe(200);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
  for (const query of [
    "limit=x",
    "limit=-1",
    "offset=1e9",
    "offset=99999999999",
    "exclude_stale=maybe",
    "tags_match_mode=none",
    "dag_id_pattern=%00",
    "last_dag_run_state=ok",
    "limit=1&limit=",
    "order_by=constructor",
    "order_by=__proto__",
  ])
    expect([query, await status("dan", "GET", `${base}/dags?${query}`)]).toEqual([
      query,
      query.startsWith("order") || query.includes("%00") ? 400 : 422,
    ]);
  for (const query of [
    "dag_id_pattern=%5C",
    "dag_id_pattern=%25_%25%7C",
    "dag_id_pattern=' or 1=1 --",
    "tags=%7B%22",
    "owners=%5C%22%2C",
    "unknown=1",
  ])
    expect([query, await status("dan", "GET", `${base}/dags?${query}`)]).toEqual([query, 200]);
  expect(
    await status("dan", "GET", `${base}/dags/orders_etl/dagRuns?start_date_gte=9999-99-99`),
  ).toBe(422);
  expect(await status("dan", "POST", `${base}/pools`, { name: "p", slots: 1e10 })).toBe(422);
  expect(
    await status("dan", "POST", `${base}/connections`, { connection_id: "a/../b", conn_type: "x" }),
  ).toBe(422);
  expect(stage.surprises).toEqual([]);
});

test("a body over a mebibyte is refused, whatever length it claims", async () => {
  const big = JSON.stringify({ note: "x".repeat(1_100_000) });
  expect(await status("dan", "POST", `${base}/dags/orders_etl/dagRuns`, big)).toBe(413);
  expect(
    await status("dan", "POST", `${base}/dags/orders_etl/dagRuns`, big, { "content-length": "10" }),
  ).toBe(413);
});

test("every method on every route with junk ends below 500", async () => {
  for (const endpoint of stage.api.endpoints) {
    for (const body of [undefined, {}, { x: 1 }]) {
      const answered = await stage.ask(
        "root",
        endpoint.method,
        fill(endpoint.path, "acme", "orders_etl").replace("/users/ann", "/users/zed"),
        endpoint.method === "GET" ? undefined : body,
        { accept: "*/*" },
      );
      expect([endpoint.method, endpoint.path, answered.status < 500]).toEqual([
        endpoint.method,
        endpoint.path,
        true,
      ]);
    }
  }
  expect(stage.surprises).toEqual([]);
});

test("a suspended tenant can be read and not changed", async () => {
  expect(
    await status("root", "PATCH", "/api/platform/tenants/globex", { state: "suspended" }),
  ).toBe(200);
  await expect
    .poll(() => status("gil", "POST", "/t/globex/api/v2/dags/orders_etl/dagRuns", {}))
    .toBe(403);
  expect(await status("gil", "GET", "/t/globex/api/v2/dags")).toBe(200);
  expect(await status("root", "PATCH", "/api/platform/tenants/globex", { state: "active" })).toBe(
    200,
  );
});
