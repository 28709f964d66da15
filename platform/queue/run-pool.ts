/**
 * The only room that knows graphile-worker, which is our doorbell and nothing more: a job says "look at
 * this attempt"; what to do is in our tables. Known traps and what closes them here:
 *
 * - a failed completion ends the runner (0.17, 0.18), which first waits for all its jobs: we start a fresh one at
 *   once beside it, and tell which pool is gone, so that what it left locked is released: nobody else would for four
 *   hours
 * - a connection that is cut during a runner's very first question (its task ids) makes it deaf: it keeps the failed
 *   answer for ever and fetches nothing, silently. A runner none of whose fetches succeed is replaced
 * - a fetch that failed is repeated after the poll interval: we ring ourselves, sooner
 * - a handler that throws sends its job into a back-off of up to six hours: ours never throws, what it could not do
 *   it must ring for again
 * - `run()` resolves, and even `listen:success` comes, before LISTEN is active; and what rings while the listening
 *   connection is being replaced is not heard: after each LISTEN we ring once ourselves, and a pool counts as started
 *   only after that
 * - completion is not fenced, locks last four hours: recovery goes by our own worker rows, never by jobs
 */
import { EventEmitter } from "node:events";
import { Logger, type Runner, run, type WorkerEvents } from "graphile-worker";
import pg from "pg";

export type JobRef = { readonly tenant: string; readonly attempt: string };

export type PoolOptions = {
  readonly url: string;
  /** Queue names; the job identifiers are `run:<queue>`. */
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly onJob: (job: JobRef) => Promise<void>;
  /** The pool inside graphile has a new id: recovery needs it to release what a dead one had locked. */
  readonly onPoolId: (poolId: string) => void;
  /** A pool ended by itself: what it had locked must be released. Jobs of it may still run. */
  readonly onPoolGone: (poolId: string) => void;
  readonly onProblem: (message: string, error: unknown) => void;
};

export type QueuePool = {
  /** No new jobs; resolves when those that run have returned. */
  stop(): Promise<void>;
};

/** Pulls jobs until stopped, through restarts of the runner and of Postgres. Resolves once LISTEN is active. */
export async function runPool(options: PoolOptions): Promise<QueuePool> {
  // Losing the last milliseconds of a lock or completion only causes a redelivery, which the claim absorbs.
  const pool = new pg.Pool({
    connectionString: options.url,
    max: 6,
    options: "-c synchronous_commit=off",
    application_name: "airlock-queue",
  });
  // Both listeners are needed: without them a cut connection is an unhandled error and ends the process.
  pool.on("error", (error) => options.onProblem("queue connection lost", error));
  pool.on("connect", (client) => {
    client.on("error", () => undefined);
  });
  const slots = openSlots(options.concurrency);
  const listening = Promise.withResolvers<undefined>();
  const running = new Set<Promise<void>>();
  let isWanted = true;
  const stopping = (): boolean => !isWanted;
  let current: Runner | undefined;
  let wake: (() => void) | undefined;

  const supervise = async (): Promise<void> => {
    while (!stopping()) {
      let poolId: string | undefined;
      const fetchesNoMore = Promise.withResolvers<undefined>();
      try {
        const runner = await startRunner(pool, options, slots, {
          listening: () => listening.resolve(undefined),
          poolId(id) {
            poolId = id;
            options.onPoolId(id);
          },
          fetchesNoMore: () => fetchesNoMore.resolve(undefined),
        });
        current = runner;
        const over = runner.promise
          .catch((error: unknown) => options.onProblem("queue runner ended", error))
          .finally(() => running.delete(over));
        running.add(over);
        await Promise.race([over, fetchesNoMore.promise]);
        // It waits for its jobs, which may take hours: the next one starts at once beside it.
        void runner.stop().catch(() => undefined);
      } catch (error) {
        options.onProblem("cannot start a queue runner; trying again", error);
      }
      if (stopping()) break;
      if (poolId !== undefined) options.onPoolGone(poolId);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  const supervised = supervise();
  await listening.promise;
  return {
    async stop() {
      isWanted = false;
      wake?.();
      await current?.stop().catch(() => undefined);
      await supervised;
      await Promise.all(running);
      await pool.end().catch(() => undefined);
    },
  };
}

/** As many at once as the worker has slots, whichever runner brought them. */
function openSlots(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let taken = 0;
  return async (work) => {
    if (taken >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else taken += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) taken -= 1;
      else next();
    }
  };
}

type Heard = {
  readonly listening: () => void;
  readonly poolId: (id: string) => void;
  readonly fetchesNoMore: () => void;
};

async function startRunner(
  pool: pg.Pool,
  options: PoolOptions,
  slots: ReturnType<typeof openSlots>,
  heard: Heard,
): Promise<Runner> {
  const events: WorkerEvents = new EventEmitter();
  const ring = (by: Pick<pg.Pool, "query"> | Pick<pg.PoolClient, "query">): Promise<unknown> =>
    by.query("select pg_notify('jobs:insert', $1)", [
      JSON.stringify({ count: options.concurrency }),
    ]);
  events.on("pool:create", ({ workerPool }) => heard.poolId(workerPool.id));
  events.on("pool:listen:success", ({ client }) => {
    // In the next breath: behind graphile's own LISTEN on this very connection.
    setImmediate(() => {
      ring(client).then(heard.listening, () => undefined); // gone again: the next LISTEN comes here as well
    });
  });
  events.on("pool:fatalError", heard.fetchesNoMore);
  events.on("pool:gracefulShutdown", heard.fetchesNoMore);
  let failures = 0;
  let again: NodeJS.Timeout | undefined;
  events.on("worker:getJob:error", () => {
    failures += 1;
    if (failures >= options.concurrency * 2) heard.fetchesNoMore();
    else
      again ??= setTimeout(() => {
        again = undefined;
        ring(pool).catch(() => undefined);
      }, 300);
  });
  const fetched = (): void => {
    failures = 0;
  };
  events.on("worker:getJob:empty", fetched);
  events.on("job:start", fetched);
  const onJob = async (payload: unknown): Promise<void> => {
    const job = readJob(payload);
    if (job === undefined) return;
    try {
      await slots(() => options.onJob(job));
    } catch (error) {
      options.onProblem("a job failed; the sweep rings again", error);
    }
  };
  return run({
    pgPool: pool,
    logger: quietLogger(options),
    noHandleSignals: true,
    crontab: "",
    taskList: Object.fromEntries(options.queues.map((queue) => [`run:${queue}`, onJob])),
    preset: {
      worker: {
        events,
        concurrentJobs: options.concurrency,
        pollInterval: 10_000, // LISTEN does the work; this is the backstop
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
  } as Parameters<typeof run>[0]);
}

function readJob(payload: unknown): JobRef | undefined {
  if (typeof payload !== "object" || payload === null) return undefined;
  const { t, a } = payload as { t?: unknown; a?: unknown };
  return typeof t === "string" && typeof a === "string" ? { tenant: t, attempt: a } : undefined;
}

/** graphile logs every job; only its errors are ours to know. */
const quietLogger = (options: PoolOptions): Logger =>
  new Logger(() => (level, message, meta) => {
    if (level === "error") options.onProblem(message, meta["error"] ?? meta);
  });
