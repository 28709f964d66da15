/**
 * A tenant with much in it, as rows: what the page and its lists are measured and looked at with. 1,000 DAGs, one of
 * them with 5,000 tasks in 50 groups and 50 runs; a million task instances in all; failures with reasons.
 *
 *   node ops/bench/seed-big.ts --home DIR | --database URL  [--tenant big] [--dags 1000] [--instances 1000000] [--wide 5000x50]
 *
 * Made by rule, not by chance: the same call makes the same rows, up to the present moment.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import postgres from "postgres";
import { say } from "./measure.ts";

export type BigTenant = {
  readonly tenant: string;
  readonly dags: number;
  /** Task instances in all. */
  readonly instances: number;
  /** Of the one wide DAG. */
  readonly wideTasks: number;
  readonly wideRuns: number;
};
export const wideDag = "warehouse_refresh";
const tasksPerDag = 30;
const runsKeptFull = 5;
const batch = 200_000;

/** `sql`: the owner's connection. The tenant must not exist yet. */
export async function seedBig(sql: postgres.Sql, big: BigTenant): Promise<void> {
  const { tenant } = big;
  const made = await sql`
    insert into airlock.tenant (tenant, display_name, max_running) values (${tenant}, 'A tenant with much in it', 256)
    on conflict do nothing returning 1`;
  if (made.length === 0)
    throw new Error(`There is a tenant ${tenant} already: name another with --tenant.`);
  await sql`
    insert into airlock.pool (tenant, pool, slots, description)
    values (${tenant}, 'default_pool', 128, 'Default pool'), (${tenant}, 'warehouse', 16, 'Connections that the warehouse allows')`;
  await sql`
    insert into airlock.repository (tenant, repository, kind, branch, head_commit, next_poll_at)
    values (${tenant}, 'pipelines', 'hosted', 'main', ${commitOf(3)}, 'infinity')`;
  await sql`
    insert into airlock.deploy (tenant, repository, commit, reason, state, started_at, ended_at, ms, dags_new, dags_changed, dags_unchanged)
    select ${tenant}, 'pipelines', c.commit, 'push', 'live', now() - make_interval(days => 3 - g), now() - make_interval(days => 3 - g) + interval '412 ms',
           412, case g when 0 then ${big.dags}::int else 0 end, case g when 0 then 0 else 12 end, case g when 0 then 0 else ${big.dags - 12}::int end
      from unnest(${[0, 1, 2, 3].map(commitOf)}::text[]) with ordinality c(commit, n), lateral (select n::int - 1 as g) o`;
  const specs = [wideSpec(big.wideTasks), ...narrowSpecs(big.dags - 1)];
  for (let at = 0; at < specs.length; at += 100)
    await storeSpecs(sql, tenant, specs.slice(at, at + 100));
  say(`${specs.length} DAGs`);
  await storeRuns(sql, tenant, wideDag, big.wideRuns, 60, big.wideTasks);
  const left = Math.max(0, big.instances - big.wideTasks * big.wideRuns);
  const runs = Math.ceil(left / tasksPerDag / Math.max(1, big.dags - 1));
  await storeRuns(sql, tenant, undefined, runs, 30, tasksPerDag);
  await storeAttempts(sql, tenant);
  await sql`analyze airlock.dag, airlock.dag_version, airlock.dag_run, airlock.task_instance, airlock.attempt`;
}

type Spec = {
  readonly dag_id: string;
  readonly schedule: string | null;
  readonly owner: string;
  readonly tags: readonly string[];
  readonly spec: object;
};

const areas = [
  "billing",
  "orders",
  "stock",
  "fleet",
  "weather",
  "energy",
  "parking",
  "payroll",
  "ads",
  "search",
] as const;
const deeds = [
  "daily",
  "hourly",
  "load",
  "clean",
  "report",
  "sync",
  "export",
  "forecast",
  "audit",
  "archive",
] as const;

const narrowSpecs = (count: number): readonly Spec[] =>
  Array.from({ length: count }, (_, n) => {
    const area = areas[n % areas.length] ?? "billing";
    const deed = deeds[Math.floor(n / areas.length) % deeds.length] ?? "daily";
    const dag_id = `${area}_${deed}_${String(n).padStart(4, "0")}`;
    const tasks = Array.from({ length: tasksPerDag }, (__, t) => ({
      id: `step_${String(t).padStart(2, "0")}`,
      // Three lines beside each other that meet at the end.
      downstream:
        t === tasksPerDag - 1
          ? []
          : [`step_${String(t + 3 < tasksPerDag - 1 ? t + 3 : tasksPerDag - 1).padStart(2, "0")}`],
    }));
    return {
      dag_id,
      schedule: n % 7 === 0 ? null : n % 3 === 0 ? "0 * * * *" : "30 4 * * *",
      owner: `team-${area}`,
      tags: [area, deed],
      spec: specOf(
        dag_id,
        tasks,
        [],
        n % 7 === 0 ? null : n % 3 === 0 ? "0 * * * *" : "30 4 * * *",
        `team-${area}`,
        [area, deed],
      ),
    };
  });

