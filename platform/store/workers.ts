/** Workers: who is alive, and what becomes of the attempts of those that are not. */
import type { AttemptId, RunKey, TaskId, TenantId } from "../model/ids.ts";
import type { Session, Tx } from "./open.ts";

const lockClass = 7001;

export type WorkerRow = {
  readonly worker: string;
  readonly home: string;
  readonly host: string;
  readonly pid: number;
  readonly queues: readonly string[];
  readonly slots: number;
};

/** Makes the worker known; the key of the session lock that it must hold while it lives. */
export async function registerWorker(tx: Tx, row: WorkerRow): Promise<number> {
  const [made] = await tx<{ lock_key: string }[]>`
    insert into airlock.worker (worker, home, host, pid, queues, slots)
    values (${row.worker}, ${row.home}, ${row.host}, ${row.pid}, ${row.queues as string[]}, ${row.slots})
    returning lock_key`;
  return Number(made?.lock_key);
}

/** Free as soon as the process is gone, however it went. False: somebody tests it just now, ask again. */
export async function holdWorkerLock(session: Session, lockKey: number): Promise<boolean> {
  const [row] = await session.sql<{ held: boolean }[]>`
    select pg_try_advisory_lock(${lockClass}, ${lockKey}) as held`;
  return row?.held === true;
}

export const setQueuePool = (tx: Tx, worker: string, pool: string) =>
  tx`update airlock.worker set queue_pool = ${pool} where worker = ${worker}`;

/** One statement for the worker and all its attempts. Answers the attempts it still holds. */
export async function beat(
  tx: Tx,
  worker: string,
  leaseSeconds: number,
): Promise<ReadonlySet<AttemptId>> {
  const rows = await tx<{ attempt: AttemptId }[]>`
    with w as (update airlock.worker set beat_at = clock_timestamp() where worker = ${worker})
    update airlock.attempt set lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds})
     where worker = ${worker} and state = 'running'
    returning attempt`;
  return new Set(rows.map((row) => row.attempt));
}

export const drainWorker = (tx: Tx, worker: string) =>
  tx`update airlock.worker set draining = true where worker = ${worker}`;

/** Other workers, and whether their session lock is free at this moment. A free lock alone proves nothing: it must be seen twice. */
export const otherWorkers = (tx: Tx, mine: readonly string[]) =>
  tx<{ worker: string; home: string; free: boolean; silent_s: number }[]>`
    select worker, home, pg_try_advisory_xact_lock(${lockClass}, lock_key::int) as free,
           extract(epoch from clock_timestamp() - beat_at)::float8 as silent_s
      from airlock.worker where worker <> all(${mine as string[]}::uuid[])`;

export type LostAttempt = {
  readonly tenant: TenantId;
  readonly attempt: AttemptId;
  readonly run: RunKey;
  readonly task_id: TaskId;
  readonly map_index: number;
  readonly try_number: number;
  readonly crashes: number;
  readonly state: string | null;
};

/** After so many workers died under it, an attempt is the likely cause. */
export const crashesMax = 3;

/**
 * Attempts whose worker is gone (`worker`) or whose lease has run out (undefined) are admitted again under a
 * higher fence, and the doorbell rings. By dead incarnation, never by job: a continued attempt has no job.
 * Answers those that must go through the door instead: too many crashes, or cleared while they ran.
 */
export async function readmitLost(
  tx: Tx,
  worker: string | undefined,
): Promise<{
  readonly again: number;
  readonly forTheDoor: readonly LostAttempt[];
}> {
  const lost = await tx<LostAttempt[]>`
    select a.tenant, a.attempt, a.run, a.task_id, a.map_index, a.try_number, a.crashes + 1 as crashes, i.state
      from airlock.attempt a
      join airlock.task_instance i on i.tenant = a.tenant and i.run = a.run and i.task_id = a.task_id and i.map_index = a.map_index
     where a.state = 'running'
       and case when ${worker ?? null}::uuid is null then a.lease_until < clock_timestamp() else a.worker = ${worker ?? null}::uuid end
     order by a.attempt
       for update of a skip locked`;
  const back = lost.filter((row) => row.state === "running" && row.crashes < crashesMax);
  if (back.length > 0)
    await readmitAttempts(
      tx,
      back.map((row) => row.attempt),
    );
  return { again: back.length, forTheDoor: lost.filter((row) => !back.includes(row)) };
}

/** running → queued under a higher fence, and the doorbell rings. */
export async function readmitAttempts(tx: Tx, attempts: readonly AttemptId[]): Promise<void> {
  const ids = attempts as AttemptId[];
  await tx`
      with a as (
        update airlock.attempt
           set state = 'admitted', fence = fence + 1, worker = null, lease_until = null, crashes = crashes + 1, admitted_at = clock_timestamp()
         where attempt = any(${ids}::uuid[]) and state = 'running'
        returning tenant, attempt, run, dag_id, task_id, map_index, try_number, queue),
      i as (
        update airlock.task_instance i set state = 'queued', queued_at = clock_timestamp()
          from a where i.tenant = a.tenant and i.run = a.run and i.task_id = a.task_id and i.map_index = a.map_index and i.state = 'running'),
      c as (
        insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
        select a.tenant, a.run, a.dag_id, r.run_id, a.task_id, a.map_index, a.try_number, 'running', 'queued'
          from a join airlock.dag_run r on r.tenant = a.tenant and r.run = a.run)
      select airlock.ring(json_agg(json_build_object('t', a.tenant, 'a', a.attempt, 'q', a.queue, 'p', 0))) from a`;
}

/** Its queue rows are released and its own row goes: nothing of it is left. */
export async function buryWorker(tx: Tx, worker: string): Promise<void> {
  const [row] = await tx<{ queue_pool: string | null }[]>`
    delete from airlock.worker where worker = ${worker} returning queue_pool`;
  if (row !== undefined && row.queue_pool !== null)
    await tx`select airlock.release_pool(${row.queue_pool})`;
}

/** Admitted, but no job brings it to a worker (somebody emptied the queue): ring again. */
export async function ringForgotten(tx: Tx, olderSeconds: number): Promise<number> {
  const [row] = await tx<{ rung: number | null }[]>`
    select airlock.ring(json_agg(json_build_object('t', f.tenant, 'a', f.attempt, 'q', f.queue, 'p', 0))) as rung
      from airlock.forgotten(make_interval(secs => ${olderSeconds})) f`;
  return row?.rung ?? 0;
}
