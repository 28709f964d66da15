/**
 * The sync flow of a process: wants become syncs, a few at a time. However many repositories there are, it
 * is one listener and one timer; who waits for what stands in rows.
 */
import type { RepositoryId, TenantId } from "../../platform/model/ids.ts";
import { isAway } from "../../platform/store/open.ts";
import {
  forgetDeliveries,
  listIdleHosted,
  listWanted,
  secondsToNextPoll,
  syncChannel,
  wantDuePolls,
  wantSync,
} from "../../platform/store/repositories.ts";
import { hostedDir, readHostedHead } from "../source/hosted-repository.ts";
import { type DeployResult, type SyncDeps, syncRepository } from "./sync-repository.ts";

export type Syncs = {
  /** Syncs it now, ahead of the queue; joins a sync of this process that has not begun yet. */
  now(
    tenant: TenantId,
    repository: RepositoryId,
    reason: "push" | "asked",
    listener?: SyncListener,
  ): Promise<DeployResult>;
  /** Looks for wants and due polls at once. */
  wake(): void;
  /** No new sync begins; those under way end by themselves or, after `graceMs`, are stopped. */
  close(graceMs?: number): Promise<void>;
};

export type SyncListener = {
  readonly onLine?: (line: string) => void;
  /** Who pushes or asks, as an actor. */
  readonly by?: string;
};

const idleSecondsMax = 30;
const missedPushesEveryMs = 30_000;
/** A push that is under way asks for its sync by itself a moment later. */
const pushSettlesMs = 3_000;

export async function runSyncs(
  deps: SyncDeps,
  options: { readonly concurrency: number },
): Promise<Syncs> {
  const stop = new AbortController();
  const running = new Map<string, Promise<unknown>>();
  let closing = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let again = false;
  let lookedForMissed = Number.NEGATIVE_INFINITY;

  const wake = (): void => {
    if (closing) return;
    if (looking) {
      again = true;
      return;
    }
    looking = look().finally(() => {
      looking = undefined;
      if (again) {
        again = false;
        wake();
      }
    });
  };

  const look = async (): Promise<void> => {
    clearTimeout(timer);
    let sleepSeconds = idleSecondsMax;
    try {
      if (performance.now() - lookedForMissed >= missedPushesEveryMs) {
        await wantMissedPushes(deps);
        lookedForMissed = performance.now();
      }
      const { wanted, next } = await deps.store.system(async (tx) => {
        await wantDuePolls(tx, 200);
        const [rows, seconds] = await Promise.all([
          listWanted(tx, options.concurrency * 4),
          secondsToNextPoll(tx),
        ]);
        await forgetDeliveries(tx);
        return { wanted: rows, next: seconds };
      });
      if (next !== undefined) sleepSeconds = Math.min(Math.max(next, 0.5), idleSecondsMax);
      for (const { tenant, repository } of wanted) {
        const key = `${tenant}/${repository}`;
        if (running.has(key)) continue;
        if (running.size >= options.concurrency) break;
        void begin(key, () =>
          syncRepository({ tenant, repository, signal: stop.signal }, deps).catch(() => undefined),
        );
      }
    } catch (error) {
      sleepSeconds = 1;
      deps.log[isAway(error) ? "warn" : "error"](
        { err: error },
        "cannot look for repositories to sync",
      );
    }
    if (!closing) timer = setTimeout(wake, sleepSeconds * 1000);
  };

  const begin = <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const sync = work().finally(() => {
      if (running.get(key) === sync) running.delete(key);
      wake();
    });
    running.set(key, sync);
    return sync;
  };

  await deps.store.listen(syncChannel, wake, wake);
  wake();

  return {
    wake,
    async now(tenant, repository, reason, listener = {}) {
      const key = `${tenant}/${repository}`;
      for (;;) {
        if (closing) throw new Error("the platform is stopping");
        const current = running.get(key);
        if (current) {
          // It may have read the branch before this push: wait for it, then look.
          await current.catch(() => undefined);
          continue;
        }
        return new Promise<DeployResult>((resolve, reject) => {
          begin(key, async () => {
            // The row first: if this process dies, or another one holds the repository, the push is not forgotten.
            await deps.store.tx(tenant, (tx) =>
              wantSync(tx, tenant, repository, reason, "quietly", listener.by),
            );
            return syncRepository(
              { tenant, repository, reason, signal: stop.signal, ...listener, onDone: resolve },
              deps,
            );
          }).then(resolve, reject);
        });
      }
    },
    async close(graceMs = 10_000) {
      closing = true;
      clearTimeout(timer);
      const grace = setTimeout(() => stop.abort(new Error("the platform is stopping")), graceMs);
      await looking;
      await Promise.allSettled(running.values());
      clearTimeout(grace);
    },
  };
}

/**
 * A push that the git host has taken is live sooner or later, also if the host's process ended, or the database was
 * away, before the row said that somebody wants a sync.
 */
async function wantMissedPushes(deps: SyncDeps): Promise<void> {
  for (const { tenant, repository, branch, seen_commit } of await deps.store.system(
    listIdleHosted,
  )) {
    const head = await readHostedHead(hostedDir(deps.folders.hosted, tenant, repository), branch);
    if (head === undefined || head.commit === seen_commit) continue;
    if (Date.now() - head.sinceMs < pushSettlesMs) continue;
    await deps.store.tx(tenant, (tx) => wantSync(tx, tenant, repository, "push", "quietly"));
  }
}
