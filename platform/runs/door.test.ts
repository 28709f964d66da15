/** The door against concurrency, ghosts, cut connections, and what people do to a run while it runs. */
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openCutProxy } from "../../test/kit/cut-proxy.ts";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { eventually } from "../../test/kit/house.ts";
import { type Finish, knockOf, openRunStage, type RunStage } from "../../test/kit/run-stage.ts";
import { known, type RunKey } from "../model/ids.ts";
import type { Claimed } from "../store/claim.ts";
import { isAway } from "../store/open.ts";
import { takeTimers, wakeLaterRuns } from "../store/run-rows.ts";
import { beat, handOver, readmitAttempts, readmitLost } from "../store/workers.ts";

let stage: RunStage;

beforeAll(async () => {
  stage = await openRunStage();
});
afterAll(() => stage.closeAll());
beforeEach(() => stage.reset());
afterEach(async () => {
  await stage.mustHaveKept();
});

const line = (more: { retries?: number } = {}) =>
  dagSpec(
    [
      { task_id: "a", downstream: ["b"], ...more },
      { task_id: "b", ...more },
    ],
    { dag_id: known.dag("line") },
  );
const fan = (width: number) =>
  dagSpec(
    [
      ...Array.from({ length: width }, (_, i) => ({ task_id: `leaf${i}`, downstream: ["join"] })),
      { task_id: "join" },
    ],
    { dag_id: known.dag("fan"), max_active_tasks: 1000 },
  );
const clearOf = (more: object = {}) => ({
  dag_id: "line",
  run_ids: undefined,
  start_date: undefined,
  end_date: undefined,
  tasks: undefined,
  only_failed: false,
  only_running: false,
  reset_dag_runs: true,
  prevent_running_task: false,
  run_on_latest_version: false,
  dry_run: false,
  include_upstream: false,
  include_downstream: true,
  include_past: false,
  include_future: false,
  user: "ada",
  ...more,
});
const runIdOf = async (run: RunKey): Promise<string> => {
  const [row] = await stage.database.owner<{ run_id: string }[]>`
    select run_id from airlock.dag_run where run = ${run}`;
  return row?.run_id ?? "";
};

// ---- many at once ------------------------------------------------------------------------------------

test("two hundred attempts that end at once, at three doors, each twice, count once each", async () => {
  await stage.database.owner`update airlock.pool set slots = -1`;
  await stage.database.owner`update airlock.tenant set max_running = 1000`;
  await stage.deploy(fan(200));
  const run = await stage.trigger("fan");
  const claimed: Claimed[] = [];
  for (let i = 0; i < 200; i += 1) claimed.push(await stage.claimNext(run));
  const doors = [stage, stage.another(), stage.another()];
  const answers = await Promise.all(
    claimed.flatMap((leaf, i) => [
      stage.finish(leaf, {}, doors[i % 3]),
      stage.finish(leaf, {}, doors[(i + 1) % 3]),
    ]),
  );
  expect(answers.filter((answer) => answer.kind === "done")).toHaveLength(200);
  expect(answers.filter((answer) => answer.kind === "stale")).toHaveLength(200);
  expect((await stage.states(run))["join"]).toBe("queued");
  const [counter] = await stage.database.owner`
    select success, total from airlock.task_counter where run = ${run} and task_id = 'join'`;
  expect(counter).toMatchObject({ success: 200, total: 200 });
  const join = await stage.claimNext(run);
  expect(await stage.finish(join)).toMatchObject({ state: "success" });
  expect(await stage.count("permit")).toBe(0);
});

