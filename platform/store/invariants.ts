/**
 * What must hold of the rows at any moment, whatever died on the way: each as a sentence and as a query that finds what
 * breaks it. For `airlock db check`, after every storm, and at the end of tests.
 *
 * All are read from one snapshot, so work in flight does not look like damage: a transaction is seen whole or not at
 * all. What is allowed to take a moment (a lease, a lost doorbell) counts only when it is well over, and only while a
 * scheduler lives that had the time to mend it.
 */
import postgres from "postgres";

export type Invariant = {
  readonly id: string;
  readonly sentence: string;
  /** Finds what breaks it; no row: it holds. */
  readonly query: string;
};

/** A scheduler that lives mends within seconds; with none, nothing is late, it waits. */
const scheduler =
  "exists (select from airlock.role_beat where role = 'scheduler' and at > now() - interval '15 s')";
const finished = "('success', 'failed', 'skipped', 'upstream_failed', 'removed')";
const inFlight =
  "('scheduled', 'queued', 'running', 'restarting', 'up_for_retry', 'up_for_reschedule', 'deferred')";
const sameInstance = (a: string, b: string): string =>
  `${b}.tenant = ${a}.tenant and ${b}.run = ${a}.run and ${b}.task_id = ${a}.task_id and ${b}.map_index = ${a}.map_index`;

