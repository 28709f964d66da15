/** What the screens of a run and of a task instance show, one statement per table. In a tenant's transaction. */
import type { RunState, TaskState } from "../model/states.ts";
import type { Tx } from "./open.ts";
import { textArray } from "./text-array.ts";

/** More than this of one run is never sent at once. */
export const instancesMax = 100_000;

/** Times are epoch milliseconds. */
export type ScreenInstance = {
  readonly task_id: string;
  readonly map_index: number;
  readonly state: TaskState;
  readonly try_number: number;
  readonly max_tries: number;
  readonly scheduled: number | null;
  readonly queued: number | null;
  readonly started: number | null;
  readonly ended: number | null;
  readonly label: string | null;
};

export const listScreenInstances = (tx: Tx, run: string, taskId?: string) => tx<ScreenInstance[]>`
  select task_id, map_index, state, try_number, max_tries, ${ms(tx, tx`scheduled_at`)} as scheduled,
         ${ms(tx, tx`queued_at`)} as queued, ${ms(tx, tx`started_at`)} as started, ${ms(tx, tx`ended_at`)} as ended,
         rendered_map_index as label
    from airlock.task_instance
   where tenant = airlock.current_tenant() and run = ${run}
     and ${taskId === undefined ? tx`true` : tx`task_id = ${taskId}`}
   order by task_id, map_index limit ${instancesMax}`;

export type ScreenAttempt = {
  readonly task_id: string;
  readonly map_index: number;
  readonly try_number: number;
  readonly admitted: number;
  readonly started: number | null;
  readonly ended: number | null;
  /** From the claim to the first line of the task's code, milliseconds; known once it ended. */
  readonly start_ms: number | null;
  readonly outcome: string | null;
};

/** A try has several attempts after its worker was lost. */
export const listScreenAttempts = (tx: Tx, run: string) => tx<ScreenAttempt[]>`
  select task_id, map_index, try_number, ${ms(tx, tx`admitted_at`)} as admitted,
         ${ms(tx, tx`coalesce(first_started_at, started_at)`)} as started, ${ms(tx, tx`ended_at`)} as ended, start_ms::float8 as start_ms, outcome
    from airlock.attempt
   where tenant = airlock.current_tenant() and run = ${run}
   order by task_id, map_index, try_number, admitted_at limit ${2 * instancesMax}`;

const ms = (tx: Tx, of: ReturnType<Tx>): ReturnType<Tx> =>
  tx`floor(extract(epoch from ${of}) * 1000)::float8`;

export type NeighbourRun = {
  readonly place: "origin" | "triggered" | "previous" | "next";
  readonly dag_id: string;
  readonly run_id: string;
  readonly state: RunState;
  readonly run_after: Date;
  /** Of an origin: the task that triggered this run. */
  readonly task_id: string | null;
  readonly map_index: number | null;
};

/** What triggered a run, what it triggered (the first hundred), and the runs of its DAG before and after it. */
export const listNeighbourRuns = (tx: Tx, run: string) => tx<NeighbourRun[]>`
  with me as (
    select * from airlock.dag_run where tenant = airlock.current_tenant() and run = ${run})
  select 'origin' as place, o.dag_id, o.run_id, o.state, o.run_after, me.by_task as task_id, me.by_map_index as map_index
    from me join airlock.dag_run o on o.tenant = me.tenant and o.run = me.by_run
  union all
  (select 'triggered', c.dag_id, c.run_id, c.state, c.run_after, c.by_task, c.by_map_index
     from me join airlock.dag_run c on c.tenant = me.tenant and c.by_run = me.run order by c.run limit 100)
  union all
  (select 'previous', p.dag_id, p.run_id, p.state, p.run_after, null, null
     from me join airlock.dag_run p on p.tenant = me.tenant and p.dag_id = me.dag_id and p.run_after <= me.run_after
          and (p.run_after, p.run) < (me.run_after, me.run)
    order by p.run_after desc, p.run desc limit 1)
  union all
  (select 'next', n.dag_id, n.run_id, n.state, n.run_after, null, null
     from me join airlock.dag_run n on n.tenant = me.tenant and n.dag_id = me.dag_id and n.run_after >= me.run_after
          and (n.run_after, n.run) > (me.run_after, me.run)
    order by n.run_after, n.run limit 1)`;

/** What a run was made from, beside its version. */
export type RunPins = {
  readonly run: string;
  readonly path: string;
  readonly environment: string;
  readonly environments: { readonly [guest: string]: unknown } | null;
  readonly limits: { readonly [name: string]: unknown } | null;
  readonly egress: readonly { readonly host: string; readonly port: number }[];
  readonly clear_number: number;
};

export async function readRunPins(tx: Tx, run: string): Promise<RunPins | undefined> {
  const [row] = await tx<RunPins[]>`
    select r.run, r.path, r.environment, b.environments, b.limits, t.egress, r.clear_number
      from airlock.dag_run r
      join airlock.tenant t on t.tenant = r.tenant
      left join airlock.bundle b on b.tenant = r.tenant and b.repository = r.repository and b.commit = r.commit
     where r.tenant = airlock.current_tenant() and r.run = ${run}`;
  return row;
}

export type InstanceRef = {
  readonly run: string;
  readonly taskId: string;
  readonly mapIndex: number;
};

