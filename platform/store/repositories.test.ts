import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import { known } from "../model/ids.ts";
import { openStore, type Store } from "./open.ts";
import {
  createRepository,
  endLease,
  leaseRepository,
  listRepositories,
  listWanted,
  noteDelivery,
  readRepository,
  renewLease,
  secondsToNextPoll,
  wantDuePolls,
  wantSync,
} from "./repositories.ts";

const acme = known.tenant("acme");
const globex = known.tenant("globex");
const one = known.repository("one");
let database: TestDatabase;
let store: Store;

beforeAll(async () => {
  database = await openDatabase();
  store = openStore(database.url, { connectionsMax: 6 });
  await store.system((tx) => tx`insert into airlock.tenant (tenant) values ('acme'), ('globex')`);
});
afterAll(async () => {
  await store.close();
  await database.drop();
});
beforeEach(async () => {
  await database.owner`truncate airlock.repository cascade`;
  await add("one");
});

const add = (name: string, url: string | null = null): Promise<"created" | "exists"> =>
  store.tx(acme, (tx) =>
    createRepository(tx, {
      tenant: acme,
      repository: known.repository(name),
      kind: url === null ? "hosted" : "external",
      url,
      branch: "main",
      path: "",
      credentials: Buffer.from("sealed"),
      webhook_secrets: null,
    }),
  );
const lease = (owner: string, seconds = 30): ReturnType<typeof leaseRepository> =>
  store.tx(acme, (tx) => leaseRepository(tx, acme, one, { owner, seconds }));

test("a repository is made once, and no other tenant sees it", async () => {
  expect(await add("one")).toBe("exists");
  expect(await store.tx(acme, (tx) => listRepositories(tx, acme))).toMatchObject([
    { repository: "one", kind: "hosted", credentials: Buffer.from("sealed"), failures: 0 },
  ]);
  expect(await store.tx(globex, (tx) => readRepository(tx, acme, one))).toBeUndefined();
  expect(await store.tx(globex, (tx) => wantSync(tx, acme, one, "asked"))).toBe(false);
});

test("of many who want the lease at once exactly one gets it", async () => {
  const all = await Promise.all(Array.from({ length: 6 }, () => lease(randomUUID())));
  expect(all.filter((held) => held !== undefined)).toHaveLength(1);
});

test("a suspended tenant's repositories are not synced", async () => {
  await store.tx(acme, (tx) => wantSync(tx, acme, one, "push"));
  await database.owner`update airlock.tenant set state = 'suspended' where tenant = 'acme'`;
  expect(await store.system((tx) => listWanted(tx, 10))).toEqual([]);
  expect(await lease(randomUUID())).toBeUndefined();
  await database.owner`update airlock.tenant set state = 'active' where tenant = 'acme'`;
});

test("a lease that ran out is another's, and its old holder can neither renew nor end it", async () => {
  const [old, fresh] = [randomUUID(), randomUUID()];
  const held = await lease(old);
  await database.owner`update airlock.repository set lease_until = now() - interval '1 second'`;
  expect(await lease(fresh)).toBeDefined();
  expect(await store.tx(acme, (tx) => renewLease(tx, acme, one, { owner: old, seconds: 9 }))).toBe(
    false,
  );
  await store.tx(acme, (tx) =>
    endLease(tx, acme, one, old, { claimedAt: held?.claimed_at ?? "", nextPollSeconds: 1 }),
  );
  expect(await lease(randomUUID())).toBeUndefined();
});

test("a want of before the claim is answered by it, one of after it stays", async () => {
  const owner = randomUUID();
  await store.tx(acme, (tx) => wantSync(tx, acme, one, "push"));
  const first = await lease(owner);
  expect(first?.reason).toBe("push");
  const end = { claimedAt: first?.claimed_at ?? "", nextPollSeconds: 60 };
  await store.tx(acme, (tx) => endLease(tx, acme, one, owner, end));
  expect(await store.system((tx) => listWanted(tx, 10))).toEqual([]);
  const second = await lease(owner);
  await store.tx(acme, (tx) => wantSync(tx, acme, one, "webhook"));
  await store.tx(acme, (tx) =>
    endLease(tx, acme, one, owner, { ...end, claimedAt: second?.claimed_at ?? "" }),
  );
  expect(await store.system((tx) => listWanted(tx, 10))).toMatchObject([{ reason: "webhook" }]);
});

test("due polls become wants once, whoever asks and however often", async () => {
  for (let i = 0; i < 20; i++) await add(`ext${i}`, "https://git.example.org/x.git");
  const taken = await Promise.all(
    Array.from({ length: 4 }, () => store.system((tx) => wantDuePolls(tx, 10))),
  );
  const rest = await store.system((tx) => wantDuePolls(tx, 100));
  expect(taken.reduce((sum, n) => sum + n, rest)).toBe(20);
  expect(await store.system((tx) => secondsToNextPoll(tx))).toBeUndefined();
});

test("a hosted repository whose sync failed is tried again after its pause", async () => {
  const owner = randomUUID();
  const held = await lease(owner);
  await store.tx(acme, (tx) =>
    endLease(tx, acme, one, owner, {
      claimedAt: held?.claimed_at ?? "",
      problem: { message: "no", hint: "so" },
      nextPollSeconds: 0,
    }),
  );
  expect(await store.system((tx) => wantDuePolls(tx, 10))).toBe(1);
  expect(await store.system((tx) => listWanted(tx, 10))).toMatchObject([{ reason: "retry" }]);
});

test("a delivery counts once a day", async () => {
  const note = (id: string): Promise<"new" | "seen"> =>
    store.tx(acme, (tx) => noteDelivery(tx, acme, one, id));
  expect([await note("a"), await note("a"), await note("b")]).toEqual(["new", "seen", "new"]);
});
