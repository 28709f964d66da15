import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import { known } from "../model/ids.ts";
import { openStore, type Store } from "./open.ts";

let database: TestDatabase;
let store: Store;
const acme = known.tenant("acme");
const globex = known.tenant("globex");

beforeAll(async () => {
  database = await openDatabase();
  store = openStore(database.url, { connectionsMax: 4 });
  await store.system((tx) => tx`insert into airlock.tenant (tenant) values ('acme'), ('globex')`);
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

test("a transaction of one tenant sees that tenant's rows alone", async () => {
  const seen = await store.tx(
    acme,
    (tx) => tx<{ tenant: string }[]>`select tenant from airlock.tenant`,
  );
  expect(seen.map((row) => row.tenant)).toEqual(["acme"]);
});

test("a write for another tenant is refused by the database itself", async () => {
  await expect(
    store.tx(
      acme,
      (tx) => tx`insert into airlock.pool (tenant, pool, slots) values ('globex', 'p', 1)`,
    ),
  ).rejects.toThrow(/row-level security/);
});

test("after a transaction the connection belongs to no tenant", async () => {
  await store.tx(globex, (tx) => tx`select 1`);
  const left = await store.system((tx) => tx`select airlock.current_tenant() as tenant`);
  expect(left[0]?.["tenant"]).toBeNull();
});

test("a failed statement in a pipeline fails the transaction, though COMMIT itself succeeds", async () => {
  await expect(
    store.tx(acme, async (tx) => {
      void tx.last(tx`insert into airlock.pool (tenant, pool, slots) values ('acme', 'first', 1)`);
      void tx.last(tx`insert into airlock.pool (tenant, pool, slots) values ('acme', 'first', -7)`);
    }),
  ).rejects.toThrow(/check constraint/);
  const pools = await store.tx(acme, (tx) => tx`select pool from airlock.pool`);
  expect(pools).toHaveLength(0);
});

test("statements sent with the commit are written", async () => {
  await store.tx(acme, async (tx) => {
    void tx.last(tx`insert into airlock.pool (tenant, pool, slots) values ('acme', 'second', 1)`);
  });
  const pools = await store.tx(acme, (tx) => tx`select pool from airlock.pool`);
  expect(pools).toHaveLength(1);
});

test("every table that has a tenant forces row-level security, and every other one lets only the system in", async () => {
  const open = await database.owner<{ relname: string }[]>`
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'airlock' and c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)
       and c.relname <> 'migration'`;
  expect(open.map((row) => row.relname)).toEqual([]);
});
