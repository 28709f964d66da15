/** Row-level security and the functions that look past it, attacked from inside; and all of it under an owner that is no superuser. */
import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { openRunStage, openRunStageOn, type RunStage } from "../../test/kit/run-stage.ts";
import { known } from "../model/ids.ts";
import { migrateQueue } from "../queue/migrate.ts";
import { migrate } from "./migrate.ts";
import { releaseStrays, ringForgotten } from "./workers.ts";

let stage: RunStage;
const acme = known.tenant("acme");
const globex = known.tenant("globex");

beforeAll(async () => {
  stage = await openRunStage();
  await stage.reset();
  await fill(stage);
});
afterAll(() => stage.closeAll());

/** A run of acme that left something in as many tables as a run can; globex has nothing but its name. */
async function fill(on: RunStage): Promise<void> {
  const { owner } = on.database;
  await owner`insert into airlock.tenant (tenant) values ('globex')`;
  await on.deploy(
    dagSpec([{ task_id: "a", retries: 1, downstream: ["b"] }, { task_id: "b" }], {
      dag_id: known.dag("d"),
    }),
  );
  const run = await on.trigger("d");
  await on.finish(await on.claimNext(run), { kind: "failed" });
  const second = await on.trigger("d");
  const a = await on.claimNext(second);
  await owner`insert into airlock.skip_decision values ('acme', ${run}, 'a', -1, '{b}')`;
  await owner`insert into airlock.mapped_length values ('acme', ${run}, 'pushed', 'a', 1)`;
  await owner`insert into airlock.log_chunk (tenant, attempt, seq, lines, text) values ('acme', ${a.attempt}, 0, 1, 'x')`;
  await owner`insert into airlock.artifact (tenant, attempt, name, bytes, content_type, object)
    values ('acme', ${a.attempt}, 'r', 1, 't', 'o')`;
  await owner`insert into airlock.rendered_fields values ('acme', ${run}, 'a', -1, 1, '{}')`;
}

const tenantTables = async (): Promise<string[]> => {
  const rows = await stage.database.owner<{ name: string }[]>`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'airlock' and c.relkind in ('r', 'p')
       and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant' and not a.attisdropped)
     order by 1`;
  return rows.map((row) => row.name);
};

test("of every table with a tenant, a tenant sees, changes and deletes its own rows alone", async () => {
  const filled: string[] = [];
  for (const table of await tenantTables()) {
    const at = stage.database.owner(`airlock.${table}`);
    const [all] = await stage.database.owner<{ n: number }[]>`
      select count(*)::int as n from ${at} where tenant = 'acme'`;
    if ((all?.n ?? 0) > 0) filled.push(table);
    const seen = await stage.store.tx(
      globex,
      (tx) => tx<{ tenant: string }[]>`select distinct tenant from ${tx(`airlock.${table}`)}`,
    );
    expect({ table, seen: seen.filter((row) => row.tenant !== "globex") }).toEqual({
      table,
      seen: [],
    });
    const deleted = await stage.store
      .tx(
        globex,
        (tx) => tx`delete from ${tx(`airlock.${table}`)} where tenant = 'acme' returning 1`,
      )
      .catch(() => []); // some may not be deleted from at all
    expect({ table, deleted: deleted.length }).toEqual({ table, deleted: 0 });
    const moved = await stage.store
      .tx(
        globex,
        (tx) =>
          tx`update ${tx(`airlock.${table}`)} set tenant = 'globex' where tenant = 'acme' returning 1`,
      )
      .catch(() => []);
    expect({ table, moved: moved.length }).toEqual({ table, moved: 0 });
    const [after] = await stage.database.owner<{ n: number }[]>`
      select count(*)::int as n from ${at} where tenant = 'acme'`;
    expect({ table, ...after }).toEqual({ table, ...all });
  }
  // The tables that a run fills were filled, or this would have proved nothing.
  for (const table of [
    "task_instance",
    "attempt",
    "permit",
    "timer",
    "xcom",
    "change",
    "log_chunk",
    "artifact",
    "task_counter",
  ])
    expect(filled).toContain(table);
});

test("a transaction without a tenant, as the tenants' role, sees nothing", async () => {
  for (const table of await tenantTables()) {
    const seen = await stage.store.tx(
      known.tenant(""),
      (tx) => tx`select 1 from ${tx(`airlock.${table}`)} limit 1`,
    );
    expect({ table, seen: seen.length }).toEqual({ table, seen: 0 });
  }
});

