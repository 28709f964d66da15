import type { IncomingMessage, ServerResponse } from "node:http";
import type { Authorizer } from "../../policies/authz/authorizer.ts";
import { isSeen } from "../../policies/authz/seen-by.ts";
import type { SignIn } from "../api/identify.ts";
import { cookieName, readCookie } from "../api/same-origin.ts";
import type { Feed } from "../live/open-feed.ts";
import type { TenantId } from "../model/ids.ts";
import type { Change } from "../store/changes.ts";

const pingEveryMs = 15_000;
/** A reader that is this far behind is dropped: it comes back and reads the lists again. */
const waitingBytesMax = 1024 * 1024;

/**
 * `GET /t/{tenant}/api/live`: state changes of runs and task instances that the caller may see, as
 * server-sent events. Rights are asked for each batch, so a right that was taken away counts at once.
 */
export async function serveLive(
  request: IncomingMessage,
  response: ServerResponse,
  tenant: TenantId,
  deps: {
    readonly feed: Feed;
    readonly signIn: SignIn;
    readonly authorizer: Authorizer;
    readonly publicUrl: string;
    readonly tenantExists: (tenant: TenantId) => Promise<boolean>;
  },
): Promise<void> {
  const asker = await identify();
  if (asker === undefined) return refuse(401, "Not authenticated");
  if (asker.onlyTenant !== undefined && asker.onlyTenant !== tenant)
    return refuse(404, "Not Found");
  if (!(await deps.tenantExists(tenant))) return refuse(404, "Not Found");
  const first = await deps.authorizer.rightsIn(tenant);
  if (!first.canAnywhere(asker, "run.read")) return refuse(404, "Not Found");

  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  let handing = opened;
  const unsubscribe = deps.feed.subscribe(
    tenant,
    (changes) => {
      handing = handing.then(() => hand(changes)).catch(() => end());
    },
    // Not before the feed has its cursor: who sees the answer may trust that no later change is missed.
    () => {
      if (response.writableEnded) return;
      response.writeHead(200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
      response.write(": airlock\n\n");
      open();
    },
  );
  const ping = setInterval(() => {
    // Also the moment at which a session or token that is no longer valid ends the stream.
    identify().then(
      (still) => (still === undefined ? end() : response.write(": ping\n\n")),
      () => undefined,
    );
  }, pingEveryMs);
  request.once("close", end);
  response.once("close", end);

  async function hand(changes: readonly Change[]): Promise<void> {
    if (asker === undefined || response.writableEnded) return;
    const rights = await deps.authorizer.rightsIn(tenant);
    if (!rights.canAnywhere(asker, "run.read")) return end();
    const seen = rights.seen(asker, "run.read", "dag");
    const mine = changes.filter((change) => isSeen(seen, change.dag_id));
    if (mine.length === 0) return;
    response.write(mine.map(eventOf).join(""));
    if (response.writableLength > waitingBytesMax) end();
  }

  function end(): void {
    clearInterval(ping);
    unsubscribe();
    response.end();
  }

  async function identify() {
    const header = request.headers.authorization;
    if (header !== undefined) {
      const token = /^Bearer +(\S{1,200})$/i.exec(header)?.[1];
      return token === undefined ? undefined : deps.signIn.byToken(token);
    }
    const cookie = request.headers.cookie;
    const id =
      cookie === undefined
        ? undefined
        : readCookie(
            new Request("http://local/", { headers: { cookie } }),
            cookieName(deps.publicUrl),
          );
    return id === undefined ? undefined : deps.signIn.bySession(id);
  }

  function refuse(status: number, detail: string): void {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ detail }));
  }
}

const eventOf = (change: Change): string =>
  `id: ${change.seq}\nevent: change\ndata: ${JSON.stringify({
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
