/** What a running attempt reads and writes besides its state: XComs, logs, rendered fields, other runs' states. */
import type { AttemptId, RunKey, TenantId } from "../model/ids.ts";
import type { Json, JsonObject } from "../model/json.ts";
import type { InstanceKey } from "../model/run.ts";
import type { Sql, Store, Tx } from "./open.ts";
import type { Holder } from "./run-rows.ts";

export type StoredXCom = { readonly value: Json | null; readonly object: string | null };

/** One value; with `priorDates` the newest of this DAG up to that run, as Airflow's include_prior_dates. */
export async function readXCom(
  store: Pick<Store, "once">,
  tenant: TenantId,
  ref: {
    readonly dag_id: string;
    readonly run_id: string;
    readonly task_id: string;
    readonly map_index: number;
    readonly key: string;
  },
  priorDates: boolean,
): Promise<StoredXCom | undefined> {
  const [row] = await store.once(tenant, (sql) =>
    priorDates
      ? sql<StoredXCom[]>`
        select x.value, x.object from airlock.dag_run me
          join airlock.dag_run r on r.tenant = me.tenant and r.dag_id = me.dag_id
           and coalesce(r.logical_date, r.run_after) <= coalesce(me.logical_date, me.run_after)
          join airlock.xcom x on x.tenant = r.tenant and x.run = r.run
         where me.tenant = ${tenant} and me.dag_id = ${ref.dag_id} and me.run_id = ${ref.run_id}
           and x.task_id = ${ref.task_id} and x.map_index = ${ref.map_index} and x.key = ${ref.key}
         order by coalesce(r.logical_date, r.run_after) desc limit 1`
      : sql<StoredXCom[]>`
        select x.value, x.object from airlock.dag_run r
          join airlock.xcom x on x.tenant = r.tenant and x.run = r.run
         where r.tenant = ${tenant} and r.dag_id = ${ref.dag_id} and r.run_id = ${ref.run_id}
           and x.task_id = ${ref.task_id} and x.map_index = ${ref.map_index} and x.key = ${ref.key}`,
  );
  return row;
}

/** All values under a key of one task, by map index. */
export const readXComs = (
  tx: Sql,
  tenant: TenantId,
  ref: { dag_id: string; run_id: string; task_id: string; key: string },
) => tx<(StoredXCom & { map_index: number })[]>`
  select x.map_index, x.value, x.object from airlock.dag_run r
    join airlock.xcom x on x.tenant = r.tenant and x.run = r.run
   where r.tenant = ${tenant} and r.dag_id = ${ref.dag_id} and r.run_id = ${ref.run_id}
     and x.task_id = ${ref.task_id} and x.key = ${ref.key}
   order by x.map_index`;

/** Only while this holder holds: a ghost writes nothing. Answers whether it did. */
export async function appendLog(
  store: Pick<Store, "once">,
  tenant: TenantId,
  holder: Holder,
  chunk: LogChunk,
): Promise<boolean> {
  const [row] = await store.once(
    tenant,
    (sql) => sql<{ n: number }[]>`
      with w as (
        insert into airlock.log_chunk (tenant, attempt, seq, lines, text)
        select a.tenant, a.attempt, ${chunk.seq}::int, ${chunk.lines}::int, ${chunk.text}::text from airlock.attempt a
         where a.tenant = ${tenant} and a.attempt = ${holder.attempt} and a.fence = ${holder.fence} and a.worker = ${holder.worker}
           and a.state = 'running'
        on conflict (tenant, attempt, seq) do nothing
        returning 1)
      select count(*)::int as n from w`,
  );
  return row?.n === 1;
}

export type LogChunk = { readonly seq: number; readonly lines: number; readonly text: string };

/** For holders that the door has verified in this transaction. */
export const insertLogs = (
  tx: Tx,
  tenant: TenantId,
  logs: readonly { readonly attempt: AttemptId; readonly chunk: LogChunk }[],
) => tx`
  insert into airlock.log_chunk (tenant, attempt, seq, lines, text)
  select ${tenant}::text, l.* from json_to_recordset(${JSON.stringify(logs.map(({ attempt, chunk }) => ({ attempt, ...chunk })))}::text::json)
      as l(attempt uuid, seq int, lines int, text text)
  on conflict (tenant, attempt, seq) do nothing`;

export const writeRendered = (
  tx: Sql,
  tenant: TenantId,
  run: RunKey,
  key: InstanceKey & { readonly try_number: number },
  fields: JsonObject,
) => tx`
  insert into airlock.rendered_fields (tenant, run, task_id, map_index, try_number, fields)
  values (${tenant}, ${run}, ${key.task_id}, ${key.map_index}, ${key.try_number}, ${JSON.stringify(fields)}::text::json)
  on conflict (tenant, run, task_id, map_index, try_number) do update set fields = excluded.fields`;

export const writeRenderedMapIndex = (
  tx: Sql,
  tenant: TenantId,
  run: RunKey,
  key: InstanceKey,
  text: string,
) => tx`
  update airlock.task_instance set rendered_map_index = ${text.slice(0, 250)}
   where tenant = ${tenant} and run = ${run} and task_id = ${key.task_id} and map_index = ${key.map_index}`;

export const writeArtifact = (
  tx: Sql,
  tenant: TenantId,
  attempt: AttemptId,
  file: { name: string; bytes: number; contentType: string; object: string },
) => tx`
  insert into airlock.artifact (tenant, attempt, name, bytes, content_type, object)
  values (${tenant}, ${attempt}, ${file.name}, ${file.bytes}, ${file.contentType}, ${file.object})
  on conflict (tenant, attempt, name) do update set bytes = excluded.bytes, object = excluded.object, content_type = excluded.content_type`;

export async function readRunState(
  store: Pick<Store, "once">,
  tenant: TenantId,
  dagId: string,
  runId: string,
): Promise<string | undefined> {
  const [row] = await store.once(
    tenant,
    (sql) => sql<{ state: string }[]>`
      select state from airlock.dag_run where tenant = ${tenant} and dag_id = ${dagId} and run_id = ${runId}`,
  );
  return row?.state;
}

/** States of task instances by run, for sensors that wait for another DAG. */
export const readTaskStates = (
  tx: Sql,
  tenant: TenantId,
  query: {
    dag_id: string;
    run_ids: readonly string[] | null;
    logical_dates: readonly string[] | null;
    task_ids: readonly string[] | null;
  },
) => tx<{ run_id: string; task_id: string; map_index: number; state: string | null }[]>`
  select r.run_id, i.task_id, i.map_index, i.state from airlock.dag_run r
    join airlock.task_instance i on i.tenant = r.tenant and i.run = r.run
   where r.tenant = ${tenant} and r.dag_id = ${query.dag_id}
     and (${query.run_ids as string[] | null}::text[] is null or r.run_id = any(${query.run_ids as string[] | null}))
     and (${query.logical_dates as string[] | null}::timestamptz[] is null or r.logical_date = any(${query.logical_dates as string[] | null}::timestamptz[]))
     and (${query.task_ids as string[] | null}::text[] is null or i.task_id = any(${query.task_ids as string[] | null}))
   limit 20000`;