test("one poisoned answer in a batch fails alone", async () => {
  await stage.deploy(fan(5));
  const run = await stage.trigger("fan");
  const claimed: Claimed[] = [];
  for (let i = 0; i < 5; i += 1) claimed.push(await stage.claimNext(run));
  const answers = await Promise.allSettled(
    claimed.map((leaf, i) => stage.finish(leaf, i === 3 ? { xcom: "not json" } : {})),
  );
  expect(answers.map((answer) => answer.status)).toEqual([
    "fulfilled",
    "fulfilled",
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  const states = Object.values(await stage.states(run));
  expect(states.filter((state) => state === "success")).toHaveLength(4);
  expect(states.filter((state) => state === "running")).toHaveLength(1);
});

test("runs that are created at once never exceed max_active_runs, and one id makes one run", async () => {
  await stage.deploy(line(), { max_active_runs: 2 });
  const doors = [stage, stage.another()];
  const created = await Promise.all(
    Array.from({ length: 12 }, (_, i) => stage.create("line", {}, doors[i % 2])),
  );
  expect(created.filter((one) => one.kind === "created" && one.state === "running")).toHaveLength(
    2,
  );
  const same = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      stage.create("line", { run_id: known.run("same") }, doors[i % 2]),
    ),
  );
  expect(same.map((one) => one.kind).toSorted()).toEqual([
    "created",
    ...Array.from({ length: 7 }, () => "exists"),
  ]);
});

test("a run whose time has not come waits, though there is a place", async () => {
  await stage.deploy(line());
  const created = await stage.create("line", { run_after: "2999-01-01T00:00:00Z" });
  expect(created).toMatchObject({ kind: "created", state: "queued" });
});

// ---- fences ------------------------------------------------------------------------------------------

const ghosts: Record<string, Finish> = {
  "an older fence": { fence: 0 },
  "a fence that was never given": { fence: 99 },
  "another worker": { worker: randomUUID() },
};
test.each(Object.entries(ghosts))("%s changes nothing, and starts nothing", async (_name, how) => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  expect(await stage.finish(a, { ...how, wish: true })).toEqual({ kind: "stale" });
  expect(await stage.states(run)).toEqual({ a: "running", b: null });
  expect(await stage.count("xcom")).toBe(0);
  expect(await stage.finish(a)).toMatchObject({ kind: "done" });
});

test("a ghost in the same batch as the holder goes without effect", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const ghost = await stage.claimNext(run);
  await stage.store.system((tx) => readmitLost(tx, stage.worker));
  const holder = await stage.claimNext(run, randomUUID());
  const [first, second] = await Promise.all([
    stage.finish(ghost, { kind: "failed" }),
    stage.finish(holder, { worker: "" }).catch(() => "refused"),
  ]);
  expect(first).toEqual({ kind: "stale" });
  expect(second).toBe("refused"); // "" is no worker: the batch with it is void, and the ghost got an answer of its own
  expect(await stage.states(run)).toEqual({ a: "running", b: null });
});

test("who ended an attempt cannot end it again", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  await stage.finish(a);
  expect(await stage.finish(a, { kind: "failed" })).toEqual({ kind: "stale" });
  expect((await stage.states(run))["a"]).toBe("success");
});

// ---- continuation ------------------------------------------------------------------------------------

const goOn = async (how: Finish = { wish: true }): Promise<boolean> => {
  const run = await stage.trigger("line");
  const [row] = await stage.database.owner<{ attempt: string }[]>`
    select attempt from airlock.attempt where run = ${run} and task_id = 'a'`;
  const a = await stage.claim(known.attempt(row?.attempt ?? ""));
  if (a === undefined) throw new Error("a is not to be had");
  const answer = await stage.finish(a, how);
  if (answer.kind !== "done") throw new Error(answer.kind);
  return answer.continued !== undefined;
};

test("nobody waits: the worker goes on by itself", async () => {
  await stage.deploy(line());
  expect(await goOn()).toBe(true);
});

test("it does not go on once its DAG is paused", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  await stage.database.owner`update airlock.dag set is_paused = true`;
  expect(await stage.finish(a, { wish: true })).not.toHaveProperty("continued");
  expect(await stage.states(run)).toEqual({ a: "success", b: "scheduled" });
});

