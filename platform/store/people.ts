/**
 * People, their sessions and tokens. All of it is the system's: no tenant's transaction sees these tables.
 * Session ids and token secrets come in as SHA-256 hashes; this room never holds one in clear.
 */
import type { TenantId } from "../model/ids.ts";
import type { Tx } from "./open.ts";

export type PersonRow = {
  readonly name: string;
  readonly display_name: string;
  readonly email: string | null;
  readonly state: "active" | "disabled";
  readonly groups: readonly string[];
  readonly created_at: Date;
  readonly signed_in_at: Date | null;
};

const personColumns = (tx: Tx): ReturnType<Tx> =>
  tx`p.name, p.display_name, p.email, p.state, p.groups, p.created_at, p.signed_in_at`;

export const listPeople = async (tx: Tx): Promise<readonly PersonRow[]> =>
  tx<PersonRow[]>`select ${personColumns(tx)} from airlock.person p order by p.name`;

export async function getPerson(tx: Tx, name: string): Promise<PersonRow | undefined> {
  const [row] = await tx<PersonRow[]>`
    select ${personColumns(tx)} from airlock.person p where p.name = ${name}`;
  return row;
}

/** The stored hash of an active person, for a sign-in. */
export async function getPasswordHash(tx: Tx, name: string): Promise<string | undefined> {
  const [row] = await tx<{ password: string | null }[]>`
    select password from airlock.person where name = ${name} and state = 'active'`;
  return row?.password ?? undefined;
}

/** false: the name is taken. `password` is a hash, never a password. */
export async function addPerson(
  tx: Tx,
  person: {
    name: string;
    display_name?: string | undefined;
    email?: string | null | undefined;
    password: string | null;
  },
): Promise<boolean> {
  const added = await tx`
    insert into airlock.person (name, display_name, email, password)
    values (${person.name}, ${person.display_name ?? ""}, ${person.email ?? null}, ${person.password})
    on conflict do nothing returning name`;
  return added.length > 0;
}

export async function changePerson(
  tx: Tx,
  name: string,
  change: {
    display_name?: string | undefined;
    email?: string | null | undefined;
    state?: "active" | "disabled" | undefined;
  },
): Promise<boolean> {
  const changed = await tx`
    update airlock.person
       set display_name = coalesce(${change.display_name ?? null}, display_name),
           email = case when ${change.email !== undefined} then ${change.email ?? null} else email end,
           state = coalesce(${change.state ?? null}, state)
     where name = ${name} returning name`;
  if (changed.length > 0 && change.state === "disabled") await endSignIns(tx, name);
  return changed.length > 0;
}

/** A new password ends every session and every short-lived token of the person; named API tokens stay. */
export async function setPassword(tx: Tx, name: string, hash: string): Promise<boolean> {
  const changed = await tx`
    update airlock.person set password = ${hash} where name = ${name} returning name`;
  if (changed.length > 0) await endSignIns(tx, name);
  return changed.length > 0;
}

/** The same password under a better hash: nothing else changes, unless somebody was faster. */
export async function upgradePasswordHash(
  tx: Tx,
  name: string,
  from: string,
  to: string,
): Promise<void> {
  await tx`update airlock.person set password = ${to} where name = ${name} and password = ${from}`;
}

export async function removePerson(tx: Tx, name: string): Promise<boolean> {
  // Rights by name would wait for the next person of that name.
  await tx`delete from airlock.grant_rule where subject = ${`user:${name}`}`;
  await tx`delete from airlock.role_assignment where subject = ${`user:${name}`}`;
  const removed = await tx`delete from airlock.person where name = ${name} returning name`;
  return removed.length > 0;
}

async function endSignIns(tx: Tx, name: string): Promise<void> {
  await tx`delete from airlock.session where person = ${name}`;
  await tx`delete from airlock.token where person = ${name} and kind = 'access'`;
}

/** How many active people are admins of the platform besides `name`: the last one may not go. */
export async function countOtherAdmins(tx: Tx, name: string): Promise<number> {
  const [row] = await tx<{ others: number }[]>`
    select count(*)::int as others from airlock.role_assignment a
      join airlock.person p on a.subject = 'user:' || p.name and p.state = 'active'
     where a.tenant = '*' and a.role = 'role:admin' and p.name <> ${name}`;
  return row?.others ?? 0;
}

// ---- sessions

const sessionIdleMinutes = 12 * 60;
export const sessionHours = 7 * 24;

export async function openSession(
  tx: Tx,
  session: { hash: Buffer; person: string; agent: string | null },
): Promise<void> {
  await tx`
    insert into airlock.session (hash, person, agent, expires_at)
    values (${session.hash}, ${session.person}, ${session.agent}, clock_timestamp() + make_interval(hours => ${sessionHours}))`;
  await tx`update airlock.person set signed_in_at = clock_timestamp() where name = ${session.person}`;
}

