/** What the platform costs while nothing happens, and how long it takes to be there. */
import { setTimeout as pause } from "node:timers/promises";
import { eventually, makeHome, openHouse } from "../../test/kit/house.ts";
import { dailyDag } from "./dag-files.ts";
import { measureBareStarts, startIdleNode } from "./floors.ts";
import { median, say } from "./measure.ts";
import { type BenchHouse, openBenchHouse } from "./open-bench-house.ts";
import { cpuSecondsOf, memoryOf, processesOf } from "./processes.ts";
import type { Bench, World } from "./world.ts";

const tenants = 100;

export const cost: readonly Bench[] = [
  { names: ["idle-memory", "idle-cpu"], measure: measureIdle },
  { names: ["start-first", "start-again"], measure: measureStarts },
];

/** A hundred tenants with a repository and a scheduled DAG each that is not due: all rows, no process. */
async function measureIdle(world: World): Promise<void> {
  const count = world.samples(tenants, 10);
  say(`${count} tenants, no runs`);
  const made = await openBenchHouse({ postgres: await world.postgres(), database: "idle" });
  let bench = made;
  world.onClose(() => bench.close());
  await makeQuietTenants(made, count);
  // As it is after a start: what was loaded to make the tenants is not what being idle costs.
  bench = await made.restart();
  const { pid } = bench.house;
  // An idle tenant has no process: what a start warmed up ends by itself.
  await eventually(async () => (processesOf([pid]) === 1 ? true : undefined), 90_000);
  await pause(world.samples(10_000, 2_000));
  const node = startIdleNode();
  const seconds = world.samples(30, 5);
  const [before, postgresBefore] = [cpuSecondsOf([pid]), cpuSecondsOf([bench.postgresPid])];
  await pause(seconds * 1000);
  const cpu = cpuSecondsOf([pid]) - before;
  const postgresCpu = cpuSecondsOf([bench.postgresPid]) - postgresBefore;
  const floor = memoryOf([node.pid]);
  node.stop();
  const [row] = await bench.sql<
    { runs: number }[]
  >`select count(*)::int as runs from airlock.dag_run`;
  if (row?.runs !== 0) throw new Error("something ran while nothing should");
  say(
    `  beside it Postgres: ${memoryOf([bench.postgresPid]).toFixed(0)} MB, ${((postgresCpu / seconds) * 100).toFixed(2)} % of a core`,
  );
  world.report("idle-memory", { value: memoryOf([pid]), floor, samples: 1 });
  world.report("idle-cpu", { value: (cpu / seconds) * 100, floor: null, samples: 1 });
}

/** By the API, each with a hosted repository; their DAG is pushed once, and its rows are given to all. */
async function makeQuietTenants(bench: BenchHouse, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, i) => `quiet-${i}`);
  const [first = ""] = names;
  await bench.makeTenant(first);
  const clone = await bench.makeRepository(first, "workflows");
  await bench.push(clone, new Map([["dags/daily.py", dailyDag("daily")]]));
  for (const name of names.slice(1)) {
    await bench.makeTenant(name);
    await bench.api.send("POST", `/api/platform/tenants/${name}/repositories`, {
      name: "workflows",
    });
  }
  const others = names.slice(1);
  for (const table of ["dag", "dag_version"]) {
    const columns = await bench.sql<{ name: string }[]>`
      select column_name as name from information_schema.columns
       where table_schema = 'airlock' and table_name = ${table} and column_name not in ('tenant', 'id')`;
    const list = columns.map(({ name }) => `"${name}"`).join(", ");
    await bench.sql.unsafe(
      `insert into airlock.${table} (tenant, ${list})
       select t, ${columns.map(({ name }) => `d."${name}"`).join(", ")} from airlock.${table} d, unnest($1::text[]) t where d.tenant = $2`,
      [others, first],
    );
  }
}

async function measureStarts(world: World): Promise<void> {
  const again = world.samples(3, 1);
  say(`a first start on an empty home with the samples, then ${again} more on the same`);
  const home = makeHome();
  const env = { DATABASE_URL: "" };
  const timed = async (): Promise<{ ms: number; house: Awaited<ReturnType<typeof openHouse>> }> => {
    const at = performance.now();
    const house = await openHouse({ home, examples: true, env });
    return { ms: performance.now() - at, house };
  };
  let running: Awaited<ReturnType<typeof openHouse>> | undefined;
  world.onClose(async () => running?.remove());
  const first = await timed();
  running = first.house;
  // The first Python environment is built behind it: a start that goes on building is not the second start.
  await eventually(async () => {
    const { stdout } = await first.house.airlock("deploys", "list", "acme", "-o", "json");
    return (JSON.parse(stdout) as { state: string }[]).some(({ state }) => state === "live")
      ? true
      : undefined;
  }, 120_000);
  const found: number[] = [];
  for (let i = 0; i < again; i += 1) {
    await running.stop();
    const next = await timed();
    running = next.house;
    found.push(next.ms);
  }
  await running.remove();
  running = undefined;
  const bare = await measureBareStarts(3);
  world.report("start-first", {
    value: first.ms / 1000,
    floor: (bare.node + bare.postgresFirst) / 1000,
    samples: 1,
  });
  world.report("start-again", {
    value: median(found) / 1000,
    floor: (bare.node + bare.postgresAgain) / 1000,
    samples: again,
  });
}
