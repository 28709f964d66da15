import type { Tx } from "./open.ts";

export type SealedRow = {
  readonly tenant: string;
  readonly kind: "connection" | "variable" | "repository" | "webhook";
  readonly id: string;
  readonly sealed: Uint8Array;
};

/** All sealed values of all tenants: for a look whether each can still be opened. */
export const listSealed = (tx: Tx): Promise<readonly SealedRow[]> => tx<SealedRow[]>`
  select tenant, 'connection' as kind, conn_id as id, sealed from airlock.connection where sealed is not null
  union all select tenant, 'variable', key, sealed from airlock.variable
  union all select tenant, 'repository', repository, credentials from airlock.repository where credentials is not null
  union all select tenant, 'webhook', repository, webhook_secrets from airlock.repository where webhook_secrets is not null`;
