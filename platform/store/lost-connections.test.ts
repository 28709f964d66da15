import { afterAll, beforeAll, expect, test } from "vitest";
import { type CutProxy, openCutProxy } from "../../test/kit/cut-proxy.ts";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import { known } from "../model/ids.ts";
import { codeOf, isAway, openStore, type Store, type Tx } from "./open.ts";

let database: TestDatabase;
let store: Store;
const acme = known.tenant("acme");
const globex = known.tenant("globex");

beforeAll(async () => {
  database = await openDatabase();
  // One connection: whoever comes next gets the place of whoever was cut.
  store = openStore(database.url, { connectionsMax: 1 });
  await store.system((tx) => tx`insert into airlock.tenant (tenant) values ('acme'), ('globex')`);
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

const cut = async (tx: Tx): Promise<void> => {
  const [row] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
  await database.owner`select pg_terminate_backend(${row?.pid ?? 0}, 5000)`;
};
const pools = async (): Promise<string[]> =>
  (await database.owner`select pool from airlock.pool order by 1`).map((row) =>
    String(row["pool"]),
  );

test("a transaction that was cut sends nothing more, not even over a connection that came back", async () => {
  const failed = store.tx(acme, async (tx) => {
    await cut(tx);
    // Written over a new connection, this would be committed at once, by the owner, past every fence.
    await tx`insert into airlock.pool (tenant, pool, slots) values ('globex', 'smuggled', 1)`.catch(
      () => undefined,
    );
    void tx.last(
      tx`insert into airlock.pool (tenant, pool, slots) values ('globex', 'smuggled_last', 1)`,
    );
  });
  await expect(failed).rejects.toSatisfy(isAway);
  expect(await pools()).toEqual([]);
});

test("its rollback never reaches the transaction that got its place", async () => {
  const inside = Promise.withResolvers<undefined>();
  const mayGoOn = Promise.withResolvers<undefined>();
  const failed = store.tx(acme, async (tx) => {
    await cut(tx);
    await inside.promise;
    await tx`select 1`;
  });
  failed.catch(() => undefined);
  const next = store.tx(globex, async (tx) => {
    await tx`insert into airlock.pool (tenant, pool, slots) values ('globex', 'first', 1)`;
    inside.resolve(undefined);
    await mayGoOn.promise;
    const [who] = await tx<{ role: string; tenant: string }[]>`
      select current_user as role, airlock.current_tenant() as tenant`;
    await tx`insert into airlock.pool (tenant, pool, slots) values ('globex', 'second', 1)`;
    return who;
  });
  await expect(failed).rejects.toSatisfy(isAway);
  mayGoOn.resolve(undefined);
  expect(await next).toEqual({ role: "airlock_app", tenant: "globex" });
  expect(await pools()).toEqual(["first", "second"]);
});

test("many wait for few connections, through cuts, and each gets its turn", async () => {
  const answers = await Promise.allSettled(
    Array.from({ length: 40 }, (_, i) =>
      store.tx(acme, async (tx) => {
        if (i % 10 === 5) await cut(tx);
        const [row] = await tx<{ i: number }[]>`select ${i}::int as i`;
        return row?.i;
      }),
    ),
  );
  const well = answers.filter((answer) => answer.status === "fulfilled");
  expect(well).toHaveLength(36);
});

test("a COMMIT whose answer was lost is an error that says so, and is not tried again by itself", async () => {
  const proxy: CutProxy = await openCutProxy(database.url);
  const cutStore = openStore(proxy.url, { connectionsMax: 1 });
  try {
    await cutStore.tx(acme, (tx) => tx`select 1`);
    proxy.cutAfterCommit();
    const lost = cutStore.tx(acme, async (tx) => {
      void tx.last(
        tx`insert into airlock.pool (tenant, pool, slots) values ('acme', 'unknown', 1)`,
      );
    });
    await expect(lost).rejects.toSatisfy((error) => codeOf(error) === "CONNECTION_CLOSED");
    expect(proxy.cuts()).toBe(1);
    expect(await pools()).toContain("unknown");
    expect(await cutStore.tx(acme, (tx) => tx`select 1 as well`)).toMatchObject([{ well: 1 }]);
  } finally {
    await cutStore.close();
    await proxy.close();
  }
});

test("deadlocks are run again from the start until one side is through", async () => {
  const two = openStore(database.url, { connectionsMax: 2 });
  await database.owner`
    insert into airlock.pool (tenant, pool, slots) values ('acme', 'left', 0), ('acme', 'right', 0)`;
  const both = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()] as const;
  const raise = (first: string, second: string, mine: 0 | 1) =>
    two.tx(acme, async (tx) => {
      await tx`update airlock.pool set slots = slots + 1 where tenant = 'acme' and pool = ${first}`;
      both[mine].resolve(undefined);
      await both[1 - mine]?.promise;
      await tx`update airlock.pool set slots = slots + 1 where tenant = 'acme' and pool = ${second}`;
    });
  try {
    await Promise.all([raise("left", "right", 0), raise("right", "left", 1)]);
    const slots = await database.owner<{ slots: number }[]>`
      select slots from airlock.pool where pool in ('left', 'right')`;
    expect(slots.map((row) => row.slots)).toEqual([2, 2]);
  } finally {
    await two.close();
  }
});

test("a session that was lost stays lost and says so", async () => {
  const session = await store.session();
  const [row] = await session.sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  expect(session.isOpen()).toBe(true);
  await database.owner`select pg_terminate_backend(${row?.pid ?? 0})`;
  await session.lost;
  expect(session.isOpen()).toBe(false);
  await expect(session.sql`select 1`).rejects.toSatisfy(isAway);
  await session.close();
});
