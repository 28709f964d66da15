/**
 * Migrations: SQL files applied in order, each once, checked by hash, under one advisory lock, each in a
 * transaction of its own. The queue's own schema must be there first (`platform/queue/migrate.ts`), since
 * ours calls its functions.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";

const lockKey = 4_716_273_645;

export type Migrated = { readonly applied: readonly string[] };

/** Brings the database to this release. Throws if it is newer, or if a file differs from what was applied. */
export async function migrate(
  url: string,
  folder: string = join(import.meta.dirname, "migrations"),
): Promise<Migrated> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined, idle_timeout: 5 });
  try {
    await sql`select pg_advisory_lock(${lockKey})`;
    await sql`create schema if not exists airlock`;
    await sql`create table if not exists airlock.migration (
      name text primary key, sha256 text not null, applied_at timestamptz not null default clock_timestamp())`;
    const done = await sql<{ name: string; sha256: string }[]>`
      select name, sha256 from airlock.migration order by name`;
    const files = readFiles(folder);
    checkHistory(done, files);
    const applied: string[] = [];
    for (const file of files) {
      if (done.some((row) => row.name === file.name)) continue;
      await sql.begin(async (tx) => {
        await tx.unsafe(file.text);
        await tx`insert into airlock.migration (name, sha256) values (${file.name}, ${file.sha256})`;
      });
      applied.push(file.name);
    }
    await checkRoles(sql);
    return { applied };
  } finally {
    await sql.end({ timeout: 2 });
  }
}

type MigrationFile = { readonly name: string; readonly text: string; readonly sha256: string };

/** This release's own, in their order. */
export const listMigrations = (): readonly MigrationFile[] =>
  readFiles(join(import.meta.dirname, "migrations"));

const readFiles = (folder: string): MigrationFile[] =>
  readdirSync(folder)
    .filter((name) => /^\d{4}-[\w-]+\.sql$/.test(name))
    .toSorted()
    .map((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      return { name, text, sha256: createHash("sha256").update(text).digest("hex") };
    });

function checkHistory(
  done: readonly { name: string; sha256: string }[],
  files: readonly MigrationFile[],
): void {
  for (const row of done) {
    const file = files.find((candidate) => candidate.name === row.name);
    if (file === undefined)
      throw new Error(
        `The database has migration ${row.name}, which this release does not know: it is newer than this program. Start the newer release.`,
      );
    if (file.sha256 !== row.sha256)
      throw new Error(
        `Migration ${row.name} was applied with other contents than this release has. A released migration must never be edited.`,
      );
  }
}

/** A role that bypasses row-level security would see every tenant, and no test would notice. */
async function checkRoles(sql: postgres.Sql): Promise<void> {
  const strong = await sql<{ rolname: string }[]>`
    select rolname from pg_roles where rolname in ('airlock_app', 'airlock_system') and (rolsuper or rolbypassrls)`;
  if (strong.length > 0)
    throw new Error(
      `The role ${strong.map((role) => role.rolname).join(", ")} is a superuser or bypasses row-level security. ` +
        "Take that away (alter role … nosuperuser nobypassrls) and start again.",
    );
}
