/**
 * What calm weather never needs: attempts of workers that died, leases that ran out, doorbells and wake-ups that
 * were lost with the process that owed them.
 *
 * A free session lock proves nothing by itself: a cut connection frees the lock of a worker that lives. So a
 * death counts only if the lock was free twice, 300 ms apart, seen by a sweeper whose own database session
 * has been unbroken for five seconds; and not for a worker that said that it lost its session. Else the lease decides.
 */
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type { Logger } from "../../ops/telemetry/log.ts";
import { metrics } from "../../ops/telemetry/metrics.ts";
import type { RunEvent } from "../model/run.ts";
import type { Door } from "../runs/advance-run.ts";
import type { Session, Store } from "../store/open.ts";
import {
  buryWorker,
  crashesMax,
  type LostAttempt,
  otherWorkers,
  readmitLost,
  releaseStrays,
  ringForgotten,
  waitingTenants,
} from "../store/workers.ts";

export type Recovery = {
  /** One look; cheap when this is the only worker. */
  sweep(): Promise<void>;
  close(): Promise<void>;
};

const twiceApartMs = 300;
const unbrokenMs = 5_000;
const silentFactor = 3;

export function openRecovery(deps: {
  readonly store: Store;
  readonly door: Door;
  readonly log: Logger;
  /** Held by this process alone: another worker row of the same home is of a process that is gone. */
  readonly home: string;
  readonly mine: () => readonly string[];
  readonly leaseSeconds: number;
  /** Starts queued runs, and plans DAGs, that wait for a place which is there. */
  readonly startForgotten: () => Promise<void>;
}): Recovery {
  const freeSince = new Map<string, number>();
  let session: Session | undefined;
  let unbrokenSince = performance.now();
  let lastReconcile = Number.NEGATIVE_INFINITY;

  /** A session that does nothing but last: when it ends, others of the same server may have ended with it. */
  const watch = async (): Promise<void> => {
    if (session?.isOpen() === true) return;
    session = await deps.store.session();
    unbrokenSince = performance.now();
    freeSince.clear();
  };

  return {
    async sweep() {
      await watch();
      const now = performance.now();
      const others = await deps.store.system((tx) => otherWorkers(tx, deps.mine()));
      for (const known of freeSince.keys())
        if (!others.some((other) => other.worker === known && other.free)) freeSince.delete(known);
      for (const other of others) {
        if (other.free && !freeSince.has(other.worker)) freeSince.set(other.worker, now);
        const seenFree = freeSince.get(other.worker);
        const provenDead =
          other.free &&
          (other.home === deps.home ||
            (!other.lease_only &&
              seenFree !== undefined &&
              now - seenFree >= twiceApartMs &&
              now - unbrokenSince >= unbrokenMs &&
              session?.isOpen() === true));
        const goneSilent = other.silent_s > deps.leaseSeconds * silentFactor;
        if (provenDead || goneSilent) await bury(deps, other.worker);
      }
      if (now - lastReconcile > deps.leaseSeconds * 333) {
        lastReconcile = now;
        await reconcile(deps);
      }
    },
    close: async () => session?.close(),
  };
}

/** Everything that somebody owed and may have died before giving. In calm weather it finds nothing. */
async function reconcile(deps: Deps): Promise<void> {
  await handOn(deps, undefined, "lease");
  const { store } = deps;
  const freed = await store.system((tx) => releaseStrays(tx, 10));
  if (freed > 0) metrics.repairs.add({ reason: "queue_pool" }, freed);
  const rung = await store.system((tx) => ringForgotten(tx, 30));
  if (rung > 0) metrics.repairs.add({ reason: "doorbell" }, rung);
  for (const { tenant } of await store.system((tx) => waitingTenants(tx, 5)))
    deps.door.admit(tenant);
  await deps.startForgotten();
}

type Deps = {
  readonly store: Store;
  readonly door: Door;
  readonly log: Logger;
  readonly startForgotten: () => Promise<void>;
};

async function bury(deps: Deps, worker: string): Promise<void> {
  const moved = await handOn(deps, worker, "worker");
  if (failpointsSet) await hit("recovery.before_bury");
  await deps.store.system((tx) => buryWorker(tx, worker));
  if (failpointsSet) await hit("recovery.after_bury");
  deps.log.warn(
    { room: "scheduler", worker, attempts: moved },
    "a worker is gone; its attempts run elsewhere",
  );
}

async function handOn(deps: Deps, worker: string | undefined, kind: string): Promise<number> {
  const { again, forTheDoor } = await deps.store.system(async (tx) => {
    const found = await readmitLost(tx, worker);
    if (failpointsSet && found.again > 0) await hit("recovery.before_readmit");
    return found;
  });
  if (failpointsSet && again > 0) await hit("recovery.after_readmit");
  const lostMany = again + forTheDoor.length;
  if (lostMany > 0) metrics.tasksLost.add({ reason: kind }, lostMany);
  for (const lost of forTheDoor)
    await deps.door.advance(lost, {
      kind: "deed",
      why: "its worker is gone",
      plan: () => Promise.resolve([eventOf(lost)]),
    });
  return lostMany;
}

const eventOf = (lost: LostAttempt): RunEvent => {
  const ref = { task_id: lost.task_id, map_index: lost.map_index, try_number: lost.try_number };
  return lost.state === "restarting"
    ? { kind: "attempt_stopped", ...ref }
    : {
        kind: "attempt_failed",
        ...ref,
        retryable: true,
        reason: `${crashesMax} workers died while they ran this attempt; it is likely the cause.`,
      };
};
