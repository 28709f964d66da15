/**
 * What waits, what runs and what was used. What waits and runs is read from the indexes of open rows alone; what was
 * used from `attempt_ended`, some hundred thousand tries a second, of a week at most.
 */
import { type SeenIds, seenIn } from "./filters.ts";
import type { Tx } from "./open.ts";

/** More than this is told as "at least". */
export const waitingCountMax = 50_000;
const lanesMax = 500;

export type WaitingRow = {
  readonly pool: string;
  readonly queue: string;
  readonly count: number;
  readonly slots: number;
  readonly oldest_at: Date | null;
};

export const readWaiting = (tx: Tx): Promise<readonly WaitingRow[]> => tx<WaitingRow[]>`
  select w.pool, w.queue, count(*)::int as count, sum(w.pool_slots)::int as slots, min(w.scheduled_at) as oldest_at
    from (select pool, queue, pool_slots, scheduled_at from airlock.task_instance
           where tenant = airlock.current_tenant() and state = 'scheduled' limit ${waitingCountMax}) w
   group by w.pool, w.queue`;

export type HoldingRow = {
  readonly pool: string;
  readonly queue: string;
  /** admitted: it has its place and waits for a worker. */
  readonly state: "admitted" | "running";
  /** null: of DAGs that the asker may not read. */
  readonly dag_id: string | null;
  readonly count: number;
  readonly slots: number;
  readonly oldest_at: Date | null;
};

/** Who holds places: as many rows of permits as the tenant's limit lets there be. */
export const readHolding = (tx: Tx, dags: SeenIds): Promise<readonly HoldingRow[]> => tx<
  HoldingRow[]
>`
  select p.pool, p.queue, a.state, case when ${seenIn(tx, tx`p.dag_id`, dags)} then p.dag_id end as dag_id,
         count(*)::int as count, sum(p.slots)::int as slots,
         min(case when a.state = 'running' then a.started_at else a.admitted_at end) as oldest_at
    from airlock.permit p join airlock.attempt a on a.tenant = p.tenant and a.attempt = p.attempt
   where p.tenant = airlock.current_tenant() and a.state in ('admitted', 'running')
   group by 1, 2, 3, 4 order by count(*) desc`;

export type DeferredRow = { readonly pool: string; readonly count: number; readonly slots: number };

export const readDeferred = (tx: Tx): Promise<readonly DeferredRow[]> => tx<DeferredRow[]>`
  select pool, count(*)::int as count, sum(pool_slots)::int as slots from airlock.task_instance
   where tenant = airlock.current_tenant() and state = 'deferred' group by pool`;

export type PoolLimit = {
  readonly pool: string;
  readonly slots: number;
  readonly include_deferred: boolean;
  readonly description: string | null;
};

export const readPoolLimits = (tx: Tx, pools: SeenIds): Promise<readonly PoolLimit[]> => tx<
  PoolLimit[]
>`
  select pool, slots, include_deferred, description from airlock.pool
   where tenant = airlock.current_tenant() and ${seenIn(tx, tx`pool`, pools)} order by pool limit 1000`;

/** Instances of one run that the same limits bind, the one that has waited longest for them all; null: no such limit. */
export type LaneRow = {
  readonly dag_id: string;
  readonly run_id: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly scheduled_at: Date | null;
  readonly pool: string;
  readonly pool_slots: number;
  readonly queue: string;
  /** How many of them wait, counted to 1,000. */
  readonly waiting: number;
  readonly is_paused: boolean;
  readonly run_state: string;
  readonly pool_open: number | null;
  readonly active_max: number;
  readonly active_open: number;
  /** Whether `active_max` counts one run of the DAG or all of them. */
  readonly active_of: "run" | "dag";
  readonly task_max: number | null;
  readonly task_open: number | null;
  readonly run_max: number | null;
  readonly run_open: number | null;
};

