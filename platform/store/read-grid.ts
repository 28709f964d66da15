/** The grid, the trends and the versions of one DAG, for the page. In a tenant's transaction. */
import type { Timetable } from "../model/dag-spec.ts";
import type { RunState, RunType } from "../model/states.ts";
import { type Fragment, oneOf } from "./filters.ts";
import type { Tx } from "./open.ts";

export type GridRunRow = {
  readonly run: string;
  readonly run_id: string;
  readonly run_type: RunType;
  readonly state: RunState;
  readonly run_after: Date;
  /** Text with microseconds: the cursor must not lose a run between two milliseconds. */
  readonly place: string;
  readonly logical_date: Date | null;
  readonly queued_at: Date;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
  readonly version: number;
  readonly version_id: string | null;
  readonly commit: string;
  /** Of the last change of the run or its instances that the feed still knows. */
  readonly changed: string | null;
};

/** Newest first. `before`: place and number of the last one of the page before. */
export const listGridRuns = async (
  tx: Tx,
  query: {
    readonly dagId: string;
    readonly runId?: string | undefined;
    readonly states?: readonly string[] | undefined;
    readonly types?: readonly string[] | undefined;
    readonly before?: { readonly place: string; readonly run: string } | undefined;
    readonly limit: number;
  },
): Promise<readonly GridRunRow[]> =>
  tx<GridRunRow[]>`
    select r.run, r.run_id, r.run_type, r.state, r.run_after, r.run_after::text as place, r.logical_date, r.queued_at,
           r.started_at, r.ended_at, r.version, v.id as version_id, r.commit, c.seq as changed
      from airlock.dag_run r
      left join airlock.dag_version v on v.tenant = r.tenant and v.dag_id = r.dag_id and v.version = r.version
      left join lateral (
        select c.seq from airlock.change c where c.tenant = r.tenant and c.run = r.run order by c.seq desc limit 1) c on true
     where r.tenant = airlock.current_tenant() and r.dag_id = ${query.dagId}
       and ${query.runId === undefined ? tx`true` : tx`r.run_id = ${query.runId}`}
       and ${oneOf(tx, tx`r.state`, query.states)} and ${oneOf(tx, tx`r.run_type`, query.types)}
       and ${
         query.before === undefined
           ? tx`true`
           : tx`r.run_after <= ${query.before.place}::text::timestamptz
                and (r.run_after, r.run) < (${query.before.place}::text::timestamptz, ${query.before.run}::text::bigint)`
       }
     order by r.run_after desc, r.run desc limit ${query.limit}`;

/**
 * All task instances of runs, one row per run: lines of "task, state" and, with `times`, epoch milliseconds of
 * queued, started, ended. Texts, because 250,000 rows would cost more than everything else together. Run by run along
 * the key, and aggregated in there: asked for as one set, a tenant that has most of the table makes it be read whole
 * and sorted. `date_part`, not `extract`: that makes numerics, which cost three times as much as the rest.
 */
export const readGridCells = async (
  tx: Tx,
  query: { readonly runs: readonly string[]; readonly times: boolean },
): Promise<readonly { readonly run: string; readonly lines: string }[]> => {
  const ms = (column: "queued_at" | "started_at" | "ended_at") =>
    tx`coalesce((date_part('epoch', t.${tx(column)}) * 1000)::bigint::text, '')`;
  return tx<{ run: string; lines: string }[]>`
    select asked.run, coalesce(found.lines, '') as lines
      from unnest(${`{${query.runs.join(",")}}`}::text::bigint[]) asked(run) cross join lateral (
        select string_agg(t.task_id || ' ' || coalesce(t.state, '')
                 ${query.times ? tx`|| ' ' || ${ms("queued_at")} || ' ' || ${ms("started_at")} || ' ' || ${ms("ended_at")}` : tx``},
                 E'\n') as lines
          from airlock.task_instance t
         where t.tenant = airlock.current_tenant() and t.run = asked.run) found`;
};

