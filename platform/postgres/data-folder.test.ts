import { expect, test } from "vitest";
import { belongsToBackup, isWalBetween } from "./data-folder.ts";

test.each([
  ["base/5/1259", true],
  ["PG_VERSION", true],
  ["pg_xact/0000", true],
  ["pg_wal", true],
  ["pg_wal/000000010000000000000001", false],
  ["pg_replslot/x/state", false],
  ["postmaster.pid", false],
  ["backup_label", false],
  ["base/pgsql_tmp/pgsql_tmp12.0", false],
  ["base/5/pg_internal.init", false],
])("%s: %s", (path, isPart) => {
  expect(belongsToBackup(path)).toBe(isPart);
});

test("only the WAL between start and stop is taken, and how timelines branched", () => {
  const [first, last] = ["0000000100000000000000FE", "000000010000000100000001"];
  const taken = [
    "0000000100000000000000FD",
    first,
    "0000000100000000000000FF",
    "000000010000000100000000",
    last,
    "000000010000000100000002",
    "00000002.history",
    "archive_status",
    "000000010000000000000001.00000028.backup",
  ].filter((name) => isWalBetween(name, first, last));
  expect(taken).toEqual([
    first,
    "0000000100000000000000FF",
    "000000010000000100000000",
    last,
    "00000002.history",
  ]);
});