export const invariants: readonly Invariant[] = [
  {
    id: "I1",
    sentence: "A task instance has at most one open attempt.",
    query: `
      select tenant, run, task_id, map_index, count(*) as open from airlock.attempt
       where state <> 'ended' group by 1, 2, 3, 4 having count(*) > 1`,
  },
  {
    id: "I1-same",
    sentence: "An open attempt and its task instance say the same.",
    query: `
      select a.tenant, a.run, a.task_id, a.map_index, a.attempt, a.state as attempt_state, i.state as state
        from airlock.attempt a left join airlock.task_instance i on ${sameInstance("a", "i")}
       where (a.state = 'admitted' and i.state is distinct from 'queued')
          or (a.state = 'running' and (i.state is null or i.state not in ('running', 'restarting')))
          or (a.state <> 'ended' and i.try_number <> a.try_number)`,
  },
  {
    id: "I1-held",
    sentence: "What is queued or running has an open attempt.",
    query: `
      select i.tenant, i.run, i.task_id, i.map_index, i.state from airlock.task_instance i
       where i.state in ('queued', 'running', 'restarting')
         and not exists (select from airlock.attempt a where ${sameInstance("i", "a")} and a.state <> 'ended')`,
  },
  {
    id: "I2",
    sentence: "A try has one attempt, and no attempt is of a try that is yet to come.",
    query: `
      select a.tenant, a.run, a.task_id, a.map_index, a.try_number, count(*) as attempts
        from airlock.attempt a group by 1, 2, 3, 4, 5 having count(*) > 1
      union all
      select a.tenant, a.run, a.task_id, a.map_index, a.try_number, 1
        from airlock.attempt a join airlock.task_instance i on ${sameInstance("a", "i")}
       where a.try_number > i.try_number`,
  },
  {
    id: "I3",
    sentence: "A success of the current try is the end of its task instance.",
    query: `
      select a.tenant, a.run, a.task_id, a.map_index, a.attempt, i.state
        from airlock.attempt a join airlock.task_instance i on ${sameInstance("a", "i")} and i.try_number = a.try_number
       where a.state = 'ended' and a.outcome = 'success'
         and i.state in ('scheduled', 'queued', 'running', 'up_for_retry', 'up_for_reschedule', 'deferred')`,
  },
  {
    id: "I4-lease",
    sentence: "No attempt is held by a worker that let its lease run out.",
    query: `
      select tenant, run, task_id, map_index, attempt, worker, lease_until from airlock.attempt
       where state = 'running' and (lease_until is null or lease_until < now() - interval '10 s') and ${scheduler}`,
  },
  {
    id: "I4-bell",
    sentence: "An admitted attempt has a job that brings it to a worker.",
    query: `
      select a.tenant, a.run, a.task_id, a.map_index, a.attempt, a.admitted_at from airlock.attempt a
       where a.state = 'admitted' and a.admitted_at < now() - interval '60 s' and ${scheduler}
         and not exists (select from graphile_worker.jobs j where j.key = 'a:' || a.attempt and j.attempts < j.max_attempts)`,
  },
  {
    id: "I4-timer",
    sentence: "What waits for its time has a timer, and no timer is long over.",
    query: `
      select i.tenant, i.run, i.task_id, i.map_index, i.state as waits, null::timestamptz as due_at
        from airlock.task_instance i join airlock.dag_run r on r.tenant = i.tenant and r.run = i.run
       where i.state in ('up_for_retry', 'up_for_reschedule') and r.state in ('queued', 'running')
         and not exists (select from airlock.timer t where ${sameInstance("i", "t")}
                            and t.kind = case i.state when 'up_for_retry' then 'retry' else 'reschedule' end)
      union all
      select t.tenant, t.run, t.task_id, t.map_index, t.kind, t.due_at from airlock.timer t
       where t.due_at < now() - interval '90 s' and ${scheduler}`,
  },
  {
    id: "I5",
    sentence: "Each change of a task instance or a run follows the one before it.",
    query: `
      select tenant, run, task_id, map_index, seq, from_state, before, to_state from (
        select tenant, run, task_id, map_index, seq, from_state, to_state, lag(to_state) over w as before, row_number() over w as n
          from airlock.change where run <> 0 window w as (partition by tenant, run, task_id, map_index order by seq)) c
       where n > 1 and from_state is distinct from before
         and not (task_id <> '' and before = 'removed' and from_state is null)`,
  },
  {
    id: "I5-pair",
    sentence: "Only changes happen that the state machines have.",
    query: `
      select tenant, run, task_id, map_index, seq, from_state, to_state from airlock.change
       where run <> 0 and (task_id <> '' and case to_state
               when 'queued' then from_state is null or from_state not in ('scheduled', 'running')
               when 'up_for_retry' then from_state is null or from_state not in ('running', 'queued')
               when 'up_for_reschedule' then from_state is null or from_state not in ('running', 'queued')
               when 'deferred' then from_state is null or from_state not in ('running', 'queued')
               when 'restarting' then from_state is null or from_state not in ('running', 'restarting')
               when 'running' then from_state in ('running', 'deferred')
               else false end
          or task_id = '' and case to_state
               when 'queued' then from_state is not null and from_state not in ('queued', 'running', 'success', 'failed')
               else from_state is null end)`,
  },
  {
    id: "I6",
    sentence: "Every open attempt has its permit, and there is no other.",
    query: `
      select coalesce(a.tenant, p.tenant) as tenant, coalesce(a.attempt, p.attempt) as attempt, a.state, p.pool
        from (select tenant, attempt, state from airlock.attempt where state <> 'ended') a
        full join airlock.permit p on p.tenant = a.tenant and p.attempt = a.attempt
       where a.attempt is null or p.attempt is null`,
  },
  {
    id: "I7-ended",
    sentence: "A run that has ended has nothing open.",
    query: `
      select r.tenant, r.run, r.dag_id, r.run_id, r.state as run_state, i.task_id, i.map_index, i.state
        from airlock.dag_run r join airlock.task_instance i on i.tenant = r.tenant and i.run = r.run
       where r.state in ('success', 'failed') and (i.state is null or i.state not in ${finished})`,
  },
  {
    id: "I7-open",
    sentence: "A run that goes on has something to go on with.",
    query: `
      select r.tenant, r.run, r.dag_id, r.run_id, r.unfinished from airlock.dag_run r
       where r.state = 'running' and r.has_instances and (r.unfinished = 0 or not exists (
               select from airlock.task_instance i where i.tenant = r.tenant and i.run = r.run and i.state in ${inFlight})
             -- what waits for the run before is woken by that one
             and not exists (select from airlock.dag_version v where v.tenant = r.tenant and v.dag_id = r.dag_id and v.version = r.version
                                and v.spec::text ~ '"(depends_on_past|wait_for_downstream)":\\s*true'))`,
  },
  {
    id: "I7-count",
    sentence: "A run's own count of what is unfinished is true.",
    query: `
      select r.tenant, r.run, r.dag_id, r.run_id, r.unfinished, count(i.task_id) as counted
        from airlock.dag_run r
        left join airlock.task_instance i
          on i.tenant = r.tenant and i.run = r.run and (i.state is null or i.state not in ${finished})
       where r.has_instances
       group by r.tenant, r.run having r.unfinished <> count(i.task_id)`,
  },
  {
    id: "I7-counters",
    sentence: "What is kept of a task's upstreams is what counting them anew gives.",
    query: `
      with edge as (
        select v.tenant, v.dag_id, v.version, t ->> 'task_id' as up, down
          from airlock.dag_version v, json_array_elements(v.spec -> 'tasks') t, json_array_elements_text(t -> 'downstream') down
         -- a mapped group counts apart for each of its indexes
         where not exists (select from json_array_elements(v.spec -> 'groups') g where g -> 'map' is not null))
      select c.tenant, c.run, c.task_id, c.total, c.success, n.total as total_counted, n.success as success_counted
        from airlock.task_counter c
        join airlock.dag_run r on r.tenant = c.tenant and r.run = c.run
        join lateral (
          select count(*) as edges, count(i.task_id) as total,
                 count(*) filter (where i.state = 'success') as success, count(*) filter (where i.state = 'failed') as failed,
                 count(*) filter (where i.state = 'upstream_failed') as upstream_failed,
                 count(*) filter (where i.state = 'skipped') as skipped, count(*) filter (where i.state = 'removed') as removed
            from edge e left join airlock.task_instance i on i.tenant = c.tenant and i.run = c.run and i.task_id = e.up
           where e.tenant = r.tenant and e.dag_id = r.dag_id and e.version = r.version and e.down = c.task_id) n on n.edges > 0
       where c.scope = -1 and (c.total, c.success, c.failed, c.upstream_failed, c.skipped, c.removed)
             <> (n.total, n.success, n.failed, n.upstream_failed, n.skipped, n.removed)`,
  },
  {
    id: "I8",
    sentence: "A tenant's rows name that tenant's things alone.",
    query: `
      select 'change' as what, c.tenant, c.run::text as thing from airlock.change c
       where exists (select from airlock.dag_run r where r.run = c.run and r.tenant <> c.tenant)
         and not exists (select from airlock.dag_run r where r.run = c.run and r.tenant = c.tenant)
      union all
      select 'log', l.tenant, l.attempt::text from (select distinct tenant, attempt from airlock.log_chunk) l
       where exists (select from airlock.attempt a where a.attempt = l.attempt and a.tenant <> l.tenant)
         and not exists (select from airlock.attempt a where a.attempt = l.attempt and a.tenant = l.tenant)
      union all
      select 'permit', p.tenant, p.attempt::text from airlock.permit p
        join airlock.attempt a on a.tenant = p.tenant and a.attempt = p.attempt
       where (p.run, p.dag_id, p.task_id) <> (a.run, a.dag_id, a.task_id)
      union all
      select 'job', j.t, j.a from (
        select payload ->> 't' as t, payload ->> 'a' as a from graphile_worker._private_jobs) j
        join airlock.attempt a on a.attempt::text = j.a
       where a.tenant <> j.t
      union all
      select 'run', r.tenant, r.run::text from airlock.dag_run r
       where r.by_run is not null and exists (select from airlock.dag_run o where o.run = r.by_run and o.tenant <> r.tenant)`,
  },
  {
    id: "I9",
    sentence: "A schedule has one run for each of its dates, and its next one is not overdue.",
    query: `
      select r.tenant, r.dag_id, r.logical_date, count(*) as runs from airlock.dag_run r
       where r.run_type = 'scheduled' group by 1, 2, 3 having count(*) > 1
      union all
      select d.tenant, d.dag_id, d.next_run_at, 0 from airlock.dag d
       where d.state = 'active' and not d.is_paused and d.next_run_at < now() - interval '60 s' and ${scheduler}
         and exists (select from airlock.tenant t where t.tenant = d.tenant and t.state = 'active')
         and d.max_active_runs > (select count(*) from airlock.dag_run r
               where r.tenant = d.tenant and r.dag_id = d.dag_id and r.state in ('queued', 'running') and r.run_type <> 'backfill')`,
  },
  {
    id: "I10",
    sentence: "No job is locked by a pool that nobody knows.",
    query: `
      select j.id, j.key, j.locked_by, j.locked_at from graphile_worker.jobs j
       where j.locked_by is not null and j.locked_at < now() - interval '30 s' and ${scheduler}
         and not exists (select from airlock.worker w where w.queue_pool = j.locked_by)`,
  },
];

