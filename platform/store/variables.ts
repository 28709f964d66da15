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

/** `sealed` opens for (tenant, "variable", key). */
export type VariableRow = {
  readonly key: string;
  readonly sealed: Uint8Array;
  readonly description: string | null;
};

export const variableOrders = ["key", "id", "_val", "description", "is_encrypted"] as const;

export async function listVariables(
  tx: Tx,
  query: { seen: SeenIds; pattern?: string | undefined; order: readonly Order[]; page: Page },
): Promise<Listed<VariableRow>> {
  const where = tx`tenant = airlock.current_tenant() and ${seenIn(tx, tx`key`, query.seen)}
    and ${matches(tx, tx`key`, query.pattern)}`;
  // No order by value: it is sealed, and an order would tell about it.
  const columns = { key: tx`key`, id: tx`key`, description: tx`description` };
  const [rows, [count]] = await Promise.all([
    tx<VariableRow[]>`
      select key, sealed, description from airlock.variable
       where ${where} ${orderBy(tx, query.order, columns, tx`key`)}
       limit ${query.page.limit} offset ${query.page.offset}`,
    tx<{ total: number }[]>`select count(*)::int as total from airlock.variable where ${where}`,
  ]);
  return { rows, total: count?.total ?? 0 };
}

export async function getVariable(tx: Tx, key: string): Promise<VariableRow | undefined> {
  const [row] = await tx<VariableRow[]>`
    select key, sealed, description from airlock.variable
     where tenant = airlock.current_tenant() and key = ${key}`;
  return row;
}

/** false: there is one of this name already, and nothing was written. */
export async function addVariable(tx: Tx, row: VariableRow): Promise<boolean> {
  const added = await tx`
    insert into airlock.variable (tenant, key, sealed, description)
    values (airlock.current_tenant(), ${row.key}, ${row.sealed}, ${row.description})
    on conflict do nothing returning key`;
  if (added.length > 0) await noteThings(tx);
  return added.length > 0;
}

/** false: no such variable. */
export async function changeVariable(tx: Tx, row: VariableRow): Promise<boolean> {
  const changed = await tx`
    update airlock.variable
       set sealed = ${row.sealed}, description = ${row.description}, updated_at = clock_timestamp()
     where tenant = airlock.current_tenant() and key = ${row.key} returning key`;
  if (changed.length > 0) await noteThings(tx);
  return changed.length > 0;
}

/** Sets it whether or not it was there; a description of undefined keeps the old one. What a task's `Variable.set` does. */
export async function putVariable(
  tx: Tx,
  row: Omit<VariableRow, "description"> & { readonly description?: string | undefined },
): Promise<void> {
  await tx`
    insert into airlock.variable (tenant, key, sealed, description)
    values (airlock.current_tenant(), ${row.key}, ${row.sealed}, ${row.description ?? null})
    on conflict (tenant, key) do update
      set sealed = excluded.sealed, updated_at = clock_timestamp(),
          description = coalesce(excluded.description, airlock.variable.description)`;
  await noteThings(tx);
}

export async function removeVariable(tx: Tx, key: string): Promise<boolean> {
  const removed = await tx`
    delete from airlock.variable
     where tenant = airlock.current_tenant() and key = ${key} returning key`;
  if (removed.length > 0) await noteThings(tx);
  return removed.length > 0;
}
