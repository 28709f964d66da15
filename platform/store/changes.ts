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
 * Rows of transactions from `cursor` on, and the cursor to ask with next: the oldest transaction that was
 * still open. Rows come again until that one has ended, so a reader drops by `seq` what it has seen; in turn
 * no row is ever missed, however long a transaction takes. A long answer comes in pages: the next one after the last
 * `seq`; the cursor to go on with afterwards is that of the first page.
 */
export async function readChanges(
  tx: Tx,
  cursor: string,
  afterSeq: string,
  limit: number,
): Promise<{ readonly changes: readonly Change[]; readonly next: string }> {
  // Before the rows: what is open now is read again, what commits in between as well.
  const [snapshot] = await tx<{ xmin: string }[]>`
    select pg_snapshot_xmin(pg_current_snapshot())::text as xmin`;
  const changes = await tx<Change[]>`
    select seq, tenant, at, dag_id, run_id, task_id, map_index, try_number, from_state, to_state
      from airlock.change where xid >= ${cursor}::text::xid8 and seq > ${afterSeq} order by seq limit ${limit}`;
  return { changes, next: snapshot?.xmin ?? cursor };
}

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

export async function currentCursor(tx: Tx): Promise<string> {
  const [row] = await tx<{ xmin: string }[]>`
    select pg_snapshot_xmin(pg_current_snapshot())::text as xmin`;
  return row?.xmin ?? "0";
}

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
