import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { dagSpec, type TaskSketch } from "../../test/kit/dag-spec.ts";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import { type AttemptId, known, type RunKey } from "../model/ids.ts";
import { type Claimed, claimAttempt } from "../store/claim.ts";
import { openStore, type Store } from "../store/open.ts";
import { readmitLost } from "../store/workers.ts";
import {
  type Answered,
  type Door,
  type Knock,
  openDoor,
  type StoppedAttempt,
} from "./advance-run.ts";
import { createRun } from "./create-run.ts";
import { type DagCache, openDagCache } from "./dag-cache.ts";

let database: TestDatabase;
let store: Store;
let door: Door;
let dags: DagCache;
const stops: StoppedAttempt[] = [];
const acme = known.tenant("acme");
const worker = randomUUID();

beforeAll(async () => {
  database = await openDatabase();
  store = openStore(database.url);
});
afterAll(async () => {
  await door.settle();
  await store.close();
  await database.drop();
});
beforeEach(async () => {
  await database.owner`truncate airlock.tenant cascade`;
  await database.owner`insert into airlock.tenant (tenant) values ('acme')`;
  await database.owner`insert into airlock.pool (tenant, pool, slots) values ('acme', 'default_pool', 128)`;
  stops.length = 0;
  dags = openDagCache();
  door = openDoor({
    store,
    dags,
    leaseSeconds: 15,
    changed: () => undefined,
    stopped: (found) => stops.push(...found),
    timerSet: () => undefined,
    runEnded: () => undefined,
    onProblem: (message, error) => {
      throw new Error(message, { cause: error });
    },
  });
});

const task = (id: string, downstream: string[], more: Partial<TaskSketch> = {}): TaskSketch => ({
  ...more,
  task_id: id,
  downstream,
});

async function deploy(dagId: string, tasks: TaskSketch[]): Promise<void> {
  const spec = dagSpec(tasks, { dag_id: known.dag(dagId) });
  await database.owner`
    insert into airlock.dag (tenant, dag_id, repository, path, version, commit, environment, display_name, level, timetable, max_active_runs, max_active_tasks)
    values ('acme', ${dagId}, 'main', 'dags/x.py', 1, 'c', 'default', ${dagId}, '3', '{}', 16, 16)`;
  await database.owner`
    insert into airlock.dag_version (tenant, dag_id, version, hash, spec, repository, path, commit)
    values ('acme', ${dagId}, 1, 'h', ${JSON.stringify(spec)}::text::json, 'main', 'dags/x.py', 'c')`;
}

async function trigger(dagId: string): Promise<RunKey> {
  const created = await createRun({ store, door, dags }, acme, {
    dag_id: known.dag(dagId),
    run_id: known.run(`manual__${randomUUID()}`),
    run_type: "manual",
    logical_date: null,
    interval_start: null,
    interval_end: null,
    run_after: new Date().toISOString(),
    conf: {},
    triggered_by: "test",
    triggering_user: null,
    note: null,
  });
  if (created.kind !== "created") throw new Error(`not created: ${created.kind}`);
  return created.run;
}

const claimNext = async (run: RunKey): Promise<Claimed> => {
  const [row] = await database.owner<{ attempt: AttemptId }[]>`
    select attempt from airlock.attempt where run = ${run} and state = 'admitted' order by admitted_at limit 1`;
  if (row === undefined) throw new Error("nothing is admitted");
  const claimed = await claimAttempt(store, acme, row.attempt, worker, 15);
  if (claimed === undefined) throw new Error("the claim found nothing");
  return claimed;
};

