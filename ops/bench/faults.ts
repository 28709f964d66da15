/** What others notice when a worker dies or a tenant floods the platform. */
import { existsSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { makeHome } from "../../test/kit/house.ts";
import { floodDag, lineDag, slowDag } from "./dag-files.ts";
import { measureBareDoorbell } from "./floors.ts";
import { median, percentile, say } from "./measure.ts";
import type { BenchHouse } from "./open-bench-house.ts";
import { type SecondWorker, startWorker } from "./second-worker.ts";
import type { Bench, World } from "./world.ts";

export const faults: readonly Bench[] = [
  { names: ["flood-delay-p95"], measure: measureFlood },
  { names: ["kill-to-restart-p50", "kill-to-restart-p99"], measure: measureKills },
];

/** One tenant has ten thousand tasks waiting and all places that its quota gives; another one starts a run. */
async function measureFlood(world: World): Promise<void> {
  const bench = await world.house();
  const count = world.samples(60, 10);
  const [runs, tasks] = [world.samples(20, 2), 500];
  say(`${count} runs of a small tenant, alone and beside ${runs * tasks} waiting tasks of another`);
  await bench.makeTenant("flooder", { max_running: 8 });
  await bench.makeTenant("neighbour");
  const flooder = await bench.makeRepository("flooder", "workflows");
  const neighbour = await bench.makeRepository("neighbour", "workflows");
  await bench.push(flooder, new Map([["dags/flood.py", floodDag("flood", tasks, 0.02)]]));
  await bench.push(neighbour, new Map([["dags/one.py", lineDag("one", 1)]]));
  await bench.sql`update airlock.pool set slots = -1 where tenant = 'flooder'`;
  await firstLags(bench, 5);
  const alone = await firstLags(bench, count);
  const floods: string[] = [];
  for (let i = 0; i < runs; i += 1) floods.push(await bench.trigger("flooder", "flood"));
  await untilFlooded(bench, floods, runs * tasks);
  const beside = await firstLags(bench, count);
  const [left] = await bench.sql<{ waiting: number }[]>`
    select count(*)::int as waiting from airlock.task_instance where tenant = 'flooder' and state = 'scheduled'`;
  if ((left?.waiting ?? 0) === 0) throw new Error("the flood was over before the measurement");
  await bench.api.send("PATCH", "/api/platform/tenants/flooder", { state: "suspended" });
  for (const run of floods)
    await bench.api
      .send("POST", `/t/flooder/api/v2/dags/flood/dagRuns/${run}/stop`)
      .catch(() => undefined);
  const usual = median(alone);
  say(
    `  alone ${usual.toFixed(1)} ms at p50, ${percentile(alone, 0.95).toFixed(1)} ms at p95; ${left?.waiting} tasks still wait`,
  );
  world.report("flood-delay-p95", {
    value: Math.max(0, percentile(beside, 0.95) - usual),
    floor: Math.max(0, percentile(alone, 0.95) - usual),
    samples: count,
  });
}

/** From a run's start to the code of its only task, one run at a time. */
async function firstLags(bench: BenchHouse, count: number): Promise<readonly number[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const id = await bench.trigger("neighbour", "one");
    await bench.untilDone("neighbour", [id]);
    ids.push(id);
  }
  return (await bench.read("neighbour", ids)).map(
    (run) => (run.tasks[0]?.codeAt ?? 0) - run.startedAt,
  );
}

async function untilFlooded(
  bench: BenchHouse,
  runs: readonly string[],
  tasks: number,
): Promise<void> {
  for (const until = Date.now() + 60_000; Date.now() < until; await pause(50)) {
    const [row] = await bench.sql<{ seen: number; running: number }[]>`
      select count(*)::int as seen, (count(*) filter (where i.state = 'running'))::int as running
        from airlock.task_instance i join airlock.dag_run r on r.tenant = i.tenant and r.run = i.run
       where i.tenant = 'flooder' and r.run_id = any(${runs as string[]})`;
    if ((row?.seen ?? 0) >= tasks && (row?.running ?? 0) > 0) return;
  }
  throw new Error("the flood did not begin");
}

