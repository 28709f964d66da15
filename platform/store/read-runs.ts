/** Runs, task instances and their tries, for reading. In a tenant's transaction. */
import type { Json } from "../model/json.ts";
import type { RunState, RunType, TaskState } from "../model/states.ts";
import {
  type Fragment,
  type Listed,
  matches,
  type NumberRange,
  type Order,
  oneOf,
  orderBy,
  type Page,
  type SeenIds,
  seenIn,
  type TimeRange,
  within,
} from "./filters.ts";
import type { Tx } from "./open.ts";

/** The version that a run is pinned to. */
export type PinnedVersion = {
  readonly version_id: string | null;
  readonly version: number;
  readonly version_created_at: Date | null;
  readonly repository: string;
  readonly commit: string;
  readonly display_name: string;
};

export type RunRow = PinnedVersion & {
  readonly run: string;
  readonly dag_id: string;
  readonly run_id: string;
  readonly run_type: RunType;
  readonly logical_date: Date | null;
  readonly interval_start: Date | null;
  readonly interval_end: Date | null;
  readonly run_after: Date;
  readonly state: RunState;
  /** JSON text, so that no number of it is rounded on its way. */
  readonly conf: string | null;
  readonly queued_at: Date;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
  readonly duration: number | null;
  readonly triggered_by: string;
  readonly triggering_user: string | null;
  readonly note: string | null;
  readonly reason: string | null;
};

export type RunQuery = {
  readonly seen: SeenIds;
  readonly dagId?: string | undefined;
  readonly dagIds?: readonly string[] | undefined;
  readonly states?: readonly string[] | undefined;
  readonly runTypes?: readonly string[] | undefined;
  readonly versions?: readonly number[] | undefined;
  readonly commit?: string | undefined;
  readonly runIdPattern?: string | undefined;
  readonly dagIdPattern?: string | undefined;
  readonly userPattern?: string | undefined;
  readonly confContains?: string | undefined;
  readonly runAfter?: TimeRange | undefined;
  readonly logicalDate?: TimeRange | undefined;
  readonly startDate?: TimeRange | undefined;
  readonly endDate?: TimeRange | undefined;
  readonly duration?: NumberRange | undefined;
  readonly order: readonly Order[];
  readonly page: Page;
};

export const runOrders = [
  "id",
  "state",
  "dag_id",
  "run_id",
  "dag_run_id",
  "logical_date",
  "run_after",
  "start_date",
  "end_date",
  "updated_at",
  "conf",
  "duration",
] as const;

const pinned = (tx: Tx): ReturnType<Tx> => tx`
  v.id as version_id, r.version, v.created_at as version_created_at, r.repository, r.commit, d.display_name`;
const joins = (tx: Tx): ReturnType<Tx> => tx`
  join airlock.dag d on d.tenant = r.tenant and d.dag_id = r.dag_id
  left join airlock.dag_version v on v.tenant = r.tenant and v.dag_id = r.dag_id and v.version = r.version`;
const runColumns = (tx: Tx): ReturnType<Tx> => tx`
  r.run, r.dag_id, r.run_id, r.run_type, r.logical_date, r.interval_start, r.interval_end, r.run_after, r.state,
  r.conf::text as conf, r.queued_at, r.started_at, r.ended_at, ${seconds(tx, tx`r`)} as duration, r.triggered_by,
  r.triggering_user, r.note, r.reason, ${pinned(tx)}`;
const seconds = (tx: Tx, of: Fragment): Fragment =>
  tx`extract(epoch from ${of}.ended_at - ${of}.started_at)::float8`;

