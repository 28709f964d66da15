/** Wrapped data keys of the tenants, in the shape that `openKeyring` of platform/secrets asks for. */
import type { Store, Tx } from "./open.ts";

type WrappedKey = {
  readonly tenant: string;
  readonly version: number;
  readonly platformKeyId: string;
  readonly wrapped: Buffer;
};

type Row = { tenant: string; version: number; platform_key: string; wrapped: Uint8Array };

export type TenantKeys = {
  load(tenant: string): Promise<readonly WrappedKey[]>;
  add(key: WrappedKey): Promise<void>;
  notUnder(platformKeyId: string, limit: number): Promise<readonly WrappedKey[]>;
  rewrap(key: WrappedKey, from: Buffer): Promise<void>;
};

export function openTenantKeys(store: Store): TenantKeys {
  const read = (row: Row): WrappedKey => ({
    tenant: row.tenant,
    version: row.version,
    platformKeyId: row.platform_key,
    wrapped: Buffer.from(row.wrapped),
  });
  return {
    load: (tenant) =>
      store.system(async (tx: Tx) => {
        const rows = await tx<Row[]>`
          select tenant, version, platform_key, wrapped from airlock.tenant_key where tenant = ${tenant}`;
        return rows.map(read);
      }),
    add: (key) =>
      store.system(async (tx) => {
        await tx`
          insert into airlock.tenant_key (tenant, version, platform_key, wrapped)
          values (${key.tenant}, ${key.version}, ${key.platformKeyId}, ${key.wrapped})
          on conflict do nothing`;
      }),
    notUnder: (platformKeyId, limit) =>
      store.system(async (tx) => {
        const rows = await tx<Row[]>`
          select tenant, version, platform_key, wrapped from airlock.tenant_key
           where platform_key <> ${platformKeyId} limit ${limit}`;
        return rows.map(read);
      }),
    rewrap: (key, from) =>
      store.system(async (tx) => {
        await tx`
          update airlock.tenant_key set platform_key = ${key.platformKeyId}, wrapped = ${key.wrapped}
           where tenant = ${key.tenant} and version = ${key.version} and wrapped = ${from}`;
      }),
  };
}
