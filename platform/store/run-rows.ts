/**
 * The rows of a run, as the door reads and writes them. Every write names the state and the try that it
 * expects; a count that is not what was asked for aborts the whole transaction.
 */
import type {
  AttemptId,
  CommitId,
  DagId,
  RepositoryId,
  RunId,
  RunKey,
  TaskId,
} from "../model/ids.ts";
import type {
  CounterRow,
  InstanceKey,
  InstanceRow,
  LengthRow,
  LoadedRows,
  PastRow,
  RunFacts,
  RunNeed,
  SkipRow,
} from "../model/run.ts";
import type { RunState, RunType, TaskState } from "../model/states.ts";
import type { Tx } from "./open.ts";

export type RunRow = {
  readonly run: RunKey;
  readonly facts: RunFacts;
  readonly version: number;
  readonly repository: RepositoryId;
  readonly commit: CommitId;
  readonly path: string;
  readonly environment: string;
};

/** Locks the run for this transaction: everything that changes it waits. */
export async function lockRun(tx: Tx, tenant: string, run: RunKey): Promise<RunRow | undefined> {
  const rows = await tx<RawRun[]>`
    select run, dag_id, run_id, run_type, state, logical_date, started_at, has_instances, unfinished, failed_leaves,
           version, repository, commit, path, environment
      from airlock.dag_run where tenant = ${tenant} and run = ${run} for no key update`;
  const row = rows[0];
  return row === undefined ? undefined : readRun(row);
}

type RawRun = {
  run: string;
  dag_id: string;
  run_id: string;
  run_type: RunType;
  state: RunState;
  logical_date: Date | null;
  started_at: Date | null;
  has_instances: boolean;
  unfinished: number;
  failed_leaves: number;
  version: number;
  repository: string;
  commit: string;
  path: string;
  environment: string;
};

const readRun = (row: RawRun): RunRow => ({
  run: row.run as RunKey,
  facts: {
    dag_id: row.dag_id as DagId,
    run_id: row.run_id as RunId,
    run_type: row.run_type,
    state: row.state,
    ...(row.logical_date === null ? {} : { logical_date_ms: row.logical_date.getTime() }),
    ...(row.started_at === null ? {} : { start_ms: row.started_at.getTime() }),
    has_instances: row.has_instances,
    unfinished: row.unfinished,
    failed_leaves: row.failed_leaves,
  },
  version: row.version,
  repository: row.repository as RepositoryId,
  commit: row.commit as CommitId,
  path: row.path,
  environment: row.environment,
});

/** What `need` names of the run; all statements travel in one round trip. */
export async function loadRows(
  tx: Tx,
  tenant: string,
  run: RunKey,
  need: RunNeed,
  past: PastRule,
): Promise<LoadedRows> {
  const all = need.everything;
  const keys = JSON.stringify(need.instances);
  const counterKeys = JSON.stringify(need.counters);
  const [instances, counters, skips, lengths, before] = await Promise.all([
    all || need.instances.length > 0 || need.tasks.length > 0
      ? tx<InstanceRow[]>`
          select task_id, map_index, state, try_number, max_tries from airlock.task_instance
           where tenant = ${tenant} and run = ${run}
             ${all ? tx`` : tx`and task_id = any(${[...need.tasks, ...need.instances.map((i) => i.task_id)] as TaskId[]})`}
             and (${all} or task_id = any(${need.tasks as TaskId[]})
                  or (task_id, map_index) in (select k.task_id, k.map_index
                        from json_to_recordset(${keys}::text::json) as k(task_id text, map_index int)))`
      : [],
    all || need.counters.length > 0 || need.counter_tasks.length > 0
      ? tx<CounterRow[]>`
          select task_id, scope, total, success, failed, upstream_failed, skipped, removed,
                 setups, setups_success, setups_skipped
            from airlock.task_counter
           where tenant = ${tenant} and run = ${run}
             ${all ? tx`` : tx`and task_id = any(${[...need.counter_tasks, ...need.counters.map((i) => i.task_id)] as TaskId[]})`}
             and (${all} or task_id = any(${need.counter_tasks as TaskId[]})
                  or (task_id, scope) in (select k.task_id, k.scope
                        from json_to_recordset(${counterKeys}::text::json) as k(task_id text, scope int)))`
      : [],
    all || need.skips.length > 0
      ? tx<SkipRow[]>`
          select task_id, map_index, skipped from airlock.skip_decision
           where tenant = ${tenant} and run = ${run} and (${all} or task_id = any(${need.skips as TaskId[]}))`
      : [],
    all || need.lengths.length > 0
      ? tx<LengthRow[]>`
          select kind, name, length from airlock.mapped_length
           where tenant = ${tenant} and run = ${run} and (${all} or name = any(${need.lengths as string[]}))`
      : [],
    need.past.length > 0 ? loadPast(tx, tenant, run, need.past, past) : [],
  ]);
  return { instances, counters, skips, lengths, past: before };
}

