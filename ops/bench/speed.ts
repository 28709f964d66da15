/** From a push to live, from a task to the next, and how many workflows fit into a second. */
import { dailyDag, inlineDag, lineDag } from "./dag-files.ts";
import { type Chained, measureBareDoorbell, measureBareGit } from "./floors.ts";
import { mean, median, percentile, say } from "./measure.ts";
import { type BenchHouse, profiled, type RunTimes } from "./open-bench-house.ts";
import { cpuSecondsOf } from "./processes.ts";
import type { Bench, World } from "./world.ts";

const tenant = "speed";
const lines = 100;
const lineSteps = 10;

export const speed: readonly Bench[] = [
  { names: ["push-to-live-p50", "push-to-live-p99"], measure: measurePushes },
  { names: ["hop-p50", "hop-p99", "hop-doorbell-p50"], measure: measureHops },
  { names: ["three-steps-p50"], measure: measureThreeSteps },
  { names: ["three-steps-inline-p50"], measure: measureInline },
  { names: ["fib40"], measure: measureFib },
  { names: ["line-100x10-wall", "line-100x10-lag"], measure: measureLines },
  { names: ["workflows-per-second", "three-steps-cpu"], measure: measureThroughput },
  { names: ["workflows-per-second-inline"], measure: measureInlineThroughput },
];

let deployed: Promise<BenchHouse> | undefined;

/** The tenant with all DAGs of this family, live; made once. */
function openSpeedTenant(world: World): Promise<BenchHouse> {
  deployed ??= (async () => {
    const bench = await world.house();
    await bench.makeTenant(tenant, { max_running: 1_000 });
    const clone = await bench.makeRepository(tenant, "workflows");
    const files = new Map([
      ["dags/hops.py", lineDag("hops", 10)],
      ["dags/three_steps.py", lineDag("three_steps", 3, { passes: true })],
      ["dags/three_steps_inline.py", inlineDag("three_steps_inline", 3)],
      ["dags/fib40.py", lineDag("fib40", 40, { fib: 10 })],
    ]);
    for (let i = 0; i < lines; i += 1)
      files.set(`dags/lines/line_${i}.py`, lineDag(lineOf(i), lineSteps));
    await bench.push(clone, files);
    await bench.sql`update airlock.pool set slots = -1 where tenant = ${tenant}`;
    return bench;
  })();
  return deployed;
}

const lineOf = (i: number): string => `line_${i}`;

async function measurePushes(world: World): Promise<void> {
  const bench = await openSpeedTenant(world);
  const count = world.samples(30, 5);
  say(`${count} pushes to a hosted repository, each of one changed DAG file`);
  await bench.makeTenant("pushes");
  const clone = await bench.makeRepository("pushes", "workflows");
  const file = "dags/daily.py";
  await bench.push(clone, new Map([[file, dailyDag("daily")]]));
  const found: number[] = [];
  await profiled(bench, world.profiles, "push-to-live", async () => {
    for (let i = 1; i <= count; i += 1)
      found.push((await bench.push(clone, new Map([[file, dailyDag("daily", i)]]))).ms);
  });
  const bare = await measureBareGit(new Map([[file, dailyDag("daily")]]), Math.min(count, 10));
  const floor = median(bare.push) + median(bare.fetch);
  world.report("push-to-live-p50", { value: median(found), floor, samples: count });
  world.report("push-to-live-p99", {
    value: percentile(found, 0.99),
    floor: percentile(bare.push, 0.99) + percentile(bare.fetch, 0.99),
    samples: count,
  });
}

async function measureHops(world: World): Promise<void> {
  const bench = await openSpeedTenant(world);
  const count = world.samples(50, 5);
  say(`${count} runs of ten tasks in a line, one run at a time`);
  const runs = await oneByOne(bench, world, "hops", count);
  const hops = runs.flatMap(hopsOf);
  const bare = await chains(world, count, 10, 0);
  const bareHops = bare.flatMap(bareHopsOf);
  world.report("hop-p50", { value: median(hops), floor: median(bareHops), samples: hops.length });
  world.report("hop-p99", {
    value: percentile(hops, 0.99),
    floor: percentile(bareHops, 0.99),
    samples: hops.length,
  });
  const server = await world.postgres();
  const doorbell = await measureBareDoorbell(
    await server.database("floor_queue"),
    world.samples(100, 10),
  );
  const forks = await (await world.bare()).forks(world.samples(100, 20));
  say(
    `  bare: a graphile job ${median(doorbell).toFixed(1)} ms, a fork ${median(forks).toFixed(1)} ms`,
  );
  world.report("hop-doorbell-p50", {
    value: median(runs.map(firstLagOf)),
    floor: median(doorbell) + median(forks),
    samples: runs.length,
  });
}

