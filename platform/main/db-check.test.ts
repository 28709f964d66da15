/** `airlock db check` and a platform that is started with failpoints, as somebody types them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { airlock } from "../../test/kit/airlock-command.ts";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.drop());

const check = (...args: string[]): ReturnType<typeof airlock> =>
  airlock(["db", "check", ...args], { env: { DATABASE_URL: database.url } });

test("each invariant is told, and which rows break one", async () => {
  const sound = await check();
  expect(sound.code).toBe(0);
  expect(sound.stdout).toMatch(/^ok +I1 +A task instance has at most one open attempt\.$/m);
  expect(sound.stdout).not.toContain("violated");

  await database.owner`insert into airlock.tenant (tenant) values ('acme')`;
  await database.owner`
    insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
    values ('acme', 1, 'd', 'r', ${"t\u001b[31m"}, -1, 1, 'success', 'queued')`;
  const broken = await check();
  expect(broken.code).toBe(1);
  expect(broken.stdout).toMatch(/^violated +I5-pair +Only changes happen .* 1 row breaks it:$/m);
  expect(broken.stdout).not.toContain("\u001b");

  const { code, stdout } = await check("-o", "json");
  expect(code).toBe(1);
  const told = JSON.parse(stdout) as { ok: boolean; invariants: { id: string; ok: boolean }[] };
  expect(told.ok).toBe(false);
  expect(told.invariants.filter(({ ok }) => !ok).map(({ id }) => id)).toEqual(["I5-pair"]);
});

test("no database, a closed one and a strange one are told apart, each with the way out", async () => {
  const none = await airlock(["db", "check"], { env: { AIRLOCK_HOME: "/nonexistent/home" } });
  expect(none).toMatchObject({ code: 3, stdout: "" });
  expect(none.stderr).toContain("no database runs in /nonexistent/home");
  const closed = await airlock(["db", "check"], {
    env: { DATABASE_URL: "postgres://nobody:x@127.0.0.1:1/airlock" },
  });
  expect(closed).toMatchObject({ code: 3 });
  expect(closed.stderr).toContain("does not answer (ECONNREFUSED)");
  const strange = await airlock(["db", "check"], {
    env: { DATABASE_URL: database.url.replace(/\/[^/]*$/, "/postgres") },
  });
  expect(strange).toMatchObject({ code: 1 });
  expect(strange.stderr).toContain("not, or not yet, one of Airlock's");
});

test("a failpoint that does not exist ends the start, and near names are listed", async () => {
  const said = await airlock(["scheduler"], {
    env: { AIRLOCK_HOME: "/nonexistent/home", AIRLOCK_FAILPOINT: "door.after_comit=exit" },
  });
  expect(said.code).toBe(2);
  expect(said.stderr).toContain("'door.after_comit', which is no failpoint");
  expect(said.stderr).toContain("did you mean door.after_commit");
});
