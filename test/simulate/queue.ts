/**
 * graphile-worker's runner, as `platform/queue/run-pool.ts` tames it: fetches under a pool id, hands each job to the
 * worker, completes it whoever holds it by then. It hears of new jobs by NOTIFY, which may be lost, and looks every
 * ten seconds. A completion that failed ends the runner; the next one has another id.
 */
import { randomUUID } from "node:crypto";
import type { PoolOptions, QueuePool } from "../../platform/queue/run-pool.ts";
import type { Dial } from "../../platform/store/open.ts";

const pollMs = 10_000;
const restartMs = 200;
const fetchAgainMs = 300;

type Fetched = { readonly id: string; readonly tenant: string; readonly attempt: string };

export const openQueue =
  (dial: Dial) =>
  async (options: PoolOptions): Promise<QueuePool> => {
    const wakes = new Set<() => void>();
    let stopped = false;
    const ring = (): void => {
      for (const wake of wakes) wake();
    };
    let taken = 0;
    const waiting: (() => void)[] = [];
    const inSlot = async (work: () => Promise<void>): Promise<void> => {
      if (taken >= options.concurrency) await new Promise<void>((resolve) => waiting.push(resolve));
      else taken += 1;
      try {
        await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) taken -= 1;
        else next();
      }
    };

    const runRunner = async (): Promise<void> => {
      const poolId = `worker-${randomUUID()}`;
      let over = false;
      const end = Promise.withResolvers<undefined>();
      const fail = (): void => {
        over = true;
        end.resolve(undefined);
        ring();
      };
      options.onPoolId(poolId);
      for (let n = 0; n < options.concurrency; n += 1) {
        const pull = async (): Promise<void> => {
          let line = dial({});
          while (!over && !stopped) {
            let job: Fetched | undefined;
            try {
              const rows = await line<
                Fetched[]
              >`graphile: get_job ${poolId} ${options.queues as string[]}`;
              job = rows[0];
            } catch {
              void line.end();
              line = dial({});
              await sleep(fetchAgainMs);
              continue;
            }
            if (job === undefined) {
              await sleep(pollMs);
              continue;
            }
            const { id, tenant, attempt } = job;
            await inSlot(() => options.onJob({ tenant, attempt })).catch((error: unknown) =>
              options.onProblem("a job failed; the sweep rings again", error),
            );
            try {
              await line`graphile: complete_job ${id}`;
            } catch {
              // As graphile's: its completion failed, so the whole runner ends; what it has running runs on.
              fail();
            }
          }
          void line.end();
        };
        void pull();
      }
      await end.promise;
      if (!stopped) options.onPoolGone(poolId);
    };
    const sleep = (ms: number): Promise<void> =>
      new Promise((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          wakes.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, ms);
        wakes.add(wake);
      });
    const supervise = async (): Promise<void> => {
      while (!stopped) {
        await runRunner();
        await sleep(restartMs);
      }
    };
    await dial({}).listen("jobs:insert", ring, ring);
    void supervise();
    return {
      async stop() {
        stopped = true;
        ring();
      },
    };
  };