async function measureThreeSteps(world: World): Promise<void> {
  const bench = await openSpeedTenant(world);
  const count = world.samples(200, 10);
  say(`${count} runs of three steps, each given what the one before it returned`);
  const runs = await profiled(bench, world.profiles, "three-steps", () =>
    oneByOne(bench, world, "three_steps", count),
  );
  const bare = await chains(world, count, 3, 0);
  world.report("three-steps-p50", {
    value: median(runs.map(lengthOf)),
    floor: median(bare.map(lengthOf)),
    samples: count,
  });
  tellWhere(runs);
}

/** Where the time of these runs goes, by their rows: for people. */
function tellWhere(runs: readonly RunTimes[]): void {
  const at = (part: (run: RunTimes) => number): string => median(runs.map(part)).toFixed(1);
  say(
    `  p50: created → started ${at((run) => run.startedAt - run.createdAt)}, → first code ${at(firstLagOf)}, ` +
      `code → next code ${median(runs.flatMap(codeToCodeOf)).toFixed(1)}, of that ended → code ${median(runs.flatMap(hopsOf)).toFixed(1)}; ` +
      `claimed → code as the supervisor saw it ${median(runs.flatMap((run) => run.tasks.map((task) => task.startMs))).toFixed(1)} ms`,
  );
}

async function measureInline(world: World): Promise<void> {
  const bench = await openSpeedTenant(world);
  const count = world.samples(200, 10);
  say(`${count} runs of three tasks that the engine itself ends`);
  const found: number[] = [];
  for (let i = 0; i < count + 5; i += 1) {
    const at = performance.now();
    const id = await bench.trigger(tenant, "three_steps_inline");
    found.push(performance.now() - at);
    await bench.untilDone(tenant, [id]);
  }
  const bare = await world.bare();
  const transactions: number[] = [];
  for (let i = 0; i < 50; i += 1) {
    const at = performance.now();
    await bare.write();
    transactions.push(performance.now() - at);
  }
  world.report("three-steps-inline-p50", {
    value: median(found.slice(5)),
    floor: median(transactions),
    samples: count,
  });
}

async function measureFib(world: World): Promise<void> {
  const bench = await openSpeedTenant(world);
  const count = world.samples(5, 2);
  say(`${count} runs of forty tasks in a line, fib(10) each`);
  const runs = await profiled(bench, world.profiles, "fib40", () =>
    oneByOne(bench, world, "fib40", count),
  );
  const bare = await chains(world, count, 40, 10);
  world.report("fib40", {
    value: median(runs.map(lengthOf)) / 1000,
    floor: median(bare.map(lengthOf)) / 1000,
    samples: count,
  });
}

async function measureLines(world: World): Promise<void> {
  const bench = await openSpeedTenant(world);
  const rounds = world.samples(3, 1);
  say(`${lines} DAGs of ${lineSteps} tasks in a line, all started at once; ${rounds} rounds`);
  const walls: number[] = [];
  const lags: number[] = [];
  const bareWalls: number[] = [];
  const bareLags: number[] = [];
  await profiled(bench, world.profiles, "line-100x10", async () => {
    for (let round = 0; round < rounds; round += 1) {
      const ids = await Promise.all(
        Array.from({ length: lines }, (_, i) => bench.trigger(tenant, lineOf(i))),
      );
      await bench.untilDone(tenant, ids, 120_000);
      const runs = await bench.read(tenant, ids);
      walls.push(wallOf(runs));
      lags.push(mean(runs.flatMap((run) => [firstLagOf(run), ...hopsOf(run)])));
    }
  });
  const bare = await world.bare();
  for (let round = 0; round < rounds; round += 1) {
    const found = await Promise.all(Array.from({ length: lines }, () => bare.chain(lineSteps, 0)));
    bareWalls.push(wallOf(found));
    bareLags.push(mean(found.flatMap((run) => bareLagsOf(run))));
  }
  world.report("line-100x10-wall", {
    value: median(walls) / 1000,
    floor: median(bareWalls) / 1000,
    samples: rounds,
  });
  world.report("line-100x10-lag", {
    value: median(lags) / 1000,
    floor: median(bareLags) / 1000,
    samples: rounds * lines * lineSteps,
  });
}

