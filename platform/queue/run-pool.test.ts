/** The known traps of the queue under us, each walked into. */
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { eventually } from "../../test/kit/house.ts";
import { openRunStage, type RunStage } from "../../test/kit/run-stage.ts";
import { known } from "../model/ids.ts";
import { releasePool, releaseStrays, ringForgotten } from "../store/workers.ts";
import { type JobRef, type QueuePool, runPool } from "./run-pool.ts";

let stage: RunStage;
let pools: QueuePool[] = [];

beforeAll(async () => {
  stage = await openRunStage();
});
afterAll(() => stage.closeAll());
beforeEach(() => stage.reset());
afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.stop()));
  pools = [];
});

type Watched = {
  readonly jobs: string[];
  readonly ids: string[];
  readonly gone: string[];
  readonly problems: string[];
};

const open = async (
  onJob: (job: JobRef) => Promise<void> = () => Promise.resolve(),
  more: { queues?: readonly string[]; concurrency?: number } = {},
): Promise<Watched & { readonly pool: QueuePool }> => {
  const watched: Watched = { jobs: [], ids: [], gone: [], problems: [] };
  const pool = await runPool({
    url: stage.database.url,
    queues: more.queues ?? ["default"],
    concurrency: more.concurrency ?? 2,
    async onJob(job) {
      watched.jobs.push(job.attempt);
      await onJob(job);
    },
    onPoolId: (id) => watched.ids.push(id),
    onPoolGone: (id) => watched.gone.push(id),
    onProblem: (message) => watched.problems.push(message),
  });
  pools.push(pool);
  return { ...watched, pool };
};

const ring = (...jobs: { t?: string; a?: string; q?: string; p?: number }[]): Promise<unknown> =>
  stage.store.system(
    (tx) =>
      tx`select airlock.ring(${JSON.stringify(jobs.map((job) => ({ t: "acme", a: randomUUID(), q: "default", p: 0, ...job })))}::text::json)`,
  );
const rows = () =>
  stage.database.owner<
    {
      id: string;
      key: string | null;
      locked_by: string | null;
      attempts: number;
      max_attempts: number;
      queue_name: string | null;
    }[]
  >`select id, key, locked_by, attempts, max_attempts, queue_name from graphile_worker.jobs order by id`;
/** An attempt that is admitted, with its job. */
const admitted = async (): Promise<string> => {
  const dag_id = known.dag(`d-${randomUUID()}`);
  await stage.deploy(dagSpec([{ task_id: "t" }], { dag_id }));
  const run = await stage.trigger(dag_id);
  const [row] = await stage.database.owner<{ attempt: string }[]>`
    select attempt from airlock.attempt where run = ${run}`;
  return row?.attempt ?? "";
};

test("a job that is added the moment the pool has started does not wait for the poll", async () => {
  const { jobs } = await open();
  const at = performance.now();
  await ring({});
  await eventually(() => Promise.resolve(jobs.length === 1 ? true : undefined), 5_000);
  expect(performance.now() - at).toBeLessThan(1_000);
});

test("jobs have the attempt as their key, no queue of their own, and more tries than they will ever need", async () => {
  const attempt = await admitted();
  expect(await rows()).toMatchObject([{ key: `a:${attempt}`, queue_name: null, max_attempts: 25 }]);
  await ring({ a: attempt }); // a second ring is the same bell
  expect(await rows()).toHaveLength(1);
});

test("a completion that fails ends the runner: a fresh one takes over, and what was locked is released", async () => {
  const { owner } = stage.database;
  const { jobs, gone, ids, problems } = await open();
  await owner.unsafe(`
    create or replace function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'no completion'; end $$;
    create trigger refuse before delete on graphile_worker._private_jobs for each row execute function public.refuse()`);
  let attempt = "";
  try {
    attempt = await admitted();
    await eventually(() => Promise.resolve(gone.length > 0 && ids.length > 1 ? true : undefined));
  } finally {
    await owner.unsafe("drop trigger refuse on graphile_worker._private_jobs");
  }
  expect(problems.length).toBeGreaterThan(0);
  expect((await rows()).filter((row) => row.locked_by === gone[0])).toHaveLength(1);
  const before = jobs.length;
  await stage.store.system((tx) => releasePool(tx, gone[0] ?? ""));
  // Its attempt was never claimed, so it rings again, and this time all goes well.
  await eventually(() => Promise.resolve(jobs.length > before ? true : undefined));
  expect(jobs.at(-1)).toBe(attempt);
  await eventually(async () => ((await rows()).length === 0 ? true : undefined));
});

test("while a runner that failed waits for its long jobs, the next one has started, within the same slots", async () => {
  const { owner } = stage.database;
  const mayEnd = Promise.withResolvers<undefined>();
  const long = randomUUID();
  let most = 0;
  let now = 0;
  const { jobs, gone } = await open(async (job) => {
    now += 1;
    most = Math.max(most, now);
    if (job.attempt === long) await mayEnd.promise;
    now -= 1;
  });
  await ring({ a: long });
  await eventually(() => Promise.resolve(jobs.includes(long) ? true : undefined));
  await owner.unsafe(`
    create or replace function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'no completion'; end $$;
    create trigger refuse before delete on graphile_worker._private_jobs for each row execute function public.refuse()`);
  try {
    await ring({});
    await eventually(() => Promise.resolve(gone.length > 0 ? true : undefined));
  } finally {
    await owner.unsafe("drop trigger refuse on graphile_worker._private_jobs");
  }
  const more = Array.from({ length: 6 }, () => randomUUID());
  await ring(...more.map((a) => ({ a })));
  await eventually(() => Promise.resolve(more.every((a) => jobs.includes(a)) ? true : undefined));
  expect(most).toBeLessThanOrEqual(2);
  mayEnd.resolve(undefined);
});

