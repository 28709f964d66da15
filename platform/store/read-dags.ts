/** DAGs, their versions and tags, for reading. In a tenant's transaction. */
import type { DagSpec, Timetable } from "../model/dag-spec.ts";
import {
  type Listed,
  matches,
  type Order,
  oneOf,
  orderBy,
  type Page,
  type SeenIds,
  seenIn,
} from "./filters.ts";
import type { Tx } from "./open.ts";
import { textArray } from "./text-array.ts";

export type DagRow = {
  readonly dag_id: string;
  readonly display_name: string;
  readonly description: string | null;
  readonly repository: string;
  readonly path: string;
  readonly state: "active" | "retired";
  readonly is_paused: boolean;
  readonly version: number;
  readonly commit: string;
  readonly tags: readonly string[];
  readonly owners: readonly string[];
  readonly timetable: Timetable;
  readonly timetable_summary: string | null;
  readonly max_active_runs: number;
  readonly max_active_tasks: number;
  readonly max_consecutive_failed_dag_runs: number;
  readonly has_task_concurrency_limits: boolean;
  readonly next_logical_at: Date | null;
  readonly next_interval_start: Date | null;
  readonly next_interval_end: Date | null;
  readonly next_run_at: Date | null;
  readonly last_parsed_at: Date;
};

export type DagQuery = {
  readonly seen: SeenIds;
  readonly idPattern?: string | undefined;
  readonly displayPattern?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly tagsMode?: "any" | "all" | undefined;
  readonly owners?: readonly string[] | undefined;
  readonly paused?: boolean | undefined;
  readonly excludeStale?: boolean | undefined;
  readonly lastRunStates?: readonly string[] | undefined;
  readonly repository?: string | undefined;
  readonly order: readonly Order[];
  readonly page: Page;
};

export const dagOrders = [
  "dag_id",
  "dag_display_name",
  "next_dagrun",
  "state",
  "start_date",
  "last_run_state",
  "last_run_start_date",
] as const;

const dagColumns = (tx: Tx): ReturnType<Tx> => tx`
  d.dag_id, d.display_name, d.description, d.repository, d.path, d.state, d.is_paused, d.version, d.commit,
  to_json(d.tags) as tags, to_json(d.owners) as owners, d.timetable, d.timetable_summary, d.max_active_runs,
  d.max_active_tasks, d.next_logical_at, d.next_interval_start, d.next_interval_end, d.next_run_at, d.last_parsed_at,
  coalesce((v.spec ->> 'max_consecutive_failed_dag_runs')::int, 0) as max_consecutive_failed_dag_runs,
  -- most specs do not have the words at all: they need not be parsed
  case when strpos(v.spec::text, '"max_active_tis_per_dag') = 0 then false
       else exists (select from json_array_elements(v.spec -> 'tasks') t
                     where t ->> 'max_active_tis_per_dag' is not null or t ->> 'max_active_tis_per_dagrun' is not null)
       end as has_task_concurrency_limits`;

const liveVersion = (tx: Tx): ReturnType<Tx> => tx`
  join airlock.dag_version v on v.tenant = d.tenant and v.dag_id = d.dag_id and v.version = d.version`;

export async function listDags(tx: Tx, query: DagQuery): Promise<Listed<DagRow>> {
  const byLastRun = query.order.some(({ by }) => by.startsWith("last_run") || by === "state");
  const wantsLastRun = byLastRun || (query.lastRunStates?.length ?? 0) > 0;
  const lastRun = wantsLastRun
    ? tx`left join lateral (
        select r.state, r.started_at from airlock.dag_run r
         where r.tenant = d.tenant and r.dag_id = d.dag_id order by r.run_after desc limit 1) l on true`
    : tx``;
  const tags = query.tags ?? [];
  const where = tx`d.tenant = airlock.current_tenant() and ${seenIn(tx, tx`d.dag_id`, query.seen)}
    and ${matches(tx, tx`d.dag_id`, query.idPattern)}
    and ${matches(tx, tx`d.display_name`, query.displayPattern)}
    and ${tags.length === 0 ? tx`true` : query.tagsMode === "all" ? tx`d.tags @> ${textArray(tags)}::text[]` : tx`d.tags && ${textArray(tags)}::text[]`}
    and ${(query.owners?.length ?? 0) === 0 ? tx`true` : tx`d.owners && ${textArray(query.owners ?? [])}::text[]`}
    and ${query.paused === undefined ? tx`true` : tx`d.is_paused = ${query.paused}`}
    and ${query.excludeStale === true ? tx`d.state = 'active'` : tx`true`}
    and ${query.repository === undefined ? tx`true` : tx`d.repository = ${query.repository}`}
    and ${wantsLastRun ? oneOf(tx, tx`l.state`, query.lastRunStates) : tx`true`}`;
  const columns = {
    dag_id: tx`d.dag_id`,
    dag_display_name: tx`d.display_name`,
    next_dagrun: tx`d.next_run_at`,
    start_date: tx`d.created_at`,
    state: tx`${wantsLastRun ? tx`l.state` : tx`d.dag_id`}`,
    last_run_state: tx`${wantsLastRun ? tx`l.state` : tx`d.dag_id`}`,
    last_run_start_date: tx`${wantsLastRun ? tx`l.started_at` : tx`d.dag_id`}`,
  };
  const [rows, [count]] = await Promise.all([
    // The page first, then the specs of that page: reading the specs of all DAGs would be most of the time.
    tx<DagRow[]>`
      with page as materialized (
        select d.*, row_number() over (${orderBy(tx, query.order, columns, tx`d.dag_id`)}) as place
          from airlock.dag d ${lastRun} where ${where}
         order by place limit ${query.page.limit} offset ${query.page.offset})
      select ${dagColumns(tx)} from page d ${liveVersion(tx)} order by d.place`,
    tx<
      { total: number }[]
    >`select count(*)::int as total from airlock.dag d ${lastRun} where ${where}`,
  ]);
  return { rows, total: count?.total ?? 0 };
}