export async function listRuns(tx: Tx, query: RunQuery): Promise<Listed<RunRow>> {
  const where = tx`r.tenant = airlock.current_tenant() and ${seenIn(tx, tx`r.dag_id`, query.seen)}
    and ${query.dagId === undefined ? tx`true` : tx`r.dag_id = ${query.dagId}`}
    and ${oneOf(tx, tx`r.dag_id`, query.dagIds)}
    and ${oneOf(tx, tx`r.state`, query.states)}
    and ${oneOf(tx, tx`r.run_type`, query.runTypes)}
    and ${oneOf(tx, tx`r.version::text`, query.versions?.map(String))}
    and ${query.commit === undefined ? tx`true` : tx`r.commit = ${query.commit}`}
    and ${matches(tx, tx`r.run_id`, query.runIdPattern)}
    and ${matches(tx, tx`r.dag_id`, query.dagIdPattern)}
    and ${matches(tx, tx`r.triggering_user`, query.userPattern)}
    and ${query.confContains === undefined ? tx`true` : tx`strpos(r.conf::text, ${query.confContains}) > 0`}
    and ${within(tx, tx`r.run_after`, query.runAfter)}
    and ${within(tx, tx`r.logical_date`, query.logicalDate)}
    and ${within(tx, tx`r.started_at`, query.startDate)}
    and ${within(tx, tx`r.ended_at`, query.endDate)}
    and ${within(tx, seconds(tx, tx`r`), query.duration)}`;
  const columns = {
    id: tx`r.run`,
    state: tx`r.state`,
    dag_id: tx`r.dag_id`,
    run_id: tx`r.run_id`,
    dag_run_id: tx`r.run_id`,
    logical_date: tx`r.logical_date`,
    run_after: tx`r.run_after`,
    start_date: tx`r.started_at`,
    end_date: tx`r.ended_at`,
    updated_at: tx`coalesce(r.ended_at, r.started_at, r.queued_at)`,
    conf: tx`r.conf::text`,
    duration: seconds(tx, tx`r`),
  };
  const [rows, [count]] = await Promise.all([
    tx<RunRow[]>`
      select ${runColumns(tx)} from airlock.dag_run r ${joins(tx)}
       where ${where} ${orderBy(tx, query.order, columns, tx`r.run`)}
       limit ${query.page.limit} offset ${query.page.offset}`,
    tx<{ total: number }[]>`select count(*)::int as total from airlock.dag_run r where ${where}`,
  ]);
  return { rows, total: count?.total ?? 0 };
}

export async function getRun(tx: Tx, dagId: string, runId: string): Promise<RunRow | undefined> {
  const [row] = await tx<RunRow[]>`
    select ${runColumns(tx)} from airlock.dag_run r ${joins(tx)}
     where r.tenant = airlock.current_tenant() and r.dag_id = ${dagId} and r.run_id = ${runId}`;
  return row;
}

// ---- task instances

export type TaskInstanceRow = PinnedVersion & {
  readonly id: string;
  readonly dag_id: string;
  readonly run_id: string;
  readonly run: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly state: TaskState;
  readonly try_number: number;
  readonly max_tries: number;
  readonly pool: string;
  readonly pool_slots: number;
  readonly queue: string;
  readonly priority_weight: number;
  readonly operator: string;
  readonly logical_date: Date | null;
  readonly run_after: Date;
  readonly scheduled_at: Date | null;
  readonly queued_at: Date | null;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
  readonly duration: number | null;
  readonly rendered_map_index: string | null;
  readonly rendered_fields: { readonly [name: string]: Json } | null;
  readonly note: string | null;
  readonly reason: string | null;
  readonly host: string | null;
  readonly pid: number | null;
};

export type TaskInstanceQuery = {
  readonly seen: SeenIds;
  readonly dagId?: string | undefined;
  readonly dagIds?: readonly string[] | undefined;
  readonly runId?: string | undefined;
  readonly runIds?: readonly string[] | undefined;
  readonly taskId?: string | undefined;
  readonly taskIds?: readonly string[] | undefined;
  readonly mapIndexes?: readonly number[] | undefined;
  /** Of mapped tasks only. */
  readonly mappedOnly?: boolean | undefined;
  /** `null` stands for no state yet. */
  readonly states?: readonly (string | null)[] | undefined;
  readonly pools?: readonly string[] | undefined;
  readonly queues?: readonly string[] | undefined;
  readonly operators?: readonly string[] | undefined;
  readonly versions?: readonly number[] | undefined;
  readonly tryNumbers?: readonly number[] | undefined;
  readonly dagIdPattern?: string | undefined;
  readonly runIdPattern?: string | undefined;
  readonly taskIdPattern?: string | undefined;
  readonly poolPattern?: string | undefined;
  readonly queuePattern?: string | undefined;
  readonly operatorPattern?: string | undefined;
  readonly runAfter?: TimeRange | undefined;
  readonly logicalDate?: TimeRange | undefined;
  readonly startDate?: TimeRange | undefined;
  readonly endDate?: TimeRange | undefined;
  readonly duration?: NumberRange | undefined;
  readonly order: readonly Order[];
  readonly page: Page;
};