test("a runner whose first question is cut off does not stay deaf", async () => {
  const { owner } = stage.database;
  // The question for its task ids waits on this lock, and dies there.
  const hold = await owner.reserve();
  await hold`begin`;
  await hold`lock table graphile_worker._private_tasks in access exclusive mode`;
  const opening = open();
  await eventually(async () => {
    const cut = await owner`
      select pg_terminate_backend(pid) from pg_stat_activity
       where wait_event_type = 'Lock' and query like '%_private_tasks%' and datname = current_database()`;
    return cut.length > 0 ? true : undefined;
  });
  await hold`rollback`;
  hold.release();
  const { jobs } = await opening;
  await ring({});
  expect(await eventually(() => Promise.resolve(jobs.length === 1 ? true : undefined), 8_000)).toBe(
    true,
  );
});

test("a zombie's completion never takes the row of who holds the attempt now", async () => {
  const zombieMayEnd = Promise.withResolvers<undefined>();
  const holderMayEnd = Promise.withResolvers<undefined>();
  const zombie = await open(() => zombieMayEnd.promise, { concurrency: 1 });
  const attempt = await admitted();
  await eventually(() => Promise.resolve(zombie.jobs.length === 1 ? true : undefined));
  const holder = await open(() => holderMayEnd.promise, { concurrency: 1 });
  await stage.store.system((tx) => releasePool(tx, zombie.ids[0] ?? ""));
  await eventually(() => Promise.resolve(holder.jobs.length === 1 ? true : undefined));
  zombieMayEnd.resolve(undefined);
  await zombie.pool.stop();
  expect(await rows()).toMatchObject([{ key: `a:${attempt}`, locked_by: holder.ids[0] }]);
  holderMayEnd.resolve(undefined);
  await eventually(async () => ((await rows()).length === 0 ? true : undefined));
});

test("what a pool nobody knows has locked is released at once, not after four hours; a known one's is not", async () => {
  const { owner } = stage.database;
  const lost = await admitted();
  const held = await admitted();
  await owner`insert into airlock.worker (worker, home, host, pid, queues, slots, queue_pool)
    values (${randomUUID()}, 'h', 'h', 1, '{default}', 1, 'pool-known')`;
  const lock = (attempt: string, pool: string) => owner`
    update graphile_worker._private_jobs set locked_by = ${pool}, locked_at = now() - interval '1 minute', attempts = 1
     where key = ${`a:${attempt}`}`;
  await lock(lost, "pool-unknown");
  await lock(held, "pool-known");
  expect(await stage.store.system((tx) => ringForgotten(tx, 0))).toBe(0); // there is a job, after all
  expect(await stage.store.system((tx) => releaseStrays(tx, 10))).toBe(1);
  expect(await rows()).toMatchObject([
    { key: `a:${held}`, locked_by: "pool-known" },
    { key: `a:${lost}`, locked_by: null, attempts: 0 },
  ]);
});

test("a handler that throws costs its job no tries and no back-off", async () => {
  const { jobs, problems } = await open(() => Promise.reject(new Error("no")));
  await ring({});
  await eventually(() => Promise.resolve(jobs.length === 1 ? true : undefined));
  await eventually(async () => ((await rows()).length === 0 ? true : undefined));
  expect(problems).toEqual(["a job failed; the sweep rings again"]);
});

test("an attempt whose job was lost rings again", async () => {
  const attempt = await admitted();
  await stage.database.owner`delete from graphile_worker._private_jobs`;
  expect(await stage.store.system((tx) => ringForgotten(tx, 0))).toBe(1);
  expect(await rows()).toMatchObject([{ key: `a:${attempt}` }]);
});

test("a pool takes what is of its queues alone", async () => {
  const { jobs } = await open(undefined, { queues: ["gpu"] });
  const mine = randomUUID();
  await ring({ q: "default" }, { q: "gpu", a: mine });
  await eventually(() => Promise.resolve(jobs.length === 1 ? true : undefined));
  expect(jobs).toEqual([mine]);
  await eventually(async () => ((await rows()).length === 1 ? true : undefined));
});

test("with one slot, a tenant's first task is run before the rest of a flood", async () => {
  const flood = Array.from({ length: 30 }, (_, i) => ({ a: randomUUID(), p: (i + 1) * 8 }));
  await ring(...flood);
  const other = randomUUID();
  await ring({ t: "globex", a: other, p: 8 });
  const { jobs } = await open(undefined, { concurrency: 1 });
  await eventually(() => Promise.resolve(jobs.length === 31 ? true : undefined));
  expect(jobs.indexOf(other)).toBe(1);
});

test("cut connections, idle and under a job, lose nothing", async () => {
  const { owner } = stage.database;
  const mayEnd = Promise.withResolvers<undefined>();
  const held = randomUUID();
  const { jobs } = await open((job) => (job.attempt === held ? mayEnd.promise : Promise.resolve()));
  const cut = () => owner`
    select pg_terminate_backend(pid) from pg_stat_activity
     where application_name in ('airlock-queue', 'graphile-worker-listen') and datname = current_database() and pid <> pg_backend_pid()`;
  await cut();
  await ring({ a: held });
  await eventually(() => Promise.resolve(jobs.includes(held) ? true : undefined));
  await cut();
  const later = randomUUID();
  await ring({ a: later });
  await eventually(() => Promise.resolve(jobs.includes(later) ? true : undefined), 5_000); // not by the poll
  mayEnd.resolve(undefined);
  expect(new Set(jobs)).toEqual(new Set([held, later]));
});
