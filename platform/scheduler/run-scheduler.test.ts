/** The clock: what is due happens once, with however many schedulers; what is not due, or cannot be done, holds up nobody. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openLog } from "../../ops/telemetry/log.ts";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { eventually } from "../../test/kit/house.ts";
import { type OpenedDoor, openRunStage, type RunStage } from "../../test/kit/run-stage.ts";
import type { DagSpec } from "../model/dag-spec.ts";
import { known, type RunKey } from "../model/ids.ts";
import { createDueRuns, planSchedules } from "./create-due-runs.ts";
import { runScheduler, type Scheduler } from "./run-scheduler.ts";

let stage: RunStage;
let schedulers: Scheduler[] = [];
const log = openLog({ format: "json", level: "silent" });

beforeAll(async () => {
  stage = await openRunStage();
});
afterAll(() => stage.closeAll());
beforeEach(() => stage.reset());
afterEach(async () => {
  await Promise.all(schedulers.map((scheduler) => scheduler.stop()));
  schedulers = [];
  await stage.mustHaveKept();
});

const start = (by: OpenedDoor = stage): Scheduler => {
  const scheduler = runScheduler({
    ...by,
    log,
    home: `home-${schedulers.length}`,
    myWorkers: () => [],
    leaseSeconds: 1,
  });
  schedulers.push(scheduler);
  return scheduler;
};
const hour = 3_600_000;
/** So long ago, on the hour: as many intervals have passed since. */
const hoursAgo = (hours: number): string =>
  new Date(Math.floor(Date.now() / hour) * hour - hours * hour).toISOString();
const hourly = (more: Partial<Omit<DagSpec, "tasks">> = {}) =>
  dagSpec([{ task_id: "a" }], {
    dag_id: known.dag("hourly"),
    timetable: { kind: "cron_interval", expression: "0 * * * *", timezone: "UTC" },
    start_date: hoursAgo(5),
    ...more,
  });
const runs = () =>
  stage.database.owner<{ run: RunKey; state: string; logical_date: Date; run_type: string }[]>`
    select run, state, logical_date, run_type from airlock.dag_run order by logical_date`;
const haveRuns = (n: number) =>
  eventually(async () => ((await runs()).length >= n ? true : undefined));

test("three schedulers over a backlog make one run per interval, in order, and no more than max_active_runs run", async () => {
  await stage.deploy(hourly({ catchup: true }), { max_active_runs: 3 });
  start();
  start(stage.another());
  start(stage.another());
  await haveRuns(3);
  const found = await runs();
  expect(found).toHaveLength(3);
  expect(found.every((run) => run.state === "running")).toBe(true);
  expect(new Set(found.map((run) => run.logical_date.getTime())).size).toBe(3);
});

test("schedulers that take turns at one DAG within milliseconds never exceed its max_active_runs", async () => {
  const doors = [stage, ...Array.from({ length: 5 }, () => stage.another())];
  for (let n = 0; n < 15; n += 1) {
    await stage.reset();
    await stage.deploy(hourly({ catchup: true, start_date: hoursAgo(12) }), { max_active_runs: 3 });
    await planSchedules({ ...stage, log });
    await Promise.all(
      doors.map(async (door) => {
        for (let turn = 0; turn < 6; turn += 1) await createDueRuns({ ...door, log });
      }),
    );
    // Whoever finds the DAG locked leaves it to the one who has it, so that few turns may make fewer.
    expect((await runs()).length).toBeLessThanOrEqual(3);
    for (let turn = 0; turn < 6; turn += 1) await createDueRuns({ ...stage, log });
    expect(await runs()).toHaveLength(3);
  }
});

test("a DAG at max_active_runs goes on when a run of it ends, to the end of its backlog", async () => {
  await stage.deploy(hourly({ catchup: true }), { max_active_runs: 1 });
  start();
  for (let n = 1; n <= 5; n += 1) {
    await haveRuns(n);
    const run = (await runs()).at(-1)?.run;
    if (run === undefined) throw new Error("no run");
    await stage.finish(await stage.claimNext(run));
    // As the process that ended it does; should it die before, the sweep finds it (below).
    schedulers[0]?.startQueued(stage.tenant, known.dag("hourly"));
  }
  const found = await runs();
  expect(found.every((run) => run.state === "success")).toBe(true);
  const [dag] = await stage.database.owner<{ next_run_at: Date | null }[]>`
    select next_run_at from airlock.dag`;
  await eventually(async () => {
    const [row] = await stage.database.owner<{ ahead: boolean }[]>`
      select next_run_at > now() as ahead from airlock.dag`;
    return row?.ahead === true ? true : undefined;
  });
  expect(dag).toBeDefined();
});

test("a run that ended without anybody told of it is followed all the same", async () => {
  await stage.deploy(hourly({ catchup: true }), { max_active_runs: 1 });
  start();
  await haveRuns(1);
  const run = (await runs())[0]?.run;
  if (run === undefined) throw new Error("no run");
  await stage.finish(await stage.claimNext(run)); // and nobody calls startQueued
  expect(await haveRuns(2)).toBe(true);
});

