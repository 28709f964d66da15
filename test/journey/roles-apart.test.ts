/** The roles as processes of their own, on one home and one Postgres; a worker is killed, another goes on. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase, type TestDatabase } from "../kit/database.ts";
import {
  type Clone,
  cloneRepository,
  eventually,
  type House,
  makeHome,
  openHouse,
} from "../kit/house.ts";

const home = makeHome();
let database: TestDatabase;
let server: House;
let worker: House;
let clone: Clone;
const others: House[] = [];

beforeAll(async () => {
  database = await openDatabase();
  const env = { DATABASE_URL: database.url, AIRLOCK_LEASE: "6" };
  server = await openHouse({ home, role: "server", env });
  for (const role of ["scheduler", "sync"] as const)
    others.push(await openHouse({ home, role, env }));
  worker = await openHouse({ home, role: "worker", env });
  await server.must("tenants", "create", "acme");
  await server.must("repositories", "create", "acme/pipelines");
  clone = await cloneRepository(server, "acme", "pipelines");
  mkdirSync(join(clone.folder, "dags"));
  writeFileSync(
    join(clone.folder, "dags", "slow.py"),
    `
import time
from airflow.sdk import dag, task
@dag(schedule=None)
def slow():
    @task
    def first():
        print("begun", flush=True)
        time.sleep(4)
        return 1
    @task
    def second(n):
        return n + 1
    second(first())
slow()
`,
  );
}, 240_000);
afterAll(async () => {
  await Promise.all([worker, ...others].map((house) => house.stop()));
  await server.stop();
  rmSync(home, { recursive: true, force: true });
  await database.drop();
});

test("a push is answered although the sync is another process", async () => {
  const pushed = await clone.push("slow");
  expect(pushed.stderr).toMatch(/live in \d+ ms: 1 DAG \(1 new\)/);
}, 120_000);

test("each role says on a port of its own that it lives, and what it counted", async () => {
  for (const house of [...others, worker]) {
    expect(house.url).toMatch(/^http:\/\/localhost:[1-9]/);
    expect((await fetch(`${house.url}/livez`)).status).toBe(200);
    expect((await fetch(`${house.url}/readyz`)).status).toBe(200);
    expect((await fetch(`${house.url}/`)).status).toBe(404);
  }
  const seriesOf = async (house: House | undefined): Promise<string> =>
    (await fetch(`${house?.url}/metrics`)).text();
  const [scheduler, sync] = others;
  expect(await seriesOf(worker)).toMatch(/^airlock_worker_slots\{state="free"\} [1-9]/m);
  expect(await seriesOf(scheduler)).toMatch(/^airlock_scheduler_last_tick_timestamp_seconds \d/m);
  // The push has given up waiting after 30 s; the sync goes on.
  await eventually(
    async () =>
      /^airlock_gitsync_total\{tenant="acme",result="live"\} 1$/m.test(await seriesOf(sync))
        ? true
        : undefined,
    90_000,
  );
  // Rows are told by the server alone: added up over processes they would be counted many times.
  const rows = /^airlock_(?:tasks|workers|pool_slots|dags)\{/m;
  expect(await seriesOf(server)).toMatch(rows);
  for (const house of [worker, scheduler, sync]) expect(await seriesOf(house)).not.toMatch(rows);
  expect(await seriesOf(server)).toMatch(/^airlock_workers\{state="alive"\} 1$/m);
  expect(await seriesOf(server)).not.toMatch(/^airlock_scheduler_last_tick/m);
}, 120_000);

test("a worker that is killed loses nothing: its task runs on another one, as the same try, and counts once", async () => {
  await server.must("trigger", "acme/slow", "--run-id", "kill");
  await eventually(async () =>
    (await server.airlock("logs", "acme/slow/kill/first")).stdout.includes("begun")
      ? true
      : undefined,
  );
  await worker.kill();
  const env = { DATABASE_URL: database.url, AIRLOCK_LEASE: "6" };
  worker = await openHouse({ home, role: "worker", env });
  const state = await eventually(async () => {
    const run = JSON.parse(await server.must("dagrun", "get", "acme/slow/kill", "-o", "json")) as {
      state: string;
    };
    return run.state === "success" || run.state === "failed" ? run.state : undefined;
  }, 60_000);
  expect(state).toBe("success");
  const rows = await database.owner<
    { task_id: string; try_number: number; fence: number; crashes: number }[]
  >`
    select task_id, try_number, fence, crashes from airlock.attempt order by admitted_at`;
  expect(rows.map((row) => [row.task_id, row.try_number])).toEqual([
    ["first", 1],
    ["second", 1],
  ]);
  expect(rows[0]?.fence).toBeGreaterThan(1);
}, 120_000);
