/**
 * The model of each statement against the statement: one script of deeds, done by the same code of the house over
 * Postgres and over the simulated database. After each deed both must have answered the same and hold the same rows.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AttemptId, known, type RunKey } from "../../platform/model/ids.ts";
import type { Door } from "../../platform/runs/advance-run.ts";
import { createRun, startQueuedRuns } from "../../platform/runs/create-run.ts";
import { type DagCache, openDagCache } from "../../platform/runs/dag-cache.ts";
import { openDeeds, type RunDeeds } from "../../platform/runs/deeds.ts";
import {
  createDueRuns,
  dagsWithPlaces,
  planFreed,
  planSchedules,
} from "../../platform/scheduler/create-due-runs.ts";
import { timerEvent } from "../../platform/scheduler/timer-event.ts";
import { type Claimed, claimAttempt } from "../../platform/store/claim.ts";
import { openStoreOver, type Store } from "../../platform/store/open.ts";
import * as rows from "../../platform/store/run-rows.ts";
import { dueTimers } from "../../platform/store/timers.ts";
import {
  beat,
  handOver,
  otherWorkers,
  readmitLost,
  registerWorker,
  releaseStrays,
  reserveLockKey,
  ringForgotten,
  waitingTenants,
} from "../../platform/store/workers.ts";
import { openQuietDoor } from "../kit/quiet-door.ts";
import { knockOf, manualRun, openRunStage, type RunStage } from "../kit/run-stage.ts";
import { dialInto } from "./client.ts";
import { teachStatements } from "./database/open-server.ts";
import { Server } from "./database/server.ts";
import { type Dice, openDice } from "./dice.ts";
import { arrange, drawWorkload } from "./workload.ts";
import { epochMs, ownTime, Process, World } from "./world.ts";

const tenant = known.tenant("acme");
const workers = [
  "00000000-0000-4000-a000-000000000001",
  "00000000-0000-4000-a000-000000000002",
] as const;
const scripts = 14;
const deedsEach = 28;

let stage: RunStage;
beforeAll(async () => {
  stage = await openRunStage();
});
afterAll(() => stage.closeAll());

test("a script of deeds leaves the same rows in Postgres and in the simulated database", async () => {
  const done = new Map<string, number>();
  for (let seed = 1; seed <= scripts; seed += 1) {
    const [real, simulated] = [await openReal(seed), openSimulated(seed)];
    const dice = openDice(seed, "deeds");
    expect(await simulated.rows(), `at the start of script ${seed}`).toEqual(await real.rows());
    for (let n = 0; n < deedsEach; n += 1) {
      const deed = drawDeed(dice);
      done.set(deed.name, (done.get(deed.name) ?? 0) + 1);
      const answers = [await real.do(deed), await simulated.do(deed)];
      const where = `script ${seed}, deed ${n}: ${deed.name}`;
      expect(answers[1], where).toEqual(answers[0]);
      expect(await simulated.rows(), where).toEqual(await real.rows());
    }
  }
  // A deed that never came would prove nothing.
  expect([...done.keys()].toSorted()).toEqual(deedNames.toSorted());
}, 180_000);

// ---- one side -----------------------------------------------------------------------------------------

type House = {
  readonly store: Store;
  readonly door: Door;
  readonly deeds: RunDeeds;
  readonly dags: DagCache;
  /** What was claimed and has not answered, by the order of its name. */
  readonly held: Map<string, Claimed & { readonly worker: string }>;
};
type Admitted = { readonly attempt: AttemptId; readonly name: string };

type Side = {
  do(deed: Deed): Promise<unknown>;
  rows(): Promise<Rows>;
};
type Rows = { readonly [table: string]: readonly string[] };

/** What a deed needs beside the house: what it cannot say in the house's words. */
type Hands = {
  readonly house: House;
  readonly admitted: () => Promise<readonly Admitted[]>;
  readonly runs: () => Promise<
    readonly { run: RunKey; run_id: string; dag_id: string; name: string }[]
  >;
  readonly timersAreDue: () => Promise<void>;
  readonly leasesAreOver: () => Promise<void>;
  readonly allIsOld: () => Promise<void>;
};

