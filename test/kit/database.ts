import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { inject } from "vitest";
import { databaseUrl } from "../../platform/postgres/embedded.ts";

export type TestDatabase = {
  readonly url: string;
  /** The owner's connection, past every fence: to arrange and to look, never what is under test. */
  readonly owner: postgres.Sql;
  drop(): Promise<void>;
};

/** A database of this test file's own, cloned from the migrated template. Campaigns, which run without vitest, name their server. */
export async function openDatabase(server = inject("postgresUrl")): Promise<TestDatabase> {
  const name = `t_${randomUUID().replaceAll("-", "")}`;
  const admin = postgres(server, { max: 1, onnotice: () => undefined });
  await admin.unsafe(`create database ${name} template airlock_template strategy file_copy`);
  const url = databaseUrl(server, name);
  const owner = postgres(url, { max: 4, onnotice: () => undefined });
  return {
    url,
    owner,
    async drop() {
      await owner.end({ timeout: 2 });
      await admin.unsafe(`drop database if exists ${name} with (force)`);
      await admin.end();
    },
  };
}
