/** XComs, for people and programs outside of a run. In a tenant's transaction. */
import {
  type Listed,
  matches,
  oneOf,
  type Page,
  type SeenIds,
  seenIn,
  type TimeRange,
  within,
} from "./filters.ts";
import type { Tx } from "./open.ts";

export type XComRow = {
  readonly key: string;
  readonly at: Date;
  readonly logical_date: Date | null;
  readonly run_after: Date;
  readonly map_index: number;
  readonly task_id: string;
  readonly dag_id: string;
  readonly run_id: string;
  readonly display_name: string;
};

/** `value` is JSON text; or it lies in the object store under `object`. */
export type XComValueRow = XComRow & {
  readonly value: string | null;
  readonly object: string | null;
};

const columns = (tx: Tx): ReturnType<Tx> => tx`
  x.key, x.at, r.logical_date, r.run_after, x.map_index, x.task_id, r.dag_id, r.run_id, d.display_name`;
const from = (tx: Tx): ReturnType<Tx> => tx`
  airlock.xcom x join airlock.dag_run r on r.tenant = x.tenant and r.run = x.run
    join airlock.dag d on d.tenant = r.tenant and d.dag_id = r.dag_id`;

export async function listXComs(
  tx: Tx,
  query: {
    readonly seen: SeenIds;
    readonly dagId?: string | undefined;
    readonly runId?: string | undefined;
    readonly taskId?: string | undefined;
    readonly key?: string | undefined;
    readonly mapIndexes?: readonly number[] | undefined;
    readonly keyPattern?: string | undefined;
    readonly runIdPattern?: string | undefined;
    readonly taskIdPattern?: string | undefined;
    readonly dagPattern?: string | undefined;
    readonly logicalDate?: TimeRange | undefined;
    readonly runAfter?: TimeRange | undefined;
    readonly page: Page;
  },
): Promise<Listed<XComRow>> {
  const where = tx`x.tenant = airlock.current_tenant() and ${seenIn(tx, tx`r.dag_id`, query.seen)}
    and ${query.dagId === undefined ? tx`true` : tx`r.dag_id = ${query.dagId}`}
    and ${query.runId === undefined ? tx`true` : tx`r.run_id = ${query.runId}`}
    and ${query.taskId === undefined ? tx`true` : tx`x.task_id = ${query.taskId}`}
    and ${query.key === undefined ? tx`true` : tx`x.key = ${query.key}`}
    and ${oneOf(tx, tx`x.map_index::text`, query.mapIndexes?.map(String))}
    and ${matches(tx, tx`x.key`, query.keyPattern)} and ${matches(tx, tx`r.run_id`, query.runIdPattern)}
    and ${matches(tx, tx`x.task_id`, query.taskIdPattern)} and ${matches(tx, tx`d.display_name`, query.dagPattern)}
    and ${within(tx, tx`r.logical_date`, query.logicalDate)} and ${within(tx, tx`r.run_after`, query.runAfter)}`;
  const [rows, [count]] = await Promise.all([
    tx<XComRow[]>`
      select ${columns(tx)} from ${from(tx)} where ${where}
       order by r.dag_id, x.run, x.task_id, x.map_index, x.key
       limit ${query.page.limit} offset ${query.page.offset}`,
    tx<{ total: number }[]>`select count(*)::int as total from ${from(tx)} where ${where}`,
  ]);
  return { rows, total: count?.total ?? 0 };
}

export type XComKey = {
  readonly dagId: string;
  readonly runId: string;
  readonly taskId: string;
  readonly mapIndex: number;
  readonly key: string;
};

export async function readXCom(tx: Tx, ref: XComKey): Promise<XComValueRow | undefined> {
  const [row] = await tx<XComValueRow[]>`
    select ${columns(tx)}, x.value::text as value, x.object from ${from(tx)}
     where x.tenant = airlock.current_tenant() and r.dag_id = ${ref.dagId} and r.run_id = ${ref.runId}
       and x.task_id = ${ref.taskId} and x.map_index = ${ref.mapIndex} and x.key = ${ref.key}`;
  return row;
}

/**
 * Written by a person, not by an attempt. `value` is JSON text of at most 64 KiB. false: with `mode` add there is
 * one already, with change there is none; or the task has no such instance in that run.
 */
export async function writeXCom(
  tx: Tx,
  ref: XComKey,
  value: string,
  mode: "add" | "change",
): Promise<boolean> {
  const bytes = Buffer.byteLength(value);
  const rows =
    mode === "add"
      ? await tx`
          insert into airlock.xcom (tenant, run, task_id, map_index, key, value, bytes)
          select t.tenant, t.run, t.task_id, t.map_index, ${ref.key}, ${value}::text::json, ${bytes}
            from airlock.task_instance t join airlock.dag_run r on r.tenant = t.tenant and r.run = t.run
           where t.tenant = airlock.current_tenant() and r.dag_id = ${ref.dagId} and r.run_id = ${ref.runId}
             and t.task_id = ${ref.taskId} and t.map_index = ${ref.mapIndex}
          on conflict do nothing returning key`
      : await tx`
          update airlock.xcom x set value = ${value}::text::json, object = null, bytes = ${bytes}, at = clock_timestamp()
            from airlock.dag_run r
           where x.tenant = airlock.current_tenant() and r.tenant = x.tenant and r.run = x.run
             and r.dag_id = ${ref.dagId} and r.run_id = ${ref.runId} and x.task_id = ${ref.taskId}
             and x.map_index = ${ref.mapIndex} and x.key = ${ref.key} returning x.key`;
  return rows.length > 0;
}

export async function removeXCom(tx: Tx, ref: XComKey): Promise<boolean> {
  const rows = await tx`
    delete from airlock.xcom x using airlock.dag_run r
     where x.tenant = airlock.current_tenant() and r.tenant = x.tenant and r.run = x.run
       and r.dag_id = ${ref.dagId} and r.run_id = ${ref.runId} and x.task_id = ${ref.taskId}
       and x.map_index = ${ref.mapIndex} and x.key = ${ref.key} returning x.key`;
  return rows.length > 0;
}
