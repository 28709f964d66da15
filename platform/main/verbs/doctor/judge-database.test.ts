/** Each thing that can be wrong with a database is named, with the way out; a healthy one says so. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase, type TestDatabase } from "../../../../test/kit/database.ts";
import { type DatabaseFacts, examineDatabase, type PlatformLife } from "../../../store/examine.ts";
import { judgeDatabase } from "./judge-database.ts";

const life: PlatformLife = {
  scheduler_s: 2,
  sync_s: 3,
  workers: 2,
  workers_silent: 0,
  admitted: 0,
  admitted_s: 0,
  leases_over: 0,
  stray_jobs: 0,
  repositories_failing: 0,
};
const platform = {
  migrations_missing: [],
  migrations_unknown: [],
  migrations_changed: [],
  strong_roles: [],
  life,
};
const well: DatabaseFacts = {
  version: 18,
  user: "airlock",
  is_superuser: false,
  may_make_roles: true,
  settings: {
    fsync: "on",
    full_page_writes: "on",
    synchronous_commit: "on",
    max_connections: "100",
    superuser_reserved_connections: "3",
  },
  connections: 20,
  skew_ms: 3,
  skew_error_ms: 5,
  commit_ms: 1.2,
  blocked: [],
  long_transactions: [],
  platform,
};
const judged = (facts: Partial<DatabaseFacts>, isRunning = true) =>
  judgeDatabase({ ok: true, facts: { ...well, ...facts } }, { embedded: false, isRunning });
const withLife = (change: Partial<PlatformLife>, isRunning = true) =>
  judged({ platform: { ...platform, life: { ...life, ...change } } }, isRunning);

test("a healthy platform has nothing to say but that", () => {
  expect(judged({}).map(({ state }) => state)).toEqual(judged({}).map(() => "ok"));
  expect(judged({}).length).toBeGreaterThan(10);
});

test.each<[string, string, string, ReturnType<typeof judged>]>([
  ["an old server", "postgres", "fail", judged({ version: 14 })],
  ["a slow disk", "postgres", "warn", judged({ commit_ms: 80 })],
  ["a superuser", "postgres", "warn", judged({ is_superuser: true })],
  [
    "a role that cannot make ours",
    "postgres",
    "fail",
    judged({ may_make_roles: false, platform: undefined }),
  ],
  ["fsync off", "durability", "fail", judged({ settings: { ...well.settings, fsync: "off" } })],
  [
    "synchronous_commit off",
    "durability",
    "fail",
    judged({ settings: { ...well.settings, synchronous_commit: "off" } }),
  ],
  ["no connection left", "connections", "fail", judged({ connections: 95 })],
  [
    "few connections",
    "connections",
    "warn",
    judged({ settings: { ...well.settings, max_connections: "30" } }),
  ],
  ["a clock that is off", "clock", "warn", judged({ skew_ms: -2_500 })],
  ["a clock of another hour", "clock", "fail", judged({ skew_ms: 3_600_000 })],
  ["sessions behind a lock", "locks", "warn", judged({ blocked: [{ pid: 1, by: 2, s: 40 }] })],
  [
    "an old transaction",
    "locks",
    "warn",
    judged({
      long_transactions: [{ pid: 7, application: "psql", state: "idle in transaction", s: 900 }],
    }),
  ],
  [
    "a newer database",
    "migrations",
    "fail",
    judged({ platform: { ...platform, migrations_unknown: ["9999-x.sql"] } }),
  ],
  [
    "a migration that was edited",
    "migrations",
    "fail",
    judged({ platform: { ...platform, migrations_changed: ["0001-base.sql"] } }),
  ],
  [
    "an upgrade to come",
    "migrations",
    "warn",
    judged({ platform: { ...platform, migrations_missing: ["9999-x.sql"] } }, false),
  ],
  [
    "roles past the fence",
    "isolation",
    "fail",
    judged({ platform: { ...platform, strong_roles: ["airlock_app"] } }),
  ],
  ["no scheduler", "scheduler", "fail", withLife({ scheduler_s: null })],
  ["a silent sync", "sync", "fail", withLife({ sync_s: 500 })],
  ["no worker", "workers", "fail", withLife({ workers: 0 })],
  ["a silent worker", "workers", "warn", withLife({ workers_silent: 1 })],
  ["a queue that waits", "queue", "warn", withLife({ admitted: 9, admitted_s: 90 })],
  ["leases that are over", "stale", "warn", withLife({ leases_over: 1 })],
  ["jobs of a dead worker", "stale", "warn", withLife({ stray_jobs: 2 })],
  ["a repository away", "repositories", "warn", withLife({ repositories_failing: 1 })],
  [
    "a wrong password",
    "postgres",
    "fail",
    judgeDatabase(
      { ok: false, code: "28P01", message: "password authentication failed" },
      { embedded: false, isRunning: false },
    ),
  ],
])("%s", (_, name, state, findings) => {
  const found = findings.find((one) => one.name === name);
  expect(found?.state).toBe(state);
  expect(found?.hint).toBeDefined();
  expect(findings.filter((one) => one.state !== "ok")).toEqual([found]);
});

test("where nothing runs, nobody is missed", () => {
  const findings = withLife({ scheduler_s: 900, sync_s: null, workers: 0 }, false);
  expect(findings.find(({ name }) => name === "roles")?.state).toBe("ok");
  expect(findings.some(({ state }) => state === "fail")).toBe(false);
});

let database: TestDatabase;
beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.drop());

test("a real database is asked without being changed", async () => {
  const examined = await examineDatabase(database.url);
  if (!examined.ok) throw new Error(examined.message);
  const { facts } = examined;
  expect(facts.version).toBeGreaterThanOrEqual(15);
  expect(Math.abs(facts.skew_ms)).toBeLessThan(facts.skew_error_ms + 1_000);
  expect(facts.platform).toMatchObject({
    migrations_missing: [],
    migrations_unknown: [],
    migrations_changed: [],
    strong_roles: [],
    life: { workers: 0, admitted: 0, stray_jobs: 0, leases_over: 0 },
  });
  await database.owner`delete from airlock.migration where name like '0040%'`;
  await database.owner`insert into airlock.migration (name, sha256) values ('9999-later.sql', 'x')`;
  const again = await examineDatabase(database.url);
  expect(again.ok && again.facts.platform).toMatchObject({
    migrations_missing: ["0040-traces.sql"],
    migrations_unknown: ["9999-later.sql"],
  });
});

test("a database that cannot be asked is told as such", async () => {
  const gone = await examineDatabase(database.url.replace(/\/[^/]*$/, "/there_is_none"));
  expect(gone).toMatchObject({ ok: false, code: "3D000" });
  expect(judgeDatabase(gone, { embedded: false, isRunning: false })).toMatchObject([
    { name: "postgres", state: "fail", hint: expect.stringContaining("createdb") as string },
  ]);
});