export async function getDag(tx: Tx, dagId: string): Promise<DagRow | undefined> {
  const [row] = await tx<DagRow[]>`
    select ${dagColumns(tx)} from airlock.dag d ${liveVersion(tx)}
     where d.tenant = airlock.current_tenant() and d.dag_id = ${dagId}`;
  return row;
}

export type VersionRow = {
  readonly id: string;
  readonly dag_id: string;
  readonly version: number;
  readonly repository: string;
  readonly path: string;
  readonly commit: string;
  readonly created_at: Date;
  readonly display_name: string;
};

export const versionOrders = [
  "id",
  "version_number",
  "bundle_name",
  "bundle_version",
  "dag_id",
  "created_at",
] as const;

export async function listVersions(
  tx: Tx,
  query: {
    readonly seen: SeenIds;
    readonly dagId?: string | undefined;
    readonly version?: number | undefined;
    readonly repository?: string | undefined;
    readonly commit?: string | undefined;
    readonly order: readonly Order[];
    readonly page: Page;
  },
): Promise<Listed<VersionRow>> {
  const where = tx`v.tenant = airlock.current_tenant() and ${seenIn(tx, tx`v.dag_id`, query.seen)}
    and ${query.dagId === undefined ? tx`true` : tx`v.dag_id = ${query.dagId}`}
    and ${query.version === undefined ? tx`true` : tx`v.version = ${query.version}`}
    and ${query.repository === undefined ? tx`true` : tx`v.repository = ${query.repository}`}
    and ${query.commit === undefined ? tx`true` : tx`v.commit = ${query.commit}`}`;
  const columns = {
    id: tx`v.created_at`,
    version_number: tx`v.version`,
    bundle_name: tx`v.repository`,
    bundle_version: tx`v.commit`,
    dag_id: tx`v.dag_id`,
    created_at: tx`v.created_at`,
  };
  const [rows, [count]] = await Promise.all([
    tx<VersionRow[]>`
      select v.id, v.dag_id, v.version, v.repository, v.path, v.commit, v.created_at,
             coalesce(v.spec ->> 'display_name', v.dag_id) as display_name
        from airlock.dag_version v where ${where}
        ${orderBy(tx, query.order, columns, tx`v.dag_id, v.version`)}
       limit ${query.page.limit} offset ${query.page.offset}`,
    tx<
      { total: number }[]
    >`select count(*)::int as total from airlock.dag_version v where ${where}`,
  ]);
  return { rows, total: count?.total ?? 0 };
}

/** A version with its spec; `version` undefined: the live one. */
export async function getVersion(
  tx: Tx,
  dagId: string,
  version?: number,
): Promise<(VersionRow & { readonly spec: DagSpec }) | undefined> {
  const [row] = await tx<(VersionRow & { spec: DagSpec })[]>`
    select v.id, v.dag_id, v.version, v.repository, v.path, v.commit, v.created_at,
           coalesce(v.spec ->> 'display_name', v.dag_id) as display_name, v.spec
      from airlock.dag_version v join airlock.dag d using (tenant, dag_id)
     where v.tenant = airlock.current_tenant() and v.dag_id = ${dagId}
       and v.version = ${version === undefined ? tx`d.version` : tx`${version}::int`}`;
  return row;
}

export async function listTags(
  tx: Tx,
  query: {
    readonly seen: SeenIds;
    readonly pattern?: string | undefined;
    readonly descending: boolean;
    readonly page: Page;
  },
): Promise<Listed<string>> {
  const from = tx`(select distinct unnest(d.tags) as tag from airlock.dag d
    where d.tenant = airlock.current_tenant() and d.state = 'active' and ${seenIn(tx, tx`d.dag_id`, query.seen)}) t
    where ${matches(tx, tx`t.tag`, query.pattern)}`;
  const [rows, [count]] = await Promise.all([
    tx<{ tag: string }[]>`
      select t.tag from ${from} order by t.tag ${query.descending ? tx`desc` : tx`asc`}
       limit ${query.page.limit} offset ${query.page.offset}`,
    tx<{ total: number }[]>`select count(*)::int as total from ${from}`,
  ]);
  return { rows: rows.map((row) => row.tag), total: count?.total ?? 0 };
}

/** How many runs of each DAG are in which state. */
export const countRuns = async (
  tx: Tx,
  query: { readonly seen: SeenIds; readonly dagIds?: readonly string[] | undefined },
): Promise<
  readonly { dag_id: string; display_name: string; state: string | null; count: number }[]
> =>
  tx<{ dag_id: string; display_name: string; state: string | null; count: number }[]>`
    select d.dag_id, d.display_name, r.state, count(r.run)::int as count
      from airlock.dag d left join airlock.dag_run r on r.tenant = d.tenant and r.dag_id = d.dag_id
     where d.tenant = airlock.current_tenant() and ${seenIn(tx, tx`d.dag_id`, query.seen)}
       and ${oneOf(tx, tx`d.dag_id`, query.dagIds)}
     group by d.dag_id, d.display_name, r.state order by d.dag_id`;
