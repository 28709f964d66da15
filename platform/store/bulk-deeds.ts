/** Deeds on many runs: asked for, taken back, taken up by one server at a time, done run by run. */
import type { TenantId } from "../model/ids.ts";
import { type SeenIds, seenIn } from "./filters.ts";
import type { Tx } from "./open.ts";

export const bulkDeedKinds = [
  "clear",
  "clear_failed",
  "mark_success",
  "mark_failed",
  "stop",
  "delete",
] as const;
export type BulkDeedKind = (typeof bulkDeedKinds)[number];

export type BulkDeedRow = {
  readonly tenant: TenantId;
  readonly id: string;
  readonly actor: string;
  readonly only_tenant: TenantId | null;
  readonly scopes: readonly string[] | null;
  readonly ip: string | null;
  readonly deed: BulkDeedKind;
  readonly latest: boolean;
  readonly state: "waiting" | "running" | "done" | "taken_back";
  readonly total: number;
  readonly created_at: Date;
  readonly due_at: Date;
  readonly ended_at: Date | null;
};

export type BulkDeedProgress = BulkDeedRow & {
  readonly done: number;
  readonly failed: number;
  /** By the database's clock, so that a count-down is right on any machine. */
  readonly due_in_ms: number;
};

const columns = (tx: Tx): ReturnType<Tx> => tx`
  b.tenant, b.id, b.actor, b.only_tenant, b.scopes, b.ip, b.deed, b.latest, b.state, b.total, b.created_at, b.due_at, b.ended_at`;

/** false: there is one of this id already. */
export async function addBulkDeed(
  tx: Tx,
  deed: {
    readonly id: string;
    readonly actor: string;
    readonly onlyTenant: string | undefined;
    readonly scopes: readonly string[] | undefined;
    readonly ip: string;
    readonly deed: BulkDeedKind;
    readonly latest: boolean;
    readonly waitSeconds: number;
    readonly runs: readonly {
      readonly run: string;
      readonly dag_id: string;
      readonly run_id: string;
    }[];
  },
): Promise<boolean> {
  const added = await tx`
    insert into airlock.bulk_deed (tenant, id, actor, only_tenant, scopes, ip, deed, latest, total, due_at)
    values (airlock.current_tenant(), ${deed.id}::uuid, ${deed.actor}, ${deed.onlyTenant ?? null},
            ${deed.scopes === undefined ? null : JSON.stringify(deed.scopes)}::text::json, ${deed.ip}, ${deed.deed}, ${deed.latest},
            ${deed.runs.length}, clock_timestamp() + make_interval(secs => ${deed.waitSeconds}::float8))
    on conflict do nothing returning 1`;
  if (added.length === 0) return false;
  await tx`
    insert into airlock.bulk_deed_run (tenant, id, n, run, dag_id, run_id)
    select airlock.current_tenant(), ${deed.id}::uuid, row_number() over (), k.run, k.dag_id, k.run_id
      from json_to_recordset(${JSON.stringify(deed.runs)}::text::json) as k(run bigint, dag_id text, run_id text)`;
  return true;
}

const withProgress = (tx: Tx): ReturnType<Tx> => tx`
  select ${columns(tx)}, p.done, p.failed,
         (extract(epoch from b.due_at - clock_timestamp()) * 1000)::float8 as due_in_ms
    from airlock.bulk_deed b
    cross join lateral (
      select count(*) filter (where r.state = 'done')::int as done, count(*) filter (where r.state = 'failed')::int as failed
        from airlock.bulk_deed_run r where r.tenant = b.tenant and r.id = b.id and b.state <> 'taken_back') p
   where b.tenant = airlock.current_tenant()`;

/** Somebody's own, newest first. */
export const listBulkDeeds = async (
  tx: Tx,
  actor: string,
  limit: number,
): Promise<readonly BulkDeedProgress[]> => tx<BulkDeedProgress[]>`
  ${withProgress(tx)} and b.actor = ${actor} order by b.created_at desc limit ${limit}`;

export async function getBulkDeed(
  tx: Tx,
  id: string,
  actor: string,
): Promise<BulkDeedProgress | undefined> {
  const [row] = await tx<BulkDeedProgress[]>`
    ${withProgress(tx)} and b.id = ${id}::uuid and b.actor = ${actor}`;
  return row;
}

export type BulkDeedRun = {
  readonly n: number;
  readonly run: string;
  readonly dag_id: string;
  readonly run_id: string;
  readonly state: "waiting" | "done" | "failed";
  readonly reason: string | null;
};

