/**
 * The live stream: state changes of runs and task instances, and notices of what else changed, as server-sent
 * events, of the tenants that the caller names and may see.
 *
 *   GET /t/{tenant}/api/live                        one tenant
 *   GET /api/platform/live?tenant=a&tenant=b        several, for the page: one stream per browser
 *
 * Rights are asked for each batch and, while nothing happens, twice a second: one that was taken away counts at
 * once. A reader that comes back with the id of its last event gets what it missed, or is told to read anew.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { metrics } from "../../ops/telemetry/metrics.ts";
import type { Asker, Authorizer, TenantRights } from "../../policies/authz/authorizer.ts";
import { isSeen } from "../../policies/authz/seen-by.ts";
import type { SignIn } from "../api/identify.ts";
import { cookieName, readCookie } from "../api/same-origin.ts";
import type { Feed } from "../live/open-feed.ts";
import { readTenantId, type TenantId } from "../model/ids.ts";
import { type Change, isNotice } from "../store/changes.ts";

export type LiveDeps = {
  readonly feed: Feed;
  readonly signIn: SignIn;
  readonly authorizer: Authorizer;
  readonly publicUrl: string;
  readonly tenantExists: (tenant: TenantId) => Promise<boolean>;
};

const rightsEveryMs = 500;
const identityEveryMs = 4_000;
const pingEveryMs = 15_000;
/** A reader that is this far behind is dropped: it comes back and reads the lists again. */
const waitingBytesMax = 1024 * 1024;
const tenantsMax = 50;

/** Tenants that the address names; undefined: it is no live stream. */
export function liveTenants(url: string): readonly TenantId[] | undefined {
  // `//[` is a target that a client can send, and no address.
  const parsed = URL.parse(url, "http://local");
  if (parsed === null) return undefined;
  const { pathname, searchParams } = parsed;
  const one = /^\/t\/([^/]+)\/api\/live$/.exec(pathname)?.[1];
  if (one === undefined && pathname !== "/api/platform/live") return undefined;
  const names = one === undefined ? searchParams.getAll("tenant") : [one];
  return [...new Set(names)].slice(0, tenantsMax).flatMap((name) => {
    const read = readTenantId(name);
    return read.ok ? [read.value] : [];
  });
}

export type LiveStreams = {
  serve(
    request: IncomingMessage,
    response: ServerResponse,
    tenants: readonly TenantId[],
  ): Promise<void>;
  close(): void;
};

/** What the keeper does with an open stream. */
type Stream = {
  readonly credential: Credential;
  ping(): void;
  checkRights(): Promise<void>;
  end(): void;
};

/** One keeper looks after all streams: a thousand of them are one question to the database, not a thousand. */
export function openLiveStreams(deps: LiveDeps): LiveStreams {
  const streams = new Set<Stream>();
  const every = (ms: number, work: () => Promise<unknown>): NodeJS.Timeout => {
    const timer = setInterval(() => {
      // The database being away is no reason to hang up: the next look decides.
      if (streams.size > 0) work().catch(() => undefined);
    }, ms);
    timer.unref();
    return timer;
  };
  const timers = [
    every(pingEveryMs, async () => {
      for (const stream of streams) stream.ping();
    }),
    every(rightsEveryMs, () => Promise.all([...streams].map((stream) => stream.checkRights()))),
    every(identityEveryMs, () => endThoseSignedOut(streams, deps)),
  ];
  return {
    serve: (request, response, tenants) => serveLive(request, response, tenants, deps, streams),
    close: () => {
      for (const timer of timers) clearInterval(timer);
      for (const stream of streams) stream.end();
    },
  };
}

async function endThoseSignedOut(streams: ReadonlySet<Stream>, deps: LiveDeps): Promise<void> {
  const asked = [...streams];
  const sessions = asked.flatMap(({ credential }) =>
    credential.kind === "session" ? [credential.id] : [],
  );
  const tokens = new Set(
    asked.flatMap(({ credential }) => (credential.kind === "token" ? [credential.text] : [])),
  );
  const open = new Set(sessions.length === 0 ? [] : await deps.signIn.openAmong(sessions));
  for (const text of tokens) if ((await deps.signIn.byToken(text)) !== undefined) open.add(text);
  for (const stream of asked) {
    const { credential } = stream;
    if (!open.has(credential.kind === "session" ? credential.id : credential.text)) stream.end();
  }
}

