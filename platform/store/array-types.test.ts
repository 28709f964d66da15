import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import { openStore, type Store } from "./open.ts";

let database: TestDatabase;
let store: Store;
beforeAll(async () => {
  database = await openDatabase();
  store = openStore(database.url);
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

test("texts come back as they went, whatever is in them", async () => {
  const hard = ["", " ", "NULL", "null", 'a "b"', "c,d", "{e}", "\\", '\\"', "é\n\t", "}", "''"];
  const [row] = await store.system(
    (tx) => tx`select ${hard}::text[] as back, array_length(${hard}::text[], 1) as n`,
  );
  expect(row).toEqual({ back: hard, n: hard.length });
});

test("empty arrays, nulls and other element types", async () => {
  const at = new Date("2026-01-02T03:04:05.678Z");
  const id = "5f1d7f4a-6b67-4b5e-9d0e-0d6a7d7c1b11";
  const [row] = await store.system(
    (tx) => tx`
      select ${[]}::text[] as none, array['a', null, 'NULL'] as some, ${[id]}::uuid[] as ids, ${["9007199254740993"]}::bigint[] as keys,
             ${[1, 2]}::int[] as numbers, ${[at.toISOString()]}::timestamptz[] as times, array[true, false] as flags, array[1.5]::float8[] as reals`,
  );
  expect(row).toEqual({
    none: [],
    some: ["a", null, "NULL"],
    ids: [id],
    keys: ["9007199254740993"],
    numbers: [1, 2],
    times: [at],
    flags: [true, false],
    reals: [1.5],
  });
});
