/**
 * What needs attention in the tenants that one sees, one statement per list, each bounded per tenant: a tenant in
 * which everything fails takes no place from the others, and costs no more than its bound.
 *
 * In a tenant's own transaction with one scope, or in a system transaction with many.
 */
import type { Timetable } from "../model/dag-spec.ts";
import type { TenantId } from "../model/ids.ts";
import type { RunState } from "../model/states.ts";
import type { Tx } from "./open.ts";
import { type Scope, scopeRows, seenAcross } from "./seen-across.ts";
import { textArray } from "./text-array.ts";

export type FailureRow = {
  readonly tenant: TenantId;
  readonly dag_id: string;
  readonly run_id: string;
  /** "" : the run as a whole (it timed out, or nothing in it could go on). */
  readonly task_id: string;
  readonly map_index: number;
  readonly try_number: number;
  readonly at: Date;
  readonly reason: string | null;
  /** How the newest ended run of the DAG ended: whether it has gone well since. */
  readonly last_state: RunState | null;
};

/** Ended so by a person's hand, or because another one failed: no cause of its own. */
const echoes = [
  "marked failed",
  "run marked",
  "run stopped",
  "stopped",
  "fail_fast: another task failed",
];

/** Of the last 24 hours, newest first. */
export const listFailures = (tx: Tx, scopes: readonly Scope[], perTenant: number) => tx<
  FailureRow[]
>`
  with failed as materialized (
    select s.tenant, f.* from ${scopeRows(tx, scopes)} cross join lateral (
      (select i.dag_id, i.run, i.task_id, i.map_index, i.try_number, i.ended_at as at, i.reason
         from airlock.task_instance i
        where i.tenant = s.tenant and i.state = 'failed' and i.ended_at > now() - interval '24 hours'
          and (${seenAcross(tx, tx`s.tenant`, tx`i.dag_id`, scopes, "runs")})
          and (i.reason is null or i.reason <> all (${textArray(echoes)}::text[]))
        order by i.ended_at desc limit ${perTenant})
      union all
      (select r.dag_id, r.run, '', -1, 0, r.ended_at, r.reason
         from airlock.dag_run r
        where r.tenant = s.tenant and r.state = 'failed' and r.ended_at > now() - interval '24 hours'
          and (${seenAcross(tx, tx`s.tenant`, tx`r.dag_id`, scopes, "runs")})
          and r.reason in ('timed_out', 'all_tasks_deadlocked')
        order by r.ended_at desc limit ${perTenant})) f),
  dags as (
    select g.tenant, g.dag_id, l.state from (select distinct tenant, dag_id from failed) g
      cross join lateral (
        select n.state from (
          select r.state from airlock.dag_run r
           where r.tenant = g.tenant and r.dag_id = g.dag_id order by r.run_after desc limit 100) n
         where n.state in ('success', 'failed') limit 1) l)
  select f.tenant, f.dag_id, r.run_id, f.task_id, f.map_index, f.try_number, f.at, left(f.reason, 2000) as reason,
         d.state as last_state
    from failed f
    join airlock.dag_run r on r.tenant = f.tenant and r.run = f.run
    left join dags d on d.tenant = f.tenant and d.dag_id = f.dag_id
   order by f.at desc`;

export type OpenTaskRow = {
  readonly tenant: TenantId;
  readonly dag_id: string;
  readonly run_id: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly try_number: number;
  readonly state: "running" | "queued";
  readonly since: Date;
  /** Of the same task where it went well in the last runs of its DAG; null: never. */
  readonly samples: number;
  readonly median_s: number | null;
  readonly p95_s: number | null;
};

/** What runs or waits for a worker for longer than `olderS`, the longest first, with how long it lasts as a rule. */
export const listOpenTasks = (
  tx: Tx,
  scopes: readonly Scope[],
  query: { readonly olderS: number; readonly perTenant: number; readonly limit: number },
) => tx<OpenTaskRow[]>`
  with open as materialized (
    select s.tenant, o.* from ${scopeRows(tx, scopes)} cross join lateral (
      select i.dag_id, i.run, i.task_id, i.map_index, i.try_number, i.state,
             case when i.state = 'running' then i.started_at else i.queued_at end as since
        from airlock.task_instance i
       where i.tenant = s.tenant and i.state in ('queued', 'running')
         and (${seenAcross(tx, tx`s.tenant`, tx`i.dag_id`, scopes, "runs")})
         and case when i.state = 'running' then i.started_at else i.queued_at end < now() - make_interval(secs => ${query.olderS})
       order by since limit ${query.perTenant}) o
     order by o.since limit ${query.limit}),
  usual as (
    select t.tenant, t.dag_id, t.task_id, count(*)::int as samples,
           percentile_cont(0.5) within group (order by h.seconds) as median_s,
           percentile_cont(0.95) within group (order by h.seconds) as p95_s
      from (select distinct tenant, dag_id, task_id from open where state = 'running') t
      cross join lateral (
        select r.run from airlock.dag_run r
         where r.tenant = t.tenant and r.dag_id = t.dag_id order by r.run_after desc limit 25) r
      cross join lateral (
        select date_part('epoch', i.ended_at) - date_part('epoch', i.started_at) as seconds from airlock.task_instance i
         where i.tenant = t.tenant and i.run = r.run and i.task_id = t.task_id and i.state = 'success' limit 5) h
     group by t.tenant, t.dag_id, t.task_id)
  select o.tenant, o.dag_id, r.run_id, o.task_id, o.map_index, o.try_number, o.state, o.since,
         coalesce(u.samples, 0) as samples, u.median_s, u.p95_s
    from open o
    join airlock.dag_run r on r.tenant = o.tenant and r.run = o.run
    left join usual u on u.tenant = o.tenant and u.dag_id = o.dag_id and u.task_id = o.task_id
   order by o.since`;

