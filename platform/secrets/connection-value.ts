import type { ConnectionValue } from "../model/guest.ts";
import { isObject, type Json } from "../model/json.ts";
import type { Keyring } from "./keyring.ts";

/** What of a connection is secret: sealed together, under the connection's name. */
export type ConnectionSecret = {
  readonly password?: string | undefined;
  readonly extra?: string | undefined;
};

/** The columns of a stored connection that this room needs. */
type StoredConnection = {
  readonly conn_id: string;
  readonly conn_type: string;
  readonly host: string | null;
  readonly schema: string | null;
  readonly login: string | null;
  readonly port: number | null;
  readonly sealed: Uint8Array | null;
};

/** null: there is nothing secret in it. */
export async function sealConnection(
  keyring: Keyring,
  tenant: string,
  connId: string,
  { password, extra }: ConnectionSecret,
): Promise<Buffer | null> {
  if (password === undefined && extra === undefined) return null;
  return keyring.seal(tenant, "connection", connId, JSON.stringify({ password, extra }));
}

/** For an attempt that may have it, and for showing it masked. Throws `SecretUnreadable`. */
export async function openConnection(
  keyring: Keyring,
  tenant: string,
  row: StoredConnection,
): Promise<ConnectionValue> {
  const secret = row.sealed
    ? readSecret(await keyring.open(tenant, "connection", row.conn_id, row.sealed))
    : {};
  return {
    conn_id: row.conn_id,
    conn_type: row.conn_type,
    ...(row.host === null ? {} : { host: row.host }),
    ...(row.schema === null ? {} : { schema: row.schema }),
    ...(row.login === null ? {} : { login: row.login }),
    ...(row.port === null ? {} : { port: row.port }),
    ...(secret.password === undefined ? {} : { password: secret.password }),
    ...(secret.extra === undefined ? {} : { extra: secret.extra }),
  };
}

function readSecret(text: string): ConnectionSecret {
  const raw: unknown = JSON.parse(text);
  if (!isObject(raw)) return {};
  const { password, extra } = raw;
  return {
    ...(typeof password === "string" ? { password } : {}),
    ...(typeof extra === "string" ? { extra } : {}),
  };
}

export const mask = "***";

/**
 * Is the value under this name a secret? Airflow's list of names (`secrets_masker.py`) and what it misses:
 * certificates, connection strings, anything that signs or authorises.
 */
export const isSecretName = (name: string): boolean =>
  /pass|secret|token|api.?key|apikey|access.?key|private|credential|authorization|auth$|key(?:file)?(?:_?dict|_?data|_?json|_?path|_?content)?$|signature|connection.?string|\bdsn\b|\bsas\b|cert/i.test(
    name,
  );

/** `extra` as people may see it: JSON with secrets replaced, or the mask alone when it is no JSON object. */
export function maskExtra(extra: string): string {
  const raw = tryJson(extra);
  if (!isObject(raw)) return mask;
  return JSON.stringify(maskValue(raw as Json));
}

/** What was masked and comes back unchanged means "as it was": an edit form sends all it was shown. */
export function unmaskExtra(sent: string, before: string | undefined): string {
  if (sent === mask) return before ?? sent;
  const [next, old] = [tryJson(sent), before === undefined ? undefined : tryJson(before)];
  return isObject(next) && isObject(old)
    ? JSON.stringify(restore(next as Json, old as Json))
    : sent;
}

function maskValue(value: Json, secret = false): Json {
  if (Array.isArray(value)) return value.map((part: Json) => maskValue(part, secret));
  if (isObject(value))
    return Object.fromEntries(
      Object.entries(value as { [key: string]: Json }).map(([key, part]) => [
        key,
        maskValue(part, secret || isSecretName(key)),
      ]),
    );
  if (secret) return value === null || value === "" ? value : mask;
  // A URL with credentials, or something long that nobody reads: rather masked than shown.
  return typeof value === "string" &&
    (/:\/\/[^/\s]*@/.test(value) || value.length > 200 || value.includes("PRIVATE KEY"))
    ? mask
    : value;
}

function restore(next: Json, old: Json | undefined): Json {
  if (next === mask) return old ?? next;
  if (Array.isArray(next))
    return next.map((part: Json, at) =>
      restore(part, Array.isArray(old) ? (old[at] as Json) : undefined),
    );
  if (isObject(next))
    return Object.fromEntries(
      Object.entries(next as { [key: string]: Json }).map(([key, part]) => [
        key,
        restore(part, isObject(old) && Object.hasOwn(old, key) ? (old[key] as Json) : undefined),
      ]),
    );
  return next;
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
