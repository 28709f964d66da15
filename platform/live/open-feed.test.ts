/** The feed: whatever order transactions commit in, each change comes, and comes once. */
import type postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openLog } from "../../ops/telemetry/log.ts";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import { eventually } from "../../test/kit/house.ts";
import { known } from "../model/ids.ts";
import { openStore, type Store } from "../store/open.ts";
import { type Feed, openFeed } from "./open-feed.ts";

let database: TestDatabase;
let store: Store;
let feed: Feed;
const log = openLog({ format: "json", level: "silent" });

beforeAll(async () => {
  database = await openDatabase();
  store = openStore(database.url);
});
afterAll(async () => {
  await store.close();
  await database.drop();
});
beforeEach(async () => {
  await database.owner`delete from airlock.change`;
  feed = await openFeed(store, log);
});
afterEach(() => feed.close());

const listen = async (tenant: string): Promise<string[]> => {
  const seen: string[] = [];
  await new Promise<void>((open) => {
    feed.subscribe(
      known.tenant(tenant),
      (changes) => seen.push(...changes.map((change) => change.task_id)),
      open,
    );
  });
  return seen;
};
const write = (by: postgres.Sql | postgres.TransactionSql, task: string, tenant = "acme") => by`
  insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
  values (${tenant}, 1, 'd', 'r', ${task}, -1, 1, null, 'queued')`;
const has = (seen: readonly string[], task: string) =>
  eventually(() => Promise.resolve(seen.includes(task) ? true : undefined), 5_000);

test("a change that commits after later ones is not lost, and none comes twice", async () => {
  const seen = await listen("acme");
  const mayCommit = Promise.withResolvers<undefined>();
  const slow = database.owner.begin(async (tx) => {
    await write(tx, "slow");
    await mayCommit.promise;
  });
  await eventually(async () => {
    const open = await database.owner`
      select 1 from pg_stat_activity where state = 'idle in transaction' and query like '%airlock.change%'`;
    return open.length > 0 ? true : undefined;
  });
  for (let i = 0; i < 5; i += 1) {
    await write(database.owner, `fast${i}`);
    feed.changed();
    await has(seen, `fast${i}`);
  }
  expect(seen).not.toContain("slow");
  mayCommit.resolve(undefined);
  await slow;
  feed.changed();
  await has(seen, "slow");
  await write(database.owner, "last");
  feed.changed();
  await has(seen, "last");
  expect(seen.toSorted()).toEqual(["fast0", "fast1", "fast2", "fast3", "fast4", "last", "slow"]);
});

test("more changes than one page holds, under one long transaction, all come, once each", async () => {
  const seen = await listen("acme");
  const mayEnd = Promise.withResolvers<undefined>();
  const held = database.owner.begin(async (tx) => {
    await write(tx, "held");
    await mayEnd.promise;
  });
  await database.owner`
    insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
    select 'acme', 1, 'd', 'r', 't' || n, -1, 1, null, 'queued' from generate_series(1, 12000) n`;
  feed.changed();
  await eventually(() => Promise.resolve(seen.length >= 12_000 ? true : undefined), 10_000);
  await write(database.owner, "after");
  feed.changed();
  await has(seen, "after");
  mayEnd.resolve(undefined);
  await held;
  feed.changed();
  await has(seen, "held");
  expect(seen).toHaveLength(12_002);
  expect(new Set(seen).size).toBe(12_002);
});

test("what was committed before anybody listened is no news, however long some transaction has been open", async () => {
  const mayEnd = Promise.withResolvers<undefined>();
  const begun = Promise.withResolvers<undefined>();
  const held = database.owner.begin(async (tx) => {
    await write(tx, "held");
    begun.resolve(undefined);
    await mayEnd.promise;
  });
  await begun.promise;
  await write(database.owner, "old");
  const seen = await listen("acme");
  await write(database.owner, "new");
  feed.changed();
  await has(seen, "new");
  mayEnd.resolve(undefined);
  await held;
  feed.changed();
  await has(seen, "held");
  expect(seen).toEqual(["new", "held"]);
});

test("who lost the line is given again what came in and after its last batch", async () => {
  const batches: { tasks: string[]; place: string }[] = [];
  const acme = known.tenant("acme");
  await new Promise<void>((open) => {
    feed.subscribe(
      acme,
      (changes, place) => batches.push({ tasks: changes.map((one) => one.task_id), place }),
      open,
    );
  });
  await write(database.owner, "got");
  feed.changed();
  await eventually(() => Promise.resolve(batches.length === 1 ? true : undefined), 5_000);
  await write(database.owner, "missed");
  const again = await feed.since(batches[0]?.place ?? "", [acme]);
  expect(again?.map((one) => one.task_id)).toEqual(["got", "missed"]);
});

test("a wake-up that was lost costs a second, no change", async () => {
  const seen = await listen("acme");
  await write(database.owner, "unannounced");
  await has(seen, "unannounced");
  expect(seen).toEqual(["unannounced"]);
});

test("each tenant's listener hears of that tenant alone", async () => {
  const acme = await listen("acme");
  const globex = await listen("globex");
  await write(database.owner, "theirs", "globex");
  await write(database.owner, "ours");
  feed.changed();
  await has(acme, "ours");
  await has(globex, "theirs");
  expect(acme).toEqual(["ours"]);
  expect(globex).toEqual(["theirs"]);
});

test("what commits once the feed is open for a listener comes to it", async () => {
  for (let i = 0; i < 20; i += 1) {
    const seen: string[] = [];
    const opened = Promise.withResolvers<undefined>();
    const close = feed.subscribe(
      known.tenant("acme"),
      (changes) => seen.push(...changes.map((change) => change.task_id)),
      () => opened.resolve(undefined),
    );
    await opened.promise;
    await write(database.owner, `first${i}`);
    feed.changed();
    await has(seen, `first${i}`);
    expect(seen).toEqual([`first${i}`]);
    close();
  }
});