/** Which versions there are, by number. */
export const listVersionIds = async (
  tx: Tx,
  dagId: string,
  versions: readonly number[],
): Promise<readonly { readonly version: number; readonly id: string }[]> =>
  tx<{ version: number; id: string }[]>`
    select v.version, v.id from airlock.dag_version v
     where v.tenant = airlock.current_tenant() and v.dag_id = ${dagId}
       and v.version = any(${`{${versions.join(",")}}`}::text::int[]) order by v.version desc`;

// ---- trends

export type TrendRow = {
  readonly at: Date;
  readonly runs: number;
  readonly failed: number;
  readonly ran_median: number | null;
  readonly ran_p95: number | null;
  readonly waited_median: number | null;
  readonly waited_p95: number | null;
  readonly landed_median: number | null;
  readonly landed_p95: number | null;
};

/** At most this many of the newest runs are looked at. */
export const trendRunsMax = 5_000;

const recentRuns = (tx: Tx, dagId: string, since: Date): Fragment => tx`
  (select * from airlock.dag_run
    where tenant = airlock.current_tenant() and dag_id = ${dagId} and run_after >= ${since.toISOString()}::timestamptz
      and run_after <= clock_timestamp() + interval '1 day'
    order by run_after desc limit ${trendRunsMax}) r`;

/** Ended runs since a time, in steps of `stepSeconds`. */
export const readTrends = async (
  tx: Tx,
  query: { readonly dagId: string; readonly since: Date; readonly stepSeconds: number },
): Promise<readonly TrendRow[]> => {
  const half = (of: Fragment): Fragment =>
    tx`percentile_cont(0.5) within group (order by extract(epoch from ${of})::float8)`;
  const most = (of: Fragment): Fragment =>
    tx`percentile_cont(0.95) within group (order by extract(epoch from ${of})::float8)`;
  const ran = tx`r.ended_at - r.started_at`;
  const waited = tx`r.started_at - greatest(r.queued_at, r.run_after)`;
  // A run without an interval lands nowhere.
  const landed = tx`case when r.run_type = 'scheduled' then r.ended_at - r.interval_end end`;
  return tx<TrendRow[]>`
    select date_bin(make_interval(secs => ${query.stepSeconds}), r.run_after, ${query.since.toISOString()}::timestamptz) as at,
           count(*)::int as runs, (count(*) filter (where r.state = 'failed'))::int as failed,
           ${half(ran)} as ran_median, ${most(ran)} as ran_p95, ${half(waited)} as waited_median, ${most(waited)} as waited_p95,
           ${half(landed)} as landed_median, ${most(landed)} as landed_p95
      from ${recentRuns(tx, query.dagId, query.since)}
     where r.ended_at is not null
     group by 1 order by 1`;
};

export type FailureRow = {
  readonly task_id: string;
  readonly reason: string | null;
  readonly count: number;
  readonly last_at: Date | null;
  readonly last_run_id: string;
};

/** Task instances that failed in the newest 100 failed runs since a time, by task and reason. */
export const readFailures = async (
  tx: Tx,
  query: { readonly dagId: string; readonly since: Date },
): Promise<readonly FailureRow[]> =>
  tx<FailureRow[]>`
    with failed as materialized (
      select r.run, r.run_id from ${recentRuns(tx, query.dagId, query.since)}
       where r.state = 'failed' order by r.run_after desc limit 100)
    select t.task_id, left(coalesce(t.reason, a.reason), 600) as reason, count(*)::int as count, max(t.ended_at) as last_at,
           (array_agg(f.run_id order by t.ended_at desc nulls last))[1] as last_run_id
      from failed f join airlock.task_instance t on t.tenant = airlock.current_tenant() and t.run = f.run and t.state = 'failed'
      left join lateral (
        select a.reason from airlock.attempt a
         where a.tenant = t.tenant and a.run = t.run and a.task_id = t.task_id and a.map_index = t.map_index
           and a.try_number = t.try_number
         order by a.admitted_at desc limit 1) a on true
     group by 1, 2 order by 3 desc, 1 limit 500`;

