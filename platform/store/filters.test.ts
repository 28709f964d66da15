import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import { known } from "../model/ids.ts";
import { matches, type SeenIds, seenIn } from "./filters.ts";
import { openStore, type Store } from "./open.ts";
import { createTenant } from "./tenants.ts";

let database: TestDatabase;
let store: Store;
const acme = known.tenant("acme");
const ids = [
  "a",
  "ab",
  "a_b",
  "a.b",
  "a-b",
  "aB",
  "b",
  "b`",
  "fin",
  "fin_",
  "fin_a",
  "finx",
  'q"u',
  "b\\s",
  "{x,y}",
];

beforeAll(async () => {
  database = await openDatabase();
  store = openStore(database.url, { connectionsMax: 2 });
  await store.system((tx) => createTenant(tx, acme));
  await database.owner`
    insert into airlock.variable ${database.owner(ids.map((key) => ({ tenant: "acme", key, sealed: Buffer.of(1) })))}`;
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

test("the SQL condition lets through exactly the ids that the rights name", async () => {
  const some = fc.record({
    kind: fc.constant("some" as const),
    ids: fc.array(fc.constantFrom(...ids, "other"), { maxLength: 4 }),
    ranges: fc.array(
      fc.constantFrom(
        { from: "a", to: "b" },
        { from: "fin_", to: "fin`" },
        { from: "a_", to: "a`" },
        { from: "b" },
      ),
      { maxLength: 2 },
    ),
  });
  const side = fc.oneof(some, some, fc.constant({ kind: "all" as const }));
  const has = (of: SeenIds["allow"], id: string): boolean =>
    of.kind === "all" ||
    of.ids.includes(id) ||
    of.ranges.some(({ from, to }) => id >= from && (to === undefined || id < to));
  await fc.assert(
    fc.asyncProperty(fc.record({ allow: side, deny: some }), async (seen) => {
      const rows = await store.tx(
        acme,
        (tx) =>
          tx<
            { key: string }[]
          >`select key from airlock.variable where ${seenIn(tx, tx`key`, seen)}`,
      );
      const expected = ids.filter((id) => has(seen.allow, id) && !has(seen.deny, id));
      expect(rows.map(({ key }) => key).toSorted()).toEqual(expected.toSorted());
    }),
    { numRuns: 80 },
  );
});

test.each([
  ["fin", ["fin", "fin_", "fin_a", "finx"]],
  ['q"', ['q"u']],
  ["b\\s", ["b\\s"]],
  ["{x,", ["{x,y}"]],
  ["A_B", ["a_b", "a.b", "a-b"]],
  ["q | fin%a", ['q"u', "fin_a"]],
  [" | ", ids],
])(
  "the pattern %j is Airflow's: % and _, alternatives, all else literal",
  async (pattern, expected) => {
    const rows = await store.tx(
      acme,
      (tx) =>
        tx<
          { key: string }[]
        >`select key from airlock.variable where ${matches(tx, tx`key`, pattern)}`,
    );
    expect(rows.map(({ key }) => key).toSorted()).toEqual([...expected].toSorted());
  },
);
