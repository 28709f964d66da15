/**
 * One throw-away Postgres for the whole test run, and in it one migrated template. Each test file that
 * wants a database clones the template (`openDatabase`), so no file sees another's rows.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import type { TestProject } from "vitest/node";
import { databaseUrl, startEmbedded } from "../../platform/postgres/embedded.ts";
import { migrateQueue } from "../../platform/queue/migrate.ts";
import { migrate } from "../../platform/store/migrate.ts";

declare module "vitest" {
  interface ProvidedContext {
    postgresUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startThrowAwayPostgres();
  project.provide("postgresUrl", server.url);
  // See `lendEnvironments` in house.ts.
  process.env["AIRLOCK_TEST_ENVIRONMENTS"] = join(server.folder, "environments");
  mkdirSync(join(server.folder, "environments"));
  return server.stop;
}

/** The same for a campaign that runs without vitest. */
export async function startThrowAwayPostgres(): Promise<{
  readonly url: string;
  /** Removed at the stop. */
  readonly folder: string;
  readonly stop: () => Promise<void>;
}> {
  const folder = mkdtempSync(join(tmpdir(), "airlock-test-"));
  chmodSync(folder, 0o755);
  const server = await startEmbedded({
    folder: join(folder, "postgres"),
    volatile: true,
    maxConnections: 200,
  });
  const owner = postgres(server.url, { max: 1, onnotice: () => undefined });
  await owner`create database airlock_template`;
  await owner.end();
  const url = databaseUrl(server.url, "airlock_template");
  await migrateQueue(url);
  await migrate(url);
  return {
    url: server.url,
    folder,
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
