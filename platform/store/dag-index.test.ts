/** A thousand DAGs with their history: the index reads the newest runs of each, and no task instance at all. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import { known } from "../model/ids.ts";
import { listFailures, listLateDags, listOpenTasks, listPoolPressure } from "./attention.ts";
import { type DagIndexRights, dagIndexStatement, listDagIndex, stripLength } from "./dag-index.ts";
import type { SeenIds } from "./filters.ts";
import { openStore, type Store, type Tx } from "./open.ts";
import type { Scope } from "./seen-across.ts";

const dags = 300;
const runsPerDag = 60;
let database: TestDatabase;
let store: Store;
const acme = known.tenant("acme");
const all: SeenIds = { allow: { kind: "all" }, deny: { kind: "some", ids: [], ranges: [] } };
const scopes: readonly Scope[] = [
  {
    tenant: acme,
    dags: all,
    runs: all,
    code: all,
    repositories: all,
    pools: all,
    wholeTenant: true,
  },
];
const rights: DagIndexRights = { dag: all, runs: all, pause: all, trigger: all };

beforeAll(async () => {
  database = await openDatabase();
  store = openStore(database.url, { connectionsMax: 2 });
  await seedManyDags(database, dags, runsPerDag, 10);
}, 60_000);
afterAll(async () => {
  await store.close();
  await database.drop();
});

/** What the connection has read, table by table, by Postgres' own count. */
type Read = { readonly relname: string; readonly seq: number; readonly idx: number };
const countReads = (tx: Tx) => tx<Read[]>`
  select relname::text, coalesce(seq_tup_read, 0)::int as seq, coalesce(idx_tup_fetch, 0)::int as idx
    from pg_stat_xact_user_tables where schemaname = 'airlock' and relname in ('dag_run', 'task_instance')`;

test("it reads the newest runs of each DAG by their index, and no task instance", async () => {
  const before = new Map<string, Read>();
  const { rows, reads } = await store.tx(acme, async (tx) => {
    for (const read of await countReads(tx)) before.set(read.relname, read);
    const rows = await listDagIndex(tx, { rights, limit: 10_000 });
    return { rows, reads: await countReads(tx) };
  });
  expect(rows).toHaveLength(dags);
  const readOf = (name: string): { seq: number; idx: number } => {
    const now = reads.find(({ relname }) => relname === name) ?? { seq: 0, idx: 0 };
    const was = before.get(name) ?? { seq: 0, idx: 0 };
    return { seq: now.seq - was.seq, idx: now.idx - was.idx };
  };
  expect(readOf("task_instance")).toEqual({ seq: 0, idx: 0 });
  const { seq, idx } = readOf("dag_run");
  expect(seq).toBe(0);
  expect(idx).toBeGreaterThanOrEqual(dags * stripLength);
  // The newest of each, and what is open, once more: never the history.
  expect(idx).toBeLessThan(dags * (stripLength + 5));
});

test("the plan takes the newest runs from dag_run_recent", async () => {
  const plan = await store.tx(acme, async (tx) => {
    const statement = dagIndexStatement(tx, { rights, limit: 10_000 });
    return tx<{ "QUERY PLAN": string }[]>`explain (costs off) ${statement}`;
  });
  const text = plan.map((row) => row["QUERY PLAN"]).join("\n");
  expect(text).toMatch(/Index (?:Only )?Scan using dag_run_recent/);
  expect(text).not.toMatch(/Seq Scan on dag_run|task_instance/);
});

test("a row has its last runs, newest first, what is open, and what one may do", async () => {
  const [first] = await store.tx(acme, (tx) => listDagIndex(tx, { rights, limit: 10_000 }));
  expect(first).toMatchObject({
    dag_id: "dag_00001",
    running: 1,
    queued: 0,
    has_import_error: false,
    may_pause: true,
    may_trigger: true,
  });
  expect(first?.runs.ids.split(" ")).toHaveLength(stripLength);
  const at = Date.parse("2026-01-01") / 1000 + runsPerDag * 3600;
  expect(first?.runs.ids).toMatch(`run_${runsPerDag} run_${runsPerDag - 1} `);
  expect(first?.runs.states.slice(0, 2)).toBe("rs");
  expect([0, 1, 2, 3, 4, 5].map((place) => first?.runs.timeAt(place))).toEqual([
    at,
    at,
    Number.NaN,
    at - 3600,
    at - 3600,
    at - 3600 + 90.5,
  ]);
});

test("what one may not see is not in it: not the DAG, not its runs, not the deeds", async () => {
  const only = (...ids: readonly string[]): SeenIds => ({
    allow: { kind: "some", ids, ranges: [] },
    deny: { kind: "some", ids: [], ranges: [] },
  });
  const rows = await store.tx(acme, (tx) =>
    listDagIndex(tx, {
      rights: {
        dag: only("dag_00001", "dag_00002"),
        runs: only("dag_00002"),
        pause: only(),
        trigger: only("dag_00001"),
      },
      limit: 10_000,
    }),
  );
  expect(rows).toMatchObject([
    {
      dag_id: "dag_00001",
      runs: { ids: "", states: "" },
      running: 0,
      may_pause: false,
      may_trigger: true,
    },
    { dag_id: "dag_00002", running: 1, may_pause: false, may_trigger: false },
  ]);
});