/** A second worker with a home of its own is killed while it runs tasks; when the first one has begun them anew. */
async function measureKills(world: World): Promise<void> {
  const bench = await world.house();
  const kills = world.samples(6, 2);
  const tasks = 8;
  say(`${kills} kills of a worker that runs tasks`);
  await bench.makeTenant("kills");
  const clone = await bench.makeRepository("kills", "workflows");
  await bench.push(clone, new Map([["dags/slow.py", slowDag("slow", tasks, 1.5)]]));
  const home = shareCaches(bench.house.home);
  const found: number[] = [];
  let worker: SecondWorker | undefined;
  world.onClose(async () => {
    await worker?.kill();
    rmSync(home, { recursive: true, force: true });
  });
  for (let round = 0, empty = 0; round < kills; ) {
    worker = await startWorker(bench, home);
    const id = await bench.trigger("kills", "slow");
    const held = await untilItRuns(bench, worker.id, id);
    const killedAt = Date.now();
    await worker.kill();
    worker = undefined;
    await bench.untilDone("kills", [id], 60_000);
    if (held.length === 0) {
      empty += 1;
      if (empty > 5) throw new Error("the second worker never got a task");
      continue;
    }
    round += 1;
    found.push(...(await restartsOf(bench, held)).map((at) => at - killedAt));
    await nothingTwice(bench, id, tasks);
  }
  const server = await world.postgres();
  const doorbell = await measureBareDoorbell(await server.database("floor_queue"), 50);
  const forks = await (await world.bare()).forks(50);
  const floor = median(doorbell) + median(forks);
  world.report("kill-to-restart-p50", { value: median(found), floor, samples: found.length });
  world.report("kill-to-restart-p99", {
    value: percentile(found, 0.99),
    floor,
    samples: found.length,
  });
}

/** A home whose caches are the first one's, as of a node that has run this tenant before. */
function shareCaches(from: string): string {
  const home = makeHome();
  for (const folder of ["bundles", "environments", "repositories", "mirrors"])
    if (existsSync(join(from, folder))) symlinkSync(join(from, folder), join(home, folder));
  return home;
}

/** The attempts that the second worker holds once every task of the run has begun somewhere. */
async function untilItRuns(
  bench: BenchHouse,
  worker: string,
  runId: string,
): Promise<readonly string[]> {
  for (const until = Date.now() + 20_000; Date.now() < until; await pause(20)) {
    const rows = await bench.sql<{ attempt: string; worker: string | null; state: string }[]>`
      select a.attempt, a.worker, a.state from airlock.attempt a join airlock.dag_run r on r.tenant = a.tenant and r.run = a.run
       where r.tenant = 'kills' and r.run_id = ${runId}`;
    if (rows.length > 0 && rows.every((row) => row.state !== "admitted")) {
      await pause(300); // their code runs by now
      return rows
        .filter((row) => row.worker === worker && row.state === "running")
        .map((row) => row.attempt);
    }
  }
  throw new Error(`the tasks of ${runId} did not begin`);
}

/** When the code of these attempts began anew: the claim of another worker, and what it needed from there. */
async function restartsOf(
  bench: BenchHouse,
  attempts: readonly string[],
): Promise<readonly number[]> {
  const rows = await bench.sql<{ at: number; fence: number }[]>`
    select (extract(epoch from started_at) * 1000 + start_ms)::float8 as at, fence from airlock.attempt
     where attempt = any(${attempts as string[]}::uuid[]) and outcome = 'success'`;
  if (rows.length !== attempts.length || rows.some((row) => row.fence < 2))
    throw new Error("an attempt of a killed worker was lost");
  return rows.map((row) => row.at);
}

async function nothingTwice(bench: BenchHouse, runId: string, tasks: number): Promise<void> {
  const [row] = await bench.sql<{ ended: number; successes: number }[]>`
    select count(distinct a.task_id)::int as ended,
           (select count(*)::int from airlock.change c where c.tenant = r.tenant and c.run = r.run and c.task_id <> '' and c.to_state = 'success') as successes
      from airlock.dag_run r join airlock.attempt a on a.tenant = r.tenant and a.run = r.run and a.outcome = 'success'
     where r.tenant = 'kills' and r.run_id = ${runId} group by r.tenant, r.run`;
  if (row?.ended !== tasks || row.successes !== tasks)
    throw new Error(`of ${tasks} tasks ${row?.ended} ended well, counted ${row?.successes} times`);
}
