/**
 * One life of a worker: a row, and a session advisory lock that Postgres frees the moment the process is gone.
 *
 *   lock held ──registered──► alive ──lock session lost──► silent: says so, claims nothing more; what runs goes
 *                                │                          on under its lease, beaten from any connection
 *                                └──close──► buried by itself
 */
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type { Session, Store } from "../store/open.ts";
import {
  buryWorker,
  holdWorkerLock,
  registerWorker,
  reserveLockKey,
  trustLeasesOnly,
  type WorkerRow,
} from "../store/workers.ts";

export type Incarnation = {
  readonly worker: string;
  /** false: its lock session is gone, or somebody buried it. It must not claim or continue, since others may take it for dead. */
  isAlive(): boolean;
  /** Resolves once it is not alive any more. */
  readonly lost: Promise<undefined>;
  /** It was found buried. */
  giveUp(): void;
  close(): Promise<void>;
};

export async function beginIncarnation(
  store: Store,
  about: Omit<WorkerRow, "worker">,
): Promise<Incarnation> {
  const worker = randomUUID();
  const session: Session = await store.session();
  try {
    const lockKey = await store.system(reserveLockKey);
    for (let tries = 0; !(await holdWorkerLock(session, lockKey)); tries += 1)
      if (tries > 100) throw new Error("cannot take the lock of a worker that is not yet known");
    if (failpointsSet) await hit("worker.after_lock");
    // Only now is it there to be seen: a sweeper buries a known worker whose lock is free.
    await store.system((tx) => registerWorker(tx, { ...about, worker }, lockKey));
    if (failpointsSet) await hit("worker.after_register");
  } catch (error) {
    await session.close().catch(() => undefined);
    throw error;
  }
  let alive = true;
  let closed = false;
  const lost = Promise.withResolvers<undefined>();
  void session.lost.then(async () => {
    alive = false;
    lost.resolve(undefined);
    // Others see the lock free from now on; they wait a little, so that this can reach them.
    for (let waitMs = 20; !closed; waitMs = Math.min(waitMs * 2, 1_000))
      try {
        await store.system((tx) => trustLeasesOnly(tx, worker));
        return;
      } catch {
        await pause(waitMs, undefined, { ref: false });
      }
  });
  return {
    worker,
    isAlive: () => alive,
    lost: lost.promise,
    giveUp() {
      alive = false;
      lost.resolve(undefined);
    },
    async close() {
      alive = false;
      closed = true;
      await store.system((tx) => buryWorker(tx, worker)).catch(() => undefined);
      await session.close().catch(() => undefined);
    },
  };
}
