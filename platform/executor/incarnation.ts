/**
 * One life of a worker: a row, and a session advisory lock that Postgres frees the moment the process is gone.
 *
 *   registered ──lock held──► alive ──lock session lost──► silent: claims nothing more; what runs goes on
 *                                │                          under its lease, beaten from any connection
 *                                └──close──► buried by itself
 */
import { randomUUID } from "node:crypto";
import type { Session, Store } from "../store/open.ts";
import { buryWorker, holdWorkerLock, registerWorker, type WorkerRow } from "../store/workers.ts";

export type Incarnation = {
  readonly worker: string;
  /** false: its lock session is gone. It must not claim or continue, since others may take it for dead. */
  isAlive(): boolean;
  /** Asks the lock session itself; a lost one never becomes alive again. */
  check(): Promise<boolean>;
  close(): Promise<void>;
};

export async function beginIncarnation(
  store: Store,
  about: Omit<WorkerRow, "worker">,
): Promise<Incarnation> {
  const worker = randomUUID();
  const session: Session = await store.session();
  const lockKey = await store.system((tx) => registerWorker(tx, { ...about, worker }));
  for (let tries = 0; !(await holdWorkerLock(session, lockKey)); tries += 1)
    if (tries > 100) throw new Error("cannot take the lock of a worker that was just registered");
  let alive = true;
  return {
    worker,
    isAlive: () => alive,
    async check() {
      if (!alive) return false;
      try {
        // A new backend behind the same client would hold no lock: the question is about this very session.
        const [row] = await session.sql<{ held: boolean }[]>`
          select exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and objid = ${lockKey}) as held`;
        alive = row?.held === true;
      } catch {
        alive = false;
      }
      return alive;
    },
    async close() {
      alive = false;
      await store.system((tx) => buryWorker(tx, worker)).catch(() => undefined);
      await session.close().catch(() => undefined);
    },
  };
}
