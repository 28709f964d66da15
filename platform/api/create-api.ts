/**
 * The HTTP side of the house, without a socket: `createApi(deps).fetch(request)`. The order of every request:
 * who asks → does the tenant exist for them → is it from our own pages → may they → what do they send → the deed.
 */
import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import type { z } from "zod";
import type { Asker, Domain, TenantRights } from "../../policies/authz/authorizer.ts";
import type { Deed } from "../model/access.ts";
import { readDagId, readRunId, readTaskId, readTenantId, type TenantId } from "../model/ids.ts";
import { addAudit } from "../store/audit.ts";
import { codeOf, isAway } from "../store/open.ts";
import { getTenant } from "../store/tenants.ts";
import { adminEndpoints } from "./admin/endpoints.ts";
import { airflowEndpoints } from "./airflow/endpoints.ts";
import type { ApiDeps } from "./deps.ts";
import type { Ask, Endpoint } from "./endpoint.ts";
import { openSignIn, type SignIn } from "./identify.ts";
import { knowsTenant } from "./knows-tenant.ts";
import { describeApi } from "./openapi.ts";
import { badRequest, forbidden, HttpProblem, notFound, notSignedIn } from "./problem.ts";
import { checkFields, readBody } from "./read-body.ts";
import { json } from "./reply.ts";
import { cookieName, isFromOurPages, readCookie } from "./same-origin.ts";
import { uiEndpoints } from "./ui/endpoints.ts";

export type Api = {
  /** `from.ip`: of the socket, or of a trusted proxy's header; main knows which. */
  fetch(request: Request, from?: { readonly ip: string }): Promise<Response>;
  /** Method and path of everything that answers, for the test that no route is without a policy. */
  readonly routes: readonly { readonly method: string; readonly path: string }[];
  readonly endpoints: readonly Endpoint[];
  readonly signIn: SignIn;
};

type Env = { Bindings: { ip: string } };

export function createApi(deps: ApiDeps): Api {
  const signIn = openSignIn(deps.store);
  const app = new Hono<Env>({ strict: false });
  // Made when first asked for: a start need not wait for it.
  let description: object | undefined;
  const endpoints: readonly Endpoint[] = [
    ...airflowEndpoints(signIn),
    ...uiEndpoints(),
    ...adminEndpoints(signIn, () => (description ??= describeApi(endpoints, deps.version))),
  ];
  const tenants = openTenantCheck(deps);
  for (const endpoint of endpoints) {
    app.on(endpoint.method, honoPath(endpoint.path), async (c) =>
      guarded(deps, endpoint, c.req.raw, () =>
        answer(deps, signIn, tenants, endpoint, c.req.raw, c.req.param(), c.env.ip),
      ),
    );
  }
  app.notFound(() => json(404, { detail: "Not Found" }, safeHeaders));
  app.onError((error, c) => surprise(deps, error, c.req.method, "?"));
  return {
    fetch: async (request, from) => {
      // A target that is no URL path at all (%E0%A4%A) would otherwise be an exception inside the router.
      if (!isDecodable(request.url))
        return json(400, { detail: "The path is not valid" }, safeHeaders);
      return app.fetch(request, { ip: from?.ip ?? "unknown" });
    },
    routes: app.routes.map(({ method, path }) => ({ method, path })),
    endpoints,
    signIn,
  };
}

/**
 * `{id}` → `:id`, `{key*}` → the rest of the path. Numbers only match numbers: an XCom whose key is `tries` is not
 * the tries of a map index `xcomEntries`.
 */
const honoPath = (path: string): string =>
  path
    .replace(/\{(map_index|try_number|version_number)\}/g, ":$1{-?[0-9]+}")
    .replace(/\{(\w+)\*\}/g, ":$1{.+}")
    .replace(/\{(\w+)\}/g, ":$1");

const safeHeaders = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
  "referrer-policy": "no-referrer",
} as const;

async function guarded(
  deps: ApiDeps,
  endpoint: Endpoint,
  request: Request,
  work: () => Promise<Response>,
): Promise<Response> {
  const startedMs = performance.now();
  const response = await work().catch((error: unknown) =>
    surprise(deps, error, request.method, endpoint.path),
  );
  for (const [name, value] of Object.entries(safeHeaders))
    if (!response.headers.has(name)) response.headers.set(name, value);
  deps.onAnswer?.({
    route: endpoint.path,
    method: request.method,
    status: response.status,
    ms: performance.now() - startedMs,
  });
  return response;
}

/** What was thrown, as an answer: known problems as they are, the database being away as 503, the rest as an id. */
function surprise(deps: ApiDeps, error: unknown, method: string, path: string): Response {
  if (error instanceof HttpProblem)
    return json(error.status, { detail: error.detail }, error.headers);
  if (isAway(error))
    return json(
      503,
      { detail: "The database is not reachable; try again" },
      { "retry-after": "2" },
    );
  // Class 22 and check violations: a value that Postgres cannot hold. Ours to catch earlier, theirs to mend.
  const code = codeOf(error);
  if (code.startsWith("22") || code === "23514")
    return json(422, {
      detail: [{ loc: ["body"], msg: "A value is not valid or too long", type: "value_error" }],
    });
  const id = randomUUID();
  deps.onSurprise(error, { id, method, path });
  return json(500, {
    detail: { reason: "Unexpected error", message: `See the server's log, id ${id}` },
  });
}