test("it does not go on for a suspended tenant", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  await stage.database.owner`update airlock.tenant set state = 'suspended'`;
  expect(await stage.finish(a, { wish: true })).not.toHaveProperty("continued");
});

test.each([
  ["in another guest", { runs_in: "node" as const }],
  ["in another pool", { pool: "other" }],
  ["that takes more slots", { pool_slots: 2 }],
  ["on another queue", { queue: "gpu" }],
  ["with a limit of its own per DAG", { max_active_tis_per_dag: 5 }],
  ["with a limit of its own per run", { max_active_tis_per_dagrun: 5 }],
])("it does not go on with a task %s", async (_name, more) => {
  await stage.database
    .owner`insert into airlock.pool (tenant, pool, slots) values ('acme', 'other', 5)`;
  await stage.deploy(
    dagSpec(
      [
        { task_id: "a", downstream: ["b"] },
        { task_id: "b", ...more },
      ],
      {
        dag_id: known.dag("line"),
      },
    ),
  );
  expect(await goOn()).toBe(false);
});

test("it does not go on while a limit is over-committed", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  await stage.database.owner`update airlock.pool set slots = 0`;
  expect(await stage.finish(a, { wish: true })).not.toHaveProperty("continued");
  expect(await stage.states(run)).toEqual({ a: "success", b: "scheduled" });
});

const second = (more: object = {}) =>
  dagSpec([{ task_id: "x", priority_weight: 5, ...more }], { dag_id: known.dag("second") });

test("it gives way to a task of the same pool whose turn comes first", async () => {
  await stage.database.owner`update airlock.pool set slots = 1`;
  await stage.deploy(line());
  await stage.deploy(second());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  const other = await stage.trigger("second");
  expect(await stage.states(other)).toEqual({ x: "scheduled" });
  expect(await stage.finish(a, { wish: true })).not.toHaveProperty("continued");
  expect(await stage.states(other)).toEqual({ x: "queued" });
  expect(await stage.states(run)).toEqual({ a: "success", b: "scheduled" });
});

test("it does not give way to what waits for another pool, or for a paused DAG", async () => {
  await stage.database
    .owner`insert into airlock.pool (tenant, pool, slots) values ('acme', 'full', 0)`;
  await stage.deploy(line());
  await stage.deploy(second({ pool: "full" }));
  await stage.deploy(
    dagSpec([{ task_id: "p", priority_weight: 9 }], { dag_id: known.dag("asleep") }),
  );
  await stage.trigger("second");
  await stage.database.owner`update airlock.pool set slots = 0 where pool = 'default_pool'`;
  await stage.trigger("asleep");
  await stage.database.owner`update airlock.pool set slots = 9 where pool = 'default_pool'`;
  await stage.database.owner`update airlock.dag set is_paused = true where dag_id = 'asleep'`;
  expect(await goOn()).toBe(true);
});

const globexWaits = async (weight: number, running: number): Promise<void> => {
  const { owner } = stage.database;
  await owner`insert into airlock.tenant (tenant, weight) values ('globex', ${weight})`;
  await owner`insert into airlock.dag (tenant, dag_id, repository, path, version, commit, environment, display_name, level, timetable,
      max_active_runs, max_active_tasks) values ('globex', 'd', 'm', 'x', 1, 'c', 'e', 'd', '3', '{}', 9, 99)`;
  await owner`insert into airlock.dag_run (tenant, run, dag_id, run_id, run_type, run_after, state, version, repository, commit, path, environment)
      values ('globex', 1, 'd', 'r', 'manual', now(), 'running', 1, 'm', 'c', 'x', 'e')`;
  for (let i = 0; i <= running; i += 1) {
    const attempt = randomUUID();
    await owner`insert into airlock.task_instance (tenant, run, task_id, map_index, id, dag_id, state, try_number, pool, pool_slots, queue, priority_weight,
        operator, order_at) values ('globex', 1, ${`t${i}`}, -1, ${attempt}, 'd', ${i === 0 ? "queued" : "running"}, 1, 'p', 1, 'default', 1, 'X', now())`;
    await owner`insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue)
      values ('globex', ${attempt}, 1, 'd', ${`t${i}`}, -1, 1, ${i === 0 ? "admitted" : "running"}, 'default')`;
    await owner`insert into airlock.permit (tenant, attempt, run, dag_id, task_id, pool, slots, queue, level)
      values ('globex', ${attempt}, 1, 'd', ${`t${i}`}, 'p', 1, 'default', '3')`;
  }
  // The run's own count is not what this is about.
  await owner`update airlock.dag_run set unfinished = ${running + 1} where tenant = 'globex'`;
};

