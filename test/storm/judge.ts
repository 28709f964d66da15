/**
 * What is asked of the rows once it is calm, beyond the house's own invariants: the storm knows what was asked for, what
 * arrived outside, and that nobody cleared, marked or narrowed anything by hand.
 */
import type postgres from "postgres";
import { checkInvariants } from "../../platform/store/invariants.ts";
import type { Triggered } from "./teams.ts";

export type Verdict = {
  readonly tasks: number;
  readonly runs: number;
  readonly scheduled_runs: number;
  readonly guest_attempts: number;
  readonly effects: number;
  /** Effects that came again, because their worker had vanished: at least once, and it shows. */
  readonly effects_again: number;
  /** Runs that were said to be there and are not, and successes whose effect is not there. */
  readonly lost: number;
  /** Tasks that ran more often than somebody had the right to run them, or that won twice. */
  readonly doubled: number;
  /** Runs that did not end. */
  readonly stuck: number;
  /** Runs that failed: no DAG of the storm fails by itself. */
  readonly failed: number;
  readonly out_of_memory: number;
  /** What attempts failed of, and how many each: numbers and names taken out. */
  readonly failed_attempts: { readonly [reason: string]: number };
  readonly violations: readonly string[];
};

type Rows = readonly { readonly [column: string]: unknown }[];