async function answer(
  deps: ApiDeps,
  signIn: SignIn,
  tenants: TenantCheck,
  endpoint: Endpoint,
  request: Request,
  rawParams: Record<string, string>,
  ip: string,
): Promise<Response> {
  const { policy } = endpoint;
  const url = new URL(request.url);
  const open = "open" in policy;
  const asker = open ? anonymous : await identify(deps, signIn, request);
  const domain = domainOf(endpoint, rawParams["tenant"]);
  if (!open && domain !== "*") await checkTenant(tenants, asker, domain, request.method);
  const rights = open ? noRights : await deps.authorizer.rightsIn(domain);
  // Somebody without any right in a tenant is told what a stranger to the name is told.
  if (!open && domain !== "*" && !("signedIn" in policy) && !knowsTenant(rights, asker))
    throw notFound();
  const params = checkParams(rawParams);
  const ask: Omit<Ask<unknown, unknown>, "query" | "body"> = {
    request,
    deps,
    params,
    asker,
    get tenant(): TenantId {
      if (domain === "*") throw new Error(`${endpoint.path} has no tenant`);
      return domain;
    },
    rights,
    ip,
    seen: (deed, kind) => {
      if (!("list" in policy)) throw new Error(`${endpoint.path} is not a list`);
      return rights.seen(asker, deed ?? policy.deed, kind ?? policy.list);
    },
    must: (deed, thing) => mustBeAllowed(rights, asker, deed, thing),
    may: (deed, thing) => rights.can(asker, deed, thing),
    tx: (work) => {
      if (domain === "*") throw new Error(`${endpoint.path} has no tenant`);
      return deps.store.tx(domain, work);
    },
    audit: (tx, deed, thing, detail = {}) =>
      addAudit(tx, deps.auditKey, {
        tenant: domain,
        actor: asker.subject,
        ip,
        deed,
        thing: thing.slice(0, 600),
        outcome: "done",
        detail,
      }),
  };
  try {
    checkPolicy(endpoint, rights, asker, params);
  } catch (error) {
    await auditRefusal(deps, endpoint, asker, domain, params, ip);
    throw error;
  }
  const query = checkFields(readQuery(url.searchParams, endpoint), endpoint.query, "query");
  const body = endpoint.body
    ? await readBody(request, endpoint.body, { form: endpoint.formToo })
    : {};
  return endpoint.handle(Object.defineProperties(ask, valuesOf({ query, body })) as never);
}

/** Not a spread: `tenant` is a getter that must stay one. */
const valuesOf = (values: Record<string, unknown>): PropertyDescriptorMap =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { value, enumerable: true }]),
  );

const anonymous: Asker = { subject: "anonymous", name: "anonymous", groups: [] };
const noRights: TenantRights = {
  can: () => false,
  canAnywhere: () => false,
  seen: () => ({ allow: { kind: "some", ids: [], ranges: [] }, deny: { kind: "all" } }),
};

/** A token in the header, else the session's cookie; a token in the query is no token (it would be in every log). */
async function identify(deps: ApiDeps, signIn: SignIn, request: Request): Promise<Asker> {
  const header = request.headers.get("authorization");
  if (header !== null) {
    const [, token] = /^Bearer +(\S{1,200})$/i.exec(header) ?? [];
    const asker = token === undefined ? undefined : await signIn.byToken(token);
    if (!asker) throw notSignedIn();
    return asker;
  }
  const id = readCookie(request, cookieName(deps.publicUrl));
  const asker = id === undefined ? undefined : await signIn.bySession(id);
  if (!asker) throw notSignedIn();
  // A cookie travels with whatever page makes the browser send a request: it must be ours.
  if (isUnsafe(request.method) && !isFromOurPages(request, deps.publicUrl))
    throw forbidden("The request does not come from this site's own pages");
  return asker;
}

const isUnsafe = (method: string): boolean => !["GET", "HEAD", "OPTIONS"].includes(method);

function domainOf(endpoint: Endpoint, tenant: string | undefined): Domain {
  const { policy } = endpoint;
  if (tenant === undefined || "platform" in policy) return "*";
  const read = readTenantId(tenant);
  if (!read.ok) throw notFound();
  return read.value;
}

async function checkTenant(
  tenants: TenantCheck,
  asker: Asker,
  tenant: TenantId,
  method: string,
): Promise<void> {
  // A token of another tenant learns nothing, not even by how long the answer takes to find.
  if (asker.onlyTenant !== undefined && asker.onlyTenant !== tenant) throw notFound();
  const state = await tenants.stateOf(tenant);
  if (state === undefined) throw notFound();
  if (state === "suspended" && isUnsafe(method))
    throw forbidden(`The tenant ${tenant} is suspended: nothing can be changed or started in it`);
}