export type LateDagRow = {
  readonly tenant: TenantId;
  readonly dag_id: string;
  readonly display_name: string;
  readonly due_at: Date;
  /** Runs of it that are open, and how many may be: what most often holds the next one back. */
  readonly open_runs: number;
  readonly max_active_runs: number;
};

/** Its time has passed by more than `byS`, and there is no run. */
export const listLateDags = (
  tx: Tx,
  scopes: readonly Scope[],
  query: { readonly byS: number; readonly limit: number },
) => tx<LateDagRow[]>`
  select d.tenant, d.dag_id, d.display_name, d.next_run_at as due_at, o.n as open_runs, d.max_active_runs
    from (select d.tenant, d.dag_id, d.display_name, d.next_run_at, d.max_active_runs from airlock.dag d
           where d.next_run_at < now() - make_interval(secs => ${query.byS}) and d.state = 'active' and not d.is_paused
             and (${seenAcross(tx, tx`d.tenant`, tx`d.dag_id`, scopes, "dags")})
           order by d.next_run_at limit ${query.limit}) d
    cross join lateral (
      select count(*)::int as n from airlock.dag_run r
       where r.tenant = d.tenant and r.dag_id = d.dag_id and r.state in ('queued', 'running')) o
   order by d.next_run_at`;

export type BrokenFileRow = {
  readonly tenant: TenantId;
  readonly repository: string;
  readonly path: string;
  readonly line: number | null;
  readonly message: string;
  readonly hint: string | null;
  readonly at: Date;
  readonly dag_ids: readonly string[];
};

/**
 * Files whose last version could not be read. An error shows code: it is for those who may read the code of every DAG
 * of the file, and, where the file has none yet, for those who see the repository.
 */
export const listBrokenFiles = (tx: Tx, scopes: readonly Scope[], limit: number) => tx<
  BrokenFileRow[]
>`
  select e.tenant, e.repository, e.path, e.line, left(e.message, 1000) as message, left(e.hint, 500) as hint, e.at, f.dag_ids
    from ${scopeRows(tx, scopes)}
    join airlock.import_error e on e.tenant = s.tenant
    cross join lateral (
      select to_json(coalesce(array_agg(d.dag_id order by d.dag_id), '{}')) as dag_ids,
             coalesce(bool_and(${seenAcross(tx, tx`d.tenant`, tx`d.dag_id`, scopes, "code")}),
                      ${seenAcross(tx, tx`e.tenant`, tx`e.repository`, scopes, "repositories")}) as seen
        from airlock.dag d
       where d.tenant = e.tenant and d.repository = e.repository and d.path = e.path and d.state = 'active') f
   where f.seen
   order by e.at desc limit ${limit}`;

export type LostRepositoryRow = {
  readonly tenant: TenantId;
  readonly repository: string;
  readonly message: string;
  readonly hint: string | null;
  /** Tries in a row. */
  readonly failures: number;
  readonly last_synced_at: Date | null;
  readonly next_try_at: Date;
};

/** Repositories that could not be fetched or read at the last try. */
export const listLostRepositories = (tx: Tx, scopes: readonly Scope[], limit: number) => tx<
  LostRepositoryRow[]
>`
  select r.tenant, r.repository, left(r.last_error, 1000) as message, left(r.last_error_hint, 500) as hint, r.failures,
         r.last_synced_at, r.next_poll_at as next_try_at
    from ${scopeRows(tx, scopes)}
    join airlock.repository r on r.tenant = s.tenant
   where r.failures > 0 and r.last_error is not null
     and (${seenAcross(tx, tx`r.tenant`, tx`r.repository`, scopes, "repositories")})
   order by r.failures desc, r.repository limit ${limit}`;

export type PressureRow = {
  readonly tenant: TenantId;
  readonly max_running: number;
  readonly running: number;
  /** Has its slots and waits for a worker. */
  readonly queued: number;
};

