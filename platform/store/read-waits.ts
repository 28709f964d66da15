/** Why runs and task instances are where they are: what `why` is told from, and who holds what they wait for. */
import type { RunState, TaskState } from "../model/states.ts";
import type { Tx } from "./open.ts";
import { textArray } from "./text-array.ts";

export type WaitFacts = {
  readonly is_paused: boolean;
  readonly tenant_state: string;
  readonly run_state: RunState;
  /** Its DAG's limit counts the tasks of one run (Airflow 3), not those of all its runs. */
  readonly limit_is_per_run: boolean;
  readonly max_active_tasks: number;
  readonly dag_running: number;
  readonly max_running: number;
  readonly tenant_running: number;
  readonly pool_slots_total: number | null;
  /** With what is deferred, where the pool counts that. */
  readonly pool_slots_used: number;
  readonly max_per_dag: number | null;
  readonly task_running: number;
  readonly max_per_run: number | null;
  readonly task_running_in_run: number;
  readonly timer_kind: string | null;
  readonly timer_due_at: Date | null;
};

export async function readWaitFacts(
  tx: Tx,
  ref: { run: string; taskId: string; mapIndex: number; dagId: string; pool: string },
): Promise<WaitFacts | undefined> {
  const [row] = await tx<WaitFacts[]>`
    select d.is_paused, n.state as tenant_state, r.state as run_state, d.level = '3' as limit_is_per_run, d.max_active_tasks,
           n.max_running,
           (select count(*)::int from airlock.permit p
             where p.tenant = d.tenant and case when d.level = '3' then p.run = r.run else p.dag_id = d.dag_id end) as dag_running,
           (select count(*)::int from airlock.permit p where p.tenant = d.tenant) as tenant_running,
           o.slots as pool_slots_total,
           (select coalesce(sum(p.slots), 0)::int from airlock.permit p where p.tenant = d.tenant and p.pool = ${ref.pool})
             + case when o.include_deferred then
                 (select coalesce(sum(i.pool_slots), 0)::int from airlock.task_instance i
                   where i.tenant = d.tenant and i.pool = ${ref.pool} and i.state = 'deferred') else 0 end as pool_slots_used,
           t.max_per_dag, t.max_per_run,
           (select count(*)::int from airlock.permit p
             where p.tenant = d.tenant and p.dag_id = d.dag_id and p.task_id = ${ref.taskId}) as task_running,
           (select count(*)::int from airlock.permit p
             where p.tenant = d.tenant and p.run = r.run and p.task_id = ${ref.taskId}) as task_running_in_run,
           m.kind as timer_kind, m.due_at as timer_due_at
      from airlock.dag d
      join airlock.tenant n on n.tenant = d.tenant
      join airlock.dag_run r on r.tenant = d.tenant and r.run = ${ref.run}
      left join airlock.task_instance t on t.tenant = d.tenant and t.run = r.run and t.task_id = ${ref.taskId}
       and t.map_index = ${ref.mapIndex}
      left join airlock.pool o on o.tenant = d.tenant and o.pool = ${ref.pool}
      left join lateral (
        select kind, due_at from airlock.timer m
         where m.tenant = d.tenant and m.run = ${ref.run} and m.task_id = ${ref.taskId} and m.map_index = ${ref.mapIndex}
         order by due_at limit 1) m on true
     where d.tenant = airlock.current_tenant() and d.dag_id = ${ref.dagId}`;
  return row;
}

export type UpstreamInstance = {
  readonly task_id: string;
  readonly map_index: number;
  readonly state: TaskState;
};

/** Instances of these tasks in one run: first what is not done, then what failed. */
export const listInstancesOf = (tx: Tx, run: string, taskIds: readonly string[]) => tx<
  UpstreamInstance[]
>`
  select task_id, map_index, state from airlock.task_instance
   where tenant = airlock.current_tenant() and run = ${run} and task_id = any(${textArray(taskIds)}::text[])
   order by state is not null and state in ('success', 'failed', 'skipped', 'upstream_failed', 'removed'),
            state is distinct from 'failed', task_id, map_index
   limit 1000`;

/** The same task in the run before: what `depends_on_past` waits for. */
export const listSameTaskBefore = (tx: Tx, run: string, taskId: string) => tx<
  (UpstreamInstance & { readonly run_id: string })[]
>`
  select p.run_id, i.task_id, i.map_index, i.state
    from (select b.run, b.run_id, b.tenant from airlock.dag_run me
            join airlock.dag_run b on b.tenant = me.tenant and b.dag_id = me.dag_id and b.logical_date < me.logical_date
           where me.tenant = airlock.current_tenant() and me.run = ${run} order by b.logical_date desc limit 1) p
    join airlock.task_instance i on i.tenant = p.tenant and i.run = p.run and i.task_id = ${taskId}
   where i.state is null or i.state not in ('success', 'skipped')
   order by i.map_index limit 20`;

