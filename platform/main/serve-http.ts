/**
 * One port for everything: git for pushes, webhooks, the live stream, machines' health and metrics, and the API.
 * What a client sends decides only which of these answers; each does its own reading with bounds.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { type GitHost, serveGit } from "../../tenants/source/serve-git.ts";
import type { WebhookAnswer } from "../../tenants/sync/receive-webhook.ts";
import type { Api } from "../api/create-api.ts";
import { type RepositoryId, readRepositoryId, readTenantId, type TenantId } from "../model/ids.ts";
import type { Scrape } from "./scrape.ts";
import { liveTenants } from "./serve-live.ts";
import type { Page } from "./serve-page.ts";

export type HttpDeps = {
  readonly api: Api;
  readonly gitHost: (ip: string) => GitHost;
  readonly webhook: (request: {
    readonly tenant: TenantId;
    readonly repository: RepositoryId;
    readonly headers: { readonly [name: string]: string | undefined };
    readonly body: Buffer;
  }) => Promise<WebhookAnswer>;
  readonly live: (
    request: IncomingMessage,
    response: ServerResponse,
    tenants: readonly TenantId[],
  ) => Promise<void>;
  readonly scrape: Scrape;
  readonly mayReadMetrics: (request: IncomingMessage) => Promise<boolean>;
  /** The series of one tenant, for its own Prometheus. */
  readonly mayReadTenantMetrics: (request: IncomingMessage, tenant: TenantId) => Promise<boolean>;
  /** undefined: it was not built, which only a packed copy without it can be. */
  readonly page: Page | undefined;
  /** Small fixed documents: the YAML schema. */
  readonly documents: ReadonlyMap<string, { readonly type: string; readonly body: string }>;
  readonly onSurprise: (error: unknown, path: string) => void;
};

const webhookBytesMax = 1024 * 1024;
const echoBytesMax = 64 * 1024;

export function createHttpServer(deps: HttpDeps): Server {
  const toApi = getRequestListener(
    (request, env) =>
      deps.api.fetch(request, {
        ip: "incoming" in env ? (env.incoming.socket.remoteAddress ?? "unknown") : "unknown",
      }),
    { overrideGlobalObjects: false },
  );
  const server = createServer((request, response) => {
    route(deps, toApi, request, response).catch((error: unknown) => {
      deps.onSurprise(error, request.url ?? "");
      if (!response.headersSent)
        answer(response, 500, { detail: "Unexpected error; see the server's log" });
      else response.destroy();
    });
  });
  // A push of a large repository, or an event stream, may take long; a client that sends headers slowly may not.
  server.requestTimeout = 0;
  server.headersTimeout = 20_000;
  server.keepAliveTimeout = 65_000;
  return server;
}

async function route(
  deps: HttpDeps,
  toApi: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
  if (path.startsWith("/git/"))
    return serveGit(request, response, deps.gitHost(request.socket.remoteAddress ?? "unknown"));
  const hook = /^\/t\/([^/]+)\/hooks\/git\/([^/]+)$/.exec(path);
  if (hook !== null) return takeWebhook(deps, request, response, hook[1] ?? "", hook[2] ?? "");
  if (request.method === "GET" && path.endsWith("/live")) {
    const tenants = liveTenants(request.url ?? "/");
    if (tenants !== undefined) return deps.live(request, response, tenants);
  }
  if (path === "/metrics" && request.method === "GET") return serveMetrics(deps, request, response);
  const own = request.method === "GET" ? /^\/t\/([^/]+)\/metrics$/.exec(path) : null;
  if (own !== null) return serveTenantMetrics(deps, request, response, own[1] ?? "");
  if (path === "/echo") return echo(request, response, path);
  const document = request.method === "GET" ? deps.documents.get(path) : undefined;
  if (document !== undefined) {
    response.writeHead(200, {
      "content-type": document.type,
      "x-content-type-options": "nosniff",
      "content-security-policy":
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    });
    response.end(document.body);
    return;
  }
  if (deps.page !== undefined && (await deps.page.serve(request, response, path))) return;
  await toApi(request, response);
}

async function serveMetrics(
  deps: Pick<HttpDeps, "scrape" | "mayReadMetrics">,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (await deps.mayReadMetrics(request)) return deps.scrape.serve(request, response);
  answer(response, 403, {
    detail: "Metrics are for loopback, or for a token that may read the platform",
  });
}

async function serveTenantMetrics(
  deps: HttpDeps,
  request: IncomingMessage,
  response: ServerResponse,
  rawTenant: string,
): Promise<void> {
  const tenant = readTenantId(rawTenant);
  if (tenant.ok && (await deps.mayReadTenantMetrics(request, tenant.value)))
    return deps.scrape.serve(request, response, tenant.value);
  answer(response, 404, { detail: "Not Found" });
}

/** What a role without the page says: whether it lives, whether it can work, what it counted. */
export function createMachineServer(deps: {
  readonly scrape: Scrape;
  readonly mayReadMetrics: (request: IncomingMessage) => Promise<boolean>;
  readonly isReady: () => Promise<boolean>;
  readonly onSurprise: (error: unknown, path: string) => void;
}): Server {
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    if (request.method !== "GET") return answer(response, 405, { detail: "Method Not Allowed" });
    // Says nothing of the database: one that restarts must not restart the fleet with it.
    if (path === "/livez") return answer(response, 200, { status: "ok" });
    if (path === "/readyz")
      return (await deps.isReady())
        ? answer(response, 200, { status: "ok" })
        : answer(response, 503, { status: "no database" });
    if (path === "/metrics") return serveMetrics(deps, request, response);
    answer(response, 404, { detail: "Not Found" });
  };
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      deps.onSurprise(error, request.url ?? "");
      if (response.headersSent) response.destroy();
      else answer(response, 500, { detail: "Unexpected error; see the process' log" });
    });
  });
  server.requestTimeout = 20_000;
  server.headersTimeout = 20_000;
  return server;
}

/** What the sample tenants talk to over HTTP: says back what it was told. */
async function echo(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<void> {
  const body = await readBody(request, echoBytesMax);
  if (body === undefined)
    return answer(response, 413, { detail: "An echo may have at most 64 KiB." });
  const text = body.toString("utf8");
  answer(response, 200, {
    method: request.method,
    path,
    query: Object.fromEntries(new URL(request.url ?? "/", "http://local").searchParams),
    body: parsed(text),
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function takeWebhook(
  deps: HttpDeps,
  request: IncomingMessage,
  response: ServerResponse,
  rawTenant: string,
  rawRepository: string,
): Promise<void> {
  const tenant = readTenantId(rawTenant);
  const repository = readRepositoryId(rawRepository);
  if (request.method !== "POST" || !tenant.ok || !repository.ok)
    return answer(response, 404, { detail: "Not Found" });
  const body = await readBody(request, webhookBytesMax + 1);
  if (body === undefined) {
    response.setHeader("connection", "close");
    return answer(response, 413, { detail: "A webhook may have at most 1 MiB." });
  }
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value[0] : value,
    ]),
  );
  const { status, detail } = await deps.webhook({
    tenant: tenant.value,
    repository: repository.value,
    headers,
    body,
  });
  answer(response, status, { detail });
}

/** The body, or undefined once it is longer than `bytesMax`. */
async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    const chunk = part as Buffer;
    bytes += chunk.length;
    if (bytes > bytesMax) return undefined;
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, {
    "content-type": "application/json",
    "x-content-type-options": "nosniff",
  });
  response.end(JSON.stringify(body));
}