/** Groups one after the other, in each a fan of tasks between a first and a last one. */
function wideSpec(count: number): Spec {
  const groups = Math.max(1, Math.floor(count / 100));
  const perGroup = Math.ceil(count / groups);
  const tasks = Array.from({ length: count }, (_, t) => {
    const group = Math.floor(t / perGroup);
    const place = t % perGroup;
    const name = (g: number, p: number): string =>
      `area_${String(g).padStart(2, "0")}.table_${String(p).padStart(3, "0")}`;
    const lastOf = Math.min(perGroup, count - group * perGroup) - 1;
    const downstream =
      place === lastOf
        ? (group + 1) * perGroup < count
          ? [name(group + 1, 0)]
          : []
        : place === 0
          ? Array.from({ length: Math.max(0, lastOf - 1) }, (__, p) => name(group, p + 1)).concat(
              lastOf === 1 ? [name(group, 1)] : [],
            )
          : [name(group, lastOf)];
    return { id: name(group, place), downstream, group: `area_${String(group).padStart(2, "0")}` };
  });
  const groupIds = [...new Set(tasks.map(({ group }) => group))];
  return {
    dag_id: wideDag,
    schedule: "0 * * * *",
    owner: "team-warehouse",
    tags: ["warehouse", "wide"],
    spec: specOf(wideDag, tasks, groupIds, "0 * * * *", "team-warehouse", ["warehouse", "wide"]),
  };
}

function specOf(
  dag_id: string,
  tasks: readonly {
    readonly id: string;
    readonly downstream: readonly string[];
    readonly group?: string;
  }[],
  groups: readonly string[],
  schedule: string | null,
  owner: string,
  tags: readonly string[],
): object {
  return {
    dag_id,
    description: `Seeded: ${tasks.length} tasks.`,
    doc_md: `# ${dag_id}\n\nSeeded rows, to see the page with much in it.`,
    tags,
    owners: [owner],
    level: "3",
    guest: "python",
    timetable:
      schedule === null
        ? { kind: "none" }
        : { kind: "cron_trigger", expression: schedule, timezone: "UTC", interval_s: 0 },
    start_date: "2026-01-01T00:00:00+00:00",
    timezone: "UTC",
    catchup: false,
    max_active_runs: 16,
    max_active_tasks: 64,
    max_consecutive_failed_dag_runs: 0,
    fail_fast: false,
    params: { day: { schema: { type: "string", default: "today" }, description: "Which day" } },
    render_template_as_native_obj: false,
    has_success_callback: false,
    has_failure_callback: false,
    groups: groups.map((group_id) => ({ group_id, prefix_group_id: true })),
    tasks: tasks.map(({ id, downstream, group }, n) => ({
      task_id: id,
      operator: ["PythonOperator", "BashOperator", "@task", "SQLExecuteQueryOperator"][n % 4],
      downstream,
      ...(group === undefined ? {} : { group }),
      trigger_rule: "all_success",
      retries: 2,
      retry_delay_s: 60,
      retry_exponential_backoff: 0,
      depends_on_past: false,
      wait_for_downstream: false,
      pool: n % 10 === 0 ? "warehouse" : "default_pool",
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
      template_fields: [],
    })),
  };
}

const commitOf = (n: number): string => `${commits[n] ?? ""}00000000`;
const commits = [
  "d3fc1a0be50f1ee5b6d1c06fbf1fbd2d",
  "d0a5a3d2b3b3f3c9d3b4d0f1e6f7a8b9",
  "a1a5a3d2b3b3f3c9d3b4d0f1e6f7a8b9",
  "b2a5a3d2b3b3f3c9d3b4d0f1e6f7a8b9",
];

