import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type { DagId, RunId, RunKey, TenantId } from "../model/ids.ts";
import type { Json } from "../model/json.ts";
import type { RunFacts, RunOrigin } from "../model/run.ts";
import type { RunType } from "../model/states.ts";
import type { Store, Tx } from "../store/open.ts";
import type { RunRow } from "../store/run-rows.ts";
import type { Door, Turned } from "./advance-run.ts";
import type { DagCache } from "./dag-cache.ts";

export type NewRun = {
  readonly dag_id: DagId;
  readonly run_id: RunId;
  readonly run_type: RunType;
  /** ISO 8601; null: none (Airflow 3's manual runs without a date). */
  readonly logical_date: string | null;
  readonly interval_start: string | null;
  readonly interval_end: string | null;
  readonly run_after: string;
  readonly conf: Json;
  readonly triggered_by: "timetable" | "rest_api" | "cli" | "ui" | "operator" | "backfill" | "test";
  readonly by?: RunOrigin | undefined;
  readonly triggering_user: string | null;
  readonly note: string | null;
};

export type Created =
  | {
      readonly kind: "created";
      readonly run: RunKey;
      readonly state: "queued" | "running" | "success" | "failed";
    }
  /** A run with this id, or of this logical date, exists: creating is safe to repeat. */
  | { readonly kind: "exists"; readonly run_id: RunId }
  | { readonly kind: "no_such_dag" };

export type CreateDeps = { readonly store: Store; readonly door: Door; readonly dags: DagCache };

/** A run, and if the DAG's max_active_runs allows it its start as well, in one transaction. */
export async function createRun(deps: CreateDeps, tenant: TenantId, run: NewRun): Promise<Created> {
  let follow: (() => void) | undefined;
  const created = await deps.store.tx(tenant, async (tx): Promise<Created> => {
    const made = await createRunIn(deps, tx, tenant, run);
    follow = made.follow;
    if (failpointsSet) await hit("run_create.before_commit");
    return made.created;
  });
  if (failpointsSet) await hit("run_create.after_commit");
  follow?.();
  return created;
}

/** The same inside the caller's transaction; `follow` must be called once that is committed. */
export async function createRunIn(
  deps: CreateDeps,
  tx: Tx,
  tenant: TenantId,
  run: NewRun,
): Promise<{ readonly created: Created; readonly follow: (() => void) | undefined }> {
  // Lock the DAG: two runs created at once would each see a free place in max_active_runs. In a statement of its own,
  // since one that waits for a lock goes on with the snapshot from before its wait.
  const locked = lockDag(tx, tenant, run.dag_id);
  locked.catch(() => undefined);
  const [dag] = await tx<DagRow[]>`
    select d.version, d.repository, d.commit, d.path, d.environment, d.is_paused, d.max_active_runs,
           (select count(*)::int from airlock.dag_run r where r.tenant = d.tenant and r.dag_id = d.dag_id and r.state = 'running') as running,
           (select min(r.run_id) from airlock.dag_run r
             where r.tenant = d.tenant and r.dag_id = d.dag_id
               and (r.run_id = ${run.run_id} or r.logical_date = ${run.logical_date}::timestamptz)) as twin,
           nextval('airlock.run_key') as run,
           ${run.run_after}::timestamptz > clock_timestamp() as is_early,
           floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms
      from airlock.dag d
     where d.tenant = ${tenant} and d.dag_id = ${run.dag_id} and d.state = 'active'`;
  await locked;
  if (dag === undefined) return { created: { kind: "no_such_dag" }, follow: undefined };
  if (dag.twin !== null)
    return { created: { kind: "exists", run_id: dag.twin }, follow: undefined };

  void tx.last(tx`
    insert into airlock.dag_run (tenant, run, dag_id, run_id, run_type, logical_date, interval_start, interval_end, run_after,
           state, version, repository, commit, path, environment, conf, triggered_by, triggering_user, note,
           by_run, by_task, by_map_index)
    values (${tenant}, ${dag.run}, ${run.dag_id}, ${run.run_id}, ${run.run_type}, ${run.logical_date}, ${run.interval_start},
            ${run.interval_end}, ${run.run_after}, 'queued', ${dag.version}, ${dag.repository}, ${dag.commit}, ${dag.path},
            ${dag.environment}, ${JSON.stringify(run.conf)}::text::json, ${run.triggered_by}, ${run.triggering_user}, ${run.note},
            ${run.by?.run ?? null}, ${run.by?.task_id ?? null}, ${run.by?.map_index ?? null})`);
  void tx.last(tx`
    insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
    values (${tenant}, ${dag.run}, ${run.dag_id}, ${run.run_id}, '', -1, 0, null, 'queued')`);
  const row = newRow(dag, run);
  if (dag.is_paused || dag.is_early || dag.running >= dag.max_active_runs)
    return { created: { kind: "created", run: dag.run, state: "queued" }, follow: undefined };
  const compiled = await deps.dags.get(tx, tenant, run.dag_id, dag.version);
  const turned: Turned = await deps.door.turn(
    tx,
    tenant,
    row,
    compiled,
    [{ kind: "run_started" }],
    dag.now_ms,
  );
  return {
    created: { kind: "created", run: dag.run, state: turned.state },
    follow: () => deps.door.afterCommit(tenant, row, turned),
  };
}

