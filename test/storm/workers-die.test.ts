/** Workers that are killed, frozen, or cut off from their lock: what they ran goes on, once, and they cannot spoil it. */
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openLog } from "../../ops/telemetry/log.ts";
import { known, type RunKey } from "../../platform/model/ids.ts";
import { runScheduler, type Scheduler } from "../../platform/scheduler/run-scheduler.ts";
import { dagSpec } from "../kit/dag-spec.ts";
import { eventually } from "../kit/house.ts";
import { openRunStage, type RunStage } from "../kit/run-stage.ts";
import { isRunning, startWorker, type WorkerProcess } from "../kit/start-worker.ts";

let stage: RunStage;
let scheduler: Scheduler;
let workers: WorkerProcess[] = [];
const lease = 3;

beforeAll(async () => {
  stage = await openRunStage();
  scheduler = runScheduler({
    ...stage,
    log: openLog({ format: "json", level: "fatal" }),
    home: "of-the-scheduler",
    myWorkers: () => [],
    leaseSeconds: lease,
  });
  // A sweeper trusts what it sees of other homes only once its own session has lasted for five seconds.
  await pause(5_100);
});
afterAll(async () => {
  await scheduler.stop();
  await stage.closeAll();
});
beforeEach(() => stage.reset());
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.kill()));
  workers = [];
  await stage.mustHaveKept();
});

const worker = async (env: Record<string, string> = {}): Promise<WorkerProcess> => {
  const started = await startWorker(stage.database.url, { LEASE_SECONDS: String(lease), ...env });
  workers.push(started);
  return started;
};
const ended = (run: RunKey): Promise<string> =>
  eventually(async () => {
    const { state } = await stage.runState(run);
    return state === "success" || state === "failed" ? state : undefined;
  });
const attemptOf = async (run: RunKey) => {
  const [row] = await stage.database.owner<
    {
      state: string;
      fence: number;
      worker: string | null;
      crashes: number;
      reason: string | null;
    }[]
  >`select state, fence, worker, crashes, reason from airlock.attempt where run = ${run} order by try_number desc limit 1`;
  if (row === undefined) throw new Error("no attempt");
  return row;
};
const one = (taskId: string, more: object = {}) =>
  dagSpec([{ task_id: taskId, ...more }], { dag_id: known.dag("one") });

test("a killed worker's tasks run elsewhere within about a second, under a higher fence, and no try is spent", async () => {
  await stage.deploy(one("long"));
  const first = await worker();
  const run = await stage.trigger("one");
  const before = await first.started("long");
  const second = await worker();
  const killedAt = performance.now();
  await first.kill();
  const after = await second.started("long");
  expect(performance.now() - killedAt).toBeLessThan(1_500);
  expect(after.fence).toBeGreaterThan(before.fence ?? 0);
  second.tell({ finish: "long" });
  expect(await ended(run)).toBe("success");
  const [row] = await stage.database
    .owner`select try_number from airlock.task_instance where run = ${run}`;
  expect(row).toMatchObject({ try_number: 1 });
});

test("a frozen worker that wakes after its lease changes nothing and ends its child", async () => {
  await stage.deploy(one("long"));
  const zombie = await worker();
  const run = await stage.trigger("one");
  const before = await zombie.started("long");
  const second = await worker();
  zombie.signal("SIGSTOP");
  const after = await second.started("long");
  expect(after.fence).toBeGreaterThan(before.fence ?? 0);
  zombie.tell({ finish: "long" }); // read when it wakes: it believes that it has won
  zombie.signal("SIGCONT");
  await zombie.hears((told) => told.ended === "long");
  expect(isRunning(before.child ?? 0)).toBe(false);
  expect((await attemptOf(run)).state).toBe("running");
  second.tell({ finish: "long" });
  expect(await ended(run)).toBe("success");
  expect((await attemptOf(run)).fence).toBe(after.fence);
});

test("a frozen worker that wakes with its task still under way ends it by itself", async () => {
  await stage.deploy(one("long"));
  const zombie = await worker();
  const run = await stage.trigger("one");
  const before = await zombie.started("long");
  const second = await worker();
  zombie.signal("SIGSTOP");
  await second.started("long");
  zombie.signal("SIGCONT");
  const over = await zombie.hears((told) => told.ended === "long");
  expect(over.how).toBe("stopped");
  expect(isRunning(before.child ?? 0)).toBe(false);
  second.tell({ finish: "long" });
  expect(await ended(run)).toBe("success");
});

