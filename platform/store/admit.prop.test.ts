/** Holds the SQL of admission to its rule: whatever waits, whatever is in use, both admit the same, in the same order. */
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import { admit, byTurn, priorityOf, taskKey, type Waiting } from "../engine/admission.ts";
import { known } from "../model/ids.ts";
import { openStore, type Store } from "./open.ts";
import * as rows from "./run-rows.ts";

let database: TestDatabase;
let store: Store;
const acme = known.tenant("acme");

beforeAll(async () => {
  database = await openDatabase();
  store = openStore(database.url);
});
afterAll(async () => {
  await store.close();
  await database.drop();
});
beforeEach(() => empty());

const empty = async (): Promise<void> => {
  for (const table of ["change", "dag_run", "dag", "pool", "tenant"])
    await database.owner`delete from ${database.owner(`airlock.${table}`)}`;
  await database.owner`delete from graphile_worker._private_jobs`;
};

type World = {
  readonly tenant: { max: number; weight: number; active: boolean };
  readonly pools: readonly { slots: number; include_deferred: boolean }[];
  readonly dags: readonly {
    level: "1.10" | "2" | "3";
    max_active_tasks: number;
    paused: boolean;
  }[];
  readonly runs: readonly { dag: number; date: number | null; running: boolean }[];
  readonly tasks: readonly {
    weight: number;
    pool: number;
    slots: number;
    max_per_dag: number | null;
    max_per_run: number | null;
  }[];
  readonly instances: readonly {
    run: number;
    task: number;
    map_index: number;
    state: "scheduled" | "queued" | "running" | "deferred" | "success";
  }[];
};