test("a row cannot be given to another tenant, in any table", async () => {
  await expect(
    stage.store.tx(
      acme,
      (tx) => tx`update airlock.task_instance set tenant = 'globex' where tenant = 'acme'`,
    ),
  ).rejects.toThrow(/row-level security/);
});

test("the facts for continuation are of the asking tenant, or none", async () => {
  const ask = (who: typeof acme, about: string) =>
    stage.store.tx(who, (tx) => tx`select * from airlock.continuation_facts(${about}, 'default')`);
  expect(await ask(acme, "acme")).toMatchObject([{ in_flight: 1 }]);
  const [theirs] = await ask(globex, "acme");
  expect(Object.values(theirs ?? {}).filter((value) => value !== null)).toEqual([]);
});

test.each([
  ["release_pool", "select airlock.release_pool('pool-x')"],
  ["release_strays", "select airlock.release_strays(interval '0')"],
  ["forgotten", "select * from airlock.forgotten(interval '0')"],
  ["the workers", "select 1 from airlock.worker"],
  ["the queue's jobs", "select 1 from graphile_worker.jobs"],
  ["the queue's functions", "select graphile_worker.force_unlock_workers(array['x'])"],
])("a tenant's transaction cannot use %s", async (_name, statement) => {
  const asked = stage.store.tx(acme, async (tx) => tx.unsafe(statement));
  if (statement.includes("airlock.worker")) expect(await asked).toHaveLength(0);
  else await expect(asked).rejects.toThrow(/permission denied/);
});

test("nobody but the two roles may call what looks past the fences", async () => {
  const open = await stage.database.owner<{ proname: string }[]>`
    select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'airlock' and p.prosecdef and has_function_privilege('public', p.oid, 'execute')`;
  expect(open.map((row) => row.proname)).toEqual([]);
  const unsafe = await stage.database.owner<{ proname: string }[]>`
    select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'airlock' and p.prosecdef and not exists (
       select from unnest(p.proconfig) c where c like 'search\\_path=%')`;
  expect(unsafe.map((row) => row.proname)).toEqual([]);
});

test("under an owner that is no superuser it migrates, twice, and all of it works", async () => {
  const server = new URL(inject("postgresUrl"));
  const admin = postgres(server.href, { max: 1, onnotice: () => undefined });
  const name = `plain_${randomUUID().slice(0, 8)}`;
  await admin.unsafe(
    `create role ${name} login password 'plain' nosuperuser nobypassrls createrole`,
  );
  // The roles of this server were made by somebody else: whoever may hand them on does so once.
  await admin.unsafe(`grant airlock_app, airlock_system to ${name} with admin option`);
  await admin.unsafe(`create database ${name} owner ${name}`);
  const url = new URL(server.href);
  url.pathname = `/${name}`;
  url.username = name;
  url.password = "plain";
  let plain: RunStage | undefined;
  try {
    await migrateQueue(url.href);
    await migrate(url.href);
    expect(await migrate(url.href)).toEqual({ applied: [] });
    plain = openRunStageOn(url.href);
    const { owner } = plain.database;
    // The owner is bound by the fences' policies as well, so it arranges as the system does.
    await plain.store.system(async (tx) => {
      await tx`insert into airlock.tenant (tenant) values ('acme')`;
      await tx`insert into airlock.pool (tenant, pool, slots) values ('acme', 'default_pool', 8)`;
    });
    await plain.deploy(
      dagSpec([{ task_id: "a", downstream: ["b"] }, { task_id: "b" }], { dag_id: known.dag("d") }),
    );
    const run = await plain.trigger("d");
    expect(await owner`select 1 from graphile_worker.jobs`).toHaveLength(1);
    const a = await plain.claimNext(run);
    expect(await plain.finish(a, { wish: true })).toMatchObject({ continued: { fence: 1 } });
    await plain.store.system((tx) => ringForgotten(tx, 0));
    await owner`update graphile_worker._private_jobs set locked_by = 'pool-x', locked_at = now() - interval '1 hour'`;
    expect(await plain.store.system((tx) => releaseStrays(tx, 1))).toBe(1);
    expect(await plain.states(run)).toEqual({ a: "success", b: "running" });
  } finally {
    await plain?.closeAll();
    await admin.unsafe(`drop database if exists ${name} with (force)`);
    await admin.unsafe(`drop owned by ${name}`);
    await admin.unsafe(`drop role ${name}`);
    await admin.end();
  }
});