const lockDag = (tx: Tx, tenant: TenantId, dagId: DagId) =>
  tx`
  select 1 from airlock.dag where tenant = ${tenant} and dag_id = ${dagId} for no key update`.execute();

type DagRow = {
  version: number;
  repository: RunRow["repository"];
  commit: RunRow["commit"];
  path: string;
  environment: string;
  is_paused: boolean;
  is_early: boolean;
  max_active_runs: number;
  running: number;
  twin: RunId | null;
  run: RunKey;
  now_ms: number;
};

function newRow(dag: DagRow, run: NewRun): RunRow {
  const facts: RunFacts = {
    dag_id: run.dag_id,
    run_id: run.run_id,
    run_type: run.run_type,
    state: "queued",
    ...(run.logical_date === null ? {} : { logical_date_ms: Date.parse(run.logical_date) }),
    has_instances: false,
    unfinished: 0,
    failed_leaves: 0,
  };
  return {
    run: dag.run,
    facts,
    version: dag.version,
    repository: dag.repository,
    commit: dag.commit,
    path: dag.path,
    environment: dag.environment,
  };
}

/**
 * Starts queued runs of a DAG while it has places: after one ended, after it was unpaused or its limit grew.
 * Each start is a turn of its own under that run's lock; the DAG's lock inside it keeps the count true.
 */
export async function startQueuedRuns(
  deps: CreateDeps,
  tenant: TenantId,
  dagId: DagId,
): Promise<number> {
  const waiting = await deps.store.tx(
    tenant,
    (tx) => tx<{ run: RunKey }[]>`
      select r.run from airlock.dag_run r join airlock.dag d on d.tenant = r.tenant and d.dag_id = r.dag_id
       where r.tenant = ${tenant} and r.dag_id = ${dagId} and r.state = 'queued' and not d.is_paused
         and r.run_after <= clock_timestamp()
         and (select count(*) from airlock.dag_run o where o.tenant = r.tenant and o.dag_id = r.dag_id and o.state = 'running') < d.max_active_runs
       order by r.run_type = 'backfill', r.run_after, r.run limit 32`,
  );
  let started = 0;
  for (const { run } of waiting) {
    const answer = await deps.door.advance(
      { tenant, run },
      {
        kind: "deed",
        why: "a place in max_active_runs",
        async plan({ tx, row }) {
          if (row.facts.state !== "queued") return [];
          const locked = lockDag(tx, tenant, dagId);
          locked.catch(() => undefined);
          const [place] = await tx<{ free: boolean }[]>`
            select not d.is_paused and d.max_active_runs >
                   (select count(*) from airlock.dag_run where tenant = ${tenant} and dag_id = ${dagId} and state = 'running') as free
              from airlock.dag d where d.tenant = ${tenant} and d.dag_id = ${dagId}`;
          await locked;
          return place?.free === true ? [{ kind: "run_started" }] : [];
        },
      },
    );
    if (answer.kind !== "done" || answer.state === "queued") break;
    started += 1;
  }
  return started;
}
