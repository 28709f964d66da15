/** Traces cost nothing where nobody collects them, and nothing but spans where the collector hangs or is gone. */
import { execFileSync } from "node:child_process";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import {
  activeTraceIds,
  activeTraceparent,
  attemptSpan,
  emitSpan,
  isTracing,
  rootSpan,
  startTracing,
  withSpan,
} from "./trace.ts";

const before = { ...process.env };
const servers: Server[] = [];
afterEach(() => {
  process.env = { ...before };
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

const listen = async (take: (request: IncomingMessage) => boolean): Promise<string> => {
  const server = createServer((request, response) => {
    if (take(request)) response.end("{}");
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

test("without an endpoint nothing is loaded and nothing is active", () => {
  const program = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ resolve: (name, context, next) => { loaded.push(name); return next(name, context); } });
    const { startTracing, withSpan, isTracing, activeTraceparent } = await import(${JSON.stringify(join(import.meta.dirname, "trace.ts"))});
    const tracing = await startTracing("1");
    const seen = await withSpan("x", {}, async (span) => [span, activeTraceparent()]);
    console.log(JSON.stringify({ tracing: tracing === undefined, on: isTracing(), seen, sdk: loaded.filter((name) => /sdk-trace|exporter/.test(name)) }));`;
  const {
    OTEL_EXPORTER_OTLP_ENDPOINT: _,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: __,
    ...env
  } = process.env;
  const said = execFileSync(process.execPath, ["--input-type=module", "-e", program], {
    env,
    encoding: "utf8",
  });
  expect(JSON.parse(said)).toEqual({ tracing: true, on: false, seen: [null, null], sdk: [] });
});

test("a collector that never answers gets a few requests at a time, delays no span and no stop", async () => {
  let open = 0;
  let most = 0;
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = await listen((request) => {
    open += 1;
    most = Math.max(most, open);
    request.socket.once("close", () => (open -= 1));
    return false;
  });
  process.env["OTEL_BSP_SCHEDULE_DELAY"] = "10";
  process.env["OTEL_BSP_MAX_QUEUE_SIZE"] = "600";
  const tracing = await startTracing("1");
  let done = 0;
  for (let n = 0; n < 20_000; n += 1)
    await withSpan("work", { n }, async () => {
      done += 1;
    });
  expect(done).toBe(20_000);
  await tracing?.close();
  // While it ran one at a time; at the stop the batches of the bounded queue.
  expect(most).toBeLessThanOrEqual(4);
  expect(isTracing()).toBe(false);
}, 30_000);

test("a collector that is not there is no reason to stop anything", async () => {
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9";
  process.env["OTEL_BSP_SCHEDULE_DELAY"] = "10";
  const tracing = await startTracing("1");
  expect(await withSpan("work", {}, async () => 7)).toBe(7);
  await tracing?.close();
});

test("an endpoint that is no address is said at once", async () => {
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "collector:fourthreeoneeight:";
  await expect(startTracing("1")).rejects.toThrow(
    /'collector:fourthreeoneeight:' is not an address/,
  );
});

test("spans have the ids that the rows name; what happens inside finds them", async () => {
  const bodies: Promise<string>[] = [];
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = await listen((request) => {
    bodies.push(
      (async () => {
        const parts: Buffer[] = [];
        for await (const part of request) parts.push(part as Buffer);
        return Buffer.concat(parts).toString("utf8");
      })(),
    );
    return true;
  });
  const run = "0f6b0a52-7f4e-4a0e-9d3c-5b1f3c2a9e77";
  const attempt = "8b8f3f0e-2d57-4d7c-8a55-000000000005";
  const tracing = await startTracing("1");
  const ids = attemptSpan(run, attempt, 3);
  await withSpan(
    "attempt",
    {},
    async () => {
      expect(activeTraceparent()).toBe(`00-${ids.traceId}-${ids.spanId}-01`);
      expect(activeTraceIds()).toEqual({ trace_id: ids.traceId, span_id: ids.spanId });
      await withSpan("inner", {}, async () => undefined);
    },
    { ids, parent: rootSpan(run) },
  );
  emitSpan(
    "run",
    {},
    {
      ids: rootSpan(run),
      start: new Date(1_000),
      end: new Date(2_000),
      failed: false,
    },
  );
  await tracing?.close();
  const told = (await Promise.all(bodies)).join("");
  expect(ids).toEqual({ traceId: "0f6b0a527f4e4a0e9d3c5b1f3c2a9e77", spanId: "8a55000000000006" });
  expect(attemptSpan(run, attempt, 4).spanId).not.toBe(ids.spanId);
  expect(told).toContain(`"spanId":"8a55000000000006","parentSpanId":"9d3c5b1f3c2a9e77"`);
  expect(told).toMatch(/"name":"run"/);
  const spans = (
    JSON.parse((await bodies[0]) ?? "{}") as {
      resourceSpans: { scopeSpans: { spans: { name: string; parentSpanId?: string }[] }[] }[];
    }
  ).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
  expect(spans.find(({ name }) => name === "inner")?.parentSpanId).toBe(ids.spanId);
  expect(spans.find(({ name }) => name === "run")?.parentSpanId).toBeUndefined();
});