test.each([
  [
    "another tenant's first task waits and this one has as many: the tie is the other's",
    1,
    0,
    false,
    2,
  ],
  ["another tenant's second task waits, ours is the first: it goes on", 1, 1, true, 1],
  ["the other has a heavier weight: its second comes before our first", 9, 1, false, 1],
])("fairness: %s", async (_name, weight, running, goesOn, mine) => {
  await stage.deploy(line());
  for (let i = 1; i < mine; i += 1) await stage.trigger("line");
  await globexWaits(weight, running);
  expect(await goOn()).toBe(goesOn);
});

test.each([
  [{ hops: 7, ms: 19 }, true],
  [{ hops: 8, ms: 0 }, false],
  [{ hops: 0, ms: 20 }, false],
])(
  "while its own tenant's tasks wait for a slot, a slot hops on only for a while: %o",
  async (wish, goesOn) => {
    await stage.deploy(line());
    await stage.trigger("line"); // admitted, and nobody takes it
    expect(await goOn({ wish })).toBe(goesOn);
  },
);

test("a batch of wishes takes each ready task once", async () => {
  await stage.deploy(
    dagSpec(
      [
        { task_id: "a1", downstream: ["b1", "b2"] },
        { task_id: "a2", downstream: ["b1", "b2"] },
        { task_id: "a3", downstream: ["b1", "b2"] },
        { task_id: "b1" },
        { task_id: "b2" },
      ],
      { dag_id: known.dag("mesh") },
    ),
  );
  const run = await stage.trigger("mesh");
  const all = [await stage.claimNext(run), await stage.claimNext(run), await stage.claimNext(run)];
  const answers = await Promise.all(all.map((one) => stage.finish(one, { wish: true })));
  const went = answers.flatMap((answer) =>
    answer.kind === "done" && answer.continued !== undefined ? [answer.continued.task.task_id] : [],
  );
  expect(went.toSorted()).toEqual(["b1", "b2"]);
  expect(await stage.count("permit")).toBe(2);
});

// ---- COMMITs whose answer is lost --------------------------------------------------------------------

test("a lost answer to COMMIT doubles nothing; what it had gone on with is handed on", async () => {
  const proxy = await openCutProxy(stage.database.url);
  const shaky = stage.another(proxy.url);
  try {
    await stage.deploy(line());
    const run = await stage.trigger("line");
    const a = await stage.claimNext(run);
    await shaky.store.tx(stage.tenant, (tx) =>
      shaky.dags.get(tx, stage.tenant, a.at.dag_id, a.at.version),
    );
    proxy.cutAfterCommit();
    const knock = knockOf(a, { wish: true }, stage.worker);
    await expect(shaky.door.advance({ tenant: stage.tenant, run }, knock)).rejects.toSatisfy(
      isAway,
    );
    expect(proxy.cuts()).toBe(1);
    // The worker asks again, as it does while the database is away.
    expect(await shaky.door.advance({ tenant: stage.tenant, run }, knock)).toEqual({
      kind: "stale",
    });
    expect(await stage.states(run)).toEqual({ a: "success", b: "running" });
    const { held } = await stage.store.system((tx) => beat(tx, stage.worker, 15));
    const [orphan] = [...held.keys()];
    expect(held.size).toBe(1);
    if (orphan === undefined) throw new Error("no orphan");
    expect(
      await stage.store.system((tx) =>
        readmitAttempts(tx, [{ attempt: orphan, worker: stage.worker }], "hand_over"),
      ),
    ).toBe(1);
    const b = await stage.claimNext(run);
    expect(b.fence).toBeGreaterThan(1);
    expect(await stage.finish(b)).toMatchObject({ state: "success" });
    expect(await stage.count("xcom")).toBe(2);
  } finally {
    await shaky.close();
    await proxy.close();
  }
});

