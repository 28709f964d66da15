import type { RunKey, TaskId, TenantId } from "../model/ids.ts";
import type { Tx } from "./open.ts";

export type DueTimer = {
  readonly tenant: TenantId;
  readonly run: RunKey;
  readonly task_id: TaskId;
  readonly map_index: number;
  readonly kind: string;
};

/** Read without locks: the door deletes the row under the run lock, so firing twice does nothing. */
export const dueTimers = (tx: Tx, limit: number) => tx<DueTimer[]>`
  select tenant, run, task_id, map_index, kind from airlock.timer
   where due_at <= clock_timestamp() order by due_at limit ${limit}`;

/** What could not fire waits a while. */
export const postponeTimers = (tx: Tx, timers: readonly DueTimer[], seconds: number) => tx`
  update airlock.timer t set due_at = clock_timestamp() + make_interval(secs => ${seconds})
    from json_to_recordset(${JSON.stringify(timers)}::text::json) as k(tenant text, run bigint, task_id text, map_index int, kind text)
   where t.tenant = k.tenant and t.run = k.run and t.task_id = k.task_id and t.map_index = k.map_index and t.kind = k.kind
     and t.due_at <= clock_timestamp()`;

/** Milliseconds, by Postgres' clock, until the next timer or the next scheduled run; null: nothing is planned. */
export async function nextDueMs(tx: Tx): Promise<number | null> {
  const [row] = await tx<{ ms: number | null }[]>`
    select (extract(epoch from least(
        (select min(due_at) from airlock.timer),
        (select min(next_run_at) from airlock.dag where next_run_at is not null and state = 'active' and not is_paused)
      ) - clock_timestamp()) * 1000)::float8 as ms`;
  return row?.ms ?? null;
}
