/**
 * The only room that knows graphile-worker, which is our doorbell and nothing more: a job says "look at
 * this attempt"; what to do is in our tables. Known traps and what closes them here:
 *
 * - a failed completion ends the runner (0.17, 0.18): we start a fresh one at once, and tell which pool is gone, so
 *   that what it left locked is released: nobody else would for four hours
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
  const stopping = new AbortController();
  const isStopping = (): boolean => stopping.signal.aborted;
  let current: Runner | undefined;
  let poolId: string | undefined;
  let wake: (() => void) | undefined;

  const cycle = async (started: () => void): Promise<void> => {
    while (!isStopping()) {
      try {
        current = await startRunner(pool, options, started, (id) => {
          poolId = id;
          options.onPoolId(id);
        });
        await current.promise;
      } catch (error) {
        options.onProblem("queue runner ended; starting a fresh one", error);
      }
      current = undefined;
      if (!isStopping()) {
        if (poolId !== undefined) options.onPoolGone(poolId);
        poolId = undefined;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 500);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    }
  };
  let running: Promise<void> = Promise.resolve();
  await new Promise<void>((resolve) => {
    running = cycle(resolve);
  });
  return {
    async stop() {
      stopping.abort();
      wake?.();
      await current?.stop().catch(() => undefined);
      await running;
      await pool.end().catch(() => undefined);
    },
  };
}

async function startRunner(
  pool: pg.Pool,
  options: PoolOptions,
  started: () => void,
  onPoolId: (poolId: string) => void,
): Promise<Runner> {
  const events: WorkerEvents = new EventEmitter();
  events.on("pool:create", ({ workerPool }) => onPoolId(workerPool.id));
  events.on("pool:listen:success", ({ client }) => {
    // In the next breath: behind graphile's own LISTEN on this very connection.
    setImmediate(() => {
      client
        .query("select pg_notify('jobs:insert', $1)", [
          JSON.stringify({ count: options.concurrency }),
        ])
        .then(started, () => undefined); // gone again: the next LISTEN comes here as well
    });
  });
  const onJob = async (payload: unknown): Promise<void> => {
    const job = readJob(payload);
    if (job === undefined) return;
    try {
      await options.onJob(job);
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