function openHouse(store: Store): House {
  const dags = openDagCache();
  const door = openQuietDoor({ store, dags, leaseSeconds: 15 });
  const deeds = openDeeds({ store, door, dags, scheduleChanged: () => undefined });
  return { store, door, deeds, dags, held: new Map() };
}

const specsOf = (seed: number) => {
  const drawn = drawWorkload(openDice(seed, "workload"));
  const dags = drawn.dags
    .filter((dag) => dag.tenant === "acme")
    .map(({ spec }) => ({
      tenant: "acme",
      spec:
        spec.timetable.kind === "delta"
          ? // Days, so that the milliseconds between the two sides do not matter.
            {
              ...spec,
              timetable: { kind: "delta" as const, seconds: 86_400 },
              start_date: new Date(midnight - 3.5 * 86_400_000).toISOString(),
              end_date: new Date(midnight + 86_400_000).toISOString(),
            }
          : spec,
    }));
  return { ...drawn, dags, tenants: drawn.tenants.filter((one) => one.tenant === "acme") };
};
const midnight = Math.floor(Date.now() / 86_400_000) * 86_400_000;

async function openReal(seed: number): Promise<Side> {
  const { owner } = stage.database;
  await stage.reset();
  const work = specsOf(seed);
  const simulated = new Server(new World(), openDice(0, ""), () => undefined);
  arrange(simulated, work, openDice(seed, "pools"));
  for (const one of work.tenants)
    await owner`update airlock.tenant set max_running = ${one.max_running}, weight = ${one.weight}`;
  await owner`delete from airlock.pool`;
  for (const pool of simulated.tables.pool.newest())
    await owner`insert into airlock.pool (tenant, pool, slots) values ('acme', ${pool.pool}, ${pool.slots})`;
  for (const { spec } of work.dags) await stage.deploy(spec);
  const house = openHouse(stage.store);
  const hands: Hands = {
    house,
    admitted: async () =>
      byName(
        await owner<Admitted[]>`
          select a.attempt, concat_ws(' ', r.dag_id, r.run_id, a.task_id, a.map_index) as name
            from airlock.attempt a join airlock.dag_run r using (tenant, run) where a.state = 'admitted'`,
      ),
    runs: async () =>
      byName(
        await owner<{ run: RunKey; run_id: string; dag_id: string; name: string }[]>`
          select run, run_id, dag_id, concat_ws(' ', dag_id, run_id) as name from airlock.dag_run`,
      ),
    async timersAreDue() {
      await owner`update airlock.timer set due_at = now() - interval '1 second'`;
    },
    async leasesAreOver() {
      await owner`update airlock.attempt set lease_until = now() - interval '1 second' where state = 'running'`;
    },
    async allIsOld() {
      await owner`update airlock.attempt set admitted_at = now() - interval '1 hour'`;
      await owner`update airlock.task_instance set scheduled_at = now() - interval '1 hour' where scheduled_at is not null`;
    },
  };
  return {
    do: async (deed) => {
      const answer = await deed.do(hands);
      await house.door.settle();
      return answer;
    },
    rows: async () => ({
      runs: await lines(owner`
        select dag_id, run_id, run_type, state, version, has_instances, unfinished, failed_leaves, clear_number, reason from airlock.dag_run`),
      instances: await lines(owner`
        select r.dag_id, r.run_id, i.task_id, i.map_index, i.state, i.try_number, i.max_tries, i.pool, i.pool_slots, i.priority_weight,
               i.scheduled_at is null as a, i.started_at is null as b, i.first_reschedule_at is null as c
          from airlock.task_instance i join airlock.dag_run r using (tenant, run)`),
      counters: await lines(owner`
        select r.dag_id, r.run_id, c.task_id, c.scope, total, success, failed, upstream_failed, skipped, removed, setups
          from airlock.task_counter c join airlock.dag_run r using (tenant, run)`),
      skips: await lines(owner`
        select r.dag_id, r.run_id, s.task_id, s.map_index, array_to_string(s.skipped, ',') as skipped
          from airlock.skip_decision s join airlock.dag_run r using (tenant, run)`),
      lengths: await lines(owner`
        select r.dag_id, r.run_id, l.kind, l.name, l.length from airlock.mapped_length l join airlock.dag_run r using (tenant, run)`),
      attempts: await lines(owner`
        select r.dag_id, r.run_id, a.task_id, a.map_index, a.try_number, a.state, a.fence, a.worker, a.outcome, a.crashes, a.stop_asked,
               a.lease_until is null as l
          from airlock.attempt a join airlock.dag_run r using (tenant, run)`),
      permits: await lines(owner`
        select r.dag_id, r.run_id, p.task_id, p.pool, p.slots from airlock.permit p join airlock.dag_run r using (tenant, run)`),
      timers: await lines(owner`
        select r.dag_id, r.run_id, t.task_id, t.map_index, t.kind, t.try_number from airlock.timer t join airlock.dag_run r using (tenant, run)`),
      dags: await lines(owner`
        select dag_id, is_paused, plan_needed, floor(extract(epoch from next_logical_at) * 1000)::float8 as a,
               floor(extract(epoch from next_run_at) * 1000)::float8 as b from airlock.dag`),
      jobs: await lines(owner`
        select r.dag_id, r.run_id, a.task_id, a.map_index, j.priority from graphile_worker.jobs j
          join airlock.attempt a on j.key = 'a:' || a.attempt join airlock.dag_run r using (tenant, run)`),
      changes: await lines(owner`
        select r.dag_id, r.run_id, c.task_id, c.map_index, c.from_state, c.to_state from airlock.change c join airlock.dag_run r using (tenant, run)`),
    }),
  };
}