async function storeSpecs(
  sql: postgres.Sql,
  tenant: string,
  specs: readonly Spec[],
): Promise<void> {
  const rows = JSON.stringify(specs);
  await sql`
    insert into airlock.dag (tenant, dag_id, repository, path, version, commit, environment, display_name, description, tags, owners, level,
           timetable, timetable_summary, max_active_runs, max_active_tasks, is_paused, plan_needed, next_run_at)
    select ${tenant}, s.dag_id, 'pipelines', 'dags/' || s.dag_id || '.py', 2, ${commitOf(3)}, 'none', s.dag_id, s.spec ->> 'description',
           array(select json_array_elements_text(s.tags)), array[s.owner], '3', (s.spec -> 'timetable')::jsonb, s.schedule, 16, 64,
           -- paused: rows of the past alone, nothing of it runs
           true, false, case when s.schedule is null then null else date_trunc('hour', now()) + interval '1 hour' end
      from json_to_recordset(${rows}::text::json) as s(dag_id text, schedule text, owner text, tags json, spec json)`;
  await sql`
    insert into airlock.dag_version (tenant, dag_id, version, hash, spec, repository, path, commit, created_at)
    select ${tenant}, s.dag_id, v, md5(s.dag_id || v), s.spec, 'pipelines', 'dags/' || s.dag_id || '.py',
           case v when 1 then ${commitOf(0)} else ${commitOf(3)} end, now() - make_interval(days => 3 * (2 - v))
      from json_to_recordset(${rows}::text::json) as s(dag_id text, spec json), generate_series(1, 2) v`;
}

/**
 * `dag` undefined: of every narrow DAG. Newest first, `everyMin` minutes apart; one run in twelve failed at a task
 * in its middle, and what came after it did not run.
 */
async function storeRuns(
  sql: postgres.Sql,
  tenant: string,
  dag: string | undefined,
  runs: number,
  everyMin: number,
  tasks: number,
): Promise<void> {
  await sql`
    insert into airlock.dag_run (tenant, dag_id, run_id, run_type, logical_date, interval_start, interval_end, run_after, state, version, repository,
           commit, path, environment, has_instances, queued_at, started_at, ended_at, reason)
    select d.tenant, d.dag_id, 'scheduled__' || to_char(t.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'), 'scheduled', t.at,
           t.at - make_interval(mins => ${everyMin}), t.at, t.at, case when t.failed then 'failed' else 'success' end,
           case when g < ${runs}::int * 2 / 3 then 2 else 1 end, d.repository, case when g < ${runs}::int * 2 / 3 then ${commitOf(3)} else ${commitOf(0)} end,
           d.path, 'none', true, t.at, t.at + interval '1 second', t.at + make_interval(secs => 90 + abs(hashtext(d.dag_id || g)) % 240),
           case when t.failed then 'A task failed.' end
      from airlock.dag d, generate_series(0, ${runs - 1}::int) g,
           lateral (select date_trunc('minute', now()) - make_interval(mins => (g + 1) * ${everyMin}) - make_interval(secs => abs(hashtext(d.dag_id)) % 60) as at,
                           abs(hashtext(d.dag_id || ' ' || g)) % 12 = 0 as failed) t
     where d.tenant = ${tenant} and ${dag === undefined ? sql`d.dag_id <> ${wideDag}` : sql`d.dag_id = ${dag}`}`;
  const [keys] = await sql<{ from: string; to: string; n: number }[]>`
    select min(run) as from, max(run) as to, count(*)::int as n from airlock.dag_run
     where tenant = ${tenant} and ${dag === undefined ? sql`dag_id <> ${wideDag}` : sql`dag_id = ${dag}`}`;
  if (keys === undefined || keys.n === 0) return;
  const step = Math.max(1, Math.floor(batch / tasks));
  for (let from = BigInt(keys.from); from <= BigInt(keys.to); from += BigInt(step)) {
    await sql`
      insert into airlock.task_instance (tenant, run, task_id, map_index, dag_id, state, try_number, max_tries, pool, pool_slots, queue,
             priority_weight, operator, order_at, scheduled_at, queued_at, started_at, ended_at, reason)
      select r.tenant, r.run, t.task_id, -1, r.dag_id, s.state, case when s.state = 'upstream_failed' then 0 else 1 end, 2, t.pool, 1, 'default', 1,
             t.operator, r.run_after, r.started_at, r.started_at + make_interval(secs => t.at),
             case when s.state <> 'upstream_failed' then r.started_at + make_interval(secs => t.at + 0.2) end,
             r.started_at + make_interval(secs => t.at + t.lasts),
             case when s.state = 'failed' then (array['KeyError: ''price'' in row 4711', 'psycopg2.OperationalError: connection to server at "10.0.0.7", port 5432 failed: timeout expired',
                    'The task needed more memory than the limit of 512 MiB and was ended by the kernel.', 'HTTPError: 503 Server Error for url: https://api.example.org/v1/items?page=17'])[1 + abs(hashtext(r.dag_id)) % 4] end
        from airlock.dag_run r
        join airlock.dag_version v on v.tenant = r.tenant and v.dag_id = r.dag_id and v.version = r.version,
             lateral (select e.task ->> 'task_id' as task_id, e.task ->> 'pool' as pool, e.task ->> 'operator' as operator, e.n,
                             (e.n - 1) * extract(epoch from r.ended_at - r.started_at)::float8 / ${tasks} as at,
                             0.3 + (abs(hashtext(e.n || r.run_id)) % 500) / 100.0 as lasts
                        from json_array_elements(v.spec -> 'tasks') with ordinality e(task, n)) t,
             lateral (select case when r.state = 'success' then case when abs(hashtext(t.task_id || r.run)) % 60 = 0 then 'skipped' else 'success' end
                                  when t.n < ${tasks}::int / 2 then 'success' when t.n = ${tasks}::int / 2 then 'failed' else 'upstream_failed' end as state) s
       where r.tenant = ${tenant} and r.run between ${from.toString()}::bigint and ${(from + BigInt(step) - 1n).toString()}::bigint
         and ${dag === undefined ? sql`r.dag_id <> ${wideDag}` : sql`r.dag_id = ${dag}`}`;
  }
  say(`${keys.n} runs of ${dag ?? "the others"}, ${keys.n * tasks} task instances`);
}

