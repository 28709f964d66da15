import type { DagId, RunId, TaskId, TenantId } from "../model/ids.ts";
import type { Tx } from "./open.ts";

export type Change = {
  readonly seq: string;
  readonly tenant: TenantId;
  readonly at: Date;
  readonly dag_id: DagId;
  readonly run_id: RunId;
  /** "" for the run itself. */
  readonly task_id: TaskId | "";
  readonly map_index: number;
  readonly try_number: number;
  readonly from_state: string | null;
  readonly to_state: string | null;
};

/**
 * What a reader has read: a snapshot of Postgres (`xmin:xmax:xip`). A row is news if its transaction is not in it and is in
 * the next one. So each row comes once, in whatever order transactions commit, and however long one of them takes,
 * be it another database's: `xmin` alone would stand still for the whole server meanwhile.
 */
export async function currentSnapshot(tx: Tx): Promise<string> {
  const [row] = await tx<{ snapshot: string }[]>`
    select pg_current_snapshot()::text as snapshot`;
  if (row === undefined) throw new Error("Postgres told no snapshot");
  return row.snapshot;
}

/** The oldest transaction that may still have been open: from here on a stranger misses nothing, and reads some rows twice. */
export const oldestOpen = (snapshot: string): string => snapshot.slice(0, snapshot.indexOf(":"));

/** Rows that `to` has and `from` has not, in pages: the next one after the last `seq`. */
export const readChanges = async (
  tx: Tx,
  from: string,
  to: string,
  afterSeq: string,
  limit: number,
): Promise<readonly Change[]> =>
  tx<Change[]>`
    select seq, tenant, at, dag_id, run_id, task_id, map_index, try_number, from_state, to_state
      from airlock.change
     where xid >= pg_snapshot_xmin(${from}::text::pg_snapshot) and seq > ${afterSeq}
       and not pg_visible_in_snapshot(xid, ${from}::text::pg_snapshot) and pg_visible_in_snapshot(xid, ${to}::text::pg_snapshot)
     order by seq limit ${limit}`;

/** Of some tenants, from a cursor on, oldest first. */
export const changesSince = async (
  tx: Tx,
  cursor: string,
  tenants: readonly TenantId[],
  limit: number,
): Promise<readonly Change[]> =>
  tx<Change[]>`
    select seq, tenant, at, dag_id, run_id, task_id, map_index, try_number, from_state, to_state
      from airlock.change where xid >= ${cursor}::text::xid8 and tenant = any(${tenants as TenantId[]}::text[])
     order by seq limit ${limit}`;

/** The feed is for the living: what is older than this is history, which runs and attempts keep themselves. */
export const forgetChanges = (tx: Tx, olderHours: number) => tx`
  delete from airlock.change where at < clock_timestamp() - make_interval(hours => ${olderHours})`;

/** What changed beside runs: a repository's deploys, a DAG's pause, a tenant's connections, variables or pools, a deed on many runs. */
export type NoticeKind = "deploy" | "dag" | "things" | "bulk";

/** A row of the feed without a run: its `dag_id` is "" where it is about no DAG, its `to_state` says of what kind it is. */
export const addNotice = (tx: Tx, tenant: TenantId, kind: NoticeKind, dagId = "") => tx`
  with noted as (
    insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, to_state)
    values (${tenant}, 0, ${dagId}, '', '', -1, 0, ${kind}) returning 1)
  select pg_notify('airlock_feed', '') from noted`;

/**
 * The same about the transaction's own tenant: a connection, a variable or a pool was made, changed or removed. Without
 * a bell: tasks set variables as well, and NOTIFY takes a global lock at their commit. Who looks reads it within a second.
 */
export const noteThings = (tx: Tx) => tx`
  insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, to_state)
  values (airlock.current_tenant(), 0, '', '', '', -1, 0, 'things')`;

export const isNotice = (change: Change): boolean => change.run_id === "";