// ---- versions

export type DeployedVersionRow = {
  readonly version: number;
  readonly commit: string;
  readonly repository: string;
  readonly path: string;
  readonly created_at: Date;
  readonly runs: number;
  readonly first_run_id: string | null;
  readonly first_run_state: RunState | null;
  readonly first_run_at: Date | null;
};

/** Newest first; runs are counted among the newest 5,000. */
export const listDeployedVersions = async (
  tx: Tx,
  query: { readonly dagId: string; readonly before?: number | undefined; readonly limit: number },
): Promise<readonly DeployedVersionRow[]> =>
  tx<DeployedVersionRow[]>`
    with recent as (
      select version, run from airlock.dag_run
       where tenant = airlock.current_tenant() and dag_id = ${query.dagId} order by run_after desc limit ${trendRunsMax}
    ), used as (
      select version, min(run) as first, count(*)::int as runs from recent group by version
    )
    select v.version, v.commit, v.repository, v.path, v.created_at, coalesce(u.runs, 0) as runs, r.run_id as first_run_id,
           r.state as first_run_state, coalesce(r.started_at, r.queued_at) as first_run_at
      from airlock.dag_version v left join used u on u.version = v.version
      left join airlock.dag_run r on r.tenant = v.tenant and r.run = u.first
     where v.tenant = airlock.current_tenant() and v.dag_id = ${query.dagId}
       and ${query.before === undefined ? tx`true` : tx`v.version < ${query.before}`}
     order by v.version desc limit ${query.limit}`;

/** Commits at which the DAG changed since a time. */
export const listChangesSince = async (
  tx: Tx,
  query: { readonly dagId: string; readonly since: Date },
): Promise<readonly { readonly version: number; readonly commit: string; readonly at: Date }[]> =>
  tx<{ version: number; commit: string; at: Date }[]>`
    select v.version, v.commit, v.created_at as at from airlock.dag_version v
     where v.tenant = airlock.current_tenant() and v.dag_id = ${query.dagId}
       and v.created_at >= ${query.since.toISOString()}::timestamptz
     order by v.version desc limit 200`;

export type LastRunRow = {
  readonly run_id: string;
  readonly state: RunState;
  readonly run_after: Date;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
};

export async function readLastRun(tx: Tx, dagId: string): Promise<LastRunRow | undefined> {
  const [row] = await tx<LastRunRow[]>`
    select run_id, state, run_after, started_at, ended_at from airlock.dag_run
     where tenant = airlock.current_tenant() and dag_id = ${dagId} order by run_after desc limit 1`;
  return row;
}

export type DagHeadRow = {
  readonly dag_id: string;
  readonly display_name: string;
  readonly description: string | null;
  readonly repository: string;
  readonly path: string;
  readonly state: "active" | "retired";
  readonly is_paused: boolean;
  readonly version: number;
  readonly version_id: string;
  readonly commit: string;
  readonly tags: readonly string[];
  readonly owners: readonly string[];
  readonly level: string;
  readonly timetable: Timetable;
  readonly timetable_summary: string | null;
  readonly next_run_at: Date | null;
  readonly next_interval_start: Date | null;
  readonly next_interval_end: Date | null;
  readonly last_parsed_at: Date;
};

/** What a DAG's row says, without a look into its spec: that of 5,000 tasks is megabytes. */
export async function readDagHead(tx: Tx, dagId: string): Promise<DagHeadRow | undefined> {
  const [row] = await tx<DagHeadRow[]>`
    select d.dag_id, d.display_name, d.description, d.repository, d.path, d.state, d.is_paused, d.version, v.id as version_id,
           d.commit, to_json(d.tags) as tags, to_json(d.owners) as owners, d.level, d.timetable, d.timetable_summary,
           d.next_run_at, d.next_interval_start, d.next_interval_end, d.last_parsed_at
      from airlock.dag d join airlock.dag_version v using (tenant, dag_id, version)
     where d.tenant = airlock.current_tenant() and d.dag_id = ${dagId}`;
  return row;
}