/** Of each DAG's latest runs: what they used, and how long each part took. */
async function storeAttempts(sql: postgres.Sql, tenant: string): Promise<void> {
  await sql`
    insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, fence, queue, admitted_at, first_started_at,
           started_at, ended_at, outcome, reason, exit_code, host, cpu_s, peak_memory, start_ms)
    select i.tenant, gen_random_uuid(), i.run, i.dag_id, i.task_id, i.map_index, 1, 'ended', 1, 'default', i.queued_at, i.started_at, i.started_at,
           i.ended_at, i.state, i.reason, case i.state when 'failed' then 1 else 0 end, 'seeded',
           extract(epoch from i.ended_at - i.started_at) * 0.6, 40000000 + abs(hashtext(i.task_id)) % 200000000, 6
      from (select tenant, run, row_number() over (partition by dag_id order by run_after desc) as nth from airlock.dag_run where tenant = ${tenant}) r
      join airlock.task_instance i on i.tenant = r.tenant and i.run = r.run
     where r.nth <= ${runsKeptFull} and i.started_at is not null`;
}

/** The connection string of the embedded Postgres that runs on a home. */
function urlOfHome(home: string): string {
  const secret = readFileSync(join(home, "postgres.secret"), "utf8").trim();
  const port =
    readFileSync(join(home, "postgres", "data", "postmaster.pid"), "utf8").split("\n")[3] ?? "";
  return `postgres://airlock:${secret}@127.0.0.1:${port}/airlock`;
}

export type SeedOptions = {
  readonly home?: string | undefined;
  readonly database?: string | undefined;
  readonly tenant: string;
  readonly dags: number;
  readonly instances: number;
  /** `TASKSxRUNS` of the one wide DAG. */
  readonly wide: string;
};

export async function seedTenant({ home, database, wide, ...big }: SeedOptions): Promise<void> {
  const url = database ?? (home === undefined ? undefined : urlOfHome(home));
  if (url === undefined) throw new Error("Say where: --home DIR or --database URL.");
  const [wideTasks = 5000, wideRuns = 50] = wide.split("x").map(Number);
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  const begun = performance.now();
  try {
    await seedBig(sql, { ...big, wideTasks, wideRuns });
    say(`seeded in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  } finally {
    await sql.end();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      home: { type: "string" },
      database: { type: "string" },
      tenant: { type: "string", default: "big" },
      dags: { type: "string", default: "1000" },
      instances: { type: "string", default: "1000000" },
      wide: { type: "string", default: "5000x50" },
    },
  });
  await seedTenant({
    ...values,
    dags: Number(values.dags),
    instances: Number(values.instances),
  }).catch((error: unknown) => {
    say(
      `${error instanceof Error ? error.message : String(error)}\nusage: node ops/bench/seed-big.ts --home DIR | --database URL [--tenant big] [--dags N] [--instances N] [--wide TASKSxRUNS]`,
    );
    process.exitCode = 1;
  });
}

if (import.meta.main) await main();