export type Checked = {
  readonly id: string;
  readonly sentence: string;
  readonly ok: boolean;
  /** How many rows break it. */
  readonly violations: number;
  /** The first of them. */
  readonly rows: readonly { readonly [column: string]: unknown }[];
};

const rowsMax = 20;

/** Reads all of them from one snapshot, as the owner; changes nothing. `done` hears of each as soon as it is known. */
export async function checkInvariants(
  url: string,
  done: (checked: Checked) => void = () => undefined,
): Promise<readonly Checked[]> {
  const sql = postgres(url, {
    max: 1,
    onnotice: () => undefined,
    connect_timeout: 10,
    connection: { application_name: "airlock-check", statement_timeout: 600_000 },
  });
  try {
    return await sql.begin("isolation level repeatable read read only", async (tx) => {
      const found: Checked[] = [];
      for (const { id, sentence, query } of invariants) {
        const rows = await tx.unsafe<{ violations: string; row: Checked["rows"][number] }[]>(
          `select count(*) over () as violations, row_to_json(v) as row from (${query}) v limit ${rowsMax}`,
        );
        const checked = {
          id,
          sentence,
          ok: rows.length === 0,
          violations: Number(rows[0]?.violations ?? 0),
          rows: rows.map(({ row }) => row),
        };
        found.push(checked);
        done(checked);
      }
      return found;
    });
  } finally {
    await sql.end({ timeout: 2 });
  }
}
