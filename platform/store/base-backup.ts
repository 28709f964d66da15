/**
 * Postgres' own low-level base backup: between start and stop the files of its data folder may be copied while it
 * runs; with the WAL from the start to the stop they are the database as it was at the stop (PostgreSQL 15+ manual,
 * "Making a Base Backup Using the Low Level API").
 */
import postgres from "postgres";

export type BaseBackup = {
  /** Contents of `backup_label`, without which the copy is a torn database that looks whole. */
  readonly label: string;
  /** First and last WAL file that the copy needs, by name. */
  readonly firstWal: string;
  readonly lastWal: string;
  readonly stopLsn: string;
  /** The database's clock at the stop: what was committed before it is in the copy. */
  readonly stoppedAt: Date;
};

export type ServerFacts = {
  readonly version: string;
  readonly dataFolder: string;
  readonly bytes: number;
};

/**
 * `copy` is called while the backup is open; `keepWal` once more after its stop, for the WAL files it names. Old WAL
 * is held back by a slot that goes with the session, however this ends. Throws where the role or the settings forbid it.
 */
export async function withBaseBackup(
  url: string,
  copy: (server: ServerFacts) => Promise<void>,
  keepWal: (backup: BaseBackup) => Promise<void>,
): Promise<BaseBackup> {
  const sql = postgres(url, {
    max: 1,
    onnotice: () => undefined,
    idle_timeout: 0,
    max_lifetime: null,
    fetch_types: false,
  });
  try {
    const server = await readServer(sql);
    const slot = `airlock_backup_${process.pid}`;
    await sql`select pg_create_physical_replication_slot(${slot}, true, true)`;
    const [start] = await sql<{ wal: string }[]>`
      select pg_walfile_name(pg_backup_start('airlock', fast => true)) as wal`;
    await copy(server);
    const [stop] = await sql<{ lsn: string; label: string; at: Date }[]>`
      select lsn::text, labelfile as label, clock_timestamp() as at from pg_backup_stop(wait_for_archive => false)`;
    if (start === undefined || stop === undefined) throw new Error("Postgres did not answer");
    const [last] = await sql<{ wal: string }[]>`
      select pg_walfile_name(${stop.lsn}::pg_lsn) as wal`;
    const backup: BaseBackup = {
      label: stop.label,
      firstWal: start.wal,
      lastWal: last?.wal ?? start.wal,
      stopLsn: stop.lsn,
      stoppedAt: stop.at,
    };
    await keepWal(backup);
    return backup;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function readServer(sql: postgres.Sql): Promise<ServerFacts> {
  const [row] = await sql<
    { version: string; folder: string | null; level: string; strong: boolean; bytes: number }[]
  >`
    select current_setting('server_version') as version, current_setting('data_directory', true) as folder,
           current_setting('wal_level') as level, rolsuper as strong,
           (select sum(pg_database_size(oid))::float8 from pg_database) as bytes
      from pg_roles where rolname = current_user`;
  if (row === undefined || !row.strong || row.folder === null)
    throw new Error(
      "A copy of the data folder needs a superuser's connection to Postgres. Use that server's own backup (pg_basebackup, pg_dump, your provider's).",
    );
  if (row.level === "minimal")
    throw new Error(
      "Postgres runs with wal_level=minimal, which a backup while it runs cannot rest on. Restart it with wal_level=replica (the embedded one: stop and start the platform).",
    );
  return { version: row.version, dataFolder: row.folder, bytes: row.bytes };
}

/** What a restored database says of itself, and what must be beside it. */
export type RestoredFacts = {
  readonly tenants: number;
  readonly dags: number;
  readonly runs: number;
  readonly task_instances: number;
  readonly newest_migration: string;
  /** Of large XComs and artifacts. */
  readonly objects: readonly string[];
};

/** Once it has ended its recovery. */
export async function readRestored(url: string): Promise<RestoredFacts> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined, fetch_types: false });
  try {
    await untilRecovered(sql);
    const [row] = await sql<RestoredFacts[]>`
      select (select count(*)::float8 from airlock.tenant) as tenants, (select count(*)::float8 from airlock.dag) as dags,
             (select count(*)::float8 from airlock.dag_run) as runs,
             (select count(*)::float8 from airlock.task_instance) as task_instances,
             (select max(name) from airlock.migration) as newest_migration,
             (select coalesce(json_agg(object), '[]') from (
                select object from airlock.artifact union select object from airlock.xcom where object is not null
                union select log_object from airlock.attempt where log_object is not null) o(object)) as objects`;
    if (row === undefined) throw new Error("The restored database is empty.");
    return row;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** With archived WAL it answers before it has replayed all of it. */
async function untilRecovered(sql: postgres.Sql): Promise<void> {
  for (;;) {
    const [row] = await sql<{ recovers: boolean }[]>`select pg_is_in_recovery() as recovers`;
    if (row?.recovers === false) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