async function serveLive(
  request: IncomingMessage,
  response: ServerResponse,
  tenants: readonly TenantId[],
  deps: LiveDeps,
  streams: Set<Stream>,
): Promise<void> {
  const credential = credentialOf(request, deps);
  const asker = credential === undefined ? undefined : await identify(credential, deps);
  if (credential === undefined || asker === undefined)
    return refuse(response, 401, "Not authenticated");
  const open: TenantId[] = [];
  const known = new Map<TenantId, TenantRights>();
  for (const tenant of tenants) {
    // Asked first: every name that is no tenant would cost the rules a cache place.
    if (!(await deps.tenantExists(tenant))) continue;
    const rights = await rightsOf(asker, tenant, deps);
    if (rights === undefined) continue;
    open.push(tenant);
    known.set(tenant, rights);
  }
  if (open.length === 0) return refuse(response, 404, "Not Found");

  const state = { ended: false };
  let handing: Promise<void> = Promise.resolve();
  const leave: (() => void)[] = [];
  const queue = (work: () => Promise<void>): void => {
    handing = handing.then(work).catch(() => end());
  };
  request.once("close", end);
  response.once("close", end);
  // Who left while we asked who they are has closed already, and no event will say it again.
  if (response.destroyed || request.socket.destroyed) return end();

  // Not before the feed has its cursor: who sees the answer may trust that no later change is missed.
  await Promise.all(
    open.map(
      (tenant) =>
        new Promise<void>((resolve) => {
          const { promise: greeted, resolve: greet } = Promise.withResolvers<void>();
          queue(() => greeted);
          leave.push(
            greet,
            resolve,
            deps.feed.subscribe(
              tenant,
              (changes, place) => queue(() => hand(tenant, changes, place)),
              () => {
                greet();
                resolve();
              },
            ),
          );
        }),
    ),
  );
  if (state.ended) return;
  metrics.liveStreams.add({});
  leave.push(() => metrics.liveStreams.add({}, -1));
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
  });
  response.write(`: airlock\n\nevent: hello\ndata: ${JSON.stringify({ at: new Date() })}\n\n`);
  const place = placeOf(request);
  if (place !== undefined) queue(() => resume(place));
  const stream: Stream = {
    credential,
    ping: () => void response.write("event: ping\ndata: {}\n\n"),
    checkRights,
    end,
  };
  streams.add(stream);
  leave.push(() => streams.delete(stream));

  async function resume(from: string): Promise<void> {
    const missed = await deps.feed.since(from, open).catch(() => undefined);
    if (missed === undefined) {
      response.write("event: reset\ndata: {}\n\n");
      return;
    }
    for (const [tenant, changes] of Map.groupBy(missed, (change) => change.tenant))
      await hand(tenant, changes, from);
  }

  async function hand(tenant: TenantId, changes: readonly Change[], at: string): Promise<void> {
    if (asker === undefined || state.ended) return;
    const rights = await rightsOf(asker, tenant, deps);
    if (rights === undefined) return end();
    const seen = rights.seen(asker, "run.read", "dag");
    const mine = changes.filter((change) =>
      isNotice(change) && change.dag_id === ""
        ? rights.canAnywhere(asker, "tenant.read") || rights.canAnywhere(asker, "dag.read")
        : isSeen(seen, change.dag_id),
    );
    if (mine.length === 0) return;
    response.write(mine.map((change) => eventOf(change, at)).join(""));
    if (response.writableLength > waitingBytesMax) end();
  }

  /** Other rules: what is on the screen may no longer be this person's to see. */
  async function checkRights(): Promise<void> {
    if (asker === undefined) return;
    for (const tenant of open) {
      const rights = await rightsOf(asker, tenant, deps);
      if (rights === undefined) return end();
      if (rights === known.get(tenant)) continue;
      known.set(tenant, rights);
      response.write(`event: rights\ndata: ${JSON.stringify({ tenant })}\n\n`);
    }
  }

  function end(): void {
    state.ended = true;
    for (const step of leave.splice(0)) step();
    response.end();
  }
}

/** What the asker may in a tenant; undefined: not know of it. */
async function rightsOf(
  asker: Asker,
  tenant: TenantId,
  deps: LiveDeps,
): Promise<TenantRights | undefined> {
  if (asker.onlyTenant !== undefined && asker.onlyTenant !== tenant) return undefined;
  const rights = await deps.authorizer.rightsIn(tenant);
  return rights.canAnywhere(asker, "run.read") ? rights : undefined;
}

type Credential =
  | { readonly kind: "token"; readonly text: string }
  | { readonly kind: "session"; readonly id: string };

function credentialOf(request: IncomingMessage, deps: LiveDeps): Credential | undefined {
  const { authorization, cookie } = request.headers;
  if (authorization !== undefined) {
    const text = /^Bearer +(\S{1,200})$/i.exec(authorization)?.[1];
    return text === undefined ? undefined : { kind: "token", text };
  }
  if (cookie === undefined) return undefined;
  const from = new Request("http://local/", { headers: { cookie } });
  const id = readCookie(from, cookieName(deps.publicUrl));
  return id === undefined ? undefined : { kind: "session", id };
}

const identify = (credential: Credential, { signIn }: LiveDeps): Promise<Asker | undefined> =>
  credential.kind === "token" ? signIn.byToken(credential.text) : signIn.bySession(credential.id);

/** The feed's own word for a place, as the browser gives it back; anything else is no place. */
function placeOf(request: IncomingMessage): string | undefined {
  const given =
    request.headers["last-event-id"] ??
    new URL(request.url ?? "/", "http://local").searchParams.get("after") ??
    "";
  return /^\d{1,20}(?=\.|$)/.exec(String(given))?.[0];
}

function refuse(response: ServerResponse, status: number, detail: string): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ detail }));
}

const eventOf = (change: Change, place: string): string =>
  isNotice(change)
    ? `id: ${place}.${change.seq}\nevent: notice\ndata: ${JSON.stringify({
        tenant: change.tenant,
        kind: change.to_state,
        dag_id: change.dag_id,
      })}\n\n`
    : `id: ${place}.${change.seq}\nevent: change\ndata: ${JSON.stringify({
        tenant: change.tenant,
        seq: change.seq,
        at: change.at,
        dag_id: change.dag_id,
        run_id: change.run_id,
        task_id: change.task_id,
        map_index: change.map_index,
        try_number: change.try_number,
        from_state: change.from_state,
        to_state: change.to_state,
      })}\n\n`;