/** What the DAG says about the run before: which one that is, and what wait_for_downstream looks at in it. */
export type PastRule = {
  readonly catchup: boolean;
  readonly downstreamOf: (task: TaskId) => readonly TaskId[];
};

/** For depends_on_past: how these tasks stand in the run before this one, as Airflow picks it: see `PastRow`. */
async function loadPast(
  tx: Tx,
  tenant: string,
  run: RunKey,
  tasks: readonly TaskId[],
  rule: PastRule,
): Promise<PastRow[]> {
  const asked = tasks.map((task) => ({ task_id: task, downstream: rule.downstreamOf(task) }));
  const rows = await tx<
    {
      task_id: TaskId;
      has_previous: boolean;
      states: TaskState[] | null;
      downstream: TaskState[] | null;
    }[]
  >`
    with me as (select dag_id, coalesce(logical_date, run_after) as at from airlock.dag_run where tenant = ${tenant} and run = ${run}),
    before as (
      select p.run from airlock.dag_run p, me
       where p.tenant = ${tenant} and p.dag_id = me.dag_id and coalesce(p.logical_date, p.run_after) < me.at
         and (not ${rule.catchup} or p.run_type <> 'manual')
       order by coalesce(p.logical_date, p.run_after) desc limit 1)
    select t.task_id, exists (select from before) as has_previous,
           (select array_agg(i.state) from airlock.task_instance i, before
             where i.tenant = ${tenant} and i.run = before.run and i.task_id = t.task_id) as states,
           (select array_agg(i.state) from airlock.task_instance i, before
             where i.tenant = ${tenant} and i.run = before.run
               and i.task_id in (select json_array_elements_text(t.downstream))) as downstream
      from json_to_recordset(${JSON.stringify(asked)}::text::json) as t(task_id text, downstream json)`;
  return rows.map((row) => ({
    task_id: row.task_id,
    first: !row.has_previous,
    states: row.states ?? [],
    downstream_states: row.downstream ?? [],
  }));
}

/** An attempt as its holder names it: only this combination may write. */
export type Holder = {
  readonly attempt: AttemptId;
  readonly fence: number;
  readonly worker: string;
};

/** Which of these still hold their attempt. Locks the rows against recovery for this transaction. */
export async function holdersOf(
  tx: Tx,
  tenant: string,
  holders: readonly Holder[],
): Promise<ReadonlySet<AttemptId>> {
  const rows = await tx<{ attempt: AttemptId }[]>`
    select a.attempt from airlock.attempt a
      join json_to_recordset(${JSON.stringify(holders)}::text::json) as h(attempt uuid, fence int, worker uuid)
        on a.attempt = h.attempt and a.fence = h.fence and a.worker = h.worker
     where a.tenant = ${tenant} and a.state = 'running'
       for update of a`;
  return new Set(rows.map((row) => row.attempt));
}

export type EndedAttempt = Holder & {
  readonly outcome: string;
  readonly reason?: string | undefined;
  readonly exit_code?: number | undefined;
  readonly signal?: string | undefined;
  /** Which limit was hit. */
  readonly limit?: string | undefined;
  readonly cpu_s: number;
  readonly peak_memory: number;
  readonly start_ms: number;
  readonly log_bytes: number;
};