/** The same sums as `airlock.admit`, one look per lane. */
export const readLanes = (tx: Tx, dags: SeenIds): Promise<readonly LaneRow[]> => tx<LaneRow[]>`
  select h.dag_id, r.run_id, h.task_id, h.map_index, h.scheduled_at, h.pool, h.pool_slots, h.queue,
         (select count(*)::int from (
            select 1 from airlock.task_instance i
             where i.tenant = airlock.current_tenant() and i.run = l.run and i.lane = l.lane and i.state = 'scheduled'
             limit 1000) c) as waiting,
         d.is_paused, r.state as run_state,
         (case when p.slots >= 0 then
            p.slots - (select coalesce(sum(slots), 0) from airlock.permit
                        where tenant = airlock.current_tenant() and pool = h.pool)
            - case when p.include_deferred then
                (select coalesce(sum(pool_slots), 0) from airlock.task_instance
                  where tenant = airlock.current_tenant() and pool = h.pool and state = 'deferred') else 0 end
          end)::int as pool_open,
         d.max_active_tasks as active_max,
         (d.max_active_tasks - (select count(*) from airlock.permit
            where tenant = airlock.current_tenant()
              and case when d.level = '3' then run = l.run else dag_id = h.dag_id end))::int as active_open,
         case when d.level = '3' then 'run' else 'dag' end as active_of,
         h.max_per_dag as task_max,
         (h.max_per_dag - (select count(*) from airlock.permit
            where tenant = airlock.current_tenant() and dag_id = h.dag_id and task_id = h.task_id))::int as task_open,
         h.max_per_run as run_max,
         (h.max_per_run - (select count(*) from airlock.permit
            where tenant = airlock.current_tenant() and run = l.run and task_id = h.task_id))::int as run_open
    from (select run, lane from airlock.waiting_lanes(airlock.current_tenant()) limit ${lanesMax}) l
    cross join lateral (
      select i.dag_id, i.task_id, i.map_index, i.scheduled_at, i.pool, i.pool_slots, i.queue, i.max_per_dag, i.max_per_run
        from airlock.task_instance i
       where i.tenant = airlock.current_tenant() and i.run = l.run and i.lane = l.lane and i.state = 'scheduled'
       order by i.priority_weight desc, i.order_at, i.map_index, i.task_id collate "C" limit 1) h
    join airlock.dag_run r on r.tenant = airlock.current_tenant() and r.run = l.run
    join airlock.dag d on d.tenant = airlock.current_tenant() and d.dag_id = h.dag_id
    join airlock.pool p on p.tenant = airlock.current_tenant() and p.pool = h.pool
   where ${seenIn(tx, tx`h.dag_id`, dags)}
   order by h.scheduled_at nulls last, h.dag_id`;

export type UsageRow = {
  /** 2026-11-24 in the zone that was asked for. */
  readonly day: string;
  readonly dag_id: string;
  readonly tries: number;
  /** Tries of which the machine could not tell CPU or memory. */
  readonly unmeasured: number;
  readonly run_s: number;
  readonly cpu_s: number;
  readonly gb_s: number;
};

/** Of tries that ended in the last `days` days, today included. The zone is one that Postgres knows. */
export const readUsage = (
  tx: Tx,
  query: { readonly dags: SeenIds; readonly zone: string; readonly days: number },
): Promise<readonly UsageRow[]> => tx<UsageRow[]>`
  select to_char(day, 'YYYY-MM-DD') as day, dag_id, tries, unmeasured, run_s, cpu_s, gb_s
    from (
      select (ended_at at time zone ${query.zone})::date as day, dag_id, count(*)::int as tries,
             (count(*) filter (where cpu_s is null or peak_memory is null))::int as unmeasured,
             coalesce(sum(extract(epoch from ended_at - started_at)::float8), 0) as run_s,
             coalesce(sum(cpu_s), 0)::float8 as cpu_s,
             coalesce(sum(peak_memory::float8 / 1e9 * extract(epoch from ended_at - started_at)::float8), 0) as gb_s
        from airlock.attempt
       where tenant = airlock.current_tenant() and state = 'ended'
         and ended_at >= (date_trunc('day', now() at time zone ${query.zone}) - make_interval(days => ${query.days - 1})) at time zone ${query.zone}
         and ${seenIn(tx, tx`dag_id`, query.dags)}
       group by 1, 2) sums
   order by sums.day desc, cpu_s desc limit 20000`;

export type WorkerFacts = {
  readonly worker: string;
  readonly host: string;
  readonly pid: number;
  readonly queues: readonly string[];
  readonly slots: number;
  readonly running: number;
  readonly draining: boolean;
  readonly started_at: Date;
  readonly beat_at: Date;
};

/** System role: workers belong to no tenant. */
export const listWorkers = (tx: Tx): Promise<readonly WorkerFacts[]> => tx<WorkerFacts[]>`
  select w.worker, w.host, w.pid, to_json(w.queues) as queues, w.slots, w.draining, w.started_at, w.beat_at,
         (select count(*)::int from airlock.attempt a where a.worker = w.worker and a.state = 'running') as running
    from airlock.worker w order by w.started_at, w.worker limit 1000`;