/** How full each tenant is of which one sees the whole, the fullest first. */
export const listPressure = (tx: Tx, scopes: readonly Scope[], limit: number) => tx<PressureRow[]>`
  select t.tenant, t.max_running, coalesce(u.running, 0) as running, coalesce(u.queued, 0) as queued
    from ${scopeRows(
      tx,
      scopes.filter(({ wholeTenant }) => wholeTenant),
    )}
    join airlock.tenant t on t.tenant = s.tenant
    left join (
      select p.tenant, count(*) filter (where a.state = 'running')::int as running,
             count(*) filter (where a.state <> 'running')::int as queued
        from airlock.permit p join airlock.attempt a on a.tenant = p.tenant and a.attempt = p.attempt
       group by p.tenant) u on u.tenant = t.tenant
   order by (coalesce(u.running, 0) + coalesce(u.queued, 0))::float8 / t.max_running desc, t.tenant limit ${limit}`;

export type PoolPressureRow = {
  readonly tenant: TenantId;
  readonly pool: string;
  /** −1: no limit. */
  readonly slots: number;
  readonly running_slots: number;
  readonly queued_slots: number;
  /** Tasks that wait for a slot, counted up to `waitingMax` per tenant. */
  readonly waiting: number;
  readonly oldest_wait_at: Date | null;
};

/** Pools, the fullest first. Tasks of paused DAGs wait because somebody wants it: they are not counted. */
export const listPoolPressure = (
  tx: Tx,
  scopes: readonly Scope[],
  query: { readonly waitingMax: number; readonly limit: number; readonly onlyUsed: boolean },
) => tx<PoolPressureRow[]>`
  select p.tenant, p.pool, p.slots, coalesce(u.running, 0) as running_slots, coalesce(u.queued, 0) as queued_slots,
         coalesce(w.waiting, 0) as waiting, w.oldest as oldest_wait_at
    from ${scopeRows(tx, scopes)}
    join airlock.pool p on p.tenant = s.tenant
    left join (
      select p.tenant, p.pool, sum(p.slots) filter (where a.state = 'running')::int as running,
             sum(p.slots) filter (where a.state <> 'running')::int as queued
        from airlock.permit p join airlock.attempt a on a.tenant = p.tenant and a.attempt = p.attempt
       group by p.tenant, p.pool) u on u.tenant = p.tenant and u.pool = p.pool
    left join (
      select s.tenant, n.pool, count(*)::int as waiting, min(n.scheduled_at) as oldest
        from ${scopeRows(tx, scopes)} cross join lateral (
          select i.pool, i.scheduled_at from airlock.task_instance i
            join airlock.dag d on d.tenant = i.tenant and d.dag_id = i.dag_id and not d.is_paused
           where i.tenant = s.tenant and i.state = 'scheduled' limit ${query.waitingMax}) n
       group by s.tenant, n.pool) w on w.tenant = p.tenant and w.pool = p.pool
   where (${seenAcross(tx, tx`p.tenant`, tx`p.pool`, scopes, "pools")})
     and (not ${query.onlyUsed} or u.tenant is not null or w.tenant is not null)
   order by case when p.slots <= 0 then 0
                 else (coalesce(u.running, 0) + coalesce(u.queued, 0))::float8 / p.slots end desc,
            coalesce(w.waiting, 0) desc, p.tenant, p.pool
   limit ${query.limit}`;

export type DueDagRow = {
  readonly tenant: TenantId;
  readonly dag_id: string;
  readonly display_name: string;
  readonly timetable: Timetable;
  readonly at: Date;
  readonly next_interval_start: Date | null;
  readonly next_interval_end: Date | null;
};

/** DAGs of which a run comes within the next `seconds`, the soonest first. */
export const listDueDags = (
  tx: Tx,
  scopes: readonly Scope[],
  query: { readonly seconds: number; readonly limit: number },
) => tx<DueDagRow[]>`
  select d.tenant, d.dag_id, d.display_name, d.timetable, d.next_run_at as at, d.next_interval_start, d.next_interval_end
    from airlock.dag d
   where d.next_run_at >= now() and d.next_run_at < now() + make_interval(secs => ${query.seconds})
     and d.state = 'active' and not d.is_paused
     and (${seenAcross(tx, tx`d.tenant`, tx`d.dag_id`, scopes, "dags")})
   order by d.next_run_at, d.tenant, d.dag_id limit ${query.limit}`;

export type LastDeployRow = {
  readonly tenant: TenantId;
  readonly repository: string;
  readonly commit: string | null;
  readonly state: "syncing" | "live" | "failed";
  readonly at: Date;
  readonly ms: number | null;
  readonly dags_new: number;
  readonly dags_changed: number;
  readonly dags_removed: number;
  readonly errors: number;
};

/** Newest first. */
export const listLastDeploys = (
  tx: Tx,
  scopes: readonly Scope[],
  query: { readonly perTenant: number; readonly limit: number },
) => tx<LastDeployRow[]>`
  select s.tenant, d.* from ${scopeRows(tx, scopes)} cross join lateral (
    select d.repository, d.commit, d.state, d.started_at as at, d.ms, d.dags_new, d.dags_changed, d.dags_removed,
           d.errors_count as errors
      from airlock.deploy d
     where d.tenant = s.tenant and (${seenAcross(tx, tx`s.tenant`, tx`d.repository`, scopes, "repositories")})
     order by d.deploy desc limit ${query.perTenant}) d
   order by d.at desc limit ${query.limit}`;