export const endAttempts = (tx: Tx, tenant: string, ended: readonly EndedAttempt[]) => tx`
  with w as (
  update airlock.attempt a
     set state = 'ended', ended_at = clock_timestamp(), outcome = e.outcome, reason = e.reason, exit_code = e.exit_code,
         signal = left(e.signal, 20), limit_hit = left(e."limit", 40),
         cpu_s = coalesce(a.cpu_s, 0) + e.cpu_s, peak_memory = greatest(a.peak_memory, e.peak_memory),
         start_ms = coalesce(a.start_ms, e.start_ms), log_bytes = e.log_bytes, lease_until = null
    from json_to_recordset(${JSON.stringify(ended)}::text::json)
      as e(attempt uuid, fence int, worker uuid, outcome text, reason text, exit_code int, signal text, "limit" text, cpu_s real,
           peak_memory bigint, start_ms real, log_bytes bigint)
   where a.tenant = ${tenant} and a.attempt = e.attempt and a.fence = e.fence and a.worker = e.worker and a.state = 'running'
  returning 1)
  select airlock.expect(${ended.length}::int, count(*)) from w`;

export type StateWrite = InstanceKey & {
  readonly from: TaskState;
  readonly from_try: number;
  readonly to: TaskState;
  readonly try_number: number;
  readonly max_tries: number;
  /** A new try, or a clear: the id that Airflow's API shows changes with it. */
  readonly new_id: string | null;
  readonly cleared: boolean;
  readonly reason: string | null;
};

/** One row each, or the whole transaction is void. */
export const writeStates = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  writes: readonly StateWrite[],
) => tx`
  with w as (
  update airlock.task_instance i
     set state = w.to, try_number = w.try_number, max_tries = w.max_tries, id = coalesce(w.new_id, i.id),
         reason = w.reason,
         scheduled_at = case when w.to in ('scheduled', 'running') then clock_timestamp() when w.cleared then null else i.scheduled_at end,
         queued_at = case when w.to = 'running' then clock_timestamp() when w.cleared then null else i.queued_at end,
         started_at = case when w.cleared then null
                           when w.to = 'running' or (w.to = 'success' and i.started_at is null) then clock_timestamp()
                           when w.to = 'scheduled' and w.try_number > w.from_try then null
                           else i.started_at end,
         ended_at = case when w.to in ('success', 'failed', 'skipped', 'upstream_failed', 'removed', 'up_for_retry', 'up_for_reschedule')
                         then clock_timestamp() else null end,
         first_reschedule_at = case when w.to = 'up_for_reschedule' then coalesce(i.first_reschedule_at, i.started_at)
                                    when w.to = 'scheduled' and w.from = 'up_for_reschedule' then i.first_reschedule_at
                                    when w.to in ('running', 'queued', 'success', 'failed') then i.first_reschedule_at
                                    else null end,
         next_method = case when w.cleared or w.try_number > w.from_try then null else i.next_method end,
         next_kwargs = case when w.cleared or w.try_number > w.from_try then null else i.next_kwargs end
    from json_to_recordset(${JSON.stringify(writes)}::text::json)
      as w(task_id text, map_index int, "from" text, from_try int, "to" text, try_number int, max_tries int,
           new_id uuid, cleared boolean, reason text)
   where i.tenant = ${tenant} and i.run = ${run} and i.task_id = w.task_id and i.map_index = w.map_index
     and i.task_id = any(${writes.map((w) => w.task_id) as TaskId[]})
     and i.state is not distinct from w.from and i.try_number = w.from_try
  returning 1)
  select airlock.expect(${writes.length}::int, count(*)) from w`;

