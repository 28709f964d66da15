/** All runs of a tenant by facets: the list with a cursor, the counts, and which runs a deed on many would mean. */
import type { RunState, RunType } from "../model/states.ts";
import { type Fragment, oneOf, type SeenIds, seenIn, type TimeRange, within } from "./filters.ts";
import type { Tx } from "./open.ts";
import { textArray } from "./text-array.ts";

export type RunFilter = {
  readonly seen: SeenIds;
  readonly states?: readonly string[] | undefined;
  readonly types?: readonly string[] | undefined;
  readonly dagIds?: readonly string[] | undefined;
  readonly tags?: readonly string[] | undefined;
  /** "": nobody, that is the schedule. */
  readonly users?: readonly string[] | undefined;
  readonly commits?: readonly string[] | undefined;
  readonly versions?: readonly number[] | undefined;
  /** In the run id, the DAG id or the conf. */
  readonly text?: string | undefined;
  readonly runAfter?: TimeRange | undefined;
};

export type ExploredRun = {
  readonly run: string;
  /** Microseconds since the epoch: part of the cursor. */
  readonly at_us: string;
  readonly dag_id: string;
  readonly run_id: string;
  readonly run_type: RunType;
  readonly state: RunState;
  readonly run_after: Date;
  readonly logical_date: Date | null;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
  readonly version: number;
  readonly commit: string;
  readonly triggered_by: string;
  readonly triggering_user: string | null;
  readonly note: string | null;
  readonly reason: string | null;
};

/** What counts for every facet alike. */
const baseOf = (tx: Tx, filter: RunFilter): Fragment => tx`
  r.tenant = airlock.current_tenant() and ${seenIn(tx, tx`r.dag_id`, filter.seen)}
  and ${within(tx, tx`r.run_after`, filter.runAfter)}
  and ${filter.text === undefined ? tx`true` : tx`(strpos(lower(r.run_id), ${filter.text.toLowerCase()}) > 0 or strpos(lower(r.dag_id), ${filter.text.toLowerCase()}) > 0 or strpos(lower(r.conf::text), ${filter.text.toLowerCase()}) > 0)`}
  and ${oneOf(tx, tx`r.version::text`, filter.versions?.map(String))}`;

const facetsOf = (tx: Tx, filter: RunFilter) => ({
  state: oneOf(tx, tx`r.state`, filter.states),
  run_type: oneOf(tx, tx`r.run_type`, filter.types),
  dag_id: oneOf(tx, tx`r.dag_id`, filter.dagIds),
  tag: isAny(filter.tags) ? tx`true` : tx`d.tags && ${textArray(filter.tags)}::text[]`,
  user: oneOf(tx, tx`coalesce(r.triggering_user, '')`, filter.users),
  commit: oneOf(tx, tx`r.commit`, filter.commits),
});

const isAny = (values: readonly string[] | undefined): values is undefined =>
  values === undefined || values.length === 0;

const whereOf = (tx: Tx, filter: RunFilter): Fragment => {
  const { state, run_type: type, dag_id: dag, tag, user, commit } = facetsOf(tx, filter);
  return tx`${baseOf(tx, filter)} and ${state} and ${type} and ${dag} and ${tag} and ${user} and ${commit}`;
};

export type RunPlace = { readonly atUs: string; readonly run: string };

/** Newest first; `after`: the last row of the page before. */
export const exploreRuns = async (
  tx: Tx,
  filter: RunFilter,
  after: RunPlace | undefined,
  limit: number,
): Promise<readonly ExploredRun[]> => tx<ExploredRun[]>`
  select r.run, (extract(epoch from r.run_after) * 1000000)::bigint::text as at_us, r.dag_id, r.run_id, r.run_type, r.state,
         r.run_after, r.logical_date, r.started_at, r.ended_at, r.version, r.commit, r.triggered_by, r.triggering_user,
         r.note, r.reason
    from airlock.dag_run r join airlock.dag d on d.tenant = r.tenant and d.dag_id = r.dag_id
   where ${whereOf(tx, filter)}
     and ${after === undefined ? tx`true` : tx`(r.run_after, r.run) < ('epoch'::timestamptz + ${after.atUs}::bigint * interval '1 microsecond', ${after.run}::bigint)`}
   order by r.run_after desc, r.run desc limit ${limit}`;

/** Keys of what the filter finds, newest first. */
export const findRunKeys = async (
  tx: Tx,
  filter: RunFilter,
  limit: number,
): Promise<readonly string[]> =>
  (
    await tx<{ run: string }[]>`
      select r.run from airlock.dag_run r join airlock.dag d on d.tenant = r.tenant and d.dag_id = r.dag_id
       where ${whereOf(tx, filter)} order by r.run_after desc, r.run desc limit ${limit}`
  ).map(({ run }) => run);