test("a whole batch hears of the lost connection, and is not tried again behind its back", async () => {
  const proxy = await openCutProxy(stage.database.url);
  const shaky = stage.another(proxy.url);
  try {
    await stage.deploy(fan(3));
    const run = await stage.trigger("fan");
    const claimed = [
      await stage.claimNext(run),
      await stage.claimNext(run),
      await stage.claimNext(run),
    ];
    await shaky.store.tx(stage.tenant, (tx) => tx`select 1`);
    const first = shaky.door.advance(
      { tenant: stage.tenant, run },
      knockOf(claimed[0] as Claimed, {}, stage.worker),
    );
    await first;
    proxy.cutAfterCommit();
    let plans = 0;
    const answers = await Promise.allSettled([
      shaky.door.advance(
        { tenant: stage.tenant, run },
        knockOf(claimed[1] as Claimed, {}, stage.worker),
      ),
      shaky.door.advance(
        { tenant: stage.tenant, run },
        {
          kind: "deed",
          why: "test",
          plan() {
            plans += 1;
            return Promise.resolve([]);
          },
        },
      ),
    ]);
    expect(answers.some((answer) => answer.status === "rejected")).toBe(true);
    expect(plans).toBeLessThanOrEqual(1);
    expect(
      Object.values(await stage.states(run)).filter((state) => state === "success"),
    ).toHaveLength(2);
  } finally {
    await shaky.close();
    await proxy.close();
  }
});

// ---- what people do while it runs ----------------------------------------------------------------------

test("a running task that is cleared restarts once its worker has stopped it, under another id", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  await stage.deeds.clearInstances(stage.tenant, clearOf({ run_ids: [await runIdOf(run)] }));
  expect(await stage.states(run)).toEqual({ a: "restarting", b: null });
  expect(stage.stops).toEqual([{ attempt: a.attempt, worker: stage.worker }]);
  const { held } = await stage.store.system((tx) => beat(tx, stage.worker, 15));
  expect(held.get(a.attempt)).toBe("cleared"); // should the word get lost, the next beat brings it
  expect(await stage.finish(a, { kind: "stopped" })).toMatchObject({ kind: "done" });
  expect(await stage.states(run)).toEqual({ a: "queued", b: null });
  const again = await stage.claimNext(run);
  expect(again.attempt).not.toBe(a.attempt);
  await stage.finish(again);
  expect(await stage.finish(await stage.claimNext(run))).toMatchObject({ state: "success" });
});

test("a cleared task that succeeds before it could be stopped runs again all the same", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  await stage.deeds.clearInstances(stage.tenant, clearOf({ run_ids: [await runIdOf(run)] }));
  await stage.finish(a);
  expect(await stage.states(run)).toEqual({ a: "queued", b: null });
});

test("a cleared task whose worker died restarts", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  await stage.claimNext(run);
  await stage.deeds.clearInstances(stage.tenant, clearOf({ run_ids: [await runIdOf(run)] }));
  const { again, forTheDoor } = await stage.store.system((tx) => readmitLost(tx, stage.worker));
  expect(again).toBe(0);
  expect(forTheDoor).toMatchObject([{ state: "restarting", try_number: 1 }]);
  await stage.advance(run, [
    { kind: "attempt_stopped", task_id: known.task("a"), map_index: -1, try_number: 1 },
  ]);
  expect(await stage.states(run)).toEqual({ a: "queued", b: null });
});

