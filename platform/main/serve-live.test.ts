/** The live stream as a browser reads it: over HTTP, on a real database, with rights that change meanwhile. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openLog } from "../../ops/telemetry/log.ts";
import { renderMetrics } from "../../ops/telemetry/render-metrics.ts";
import { openApiStage, type PersonName, type Stage } from "../../test/kit/api-stage.ts";
import { eventually } from "../../test/kit/house.ts";
import { type Feed, openFeed } from "../live/open-feed.ts";
import { known } from "../model/ids.ts";
import { addNotice } from "../store/changes.ts";
import { addRule, removeAssignment } from "../store/grants.ts";
import { getTenant } from "../store/tenants.ts";
import { type LiveStreams, liveTenants, openLiveStreams } from "./serve-live.ts";

let stage: Stage;
let feed: Feed;
let server: Server;
let streams: LiveStreams;
let url: string;
const acme = known.tenant("acme");
const reading: AbortController[] = [];

beforeAll(async () => {
  stage = await openApiStage();
  feed = await openFeed(stage.store, openLog({ format: "json", level: "silent" }));
  streams = openLiveStreams({
    feed,
    signIn: stage.api.signIn,
    authorizer: stage.deps.authorizer,
    publicUrl: "http://localhost",
    tenantExists: async (tenant) =>
      (await stage.store.system((tx) => getTenant(tx, tenant))) !== undefined,
  });
  server = createServer((request, response) => {
    void streams.serve(request, response, liveTenants(request.url ?? "/") ?? []);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  for (const one of reading.splice(0)) one.abort();
});
afterAll(async () => {
  streams.close();
  server.closeAllConnections();
  server.close();
  feed.close();
  await stage.close();
});

type Event = {
  readonly id: string;
  readonly event: string;
  readonly data: Record<string, unknown>;
};
type Stream = {
  readonly status: number;
  readonly events: Event[];
  readonly ended: Promise<void>;
  has(wanted: (event: Event) => boolean): Promise<Event>;
};

async function open(who: PersonName | undefined, path: string, headers = {}): Promise<Stream> {
  const stop = new AbortController();
  reading.push(stop);
  const response = await fetch(`${url}${path}`, {
    signal: stop.signal,
    headers: {
      ...(who === undefined ? {} : { authorization: `Bearer ${stage.tokens[who]}` }),
      ...headers,
    },
  });
  const events: Event[] = [];
  const ended = (async () => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      for (let at = text.indexOf("\n\n"); at >= 0; at = text.indexOf("\n\n")) {
        const fields = Object.fromEntries(
          text
            .slice(0, at)
            .split("\n")
            .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
        );
        text = text.slice(at + 2);
        if (fields["event"] !== undefined)
          events.push({
            id: fields["id"] ?? "",
            event: fields["event"],
            data: JSON.parse(fields["data"] ?? "{}") as Record<string, unknown>,
          });
      }
    }
  })().catch(() => undefined);
  return {
    status: response.status,
    events,
    ended,
    has: (wanted) => eventually(() => Promise.resolve(events.find(wanted)), 8_000),
  };
}

const write = async (tenant: string, dag: string, task: string) => {
  await stage.database.owner`
    insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
    values (${tenant}, 1, ${dag}, 'r', ${task}, -1, 1, null, 'queued')`;
  feed.changed();
};
const about = (task: string) => (event: Event) => event.data["task_id"] === task;

test("one stream carries the tenants that were named and may be seen, and of them what may be seen", async () => {
  const root = await open("root", "/api/platform/live?tenant=acme&tenant=globex&tenant=nowhere");
  const ann = await open("ann", "/api/platform/live?tenant=acme&tenant=globex");
  const eve = await open("eve", "/t/acme/api/live");
  await write("globex", "secret_plan", "a1");
  await write("acme", "orders_etl", "a2");
  await write("acme", "payroll", "a3");
  for (const task of ["a1", "a2", "a3"]) await root.has(about(task));
  await ann.has(about("a3"));
  await eve.has(about("a3"));
  const tasks = (stream: Stream) =>
    stream.events.map(({ data }) => data["task_id"]).filter(Boolean);
  expect(tasks(ann)).toEqual(["a2", "a3"]);
  expect(tasks(eve)).toEqual(["a3"]);
});

test("who may see none of them is told what a stranger is told", async () => {
  expect((await open(undefined, "/t/acme/api/live")).status).toBe(401);
  expect((await open("nob", "/t/acme/api/live")).status).toBe(404);
  expect((await open("gil", "/api/platform/live?tenant=acme")).status).toBe(404);
  expect((await open("root", "/api/platform/live?tenant=nowhere&tenant=UPPER%00")).status).toBe(
    404,
  );
  expect((await open("root", "/api/platform/live")).status).toBe(404);
});

test("who comes back with the last event's id gets what was missed; with nonsense, a fresh stream", async () => {
  const first = await open("ann", "/t/acme/api/live");
  await write("acme", "orders_etl", "b1");
  const { id } = await first.has(about("b1"));
  reading.pop()?.abort();
  await write("acme", "orders_etl", "b2");
  const second = await open("ann", "/t/acme/api/live", { "last-event-id": id });
  await second.has(about("b2"));
  const third = await open(
    "ann",
    `/t/acme/api/live?after=${encodeURIComponent("1'; drop table x")}`,
  );
  await write("acme", "orders_etl", "b3");
  await third.has(about("b3"));
});

test("a place that too much lies behind is answered with a reset", async () => {
  // Nobody may be listening: a feed that is awake would hand these rows out as news.
  await eventually(async () =>
    /^airlock_sse_clients 0$/m.test((await renderMetrics()).text) ? true : undefined,
  );
  await stage.database.owner`
    insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, to_state)
    select 'acme', 1, 'orders_etl', 'r', 'many', g, 1, 'queued' from generate_series(1, 5001) g`;
  const stream = await open("ann", "/t/acme/api/live?after=1");
  await stream.has(({ event }) => event === "reset");
  expect(stream.events.filter(about("many"))).toEqual([]);
});

test("a deploy, a pause and other changes beside runs are noticed by who may see their DAG", async () => {
  const ann = await open("ann", "/t/acme/api/live");
  const eve = await open("eve", "/t/acme/api/live");
  await stage.store.tx(acme, (tx) => addNotice(tx, acme, "dag", "orders_etl"));
  await stage.store.tx(acme, (tx) => addNotice(tx, acme, "deploy"));
  await ann.has(({ data }) => data["kind"] === "dag" && data["dag_id"] === "orders_etl");
  await ann.has(({ data }) => data["kind"] === "deploy");
  await eve.has(({ data }) => data["kind"] === "deploy");
  expect(eve.events.filter(({ data }) => data["kind"] === "dag")).toEqual([]);
});

test("other rules are told at once; the last right that goes ends the stream", async () => {
  const bob = await open("bob", "/t/acme/api/live");
  const rule = {
    subject: "user:bob",
    thing: "dag:payroll",
    deed: "b:user",
    effect: "deny",
  } as const;
  await stage.store.system((tx) => addRule(tx, acme, rule));
  await bob.has(({ event }) => event === "rights");
  await write("acme", "payroll", "c1");
  await write("acme", "orders_etl", "c2");
  await bob.has(about("c2"));
  expect(bob.events.filter(about("c1"))).toEqual([]);
  await stage.store.system((tx) =>
    removeAssignment(tx, acme, { subject: "user:bob", role: "role:user" }),
  );
  await bob.ended;
});

test("a session that was ended takes its streams with it", async () => {
  const id = await stage.api.signIn.openSession("cat", null);
  const cat = await open(undefined, "/t/acme/api/live", { cookie: `airlock_session=${id}` });
  expect(cat.status).toBe(200);
  await stage.api.signIn.closeSession(id);
  await cat.ended;
});

test("a target that is no address is no live stream", () => {
  for (const target of ["//[/live", "//", "///api/live", "*", "http://[/t/acme/api/live"])
    expect(liveTenants(target)).toBeUndefined();
  expect(liveTenants("/t/acme/api/live")).toEqual(["acme"]);
});
