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

/** A key for the session lock of a worker to be. */
export async function reserveLockKey(tx: Tx): Promise<number> {
  const [made] = await tx<{ lock_key: string }[]>`
    select nextval(pg_get_serial_sequence('airlock.worker', 'lock_key')) as lock_key`;
  return Number(made?.lock_key);
}

/** Makes the worker known. It must hold its lock already: a known worker whose lock is free is dead. */
export const registerWorker = (tx: Tx, row: WorkerRow, lockKey: number) => tx`
  insert into airlock.worker (worker, lock_key, home, host, pid, queues, slots) overriding system value
  values (${row.worker}, ${lockKey}, ${row.home}, ${row.host}, ${row.pid}, ${row.queues as string[]}, ${row.slots})`;

/** Free as soon as the process is gone, however it went. False: somebody tests it just now, ask again. */
export async function holdWorkerLock(session: Session, lockKey: number): Promise<boolean> {
  const [row] = await session.sql<{ held: boolean }[]>`
    select pg_try_advisory_lock(${lockClass}, ${lockKey}) as held`;
  return row?.held === true;
}

/** A living worker whose lock session was cut says so: from now on only its leases tell whether it lives. */
export const trustLeasesOnly = (tx: Tx, worker: string) =>
  tx`update airlock.worker set lease_only = true where worker = ${worker}`;

export const setQueuePool = (tx: Tx, worker: string, pool: string) =>
  tx`update airlock.worker set queue_pool = ${pool} where worker = ${worker}`;

export type Beat = {
  /** false: somebody has buried this worker; what it holds is with others. */
  readonly isKnown: boolean;
  /** The attempts that it still holds, each with why it shall stop, if somebody asked. */
  readonly held: ReadonlyMap<AttemptId, string | null>;
};

/** One statement for the worker and all its attempts. */
export async function beat(tx: Tx, worker: string, leaseSeconds: number): Promise<Beat> {
  const rows = await tx<{ attempt: AttemptId | null; stop_asked: string | null }[]>`
    with w as (update airlock.worker set beat_at = clock_timestamp() where worker = ${worker} returning 1),
    a as (
      update airlock.attempt set lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds})
       where worker = ${worker} and state = 'running'
      returning attempt, stop_asked)
    select a.attempt, a.stop_asked from w left join a on true
    union all select a.attempt, a.stop_asked from a where not exists (select from w)`;
  const isKnown = rows.length > 0;
  const held = new Map<AttemptId, string | null>();
  for (const row of rows) if (row.attempt !== null) held.set(row.attempt, row.stop_asked);
  return { isKnown, held };
}

export const drainWorker = (tx: Tx, worker: string) =>
  tx`update airlock.worker set draining = true where worker = ${worker}`;