export const taskInstanceOrders = [
  "id",
  "state",
  "duration",
  "start_date",
  "end_date",
  "map_index",
  "try_number",
  "logical_date",
  "run_after",
  "data_interval_start",
  "data_interval_end",
  "rendered_map_index",
  "operator",
] as const;

const taskInstanceColumns = (tx: Tx): ReturnType<Tx> => tx`
  t.id, t.dag_id, r.run_id, t.run, t.task_id, t.map_index, t.state, t.try_number, t.max_tries, t.pool, t.pool_slots,
  t.queue, t.priority_weight, t.operator, r.logical_date, r.run_after, t.scheduled_at, t.queued_at, t.started_at,
  t.ended_at, coalesce(${seconds(tx, tx`t`)}, extract(epoch from clock_timestamp() - t.started_at)::float8) as duration,
  t.rendered_map_index, f.fields as rendered_fields, t.note, t.reason, a.host, a.pid, ${pinned(tx)}`;
const taskInstanceJoins = (tx: Tx): ReturnType<Tx> => tx`
  join airlock.dag_run r on r.tenant = t.tenant and r.run = t.run ${joins(tx)}
  left join lateral (
    select a.host, a.pid from airlock.attempt a
     where a.tenant = t.tenant and a.run = t.run and a.task_id = t.task_id and a.map_index = t.map_index
       and a.try_number = t.try_number
     order by a.admitted_at desc limit 1) a on true
  left join airlock.rendered_fields f on f.tenant = t.tenant and f.run = t.run and f.task_id = t.task_id
    and f.map_index = t.map_index and f.try_number = t.try_number`;

export async function listTaskInstances(
  tx: Tx,
  query: TaskInstanceQuery,
): Promise<Listed<TaskInstanceRow>> {
  const named = (query.states ?? []).filter((state) => state !== null);
  const state =
    query.states === undefined || query.states.length === 0
      ? tx`true`
      : query.states.includes(null)
        ? tx`(t.state is null or ${named.length === 0 ? tx`false` : oneOf(tx, tx`t.state`, named)})`
        : oneOf(tx, tx`t.state`, named);
  const exact = (column: Fragment, value: string | undefined): Fragment =>
    value === undefined ? tx`true` : tx`${column} = ${value}`;
  const where = tx`t.tenant = airlock.current_tenant() and ${seenIn(tx, tx`t.dag_id`, query.seen)}
    and ${exact(tx`t.dag_id`, query.dagId)} and ${oneOf(tx, tx`t.dag_id`, query.dagIds)}
    and ${exact(tx`r.run_id`, query.runId)} and ${oneOf(tx, tx`r.run_id`, query.runIds)}
    and ${exact(tx`t.task_id`, query.taskId)} and ${oneOf(tx, tx`t.task_id`, query.taskIds)}
    and ${oneOf(tx, tx`t.map_index::text`, query.mapIndexes?.map(String))}
    and ${query.mappedOnly === true ? tx`t.map_index >= 0` : tx`true`}
    and ${state}
    and ${oneOf(tx, tx`t.pool`, query.pools)} and ${oneOf(tx, tx`t.queue`, query.queues)}
    and ${oneOf(tx, tx`t.operator`, query.operators)}
    and ${oneOf(tx, tx`r.version::text`, query.versions?.map(String))}
    and ${oneOf(tx, tx`t.try_number::text`, query.tryNumbers?.map(String))}
    and ${matches(tx, tx`t.dag_id`, query.dagIdPattern)} and ${matches(tx, tx`r.run_id`, query.runIdPattern)}
    and ${matches(tx, tx`t.task_id`, query.taskIdPattern)} and ${matches(tx, tx`t.pool`, query.poolPattern)}
    and ${matches(tx, tx`t.queue`, query.queuePattern)} and ${matches(tx, tx`t.operator`, query.operatorPattern)}
    and ${within(tx, tx`r.run_after`, query.runAfter)} and ${within(tx, tx`r.logical_date`, query.logicalDate)}
    and ${within(tx, tx`t.started_at`, query.startDate)} and ${within(tx, tx`t.ended_at`, query.endDate)}
    and ${within(tx, seconds(tx, tx`t`), query.duration)}`;
  const columns = {
    id: tx`t.id`,
    state: tx`t.state`,
    duration: seconds(tx, tx`t`),
    start_date: tx`t.started_at`,
    end_date: tx`t.ended_at`,
    map_index: tx`t.map_index`,
    try_number: tx`t.try_number`,
    logical_date: tx`r.logical_date`,
    run_after: tx`r.run_after`,
    data_interval_start: tx`r.interval_start`,
    data_interval_end: tx`r.interval_end`,
    rendered_map_index: tx`t.rendered_map_index`,
    operator: tx`t.operator`,
  };
  const [rows, [count]] = await Promise.all([
    tx<TaskInstanceRow[]>`
      select ${taskInstanceColumns(tx)} from airlock.task_instance t ${taskInstanceJoins(tx)}
       where ${where} ${orderBy(tx, query.order, columns, tx`t.map_index, t.run, t.task_id`)}
       limit ${query.page.limit} offset ${query.page.offset}`,
    tx<{ total: number }[]>`
      select count(*)::int as total from airlock.task_instance t
        join airlock.dag_run r on r.tenant = t.tenant and r.run = t.run where ${where}`,
  ]);
  return { rows, total: count?.total ?? 0 };
}

