/**
 * One process of the house: the same parts as `platform/main/open-platform.ts` puts together, and wired as there. Only
 * what is outside the process is simulated: the database behind the driver's client, the queue's runner, the tasks.
 */
import type { Logger } from "../../ops/telemetry/log.ts";
import { type Executor, openExecutor } from "../../platform/executor/open-executor.ts";
import type { Guests } from "../../platform/model/guest.ts";
import { known, type TenantId } from "../../platform/model/ids.ts";
import type { Objects } from "../../platform/objects/open-objects.ts";
import { openDoor } from "../../platform/runs/advance-run.ts";
import { openDagCache } from "../../platform/runs/dag-cache.ts";
import { openDeeds, type RunDeeds } from "../../platform/runs/deeds.ts";
import { hearWakes } from "../../platform/scheduler/hear-wakes.ts";
import { runScheduler, type Scheduler } from "../../platform/scheduler/run-scheduler.ts";
import { type Dial, openStoreOver } from "../../platform/store/open.ts";
import { openQueue } from "./queue.ts";

export type Role = "scheduler" | "worker" | "people";

export type House = {
  readonly deeds: RunDeeds;
  /** As a process does that is told to end: it takes nothing new, hands on what runs, and goes. */
  close(): Promise<void>;
};

export type HouseOptions = {
  readonly dial: Dial;
  readonly roles: readonly Role[];
  readonly home: string;
  readonly guests: Guests;
  readonly leaseSeconds: number;
  readonly slots: number;
  readonly say: (level: string, message: string, error: unknown) => void;
};

export async function openHouse(options: HouseOptions): Promise<House> {
  const { dial, roles, say, leaseSeconds } = options;
  const log = quietLog(say);
  const store = openStoreOver(dial, { connectionsMax: 16 });
  const dags = openDagCache();
  let scheduler: Scheduler | undefined;
  let executor: Executor | undefined;
  const wakeScheduler = (): void => {
    if (scheduler !== undefined) scheduler.wake();
    else void store.notify("airlock_wake", "").catch(() => undefined);
  };
  const startQueued = (tenant: TenantId, dagId: string): void => {
    if (scheduler !== undefined) scheduler.startQueued(tenant, known.dag(dagId));
    else void store.notify("airlock_queued", `${tenant} ${dagId}`).catch(() => undefined);
  };
  const door = openDoor({
    store,
    dags,
    leaseSeconds,
    changed: () => undefined,
    stopped(stops) {
      const ids = stops.map((stop) => stop.attempt);
      executor?.stopAttempts(ids, "stopped");
      void store.notify("airlock_stop", JSON.stringify(ids.slice(0, 100))).catch(() => undefined);
    },
    timerSet: wakeScheduler,
    runEnded: startQueued,
    onProblem: (message, error) => say("warn", message, error),
  });
  const create = { store, door, dags };
  const deeds = openDeeds({
    ...create,
    scheduleChanged(tenant, dagId) {
      wakeScheduler();
      startQueued(tenant, dagId);
    },
  });
  await store.listen(
    "airlock_stop",
    (payload) =>
      executor?.stopAttempts((JSON.parse(payload) as string[]).map(known.attempt), "stopped"),
    () => undefined,
  );
  if (roles.includes("scheduler")) {
    const mine = runScheduler({
      ...create,
      log,
      home: roles.includes("worker") ? options.home : "",
      myWorkers: () => executor?.workers() ?? [],
      leaseSeconds,
    });
    scheduler = mine;
    await hearWakes(store, mine);
  }
  if (roles.includes("worker"))
    executor = await openExecutor({
      store,
      databaseUrl: "",
      door,
      dags,
      guests: options.guests,
      // Nothing here is large enough for either.
      objects: {} as Objects,
      things: {} as Parameters<typeof openExecutor>[0]["things"],
      bundle: () => Promise.resolve({ dir: "/", dagsFolder: "dags", limits: noLimits }),
      environment: () => Promise.resolve({ hash: "default", interpreter: "/" }),
      home: options.home,
      queues: ["default"],
      slots: options.slots,
      leaseSeconds,
      log,
      runPool: openQueue(dial),
    });
  return {
    deeds,
    async close() {
      await executor?.drain(1_000);
      await scheduler?.stop();
    },
  };
}

const noLimits = {
  memoryBytes: 1,
  cpuPercent: 100,
  processes: 1,
  openFiles: 1,
  fileBytes: 1,
  logBytes: 1,
  logBytesPerSecond: 1,
  xcomBytes: 1,
  artifactBytes: 1,
  parseSeconds: 1,
  wallSeconds: 0,
};

const quietLog = (say: HouseOptions["say"]): Logger => {
  const at =
    (level: string) =>
    (fields: { readonly err?: unknown }, message: string): void =>
      say(level, message, fields.err);
  return {
    debug: () => undefined,
    info: () => undefined,
    warn: at("warn"),
    error: at("error"),
  } as unknown as Logger;
};
