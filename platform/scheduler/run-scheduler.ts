/**
 * The clock of the house. It sleeps until the next thing is due by Postgres' clock, at most 30 s, and is
 * woken earlier only for something earlier. Any number of schedulers may run: timers fire through the door,
 * which deletes them under the run lock, and a scheduled run is unique per DAG and logical date.
 *
 *   asleep ──due, or woken──► fire timers ─► plan new schedules ─► create due runs ─► look for the dead ──► asleep
 */
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type { Logger } from "../../ops/telemetry/log.ts";
import { metrics } from "../../ops/telemetry/metrics.ts";
import type { DagId, TenantId } from "../model/ids.ts";
import type { Door } from "../runs/advance-run.ts";
import { type CreateDeps, startQueuedRuns } from "../runs/create-run.ts";
import { isAway } from "../store/open.ts";
import { takeTimers } from "../store/run-rows.ts";
import { type DueTimer, dueTimers, nextDueMs, postponeTimers } from "../store/timers.ts";
import { createDueRuns, dagsWithPlaces, planFreed, planSchedules } from "./create-due-runs.ts";
import { openRecovery } from "./recover.ts";
import { timerEvent } from "./timer-event.ts";

export type Scheduler = {
  /** Something may be due earlier than it sleeps. */
  wake(): void;
  /** A run of this DAG ended or the DAG was unpaused: a queued one may start. */
  startQueued(tenant: TenantId, dagId: DagId): void;
  stop(): Promise<void>;
};

export type SchedulerDeps = CreateDeps & {
  readonly log: Logger;
  readonly home: string;
  /** Worker rows of this very process: never looked at as possibly dead. */
  readonly myWorkers: () => readonly string[];
  readonly leaseSeconds: number;
};

const sleepMaxMs = 30_000;
const sweepEveryMs = 300;
const timersMax = 1_000;

export function runScheduler(deps: SchedulerDeps): Scheduler {
  const { store, door, log } = deps;
  const recovery = openRecovery({
    ...deps,
    mine: deps.myWorkers,
    async startForgotten() {
      if (await planFreed(deps)) wake();
      for (const { tenant, dag_id } of await dagsWithPlaces(deps)) startQueued(tenant, dag_id);
    },
  });
  let stopped = false;
  let wakeUp: (() => void) | undefined;
  let woken = false;

  const turn = async (): Promise<number> => {
    await fireTimers(deps);
    await planSchedules(deps);
    const due = await createDueRuns(deps);
    if (due === "more_may_be_due") return 0;
    const next = await store.system(nextDueMs);
    // setTimeout of more than 24.8 days fires at once: never ask for a long wait. What failed is due still, and waits.
    const soonest = due === "some_failed" ? 1_000 : 0;
    return Math.min(sleepMaxMs, Math.max(soonest, Math.ceil(next ?? sleepMaxMs)));
  };

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      if (woken || stopped) {
        resolve();
        return;
      }
      const timer = setTimeout(resolve, ms);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const loop = async (): Promise<void> => {
    while (!stopped) {
      metrics.schedulerWakeups.add({ cause: woken ? "notify" : "timer" });
      woken = false;
      let waitMs = 1_000;
      try {
        const begun = performance.now();
        waitMs = await turn();
        metrics.schedulerTickSeconds.observe({}, (performance.now() - begun) / 1000);
        metrics.schedulerTick.set({}, Date.now() / 1000);
      } catch (error) {
        const level = isAway(error) ? "warn" : "error";
        log[level](
          { room: "scheduler", err: error },
          "a turn of the scheduler failed; trying again",
        );
      }
      await sleep(waitMs);
    }
  };
  const running = loop();

  // Deaths are looked for on a beat of their own: a kill must show within a second whatever else is going on.
  let sweeping: Promise<void> | undefined;
  const sweeper = setInterval(() => {
    sweeping ??= recovery
      .sweep()
      .catch((error: unknown) => log.warn({ room: "scheduler", err: error }, "recovery failed"))
      .finally(() => {
        sweeping = undefined;
      });
  }, sweepEveryMs);
  sweeper.unref();

  const starting = new Map<string, Promise<void>>();
  const wake = (): void => {
    woken = true;
    wakeUp?.();
  };
  const startQueued = (tenant: TenantId, dagId: DagId): void => {
    const name = `${tenant}/${dagId}`;
    const before = starting.get(name) ?? Promise.resolve();
    const mine = before
      .then(() => startQueuedRuns(deps, tenant, dagId))
      .then(() => planFreed(deps, { tenant, dag_id: dagId }))
      .then(
        (planned) => {
          if (planned) wake();
        },
        (error: unknown) =>
          log.warn(
            { room: "scheduler", err: error, tenant, dag_id: dagId },
            "cannot start queued runs",
          ),
      )
      .finally(() => {
        if (starting.get(name) === mine) starting.delete(name);
      });
    starting.set(name, mine);
  };
  return {
    wake,
    startQueued,
    async stop() {
      stopped = true;
      clearInterval(sweeper);
      wake();
      await running;
      await sweeping;
      await recovery.close();
      await Promise.allSettled(starting.values());
      await door.settle();
    },
  };
}

/** Due timers, by run, through the door: which deletes the row first, so that firing twice does nothing. */
async function fireTimers(deps: SchedulerDeps): Promise<void> {
  for (;;) {
    const due = await deps.store.system((tx) => dueTimers(tx, timersMax));
    if (failpointsSet && due.length > 0) await hit("timers.before_fire");
    const byRun = Map.groupBy(due, (timer) => `${timer.tenant}/${timer.run}`);
    const answers = await Promise.allSettled(
      [...byRun.values()].map((timers) =>
        fire(deps.door, timers).catch((error: unknown) => {
          if (isAway(error)) throw error;
          deps.log.error(
            { room: "scheduler", err: error, tenant: timers[0]?.tenant, run: timers[0]?.run },
            "a run cannot be advanced; its timers are tried again in a minute",
          );
          // One run that cannot go on must not stop the clock of all others.
          return deps.store.system((tx) => postponeTimers(tx, timers, 60));
        }),
      ),
    );
    for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
    if (failpointsSet && due.length > 0) await hit("timers.after_fire");
    if (due.length < timersMax) return;
  }
}

async function fire(door: Door, timers: readonly DueTimer[]): Promise<void> {
  const [first] = timers;
  if (first === undefined) return;
  await door.advance(first, {
    kind: "deed",
    why: "due",
    async plan({ tx, tenant, row }) {
      const taken = await takeTimers(tx, tenant, row.run, timers);
      return taken.map(timerEvent);
    },
  });
}