export async function getTaskInstance(
  tx: Tx,
  ref: { dagId: string; runId: string; taskId: string; mapIndex: number },
): Promise<TaskInstanceRow | undefined> {
  const [row] = await tx<TaskInstanceRow[]>`
    select ${taskInstanceColumns(tx)} from airlock.task_instance t ${taskInstanceJoins(tx)}
     where t.tenant = airlock.current_tenant() and t.dag_id = ${ref.dagId} and r.run_id = ${ref.runId}
       and t.task_id = ${ref.taskId} and t.map_index = ${ref.mapIndex}`;
  return row;
}

/** Is there any instance of this task in the run, of whatever map index? */
export async function hasTask(
  tx: Tx,
  ref: { dagId: string; runId: string; taskId: string },
): Promise<boolean> {
  const rows = await tx`
    select 1 from airlock.task_instance t join airlock.dag_run r on r.tenant = t.tenant and r.run = t.run
     where t.tenant = airlock.current_tenant() and t.dag_id = ${ref.dagId} and r.run_id = ${ref.runId}
       and t.task_id = ${ref.taskId} limit 1`;
  return rows.length > 0;
}

/** One try: the last attempt under its number, with the first start (reschedules and killed workers make several). */
export type TryRow = {
  readonly try_number: number;
  readonly attempt: string;
  readonly outcome: string | null;
  readonly attempt_state: "admitted" | "running" | "ended";
  readonly reason: string | null;
  readonly admitted_at: Date;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
  readonly duration: number | null;
  readonly host: string | null;
  readonly pid: number | null;
  readonly cpu_s: number | null;
  readonly peak_memory: string | null;
};

export const listTries = async (
  tx: Tx,
  ref: { run: string; taskId: string; mapIndex: number },
): Promise<readonly TryRow[]> =>
  tx<TryRow[]>`
    select distinct on (a.try_number) a.try_number, a.attempt, a.outcome, a.state as attempt_state, a.reason,
           min(a.admitted_at) over w as admitted_at, min(a.started_at) over w as started_at, a.ended_at,
           extract(epoch from a.ended_at - min(a.started_at) over w)::float8 as duration, a.host, a.pid, a.cpu_s, a.peak_memory
      from airlock.attempt a
     where a.tenant = airlock.current_tenant() and a.run = ${ref.run} and a.task_id = ${ref.taskId}
       and a.map_index = ${ref.mapIndex}
    window w as (partition by a.try_number)
     order by a.try_number, a.admitted_at desc`;