export const writeCounters = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  rows: readonly CounterRow[],
) => tx`
  insert into airlock.task_counter (tenant, run, task_id, scope, total, success, failed, upstream_failed, skipped, removed,
         setups, setups_success, setups_skipped)
  select ${tenant}::text, ${run}::bigint, c.* from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as c(task_id text, scope int, total int, success int, failed int, upstream_failed int, skipped int, removed int,
           setups int, setups_success int, setups_skipped int)
  on conflict (tenant, run, task_id, scope) do update
     set total = excluded.total, success = excluded.success, failed = excluded.failed,
         upstream_failed = excluded.upstream_failed, skipped = excluded.skipped, removed = excluded.removed,
         setups = excluded.setups, setups_success = excluded.setups_success, setups_skipped = excluded.setups_skipped`;

export type NewInstance = InstanceRow & {
  readonly id: string;
  readonly pool: string;
  readonly pool_slots: number;
  readonly queue: string;
  readonly priority_weight: number;
  readonly max_per_dag: number | null;
  readonly max_per_run: number | null;
  readonly operator: string;
};

export const createInstances = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  rows: readonly NewInstance[],
) => tx`
  insert into airlock.task_instance (tenant, run, dag_id, order_at, task_id, map_index, id, state, try_number, max_tries,
         pool, pool_slots, queue, priority_weight, max_per_dag, max_per_run, operator, scheduled_at, queued_at, started_at, ended_at)
  select ${tenant}::text, ${run}::bigint, r.dag_id, coalesce(r.logical_date, 'infinity'), n.task_id, n.map_index, n.id, n.state, n.try_number,
         n.max_tries, n.pool, n.pool_slots, n.queue, n.priority_weight, n.max_per_dag, n.max_per_run, n.operator,
         case when n.state in ('scheduled', 'running') then clock_timestamp() end,
         case when n.state = 'running' then clock_timestamp() end,
         case when n.state in ('success', 'running') then clock_timestamp() end,
         case when n.state in ('success', 'failed', 'skipped', 'upstream_failed', 'removed') then clock_timestamp() end
    from airlock.dag_run r,
         json_to_recordset(${JSON.stringify(rows)}::text::json)
      as n(task_id text, map_index int, id uuid, state text, try_number int, max_tries int, pool text, pool_slots int,
           queue text, priority_weight int, max_per_dag int, max_per_run int, operator text)
   where r.tenant = ${tenant} and r.run = ${run}`;

/** A mapped task's placeholder becomes its first index. */
export const expandPlaceholders = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  tasks: readonly TaskId[],
) => tx`
  update airlock.task_instance set map_index = 0
   where tenant = ${tenant} and run = ${run} and map_index = -1 and task_id = any(${tasks as TaskId[]})`;

export const writeSkips = (tx: Tx, tenant: string, run: RunKey, rows: readonly SkipRow[]) => tx`
  insert into airlock.skip_decision (tenant, run, task_id, map_index, skipped)
  select ${tenant}::text, ${run}::bigint, s.task_id, s.map_index, array(select json_array_elements_text(s.skipped))
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as s(task_id text, map_index int, skipped json)
  on conflict (tenant, run, task_id, map_index) do update set skipped = excluded.skipped`;

export const deleteSkips = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  keys: readonly InstanceKey[],
) => tx`
  delete from airlock.skip_decision d
   using json_to_recordset(${JSON.stringify(keys)}::text::json) as k(task_id text, map_index int)
   where d.tenant = ${tenant} and d.run = ${run} and d.task_id = k.task_id and d.map_index = k.map_index`;

export const writeLengths = (tx: Tx, tenant: string, run: RunKey, rows: readonly LengthRow[]) => tx`
  insert into airlock.mapped_length (tenant, run, kind, name, length)
  select ${tenant}::text, ${run}::bigint, l.* from json_to_recordset(${JSON.stringify(rows)}::text::json) as l(kind text, name text, length int)
  on conflict (tenant, run, kind, name) do update set length = excluded.length`;

export type TimerWrite = InstanceKey & {
  readonly try_number: number;
  readonly kind: "retry" | "reschedule" | "run_timeout" | "deferral";
  readonly due_ms: number;
};

