/** All DAGs of a tenant that one may see, with their last runs, for a list that filters without asking again. */
import type { Timetable } from "../model/dag-spec.ts";
import type { RunColumns } from "../model/run-strip.ts";
import { oneOf, type SeenIds, seenIn } from "./filters.ts";
import type { Tx } from "./open.ts";

export type DagIndexRow = {
  readonly dag_id: string;
  readonly display_name: string;
  readonly repository: string;
  readonly path: string;
  readonly is_paused: boolean;
  readonly tags: readonly string[];
  readonly owners: readonly string[];
  readonly timetable: Timetable;
  readonly max_active_runs: number;
  readonly next_run_at: Date | null;
  readonly has_import_error: boolean;
  readonly running: number;
  readonly queued: number;
  /** Newest first, up to `stripLength`. */
  readonly runs: RunColumns;
  readonly may_read_runs: boolean;
  readonly may_pause: boolean;
  readonly may_trigger: boolean;
};

export const stripLength = 25;

/** Which ids each deed is allowed on. */
export type DagIndexRights = {
  readonly dag: SeenIds;
  readonly runs: SeenIds;
  readonly pause: SeenIds;
  readonly trigger: SeenIds;
};

/**
 * One statement. Per DAG it takes the first rows of `dag_run_recent`; what runs or waits comes from `dag_run_open`,
 * which holds nothing else. Task instances are not looked at: there may be a million.
 */
export async function listDagIndex(
  tx: Tx,
  query: {
    readonly rights: DagIndexRights;
    /** Only these; undefined: all. */
    readonly dagIds?: readonly string[] | undefined;
    readonly limit: number;
  },
): Promise<readonly DagIndexRow[]> {
  const rows = await dagIndexStatement(tx, query);
  return rows.map(({ run_ids, states, times, ...row }) => ({
    ...row,
    runs: runsOf(run_ids, states, times),
  }));
}

type StoredRow = Omit<DagIndexRow, "runs"> & {
  readonly run_ids: string | null;
  readonly states: string | null;
  readonly times: Buffer | null;
};

/** Exported for the test of its plan. */
export const dagIndexStatement = (tx: Tx, query: Parameters<typeof listDagIndex>[1]) => tx<
  StoredRow[]
>`
  with open_runs as materialized (
    select r.dag_id, count(*) filter (where r.state = 'running')::int as running,
           count(*) filter (where r.state = 'queued')::int as queued
      from airlock.dag_run r
     where r.tenant = airlock.current_tenant() and r.state in ('queued', 'running') and ${oneOf(tx, tx`r.dag_id`, query.dagIds)}
     group by r.dag_id)
  select d.dag_id, d.display_name, d.repository, d.path, d.is_paused, to_json(d.tags) as tags, to_json(d.owners) as owners,
         d.timetable, d.max_active_runs, d.next_run_at, e.path is not null as has_import_error,
         case when d.may_read_runs then coalesce(o.running, 0) else 0 end as running,
         case when d.may_read_runs then coalesce(o.queued, 0) else 0 end as queued,
         l.run_ids, l.states, l.times, d.may_read_runs, d.may_pause, d.may_trigger
    from (
      select d.*, ${seenIn(tx, tx`d.dag_id`, query.rights.runs)} as may_read_runs,
             ${seenIn(tx, tx`d.dag_id`, query.rights.pause)} as may_pause,
             ${seenIn(tx, tx`d.dag_id`, query.rights.trigger)} as may_trigger
        from airlock.dag d
       where d.tenant = airlock.current_tenant() and d.state = 'active' and ${seenIn(tx, tx`d.dag_id`, query.rights.dag)}
         and ${oneOf(tx, tx`d.dag_id`, query.dagIds)}
       order by d.dag_id limit ${query.limit}) d
    left join airlock.import_error e on e.tenant = d.tenant and e.repository = d.repository and e.path = d.path
    left join open_runs o on o.dag_id = d.dag_id
    left join lateral (
      select string_agg(r.run_id, ' ') as run_ids, string_agg(left(r.state, 1), '') as states,
             string_agg(timestamptz_send(r.run_after) || coalesce(timestamptz_send(r.started_at), ${noTime}::bytea)
               || coalesce(timestamptz_send(r.ended_at), ${noTime}::bytea), '') as times
        from (select r.run_id, r.state, r.run_after, r.started_at, r.ended_at from airlock.dag_run r
               where r.tenant = d.tenant and r.dag_id = d.dag_id and d.may_read_runs
               order by r.run_after desc limit ${stripLength}) r) l on true
   order by d.dag_id`;

/** A time that is not there: eight bytes, as those that are. */
const noTime = Buffer.from("8000000000000000", "hex");

/**
 * Twenty-five thousand runs as three values per DAG: to write and read each time as text was more than half of the
 * whole. A run id holds no blank.
 */
function runsOf(runIds: string | null, states: string | null, times: Buffer | null): RunColumns {
  if (runIds === null || states === null || times === null)
    return { ids: "", states: "", timeAt: () => Number.NaN };
  return { ids: runIds, states, timeAt: (place) => secondsAt(times, place * 8) };
}

/** Postgres' binary form: microseconds since 2000. */
function secondsAt(bytes: Buffer, place: number): number {
  const high = bytes.readInt32BE(place);
  return high === -0x8000_0000
    ? Number.NaN
    : (high * 0x1_0000_0000 + bytes.readUInt32BE(place + 4)) / 1e6 + 946_684_800;
}