export async function judge(
  url: string,
  sql: postgres.Sql,
  asked: readonly Triggered[],
): Promise<Verdict> {
  const violations = (await checkInvariants(url))
    .filter(({ ok }) => !ok)
    .map(
      ({ id, sentence, violations: n, rows }) =>
        `${id}: ${sentence} ${n}: ${JSON.stringify(rows.slice(0, 3))}`,
    );
  await sql`drop table if exists storm.asked`;
  await sql`create table storm.asked (tenant text, dag text, run_id text)`;
  for (let at = 0; at < asked.length; at += 10_000)
    await sql`
      insert into storm.asked select * from json_to_recordset(${JSON.stringify(asked.slice(at, at + 10_000))}::text::json)
        as e(tenant text, dag text, run_id text)`;
  await sql`drop table if exists storm.claim`;
  // How often each try was begun by somebody who had the right to.
  await sql`
    create table storm.claim as
      select tenant, run, task_id, map_index, try_number, count(*)::int as claims from airlock.change
       where task_id <> '' and to_state = 'running' group by 1, 2, 3, 4, 5`;
  await sql`drop table if exists storm.ran`;
  await sql`
    create table storm.ran as
      select r.tenant, r.run, e.task_id, e.map_index, e.try_number, count(distinct e.execution)::int as executions
        from storm.effect e join airlock.dag_run r on r.tenant = e.tenant and r.dag_id = e.dag_id and r.run_id = e.run_id
       group by 1, 2, 3, 4, 5`;
  await sql`create index on storm.ran (tenant, run, task_id, map_index)`;
  await sql`create index on storm.claim (tenant, run, task_id, map_index)`;
  await sql`analyze storm.ran`;
  await sql`analyze storm.claim`;

  const [counts] = await sql<
    {
      tasks: number;
      runs: number;
      scheduled_runs: number;
      guest_attempts: number;
      effects: number;
      effects_again: number;
      out_of_memory: number;
    }[]
  >`
    select (select count(*)::int from airlock.task_instance) as tasks, (select count(*)::int from airlock.dag_run) as runs,
           (select count(*)::int from airlock.dag_run where run_type = 'scheduled') as scheduled_runs,
           (select coalesce(sum(claims), 0)::int from storm.claim) as guest_attempts,
           (select count(*)::int from (select distinct tenant, run, task_id, map_index from storm.ran) d) as effects,
           (select coalesce(sum(n - 1), 0)::int from (select sum(executions) as n from storm.ran group by tenant, run, task_id, map_index) d) as effects_again,
           (select count(*)::int from airlock.attempt where limit_hit = 'memory') as out_of_memory`;
  const look = async (name: string, query: PromiseLike<Rows>): Promise<number> => {
    const rows = await query;
    if (rows.length > 0)
      violations.push(`${name}: ${rows.length}: ${JSON.stringify(rows.slice(0, 3))}`);
    return rows.length;
  };
  const lostRuns = await look(
    "a run that was said to be there is not",
    sql`select a.* from storm.asked a
         where not exists (select from airlock.dag_run r where r.tenant = a.tenant and r.dag_id = a.dag and r.run_id = a.run_id)`,
  );
  const lostEffects = await look(
    "a success has no effect",
    sql`select i.tenant, i.run, i.dag_id, i.task_id, i.map_index, i.try_number from airlock.task_instance i
         where i.state = 'success' and i.operator <> 'EmptyOperator'
           and not exists (select from storm.ran e where e.tenant = i.tenant and e.run = i.run and e.task_id = i.task_id
                              and e.map_index = i.map_index and e.try_number = i.try_number)`,
  );
  const orphans = await look(
    "an effect has no success",
    sql`select distinct e.tenant, e.run, e.task_id, e.map_index, i.state from storm.ran e
          left join airlock.task_instance i on i.tenant = e.tenant and i.run = e.run and i.task_id = e.task_id and i.map_index = e.map_index
         where i.state is distinct from 'success'`,
  );
  const strangers = await look(
    "an effect is of a run that nobody knows",
    sql`select distinct e.tenant, e.dag_id, e.run_id from storm.effect e
         where not exists (select from airlock.dag_run r where r.tenant = e.tenant and r.dag_id = e.dag_id and r.run_id = e.run_id)`,
  );
  const doubledBodies = await look(
    "a task ran more often than it was claimed",
    sql`select e.*, coalesce(c.claims, 0) as claims from storm.ran e
          left join storm.claim c on c.tenant = e.tenant and c.run = e.run and c.task_id = e.task_id and c.map_index = e.map_index
                                 and c.try_number = e.try_number
         where e.executions > coalesce(c.claims, 0)`,
  );
  const wonTwice = await look(
    "a task has won twice",
    sql`select tenant, run, task_id, map_index, count(*)::int as successes from airlock.attempt
         where outcome = 'success' group by 1, 2, 3, 4 having count(*) > 1`,
  );
  await look(
    "a success was not won by the attempt of its try",
    sql`select i.tenant, i.run, i.task_id, i.map_index, i.try_number from airlock.task_instance i
         where i.state = 'success' and i.operator <> 'EmptyOperator'
           and (select count(*) from airlock.attempt a where a.tenant = i.tenant and a.run = i.run and a.task_id = i.task_id
                  and a.map_index = i.map_index and a.try_number = i.try_number and a.outcome = 'success') <> 1`,
  );
  await look(
    "tries are not dense",
    sql`select tenant, run, task_id, map_index, count(*)::int as attempts, max(try_number) as last from airlock.attempt
         group by 1, 2, 3, 4 having count(*) <> max(try_number)`,
  );
  const stuck = await look(
    "a run did not end",
    sql`select r.tenant, r.run, r.dag_id, r.run_id, r.state,
               (select json_object_agg(coalesce(s, 'none'), n) from (select i.state as s, count(*) as n from airlock.task_instance i
                 where i.tenant = r.tenant and i.run = r.run group by 1) g) as tasks
          from airlock.dag_run r where r.state in ('queued', 'running')`,
  );
  const failed = await look(
    "a run failed",
    sql`select r.tenant, r.run, r.dag_id, r.run_id, r.reason,
               (select min(i.task_id || ': ' || i.reason) from airlock.task_instance i
                 where i.tenant = r.tenant and i.run = r.run and i.state = 'failed') as task
          from airlock.dag_run r where r.state = 'failed'`,
  );
  // Whose slots were in use when, by the record of changes: places are given back before they are given again.
  await look(
    "more in a pool than it has slots, at some moment",
    sql`select * from (
          select i.tenant, i.pool, p.slots, c.seq, sum(case
                   when c.to_state in ('queued', 'running', 'restarting') and coalesce(c.from_state, '') not in ('queued', 'running', 'restarting') then i.pool_slots
                   when coalesce(c.to_state, '') not in ('queued', 'running', 'restarting') and c.from_state in ('queued', 'running', 'restarting') then -i.pool_slots
                   else 0 end) over (partition by i.tenant, i.pool order by c.seq) as used
            from airlock.change c
            join airlock.task_instance i on i.tenant = c.tenant and i.run = c.run and i.task_id = c.task_id and i.map_index = c.map_index
            join airlock.pool p on p.tenant = i.tenant and p.pool = i.pool
           where p.slots >= 0) u where used > slots limit 100`,
  );
  await look(
    "a schedule left a date out, or has one too many",
    sql`select * from (
          select tenant, dag_id, logical_date, logical_date - lag(logical_date) over (partition by tenant, dag_id order by logical_date) as step
            from airlock.dag_run where run_type = 'scheduled' and dag_id = 'ticks') s where step <> interval '4 s'`,
  );
  const reasons = await sql<{ reason: string; n: number }[]>`
    select left(regexp_replace(coalesce(reason, '(none)'), '[0-9a-f-]{8,}|[0-9]+', 'N', 'g'), 160) as reason, count(*)::int as n
      from airlock.attempt where outcome = 'failed' group by 1 order by 2 desc limit 20`;
  return {
    failed_attempts: Object.fromEntries(reasons.map(({ reason, n }) => [reason, n])),
    tasks: counts?.tasks ?? 0,
    runs: counts?.runs ?? 0,
    scheduled_runs: counts?.scheduled_runs ?? 0,
    guest_attempts: counts?.guest_attempts ?? 0,
    effects: counts?.effects ?? 0,
    effects_again: counts?.effects_again ?? 0,
    lost: lostRuns + lostEffects,
    doubled: doubledBodies + wonTwice + orphans + strangers,
    stuck,
    failed,
    out_of_memory: counts?.out_of_memory ?? 0,
    violations,
  };
}