const byName = <T extends { readonly name: string }>(of: readonly T[]): readonly T[] =>
  of.toSorted((a, b) => (a.name < b.name ? -1 : 1));
const lines = async (rowsOf: PromiseLike<readonly object[]>): Promise<readonly string[]> =>
  (await rowsOf).map((row) => line(...Object.values(row))).toSorted();
const line = (...values: readonly unknown[]): string =>
  values
    .map((value) => (typeof value === "string" ? value : JSON.stringify(value ?? null)))
    .map((text) => (text === "null" ? "-" : text))
    .join(" ");

function openSimulated(seed: number): Side {
  teachStatements();
  const world = new World();
  const ids = openDice(seed, "ids");
  const changes: string[] = [];
  const server = new Server(world, openDice(seed, "network"), ({ transaction }) => {
    for (const c of transaction.changes) {
      const run = server.tables.run.at(c.run, Infinity);
      changes.push(line(run?.dag_id, run?.run_id, c.task_id, c.map_index, c.from, c.to));
    }
  });
  arrange(server, specsOf(seed), openDice(seed, "pools"));
  server.clockAheadMs = Date.now() - epochMs;
  const process = new Process("house", "/home");
  const { tables } = server;
  const house = openHouse(openStoreOver(dialInto(server, process, new Map())));
  const runOf = (run: string): string => {
    const row = tables.run.at(run, Infinity);
    return `${row?.dag_id} ${row?.run_id}`;
  };
  const hands: Hands = {
    house,
    admitted: () =>
      Promise.resolve(
        byName(
          tables.attempt
            .newest()
            .filter((row) => row.state === "admitted")
            .map((row) => ({
              attempt: row.attempt as AttemptId,
              name: `${runOf(row.run)} ${row.task_id} ${row.map_index}`,
            })),
        ),
      ),
    runs: () =>
      Promise.resolve(
        byName(
          tables.run.newest().map((row) => ({
            run: row.run as RunKey,
            run_id: row.run_id,
            dag_id: row.dag_id,
            name: `${row.dag_id} ${row.run_id}`,
          })),
        ),
      ),
    timersAreDue: () =>
      arranged((s) => {
        for (const row of s.all(tables.timer))
          s.put(tables.timer, { ...row, due_at: s.clock - 1000 });
      }),
    leasesAreOver: () =>
      arranged((s) => {
        for (const row of s.all(tables.attempt))
          if (row.state === "running")
            s.put(tables.attempt, { ...row, lease_until: s.clock - 1000 });
      }),
    allIsOld: () =>
      arranged((s) => {
        for (const row of s.all(tables.attempt))
          s.put(tables.attempt, { ...row, admitted_at: s.clock - 3_600_000 });
        for (const row of s.all(tables.instance))
          if (row.scheduled_at !== null)
            s.put(tables.instance, { ...row, scheduled_at: s.clock - 3_600_000 });
      }),
  };
  const arranged = (work: Parameters<Server["arrange"]>[0]): Promise<void> => {
    server.arrange(work);
    return Promise.resolve();
  };
  return {
    async do(deed) {
      const giveBack = ownTime(world, ids);
      try {
        let over: { answer: unknown } | undefined;
        let failed: { error: unknown } | undefined;
        await world.act(process, () => {
          deed
            .do(hands)
            .then(async (answer) => {
              await house.door.settle();
              over = { answer };
            })
            .catch((error: unknown) => {
              failed = { error };
            });
        });
        await world.play(Infinity, () => over !== undefined || failed !== undefined);
        if (failed !== undefined) throw failed.error;
        return over?.answer;
      } finally {
        giveBack();
      }
    },
    rows: () =>
      Promise.resolve({
        runs: sorted(tables.run.newest(), (r) =>
          line(
            r.dag_id,
            r.run_id,
            r.run_type,
            r.state,
            r.version,
            r.has_instances,
            r.unfinished,
            r.failed_leaves,
            r.clear_number,
            r.reason,
          ),
        ),
        instances: sorted(tables.instance.newest(), (i) =>
          line(
            runOf(i.run),
            i.task_id,
            i.map_index,
            i.state,
            i.try_number,
            i.max_tries,
            i.pool,
            i.pool_slots,
            i.priority_weight,
            i.scheduled_at === null,
            i.started_at === null,
            i.first_reschedule_at === null,
          ),
        ),
        counters: sorted(tables.counter.newest(), (c) =>
          line(
            runOf(c.run),
            c.task_id,
            c.scope,
            c.total,
            c.success,
            c.failed,
            c.upstream_failed,
            c.skipped,
            c.removed,
            c.setups,
          ),
        ),
        skips: sorted(tables.skip.newest(), (s) =>
          line(runOf(s.run), s.task_id, s.map_index, s.skipped.join(",")),
        ),
        lengths: sorted(tables.length.newest(), (l) =>
          line(runOf(l.run), l.kind, l.name, l.length),
        ),
        attempts: sorted(tables.attempt.newest(), (a) =>
          line(
            runOf(a.run),
            a.task_id,
            a.map_index,
            a.try_number,
            a.state,
            a.fence,
            a.worker,
            a.outcome,
            a.crashes,
            a.stop_asked,
            a.lease_until === null,
          ),
        ),
        permits: sorted(tables.permit.newest(), (p) =>
          line(runOf(p.run), p.task_id, p.pool, p.slots),
        ),
        timers: sorted(tables.timer.newest(), (t) =>
          line(runOf(t.run), t.task_id, t.map_index, t.kind, t.try_number),
        ),
        dags: sorted(tables.dag.newest(), (d) =>
          line(d.dag_id, d.is_paused, d.plan_needed, d.next_logical_at, d.next_run_at),
        ),
        jobs: sorted(
          tables.job.newest().filter((job) => job.key !== null),
          (job) => {
            const a = tables.attempt.at(job.attempt, Infinity);
            return line(
              a === undefined ? "" : `${runOf(a.run)} ${a.task_id} ${a.map_index}`,
              job.priority,
            );
          },
        ),
        changes: changes.toSorted(),
      }),
  };
}
const sorted = <R>(of: readonly R[], name: (row: R) => string): readonly string[] =>
  of.map(name).toSorted();

