/* oxlint-disable typescript/no-unsafe-assignment -- answers are JSON of any shape here */

/**
 * A served API on a database of its own: two tenants with things of the same names, people of every role, and
 * doors (runs, sources) that remember what was asked of them.
 */
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { type Api, createApi } from "../../platform/api/create-api.ts";
import type { ApiDeps, InstanceRef, RunDeeds, SourceDeeds } from "../../platform/api/deps.ts";
import { openRuleSource } from "../../platform/api/rule-source.ts";
import { bad, good } from "../../platform/model/answer.ts";
import type { DagSpec, TaskSpec } from "../../platform/model/dag-spec.ts";
import { known } from "../../platform/model/ids.ts";
import { sealConnection } from "../../platform/secrets/connection-value.ts";
import { type Keyring, openKeyring } from "../../platform/secrets/keyring.ts";
import { hashPassword } from "../../platform/secrets/passwords.ts";
import { deriveKeys, readPlatformKeys } from "../../platform/secrets/platform-keys.ts";
import { addConnection } from "../../platform/store/connections.ts";
import { addAssignment, addRule } from "../../platform/store/grants.ts";
import { openStore, type Store } from "../../platform/store/open.ts";
import { addPerson } from "../../platform/store/people.ts";
import { openTenantKeys } from "../../platform/store/tenant-keys.ts";
import { createTenant } from "../../platform/store/tenants.ts";
import { addVariable } from "../../platform/store/variables.ts";
import { openAuthorizer } from "../../policies/authz/authorizer.ts";
import { openDatabase, type TestDatabase } from "./database.ts";

export const password = "correct horse";
/** Planted in everything secret: it must never come out. */
export const canary = "c4n4ry";

export const people = {
  root: "platform admin",
  ann: "viewer of acme",
  bob: "user of acme",
  cat: "op of acme",
  dan: "admin of acme",
  eve: "may trigger acme's payroll and read fin_*, nothing else",
  gil: "admin of globex",
  nob: "nobody anywhere",
} as const;
export type PersonName = keyof typeof people;

export type Calls = { readonly deed: string; readonly tenant: string; readonly asked: unknown }[];

