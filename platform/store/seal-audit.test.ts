import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import { addAudit } from "./audit.ts";
import { openStore, type Store } from "./open.ts";
import { findBrokenAudit, sealAudit } from "./seal-audit.ts";

let database: TestDatabase;
let store: Store;
const key = randomBytes(32);

beforeAll(async () => {
  database = await openDatabase();
  store = openStore(database.url, { connectionsMax: 8 });
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

const write = (tenant: string, thing = "dag:a"): Promise<void> =>
  store.system((tx) =>
    addAudit(tx, key, {
      tenant,
      actor: "user:a",
      ip: null,
      deed: "dag.pause",
      thing,
      outcome: "done",
      detail: {},
    }),
  );
const seal = () => store.system(sealAudit);
const links = async (tenant: string): Promise<number> =>
  (await database.owner`select 1 from airlock.audit_chain where tenant = ${tenant}`).length;
/** Another test file's transaction on this server may hold the horizon for a moment. */
const sealed = (tenant: string, count: number) =>
  expect
    .poll(
      async () => {
        await seal();
        return links(tenant);
      },
      { timeout: 20_000 },
    )
    .toBe(count);

test("writers at once are chained one after the other, each tenant for itself, each row once", async () => {
  await Promise.all(Array.from({ length: 20 }, (_, n) => write(n % 2 ? "acme" : "globex")));
  await Promise.all([seal(), seal(), seal()]);
  await sealed("acme", 10);
  await sealed("globex", 10);
  expect(await store.system((tx) => findBrokenAudit(tx, "acme"))).toBeUndefined();
  expect(await seal()).toEqual([]);
});

test("a row of a transaction that still runs is chained when it is decided, not lost", async () => {
  const gate = Promise.withResolvers<undefined>();
  const written = Promise.withResolvers<undefined>();
  const slow = store.system(async (tx) => {
    await addAudit(tx, key, {
      tenant: "slow",
      actor: "user:a",
      ip: null,
      deed: "d",
      thing: "late",
      outcome: "done",
      detail: {},
    });
    written.resolve(undefined);
    await gate.promise;
  });
  await written.promise;
  await write("slow", "early");
  await seal();
  expect(await links("slow")).toBe(0);
  gate.resolve(undefined);
  await slow;
  await sealed("slow", 2);
  expect(await store.system((tx) => findBrokenAudit(tx, "slow"))).toBeUndefined();
});

test("a row changed, removed or moved, and a cut tail, are found at their place", async () => {
  for (let n = 0; n < 4; n++) await write("evil", `dag:${n}`);
  let anchor = (await seal()).find(({ tenant }) => tenant === "evil");
  await expect
    .poll(
      async () => {
        anchor = (await seal()).find(({ tenant }) => tenant === "evil") ?? anchor;
        return anchor?.place;
      },
      { timeout: 20_000 },
    )
    .toBe("4");
  const look = () => store.system((tx) => findBrokenAudit(tx, "evil", anchor));
  /** As somebody who owns the database and switches the triggers off. */
  const forge = (change: string): Promise<unknown> =>
    database.owner.begin(async (sql) => {
      await sql.unsafe("set local session_replication_role = replica");
      await sql.unsafe(change);
    });
  expect(await look()).toBeUndefined();
  await forge("update airlock.audit set mac = '\\x00' where tenant = 'evil' and thing = 'dag:2'");
  expect(await look()).toMatchObject({ place: "3", problem: "its row or its link was changed" });
  await forge("delete from airlock.audit where tenant = 'evil' and thing = 'dag:1'");
  expect(await look()).toMatchObject({ place: "2", problem: "its row is missing" });
  await forge("delete from airlock.audit_chain where tenant = 'evil' and place = 1");
  expect(await look()).toMatchObject({ place: "1", problem: "a link is missing" });
  await forge("delete from airlock.audit_chain where tenant = 'evil'");
  expect(await look()).toMatchObject({ place: "1", problem: "the chain is shorter than it was" });
});

test("the chain itself is append-only for the roles that work with it", async () => {
  for (const change of [
    "update airlock.audit_chain set hash = hash",
    "delete from airlock.audit_chain",
    "truncate airlock.audit_chain",
  ])
    await expect(store.system(async (tx) => void (await tx.unsafe(change)))).rejects.toThrow(
      /permission denied/,
    );
});