test("a failed run that is cleared ends well from that task on, and keeps what was won before", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  await stage.finish(await stage.claimNext(run));
  await stage.finish(await stage.claimNext(run), { kind: "failed" });
  expect((await stage.runState(run)).state).toBe("failed");
  await stage.deeds.clearInstances(
    stage.tenant,
    clearOf({ run_ids: [await runIdOf(run)], only_failed: true }),
  );
  expect((await stage.runState(run)).state).toBe("queued");
  expect(await stage.states(run)).toMatchObject({ a: "success" });
});

test("a running task that is marked ends there, and the late answer finds nobody", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  await stage.deeds.markInstances(stage.tenant, {
    dag_id: "line",
    run_id: await runIdOf(run),
    task_id: "a",
    map_index: -1,
    state: "success",
    dry_run: false,
    include_upstream: false,
    include_downstream: false,
    include_past: false,
    include_future: false,
    user: "ada",
  });
  expect(await stage.states(run)).toEqual({ a: "success", b: "queued" });
  expect(stage.stops.map((stop) => stop.attempt)).toEqual([a.attempt]);
  expect(await stage.finish(a, { kind: "failed" })).toEqual({ kind: "stale" });
});

test("a stop that comes while the task ends has one winner", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  const runId = await runIdOf(run);
  const other = stage.another();
  await Promise.all([
    stage.finish(a),
    other.deeds.stopRun(stage.tenant, { dag_id: "line", run_id: runId, user: "ada" }),
  ]);
  expect((await stage.runState(run)).state).toBe("failed");
  expect(await stage.count("permit")).toBe(0);
});

test("a DAG that is unpaused goes on with what was ready", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  await stage.deeds.pauseDag(stage.tenant, { dag_id: "line", is_paused: true, user: "ada" });
  await stage.finish(a);
  expect(await stage.states(run)).toEqual({ a: "success", b: "scheduled" });
  await stage.deeds.pauseDag(stage.tenant, { dag_id: "line", is_paused: false, user: "ada" });
  await stage.door.settle();
  expect(await stage.states(run)).toEqual({ a: "success", b: "queued" });
});

test("a run that is deleted takes everything with it, its logs as well, and the late answer finds no run", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const a = await stage.claimNext(run);
  await stage.database.owner`
    insert into airlock.log_chunk (tenant, attempt, seq, lines, text) values ('acme', ${a.attempt}, 0, 1, 'x')`;
  const runId = await runIdOf(run);
  const at = { dag_id: "line", run_id: runId, user: "ada" };
  expect(await stage.deeds.deleteRun(stage.tenant, at)).toMatchObject({ ok: false });
  await stage.deeds.stopRun(stage.tenant, at);
  expect(await stage.deeds.deleteRun(stage.tenant, at)).toMatchObject({ ok: true });
  for (const what of ["permit", "attempt", "timer", "xcom", "dag_run"] as const)
    expect(await stage.count(what)).toBe(0);
  expect(await stage.database.owner`select 1 from airlock.log_chunk`).toHaveLength(0);
  expect(await stage.finish(a)).toEqual({ kind: "no_such_run" });
});

// ---- time ----------------------------------------------------------------------------------------------

const fire = (run: RunKey, by: RunStage | ReturnType<RunStage["another"]>) =>
  by.door.advance(
    { tenant: stage.tenant, run },
    {
      kind: "deed",
      why: "due",
      async plan({ tx, tenant }) {
        const taken = await takeTimers(tx, tenant, run, [
          { task_id: known.task("a"), map_index: -1, kind: "retry" },
        ]);
        return taken.map(({ task_id, map_index, try_number }) => ({
          kind: "timer_fired" as const,
          task_id,
          map_index,
          try_number,
          timer: "retry" as const,
        }));
      },
    },
  );

