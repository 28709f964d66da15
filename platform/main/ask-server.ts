import { isObject, type Json } from "../model/json.ts";
import { CommandProblem, failed, unreachable } from "./problem.ts";
import { chooseProfile, type Profile, type Wish } from "./profiles.ts";

export type Server = {
  readonly url: string;
  get(path: string, query?: Query): Promise<unknown>;
  send(
    method: "POST" | "PATCH" | "PUT" | "DELETE",
    path: string,
    body?: Json,
    query?: Query,
  ): Promise<unknown>;
  /** All pages of a list whose rows lie under `key`. */
  list(
    path: string,
    key: string,
    query?: Query,
    max?: number,
  ): Promise<readonly { readonly [field: string]: unknown }[]>;
  /** The answer as it comes: logs, artifacts, server-sent events. */
  open(path: string, accept: string, query?: Query, signal?: AbortSignal): Promise<Response>;
};

export type Query = {
  readonly [name: string]: string | number | boolean | readonly string[] | undefined;
};

/** Signed in as the profile says. Every problem comes out as a CommandProblem with the contract's exit code. */
export const askServer = (wish: Wish): Server => openServer(chooseProfile(wish));

export function openServer(profile: Profile): Server {
  const ask = async (
    method: string,
    path: string,
    { query = {}, body, accept = "application/json", signal }: Request_ = {},
  ): Promise<Response> => {
    let response: Response;
    try {
      response = await fetch(`${profile.url}${path}${queryText(query)}`, {
        method,
        headers: {
          accept,
          "x-airlock-client": "cli",
          ...(profile.token === undefined ? {} : { authorization: `Bearer ${profile.token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
        // A redirect to another host must not take the token along; the API never redirects.
        redirect: "manual",
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw unreachable(
        `${profile.url} does not answer: ${causeOf(error)}`,
        "is the server running? (airlock doctor; on its machine: npm start)",
      );
    }
    if (response.ok) return response;
    throw await problemOf(profile, response);
  };

  const json = async (response: Response): Promise<unknown> => {
    const text = await response.text();
    if (text === "") return null;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw unreachable(
        `${profile.url} answers, but not as an Airlock server`,
        "check the address: it is the one the page has, without /t/…",
      );
    }
  };

  const server: Server = {
    url: profile.url,
    get: async (path, query) => json(await ask("GET", path, { query })),
    send: async (method, path, body, query) => json(await ask(method, path, { query, body })),
    open: (path, accept, query, signal) => ask("GET", path, { query, accept, signal }),
    async list(path, key, query = {}, max = 10_000) {
      const rows: { readonly [field: string]: unknown }[] = [];
      for (;;) {
        const limit = Math.min(100, max - rows.length);
        const page = await server.get(path, { ...query, limit, offset: rows.length });
        const some: unknown = isObject(page) ? page[key] : undefined;
        const total = isObject(page) ? Number(page["total_entries"]) : 0;
        if (!Array.isArray(some) || some.length === 0) return rows;
        rows.push(...some.filter(isObject));
        if (rows.length >= max || !(rows.length < total)) return rows;
      }
    },
  };
  return server;
}

type Request_ = {
  readonly query?: Query | undefined;
  readonly body?: Json | undefined;
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
};

function queryText(query: Query): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of typeof value === "object" ? value : [value]) pairs.append(name, String(one));
  }
  const text = pairs.toString();
  return text === "" ? "" : `?${text}`;
}

function notFoundAt(path: string): [problem: string, hint: string] {
  const tenant = /^\/(?:t|api\/platform\/(?:tenants|deploys|repositories))\/([^/]+)/.exec(
    path,
  )?.[1];
  return [
    tenant === undefined
      ? "there is no such thing, or you may not see it"
      : `there is no tenant ${decodeURIComponent(tenant)}, or nothing of that name in it, or you may not see it`,
    "what you may see: airlock tenants list",
  ];
}

async function problemOf(profile: Profile, response: Response): Promise<CommandProblem> {
  const text = await response.text().catch(() => "");
  const detail = detailOf(text) ?? `${response.status} ${response.statusText}`;
  switch (response.status) {
    case 401:
      return unreachable(
        profile.token === undefined
          ? `not signed in at ${profile.url}`
          : `${profile.url} does not accept the token: ${detail}`,
        `sign in: airlock auth login --url ${profile.url}`,
      );
    case 403:
      return failed(`not allowed: ${detail}`);
    case 404:
      // The server says no more, so that nobody learns the names of what he may not see.
      if (detail === "Not Found") return failed(...notFoundAt(new URL(response.url).pathname));
      return failed(detail);
    case 502:
    case 503:
    case 504:
      return unreachable(`${profile.url} is not ready: ${detail}`, "try again in a moment");
    default:
      return failed(detail);
  }
}

/** Airflow's errors: `{"detail": text}`, or a list of fields, each named. */
function detailOf(text: string): string | undefined {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return undefined;
  }
  const detail = isObject(raw) ? raw["detail"] : undefined;
  if (typeof detail === "string") return detail;
  if (!Array.isArray(detail)) return undefined;
  return detail
    .filter(isObject)
    .map(({ loc, msg }) => {
      const field = Array.isArray(loc) ? loc.slice(1).join(".") : "";
      return field === "" ? String(msg) : `${field}: ${String(msg)}`;
    })
    .join("; ");
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  if (!(cause instanceof Error)) return String(cause);
  const code = (cause as NodeJS.ErrnoException).code;
  return code === "ECONNREFUSED" ? "the connection was refused" : (code ?? cause.message);
}

/** Path of a tenant's API. Every part is escaped: names come from a command line. */
export const apiPath = (tenant: string, ...parts: readonly (string | number)[]): string =>
  ["", "t", tenant, "api", "v2", ...parts].map((part) => encodeURIComponent(part)).join("/");
export const platformPath = (...parts: readonly string[]): string =>
  ["", "api", "platform", ...parts].map((part) => encodeURIComponent(part)).join("/");
