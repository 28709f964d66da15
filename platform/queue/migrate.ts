import { Logger, runMigrations } from "graphile-worker";

/** Brings the queue's own schema (`graphile_worker`) to this release. Safe to call from many processes at once. */
export async function migrateQueue(url: string): Promise<void> {
  await runMigrations({ connectionString: url, logger: new Logger(() => () => undefined) });
}
