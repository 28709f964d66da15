/** What must stay the same when there is more of everything. */
import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { apiPath, openServer, platformPath } from "../../platform/main/ask-server.ts";
import { known, type RunKey } from "../../platform/model/ids.ts";
import { migrateQueue } from "../../platform/queue/migrate.ts";
import { createRun } from "../../platform/runs/create-run.ts";
import { openDagCache } from "../../platform/runs/dag-cache.ts";
import { type Claimed, claimAttempt } from "../../platform/store/claim.ts";
import { migrate } from "../../platform/store/migrate.ts";
import { openStore, type Store } from "../../platform/store/open.ts";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { type Clone, eventually } from "../../test/kit/house.ts";
import { openQuietDoor } from "../../test/kit/quiet-door.ts";
import { dailyDag } from "./dag-files.ts";
import { measureBareGit } from "./floors.ts";
import { mean, median, percentile, say } from "./measure.ts";
import type { BenchHouse } from "./open-bench-house.ts";
import type { Bench, World } from "./world.ts";

const tenant = "scale";
const filesFull = 1_000;
const filesQuick = 100;

export const scale: readonly Bench[] = [
  { names: ["completion-cost-ratio"], measure: measureCompletion },
  { names: ["parse-1000-files"], measure: measureParse },
  { names: ["reparse-one-of-1000"], measure: measureReparse },
  { names: ["dags-list-p95"], measure: measureList },
  { names: ["midnight-burst"], measure: measureMidnight },
];

/**
 * At the door itself, in this process: a line of some tasks inside a run of many others that wait for
 * something else. A guest would only hide what is compared.
 */
async function measureCompletion(world: World): Promise<void> {
  const server = await world.postgres();
  const url = await server.database("door");
  await migrateQueue(url);
  await migrate(url);
  const owner = postgres(url, { max: 1, onnotice: () => undefined });
  const store = openStore(url);
  const many = world.samples(10_000, 2_000);
  const count = world.samples(100, 20);
  say(`${count} completions in a run of 100 tasks and of ${many}`);
  try {
    await owner`insert into airlock.tenant (tenant, max_running) values (${tenant}, 10)`;
    await owner`insert into airlock.pool (tenant, pool, slots) values (${tenant}, 'default_pool', 128)`;
    const few = await openLine(owner, store, "few", 100, Math.min(count, 90));
    const lots = await openLine(owner, store, "lots", many, Math.min(count, 90));
    const found = { few: [] as number[], lots: [] as number[] };
    // In turns: what else the machine does falls on both.
    while (few.isOpen() && lots.isOpen()) {
      found.few.push(await few.complete());
      found.lots.push(await lots.complete());
    }
    const [small, large] = [median(found.few.slice(5)), median(found.lots.slice(5))];
    say(`  ${small.toFixed(1)} ms and ${large.toFixed(1)} ms`);
    world.report("completion-cost-ratio", {
      value: large / small,
      floor: 1,
      samples: found.lots.length - 5,
    });
  } finally {
    await store.close();
    await owner.end({ timeout: 2 });
  }
}

type Line = { isOpen(): boolean; complete(): Promise<number> };

async function openLine(
  owner: postgres.Sql,
  store: Store,
  name: string,
  tasks: number,
  steps: number,
): Promise<Line> {
  const at = known.tenant(tenant);
  const dags = openDagCache();
  const door = openQuietDoor({ store, dags, leaseSeconds: 60 });
  // The others wait for a task that nobody runs.
  const others = Array.from({ length: tasks - steps - 1 }, (_, i) => ({ task_id: `other_${i}` }));
  const spec = dagSpec(
    [
      ...Array.from({ length: steps }, (_, i) => ({
        task_id: `step_${i}`,
        priority_weight: 2,
        weight_rule: "absolute" as const,
        downstream: i + 1 < steps ? [`step_${i + 1}`] : [],
      })),
      {
        task_id: "gate",
        queue: "nobody",
        weight_rule: "absolute" as const,
        downstream: others.map(({ task_id }) => task_id),
      },
      ...others,
    ],
    { dag_id: known.dag(name) },
  );
  await owner`
    insert into airlock.dag (tenant, dag_id, repository, path, version, commit, environment, display_name, level, timetable, max_active_runs, max_active_tasks)
    values (${tenant}, ${name}, 'main', 'dags/x.py', 1, 'c', 'default', ${name}, '3', '{}', 16, 16)`;
  await owner`
    insert into airlock.dag_version (tenant, dag_id, version, hash, spec, repository, path, commit)
    values (${tenant}, ${name}, 1, 'h', ${JSON.stringify(spec)}::text::json, 'main', 'dags/x.py', 'c')`;
  const created = await createRun({ store, door, dags }, at, {
    dag_id: known.dag(name),
    run_id: known.run(`manual__${randomUUID()}`),
    run_type: "manual",
    logical_date: null,
    interval_start: null,
    interval_end: null,
    run_after: new Date().toISOString(),
    conf: {},
    triggered_by: "test",
    triggering_user: null,
    note: null,
  });
  if (created.kind !== "created") throw new Error(`the run was not created: ${created.kind}`);
  await door.settle();
  const { run } = created;
  const worker = randomUUID();
  let step = 0;
  return {
    isOpen: () => step < steps,
    async complete() {
      const claimed = await claimStep(owner, store, run, `step_${step}`, worker);
      step += 1;
      const began = performance.now();
      const answer = await door.advance(
        { tenant: at, run },
        {
          kind: "attempt",
          holder: { attempt: claimed.attempt, fence: claimed.fence, worker },
          event: {
            kind: "attempt_succeeded",
            task_id: claimed.task_id,
            map_index: claimed.map_index,
            try_number: claimed.try_number,
          },
          ended: { outcome: "success", cpu_s: 0, peak_memory: 1, start_ms: 1, log_bytes: 0 },
          xcoms: [],
          hint: { dag_id: known.dag(name), version: 1 },
        },
      );
      const ms = performance.now() - began;
      if (answer.kind !== "done") throw new Error(`a completion was answered with ${answer.kind}`);
      return ms;
    },
  };
}