export type FacetRow = {
  readonly facet:
    | "state"
    | "run_type"
    | "dag_id"
    | "tag"
    | "user"
    | "commit"
    | "total"
    | "looked_at";
  readonly value: string;
  readonly count: number;
};

/** Of at most so many of the newest runs; more than that nobody reads, and counting them all would take seconds. */
export const facetRunsMax = 100_000;

/** How many runs each value would leave, the other facets as they are. */
export const countFacets = async (tx: Tx, filter: RunFilter): Promise<readonly FacetRow[]> => {
  const facets = facetsOf(tx, filter);
  return tx<FacetRow[]>`
    with b as materialized (
      select r.state, r.run_type, r.dag_id, d.tags, coalesce(r.triggering_user, '') as "user", r.commit,
             ${facets.state} as s, ${facets.run_type} as t, ${facets.dag_id} as g, ${facets.tag} as a, ${facets.user} as u,
             ${facets.commit} as c
        from airlock.dag_run r join airlock.dag d on d.tenant = r.tenant and d.dag_id = r.dag_id
       where ${baseOf(tx, filter)}
       order by r.run_after desc, r.run desc limit ${facetRunsMax})
    select 'state' as facet, state as value, count(*)::int as count from b where t and g and a and u and c group by state
    union all select 'run_type', run_type, count(*)::int from b where s and g and a and u and c group by run_type
    union all (select 'dag_id', dag_id, count(*)::int as n from b where s and t and a and u and c group by dag_id order by n desc, dag_id limit 60)
    union all (select 'tag', tag, count(*)::int as n from b, unnest(tags) as tag where s and t and g and u and c group by tag order by n desc, tag limit 40)
    union all (select 'user', "user", count(*)::int as n from b where s and t and g and a and c group by "user" order by n desc, "user" limit 30)
    union all (select 'commit', commit, count(*)::int as n from b where s and t and g and a and u group by commit order by n desc, commit limit 20)
    union all select 'total', '', count(*)::int from b where s and t and g and a and u and c
    union all select 'looked_at', '', count(*)::int from b`;
};

/** A run as a deed on many sees it. */
export type MeantRun = {
  readonly run: string;
  readonly dag_id: string;
  readonly run_id: string;
  readonly state: RunState;
  readonly instances: number;
  readonly failed: number;
  readonly unfinished: number;
};

/** In the order of the keys; what is not there, or not seen, is left out. */
export const readMeantRuns = async (
  tx: Tx,
  seen: SeenIds,
  keys: readonly string[],
): Promise<readonly MeantRun[]> => tx<MeantRun[]>`
  select r.run, r.dag_id, r.run_id, r.state, i.instances, i.failed, i.unfinished
    from unnest(${textArray(keys)}::text[]::bigint[]) with ordinality as k(run, n)
    join airlock.dag_run r on r.tenant = airlock.current_tenant() and r.run = k.run
    cross join lateral (
      select count(*) filter (where t.state is distinct from 'removed')::int as instances,
             count(*) filter (where t.state in ('failed', 'upstream_failed'))::int as failed,
             count(*) filter (where t.state is null or t.state not in ('success', 'failed', 'skipped', 'upstream_failed', 'removed'))::int as unfinished
        from airlock.task_instance t where t.tenant = r.tenant and t.run = r.run) i
   where ${seenIn(tx, tx`r.dag_id`, seen)}
   order by k.n`;

/** The newest run of a DAG that a person or a program started, and how many run now. */
export async function lastRunOf(
  tx: Tx,
  dagId: string,
): Promise<{
  readonly running: number;
  readonly run_id: string | null;
  readonly at: Date | null;
  readonly conf: string | null;
  readonly triggering_user: string | null;
}> {
  const [row] = await tx<
    {
      running: number;
      run_id: string | null;
      at: Date | null;
      conf: string | null;
      triggering_user: string | null;
    }[]
  >`
    select (select count(*)::int from airlock.dag_run o
             where o.tenant = airlock.current_tenant() and o.dag_id = ${dagId} and o.state = 'running') as running,
           l.run_id, l.queued_at as at, l.conf, l.triggering_user
      from (select 1) one
      left join lateral (
        select r.run_id, r.queued_at, r.conf::text as conf, r.triggering_user from airlock.dag_run r
         where r.tenant = airlock.current_tenant() and r.dag_id = ${dagId} and r.run_type = 'manual'
         order by r.run desc limit 1) l on true`;
  return row ?? { running: 0, run_id: null, at: null, conf: null, triggering_user: null };
}

/** How many task instances of a run are in which state; "": none yet. */
export const countInstances = async (
  tx: Tx,
  run: string,
): Promise<readonly { readonly state: string; readonly count: number }[]> => tx<
  { state: string; count: number }[]
>`
  select coalesce(state, '') as state, count(*)::int as count from airlock.task_instance
   where tenant = airlock.current_tenant() and run = ${run}::bigint group by 1 order by 1`;