export const writeTimers = (tx: Tx, tenant: string, run: RunKey, rows: readonly TimerWrite[]) => tx`
  insert into airlock.timer (tenant, run, task_id, map_index, kind, try_number, due_at)
  select ${tenant}::text, ${run}::bigint, t.task_id, t.map_index, t.kind, t.try_number, to_timestamp(t.due_ms / 1000.0)
    from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as t(task_id text, map_index int, kind text, try_number int, due_ms float8)
  on conflict (tenant, run, task_id, map_index, kind) do update
     set due_at = excluded.due_at, try_number = excluded.try_number`;

/**
 * Before `wakeLaterRuns`, in a statement of its own: whoever starts a run holds its DAG's lock while it reads how the run
 * before stands. Without this one, a start and an end at the same moment would each not see the other, and the new run
 * would wait for ever.
 */
export const holdStarts = (tx: Tx, tenant: string, dagId: DagId) => tx`
  select 1 from airlock.dag where tenant = ${tenant} and dag_id = ${dagId} for share`;

/**
 * Tasks of later runs may have waited for how they ended here (depends_on_past): due at once, so that the scheduler
 * looks at them under those runs' own locks. As many as max_active_runs lets run. A timer that is there already is
 * written all the same: whoever takes it must wait for us, or would look before our commit.
 */
export const wakeLaterRuns = (tx: Tx, tenant: string, run: RunKey, tasks: readonly TaskId[]) => tx`
  insert into airlock.timer (tenant, run, task_id, map_index, kind, due_at)
  select ${tenant}::text, r.run, t.task_id, -1, 'past', clock_timestamp()
    from airlock.dag_run me
    join airlock.dag_run r on r.tenant = me.tenant and r.dag_id = me.dag_id and r.state = 'running'
     and coalesce(r.logical_date, r.run_after) > coalesce(me.logical_date, me.run_after)
    cross join unnest(${tasks as TaskId[]}::text[]) t(task_id)
   where me.tenant = ${tenant} and me.run = ${run}
   order by r.run, t.task_id
  on conflict (tenant, run, task_id, map_index, kind) do update set due_at = excluded.due_at`;

/** Takes due timers of this run; what is not here any more must not fire. */
export const takeTimers = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  keys: readonly (InstanceKey & { kind: string })[],
) =>
  tx<(InstanceKey & { kind: string; try_number: number })[]>`
  delete from airlock.timer t
   using json_to_recordset(${JSON.stringify(keys)}::text::json) as k(task_id text, map_index int, kind text)
   where t.tenant = ${tenant} and t.run = ${run} and t.task_id = k.task_id and t.map_index = k.map_index and t.kind = k.kind
     and t.due_at <= clock_timestamp()
  returning t.task_id, t.map_index, t.kind, t.try_number`;

/** Timers of instances that no longer wait for them (cleared, marked), or of the whole run when it ends. */
export const dropTimers = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  keys: readonly InstanceKey[] | "all",
) =>
  keys === "all"
    ? tx`delete from airlock.timer where tenant = ${tenant} and run = ${run}`
    : tx`
  delete from airlock.timer t
   using json_to_recordset(${JSON.stringify(keys)}::text::json) as k(task_id text, map_index int)
   where t.tenant = ${tenant} and t.run = ${run} and t.task_id = k.task_id and t.map_index = k.map_index`;

export type RunWrite = {
  readonly from: RunState;
  readonly state: RunState;
  readonly has_instances: boolean;
  readonly unfinished: number;
  readonly failed_leaves: number;
  readonly reason: string | null;
  readonly ended: boolean;
  readonly started: boolean;
  readonly restarted: boolean;
};

export const writeRun = (tx: Tx, tenant: string, run: RunKey, w: RunWrite) => tx`
  with w as (
  update airlock.dag_run
     set state = ${w.state}, has_instances = ${w.has_instances}, unfinished = ${w.unfinished}, failed_leaves = ${w.failed_leaves},
         reason = case when ${w.ended} then ${w.reason}::text when ${w.restarted} then null else reason end,
         ended_at = case when ${w.ended} then clock_timestamp() when ${w.restarted} then null else ended_at end,
         started_at = case when ${w.started} then clock_timestamp() when ${w.restarted} then null else started_at end,
         queued_at = case when ${w.restarted} then clock_timestamp() else queued_at end,
         trace_before = case when ${w.restarted} then trace else trace_before end,
         trace = case when ${w.restarted} then gen_random_uuid() else trace end,
         clear_number = clear_number + ${w.restarted ? 1 : 0}
   where tenant = ${tenant} and run = ${run} and state = ${w.from}
  returning 1)
  select airlock.expect(1, count(*)) from w`;