test("a retry that two schedulers fire at once starts one try", async () => {
  await stage.deploy(line({ retries: 2 }));
  const run = await stage.trigger("line");
  await stage.finish(await stage.claimNext(run), { kind: "failed" });
  const other = stage.another();
  await fire(run, stage); // not due yet: nothing happens
  expect((await stage.states(run))["a"]).toBe("up_for_retry");
  await stage.database.owner`update airlock.timer set due_at = now()`;
  await Promise.all([fire(run, stage), fire(run, other), fire(run, stage), fire(run, other)]);
  expect((await stage.states(run))["a"]).toBe("queued");
  const [tries] = await stage.database.owner`
    select try_number from airlock.task_instance where run = ${run} and task_id = 'a'`;
  expect(tries).toMatchObject({ try_number: 2 });
  expect(await stage.count("timer")).toBe(0);
});

test("a run's timeout is set by the database's clock and ends it", async () => {
  await stage.deploy(
    dagSpec([{ task_id: "a" }], { dag_id: known.dag("line"), dagrun_timeout_s: 60 }),
  );
  const run = await stage.trigger("line");
  const [timer] = await stage.database.owner<{ in_s: number }[]>`
    select extract(epoch from due_at - clock_timestamp())::float8 as in_s from airlock.timer where kind = 'run_timeout'`;
  expect(timer?.in_s).toBeGreaterThan(50);
  expect(timer?.in_s).toBeLessThanOrEqual(60);
  const a = await stage.claimNext(run);
  await stage.advance(run, [{ kind: "run_timed_out" }]);
  expect((await stage.runState(run)).state).toBe("failed");
  expect(stage.stops.map((stop) => stop.attempt)).toEqual([a.attempt]);
  expect(await stage.count("timer")).toBe(0);
});

// ---- the run before ------------------------------------------------------------------------------------

const past = (more: object) =>
  dagSpec([{ task_id: "a", downstream: ["b"], ...more }, { task_id: "b" }], {
    dag_id: known.dag("line"),
  });
const dated = (day: number) => ({
  logical_date: `2026-01-0${day}T00:00:00Z`,
  run_type: "scheduled" as const,
});
const firePast = async (run: RunKey): Promise<number> => {
  const due = await stage.database
    .owner`select 1 from airlock.timer where run = ${run} and kind = 'past'`;
  await stage.door.advance(
    { tenant: stage.tenant, run },
    {
      kind: "deed",
      why: "due",
      async plan({ tx, tenant }) {
        const taken = await takeTimers(tx, tenant, run, [
          { task_id: known.task("a"), map_index: -1, kind: "past" },
        ]);
        return [{ kind: "past_changed", task_ids: taken.map((timer) => timer.task_id) }];
      },
    },
  );
  return due.length;
};

test("depends_on_past: the task waits for the run before, and is woken when that one has ended well", async () => {
  await stage.deploy(past({ depends_on_past: true }));
  const first = await stage.trigger("line", dated(1));
  const next = await stage.trigger("line", dated(2));
  expect(await stage.states(next)).toEqual({ a: null, b: null });
  await stage.finish(await stage.claimNext(first));
  expect(stage.timers.length).toBeGreaterThan(0); // the scheduler was told
  expect(await firePast(next)).toBe(1);
  expect(await stage.states(next)).toEqual({ a: "queued", b: null });
});

test("depends_on_past: after a failure it waits on, until the failed one is cleared and ends well", async () => {
  await stage.deploy(past({ depends_on_past: true }));
  const first = await stage.trigger("line", dated(1));
  const next = await stage.trigger("line", dated(2));
  await stage.finish(await stage.claimNext(first), { kind: "failed" });
  await firePast(next);
  expect(await stage.states(next)).toEqual({ a: null, b: null });
  await stage.deeds.markInstances(stage.tenant, {
    dag_id: "line",
    run_id: await runIdOf(first),
    task_id: "a",
    map_index: -1,
    state: "success",
    dry_run: false,
    include_upstream: false,
    include_downstream: false,
    include_past: false,
    include_future: false,
    user: "ada",
  });
  expect(await firePast(next)).toBe(1);
  expect(await stage.states(next)).toEqual({ a: "queued", b: null });
});