type Finish = { kind?: "succeeded" | "failed"; wish?: boolean; fence?: number };
const finish = (claimed: Claimed, how: Finish = {}): Promise<Answered> => {
  const ref = {
    task_id: claimed.task_id,
    map_index: claimed.map_index,
    try_number: claimed.try_number,
  };
  const knock: Knock = {
    kind: "attempt",
    holder: { attempt: claimed.attempt, fence: how.fence ?? claimed.fence, worker },
    event:
      how.kind === "failed"
        ? { kind: "attempt_failed", ...ref, retryable: true, reason: "ValueError: no" }
        : { kind: "attempt_succeeded", ...ref },
    ended: {
      outcome: how.kind ?? "success",
      cpu_s: 0.1,
      peak_memory: 1,
      start_ms: 1,
      log_bytes: 0,
    },
    xcoms: [
      {
        task_id: claimed.task_id,
        map_index: claimed.map_index,
        key: "return_value",
        value: '{"n":1}',
        object: null,
        bytes: 7,
      },
    ],
    hint: { dag_id: claimed.at.dag_id, version: claimed.at.version },
    ...(how.wish === true
      ? {
          wish: {
            pool: "default_pool",
            pool_slots: 1,
            queue: "default",
            guest: "python",
            hops: 0,
            ms: 0,
          },
        }
      : {}),
  };
  return door.advance({ tenant: acme, run: claimed.run }, knock);
};

const states = async (run: RunKey): Promise<Record<string, string | null>> => {
  const rows = await database.owner<{ task_id: string; map_index: number; state: string | null }[]>`
    select task_id, map_index, state from airlock.task_instance where run = ${run} order by 1, 2`;
  return Object.fromEntries(
    rows.map((row) => [
      row.map_index < 0 ? row.task_id : `${row.task_id}[${row.map_index}]`,
      row.state,
    ]),
  );
};

test("a run goes from task to task by doorbell and ends", async () => {
  await deploy("line", [task("a", ["b"]), task("b", [])]);
  const run = await trigger("line");
  expect(await states(run)).toEqual({ a: "queued", b: null });
  const a = await claimNext(run);
  expect(await finish(a)).toMatchObject({ kind: "done", state: "running" });
  expect(await states(run)).toEqual({ a: "success", b: "queued" });
  const b = await claimNext(run);
  expect(await finish(b)).toMatchObject({ kind: "done", state: "success" });
  const [left] = await database.owner`select count(*)::int as n from airlock.permit`;
  expect(left?.["n"]).toBe(0);
  const xcoms =
    await database.owner`select task_id, value from airlock.xcom where run = ${run} order by 1`;
  expect(xcoms).toMatchObject([
    { task_id: "a", value: { n: 1 } },
    { task_id: "b", value: { n: 1 } },
  ]);
});

test("a worker that ends a task goes on with the next in the same transaction, under the same permit", async () => {
  await deploy("line", [task("a", ["b"]), task("b", [])]);
  const run = await trigger("line");
  const a = await claimNext(run);
  const answer = await finish(a, { wish: true });
  expect(answer).toMatchObject({ kind: "done", continued: { fence: 1, task: { task_id: "b" } } });
  expect(await states(run)).toEqual({ a: "success", b: "running" });
  const permits = await database.owner`select attempt, task_id from airlock.permit`;
  expect(permits).toMatchObject([{ task_id: "b" }]);
});

test("an answer under an old fence changes nothing at all", async () => {
  await deploy("line", [task("a", ["b"]), task("b", [])]);
  const run = await trigger("line");
  const a = await claimNext(run);
  expect(await finish(a, { fence: a.fence - 1 })).toEqual({ kind: "stale" });
  expect(await states(run)).toEqual({ a: "running", b: null });
  const [xcoms] =
    await database.owner`select count(*)::int as n from airlock.xcom where run = ${run}`;
  expect(xcoms?.["n"]).toBe(0);
});

test("an attempt whose worker died is admitted again under a higher fence, and its ghost is refused", async () => {
  await deploy("line", [task("a", [])]);
  const run = await trigger("line");
  const ghost = await claimNext(run);
  expect(await store.system((tx) => readmitLost(tx, worker))).toMatchObject({ again: 1 });
  expect(await states(run)).toEqual({ a: "queued" });
  const again = await claimNext(run);
  expect(again.fence).toBeGreaterThan(ghost.fence);
  expect(await finish(ghost)).toEqual({ kind: "stale" });
  expect(await finish(again)).toMatchObject({ kind: "done", state: "success" });
});

