/** The writing side of DAGs and their versions: what a sync makes live, in one transaction with everything else of it. */
import type { DagSpec } from "../model/dag-spec.ts";
import type { CommitId, DagId, RepositoryId, TenantId } from "../model/ids.ts";
import { storable } from "../model/storable-text.ts";
import type { Tx } from "./open.ts";

export type LiveDag = {
  readonly dag_id: DagId;
  readonly path: string;
  readonly hash: string;
  readonly state: "active" | "retired";
};

/** Locks the repository until the transaction ends and says whether the lease is still `owner`'s. */
export async function holdRepository(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  owner: string,
): Promise<boolean> {
  const held = await tx`
    select 1 from airlock.repository
     where tenant = ${tenant} and repository = ${repository} and lease_owner = ${owner} for update`;
  return held.length === 1;
}

export async function readLiveDags(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
): Promise<readonly LiveDag[]> {
  return tx<LiveDag[]>`
    select d.dag_id, d.path, v.hash, d.state
      from airlock.dag d join airlock.dag_version v using (tenant, dag_id, version)
     where d.tenant = ${tenant} and d.repository = ${repository}`;
}

/** Of these ids, the ones that another repository of the tenant has live; and how many DAGs the others have in all. */
export async function readForeignDags(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  ids: readonly DagId[],
): Promise<{
  readonly owners: ReadonlyMap<DagId, { readonly repository: string; readonly path: string }>;
  readonly count: number;
}> {
  const [rows, counted] = await Promise.all([
    tx<{ dag_id: DagId; repository: string; path: string }[]>`
      select dag_id, repository, path from airlock.dag
       where tenant = ${tenant} and state = 'active' and repository <> ${repository} and dag_id = any(${[...ids]})`,
    tx<{ count: number }[]>`
      select count(*)::int from airlock.dag where tenant = ${tenant} and state = 'active' and repository <> ${repository}`,
  ]);
  return {
    owners: new Map(rows.map(({ dag_id, ...owner }) => [dag_id, owner])),
    count: counted[0]?.count ?? 0,
  };
}

export type DagToPublish = {
  readonly spec: DagSpec;
  readonly path: string;
  readonly hash: string;
  readonly environment: string;
  /** Text for lists, for example `0 6 * * *`. */
  readonly timetable_summary: string | null;
  readonly is_paused: boolean;
};

/**
 * New and changed DAGs: a version each (an old one with the same hash is taken again), the live row moves.
 * Pausing is people's: only a new DAG's wish counts. The scheduler plans them anew. Answers the ids that another repository took meanwhile: nothing of those was written.
 */
export async function publishDags(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  commit: CommitId,
  dags: readonly DagToPublish[],
): Promise<readonly DagId[]> {
  if (dags.length === 0) return [];
  const rows = dags.map(({ spec, path, hash, environment, timetable_summary, is_paused }) => ({
    dag_id: spec.dag_id,
    path,
    hash,
    environment,
    is_paused,
    display_name: storable(spec.display_name ?? spec.dag_id),
    description: spec.description === undefined ? null : storable(spec.description),
    tags: spec.tags.map(storable),
    owners: spec.owners.map(storable),
    level: spec.level,
    timetable: spec.timetable,
    timetable_summary,
    max_active_runs: spec.max_active_runs,
    max_active_tasks: spec.max_active_tasks,
    spec,
  }));
  const written = await tx<{ dag_id: DagId }[]>`
    with wanted as materialized (
      select * from json_to_recordset(${JSON.stringify(rows)}::text::json) as w (
        dag_id text, path text, hash text, environment text, is_paused boolean, display_name text, description text, tags text[],
        owners text[], level text, timetable jsonb, timetable_summary text, max_active_runs int, max_active_tasks int, spec json)
    ), numbered as (
      select w.*, coalesce(
               (select max(v.version) from airlock.dag_version v where v.tenant = ${tenant} and v.dag_id = w.dag_id and v.hash = w.hash),
               (select max(v.version) + 1 from airlock.dag_version v where v.tenant = ${tenant} and v.dag_id = w.dag_id), 1) as version
        from wanted w
    ), live as (
      insert into airlock.dag as d (tenant, dag_id, repository, path, is_paused, version, commit, environment, display_name, description,
                               tags, owners, level, timetable, timetable_summary, max_active_runs, max_active_tasks)
      select ${tenant}, n.dag_id, ${repository}, n.path, n.is_paused, n.version, ${commit}, n.environment, n.display_name, n.description,
             n.tags, n.owners, n.level, n.timetable, n.timetable_summary, n.max_active_runs, n.max_active_tasks
        from numbered n order by n.dag_id
      on conflict (tenant, dag_id) do update
         set repository = excluded.repository, path = excluded.path, state = 'active', version = excluded.version, commit = excluded.commit,
             environment = excluded.environment, display_name = excluded.display_name, description = excluded.description,
             tags = excluded.tags, owners = excluded.owners, level = excluded.level, timetable = excluded.timetable,
             timetable_summary = excluded.timetable_summary, max_active_runs = excluded.max_active_runs,
             max_active_tasks = excluded.max_active_tasks, plan_needed = true, last_parsed_at = clock_timestamp()
       where d.repository = excluded.repository or d.state = 'retired'
      returning d.dag_id, d.version
    ), versions as (
      insert into airlock.dag_version (tenant, dag_id, version, hash, spec, repository, path, commit)
      select ${tenant}, n.dag_id, n.version, n.hash, n.spec, ${repository}, n.path, ${commit}
        from numbered n join live l on l.dag_id = n.dag_id and l.version = n.version
      on conflict (tenant, dag_id, version) do nothing
    )
    select dag_id from live`;
  const done = new Set(written.map(({ dag_id }) => dag_id));
  return dags.map(({ spec }) => spec.dag_id).filter((id) => !done.has(id));
}

/** DAGs whose version did not change still move to the new checkout: their next run reads today's files. */
export async function moveDags(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  commit: CommitId,
  moves: readonly { readonly dag_id: DagId; readonly path: string; readonly environment: string }[],
): Promise<void> {
  if (moves.length === 0) return;
  await tx`
    update airlock.dag d set commit = ${commit}, path = m.path, environment = m.environment, state = 'active', last_parsed_at = clock_timestamp()
      from json_to_recordset(${JSON.stringify(moves)}::text::json) as m (dag_id text, path text, environment text)
     where d.tenant = ${tenant} and d.repository = ${repository} and d.dag_id = m.dag_id`;
}

/** Their history stays; no new run begins. */
export async function retireDags(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  ids: readonly DagId[],
): Promise<number> {
  if (ids.length === 0) return 0;
  const retired = await tx`
    update airlock.dag set state = 'retired', next_logical_at = null, next_interval_start = null, next_interval_end = null, next_run_at = null
     where tenant = ${tenant} and repository = ${repository} and dag_id = any(${[...ids]}) and state = 'active' returning 1`;
  return retired.length;
}

export async function moveHead(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  commit: CommitId,
): Promise<void> {
  await tx`
    update airlock.repository
       set last_change_at = case when head_commit is distinct from ${commit} then clock_timestamp() else last_change_at end,
           head_commit = ${commit}
     where tenant = ${tenant} and repository = ${repository}`;
}