function checkPolicy(
  endpoint: Endpoint,
  rights: TenantRights,
  asker: Asker,
  params: { readonly [name: string]: string },
): void {
  const { policy } = endpoint;
  if ("open" in policy || "signedIn" in policy) return;
  if ("on" in policy) {
    const thing = policy.on.replace(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "");
    // `~` is a wildcard of lists alone: anything else would be one deed on many things.
    if (thing === "dag:~") throw notFound();
    mustBeAllowed(rights, asker, policy.deed, thing);
    return;
  }
  const one = policy.in === undefined ? undefined : params[policy.in];
  if (one !== undefined && one !== "~")
    mustBeAllowed(rights, asker, policy.deed, `${policy.list}:${one}`);
  else if (!rights.canAnywhere(asker, policy.deed)) throw forbidden();
}

/**
 * 404 where the asker may not know that the thing exists, 403 where they may: they can read it, or the deed is
 * closed to them for every name alike, which tells nothing about this one.
 */
function mustBeAllowed(rights: TenantRights, asker: Asker, deed: Deed, thing: string): void {
  if (rights.can(asker, deed, thing)) return;
  if (thing === "*" || rights.can(asker, readDeedOf(thing), thing)) throw forbidden();
  throw rights.canAnywhere(asker, deed) || thing.startsWith("dag:") ? notFound() : forbidden();
}

function readDeedOf(thing: string): Deed {
  const kind = thing.slice(0, thing.indexOf(":"));
  switch (kind) {
    case "dag":
    case "conn":
    case "var":
    case "pool":
    case "repo":
      return `${kind}.read`;
    default:
      return "tenant.read";
  }
}

/** A name that no tenant can have would only ever reach the database as an odd text: it ends here, by name. */
function checkParams(raw: Record<string, string>): Record<string, string> {
  for (const [name, value] of Object.entries(raw)) {
    if (value.includes("\0") || !value.isWellFormed() || value.length > 600)
      throw badRequest(`${name} must not hold NUL, half a character or more than 600 characters`);
    const reader = paramReaders[name];
    const read = value === "~" || !reader ? undefined : reader(value);
    if (read?.ok === false) throw badRequest(read.problem.message);
  }
  return raw;
}

const paramReaders: Record<string, typeof readDagId | typeof readRunId | typeof readTaskId> = {
  dag_id: readDagId,
  dag_run_id: readRunId,
  task_id: readTaskId,
};

/** Single fields take their last value, lists all of them. Fields that the endpoint does not know are left alone. */
function readQuery(search: URLSearchParams, endpoint: Endpoint): Record<string, unknown> {
  const lists = listFields(endpoint);
  const query: Record<string, unknown> = {};
  for (const name of Object.keys(endpoint.query.shape)) {
    const values = search.getAll(name);
    if (values.length === 0) continue;
    if (values.some((value) => value.includes("\0") || !value.isWellFormed()))
      throw badRequest(`${name} must not hold NUL or half a character`);
    query[name] = lists.has(name) ? values : values.at(-1);
  }
  return query;
}

const listFieldsOf = new WeakMap<Endpoint, ReadonlySet<string>>();
function listFields(endpoint: Endpoint): ReadonlySet<string> {
  const kept = listFieldsOf.get(endpoint);
  if (kept) return kept;
  // The schema itself says whether it takes a list.
  const found = new Set(
    Object.entries<z.ZodType>(endpoint.query.shape).flatMap(([name, schema]) =>
      schema.safeParse([]).success ? [name] : [],
    ),
  );
  listFieldsOf.set(endpoint, found);
  return found;
}

async function auditRefusal(
  deps: ApiDeps,
  endpoint: Endpoint,
  asker: Asker,
  domain: Domain,
  params: { readonly [name: string]: string },
  ip: string,
): Promise<void> {
  if (!isUnsafe(endpoint.method) || !("deed" in endpoint.policy)) return;
  const { deed } = endpoint.policy;
  const thing = Object.values(params).join("/").slice(0, 600);
  await deps.store.system((tx) =>
    addAudit(tx, deps.auditKey, {
      tenant: domain,
      actor: asker.subject,
      ip,
      deed,
      thing,
      outcome: "refused",
      detail: {},
    }),
  );
}

// ---- which tenants there are

type TenantCheck = { stateOf(tenant: TenantId): Promise<"active" | "suspended" | undefined> };

/** Half a second's memory of tenants that exist: names that do not are asked anew, and kept nowhere. */
function openTenantCheck(deps: ApiDeps): TenantCheck {
  const known = new Map<TenantId, { state: "active" | "suspended"; atMs: number }>();
  const trustMs = 500;
  return {
    async stateOf(tenant) {
      const entry = known.get(tenant);
      if (entry && performance.now() - entry.atMs < trustMs) return entry.state;
      const atMs = performance.now();
      const row = await deps.store.system((tx) => getTenant(tx, tenant));
      if (row) known.set(tenant, { state: row.state, atMs });
      else known.delete(tenant);
      return row?.state;
    },
  };
}

function isDecodable(url: string): boolean {
  try {
    decodeURIComponent(new URL(url).pathname);
    return true;
  } catch {
    return false;
  }
}