export type Stage = {
  readonly api: Api;
  readonly store: Store;
  readonly database: TestDatabase;
  readonly keyring: Keyring;
  readonly deps: ApiDeps;
  readonly calls: Calls;
  readonly surprises: unknown[];
  readonly tokens: Readonly<Record<PersonName, string>>;
  /** A request as this person (undefined: as nobody). `body` is sent as JSON. */
  ask(
    who: PersonName | undefined,
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Asked>;
  close(): Promise<void>;
};
export type Asked = { status: number; body: any; text: string; headers: Headers };

export async function openApiStage(server?: string): Promise<Stage> {
  const database = await openDatabase(server);
  const store = openStore(database.url, { connectionsMax: 6 });
  const keys = readPlatformKeys(randomBytes(32).toString("base64"), "stage");
  if (!keys.ok) throw new Error(keys.problem.message);
  const keyring = openKeyring(keys.value, openTenantKeys(store));
  const calls: Calls = [];
  const surprises: unknown[] = [];
  const deps: ApiDeps = {
    store,
    keyring,
    authorizer: openAuthorizer(openRuleSource(store), { trustMs: 0 }),
    auditKey: deriveKeys(keys.value, "audit")[0],
    runs: rememberingRuns(database, calls),
    sources: rememberingSources(calls),
    openObject: async (key) =>
      key === "file" ? Readable.from([Buffer.from("<b>hi</b>")]) : undefined,
    readObject: async (key) => (key === "big" ? Buffer.from('{"big":true}') : undefined),
    readArchivedLog: async (_object, fromByte) =>
      fromByte === 0
        ? { text: '[1767225600000,"info","task","archived 1"]\n', next: 44 }
        : { text: '[1767225601000,"info","task","archived 2"]\n', next: undefined },
    health: async () => ({
      database: true,
      scheduler_heartbeat: new Date(),
      sync_heartbeat: new Date(),
      triggerer_heartbeat: null,
      warnings: [],
    }),
    tryToReach: async (tenant, target) => {
      calls.push({ deed: "tryToReach", tenant, asked: target });
      return { outcome: "refused", code: "ECONNREFUSED", ms: 12 };
    },
    version: "0.1.0",
    publicUrl: "http://localhost:8080",
    onSurprise: (error) => void surprises.push(error),
  };
  await seedPeople(store);
  await seedThings(store, keyring);
  await seedRuns(database);
  const api = createApi(deps);
  const tokens = {} as Record<PersonName, string>;
  for (const name of Object.keys(people) as PersonName[]) {
    const issued = await api.signIn.issueToken({
      kind: "api",
      person: name,
      tenant: null,
      scopes: null,
      name: "stage",
      seconds: undefined,
    });
    tokens[name] = issued.text;
  }
  return {
    api,
    store,
    database,
    keyring,
    deps,
    calls,
    surprises,
    tokens,
    async ask(who, method, path, body, headers = {}) {
      const response = await api.fetch(
        new Request(`http://localhost:8080${path}`, {
          method,
          headers: {
            ...(who === undefined ? {} : { authorization: `Bearer ${tokens[who]}` }),
            ...(body === undefined ? {} : { "content-type": "application/json" }),
            ...headers,
          },
          ...(body === undefined
            ? {}
            : { body: typeof body === "string" ? body : JSON.stringify(body) }),
        }),
        { ip: "192.0.2.1" },
      );
      const text = await response.text();
      return {
        status: response.status,
        text,
        headers: response.headers,
        body:
          response.headers.get("content-type") === "application/json"
            ? JSON.parse(text)
            : undefined,
      };
    },
    async close() {
      await store.close();
      await database.drop();
    },
  };
}

const acme = known.tenant("acme");
const globex = known.tenant("globex");

async function seedPeople(store: Store): Promise<void> {
  const hash = await hashPassword(password);
  await store.system(async (tx) => {
    for (const tenant of [acme, globex]) await createTenant(tx, tenant);
    for (const name of Object.keys(people)) await addPerson(tx, { name, password: hash });
    const roles = [
      ["*", "user:root", "role:admin"],
      ["acme", "user:ann", "role:viewer"],
      ["acme", "user:bob", "role:user"],
      ["acme", "user:cat", "role:op"],
      ["acme", "user:dan", "role:admin"],
      ["globex", "user:gil", "role:admin"],
    ] as const;
    for (const [domain, subject, role] of roles)
      await addAssignment(tx, domain === "*" ? "*" : known.tenant(domain), { subject, role });
    const effect = "allow";
    await addRule(tx, acme, { subject: "user:eve", thing: "dag:payroll", deed: "b:user", effect });
    await addRule(tx, acme, { subject: "user:eve", thing: "dag:fin_*", deed: "b:viewer", effect });
  });
}

async function seedThings(store: Store, keyring: Keyring): Promise<void> {
  for (const tenant of [acme, globex]) {
    const sealed = await sealConnection(keyring, tenant, "warehouse", {
      password: `${canary}-password`,
      extra: JSON.stringify({ region_name: "eu-west-1", api_key: `${canary}-extra` }),
    });
    const secret = await keyring.seal(tenant, "variable", "api_token", `${canary}-variable`);
    const plain = await keyring.seal(tenant, "variable", "city", `${tenant} city`);
    await store.tx(tenant, async (tx) => {
      await addConnection(tx, {
        conn_id: "warehouse",
        conn_type: "postgres",
        description: `of ${tenant}`,
        host: `db.${tenant}.example`,
        schema: "dw",
        login: "etl",
        port: 5432,
        sealed,
      });
      await addVariable(tx, { key: "api_token", sealed: secret, description: null });
      await addVariable(tx, { key: "city", sealed: plain, description: "where" });
    });
  }
}

const taskSpec = (task_id: string, more: Partial<TaskSpec> = {}): TaskSpec => ({
  task_id: known.task(task_id),
  operator: "PythonOperator",
  downstream: [],
  trigger_rule: "all_success",
  retries: 1,
  retry_delay_s: 300,
  retry_exponential_backoff: 0,
  depends_on_past: false,
  wait_for_downstream: false,
  pool: "default_pool",
  pool_slots: 1,
  queue: "default",
  priority_weight: 1,
  weight_rule: "downstream",
  is_setup: false,
  is_teardown: false,
  on_failure_fail_dagrun: false,
  has_callbacks: false,
  multiple_outputs: false,
  runs_in: "python",
  template_fields: ["op_args"],
  ...more,
});

export const dagSpec = (dag_id: string): DagSpec => ({
  dag_id: known.dag(dag_id),
  tags: ["etl", dag_id],
  owners: ["data"],
  level: "3",
  guest: "python",
  timetable: { kind: "cron_trigger", expression: "0 6 * * *", timezone: "UTC", interval_s: 0 },
  start_date: "2026-01-01T00:00:00+00:00",
  timezone: "UTC",
  catchup: false,
  max_active_runs: 16,
  max_active_tasks: 16,
  max_consecutive_failed_dag_runs: 0,
  dagrun_timeout_s: 3600,
  fail_fast: false,
  params: { day: { schema: { type: "string", default: "today" } } },
  render_template_as_native_obj: false,
  has_success_callback: false,
  has_failure_callback: false,
  groups: [],
  tasks: [
    taskSpec("extract", { downstream: [known.task("load")], execution_timeout_s: 90_061.5 }),
    taskSpec("load", { map: { kind: "list", sources: [] }, display_name: "Load it" }),
  ],
});

/** Per DAG: run `r1` (success; extract with two tries, load mapped over 2) and `r2` (running). */
async function seedRuns({ owner }: TestDatabase): Promise<void> {
  const dags = [
    ["acme", "orders_etl"],
    ["acme", "payroll"],
    ["acme", "fin_report"],
    ["acme", "fin-x"],
    ["globex", "orders_etl"],
    ["globex", "secret_plan"],
  ] as const;
  const commit = "a".repeat(40);
  for (const [tenant, dagId] of dags) {
    const spec = JSON.stringify(dagSpec(dagId));
    await owner.begin(async (sql) => {
      await sql`
        insert into airlock.dag (tenant, dag_id, repository, path, version, commit, environment, display_name, tags,
          owners, level, timetable, timetable_summary, max_active_runs, max_active_tasks, next_run_at)
        values (${tenant}, ${dagId}, 'pipelines', ${`dags/${dagId}.py`}, 1, ${commit}, 'default', ${dagId},
          ${["etl", dagId]}, ${["data"]}, '3', '{"kind":"cron_trigger","expression":"0 6 * * *","timezone":"UTC","interval_s":0}',
          '0 6 * * *', 16, 16, '2030-01-01T06:00:00Z')`;
      await sql`
        insert into airlock.dag_version (tenant, dag_id, version, hash, spec, repository, path, commit)
        values (${tenant}, ${dagId}, 1, 'h1', ${spec}::text::json, 'pipelines', ${`dags/${dagId}.py`}, ${commit})`;
      for (const [runId, state, day] of [
        ["r1", "success", "2026-01-01"],
        ["r2", "running", "2026-01-02"],
      ] as const) {
        const [run] = await sql<{ run: string }[]>`
          insert into airlock.dag_run (tenant, dag_id, run_id, run_type, logical_date, interval_start, interval_end, run_after,
            state, version, repository, commit, path, environment, conf, started_at, ended_at, triggered_by, triggering_user)
          values (${tenant}, ${dagId}, ${runId}, 'manual', ${`${day}T00:00:00Z`}, ${`${day}T00:00:00Z`}, ${`${day}T06:00:00Z`},
            ${`${day}T06:00:00Z`}, ${state}, 1, 'pipelines', ${commit}, ${`dags/${dagId}.py`}, 'default',
            '{"big": 12345678901234567890}'::json, ${`${day}T06:00:01Z`}, ${state === "success" ? `${day}T06:01:01Z` : null},
            'rest_api', 'ann')
          returning run`;
        const key = run?.run ?? "";
        for (const [taskId, index] of [
          ["extract", -1],
          ["load", 0],
          ["load", 1],
        ] as const)
          await sql`
            insert into airlock.task_instance (tenant, run, task_id, map_index, dag_id, state, try_number, max_tries, pool,
              pool_slots, queue, priority_weight, operator, order_at, started_at, ended_at)
            values (${tenant}, ${key}, ${taskId}, ${index}, ${dagId}, ${state === "success" ? "success" : index < 0 ? "running" : null},
              ${state === "success" ? 2 : index < 0 ? 1 : 0}, 1, 'default_pool', 1, 'default', 1, 'PythonOperator', ${`${day}T00:00:00Z`},
              ${index < 0 || state === "success" ? `${day}T06:00:02Z` : null}, ${state === "success" ? `${day}T06:00:05Z` : null})`;
        for (const [number, outcome] of [
          [1, "failed"],
          [2, "success"],
        ] as const) {
          if (state !== "success") continue;
          const [attempt] = await sql<{ attempt: string }[]>`
            insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue, outcome,
              started_at, ended_at, host, pid, log_object)
            values (${tenant}, gen_random_uuid(), ${key}, ${dagId}, 'extract', -1, ${number}, 'ended', 'default', ${outcome},
              ${`${day}T06:00:02Z`}, ${`${day}T06:00:05Z`}, 'host1', 4711, ${number === 2 ? "archive" : null})
            returning attempt`;
          if (number === 1)
            for (const seq of [0, 1])
              await sql`
                insert into airlock.log_chunk (tenant, attempt, seq, lines, text)
                values (${tenant}, ${attempt?.attempt ?? ""}, ${seq}, 1,
                  ${`${JSON.stringify([1767225600000 + seq, "info", "task", `${tenant} ${dagId} line ${seq}`])}\n`})`;
        }
        await sql`
          insert into airlock.xcom (tenant, run, task_id, map_index, key, value, bytes)
          values (${tenant}, ${key}, 'extract', -1, 'return_value', '{"n": 12345678901234567890, "__classname__": "subprocess.Popen"}', 60)`;
        await sql`
          insert into airlock.xcom (tenant, run, task_id, map_index, key, object, bytes)
          values (${tenant}, ${key}, 'extract', -1, 'tries', 'big', 12)`;
      }
    });
  }
}

function rememberingRuns({ owner }: TestDatabase, calls: Calls): RunDeeds {
  const refs: readonly InstanceRef[] = [{ run_id: "r1", task_id: "extract", map_index: -1 }];
  const remember =
    <A, R>(deed: string, answer: (tenant: string, asked: A) => Promise<R> | R) =>
    async (tenant: string, asked: A): Promise<R> => {
      calls.push({ deed, tenant, asked });
      return answer(tenant, asked);
    };
  const fine = () => good(undefined);
  return {
    triggerRun: remember("triggerRun", async (tenant, asked) => {
      const runId = asked.run_id ?? `manual__${new Date().toISOString()}`;
      const [there] = await owner`
        select 1 from airlock.dag_run where tenant = ${tenant} and dag_id = ${asked.dag_id}
           and (run_id = ${runId} or logical_date = ${asked.logical_date})`;
      if (there)
        return bad({ kind: "exists" as const, message: `There is a run ${runId} already` });
      await owner`
        insert into airlock.dag_run (tenant, dag_id, run_id, run_type, logical_date, run_after, state, version, repository, commit,
          path, environment, conf, triggered_by, triggering_user, note)
        values (${tenant}, ${asked.dag_id}, ${runId}, 'manual', ${asked.logical_date}, clock_timestamp(), 'queued', 1, 'pipelines',
          ${"a".repeat(40)}, 'dags/x.py', 'default', ${JSON.stringify(asked.conf)}::text::json, ${asked.triggered_by}, ${asked.user},
          ${asked.note ?? null})`;
      return good({ run_id: runId });
    }),
    clearInstances: remember("clearInstances", () => good(refs)),
    markInstances: remember("markInstances", () => good(refs)),
    markRun: remember("markRun", fine),
    stopRun: remember("stopRun", fine),
    deleteRun: remember("deleteRun", fine),
    noteRun: remember("noteRun", fine),
    noteInstance: remember("noteInstance", fine),
    pauseDag: remember("pauseDag", async (tenant, asked) => {
      await owner`update airlock.dag set is_paused = ${asked.is_paused} where tenant = ${tenant} and dag_id = ${asked.dag_id}`;
      return good(undefined);
    }),
    limitGrew: (tenant) => {
      calls.push({ deed: "limitGrew", tenant, asked: undefined });
    },
    deleteDag: remember("deleteDag", () =>
      bad({ kind: "refused" as const, message: "its file is live in pipelines" }),
    ),
  };
}

function rememberingSources(calls: Calls): SourceDeeds {
  const repository = {
    name: "pipelines",
    url: null,
    branch: "main",
    path: "",
    state: "live",
    commit: "a".repeat(40),
    checked_at: new Date("2026-01-01T00:00:00Z"),
    created_at: new Date("2026-01-01T00:00:00Z"),
    clone_url: "http://localhost:8080/git/acme/pipelines.git",
    webhook_url: null,
    has_credentials: false,
    rollback: null,
  };
  const remember = (deed: string, tenant: string, asked: unknown): void =>
    void calls.push({ deed, tenant, asked });
  return {
    listRepositories: async () => [repository],
    createRepository: async (tenant, asked) => {
      remember("createRepository", tenant, asked);
      return asked.url?.startsWith("http://")
        ? bad({ kind: "refused", field: "url", message: "plain http is not allowed" })
        : good({ ...repository, name: asked.name, url: asked.url ?? null });
    },
    deleteRepository: async (tenant, name) => {
      remember("deleteRepository", tenant, name);
      return good(undefined);
    },
    renewWebhookSecret: async (tenant, name) => {
      remember("renewWebhookSecret", tenant, name);
      return good({
        secret: "shown once",
        url: `http://localhost:8080/t/${tenant}/hooks/git/${name}`,
      });
    },
    syncNow: async (tenant, name) => {
      remember("syncNow", tenant, name);
      return good(undefined);
    },
    rollBack: async (tenant, name, asked) => {
      remember("rollBack", tenant, { name, ...asked });
      return asked.commit.startsWith("b")
        ? bad({ kind: "refused", message: "no such commit was live" })
        : good({ commit: asked.commit });
    },
    takeRollbackBack: async (tenant, name, by) => {
      remember("takeRollbackBack", tenant, { name, by });
      return good(undefined);
    },
    listDeploys: async () => ({
      deploys: [
        {
          repository: "pipelines",
          commit: "a".repeat(40),
          state: "live",
          dags: { new: 1, changed: 0, unchanged: 2, removed: 0 },
          errors: [{ path: "dags/bad.py", line: 12, message: "SyntaxError" }],
          ms: 412,
          at: new Date("2026-01-01T00:00:00Z"),
        },
      ],
      total: 1,
    }),
    listImportErrors: async (tenant) =>
      ["payroll", "fin_report"].map((dag, at) => ({
        id: at + 1,
        repository: "pipelines",
        path: `dags/${dag}.py`,
        line: 3,
        message: `${tenant} ${dag} is broken`,
        traceback: null,
        at: new Date("2026-01-01T00:00:00Z"),
        dag_ids: tenant === "acme" ? [dag] : [],
      })),
    describeCommit: async (tenant) => ({
      author: `${tenant} author`,
      at: new Date("2026-01-01T00:00:00Z"),
      subject: "<img onerror=alert(1)>",
      url: "https://github.com/acme/pipelines.git",
      folder: "etl",
    }),
    readSource: async (tenant, file) => `# ${tenant} ${file.path}\n`,
  };
}
