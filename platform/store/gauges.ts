/**
 * What the gauges of all tenants are read from: two statements for whoever scrapes, none for anybody else. Each reads
 * what is open through the indexes of open rows, and of a tenant in which a million instances wait no more than its
 * bound. System transactions.
 */
import type { Tx } from "./open.ts";

/** Ready instances are counted up to here, per tenant. */
const readyMax = 10_000;
/** Runs of a DAG that are looked through for its last success. */
const runsBack = 30;

export type Gauges = {
  readonly tasks: readonly {
    readonly tenant: string;
    readonly state: string;
    readonly n: number;
  }[];
  readonly ready: readonly {
    readonly tenant: string;
    readonly queue: string;
    readonly n: number;
    readonly age_s: number;
  }[];
  readonly admitted: readonly {
    readonly queue: string;
    readonly n: number;
    readonly age_s: number;
  }[];
  readonly pools: readonly {
    readonly tenant: string;
    readonly pool: string;
    readonly slots: number;
    readonly include_deferred: boolean;
    readonly running: number;
    readonly queued: number;
    readonly deferred: number;
  }[];
  readonly workers: readonly { readonly state: string; readonly n: number }[];
  readonly roles: readonly { readonly role: string; readonly at_s: number }[];
  readonly repositories: readonly {
    readonly tenant: string;
    readonly failing: number;
    readonly synced_s: number | null;
  }[];
  readonly import_errors: readonly { readonly tenant: string; readonly n: number }[];
  readonly dags: readonly { readonly tenant: string; readonly n: number }[];
};

export async function readGauges(tx: Tx): Promise<Gauges> {
  const [row] = await tx<Gauges[]>`
    with ready as materialized (
      select t.tenant, w.queue, count(*)::int as n,
             greatest(0, extract(epoch from clock_timestamp() - min(w.scheduled_at)))::float8 as age_s
        from airlock.tenant t cross join lateral (
          select i.queue, i.scheduled_at from airlock.task_instance i
           where i.tenant = t.tenant and i.state = 'scheduled' limit ${readyMax}) w
       group by 1, 2),
    held as materialized (
      select p.tenant, p.pool, a.queue, a.state, p.slots, a.admitted_at
        from airlock.permit p join airlock.attempt a on a.tenant = p.tenant and a.attempt = p.attempt
       where a.state in ('admitted', 'running')),
    deferred as materialized (
      select tenant, pool, count(*)::int as n, sum(pool_slots)::int as slots from airlock.task_instance
       where state = 'deferred' group by 1, 2)
    select
      (select coalesce(json_agg(s), '[]') from (
         select tenant, 'ready' as state, sum(n)::int as n from ready group by 1
         union all
         select tenant, case state when 'admitted' then 'queued' else 'running' end, count(*)::int from held group by 1, 2
         union all
         select tenant, 'deferred', sum(n)::int from deferred group by 1
         union all
         select tenant, case kind when 'retry' then 'up_for_retry' else 'up_for_reschedule' end, count(*)::int
           from airlock.timer where kind in ('retry', 'reschedule') group by 1, 2) s) as tasks,
      (select coalesce(json_agg(r), '[]') from ready r) as ready,
      (select coalesce(json_agg(q), '[]') from (
         select queue, count(*)::int as n,
                greatest(0, extract(epoch from clock_timestamp() - min(admitted_at)))::float8 as age_s
           from held where state = 'admitted' group by 1) q) as admitted,
      (select coalesce(json_agg(o), '[]') from (
         select p.tenant, p.pool, p.slots, p.include_deferred,
                coalesce(sum(h.slots) filter (where h.state = 'running'), 0)::int as running,
                coalesce(sum(h.slots) filter (where h.state = 'admitted'), 0)::int as queued,
                coalesce(max(d.slots), 0)::int as deferred
           from airlock.pool p
           left join held h on h.tenant = p.tenant and h.pool = p.pool
           left join deferred d on d.tenant = p.tenant and d.pool = p.pool
          group by 1, 2, 3, 4) o) as pools,
      (select coalesce(json_agg(w), '[]') from (
         select case when draining then 'draining'
                     when beat_at < clock_timestamp() - interval '30 seconds' then 'silent' else 'alive' end as state,
                count(*)::int as n from airlock.worker group by 1) w) as workers,
      (select coalesce(json_agg(b), '[]') from (
         select role, extract(epoch from at)::float8 as at_s from airlock.role_beat
         union all
         select 'worker', extract(epoch from max(beat_at))::float8 from airlock.worker having max(beat_at) is not null) b) as roles,
      (select coalesce(json_agg(g), '[]') from (
         select tenant, count(*) filter (where failures > 0)::int as failing,
                extract(epoch from min(last_synced_at) filter (where kind = 'external'))::float8 as synced_s
           from airlock.repository group by 1) g) as repositories,
      (select coalesce(json_agg(e), '[]') from (
         select tenant, count(*)::int as n from airlock.import_error group by 1) e) as import_errors,
      (select coalesce(json_agg(d), '[]') from (
         select tenant, count(*)::int as n from airlock.dag where state = 'active' group by 1) d) as dags`;
  if (row === undefined) throw new Error("a statement without rows answered none");
  return row;
}

export type LastSuccess = {
  readonly tenant: string;
  readonly dag_id: string;
  /** null: none of the last thirty runs did. */
  readonly success_s: number | null;
  /** The newest of these runs that failed. */
  readonly failure_s: number | null;
};

/** Of active DAGs that have run: by each DAG's newest runs, so that its history costs nothing. */
export const readLastSuccesses = (tx: Tx, dagsMax: number) => tx<LastSuccess[]>`
  select d.tenant, d.dag_id, extract(epoch from max(r.ended_at) filter (where r.state = 'success'))::float8 as success_s,
         extract(epoch from max(r.ended_at) filter (where r.state = 'failed'))::float8 as failure_s
    from (select tenant, dag_id from airlock.dag where state = 'active' and not is_paused
           order by tenant, dag_id limit ${dagsMax}) d
    cross join lateral (
      select n.state, n.ended_at from airlock.dag_run n
       where n.tenant = d.tenant and n.dag_id = d.dag_id order by n.run_after desc limit ${runsBack}) r
   where r.ended_at is not null
   group by 1, 2`;