async function claimStep(
  owner: postgres.Sql,
  store: Store,
  run: RunKey,
  task: string,
  worker: string,
): Promise<Claimed> {
  const [row] = await owner<{ attempt: Claimed["attempt"] }[]>`
    select attempt from airlock.attempt where run = ${run} and task_id = ${task} and state = 'admitted'`;
  if (row === undefined) throw new Error(`${task} was not admitted`);
  const at = known.tenant(tenant);
  const claimed = await claimAttempt(store, at, row.attempt, worker, 60);
  if (claimed === undefined) throw new Error(`${task} could not be claimed`);
  return claimed;
}

type Town = {
  readonly bench: BenchHouse;
  readonly clone: Clone;
  readonly files: number;
  /** Of the push that brought them, milliseconds. */
  readonly firstPushMs: number;
};
let town: Promise<Town> | undefined;

/** A repository of a thousand DAG files, pushed once. */
function openTown(world: World): Promise<Town> {
  town ??= (async () => {
    const bench = await world.house();
    const count = world.samples(filesFull, filesQuick);
    say(`a repository of ${count} DAG files`);
    await bench.makeTenant(tenant, { max_running: 1_000 });
    const clone = await bench.makeRepository(tenant, "many");
    const pushed = await bench.push(clone, manyFiles(count));
    return { bench, clone, files: count, firstPushMs: pushed.ms };
  })();
  return town;
}

const fileOf = (i: number): string => `dags/${i % 10}/daily_${i}.py`;
const manyFiles = (count: number): Map<string, string> =>
  new Map(Array.from({ length: count }, (_, i) => [fileOf(i), dailyDag(`daily_${i}`)]));

async function measureParse(world: World): Promise<void> {
  const { files, firstPushMs } = await openTown(world);
  const bareGit = await measureBareGit(manyFiles(files), 1);
  const forks = await (await world.bare()).forks(100);
  const floorMs = (bareGit.push[0] ?? 0) + files * mean(forks);
  world.report("parse-1000-files", {
    value: firstPushMs / 1000,
    floor: floorMs / 1000,
    samples: files,
  });
}

async function measureReparse(world: World): Promise<void> {
  const { bench, clone, files } = await openTown(world);
  const count = world.samples(5, 2);
  say(`${count} pushes that change one of ${files} files`);
  const found: number[] = [];
  for (let i = 1; i <= count; i += 1) {
    const pushed = await bench.push(clone, new Map([[fileOf(7), dailyDag("daily_7", i)]]));
    if (!/1 changed/.test(pushed.answer))
      throw new Error(`one DAG should have changed:\n${pushed.answer}`);
    found.push(pushed.ms);
  }
  const bareGit = await measureBareGit(manyFiles(files), 3);
  world.report("reparse-one-of-1000", {
    value: median(found),
    floor: percentile(bareGit.push.slice(1), 0.5),
    samples: count,
  });
}

/** As somebody who may see half of the DAGs by their prefix and a few by name, with a long history stored. */
async function measureList(world: World): Promise<void> {
  const { bench, files } = await openTown(world);
  const count = world.samples(100, 10);
  const stored = world.samples(1_000_000, 10_000);
  const password = `bench-${randomUUID()}`;
  await bench.api.send("POST", platformPath("users"), { name: "reader", password });
  for (const thing of ["dag:daily_1*", "dag:daily_2*", "dag:daily_30", "dag:daily_31"])
    await bench.api.send("POST", platformPath("tenants", tenant, "grants"), {
      subject: "user:reader",
      thing,
      deed: "dag.read",
    });
  say(`${stored} task instances of old runs, then ${count} lists of DAGs`);
  await storeHistory(bench, stored);
  const signedIn = (await openServer({ url: bench.house.url }).send(
    "POST",
    `/t/${tenant}/auth/token`,
    { username: "reader", password },
  )) as { readonly access_token: string };
  const reader = openServer({ url: bench.house.url, token: signedIn.access_token });
  const found: number[] = [];
  const bare: number[] = [];
  for (let i = 0; i < count + 5; i += 1) {
    let at = performance.now();
    const page = (await reader.get(apiPath(tenant, "dags"), {
      limit: 100,
      offset: (i % 3) * 10,
    })) as { readonly dags: readonly unknown[]; readonly total_entries: number };
    found.push(performance.now() - at);
    if (page.dags.length === 0 || page.total_entries >= files)
      throw new Error(
        `the list shows ${page.total_entries} of ${files} DAGs to somebody who may see some`,
      );
    at = performance.now();
    await reader.get("/livez").catch(() => undefined);
    bare.push(performance.now() - at);
  }
  world.report("dags-list-p95", {
    value: percentile(found.slice(5), 0.95),
    floor: percentile(bare.slice(5), 0.95),
    samples: count,
  });
}