/** Other workers, and whether their session lock is free at this moment. A free lock alone proves nothing: it must be seen twice. */
export const otherWorkers = (tx: Tx, mine: readonly string[]) =>
  tx<{ worker: string; home: string; free: boolean; lease_only: boolean; silent_s: number }[]>`
    select worker, home, lease_only, pg_try_advisory_xact_lock(${lockClass}, lock_key::int) as free,
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
  // First the attempts alone: everybody who moves a running instance has its attempt locked before. What the
  // statement that waited read of the instances would be from before its wait.
  const locked = await tx<{ tenant: TenantId; attempt: AttemptId }[]>`
    select a.tenant, a.attempt from airlock.attempt a
     where a.state = 'running'
       and ${worker === undefined ? tx`a.lease_until < clock_timestamp()` : tx`a.worker = ${worker}`}
     order by a.attempt
       for update of a skip locked`;
  if (locked.length === 0) return { again: 0, forTheDoor: [] };
  const lost = await lookAtLost(tx, locked);
  const back = lost.filter((row) => row.state === "running" && row.crashes < crashesMax);
  if (back.length > 0) await readmitAttempts(tx, back, "crash");
  return { again: back.length, forTheDoor: lost.filter((row) => !back.includes(row)) };
}

/** Locked before. */
const lookAtLost = (
  tx: Tx,
  locked: readonly { readonly tenant: TenantId; readonly attempt: AttemptId }[],
) => tx<LostAttempt[]>`
    select a.tenant, a.attempt, a.run, a.task_id, a.map_index, a.try_number, a.crashes + 1 as crashes, i.state
      from json_to_recordset(${JSON.stringify(locked)}::text::json) as l(tenant text, attempt uuid)
      join airlock.attempt a on a.tenant = l.tenant and a.attempt = l.attempt
      join airlock.task_instance i on i.tenant = a.tenant and i.run = a.run and i.task_id = a.task_id and i.map_index = a.map_index
     order by a.attempt`;

/**
 * Attempts that a worker holds by the rows and does not run (a COMMIT whose answer was lost): somebody else is to run
 * them. Answers those that must go through the door instead: cleared meanwhile, and nobody runs who could stop.
 */
export async function handOver(
  tx: Tx,
  worker: string,
  attempts: readonly AttemptId[],
): Promise<readonly LostAttempt[]> {
  const locked = await tx<{ tenant: TenantId; attempt: AttemptId }[]>`
    select a.tenant, a.attempt from airlock.attempt a
     where a.state = 'running' and a.worker = ${worker} and a.attempt = any(${attempts as AttemptId[]}::uuid[])
     order by a.attempt
       for update of a`;
  if (locked.length === 0) return [];
  const lost = await lookAtLost(tx, locked);
  await readmitAttempts(tx, lost, "hand_over");
  return lost.filter((row) => row.state !== "running");
}

/** Whose attempts: with `worker`, only while that one holds them. */
export type HeldAttempt = {
  readonly tenant?: TenantId;
  readonly attempt: AttemptId;
  readonly worker?: string;
};

/**
 * running → queued under a higher fence, and the doorbell rings. A crash counts against the attempt, an orderly
 * hand-over does not. What was asked to stop (a cleared instance) is left to the door. Answers how many went.
 */
export async function readmitAttempts(
  tx: Tx,
  attempts: readonly HeldAttempt[],
  why: "crash" | "hand_over",
): Promise<number> {
  const names = attempts.map(({ tenant, attempt, worker }) => ({ tenant, attempt, worker }));
  const [row] = await tx<{ n: number }[]>`
      with l as (
        select a.tenant, a.attempt from airlock.attempt a
          join json_to_recordset(${JSON.stringify(names)}::text::json) as n(tenant text, attempt uuid, worker uuid)
            on a.attempt = n.attempt and a.tenant = coalesce(n.tenant, a.tenant) and a.worker = coalesce(n.worker, a.worker)
         where a.state = 'running' for update of a),
      i as (
        update airlock.task_instance i set state = 'queued', queued_at = clock_timestamp()
          from l join airlock.attempt a on a.tenant = l.tenant and a.attempt = l.attempt
         where i.tenant = a.tenant and i.run = a.run and i.task_id = a.task_id and i.map_index = a.map_index and i.state = 'running'
        returning a.tenant, a.attempt),
      a as (
        update airlock.attempt a
           set state = 'admitted', fence = a.fence + 1, worker = null, lease_until = null, admitted_at = clock_timestamp(),
               crashes = a.crashes + ${why === "crash" ? 1 : 0}
          from i where a.tenant = i.tenant and a.attempt = i.attempt
        returning a.tenant, a.attempt, a.run, a.dag_id, a.task_id, a.map_index, a.try_number, a.queue),
      c as (
        insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
        select a.tenant, a.run, a.dag_id, r.run_id, a.task_id, a.map_index, a.try_number, 'running', 'queued'
          from a join airlock.dag_run r on r.tenant = a.tenant and r.run = a.run)
      select count(*)::int as n, airlock.ring(json_agg(json_build_object('t', a.tenant, 'a', a.attempt, 'q', a.queue, 'p', 0))) from a`;
  return row?.n ?? 0;
}

/** What a runner that is gone had locked is free again; what nobody has claimed of it rings anew. */
export const releasePool = (tx: Tx, pool: string) => tx`select airlock.release_pool(${pool})`;

/** The same for all pools that no worker calls its own. Answers how many jobs that were. */
export async function releaseStrays(tx: Tx, olderSeconds: number): Promise<number> {
  const [row] = await tx<{ n: number }[]>`
    select airlock.release_strays(make_interval(secs => ${olderSeconds})) as n`;
  return row?.n ?? 0;
}

/** A job that was delivered and could not be taken up just now: its doorbell rings again. */
export const ringAgain = (tx: Tx, tenant: TenantId, attempt: AttemptId) => tx`
  select airlock.ring(json_agg(json_build_object('t', tenant, 'a', attempt, 'q', queue, 'p', 0)))
    from airlock.attempt where tenant = ${tenant} and attempt = ${attempt} and state = 'admitted'`;

/** Tenants in which something has been ready for a while: whoever made it so may be gone without admitting it. */
export const waitingTenants = (tx: Tx, olderSeconds: number) => tx<{ tenant: TenantId }[]>`
  select t.tenant from airlock.tenant t
   where t.state = 'active'
     and exists (select from airlock.waiting_lanes(t.tenant) l
                  cross join lateral (
                    select i.scheduled_at from airlock.task_instance i
                     where i.tenant = t.tenant and i.run = l.run and i.lane = l.lane and i.state = 'scheduled' limit 1) h
                  where h.scheduled_at < clock_timestamp() - make_interval(secs => ${olderSeconds}))`;

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