test("a duplicate delivery finds nothing to claim", async () => {
  await deploy("line", [task("a", [])]);
  const run = await trigger("line");
  const a = await claimNext(run);
  expect(await claimAttempt(store, acme, a.attempt, worker, 15)).toBeUndefined();
});

test("a failed try waits for its retry, and the next try has an id of its own", async () => {
  await deploy("line", [task("a", [], { retries: 1 })]);
  const run = await trigger("line");
  const a = await claimNext(run);
  await finish(a, { kind: "failed" });
  expect(await states(run)).toEqual({ a: "up_for_retry" });
  const [timer] =
    await database.owner`select kind, try_number from airlock.timer where run = ${run}`;
  expect(timer).toMatchObject({ kind: "retry", try_number: 1 });
  await door.advance(
    { tenant: acme, run },
    {
      kind: "deed",
      why: "due",
      plan: () =>
        Promise.resolve([
          {
            kind: "timer_fired",
            task_id: known.task("a"),
            map_index: -1,
            try_number: 1,
            timer: "retry",
          },
        ]),
    },
  );
  const second = await claimNext(run);
  expect(second.try_number).toBe(2);
  expect(second.attempt).not.toBe(a.attempt);
  await finish(second, { kind: "failed" });
  expect(await states(run)).toEqual({ a: "failed" });
  const [ended] =
    await database.owner`select state, reason from airlock.dag_run where run = ${run}`;
  expect(ended).toMatchObject({ state: "failed" });
});

test("many answers at once go through one lane, and each counts once", async () => {
  const leaves = Array.from({ length: 30 }, (_, i) => `leaf${i}`);
  await deploy("fan", [
    task("root", leaves),
    ...leaves.map((id) => task(id, ["join"])),
    task("join", []),
  ]);
  await database.owner`update airlock.dag set max_active_tasks = 100 where dag_id = 'fan'`;
  const run = await trigger("fan");
  await finish(await claimNext(run));
  const claimed: Claimed[] = [];
  for (const _ of leaves) claimed.push(await claimNext(run));
  await Promise.all(claimed.map((leaf) => finish(leaf)));
  expect((await states(run))["join"]).toBe("queued");
  const [counter] = await database.owner`
    select success, total from airlock.task_counter where run = ${run} and task_id = 'join'`;
  expect(counter).toMatchObject({ success: 30, total: 30 });
});

test("a limit is a count of permits: no more run than the pool has slots", async () => {
  await database.owner`update airlock.pool set slots = 3`;
  await deploy(
    "wide",
    Array.from({ length: 10 }, (_, i) => task(`t${i}`, [])),
  );
  const run = await trigger("wide");
  const [admitted] =
    await database.owner`select count(*)::int as n from airlock.attempt where run = ${run}`;
  expect(admitted?.["n"]).toBe(3);
  await finish(await claimNext(run));
  const [after] = await database.owner`select count(*)::int as n from airlock.permit`;
  expect(after?.["n"]).toBe(3);
});

test("a run that is stopped ends its attempts, and the worker is told which", async () => {
  await deploy("line", [task("a", ["b"]), task("b", [])]);
  const run = await trigger("line");
  const a = await claimNext(run);
  await door.advance(
    { tenant: acme, run },
    {
      kind: "deed",
      why: "stop",
      plan: () => Promise.resolve([{ kind: "run_marked", state: "failed", reason: "stopped" }]),
    },
  );
  expect(stops).toEqual([{ attempt: a.attempt, worker }]);
  expect(await finish(a)).toEqual({ kind: "stale" });
  const [permits] = await database.owner`select count(*)::int as n from airlock.permit`;
  expect(permits?.["n"]).toBe(0);
});

test("a task that needs no guest is done by the engine itself", async () => {
  await deploy("line", [
    task("a", ["b"], { runs_in: "inline", operator: "EmptyOperator" }),
    task("b", [], { runs_in: "inline", operator: "EmptyOperator" }),
  ]);
  const run = await trigger("line");
  expect(await states(run)).toEqual({ a: "success", b: "success" });
  const [ended] = await database.owner`select state from airlock.dag_run where run = ${run}`;
  expect(ended?.["state"]).toBe("success");
});