test("wait_for_downstream: the direct downstreams of the run before count as well", async () => {
  await stage.deploy(past({ depends_on_past: true, wait_for_downstream: true }));
  const first = await stage.trigger("line", dated(1));
  const next = await stage.trigger("line", dated(2));
  await stage.finish(await stage.claimNext(first));
  await firePast(next);
  expect(await stage.states(next)).toEqual({ a: null, b: null });
  await stage.finish(await stage.claimNext(first));
  expect(await firePast(next)).toBe(1);
  expect(await stage.states(next)).toEqual({ a: "queued", b: null });
});

/** Whether a session of this database waits for a lock just now. */
const somebodyWaits = () =>
  eventually(async () => {
    const rows = await stage.database.owner`
      select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    return rows.length > 0 ? true : undefined;
  });

test("depends_on_past: a run that starts while the one before ends a task is not forgotten", async () => {
  await stage.deploy(past({ depends_on_past: true }));
  const first = await stage.trigger("line", dated(1));
  const claimed = await stage.claimNext(first);
  const next = await stage.create("line", { ...dated(2), run_after: "2099-01-01T00:00:00Z" });
  if (next.kind !== "created") throw new Error(next.kind);
  let finished: Promise<unknown> = Promise.resolve();
  // Whoever starts it has the DAG, has seen that the run before is not done, and has not committed yet.
  await stage.database.owner.begin(async (tx) => {
    await tx`select 1 from airlock.dag for no key update`;
    await tx`update airlock.dag_run set state = 'running', has_instances = true, unfinished = 2 where run = ${next.run}`;
    await tx`
      insert into airlock.task_instance (tenant, run, dag_id, task_id, map_index, pool, pool_slots, queue, priority_weight, operator, order_at)
      select tenant, ${next.run}, dag_id, task_id, map_index, pool, pool_slots, queue, priority_weight, operator, now()
        from airlock.task_instance where run = ${first}`;
    finished = stage.finish(claimed);
    await somebodyWaits();
  });
  await finished;
  expect(await firePast(next.run)).toBe(1);
});

test("depends_on_past: a wake-up that is there already is not taken before the end that rang it again", async () => {
  await stage.deploy(past({ depends_on_past: true }));
  const first = await stage.trigger("line", dated(1));
  const next = await stage.trigger("line", dated(2));
  await stage.database.owner`
    insert into airlock.timer (tenant, run, task_id, map_index, kind, due_at)
    values (${stage.tenant}, ${next}, 'a', -1, 'past', now())`;
  const taking = await stage.store.tx(stage.tenant, async (tx) => {
    await wakeLaterRuns(tx, stage.tenant, first, [known.task("a")]);
    const taken = firePast(next);
    await somebodyWaits();
    return { taken };
  });
  expect(await taking.taken).toBe(1);
});

test("what was cleared while its worker did not know that it holds it begins anew", async () => {
  await stage.deploy(line());
  const run = await stage.trigger("line");
  const claimed = await stage.claimNext(run);
  await stage.deeds.clearInstances(stage.tenant, clearOf());
  expect(await stage.states(run)).toMatchObject({ a: "restarting" });
  const held = await stage.store.system((tx) => handOver(tx, stage.worker, [claimed.attempt]));
  expect(held).toHaveLength(1);
  await stage.advance(
    run,
    held.map(({ task_id, map_index, try_number }) => ({
      kind: "attempt_stopped",
      task_id,
      map_index,
      try_number,
    })),
  );
  expect(await stage.states(run)).toMatchObject({ a: "queued" });
  expect(await stage.finish(claimed)).toEqual({ kind: "stale" });
});
