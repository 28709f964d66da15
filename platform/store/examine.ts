/** What `airlock doctor` asks a database. It changes no row, and needs neither our schema nor a running platform. */
import postgres from "postgres";
import { listMigrations } from "./migrate.ts";
import { codeOf } from "./open.ts";

export type DatabaseFacts = {
  readonly version: number;
  readonly user: string;
  readonly is_superuser: boolean;
  readonly may_make_roles: boolean;
  readonly settings: { readonly [name: string]: string };
  readonly connections: number;
  /** Postgres' clock minus ours, and how far off that may be. */
  readonly skew_ms: number;
  readonly skew_error_ms: number;
  /** Median of a few commits, to the disk and back. */
  readonly commit_ms: number;
  readonly blocked: readonly { readonly pid: number; readonly by: number; readonly s: number }[];
  readonly long_transactions: readonly {
    readonly pid: number;
    readonly application: string;
    readonly state: string;
    readonly s: number;
  }[];
  /** undefined: no platform was ever started on it. */
  readonly platform: PlatformFacts | undefined;
};

export type PlatformFacts = {
  readonly migrations_missing: readonly string[];
  /** Of a newer release. */
  readonly migrations_unknown: readonly string[];
  readonly migrations_changed: readonly string[];
  /** Of our two roles: those that see past row-level security. */
  readonly strong_roles: readonly string[];
  /** undefined: its tables are older than these questions. */
  readonly life: PlatformLife | undefined;
};

export type PlatformLife = {
  readonly scheduler_s: number | null;
  readonly sync_s: number | null;
  readonly workers: number;
  readonly workers_silent: number;
  readonly admitted: number;
  readonly admitted_s: number;
  readonly leases_over: number;
  readonly stray_jobs: number;
  readonly repositories_failing: number;
};

export type Examined =
  | { readonly ok: true; readonly facts: DatabaseFacts }
  | { readonly ok: false; readonly code: string; readonly message: string };

export async function examineDatabase(url: string): Promise<Examined> {
  const sql = postgres(url, {
    max: 1,
    onnotice: () => undefined,
    connect_timeout: 5,
    idle_timeout: 5,
    connection: { application_name: "airlock-doctor", statement_timeout: 10_000 },
  });
  try {
    return { ok: true, facts: await examine(sql) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, code: codeOf(error), message };
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function examine(sql: postgres.Sql): Promise<DatabaseFacts> {
  const [server] = await sql<
    Pick<DatabaseFacts, "version" | "user" | "is_superuser" | "may_make_roles" | "connections">[]
  >`
    select current_setting('server_version_num')::int / 10000 as version, current_user::text as user, r.rolsuper as is_superuser,
           r.rolsuper or r.rolcreaterole as may_make_roles,
           (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as connections
      from pg_roles r where r.rolname = current_user`;
  if (server === undefined) throw new Error("the server does not know the role that asks it");
  const settings = await sql<{ name: string; setting: string }[]>`
    select name, setting from pg_settings
     where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'max_connections', 'superuser_reserved_connections')`;
  const blocked = await sql<DatabaseFacts["blocked"][number][]>`
    select a.pid, (pg_blocking_pids(a.pid))[1] as by, extract(epoch from clock_timestamp() - a.state_change)::int as s
      from pg_stat_activity a
     where a.wait_event_type = 'Lock' and clock_timestamp() - a.state_change > interval '10 seconds' limit 20`;
  const long = await sql<DatabaseFacts["long_transactions"][number][]>`
    select pid, coalesce(application_name, '') as application, coalesce(state, '') as state,
           extract(epoch from clock_timestamp() - xact_start)::int as s
      from pg_stat_activity
     where backend_type = 'client backend' and pid <> pg_backend_pid() and clock_timestamp() - xact_start > interval '5 minutes'
     order by xact_start limit 20`;
  return {
    ...server,
    settings: Object.fromEntries(settings.map(({ name, setting }) => [name, setting])),
    ...(await compareClocks(sql)),
    commit_ms: await timeCommits(sql),
    blocked,
    long_transactions: long,
    platform: await examinePlatform(sql),
  };
}

async function compareClocks(sql: postgres.Sql) {
  let best = { skew_ms: 0, skew_error_ms: Number.POSITIVE_INFINITY };
  for (let n = 0; n < 3; n += 1) {
    const before = Date.now();
    const [row] = await sql<
      { ms: number }[]
    >`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`;
    const after = Date.now();
    const error = (after - before) / 2 + 1;
    if (row !== undefined && error < best.skew_error_ms)
      best = { skew_ms: row.ms - (before + after) / 2, skew_error_ms: error };
  }
  return best;
}

/** A message in the write-ahead log that nobody reads: it must reach the disk before the commit answers. */
async function timeCommits(sql: postgres.Sql): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < 5; n += 1) {
    const begun = performance.now();
    await sql`select pg_logical_emit_message(true, 'airlock-doctor', '')`;
    times.push(performance.now() - begun);
  }
  return times.toSorted((a, b) => a - b)[2] ?? 0;
}

