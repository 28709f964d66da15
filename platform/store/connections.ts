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

/** As stored: what is secret lies in `sealed`, and only `platform/secrets` opens it. */
export type ConnectionRow = {
  readonly conn_id: string;
  readonly conn_type: string;
  readonly description: string | null;
  readonly host: string | null;
  readonly schema: string | null;
  readonly login: string | null;
  readonly port: number | null;
  readonly sealed: Uint8Array | null;
};

export const connectionOrders = [
  "conn_id",
  "connection_id",
  "id",
  "conn_type",
  "description",
  "host",
  "port",
] as const;

export async function listConnections(
  tx: Tx,
  query: { seen: SeenIds; pattern?: string | undefined; order: readonly Order[]; page: Page },
): Promise<Listed<ConnectionRow>> {
  const where = tx`tenant = airlock.current_tenant() and ${seenIn(tx, tx`conn_id`, query.seen)}
    and ${matches(tx, tx`conn_id`, query.pattern)}`;
  const columns = {
    conn_id: tx`conn_id`,
    connection_id: tx`conn_id`,
    id: tx`conn_id`,
    conn_type: tx`conn_type`,
    description: tx`description`,
    host: tx`host`,
    port: tx`port`,
  };
  const [rows, [count]] = await Promise.all([
    tx<ConnectionRow[]>`
      select conn_id, conn_type, description, host, schema, login, port, sealed from airlock.connection
       where ${where} ${orderBy(tx, query.order, columns, tx`conn_id`)}
       limit ${query.page.limit} offset ${query.page.offset}`,
    tx<{ total: number }[]>`select count(*)::int as total from airlock.connection where ${where}`,
  ]);
  return { rows, total: count?.total ?? 0 };
}

/** The name of connections sealed values and tasks use: exact, or undefined. */
export async function getConnection(tx: Tx, connId: string): Promise<ConnectionRow | undefined> {
  const [row] = await tx<ConnectionRow[]>`
    select conn_id, conn_type, description, host, schema, login, port, sealed from airlock.connection
     where tenant = airlock.current_tenant() and conn_id = ${connId}`;
  return row;
}

/** false: there is one of this name already, and nothing was written. */
export async function addConnection(tx: Tx, row: ConnectionRow): Promise<boolean> {
  const added = await tx`
    insert into airlock.connection (tenant, conn_id, conn_type, description, host, schema, login, port, sealed)
    values (airlock.current_tenant(), ${row.conn_id}, ${row.conn_type}, ${row.description}, ${row.host},
            ${row.schema}, ${row.login}, ${row.port}, ${row.sealed})
    on conflict do nothing returning conn_id`;
  if (added.length > 0) await noteThings(tx);
  return added.length > 0;
}

/** false: no such connection. */
export async function changeConnection(tx: Tx, row: ConnectionRow): Promise<boolean> {
  const changed = await tx`
    update airlock.connection
       set conn_type = ${row.conn_type}, description = ${row.description}, host = ${row.host},
           schema = ${row.schema}, login = ${row.login}, port = ${row.port}, sealed = ${row.sealed},
           updated_at = clock_timestamp()
     where tenant = airlock.current_tenant() and conn_id = ${row.conn_id} returning conn_id`;
  if (changed.length > 0) await noteThings(tx);
  return changed.length > 0;
}

export async function removeConnection(tx: Tx, connId: string): Promise<boolean> {
  const removed = await tx`
    delete from airlock.connection
     where tenant = airlock.current_tenant() and conn_id = ${connId} returning conn_id`;
  if (removed.length > 0) await noteThings(tx);
  return removed.length > 0;
}
