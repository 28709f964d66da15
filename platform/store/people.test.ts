import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import { known } from "../model/ids.ts";
import { addAudit, findForgedAudit, listAudit } from "./audit.ts";
import { addAssignment, addRule, loadRules, policyVersion, removeRule } from "./grants.ts";
import { openStore, type Store } from "./open.ts";
import {
  addPerson,
  addToken,
  findSession,
  findToken,
  getPasswordHash,
  openSession,
  removeExpiredSignIns,
  removePerson,
  setPassword,
  upgradePasswordHash,
} from "./people.ts";
import { createTenant, listTenants } from "./tenants.ts";

let database: TestDatabase;
let store: Store;
const acme = known.tenant("acme");
const globex = known.tenant("globex");
const hash = (text: string): Buffer => createHash("sha256").update(text).digest();

beforeAll(async () => {
  database = await openDatabase();
  store = openStore(database.url, { connectionsMax: 4 });
  await store.system(async (tx) => {
    await createTenant(tx, acme);
    await createTenant(tx, globex);
    await addPerson(tx, { name: "ann", password: "h1" });
  });
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

test("a new tenant has Airflow's default pool; its name can be taken once", async () => {
  const pools = await store.tx(acme, (tx) => tx`select pool, slots from airlock.pool`);
  expect(pools).toMatchObject([{ pool: "default_pool", slots: 128 }]);
  expect(await store.system((tx) => createTenant(tx, acme))).toBeUndefined();
  expect((await store.system(listTenants)).map(({ tenant }) => tenant)).toEqual(["acme", "globex"]);
});

test("a tenant's transaction sees no person, session or token, and no right of another tenant", async () => {
  await store.system(async (tx) => {
    await openSession(tx, { hash: hash("s0"), person: "ann", agent: null });
    await addRule(tx, globex, { subject: "user:ann", thing: "*", deed: "*", effect: "allow" });
    await addAssignment(tx, "*", { subject: "user:ann", role: "role:admin" });
  });
  await store.tx(acme, async (tx) => {
    for (const table of [
      "person",
      "session",
      "token",
      "grant_rule",
      "role_assignment",
      "platform_policy",
    ])
      expect(await tx`select 1 from ${tx(`airlock.${table}`)}`).toHaveLength(0);
  });
  for (const tenant of ["*", "globex"])
    await expect(
      store.tx(acme, async (tx) => {
        await tx`insert into airlock.role_assignment (tenant, subject, role) values (${tenant}, 'user:eve', 'role:admin')`;
      }),
    ).rejects.toThrow(/row-level security/);
});

test("a changed right raises the version of its tenant, one of the platform that of all", async () => {
  const versions = (): Promise<readonly string[]> =>
    store.system(async (tx) => [await policyVersion(tx, acme), await policyVersion(tx, globex)]);
  const rule = { subject: "user:bob", thing: "dag:a", deed: "dag.read", effect: "allow" } as const;
  const [a0, g0] = await versions();
  await store.system((tx) => addRule(tx, acme, rule));
  const [a1, g1] = await versions();
  expect([a1 === a0, g1 === g0]).toEqual([false, true]);
  await store.system((tx) => removeRule(tx, acme, rule));
  const [a2] = await versions();
  expect(a2).not.toBe(a1);
  await store.system((tx) => addAssignment(tx, "*", { subject: "user:zoe", role: "role:viewer" }));
  const [a3, g3] = await versions();
  expect([a3 === a2, g3 === g1]).toEqual([false, false]);
  const loaded = await store.system((tx) => loadRules(tx, globex));
  expect(loaded.version).toBe(g3);
  expect(loaded.tenant.rules).toMatchObject([{ subject: "user:ann" }]);
  expect(loaded.platform.assignments.map(({ subject }) => subject)).toContain("user:zoe");
});

test("a changed right is told to whoever listens", async () => {
  const heard = Promise.withResolvers<string>();
  await store.listen("airlock_policy", heard.resolve, () => undefined);
  await store.system((tx) => addAssignment(tx, acme, { subject: "user:kim", role: "role:user" }));
  expect(await heard.promise).toBe("acme");
});

test("rights end with the tenant and with the person they name", async () => {
  const gone = known.tenant("gone");
  await store.system(async (tx) => {
    await createTenant(tx, gone);
    await addPerson(tx, { name: "tim", password: null });
    await addAssignment(tx, gone, { subject: "user:tim", role: "role:admin" });
    await addAssignment(tx, acme, { subject: "user:tim", role: "role:admin" });
    await tx`delete from airlock.pool where tenant = 'gone'`;
    await tx`delete from airlock.tenant where tenant = 'gone'`;
  });
  const left = (): Promise<readonly unknown[]> =>
    store.system((tx) => tx`select tenant from airlock.role_assignment where subject = 'user:tim'`);
  expect(await left()).toMatchObject([{ tenant: "acme" }]);
  await store.system((tx) => removePerson(tx, "tim"));
  expect(await left()).toHaveLength(0);
});

test("a session lives until it is idle or old; a new password ends it and short tokens, not named ones", async () => {
  const token = (id: string, kind: "api" | "access") => ({
    id,
    kind,
    hash: hash(id),
    person: "ann",
    tenant: null,
    scopes: null,
    name: id,
    seconds: 60,
  });
  await store.system(async (tx) => {
    await openSession(tx, { hash: hash("s1"), person: "ann", agent: "x" });
    await addToken(tx, token("AAAAAAAAAAA1", "api"));
    await addToken(tx, token("AAAAAAAAAAA2", "access"));
  });
  expect(await store.system((tx) => findSession(tx, hash("s1")))).toMatchObject({ name: "ann" });
  expect(await store.system((tx) => findSession(tx, hash("s2")))).toBeUndefined();
  expect((await store.system((tx) => findToken(tx, "AAAAAAAAAAA2")))?.token.kind).toBe("access");
  await store.system((tx) => setPassword(tx, "ann", "h2"));
  expect(await store.system((tx) => findSession(tx, hash("s1")))).toBeUndefined();
  expect(await store.system((tx) => findToken(tx, "AAAAAAAAAAA2"))).toBeUndefined();
  expect(await store.system((tx) => findToken(tx, "AAAAAAAAAAA1"))).toBeDefined();
  await database.owner`update airlock.token set expires_at = clock_timestamp() where id = 'AAAAAAAAAAA1'`;
  expect(await store.system((tx) => findToken(tx, "AAAAAAAAAAA1"))).toBeUndefined();
});

test("what nobody can use any more is swept", async () => {
  await store.system(async (tx) => {
    await openSession(tx, { hash: hash("old"), person: "ann", agent: null });
    await tx`update airlock.session set expires_at = clock_timestamp() - interval '1 s' where hash = ${hash("old")}`;
    await removeExpiredSignIns(tx);
    expect(await tx`select 1 from airlock.session where hash = ${hash("old")}`).toHaveLength(0);
  });
});

test("an upgraded hash does not overwrite a password that was changed meanwhile", async () => {
  await store.system(async (tx) => {
    await setPassword(tx, "ann", "old");
    await upgradePasswordHash(tx, "ann", "old", "better");
    expect(await getPasswordHash(tx, "ann")).toBe("better");
    await setPassword(tx, "ann", "changed");
    await upgradePasswordHash(tx, "ann", "better", "late");
    expect(await getPasswordHash(tx, "ann")).toBe("changed");
  });
});

test("audit rows are only added, and one changed past the trigger is found", async () => {
  const key = randomBytes(32);
  const entry = {
    tenant: "acme",
    actor: "user:ann",
    ip: "192.0.2.1",
    deed: "run.trigger",
    thing: "dag:a",
    outcome: "done",
    detail: { run_id: "r", nested: { a: [1, null] } },
  } as const;
  for (let n = 0; n < 3; n++) await store.tx(acme, (tx) => addAudit(tx, key, entry));
  expect(
    await store.tx(acme, (tx) => listAudit(tx, { tenant: "acme", page: { limit: 2, offset: 0 } })),
  ).toMatchObject({
    total: 3,
    rows: [entry, entry],
  });
  expect(
    (
      await store.tx(globex, (tx) =>
        listAudit(tx, { tenant: "acme", page: { limit: 2, offset: 0 } }),
      )
    ).total,
  ).toBe(0);
  const changes = [
    "update airlock.audit set actor = 'user:bob'",
    "delete from airlock.audit",
    "truncate airlock.audit",
  ];
  for (const change of changes) {
    await expect(store.tx(acme, async (tx) => void (await tx.unsafe(change)))).rejects.toThrow(
      /permission denied/,
    );
    await expect(store.system(async (tx) => void (await tx.unsafe(change)))).rejects.toThrow(
      /permission denied/,
    );
    // Even the owner meets the trigger.
    await expect(database.owner.unsafe(change)).rejects.toThrow(/append-only/);
  }
  const check = (keys: readonly Buffer[]) =>
    store.system((tx) => findForgedAudit(tx, keys, "0", 100));
  expect((await check([randomBytes(32), key])).forged).toEqual([]);
  await database.owner`alter table airlock.audit disable trigger audit_append_only`;
  const [row] = await database.owner<{ id: string }[]>`
    update airlock.audit set actor = 'user:bob' where seq = (select min(seq) from airlock.audit) returning id`;
  await database.owner`alter table airlock.audit enable trigger audit_append_only`;
  expect((await check([key])).forged).toEqual([row?.id]);
});