/** Who has the slots that a limit counts. */
export type HeldBy =
  | { readonly kind: "pool"; readonly pool: string }
  | { readonly kind: "dag"; readonly dag_id: string }
  | { readonly kind: "run"; readonly run: string }
  | { readonly kind: "task"; readonly dag_id: string; readonly task_id: string }
  | { readonly kind: "task_in_run"; readonly run: string; readonly task_id: string }
  | { readonly kind: "tenant" };

export type Holder = {
  readonly dag_id: string;
  readonly run_id: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly state: TaskState;
};

/** Those that have held longest first. */
export const listHolders = (tx: Tx, held: HeldBy) => tx<Holder[]>`
  select p.dag_id, r.run_id, a.task_id, a.map_index, i.state
    from airlock.permit p
    join airlock.attempt a on a.tenant = p.tenant and a.attempt = p.attempt
    join airlock.dag_run r on r.tenant = p.tenant and r.run = p.run
    left join airlock.task_instance i on i.tenant = a.tenant and i.run = a.run and i.task_id = a.task_id and i.map_index = a.map_index
   where p.tenant = airlock.current_tenant() and ${heldIn(tx, held)}
   order by a.admitted_at limit 20`;

function heldIn(tx: Tx, held: HeldBy): ReturnType<Tx> {
  switch (held.kind) {
    case "pool":
      return tx`p.pool = ${held.pool}`;
    case "dag":
      return tx`p.dag_id = ${held.dag_id}`;
    case "run":
      return tx`p.run = ${held.run}`;
    case "task":
      return tx`p.dag_id = ${held.dag_id} and p.task_id = ${held.task_id}`;
    case "task_in_run":
      return tx`p.run = ${held.run} and p.task_id = ${held.task_id}`;
    case "tenant":
      return tx`true`;
  }
}

export type RunWait = {
  readonly state: RunState;
  readonly is_paused: boolean;
  readonly dag_state: "active" | "retired";
  readonly tenant_state: string;
  readonly run_after: Date;
  readonly is_early: boolean;
  readonly max_active_runs: number;
  readonly running: number;
};

export async function readRunWait(tx: Tx, run: string): Promise<RunWait | undefined> {
  const [row] = await tx<RunWait[]>`
    select r.state, d.is_paused, d.state as dag_state, n.state as tenant_state, r.run_after,
           r.run_after > clock_timestamp() as is_early, d.max_active_runs,
           (select count(*)::int from airlock.dag_run o
             where o.tenant = r.tenant and o.dag_id = r.dag_id and o.state = 'running') as running
      from airlock.dag_run r
      join airlock.dag d on d.tenant = r.tenant and d.dag_id = r.dag_id
      join airlock.tenant n on n.tenant = r.tenant
     where r.tenant = airlock.current_tenant() and r.run = ${run}`;
  return row;
}

/** What failed by itself in a run, the first that ended first. */
export const listFailed = (tx: Tx, run: string) => tx<
  (UpstreamInstance & { readonly reason: string | null })[]
>`
  select task_id, map_index, state, reason from airlock.task_instance
   where tenant = airlock.current_tenant() and run = ${run} and state = 'failed'
   order by ended_at, task_id, map_index limit 1000`;

/** The runs that take up a DAG's `max_active_runs`, oldest first. */
export const listRunning = (tx: Tx, dagId: string) => tx<
  { readonly run_id: string; readonly state: RunState }[]
>`
  select run_id, state from airlock.dag_run
   where tenant = airlock.current_tenant() and dag_id = ${dagId} and state = 'running'
   order by run_after limit 20`;

export type QueueWorkers = {
  readonly workers: number;
  readonly slots: number;
  readonly busy: number;
};

/** Workers that take from a queue, and how many attempts they have. Not a tenant's to see in more detail: as the system. */
export async function countWorkers(tx: Tx, queue: string): Promise<QueueWorkers> {
  const [row] = await tx<QueueWorkers[]>`
    select count(*)::int as workers, coalesce(sum(w.slots), 0)::int as slots,
           coalesce(sum((select count(*) from airlock.attempt a where a.worker = w.worker and a.state = 'running')), 0)::int as busy
      from airlock.worker w where ${queue} = any(w.queues) and not w.draining`;
  return row ?? { workers: 0, slots: 0, busy: 0 };
}