/** The person of a live session. Its idle clock starts again, at most once a minute, so that reading stays reading. */
export async function findSession(tx: Tx, hash: Buffer): Promise<PersonRow | undefined> {
  const [row] = await tx<(PersonRow & { stale: boolean })[]>`
    select ${personColumns(tx)}, s.seen_at < clock_timestamp() - interval '1 minute' as stale
      from airlock.session s join airlock.person p on p.name = s.person
     where s.hash = ${hash} and p.state = 'active' and s.expires_at > clock_timestamp()
       and s.seen_at > clock_timestamp() - make_interval(mins => ${sessionIdleMinutes})`;
  if (!row) return undefined;
  const { stale, ...person } = row;
  if (stale) await tx`update airlock.session set seen_at = clock_timestamp() where hash = ${hash}`;
  return person;
}

/** Which of these sessions are still open. Looking is no use of them: their idle clocks go on. */
export async function openSessionsOf(
  tx: Tx,
  hashes: readonly Buffer[],
): Promise<readonly Buffer[]> {
  const rows = await tx<{ hash: Buffer }[]>`
    select s.hash from airlock.session s join airlock.person p on p.name = s.person
     where s.hash in (select decode(h, 'hex') from unnest(${hashes.map((hash) => hash.toString("hex"))}::text[]) h)
       and p.state = 'active' and s.expires_at > clock_timestamp()
       and s.seen_at > clock_timestamp() - make_interval(mins => ${sessionIdleMinutes})`;
  return rows.map(({ hash }) => hash);
}

export async function closeSession(tx: Tx, hash: Buffer): Promise<void> {
  await tx`delete from airlock.session where hash = ${hash}`;
}

// ---- tokens

export type TokenRow = {
  readonly id: string;
  readonly kind: "api" | "access";
  readonly person: string;
  readonly tenant: TenantId | null;
  readonly scopes: readonly string[] | null;
  readonly name: string;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly last_used_at: Date | null;
};

/** `seconds` undefined: it never expires. */
export async function addToken(
  tx: Tx,
  token: {
    id: string;
    kind: "api" | "access";
    hash: Buffer;
    person: string;
    tenant: TenantId | null;
    scopes: readonly string[] | null;
    name: string;
    seconds: number | undefined;
  },
): Promise<TokenRow> {
  const scopes = token.scopes === null ? null : JSON.stringify(token.scopes);
  const [row] = await tx<TokenRow[]>`
    insert into airlock.token (id, kind, hash, person, tenant, scopes, name, expires_at)
    values (${token.id}, ${token.kind}, ${token.hash}, ${token.person}, ${token.tenant}, ${scopes}::text::json,
            ${token.name}, clock_timestamp() + make_interval(secs => ${token.seconds ?? null}::float8))
    returning id, kind, person, tenant, scopes, name, created_at, expires_at, last_used_at`;
  if (!row) throw new Error("a token was not written");
  return row;
}

/** The live token of this id with its active owner; the caller compares the hash. */
export async function findToken(
  tx: Tx,
  id: string,
): Promise<
  { readonly token: TokenRow; readonly hash: Uint8Array; readonly person: PersonRow } | undefined
> {
  const [row] = await tx<
    (TokenRow & { hash: Uint8Array; stale: boolean; token_name: string; token_created: Date })[]
  >`
    select t.id, t.kind, t.person, t.tenant, t.scopes, t.name as token_name, t.created_at as token_created,
           t.expires_at, t.last_used_at, t.hash,
           coalesce(t.last_used_at < clock_timestamp() - interval '1 minute', true) as stale
      from airlock.token t
     where t.id = ${id} and (t.expires_at is null or t.expires_at > clock_timestamp())`;
  if (!row) return undefined;
  const person = await getPerson(tx, row.person);
  if (!person || person.state !== "active") return undefined;
  if (row.stale)
    await tx`update airlock.token set last_used_at = clock_timestamp() where id = ${id}`;
  const { hash, stale: _, token_name: name, token_created: created_at, ...rest } = row;
  return { token: { ...rest, name, created_at }, hash, person };
}

/** Named tokens of one person, or of everybody. */
export const listTokens = async (
  tx: Tx,
  person: string | undefined,
): Promise<readonly TokenRow[]> =>
  tx<TokenRow[]>`
    select id, kind, person, tenant, scopes, name, created_at, expires_at, last_used_at from airlock.token
     where kind = 'api' ${person === undefined ? tx`` : tx`and person = ${person}`} order by created_at, id`;

/** `person` undefined: whoever owns it. */
export async function removeToken(
  tx: Tx,
  id: string,
  person: string | undefined,
): Promise<boolean> {
  const removed = await tx`
    delete from airlock.token where id = ${id} ${person === undefined ? tx`` : tx`and person = ${person}`} returning id`;
  return removed.length > 0;
}

/** What nobody can use any more. Called by a sweeper now and then. */
export async function removeExpiredSignIns(tx: Tx): Promise<void> {
  await tx`
    delete from airlock.session
     where expires_at < clock_timestamp() or seen_at < clock_timestamp() - make_interval(mins => ${sessionIdleMinutes})`;
  await tx`delete from airlock.token where kind = 'access' and expires_at < clock_timestamp()`;
}