test("without catch-up the latest interval alone is run", async () => {
  await stage.deploy(hourly({ catchup: false }));
  start();
  await haveRuns(1);
  await eventually(async () => {
    const [row] = await stage.database.owner<{ ahead: boolean }[]>`
      select next_run_at > now() as ahead from airlock.dag`;
    return row?.ahead === true ? true : undefined;
  });
  expect(await runs()).toHaveLength(1);
});

test("a paused DAG makes no runs; unpaused it does, as soon as somebody says so", async () => {
  await stage.deploy(hourly());
  await stage.database.owner`update airlock.dag set is_paused = true`;
  const scheduler = start();
  await eventually(async () => {
    const [row] = await stage.database.owner<{ planned: boolean }[]>`
      select not plan_needed as planned from airlock.dag`;
    return row?.planned === true ? true : undefined;
  });
  expect(await runs()).toHaveLength(0);
  await stage.deeds.pauseDag(stage.tenant, { dag_id: "hourly", is_paused: false, user: "ada" });
  scheduler.wake();
  await haveRuns(1);
});

test("a queued run starts when its time has come, though its maker is gone", async () => {
  await stage.deploy(dagSpec([{ task_id: "a" }], { dag_id: known.dag("later") }));
  await stage.create("later", { run_after: new Date(Date.now() + 300).toISOString() });
  start();
  const started = await eventually(async () =>
    (await runs())[0]?.state === "running" ? true : undefined,
  );
  expect(started).toBe(true);
});

test("what was ready when its process died before admitting it is admitted", async () => {
  await stage.deploy(dagSpec([{ task_id: "a" }], { dag_id: known.dag("d") }));
  await stage.database.owner`update airlock.tenant set state = 'suspended'`;
  const run = await stage.trigger("d");
  expect(await stage.states(run)).toEqual({ a: "scheduled" });
  await stage.database.owner`update airlock.tenant set state = 'active'`;
  await stage.database
    .owner`update airlock.task_instance set scheduled_at = now() - interval '1 minute'`;
  start();
  await eventually(async () => ((await stage.states(run))["a"] === "queued" ? true : undefined));
});

const failing = (retry_delay_s: number) =>
  dagSpec([{ task_id: "a", retries: 3, retry_delay_s }], { dag_id: known.dag("d") });

test("two schedulers fire a retry once; a timer of years ahead stays where it is", async () => {
  await stage.deploy(failing(0));
  const other = stage.another();
  start();
  start(other);
  const run = await stage.trigger("d");
  await stage.database
    .owner`insert into airlock.timer (tenant, run, task_id, map_index, kind, due_at)
    values ('acme', ${run}, '', -1, 'run_timeout', now() + interval '40 years')`;
  await stage.finish(await stage.claimNext(run), { kind: "failed" });
  for (const scheduler of schedulers) scheduler.wake();
  await eventually(async () => ((await stage.states(run))["a"] === "queued" ? true : undefined));
  for (const scheduler of schedulers) scheduler.wake();
  const second = await stage.claimNext(run);
  expect(second.try_number).toBe(2);
  await stage.finish(second);
  expect((await stage.runState(run)).state).toBe("success");
});

test("one run that cannot go on, and one DAG that cannot be planned, stop nobody else", async () => {
  await stage.deploy(failing(0));
  const sick = await stage.trigger("d");
  await stage.finish(await stage.claimNext(sick), { kind: "failed" });
  await stage.database.owner`update airlock.timer set due_at = now()`;
  await stage.database.owner`delete from airlock.dag_version where dag_id = 'd'`;
  stage.dags.forget();
  const odd = hourly({ dag_id: known.dag("odd") });
  await stage.deploy(odd);
  await stage.database.owner`
    update airlock.dag_version set spec = ${JSON.stringify({ ...odd, timetable: { kind: "cron_interval", expression: "nonsense", timezone: "UTC" } })}::text::json
     where dag_id = 'odd'`;
  await stage.deploy(hourly());
  start();
  await eventually(async () =>
    (await runs()).some((run) => run.run_type === "scheduled") ? true : undefined,
  );
  const [timer] = await stage.database.owner<{ later: boolean }[]>`
    select due_at > now() + interval '30 seconds' as later from airlock.timer where run = ${sick}`;
  expect(timer).toEqual({ later: true });
  // Put right, so that what is left behind makes sense.
  await stage.database.owner`delete from airlock.dag_run where run = ${sick}`;
});

test("depends_on_past: the next run goes on by itself once the one before has ended well", async () => {
  await stage.deploy(
    dagSpec([{ task_id: "a", depends_on_past: true }], { dag_id: known.dag("past") }),
  );
  const scheduler = start();
  const first = await stage.trigger("past", { logical_date: "2026-01-01T00:00:00Z" });
  const next = await stage.trigger("past", { logical_date: "2026-01-02T00:00:00Z" });
  expect(await stage.states(next)).toEqual({ a: null });
  await stage.finish(await stage.claimNext(first));
  scheduler.wake(); // what the door's timerSet does
  await eventually(async () => ((await stage.states(next))["a"] === "queued" ? true : undefined));
});