test("asked for some DAGs it answers those alone, and never more than the limit", async () => {
  await store.tx(acme, async (tx) => {
    const some = await listDagIndex(tx, { rights, dagIds: ["dag_00003", "nope"], limit: 10 });
    expect(some.map(({ dag_id }) => dag_id)).toEqual(["dag_00003"]);
    expect(await listDagIndex(tx, { rights, limit: 7 })).toHaveLength(7);
  });
});

test.each<[string, (tx: Tx) => Promise<unknown>, number]>([
  ["failures", (tx) => listFailures(tx, scopes, 200), 50],
  // Five open ones, and of each task what it took in the last 25 runs.
  [
    "what is open",
    (tx) => listOpenTasks(tx, scopes, { olderS: 60, perTenant: 5, limit: 5 }),
    1_500,
  ],
  ["late", (tx) => listLateDags(tx, scopes, { byS: 60, limit: 10 }), 100],
  [
    "pools",
    (tx) => listPoolPressure(tx, scopes, { waitingMax: 100, limit: 10, onlyUsed: false }),
    400,
  ],
])("what needs attention is found without reading the history: %s", async (_name, ask, most) => {
  for (const how of ["one tenant", "all tenants"]) {
    const measured = async (tx: Tx): Promise<number> => {
      const before = await countReads(tx);
      await ask(tx);
      const after = await countReads(tx);
      const sum = (reads: readonly Read[]): number =>
        reads.reduce((all, { seq, idx }) => all + seq + idx, 0);
      return sum(after) - sum(before);
    };
    const read =
      how === "one tenant" ? await store.tx(acme, measured) : await store.system(measured);
    expect(read).toBeLessThan(most);
  }
});

/** Each DAG: one running run, the rest ended; each run with `tasks` instances. */
async function seedManyDags(
  { owner }: TestDatabase,
  dagCount: number,
  runCount: number,
  tasks: number,
): Promise<void> {
  await owner`insert into airlock.tenant (tenant) values ('acme')`;
  // After a vacuum the index alone would answer, and no row be read that could be counted.
  await owner`alter table airlock.dag_run set (autovacuum_enabled = off)`;
  await owner`
    insert into airlock.dag (tenant, dag_id, repository, path, version, commit, environment, display_name, tags, owners, level,
           timetable, max_active_runs, max_active_tasks, next_run_at)
    select 'acme', 'dag_' || lpad(n::text, 5, '0'), 'main', 'dags/' || n || '.py', 1, 'c', 'e', 'DAG ' || n, '{etl}', '{data}', '3',
           '{"kind":"none"}', 16, 16, now() from generate_series(1, ${dagCount}::int) n`;
  await owner`
    insert into airlock.dag_run (tenant, dag_id, run_id, run_type, logical_date, run_after, state, version, repository, commit, path,
           environment, has_instances, started_at, ended_at)
    select 'acme', d.dag_id, 'run_' || n, 'scheduled', '2026-01-01'::timestamptz + n * interval '1 hour',
           '2026-01-01'::timestamptz + n * interval '1 hour',
           case when n = ${runCount}::int then 'running' else 'success' end, 1, 'main', 'c', 'x.py', 'e', true,
           '2026-01-01'::timestamptz + n * interval '1 hour',
           case when n < ${runCount}::int then '2026-01-01'::timestamptz + n * interval '1 hour' + interval '90.5 s' end
      from airlock.dag d, generate_series(1, ${runCount}::int) n`;
  await owner`
    insert into airlock.task_instance (tenant, run, task_id, map_index, dag_id, state, try_number, pool, pool_slots, queue,
           priority_weight, operator, order_at)
    select 'acme', r.run, 't' || n, -1, r.dag_id, 'success', 1, 'default_pool', 1, 'default', 1, 'X', r.logical_date
      from airlock.dag_run r, generate_series(1, ${tasks}::int) n`;
  // A few are open, and a few failed just now.
  await owner`
    update airlock.task_instance i set state = 'running', started_at = now() - interval '1 hour' from airlock.dag_run r
     where r.tenant = i.tenant and r.run = i.run and r.state = 'running' and i.task_id = 't1' and i.dag_id < 'dag_00020'`;
  await owner`
    update airlock.task_instance i set state = 'failed', ended_at = now(), reason = 'bad' from airlock.dag_run r
     where r.tenant = i.tenant and r.run = i.run and r.state = 'running' and i.task_id = 't2' and i.dag_id < 'dag_00003'`;
  await owner`insert into airlock.pool (tenant, pool, slots) values ('acme', 'default_pool', 128)`;
  await owner`analyze`;
}