async function measureThroughput(world: World): Promise<void> {
  const bench = await openSpeedTenant(world);
  const count = world.samples(600, 40);
  say(`${count} runs of three steps, as many at once as ten callers ask for`);
  await oneByOne(bench, world, "three_steps", 1);
  const roots = [bench.house.pid, bench.postgresPid];
  const before = cpuSecondsOf(roots);
  const ids = await profiled(bench, world.profiles, "workflows", () =>
    byTenCallers(count, async () => {
      const id = await bench.trigger(tenant, "three_steps");
      await bench.untilDone(tenant, [id]);
      return id;
    }),
  );
  const cpu = cpuSecondsOf(roots) - before;
  const runs = await bench.read(tenant, ids);
  const bare = await world.bare();
  const { pid } = bare;
  const bareBefore = cpuSecondsOf([pid, bench.postgresPid]);
  const bareRuns = await byTenCallers(count, () => bare.chain(3, 0));
  // The bench's own process is in it, with the platform that it started: that one idles meanwhile.
  const bareCpu = cpuSecondsOf([pid, bench.postgresPid]) - bareBefore;
  world.report("workflows-per-second", {
    value: (count * 1000) / wallOf(runs),
    floor: (count * 1000) / wallOf(bareRuns),
    samples: count,
  });
  world.report("three-steps-cpu", {
    value: cpu / count,
    floor: bareCpu / count,
    samples: count,
  });
}

async function measureInlineThroughput(world: World): Promise<void> {
  const bench = await openSpeedTenant(world);
  const count = world.samples(600, 40);
  say(`${count} runs of three tasks that the engine itself ends, by ten callers`);
  const ids = await byTenCallers(count, () => bench.trigger(tenant, "three_steps_inline"));
  await bench.untilDone(tenant, ids);
  const runs = await bench.sql<{ wall: number }[]>`
    select extract(epoch from max(ended_at) - min(queued_at))::float8 as wall from airlock.dag_run
     where tenant = ${tenant} and run_id = any(${ids})`;
  const bare = await world.bare();
  const at = performance.now();
  await byTenCallers(count, () => bare.write());
  const bareSeconds = (performance.now() - at) / 1000;
  world.report("workflows-per-second-inline", {
    value: count / (runs[0]?.wall ?? Number.NaN),
    floor: count / bareSeconds,
    samples: count,
  });
}

/** Warm: the first runs are not counted. */
async function oneByOne(
  bench: BenchHouse,
  world: World,
  dag: string,
  count: number,
): Promise<readonly RunTimes[]> {
  const ids: string[] = [];
  const warmUps = world.samples(5, 2);
  for (let i = 0; i < count + warmUps; i += 1) {
    const id = await bench.trigger(tenant, dag);
    await bench.untilDone(tenant, [id]);
    if (i >= warmUps) ids.push(id);
  }
  return bench.read(tenant, ids);
}

async function chains(world: World, count: number, steps: number, n: number): Promise<Chained[]> {
  const bare = await world.bare();
  const found: Chained[] = [];
  for (let i = 0; i < count + 3; i += 1) found.push(await bare.chain(steps, n));
  return found.slice(3);
}

async function byTenCallers<T>(count: number, call: () => Promise<T>): Promise<T[]> {
  const found: T[] = [];
  let left = count;
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      while (left > 0) {
        left -= 1;
        found.push(await call());
      }
    }),
  );
  return found;
}

const lengthOf = (run: { readonly createdAt: number; readonly endedAt: number }): number =>
  run.endedAt - run.createdAt;

const wallOf = (
  runs: readonly { readonly createdAt: number; readonly endedAt: number }[],
): number =>
  Math.max(...runs.map((run) => run.endedAt)) - Math.min(...runs.map((run) => run.createdAt));

/** Of a line: from the write that ended a task to the first line of the next one's code. */
const hopsOf = (run: RunTimes): number[] =>
  run.tasks.slice(1).map((task, i) => task.codeAt - (run.tasks[i]?.endedAt ?? 0));

/** From a task's first line to the next one's: all that lies between, and the task itself. */
const codeToCodeOf = (run: RunTimes): number[] =>
  run.tasks.slice(1).map((task, i) => task.codeAt - (run.tasks[i]?.codeAt ?? 0));

const firstLagOf = (run: RunTimes): number => (run.tasks[0]?.codeAt ?? 0) - run.startedAt;

const bareHopsOf = (run: Chained): number[] =>
  run.steps.slice(1).map((step, i) => step.startedAt - (run.steps[i]?.endedAt ?? 0));

const bareLagsOf = (run: Chained): number[] => [
  (run.steps[0]?.startedAt ?? 0) - run.createdAt,
  ...bareHopsOf(run),
];
