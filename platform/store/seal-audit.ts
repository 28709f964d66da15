/** The chain over the audit log: a row that is changed, taken out, put in or moved breaks it at its place. */
import { createHash } from "node:crypto";
import type { Tx } from "./open.ts";

/** The newest link of a tenant. Kept outside of the database, it shows a cut-off tail. */
export type ChainHead = { readonly tenant: string; readonly place: string; readonly hash: string };

/**
 * Chains what is decided since the last time and answers the heads that moved. For one process at a time: another
 * one that seals at this moment makes this an empty answer. System transaction, about once a second.
 */
export async function sealAudit(tx: Tx): Promise<readonly ChainHead[]> {
  const [seal] = await tx<{ below: string; now: string }[]>`
    select below::text as below, pg_snapshot_xmin(pg_current_snapshot())::text as now
      from airlock.audit_seal for update skip locked`;
  if (!seal || seal.below === seal.now) return [];
  // Below the oldest transaction that still runs, nothing can appear any more: what is read here is all there is.
  const rows = await tx<{ id: string; tenant: string; mac: Uint8Array }[]>`
    select id, tenant, mac from airlock.audit
     where xid >= ${seal.below}::text::xid8 and xid < ${seal.now}::text::xid8 order by seq`;
  const heads = new Map<string, { place: bigint; hash: Buffer }>();
  for (const { id, tenant, mac } of rows) {
    const before = heads.get(tenant) ?? (await headOf(tx, tenant));
    const head = { place: before.place + 1n, hash: link(before.hash, id, mac) };
    heads.set(tenant, head);
    await tx`
      insert into airlock.audit_chain (tenant, place, audit, hash)
      values (${tenant}, ${head.place.toString()}::bigint, ${id}, ${head.hash})`;
  }
  await tx`update airlock.audit_seal set below = ${seal.now}::text::xid8`;
  return [...heads].map(([tenant, { place, hash }]) => ({
    tenant,
    place: place.toString(),
    hash: hash.toString("hex"),
  }));
}

/** Whether there is anything to seal: asked often, and cheap when nothing happened. System transaction. */
export async function hasUnsealedAudit(tx: Tx): Promise<boolean> {
  const [row] = await tx<{ some: boolean }[]>`
    select exists (select from airlock.audit a, airlock.audit_seal s where a.xid >= s.below) as some`;
  return row?.some === true;
}

/**
 * The first place at which a tenant's chain does not hold, or undefined. `anchor`: a head that was kept outside;
 * a chain that no longer has it was cut. System transaction; reads the whole chain.
 */
export async function findBrokenAudit(
  tx: Tx,
  tenant: string,
  anchor?: ChainHead,
): Promise<{ readonly place: string; readonly problem: string } | undefined> {
  const rows = await tx<
    { place: string; audit: string; hash: Uint8Array; mac: Uint8Array | null }[]
  >`
    select c.place, c.audit, c.hash, a.mac from airlock.audit_chain c
      left join airlock.audit a on a.id = c.audit and a.tenant = c.tenant
     where c.tenant = ${tenant} order by c.place`;
  let before: Buffer = start;
  let expected = 1n;
  for (const { place, audit, hash, mac } of rows) {
    if (BigInt(place) !== expected)
      return { place: expected.toString(), problem: "a link is missing" };
    if (mac === null) return { place, problem: "its row is missing" };
    const wanted = link(before, audit, mac);
    if (!wanted.equals(hash)) return { place, problem: "its row or its link was changed" };
    if (anchor?.place === place && anchor.hash !== wanted.toString("hex"))
      return { place, problem: "the chain is not the one that was anchored" };
    before = wanted;
    expected++;
  }
  if (anchor && BigInt(anchor.place) >= expected)
    return { place: expected.toString(), problem: "the chain is shorter than it was" };
  return undefined;
}

async function headOf(tx: Tx, tenant: string): Promise<{ place: bigint; hash: Buffer }> {
  const [row] = await tx<{ place: string; hash: Uint8Array }[]>`
    select place, hash from airlock.audit_chain where tenant = ${tenant} order by place desc limit 1`;
  return row
    ? { place: BigInt(row.place), hash: Buffer.from(row.hash) }
    : { place: 0n, hash: start };
}

const start: Buffer = Buffer.alloc(32);
const link = (before: Uint8Array, id: string, mac: Uint8Array): Buffer =>
  createHash("sha256").update(before).update(id).update(mac).digest();