test("a worker whose lock session is cut lives on under a new name and keeps what it runs", async () => {
  await stage.deploy(one("long"));
  const first = await worker();
  const run = await stage.trigger("one");
  const before = await first.started("long");
  const [lock] = await stage.database.owner<{ pid: number }[]>`
    select pid from pg_locks where locktype = 'advisory' and classid = 7001 and granted
       and database = (select oid from pg_database where datname = current_database())`;
  await stage.database.owner`select pg_terminate_backend(${lock?.pid ?? 0})`;
  const names = await eventually(async () => {
    first.tell({ workers: true });
    const { workers: found } = await first.hears((told) => told.workers !== undefined);
    return found?.length === 2 ? found : undefined;
  });
  expect(names).toHaveLength(2);
  // Three sweeps later it still runs, where it ran, as it ran; and what comes new comes to the new name.
  await pause(1_200);
  expect(await attemptOf(run)).toMatchObject({ state: "running", fence: before.fence, crashes: 0 });
  await stage.deploy(dagSpec([{ task_id: "quick" }], { dag_id: known.dag("another") }));
  const next = await stage.trigger("another");
  expect(await ended(next)).toBe("success");
  first.tell({ finish: "long" });
  expect(await ended(run)).toBe("success");
  // The old name goes once nothing runs under it.
  await eventually(async () => {
    const [row] = await stage.database.owner<
      { n: number }[]
    >`select count(*)::int as n from airlock.worker`;
    return row?.n === 1 ? true : undefined;
  });
});

test("an attempt under which three workers die fails, with the reason", async () => {
  await stage.deploy(one("long"));
  const run = await stage.trigger("one");
  for (let crash = 1; crash <= 3; crash += 1) {
    // The same home: a new process there proves the old one dead, with no wait.
    const next = await worker({ WORKER_HOME: "of-the-scheduler" });
    await next.started("long");
    await next.kill();
    workers = [];
  }
  expect(await ended(run)).toBe("failed");
  expect((await attemptOf(run)).reason).toMatch(/3 workers died/);
  expect(await stage.count("permit")).toBe(0);
});

test("a worker that is told to go hands its tasks on, without a mark against them", async () => {
  await stage.deploy(one("long"));
  const first = await worker();
  const run = await stage.trigger("one");
  const before = await first.started("long");
  const second = await worker();
  first.tell({ drain: 100 });
  const after = await second.started("long");
  await first.gone;
  expect(isRunning(before.child ?? 0)).toBe(false);
  expect(await attemptOf(run)).toMatchObject({ crashes: 0, state: "running", fence: after.fence });
  second.tell({ finish: "long" });
  expect(await ended(run)).toBe("success");
});

test("twenty runs through a worker that is killed in the middle all end well, each task won once", async () => {
  await stage.deploy(
    dagSpec(
      [
        { task_id: "quick1", downstream: ["quick2"] },
        { task_id: "quick2", downstream: ["quick3"] },
        { task_id: "quick3" },
      ],
      { dag_id: known.dag("chain") },
    ),
    { max_active_runs: 100 },
  );
  const first = await worker({ WORKER_HOME: "of-the-scheduler" });
  await worker();
  const runs: RunKey[] = [];
  for (let i = 0; i < 20; i += 1) {
    runs.push(await stage.trigger("chain"));
    if (i === 10) await first.kill();
  }
  for (const run of runs) expect(await ended(run)).toBe("success");
  const [won] = await stage.database.owner<{ n: number }[]>`
    select count(*)::int as n from airlock.attempt where outcome = 'success'`;
  expect(won?.n).toBe(60);
});

test("an outcome that the database does not take ends its attempt with a sentence, at once and without a retry", async () => {
  await stage.deploy(one("unstorable", { retries: 3 }));
  await worker();
  const run = await stage.trigger("one");
  expect(await ended(run)).toBe("failed");
  const attempt = await attemptOf(run);
  expect(attempt).toMatchObject({ state: "ended" });
  expect(attempt.reason).toContain("cannot be stored");
  const [row] = await stage.database
    .owner`select try_number, state from airlock.task_instance where run = ${run}`;
  expect(row).toMatchObject({ try_number: 1, state: "failed" });
});