// ---- deeds --------------------------------------------------------------------------------------------

type Deed = { readonly name: string; readonly do: (hands: Hands) => Promise<unknown> };

let created = 0;
const nth = <T>(from: readonly T[], n: number): T | undefined => from[n % Math.max(1, from.length)];
const nothingMore = { include_upstream: false, include_past: false, include_future: false };

const kinds: Readonly<Record<string, (dice: Dice) => Deed["do"]>> = {
  create: (dice) => {
    const [n, pick, isDated] = [(created += 1), dice.between(0, 9), dice.chance(0.4)];
    return async ({ house }) => {
      const dag = nth(["dag0", "dag1"], pick) ?? "dag0";
      const at = new Date(1_700_000_000_000 + n * 60_000).toISOString();
      const made = await createRun(house, tenant, {
        dag_id: known.dag(dag),
        run_id: known.run(`m${n}`),
        run_type: "manual",
        logical_date: isDated ? at : null,
        interval_start: isDated ? at : null,
        interval_end: isDated ? at : null,
        run_after: at,
        conf: {},
        triggered_by: "test",
        triggering_user: null,
        note: null,
      });
      return made.kind === "created" ? made.state : made.kind;
    };
  },
  "create one that is there":
    () =>
    async ({ house, runs }) => {
      const run = nth(await runs(), 0);
      if (run === undefined) return undefined;
      return createRun(house, tenant, {
        dag_id: known.dag(run.dag_id),
        run_id: known.run(run.run_id),
        ...manualRun,
      });
    },
  claim: (dice) => {
    const [pick, w] = [dice.between(0, 9), dice.pick(workers)];
    return async ({ house, admitted }) => {
      const one = nth(await admitted(), pick);
      if (one === undefined) return undefined;
      const claimed = await claimAttempt(house.store, tenant, one.attempt, w, 15, "host");
      if (claimed === undefined) return undefined;
      house.held.set(one.name, { ...claimed, worker: w });
      // What differs from database to database, or by the milliseconds between the two.
      const apart = [
        "attempt",
        "run",
        "waited_ms",
        "at",
        "started_at",
        "uid",
        "first_reschedule_at",
        "trace",
        "previous_attempt",
        "previous_fence",
      ];
      return Object.fromEntries(
        Object.entries(claimed).filter(([column]) => !apart.includes(column)),
      );
    };
  },
  "claim what is claimed": (dice) => {
    const pick = dice.between(0, 9);
    return async ({ house }) => {
      const one = nth([...house.held.values()], pick);
      return one === undefined
        ? undefined
        : claimAttempt(house.store, tenant, one.attempt, workers[1], 15);
    };
  },
  finish: (dice) => {
    const [pick, kind, wishes] = [
      dice.between(0, 9),
      dice.pick(["succeeded", "succeeded", "failed"] as const),
      dice.chance(0.5),
    ];
    return async ({ house }) => {
      const [name, claimed] = nth([...house.held], pick) ?? [];
      if (name === undefined || claimed === undefined) return undefined;
      house.held.delete(name);
      const answer = await house.door.advance(
        { tenant, run: claimed.run },
        knockOf(claimed, { kind, wish: wishes, xcom: null }, claimed.worker),
      );
      if (answer.kind === "done" && answer.continued !== undefined) {
        const { continued } = answer;
        const next = `${claimed.at.dag_id} ${claimed.at.run_id} ${continued.task.task_id} ${continued.map_index}`;
        house.held.set(next, {
          ...claimed,
          attempt: continued.attempt,
          fence: continued.fence,
          task_id: continued.task.task_id,
          map_index: continued.map_index,
          try_number: continued.try_number,
        });
      }
      return answer.kind === "done"
        ? { state: answer.state, continued: answer.continued?.task.task_id }
        : answer.kind;
    };
  },
  reschedule: (dice) => {
    const pick = dice.between(0, 9);
    return async ({ house }) => {
      const [name, claimed] = nth([...house.held], pick) ?? [];
      if (name === undefined || claimed === undefined) return undefined;
      house.held.delete(name);
      const knock = knockOf(claimed, { xcom: null }, claimed.worker);
      if (knock.kind !== "attempt") return undefined;
      const { task_id, map_index, try_number } = claimed;
      const answer = await house.door.advance(
        { tenant, run: claimed.run },
        {
          ...knock,
          event: {
            kind: "attempt_rescheduled",
            task_id,
            map_index,
            try_number,
            at_ms: Date.now() + 3_600_000,
          },
          ended: { ...knock.ended, outcome: "reschedule" },
        },
      );
      return answer.kind;
    };
  },
  "answer late": (dice) => {
    const pick = dice.between(0, 9);
    return async ({ house }) => {
      const claimed = nth([...house.held.values()], pick);
      if (claimed === undefined) return undefined;
      return house.door.advance(
        { tenant, run: claimed.run },
        knockOf(claimed, { fence: claimed.fence - 1, xcom: null }, claimed.worker),
      );
    };
  },
  clear: (dice) => {
    const [pick, only_failed, include_downstream] = [
      dice.between(0, 9),
      dice.chance(0.4),
      dice.chance(0.5),
    ];
    return async ({ house, runs }) => {
      const run = nth(await runs(), pick);
      if (run === undefined) return undefined;
      const answer = await house.deeds.clearInstances(tenant, {
        ...nothingMore,
        include_downstream,
        dag_id: run.dag_id,
        run_ids: [run.run_id],
        start_date: undefined,
        end_date: undefined,
        tasks: only_failed ? undefined : [{ task_id: "t0", map_index: undefined }],
        only_failed,
        only_running: false,
        reset_dag_runs: true,
        prevent_running_task: false,
        run_on_latest_version: true,
        dry_run: false,
        user: "ada",
      });
      return answer;
    };
  },
  mark: (dice) => {
    const [pick, task, state] = [
      dice.between(0, 9),
      dice.between(0, 3),
      dice.pick(["success", "failed", "skipped"] as const),
    ];
    return async ({ house, runs }) => {
      const run = nth(await runs(), pick);
      if (run === undefined) return undefined;
      return house.deeds.markInstances(tenant, {
        ...nothingMore,
        include_downstream: false,
        dag_id: run.dag_id,
        run_id: run.run_id,
        task_id: `t${task}`,
        map_index: undefined,
        state,
        dry_run: false,
        user: "ada",
      });
    };
  },
  "mark the run": (dice) => {
    const [pick, state] = [dice.between(0, 9), dice.pick(["queued", "success", "failed"] as const)];
    return async ({ house, runs }) => {
      const run = nth(await runs(), pick);
      if (run === undefined) return undefined;
      return house.deeds.markRun(tenant, {
        dag_id: run.dag_id,
        run_id: run.run_id,
        state,
        user: "ada",
      });
    };
  },
  stop: (dice) => {
    const pick = dice.between(0, 9);
    return async ({ house, runs }) => {
      const run = nth(await runs(), pick);
      if (run === undefined) return undefined;
      return house.deeds.stopRun(tenant, { dag_id: run.dag_id, run_id: run.run_id, user: "ada" });
    };
  },
  "pause or unpause": (dice) => {
    const is_paused = dice.chance(0.3);
    return ({ house }) => house.deeds.pauseDag(tenant, { dag_id: "dag0", is_paused, user: "ada" });
  },
  "fire timers":
    () =>
    async ({ house, timersAreDue }) => {
      await timersAreDue();
      const due = await house.store.system((tx) => dueTimers(tx, 1000));
      const fired: string[] = [];
      for (const run of new Set(due.map((timer) => timer.run)))
        await house.door.advance(
          { tenant, run },
          {
            kind: "deed",
            why: "due",
            async plan({ tx }) {
              const taken = await rows.takeTimers(
                tx,
                tenant,
                run,
                due.filter((timer) => timer.run === run),
              );
              fired.push(
                ...taken.map(({ task_id, map_index, kind, try_number }) =>
                  line(task_id, map_index, kind, try_number),
                ),
              );
              return taken.map(timerEvent);
            },
          },
        );
      return fired.toSorted();
    },
  schedule:
    () =>
    async ({ house }) => {
      const log = {
        error: (_: object, message: string) => {
          throw new Error(message);
        },
      } as unknown as Parameters<typeof planSchedules>[0]["log"];
      await planSchedules({ ...house, log });
      const due = await createDueRuns({ ...house, log });
      return [
        due,
        await planFreed(house),
        (await dagsWithPlaces(house)).map((dag) => dag.dag_id).toSorted(),
      ];
    },
  "start queued runs":
    () =>
    async ({ house }) => [
      await startQueuedRuns(house, tenant, known.dag("dag0")),
      await startQueuedRuns(house, tenant, known.dag("dag1")),
    ],
  "leases run out":
    () =>
    async ({ house, leasesAreOver }) => {
      await leasesAreOver();
      const { again, forTheDoor } = await house.store.system((tx) => readmitLost(tx, undefined));
      house.held.clear();
      return [
        again,
        forTheDoor
          .map(({ task_id, map_index, crashes, state }) => line(task_id, map_index, crashes, state))
          .toSorted(),
      ];
    },
  "a worker dies": (dice) => {
    const w = dice.pick(workers);
    return async ({ house }) => {
      const { again, forTheDoor } = await house.store.system((tx) => readmitLost(tx, w));
      for (const [name, one] of house.held) if (one.worker === w) house.held.delete(name);
      return [again, forTheDoor.length];
    };
  },
  "hand over": (dice) => {
    const pick = dice.between(0, 9);
    return async ({ house }) => {
      const [name, one] = nth([...house.held], pick) ?? [];
      if (name === undefined || one === undefined) return undefined;
      house.held.delete(name);
      const left = await house.store.system((tx) => handOver(tx, one.worker, [one.attempt]));
      return left.map((row) => line(row.task_id, row.state));
    };
  },
  beat: (dice) => {
    const w = dice.pick(workers);
    return async ({ house }) => {
      const { isKnown, held } = await house.store.system((tx) => beat(tx, w, 15));
      return [isKnown, [...held.values()].map(String).toSorted()];
    };
  },
  "the sweep":
    () =>
    async ({ house, allIsOld }) => {
      await allIsOld();
      return [
        await house.store.system((tx) => releaseStrays(tx, 10)),
        await house.store.system((tx) => ringForgotten(tx, 30)),
        (await house.store.system((tx) => waitingTenants(tx, 5))).map((row) => row.tenant),
        (await house.store.tx(tenant, (tx) => rows.admit(tx, tenant))).map((row) => row.admitted),
      ];
    },
  "a worker comes": (dice) => {
    const id = `00000000-0000-4000-b000-${String(dice.between(1, 999_999_999)).padStart(12, "0")}`;
    return async ({ house }) => {
      const key = await house.store.system(reserveLockKey);
      await house.store.system((tx) =>
        registerWorker(
          tx,
          { worker: id, home: "/home", host: "host", pid: 1, queues: ["default"], slots: 1 },
          key,
        ),
      );
      const others = await house.store.system((tx) => otherWorkers(tx, [...workers]));
      return others
        .filter((one) => one.worker === id)
        .map((one) => [one.free, one.lease_only, one.home]);
    };
  },
};
const deedNames = Object.keys(kinds);
const often = [
  "create",
  "claim",
  "claim",
  "claim",
  "finish",
  "finish",
  "finish",
  "finish",
  "fire timers",
];

function drawDeed(dice: Dice): Deed {
  const name = dice.chance(0.6)
    ? (often[dice.between(0, often.length - 1)] ?? "claim")
    : (deedNames[dice.between(0, deedNames.length - 1)] ?? "claim");
  const draw = kinds[name];
  if (draw === undefined) throw new Error(name);
  return { name, do: draw(dice) };
}
