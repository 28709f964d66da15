import { noteThings } from "./changes.ts";
import {
  type Listed,
  matches,
  type Order,
  orderBy,
  type Page,
  type SeenIds,
  seenIn,
} from "./filters.ts";
import type { Tx } from "./open.ts";

export const defaultPool = "default_pool";

/** Slots and who holds them, in Airflow's words. Slots of −1: no limit. */
export type PoolRow = {
  readonly name: string;
  readonly slots: number;
  readonly description: string | null;
  readonly include_deferred: boolean;
  readonly running_slots: number;
  readonly queued_slots: number;
  readonly scheduled_slots: number;
  readonly deferred_slots: number;
};

export type PoolChange = {
  readonly slots?: number | undefined;
  readonly description?: string | null | undefined;
  readonly include_deferred?: boolean | undefined;
};

export const poolOrders = ["id", "pool", "name"] as const;

const counted = (tx: Tx): ReturnType<Tx> => tx`
  select p.pool as name, p.slots, p.description, p.include_deferred,
         coalesce(u.running, 0)::int as running_slots, coalesce(u.queued, 0)::int as queued_slots,
         coalesce(u.scheduled, 0)::int as scheduled_slots, coalesce(u.deferred, 0)::int as deferred_slots
    from airlock.pool p
    left join (
      select pool,
             sum(pool_slots) filter (where state = 'running') as running,
             sum(pool_slots) filter (where state = 'queued') as queued,
             sum(pool_slots) filter (where state = 'scheduled') as scheduled,
             sum(pool_slots) filter (where state = 'deferred') as deferred
        from airlock.task_instance
       where tenant = airlock.current_tenant() and state in ('running', 'queued', 'scheduled', 'deferred')
       group by pool) u using (pool)
   where p.tenant = airlock.current_tenant()`;

export async function listPools(
  tx: Tx,
  query: { seen: SeenIds; pattern?: string | undefined; order: readonly Order[]; page: Page },
): Promise<Listed<PoolRow>> {
  const where = tx`${seenIn(tx, tx`p.pool`, query.seen)} and ${matches(tx, tx`p.pool`, query.pattern)}`;
  const columns = { id: tx`p.pool`, pool: tx`p.pool`, name: tx`p.pool` };
  const [rows, [count]] = await Promise.all([
    tx<PoolRow[]>`${counted(tx)} and ${where} ${orderBy(tx, query.order, columns, tx`p.pool`)}
      limit ${query.page.limit} offset ${query.page.offset}`,
    tx<{ total: number }[]>`
      select count(*)::int as total from airlock.pool p
       where p.tenant = airlock.current_tenant() and ${where}`,
  ]);
  return { rows, total: count?.total ?? 0 };
}

export async function getPool(tx: Tx, name: string): Promise<PoolRow | undefined> {
  const [row] = await tx<PoolRow[]>`${counted(tx)} and p.pool = ${name}`;
  return row;
}

/** false: there is one of this name already, and nothing was written. */
export async function addPool(
  tx: Tx,
  row: { name: string; slots: number; description: string | null; include_deferred: boolean },
): Promise<boolean> {
  const added = await tx`
    insert into airlock.pool (tenant, pool, slots, description, include_deferred)
    values (airlock.current_tenant(), ${row.name}, ${row.slots}, ${row.description}, ${row.include_deferred})
    on conflict do nothing returning pool`;
  if (added.length > 0) await noteThings(tx);
  return added.length > 0;
}

/** false: no such pool. An undefined field stays as it is. */
export async function changePool(tx: Tx, name: string, change: PoolChange): Promise<boolean> {
  const changed = await tx`
    update airlock.pool
       set slots = coalesce(${change.slots ?? null}::int, slots),
           description = case when ${change.description !== undefined} then ${change.description ?? null} else description end,
           include_deferred = coalesce(${change.include_deferred ?? null}::boolean, include_deferred)
     where tenant = airlock.current_tenant() and pool = ${name} returning pool`;
  if (changed.length > 0) await noteThings(tx);
  return changed.length > 0;
}

export async function removePool(tx: Tx, name: string): Promise<boolean> {
  const removed = await tx`
    delete from airlock.pool where tenant = airlock.current_tenant() and pool = ${name} returning pool`;
  if (removed.length > 0) await noteThings(tx);
  return removed.length > 0;
}
