/**
 * Connections and variables from files, in the formats of Airflow's `connections export` and its local files
 * backend: `.json`, `.yaml`/`.yml`, `.env`; and from the environment, as `AIRFLOW_CONN_*` and `AIRFLOW_VAR_*`.
 */
import { parse as parseYaml } from "yaml";
import { type Answer, bad, good } from "../model/answer.ts";
import type { ConnectionValue } from "../model/guest.ts";
import { isObject } from "../model/json.ts";

type FileText = { readonly name: string; readonly text: string };

export function readConnections({
  name,
  text,
}: FileText): Answer<Map<string, ConnectionValue>, string> {
  const raw = readPairs(name, text);
  if (!raw.ok) return raw;
  const connections = new Map<string, ConnectionValue>();
  for (const [id, value] of raw.value) {
    // Airflow allows a list of one, from the days of several connections under one id.
    const one: unknown = Array.isArray(value) ? value[0] : value;
    const read = readConnection(id, one);
    if (!read.ok) return bad(`${name}: connection ${id}: ${read.problem}`);
    connections.set(id, read.value);
  }
  return good(connections);
}

export function readVariables({ name, text }: FileText): Answer<Map<string, string>, string> {
  const raw = readPairs(name, text);
  if (!raw.ok) return raw;
  return good(
    new Map(
      raw.value.map(([key, value]) => {
        // `variables export` of Airflow 2.10 and newer may write {value, description}.
        const plain =
          isObject(value) &&
          "value" in value &&
          Object.keys(value).every((k) => k === "value" || k === "description")
            ? value["value"]
            : value;
        return [key, typeof plain === "string" ? plain : JSON.stringify(plain)];
      }),
    ),
  );
}

/** What the author's shell holds already for Airflow. */
export function readEnvironmentThings(env: NodeJS.ProcessEnv): {
  readonly connections: Map<string, ConnectionValue>;
  readonly variables: Map<string, string>;
} {
  const connections = new Map<string, ConnectionValue>();
  const variables = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    if (name.startsWith("AIRFLOW_CONN_")) {
      const id = name.slice("AIRFLOW_CONN_".length).toLowerCase();
      const read = readConnection(id, value);
      if (read.ok) connections.set(id, read.value);
    } else if (name.startsWith("AIRFLOW_VAR_"))
      variables.set(name.slice("AIRFLOW_VAR_".length).toLowerCase(), value);
  }
  return { connections, variables };
}

function readPairs(name: string, text: string): Answer<[string, unknown][], string> {
  if (name.endsWith(".env")) return readEnvFile(name, text);
  let raw: unknown;
  try {
    if (name.endsWith(".json")) raw = JSON.parse(text);
    else if (/\.ya?ml$/.test(name)) raw = parseYaml(text, { maxAliasCount: 100 });
    else return bad(`${name}: the file must be called .json, .yaml, .yml or .env`);
  } catch (error) {
    return bad(
      `${name}: ${error instanceof Error ? (error.message.split("\n")[0] ?? "") : "cannot be read"}`,
    );
  }
  if (raw === null || raw === undefined) return good([]);
  if (!isObject(raw)) return bad(`${name}: must be a map from names to values`);
  return good(Object.entries(raw));
}

function readEnvFile(name: string, text: string): Answer<[string, unknown][], string> {
  const pairs: [string, unknown][] = [];
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    const plain = line.trim();
    if (plain === "" || plain.startsWith("#")) continue;
    const cut = plain.indexOf("=");
    if (cut < 1) return bad(`${name}:${at + 1}: must be NAME=value`);
    pairs.push([plain.slice(0, cut).trim(), unquoted(plain.slice(cut + 1).trim())]);
  }
  return good(pairs);
}

const unquoted = (text: string): string => /^(["'])(.*)\1$/.exec(text)?.[2] ?? text;

/** A URI, a JSON text, or an object with Airflow's field names. */
export function readConnection(id: string, raw: unknown): Answer<ConnectionValue, string> {
  if (typeof raw === "string") {
    if (!raw.trimStart().startsWith("{")) return readUri(id, raw);
    try {
      return readConnection(id, JSON.parse(raw));
    } catch {
      return bad("must be a URI or JSON");
    }
  }
  if (!isObject(raw)) return bad("must be a URI or a map of fields");
  const type = raw["conn_type"] ?? raw["connection_type"] ?? "";
  const port = raw["port"];
  if (typeof type !== "string") return bad("conn_type must be a text");
  const number = typeof port === "string" && port !== "" ? Number(port) : port;
  if (number !== undefined && number !== null && number !== "" && !isPort(number))
    return bad("port must be a number from 0 to 65535");
  const extra = raw["extra"] ?? raw["extra_dejson"];
  return good({
    conn_id: id,
    conn_type: type,
    ...texts(raw, "host", "schema", "login", "password"),
    ...(isPort(number) ? { port: number } : {}),
    ...(extra === undefined || extra === null || extra === ""
      ? {}
      : { extra: typeof extra === "string" ? extra : JSON.stringify(extra) }),
  });
}

const isPort = (raw: unknown): raw is number =>
  typeof raw === "number" && Number.isInteger(raw) && raw >= 0 && raw <= 65_535;

type Texts = Partial<Record<"host" | "schema" | "login" | "password", string>>;
function texts(raw: { readonly [key: string]: unknown }, ...names: (keyof Texts)[]): Texts {
  const found: Texts = {};
  for (const name of names) {
    const value = raw[name];
    if (typeof value === "string" && value !== "") found[name] = value;
    else if (typeof value === "number") found[name] = String(value);
  }
  return found;
}

/** Airflow's `Connection._parse_from_uri`: the scheme is the type, the query the extras, `__extra__` all of them. */
function readUri(id: string, text: string): Answer<ConnectionValue, string> {
  const match = /^([a-z][a-z0-9+._-]*):\/\/(.*)$/is.exec(text);
  if (!match) return bad("must be a URI such as postgres://user:password@host:5432/schema");
  const [, scheme = "", rest = ""] = match;
  const [address, query = ""] = splitOnce(rest, "?");
  const [authority, path = ""] = splitOnce(address, "/");
  const at = authority.lastIndexOf("@");
  const userInfo = at < 0 ? "" : authority.slice(0, at);
  const hostPort = at < 0 ? authority : authority.slice(at + 1);
  const [login, password = ""] = splitOnce(userInfo, ":");
  const inner = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(hostPort);
  if (!inner) return bad("the host and port of the URI cannot be read");
  const port = inner[2] === undefined ? undefined : Number(inner[2]);
  if (port !== undefined && !isPort(port)) return bad("port must be a number from 0 to 65535");
  const extras = Object.fromEntries(new URLSearchParams(query));
  const extra = extras["__extra__"] ?? (query === "" ? undefined : JSON.stringify(extras));
  try {
    const fields = {
      host: decodeURIComponent((inner[1] ?? "").replace(/^\[|\]$/g, "")),
      schema: decodeURIComponent(path),
      login: decodeURIComponent(login),
      password: decodeURIComponent(password),
    };
    return good({
      conn_id: id,
      conn_type: scheme === "postgresql" ? "postgres" : scheme.toLowerCase().replaceAll("-", "_"),
      ...texts(fields, "host", "schema", "login", "password"),
      ...(port === undefined ? {} : { port }),
      ...(extra === undefined ? {} : { extra }),
    });
  } catch {
    return bad("a % in the URI must be written %25");
  }
}

function splitOnce(text: string, by: string): [string, string | undefined] {
  const at = text.indexOf(by);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + by.length)];
}
