/**
 * Who did what. Rows are only added: a trigger refuses change and removal, and each row carries an HMAC
 * under a key that is not in the database, so that a row edited past the trigger is found.
 */
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import type { JsonObject } from "../model/json.ts";
import type { Listed, Page } from "./filters.ts";
import type { Tx } from "./open.ts";

export type AuditEntry = {
  /** `*`: the platform. */
  readonly tenant: string;
  /** A casbin subject. */
  readonly actor: string;
  readonly ip: string | null;
  readonly deed: string;
  readonly thing: string;
  readonly outcome: "done" | "refused" | "failed";
  /** Before and after, never a secret. */
  readonly detail: JsonObject;
};

export type AuditRow = AuditEntry & {
  readonly id: string;
  readonly seq: string;
  readonly at: Date;
  readonly mac: Uint8Array;
};

/** In the transaction of the deed itself: no deed without its row, no row without its deed. */
export async function addAudit(tx: Tx, key: Buffer, entry: AuditEntry): Promise<void> {
  const id = randomUUID();
  const at = new Date();
  const detail = JSON.stringify(entry.detail);
  const mac = macOf(key, { ...entry, id, at }, detail);
  await tx`
    insert into airlock.audit (id, tenant, at, actor, ip, deed, thing, outcome, detail, mac)
    values (${id}, ${entry.tenant}, ${at.toISOString()}::timestamptz, ${entry.actor}, ${entry.ip}, ${entry.deed},
            ${entry.thing}, ${entry.outcome}, ${detail}::text::json, ${mac})`;
}

/** Newest first. */
export async function listAudit(
  tx: Tx,
  query: { tenant: string; page: Page },
): Promise<Listed<AuditRow>> {
  const [rows, [count]] = await Promise.all([
    tx<AuditRow[]>`
      select id, seq, tenant, at, actor, ip, deed, thing, outcome, detail, mac from airlock.audit
       where tenant = ${query.tenant} order by seq desc limit ${query.page.limit} offset ${query.page.offset}`,
    tx<{ total: number }[]>`
      select count(*)::int as total from airlock.audit where tenant = ${query.tenant}`,
  ]);
  return { rows, total: count?.total ?? 0 };
}

export async function getAudit(
  tx: Tx,
  ref: { readonly tenant: string; readonly seq: string },
): Promise<AuditRow | undefined> {
  const [row] = await tx<AuditRow[]>`
    select id, seq, tenant, at, actor, ip, deed, thing, outcome, detail, mac from airlock.audit
     where tenant = ${ref.tenant} and seq = ${ref.seq}::bigint`;
  return row;
}

/** Ids of rows, oldest first, whose content is not what was written under any of the keys. At most `limit` rows from `afterSeq` on are looked at. */
export async function findForgedAudit(
  tx: Tx,
  keys: readonly Buffer[],
  afterSeq: string,
  limit: number,
): Promise<{ readonly forged: readonly string[]; readonly lastSeq: string | undefined }> {
  const rows = await tx<(AuditRow & { text: string })[]>`
    select id, seq, tenant, at, actor, ip, deed, thing, outcome, detail::text as text, mac from airlock.audit
     where seq > ${afterSeq}::bigint order by seq limit ${limit}`;
  const forged = rows.filter((row) => {
    return !keys.some((key) => {
      const expected = macOf(key, row, row.text);
      return row.mac.length === expected.length && timingSafeEqual(row.mac, expected);
    });
  });
  return { forged: forged.map((row) => row.id), lastSeq: rows.at(-1)?.seq };
}

function macOf(
  key: Buffer,
  row: Omit<AuditEntry, "detail"> & { readonly id: string; readonly at: Date },
  detail: string,
): Buffer {
  const { id, tenant, at, actor, ip, deed, thing, outcome } = row;
  const canonical = JSON.stringify([
    id,
    tenant,
    at.toISOString(),
    actor,
    ip,
    deed,
    thing,
    outcome,
    detail,
  ]);
  return createHmac("sha256", key).update(canonical).digest();
}