export type ChangeWrite = {
  readonly task_id: string;
  readonly map_index: number;
  readonly try_number: number;
  readonly from: string | null;
  readonly to: string | null;
};

export const writeChanges = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  dagId: string,
  runId: string,
  rows: readonly ChangeWrite[],
) => tx`
  insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
  select ${tenant}::text, ${run}::bigint, ${dagId}::text, ${runId}::text, c.* from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as c(task_id text, map_index int, try_number int, "from" text, "to" text)`;

export const deletePermits = (tx: Tx, tenant: string, attempts: readonly AttemptId[]) => tx`
  delete from airlock.permit where tenant = ${tenant} and attempt = any(${attempts as AttemptId[]}::uuid[])`;

/**
 * Ends attempts that somebody else than their holder ended: raises the fence, so that the holder's answer
 * finds nothing. Answers whom to tell.
 */
export const stopAttempts = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  keys: readonly InstanceKey[],
  why: string,
) => tx<{ attempt: AttemptId; worker: string | null }[]>`
  update airlock.attempt a
     set state = 'ended', fence = a.fence + 1, ended_at = clock_timestamp(), outcome = 'stopped', reason = ${why},
         stop_asked = ${why}, lease_until = null
    from json_to_recordset(${JSON.stringify(keys)}::text::json) as k(task_id text, map_index int)
   where a.tenant = ${tenant} and a.run = ${run} and a.task_id = k.task_id and a.map_index = k.map_index
     and a.state in ('admitted', 'running')
  returning a.attempt, a.worker`;

/** A running instance that was cleared: its attempt goes on until its worker has stopped it (`restarting`). */
export const askToStop = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  keys: readonly InstanceKey[],
  why: string,
) => tx<{ attempt: AttemptId; worker: string | null }[]>`
  update airlock.attempt a set stop_asked = ${why}
    from json_to_recordset(${JSON.stringify(keys)}::text::json) as k(task_id text, map_index int)
   where a.tenant = ${tenant} and a.run = ${run} and a.task_id = k.task_id and a.map_index = k.map_index
     and a.state in ('admitted', 'running')
  returning a.attempt, a.worker`;

export type XComWrite = InstanceKey & {
  readonly key: string;
  /** JSON text, or null when the value lies in the object store. */
  readonly value: string | null;
  readonly object: string | null;
  readonly bytes: number;
};

export const writeXComs = (tx: Tx, tenant: string, run: RunKey, rows: readonly XComWrite[]) => tx`
  insert into airlock.xcom (tenant, run, task_id, map_index, key, value, object, bytes)
  select ${tenant}::text, ${run}::bigint, x.task_id, x.map_index, x.key, x.value::json, x.object, x.bytes
    from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as x(task_id text, map_index int, key text, value text, object text, bytes int)
  on conflict (tenant, run, task_id, map_index, key) do update
     set value = excluded.value, object = excluded.object, bytes = excluded.bytes, at = clock_timestamp()`;

/** A task that starts anew begins without the XComs of its last try, as in Airflow. */
export const deleteXComsOf = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  keys: readonly InstanceKey[],
) => tx`
  delete from airlock.xcom x
   using json_to_recordset(${JSON.stringify(keys)}::text::json) as k(task_id text, map_index int)
   where x.tenant = ${tenant} and x.run = ${run} and x.task_id = k.task_id and x.map_index = k.map_index`;

export type ContinuedAttempt = InstanceKey & {
  readonly attempt: AttemptId;
  /** The one that ended before it, on the same worker. */
  readonly after: AttemptId;
  readonly try_number: number;
  readonly queue: string;
  readonly worker: string;
  readonly lease_s: number;
};