export type AttemptRow = {
  readonly attempt: string;
  readonly try_number: number;
  readonly state: "admitted" | "running" | "ended";
  readonly admitted_at: Date;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
  readonly start_ms: number | null;
  readonly outcome: string | null;
  readonly reason: string | null;
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly limit_hit: string | null;
  readonly host: string | null;
  readonly cpu_s: number | null;
  readonly peak_memory: number | null;
  readonly log_bytes: number;
  readonly crashes: number;
};

/** The newest hundred attempts of an instance, oldest first. */
export const listAttempts = (tx: Tx, ref: InstanceRef) => tx<AttemptRow[]>`
  select * from (
    select attempt, try_number, state, admitted_at, coalesce(first_started_at, started_at) as started_at, ended_at,
           start_ms::float8 as start_ms, outcome, reason, exit_code, signal, limit_hit, host, cpu_s::float8 as cpu_s,
           peak_memory::float8 as peak_memory, log_bytes::float8 as log_bytes, crashes
      from airlock.attempt
     where tenant = airlock.current_tenant() and run = ${ref.run} and task_id = ${ref.taskId} and map_index = ${ref.mapIndex}
     order by try_number desc, admitted_at desc limit 100) a
   order by try_number, admitted_at`;

/** What the templates of a try came to, as JSON text. */
export async function readRendered(
  tx: Tx,
  ref: InstanceRef & { readonly tryNumber: number },
): Promise<string | undefined> {
  const [row] = await tx<{ fields: string }[]>`
    select fields::text as fields from airlock.rendered_fields
     where tenant = airlock.current_tenant() and run = ${ref.run} and task_id = ${ref.taskId}
       and map_index = ${ref.mapIndex} and try_number = ${ref.tryNumber}`;
  return row?.fields;
}

export type XComHead = {
  readonly task_id: string;
  readonly map_index: number;
  readonly key: string;
  readonly bytes: number;
  readonly at: Date;
};

export const xcomsMax = 500;

/** XComs of an instance, and those that its upstream tasks pushed in the same run, without their values. */
export const listXComHeads = (tx: Tx, ref: InstanceRef, upstream: readonly string[]) => tx<
  XComHead[]
>`
  (select task_id, map_index, key, bytes, at from airlock.xcom
    where tenant = airlock.current_tenant() and run = ${ref.run} and task_id = ${ref.taskId} and map_index = ${ref.mapIndex}
    order by key limit ${xcomsMax})
  union all
  (select task_id, map_index, key, bytes, at from airlock.xcom
    where tenant = airlock.current_tenant() and run = ${ref.run} and task_id = any(${textArray(upstream)}::text[])
      and task_id <> ${ref.taskId}
    order by task_id, map_index, key limit ${xcomsMax})`;

export const listInstanceArtifacts = (tx: Tx, ref: InstanceRef) => tx<
  {
    readonly try_number: number;
    readonly name: string;
    readonly bytes: number;
    readonly content_type: string;
    readonly at: Date;
  }[]
>`
  select a.try_number, f.name, f.bytes::float8 as bytes, f.content_type, f.at
    from airlock.attempt a join airlock.artifact f on f.tenant = a.tenant and f.attempt = a.attempt
   where a.tenant = airlock.current_tenant() and a.run = ${ref.run} and a.task_id = ${ref.taskId} and a.map_index = ${ref.mapIndex}
   order by a.try_number desc, f.name limit 500`;

/** How many instances a task has in each state. */
export const countSiblings = (tx: Tx, ref: { readonly run: string; readonly taskId: string }) => tx<
  { readonly state: TaskState; readonly count: number }[]
>`
  select state, count(*)::int as count from airlock.task_instance
   where tenant = airlock.current_tenant() and run = ${ref.run} and task_id = ${ref.taskId}
   group by state`;

export type SameTask = {
  readonly place: "previous" | "next";
  readonly run_id: string;
  readonly state: TaskState;
  readonly run_after: Date;
};

/** The same instance in the nearest runs before and after that have it (of the thirty nearest each way). */
export const listSameTask = (tx: Tx, ref: InstanceRef) => tx<SameTask[]>`
  with me as (
    select tenant, dag_id, run, run_after from airlock.dag_run where tenant = airlock.current_tenant() and run = ${ref.run}),
  before as (
    select p.run, p.run_id, p.run_after from me join airlock.dag_run p on p.tenant = me.tenant and p.dag_id = me.dag_id
       and p.run_after <= me.run_after and (p.run_after, p.run) < (me.run_after, me.run)
     order by p.run_after desc, p.run desc limit 30),
  after as (
    select n.run, n.run_id, n.run_after from me join airlock.dag_run n on n.tenant = me.tenant and n.dag_id = me.dag_id
       and n.run_after >= me.run_after and (n.run_after, n.run) > (me.run_after, me.run)
     order by n.run_after, n.run limit 30)
  (select 'previous' as place, b.run_id, i.state, b.run_after from before b
     join airlock.task_instance i on i.tenant = airlock.current_tenant() and i.run = b.run and i.task_id = ${ref.taskId}
      and i.map_index = ${ref.mapIndex}
    order by b.run_after desc, b.run desc limit 1)
  union all
  (select 'next', a.run_id, i.state, a.run_after from after a
     join airlock.task_instance i on i.tenant = airlock.current_tenant() and i.run = a.run and i.task_id = ${ref.taskId}
      and i.map_index = ${ref.mapIndex}
    order by a.run_after, a.run limit 1)`;
