/** What an SRE sees of the platform: traces at an OTLP endpoint, metrics for loopback, and what neither may show. */

import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cloneRepository, eventually, type House, openHouse } from "../kit/house.ts";

type Span = {
  readonly name: string;
  readonly traceId: string;
  readonly attributes: readonly {
    readonly key: string;
    readonly value: { stringValue?: string };
  }[];
};
type Export = {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
};

const bodies: string[] = [];
let collector: Server;
let house: House;

beforeAll(async () => {
  collector = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString("utf8")));
    request.on("end", () => {
      if (request.url === "/v1/traces") bodies.push(body);
      response.writeHead(200, { "content-type": "application/json" });
      response.end("{}");
    });
  });
  await new Promise<void>((done) => collector.listen(0, "127.0.0.1", done));
  const { port } = collector.address() as AddressInfo;
  house = await openHouse({
    env: {
      AIRLOCK_HOST: "0.0.0.0",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${String(port)}`,
      OTEL_BSP_SCHEDULE_DELAY: "200",
    },
  });
  await house.must("tenants", "create", "acme");
  await house.must("repositories", "create", "acme/pipelines");
  const clone = await cloneRepository(house, "acme", "pipelines");
  mkdirSync(join(clone.folder, "dags"));
  writeFileSync(
    join(clone.folder, "dags", "watched.dag.yaml"),
    "id: watched\ntasks:\n  only:\n    type: node\n    code: return process.env.TRACEPARENT ?? 1;\n",
  );
  await clone.push("A DAG to be watched");
  await house.must("trigger", "acme/watched", "--conf", '{"card": "not-for-metrics"}', "--wait");
}, 240_000);
afterAll(async () => {
  await house.remove();
  collector.closeAllConnections();
  await new Promise((done) => collector.close(done));
});

test("the push and the attempt are spans, under the names of their tenant", async () => {
  const attribute = (span: Span, key: string): string | undefined =>
    span.attributes.find((each) => each.key === key)?.value.stringValue;
  const spans = await eventually(async () => {
    const all = bodies
      .flatMap((body) => (JSON.parse(body) as Export).resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
    return all.some((span) => span.name === "attempt") && all.some((span) => span.name === "sync")
      ? all
      : undefined;
  });
  const attempt = spans.find((span) => span.name === "attempt");
  expect(attempt && attribute(attempt, "airlock.tenant")).toBe("acme");
  expect(attempt?.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(bodies.join("")).not.toContain("not-for-metrics");
});

test("metrics count what happened, per tenant, without a word of a tenant's data", async () => {
  const at = new URL(house.url);
  const answer = await fetch(`http://127.0.0.1:${at.port}/metrics`);
  const text = await answer.text();
  expect(answer.headers.get("content-type")).toContain("text/plain; version=0.0.4");
  expect(text).toMatch(/^airlock_attempts_total\{[^}]*tenant="acme"[^}]*\} 1$/m);
  expect(text).toMatch(/^airlock_dag_runs_total\{[^}]*success[^}]*\} 1$/m);
  expect(text).toMatch(/^airlock_hop_seconds_count(\{[^}]*\})? 1$/m);
  expect(text).not.toContain("not-for-metrics");
});

const outside = Object.values(networkInterfaces())
  .flat()
  .find((each) => each !== undefined && !each.internal && each.family === "IPv4")?.address;

test.skipIf(outside === undefined)(
  "from elsewhere metrics need a token of somebody who may read the platform (needs a network interface)",
  async () => {
    const url = `http://${outside ?? ""}:${new URL(house.url).port}/metrics`;
    expect((await fetch(url)).status).toBe(403);
    expect((await fetch(url, { headers: { "x-forwarded-for": "127.0.0.1" } })).status).toBe(403);
    const { token } = JSON.parse(await house.must("tokens", "create", "scraper", "-o", "json")) as {
      token: string;
    };
    const asked = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    expect(asked.status).toBe(200);
  },
);