async function examinePlatform(sql: postgres.Sql): Promise<PlatformFacts | undefined> {
  const [there] = await sql<
    { is: boolean }[]
  >`select to_regclass('airlock.migration') is not null as is`;
  if (there?.is !== true) return undefined;
  const done = await sql<
    { name: string; sha256: string }[]
  >`select name, sha256 from airlock.migration order by name`;
  const files = listMigrations();
  const strong = await sql<{ rolname: string }[]>`
    select rolname from pg_roles where rolname in ('airlock_app', 'airlock_system') and (rolsuper or rolbypassrls)`;
  const missing = files.filter(({ name }) => !done.some((row) => row.name === name));
  return {
    migrations_missing: missing.map(({ name }) => name),
    migrations_unknown: done
      .filter(({ name }) => !files.some((file) => file.name === name))
      .map(({ name }) => name),
    migrations_changed: done
      .filter(({ name, sha256 }) =>
        files.some((file) => file.name === name && file.sha256 !== sha256),
      )
      .map(({ name }) => name),
    strong_roles: strong.map(({ rolname }) => rolname),
    life: missing.length > 0 ? undefined : await examineLife(sql),
  };
}

async function examineLife(sql: postgres.Sql): Promise<PlatformLife> {
  return sql.begin(async (tx) => {
    await tx`set transaction read only`;
    // Our own role: the one that connects may be fenced out of its own tables.
    await tx`set local role airlock_system`;
    const [row] = await tx<Omit<PlatformLife, "stray_jobs">[]>`
      select (select extract(epoch from clock_timestamp() - at)::float8 from airlock.role_beat where role = 'scheduler') as scheduler_s,
             (select extract(epoch from clock_timestamp() - at)::float8 from airlock.role_beat where role = 'sync') as sync_s,
             (select count(*)::int from airlock.worker where beat_at > clock_timestamp() - interval '60 seconds') as workers,
             (select count(*)::int from airlock.worker where beat_at <= clock_timestamp() - interval '60 seconds') as workers_silent,
             (select count(*)::int from airlock.attempt where state = 'admitted') as admitted,
             coalesce((select extract(epoch from clock_timestamp() - min(admitted_at))::float8 from airlock.attempt where state = 'admitted'), 0) as admitted_s,
             (select count(*)::int from airlock.attempt where state = 'running' and lease_until < clock_timestamp() - interval '60 seconds') as leases_over,
             (select count(*)::int from airlock.repository where failures > 0) as repositories_failing`;
    await tx`reset role`;
    const [jobs] = await tx<{ n: number }[]>`
      select count(*)::int as n from graphile_worker.jobs j
       where j.locked_by is not null and j.locked_at < clock_timestamp() - interval '5 minutes'
         and not exists (select from airlock.worker w where w.queue_pool = j.locked_by)`;
    if (row === undefined) throw new Error("a statement without rows answered none");
    return { ...row, stray_jobs: jobs?.n ?? 0 };
  });
}