/** Runs of the past, ended long ago, of the DAGs that are there: rows as the door leaves them. */
async function storeHistory(bench: BenchHouse, instances: number): Promise<void> {
  const perRun = 100;
  await bench.sql`
    insert into airlock.dag_run (tenant, dag_id, run_id, run_type, run_after, state, version, repository, commit, path, environment,
           has_instances, started_at, ended_at)
    select d.tenant, d.dag_id, 'old-' || g, 'manual', now() - make_interval(mins => g + 10), 'success', d.version, d.repository, d.commit,
           d.path, d.environment, true, now() - make_interval(mins => g + 10), now() - make_interval(mins => g + 9)
      from generate_series(1, ${instances / perRun}::int) g
      join (select *, row_number() over (order by dag_id) - 1 as n, count(*) over () as of from airlock.dag where tenant = ${tenant}) d
        on d.n = g % d.of`;
  await bench.sql`
    insert into airlock.task_instance (tenant, run, task_id, map_index, dag_id, state, try_number, pool, pool_slots, queue, priority_weight,
           operator, order_at, started_at, ended_at)
    select r.tenant, r.run, 'work', i, r.dag_id, 'success', 1, 'default_pool', 1, 'default', 1, 'PythonOperator', r.run_after, r.started_at, r.ended_at
      from airlock.dag_run r, generate_series(0, ${perRun - 1}::int) i
     where r.tenant = ${tenant} and r.run_id like 'old-%'`;
  await bench.sql`analyze airlock.dag_run, airlock.task_instance`;
}

/** All DAGs of the tenant become due at one moment; how long after it the code of the last one begins. */
async function measureMidnight(world: World): Promise<void> {
  const { bench, files } = await openTown(world);
  say(`${files} DAGs due at once`);
  await bench.sql`update airlock.pool set slots = -1 where tenant = ${tenant}`;
  await untilPlanned(bench);
  const [due] = await bench.sql<{ at: number; dags: number }[]>`
    with d as (
      update airlock.dag set next_run_at = date_trunc('second', now()), next_logical_at = date_trunc('second', now()) - interval '1 day',
             next_interval_start = date_trunc('second', now()) - interval '1 day', next_interval_end = date_trunc('second', now()),
             plan_needed = false
       where tenant = ${tenant} and state = 'active' returning 1)
    select extract(epoch from clock_timestamp())::float8 as at, (select count(*)::int from d) as dags`;
  if (due === undefined || due.dags !== files)
    throw new Error(`${due?.dags} of ${files} DAGs are there`);
  await bench.sql`select pg_notify('airlock_wake', '')`;
  const ids = await untilCreated(bench, files);
  await bench.untilDone(tenant, ids, 120_000);
  const runs = await bench.read(tenant, [...new Set(ids)]);
  const starts = runs.flatMap((run) => run.tasks.map((task) => task.codeAt / 1000 - due.at));
  if (starts.length !== files) throw new Error(`${starts.length} of ${files} tasks ran`);
  say(`  first ${Math.min(...starts).toFixed(2)} s, half ${median(starts).toFixed(2)} s`);
  const bare = await world.bare();
  const begun = performance.now();
  let left = files;
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      while (left-- > 0) await bare.chain(1, 0);
    }),
  );
  world.report("midnight-burst", {
    value: Math.max(...starts),
    floor: (performance.now() - begun) / 1000,
    samples: files,
  });
}

/** The scheduler may still be planning what was just pushed, and would write over what is due here. */
async function untilPlanned(bench: BenchHouse): Promise<void> {
  await eventually(async () => {
    const [row] = await bench.sql<{ open: number }[]>`
      select count(*)::int as open from airlock.dag where tenant = ${tenant} and plan_needed`;
    return row?.open === 0 ? true : undefined;
  }, 60_000);
}

async function untilCreated(bench: BenchHouse, wanted: number): Promise<string[]> {
  return eventually(async () => {
    const rows = await bench.sql<{ run_id: string }[]>`
      select run_id from airlock.dag_run where tenant = ${tenant} and run_type = 'scheduled'`;
    return rows.length >= wanted ? rows.map((row) => row.run_id) : undefined;
  }, 60_000);
}