/** An attempt that goes on at once on the worker that ended the one before: no admission, no job, fence 1. */
export const insertContinued = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  dagId: string,
  a: ContinuedAttempt,
) => tx`
  insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, fence, worker, host, queue,
         lease_until, first_started_at, started_at)
  values (${tenant}, ${a.attempt}, ${run}, ${dagId}, ${a.task_id}, ${a.map_index}, ${a.try_number}, 'running', 1, ${a.worker},
          (select p.host from airlock.attempt p where p.tenant = ${tenant} and p.attempt = ${a.after}), ${a.queue}, clock_timestamp() + make_interval(secs => ${a.lease_s}), clock_timestamp(), clock_timestamp())`;

export const renamePermit = (
  tx: Tx,
  tenant: string,
  from: AttemptId,
  to: AttemptId,
  taskId: TaskId,
) => tx`
  with w as (
  update airlock.permit set attempt = ${to}, task_id = ${taskId} where tenant = ${tenant} and attempt = ${from}
  returning 1)
  select airlock.expect(1, count(*)) from w`;

/** −1: somebody else is admitting for this tenant just now. */
export const admit = (tx: Tx, tenant: string) =>
  tx<{ admitted: number }[]>`select airlock.admit(${tenant}) as admitted`;

export type ContinuationRows = {
  readonly tenant_active: boolean;
  readonly dag_paused: boolean;
  readonly in_flight: number;
  readonly max_running: number;
  readonly weight: number;
  readonly own_admitted: number;
  readonly others_least: number | null;
  /** The first in Airflow's order of all that wait for the same pool, DAG or, where it is full, tenant quota. */
  readonly first_waiting: {
    readonly priority_weight: number;
    /** null: its run has no logical date. */
    readonly order_ms: number | null;
    readonly map_index: number;
  } | null;
  readonly pool_open: number | null;
  readonly dag_open: number;
};

export const continuationFacts = (
  tx: Tx,
  tenant: string,
  run: RunKey,
  dagId: string,
  pool: string,
  queue: string,
) => tx<ContinuationRows[]>`
  select t.state = 'active' as tenant_active, d.is_paused as dag_paused, f.in_flight, t.max_running, t.weight, f.own_admitted,
         f.others_least, w.first_waiting,
         case when p.slots < 0 then null
              else p.slots - (select coalesce(sum(slots), 0) from airlock.permit where tenant = ${tenant} and pool = ${pool}) end::int as pool_open,
         d.max_active_tasks - (select count(*) from airlock.permit pp where pp.tenant = ${tenant}
              and case when d.level = '3' then pp.run = ${run} else pp.dag_id = ${dagId} end)::int as dag_open
    from airlock.tenant t
    join airlock.dag d on d.tenant = t.tenant and d.dag_id = ${dagId}
    join airlock.pool p on p.tenant = t.tenant and p.pool = ${pool}
    cross join airlock.continuation_facts(${tenant}, ${queue}) f
    left join lateral (
      select json_build_object('priority_weight', h.priority_weight, 'map_index', h.map_index,
               'order_ms', case when isfinite(h.order_at) then floor(extract(epoch from h.order_at) * 1000) end) as first_waiting
        from airlock.waiting_lanes(${tenant}) l
        cross join lateral (
          select i.pool, i.dag_id, i.priority_weight, i.order_at, i.map_index from airlock.task_instance i
           where i.tenant = ${tenant} and i.run = l.run and i.lane = l.lane and i.state = 'scheduled'
           order by i.priority_weight desc, i.order_at, i.map_index, i.task_id collate "C" limit 1) h
        join airlock.dag hd on hd.tenant = ${tenant} and hd.dag_id = h.dag_id and not hd.is_paused
       where h.pool = ${pool} or h.dag_id = ${dagId} or f.in_flight >= t.max_running
       order by h.priority_weight desc, h.order_at, h.map_index limit 1) w on true
   where t.tenant = ${tenant}`;