/** Its runs of one state, in their order, from `afterN` on; with `seen`, of the DAGs that one may read. */
export const listBulkDeedRuns = async (
  tx: Tx,
  id: string,
  state: BulkDeedRun["state"],
  afterN: number,
  limit: number,
  seen?: SeenIds,
): Promise<readonly BulkDeedRun[]> => tx<BulkDeedRun[]>`
  select r.n, r.run, r.dag_id, r.run_id, r.state, r.reason from airlock.bulk_deed_run r
   where r.tenant = airlock.current_tenant() and r.id = ${id}::uuid and r.state = ${state} and r.n > ${afterN}
     and ${seen === undefined ? tx`true` : seenIn(tx, tx`r.dag_id`, seen)}
   order by r.n limit ${limit}`;

/** true: it had not begun, and now never will. */
export const takeBackBulkDeed = async (tx: Tx, id: string, actor: string): Promise<boolean> => {
  const taken = await tx`
    update airlock.bulk_deed set state = 'taken_back', ended_at = clock_timestamp()
     where tenant = airlock.current_tenant() and id = ${id}::uuid and actor = ${actor} and state = 'waiting' returning 1`;
  return taken.length > 0;
};

// ---- the server that does them; system transactions

/** One that is due, or that its server left, or `owner` itself when its database went away: for `owner` alone, as long as it renews. */
export async function claimBulkDeed(
  tx: Tx,
  owner: string,
  leaseSeconds: number,
): Promise<BulkDeedRow | undefined> {
  const [row] = await tx<BulkDeedRow[]>`
    update airlock.bulk_deed b
       set state = 'running', started_at = coalesce(b.started_at, clock_timestamp()), lease_owner = ${owner}::uuid,
           lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds}::float8)
      from (select tenant, id from airlock.bulk_deed
             where state in ('waiting', 'running') and due_at <= clock_timestamp()
               and (state = 'waiting' or lease_until <= clock_timestamp() or lease_owner = ${owner}::uuid)
             order by due_at limit 1 for update skip locked) c
     where b.tenant = c.tenant and b.id = c.id
    returning ${columns(tx)}`;
  return row;
}

/** false: another server has it now. */
export const renewBulkDeed = async (
  tx: Tx,
  id: string,
  owner: string,
  leaseSeconds: number,
): Promise<boolean> => {
  const renewed = await tx`
    update airlock.bulk_deed set lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds}::float8)
     where tenant = airlock.current_tenant() and id = ${id}::uuid and lease_owner = ${owner}::uuid and state = 'running' returning 1`;
  return renewed.length > 0;
};

/** How one run of it ended. false: that was known already, or another server has the deed: nothing was written. */
export const endBulkDeedRun = async (
  tx: Tx,
  id: string,
  owner: string,
  n: number,
  state: "done" | "failed",
  reason: string | null,
): Promise<boolean> => {
  const ended = await tx`
    update airlock.bulk_deed_run r set state = ${state}, reason = ${reason?.slice(0, 1_000) ?? null}
      from airlock.bulk_deed b
     where r.tenant = airlock.current_tenant() and r.id = ${id}::uuid and r.n = ${n} and r.state = 'waiting'
       and b.tenant = r.tenant and b.id = r.id and b.lease_owner = ${owner}::uuid and b.state = 'running'
    returning 1`;
  return ended.length > 0;
};

export const endBulkDeed = async (tx: Tx, id: string, owner: string): Promise<boolean> => {
  const ended = await tx`
    update airlock.bulk_deed set state = 'done', ended_at = clock_timestamp(), lease_owner = null, lease_until = null
     where tenant = airlock.current_tenant() and id = ${id}::uuid and lease_owner = ${owner}::uuid and state = 'running'
       and not exists (select from airlock.bulk_deed_run r where r.tenant = airlock.current_tenant() and r.id = ${id}::uuid and r.state = 'waiting')
    returning 1`;
  return ended.length > 0;
};

/** Milliseconds until the next one may be taken up; null: none is open. */
export async function nextBulkDeedMs(tx: Tx): Promise<number | null> {
  const [row] = await tx<{ ms: number | null }[]>`
    select (extract(epoch from min(case when state = 'waiting' then due_at else lease_until end) - clock_timestamp()) * 1000)::float8 as ms
      from airlock.bulk_deed where state in ('waiting', 'running')`;
  return row?.ms ?? null;
}

export const forgetBulkDeeds = (tx: Tx, olderDays: number) => tx`
  delete from airlock.bulk_deed where ended_at < clock_timestamp() - make_interval(days => ${olderDays})`;
