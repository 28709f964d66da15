import type { TenantId } from "../model/ids.ts";
import type { JsonObject } from "../model/json.ts";
import type { Tx } from "./open.ts";
import { defaultPool } from "./pools.ts";

export type TenantRow = {
  readonly tenant: TenantId;
  readonly display_name: string;
  readonly state: "active" | "suspended";
  readonly uid: number;
  readonly max_running: number;
  readonly weight: number;
  readonly limits: JsonObject;
  readonly egress: readonly { readonly host: string; readonly port: number }[];
  readonly allow_sources: readonly string[];
  readonly created_at: Date;
};

export type TenantChange = {
  readonly display_name?: string | undefined;
  readonly state?: "active" | "suspended" | undefined;
  readonly max_running?: number | undefined;
  readonly weight?: number | undefined;
  readonly limits?: JsonObject | undefined;
  readonly egress?: readonly { readonly host: string; readonly port: number }[] | undefined;
  readonly allow_sources?: readonly string[] | undefined;
};

const columns = (tx: Tx): ReturnType<Tx> =>
  tx`tenant, display_name, state, uid, max_running, weight, limits, egress, allow_sources, created_at`;

/** Makes the tenant with its default pool (Airflow's 128 slots). undefined: the name is taken. System transaction. */
export async function createTenant(
  tx: Tx,
  tenant: TenantId,
  displayName = "",
): Promise<TenantRow | undefined> {
  const [row] = await tx<TenantRow[]>`
    insert into airlock.tenant (tenant, display_name) values (${tenant}, ${displayName})
    on conflict do nothing returning ${columns(tx)}`;
  if (row)
    await tx`
      insert into airlock.pool (tenant, pool, slots, description)
      values (${tenant}, ${defaultPool}, 128, 'Default pool')`;
  return row;
}

/** All tenants by name. System transaction. */
export const listTenants = async (tx: Tx): Promise<readonly TenantRow[]> =>
  tx<TenantRow[]>`select ${columns(tx)} from airlock.tenant order by tenant`;

/** In a system transaction, or in the tenant's own. */
export async function getTenant(tx: Tx, tenant: TenantId): Promise<TenantRow | undefined> {
  const [row] = await tx<TenantRow[]>`
    select ${columns(tx)} from airlock.tenant where tenant = ${tenant}`;
  return row;
}

/** undefined: no such tenant. An undefined field stays as it is. */
export async function changeTenant(
  tx: Tx,
  tenant: TenantId,
  change: TenantChange,
): Promise<TenantRow | undefined> {
  const json = (value: unknown): string | null =>
    value === undefined ? null : JSON.stringify(value);
  const [row] = await tx<TenantRow[]>`
    update airlock.tenant
       set display_name = coalesce(${change.display_name ?? null}, display_name),
           state = coalesce(${change.state ?? null}, state),
           max_running = coalesce(${change.max_running ?? null}::int, max_running),
           weight = coalesce(${change.weight ?? null}::int, weight),
           limits = coalesce(${json(change.limits)}::text::jsonb, limits),
           egress = coalesce(${json(change.egress)}::text::jsonb, egress),
           allow_sources = coalesce(${json(change.allow_sources)}::text::jsonb, allow_sources)
     where tenant = ${tenant} returning ${columns(tx)}`;
  return row;
}