const world: fc.Arbitrary<World> = fc.record({
  tenant: fc.record({
    max: fc.integer({ min: 4, max: 30 }),
    weight: fc.integer({ min: 1, max: 9 }),
    active: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
  }),
  pools: fc.array(
    fc.record({ slots: fc.constantFrom(-1, 0, 2, 3, 5, 8, 12), include_deferred: fc.boolean() }),
    { minLength: 2, maxLength: 3 },
  ),
  dags: fc.array(
    fc.record({
      level: fc.constantFrom("1.10" as const, "2" as const, "3" as const),
      max_active_tasks: fc.constantFrom(0, 2, 3, 4, 6, 9),
      paused: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  runs: fc.array(
    fc.record({
      dag: fc.nat(20),
      date: fc.option(fc.integer({ min: 1, max: 4 }), { freq: 4 }),
      running: fc.integer({ min: 0, max: 7 }).map((n) => n > 0),
    }),
    { minLength: 3, maxLength: 12 },
  ),
  tasks: fc.array(
    fc.record({
      weight: fc.integer({ min: 1, max: 3 }),
      pool: fc.nat(20),
      slots: fc.integer({ min: 1, max: 4 }),
      max_per_dag: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 2 }),
      max_per_run: fc.option(fc.integer({ min: 1, max: 2 }), { freq: 2 }),
    }),
    { minLength: 3, maxLength: 5 },
  ),
  instances: fc.uniqueArray(
    fc.record({
      run: fc.nat(11),
      task: fc.nat(4),
      map_index: fc.integer({ min: -1, max: 4 }),
      state: fc.oneof(
        { weight: 8, arbitrary: fc.constant("scheduled" as const) },
        {
          weight: 3,
          arbitrary: fc.constantFrom<"queued" | "running" | "deferred" | "success">(
            "queued",
            "running",
            "deferred",
            "success",
          ),
        },
      ),
    }),
    {
      minLength: 15,
      maxLength: 40,
      selector: (one) => `${one.run} ${one.task} ${one.map_index}`,
    },
  ),
});

/** The world as rows, and as the question that the rule is asked. */
async function build(w: World) {
  const pool = (i: number): string => `p${i % w.pools.length}`;
  const dagOf = (run: number): number => (w.runs[run % w.runs.length]?.dag ?? 0) % w.dags.length;
  const dates = [...new Set(w.runs.map((run) => run.date))];
  // Two runs of a DAG never share a logical date.
  const dateOf = w.runs.map((run, i) =>
    run.date === null ? null : 86_400_000 * (run.date + 10 * dates.length) + (i % 3),
  );
  const runs = w.runs.map((run, i) => ({
    run: 1000 + i,
    dag_id: `d${run.dag % w.dags.length}`,
    run_id: `r${i}`,
    logical_date:
      dateOf[i] === null || dateOf[i] === undefined ? null : new Date(dateOf[i]).toISOString(),
    state: run.running ? "running" : "queued",
  }));
  const instances = w.instances
    .map((one) => ({ ...one, run: one.run % w.runs.length, task: one.task % w.tasks.length }))
    .filter(
      (one, i, all) =>
        all.findIndex(
          (o) => o.run === one.run && o.task === one.task && o.map_index === one.map_index,
        ) === i,
    )
    .map((one) => {
      const task = w.tasks[one.task];
      if (task === undefined) throw new Error("no such task");
      return {
        run: 1000 + one.run,
        dag_id: `d${dagOf(one.run)}`,
        task_id: `t${one.task}`,
        map_index: one.map_index,
        id: randomUUID() as string,
        state: one.state,
        pool: pool(task.pool),
        pool_slots: task.slots,
        priority_weight: task.weight,
        max_per_dag: task.max_per_dag,
        max_per_run: task.max_per_run,
      };
    });
  await database.owner.begin(async (tx) => {
    await tx`insert into airlock.tenant (tenant, max_running, weight, state)
      values ('acme', ${w.tenant.max}, ${w.tenant.weight}, ${w.tenant.active ? "active" : "suspended"})`;
    await tx`insert into airlock.pool (tenant, pool, slots, include_deferred)
      select 'acme', * from json_to_recordset(${JSON.stringify(w.pools.map((one, i) => ({ ...one, pool: pool(i) })))}::text::json)
        as p(pool text, slots int, include_deferred boolean)`;
    await tx`insert into airlock.dag (tenant, dag_id, repository, path, version, commit, environment, display_name, level, timetable,
             max_active_runs, max_active_tasks, is_paused)
      select 'acme', d.dag_id, 'main', 'x.py', 1, 'c', 'e', d.dag_id, d.level, '{}', 99, d.max_active_tasks, d.paused
        from json_to_recordset(${JSON.stringify(w.dags.map((one, i) => ({ ...one, dag_id: `d${i}` })))}::text::json)
          as d(dag_id text, level text, max_active_tasks int, paused boolean)`;
    await tx`insert into airlock.dag_run (tenant, run, dag_id, run_id, run_type, logical_date, run_after, state, version, repository,
             commit, path, environment)
      select 'acme', r.run, r.dag_id, r.run_id, 'manual', r.logical_date, now(), r.state, 1, 'main', 'c', 'x.py', 'e'
        from json_to_recordset(${JSON.stringify(runs)}::text::json)
          as r(run bigint, dag_id text, run_id text, logical_date timestamptz, state text)
       on conflict do nothing`;
    await tx`insert into airlock.task_instance (tenant, run, task_id, map_index, id, dag_id, state, try_number, pool, pool_slots, queue,
             priority_weight, max_per_dag, max_per_run, operator, order_at)
      select 'acme', i.run, i.task_id, i.map_index, i.id, i.dag_id, i.state, 1, i.pool, i.pool_slots, 'default', i.priority_weight,
             i.max_per_dag, i.max_per_run, 'PythonOperator', coalesce(r.logical_date, 'infinity')
        from json_to_recordset(${JSON.stringify(instances)}::text::json)
          as i(run bigint, task_id text, map_index int, id uuid, dag_id text, state text, pool text, pool_slots int, priority_weight int,
               max_per_dag int, max_per_run int)
        join airlock.dag_run r on r.tenant = 'acme' and r.run = i.run`;
    await tx`insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue)
      select tenant, id, run, dag_id, task_id, map_index, 1, case state when 'running' then 'running' else 'admitted' end, queue
        from airlock.task_instance where state in ('queued', 'running')`;
    await tx`insert into airlock.permit (tenant, attempt, run, dag_id, task_id, pool, slots, queue, level)
      select tenant, id, run, dag_id, task_id, pool, pool_slots, queue, '3' from airlock.task_instance
       where state in ('queued', 'running')`;
  });
  // What the database took: a run of a date that another run of the DAG has was left out.
  const kept = await database.owner<
    { id: string; run: string; task_id: string; map_index: number; state: string; dag_id: string }[]
  >`select id, run::text as run, task_id, map_index, state, dag_id from airlock.task_instance`;
  const byId = new Map(instances.map((one) => [one.id, one]));
  const runOf = new Map(runs.map((run) => [String(run.run), run]));
  type Kept = (typeof kept)[number];
  const count = (held: readonly Kept[], key: (one: Kept) => string) => {
    const counts = new Map<string, number>();
    for (const one of held) counts.set(key(one), (counts.get(key(one)) ?? 0) + 1);
    return counts;
  };
  const slots = (held: readonly Kept[]) => {
    const sums = new Map<string, number>();
    for (const one of held) {
      const { pool: name = "", pool_slots = 0 } = byId.get(one.id) ?? {};
      sums.set(name, (sums.get(name) ?? 0) + pool_slots);
    }
    return sums;
  };
  const held = kept.filter((one) => one.state === "queued" || one.state === "running");
  const deferred = slots(kept.filter((one) => one.state === "deferred"));
  const used = slots(held);
  for (const [i, one] of w.pools.entries())
    if (one.include_deferred)
      used.set(pool(i), (used.get(pool(i)) ?? 0) + (deferred.get(pool(i)) ?? 0));
  const waiting = kept.flatMap((one): Waiting[] => {
    const it = byId.get(one.id);
    const run = runOf.get(one.run);
    const dag = w.dags[Number(one.dag_id.slice(1))];
    if (it === undefined || run === undefined || dag === undefined) return [];
    if (one.state !== "scheduled" || dag.paused || run.state !== "running") return [];
    return [
      {
        id: one.id,
        dag_id: one.dag_id,
        run: one.run,
        task_id: one.task_id,
        map_index: one.map_index,
        logical_date_ms: run.logical_date === null ? undefined : Date.parse(run.logical_date),
        priority_weight: it.priority_weight,
        pool: it.pool,
        pool_slots: it.pool_slots,
        level: dag.level,
        max_active_tasks: dag.max_active_tasks,
        max_active_tis_per_dag: it.max_per_dag ?? undefined,
        max_active_tis_per_dagrun: it.max_per_run ?? undefined,
      },
    ];
  });
  return {
    inFlight: held.length,
    question: {
      waiting: w.tenant.active ? waiting : [],
      inUse: {
        tenant: held.length,
        pools: used,
        dags: count(held, (one) => one.dag_id),
        runs: count(held, (one) => one.run),
        tasks: count(held, (one) => taskKey(one.dag_id, one.task_id)),
        runTasks: count(held, (one) => taskKey(one.run, one.task_id)),
      },
      limits: {
        tenant: w.tenant.max,
        pools: new Map(w.pools.map((one, i) => [pool(i), one.slots])),
      },
    },
  };
}

test("SQL admits what the rule admits, in its order, at its priorities", async () => {
  let seen = 0;
  await fc.assert(
    fc.asyncProperty(world, async (w) => {
      await empty();
      const { question, inFlight } = await build(w);
      const expected = admit(question).admitted;
      seen += expected.length;
      const [answer] = await store.tx(acme, (tx) => rows.admit(tx, "acme"));
      const admitted = await database.owner<{ id: string }[]>`
        select i.id from airlock.change c
          join airlock.task_instance i on i.tenant = c.tenant and i.run = c.run and i.task_id = c.task_id and i.map_index = c.map_index
         where c.to_state = 'queued' order by c.seq`;
      expect(admitted.map((row) => row.id)).toEqual(expected);
      expect(answer?.admitted).toBe(expected.length);
      const jobs = await database.owner<{ key: string; priority: number }[]>`
        select key, priority from graphile_worker.jobs order by priority, id`;
      expect(jobs).toEqual(
        expected.map((id, i) => ({
          key: `a:${id}`,
          priority: priorityOf(inFlight + i + 1, w.tenant.weight),
        })),
      );
      const [permits] = await database.owner<{ n: number }[]>`
        select count(*)::int as n from airlock.permit`;
      expect(permits?.n).toBe(inFlight + expected.length);
    }),
    { numRuns: 400, seed: 20_260_101 },
  );
  expect(seen).toBeGreaterThan(250); // worlds in which nothing can move would prove nothing
}, 60_000);

test("the order keeps apart what nothing else does: runs by number, then tasks by name", () => {
  const one = { priority_weight: 1, map_index: -1, task_id: "a", run: "9" };
  expect(byTurn(one, { ...one, run: "10" })).toBeLessThan(0);
  expect(byTurn(one, { ...one, task_id: "b" })).toBeLessThan(0);
  expect(byTurn(one, one)).toBe(0);
});

/** Many instances of many runs of one DAG, all ready. */
const flood = async (tenant: string, size: number, more: { max?: number; pool?: number } = {}) => {
  await database.owner`insert into airlock.tenant (tenant, max_running) values (${tenant}, ${more.max ?? 64})`;
  await database.owner`insert into airlock.pool (tenant, pool, slots) values (${tenant}, 'p', ${more.pool ?? 1000})`;
  await database.owner`insert into airlock.dag (tenant, dag_id, repository, path, version, commit, environment, display_name, level,
      timetable, max_active_runs, max_active_tasks) values (${tenant}, 'd', 'main', 'x.py', 1, 'c', 'e', 'd', '2', '{}', 99, 100000)`;
  await database.owner`insert into airlock.dag_run (tenant, run, dag_id, run_id, run_type, run_after, state, version, repository, commit,
      path, environment) values (${tenant}, 1, 'd', 'r', 'manual', now(), 'running', 1, 'main', 'c', 'x.py', 'e')`;
  await database.owner`insert into airlock.task_instance (tenant, run, task_id, map_index, dag_id, state, try_number, pool, pool_slots,
      queue, priority_weight, operator, order_at)
    select ${tenant}, 1, 't', n, 'd', 'scheduled', 1, 'p', 1, 'default', 1, 'X', now() from generate_series(0, ${size - 1}) n`;
};

test("however many admit at once for one tenant, no limit is ever exceeded, and all room is used", async () => {
  await flood("acme", 200, { max: 50, pool: 20 });
  const answers = await Promise.all(
    Array.from({ length: 30 }, () =>
      store.tx(acme, async (tx) => (await rows.admit(tx, "acme"))[0]?.admitted ?? 0),
    ),
  );
  const [permits] = await database.owner<
    { n: number }[]
  >`select count(*)::int as n from airlock.permit`;
  expect(permits?.n).toBe(20);
  expect(answers.filter((n) => n > 0)).toEqual([20]);
});

test("who comes while another admits is told so, at once", async () => {
  await flood("acme", 3);
  await store.tx(acme, async (tx) => {
    await rows.admit(tx, "acme");
    const [second] = await store.tx(acme, (other) => rows.admit(other, "acme"));
    expect(second?.admitted).toBe(-1);
  });
});

test("a row that somebody holds is left out, and the answer says to come back", async () => {
  await flood("acme", 3);
  await database.owner.begin(async (tx) => {
    await tx`select 1 from airlock.task_instance where map_index = 1 for update`;
    const [answer] = await store.tx(acme, (other) => rows.admit(other, "acme"));
    expect(answer?.admitted).toBe(-1);
  });
  const left = await database.owner<{ map_index: number }[]>`
    select map_index from airlock.task_instance where state = 'scheduled'`;
  expect(left.map((row) => row.map_index)).toEqual([1]);
  const [again] = await store.tx(acme, (tx) => rows.admit(tx, "acme"));
  expect(again?.admitted).toBe(1);
});

test("everybody's first task stands before anybody's second, whatever a flood has queued", async () => {
  await flood("acme", 500, { max: 500 });
  await flood("globex", 2);
  await store.tx(acme, (tx) => rows.admit(tx, "acme"));
  await store.tx(known.tenant("globex"), (tx) => rows.admit(tx, "globex"));
  const first = await database.owner<{ tenant: string }[]>`
    select p.tenant from graphile_worker.jobs j join airlock.permit p on j.key = 'a:' || p.attempt
     order by j.priority, j.run_at, j.id limit 4`;
  expect(first.map((row) => row.tenant)).toEqual(["acme", "globex", "acme", "globex"]);
});

test("a tenant rings for itself alone", async () => {
  await flood("globex", 1);
  await store.tx(
    acme,
    (tx) => tx`
    select airlock.ring(${JSON.stringify([{ t: "globex", a: randomUUID(), q: "default", p: 0 }])}::text::json)`,
  );
  const [jobs] = await database.owner<{ n: number }[]>`
    select count(*)::int as n from graphile_worker.jobs`;
  expect(jobs?.n).toBe(0);
});
