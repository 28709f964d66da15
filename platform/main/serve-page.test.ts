import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findPage } from "./build-page.ts";
import { openPage } from "./serve-page.ts";

let server: Server;
let url: string;
beforeAll(async () => {
  const folder = await findPage(() => undefined);
  if (folder === undefined) throw new Error("the page could not be built");
  const page = openPage(folder);
  server = createServer((request, response) => {
    void page.serve(request, response, request.url?.split("?")[0] ?? "/").then((served) => {
      if (!served) response.writeHead(418).end();
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}, 120_000);
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

test("every address that a person may open is the page; a tenant's Airflow, git and hooks are not", async () => {
  for (const path of ["/", "/sign-in", "/platform", "/t/acme", "/t/acme/dags/a%2Fb/runs/x?task=1"])
    expect((await fetch(url + path)).headers.get("content-type")).toMatch(/^text\/html/);
  for (const path of [
    "/t/acme/api/v2/dags",
    "/t/acme/auth/token",
    "/t/acme/hooks/git/x",
    "/api/platform/session",
    "/git/acme/x.git/info/refs",
    "/livez",
    "/pagex",
    "/t",
  ])
    expect((await fetch(url + path)).status, path).toBe(418);
  expect((await fetch(url, { method: "POST" })).status).toBe(418);
});

test("the document's nonce is fresh each time, and only what carries it may run", async () => {
  const nonces = new Set<string>();
  for (let i = 0; i < 3; i += 1) {
    const response = await fetch(`${url}/t/acme`);
    const policy = response.headers.get("content-security-policy") ?? "";
    const nonce = /script-src 'nonce-([^']+)' 'strict-dynamic'/.exec(policy)?.[1] ?? "";
    const body = await response.text();
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
    expect(body).not.toContain("__NONCE__");
    expect(body).not.toMatch(/<script(?![^>]*\ssrc=)|\son\w+=|style=/);
    for (const [tag] of body.matchAll(/<(?:script|link rel="(?:stylesheet|modulepreload)")[^>]*>/g))
      expect(tag).toContain(`nonce="${nonce}"`);
    nonces.add(nonce);
  }
  expect(nonces.size).toBe(3);
});

test("files come packed as asked for, are kept for ever under their name, and nothing else is a file", async () => {
  const body = await (await fetch(url)).text();
  const script = /src="(\/page\/[^"]+\.js)"/.exec(body)?.[1] ?? "";
  const texts = new Set<string>();
  for (const encoding of ["br", "gzip", "identity"]) {
    const response = await fetch(url + script, { headers: { "accept-encoding": encoding } });
    expect(response.headers.get("content-encoding")).toBe(
      encoding === "identity" ? null : encoding,
    );
    expect(response.headers.get("cache-control")).toContain("immutable");
    texts.add(await response.text());
  }
  expect(texts.size).toBe(1);
  expect([...texts][0]?.length).toBeGreaterThan(10_000);
  for (const path of ["/page/none.js", "/page/%2e%2e%2findex.html", "/page/..%2findex.html"])
    expect([404, 418]).toContain((await fetch(url + path)).status);
  expect((await fetch(`${url}/page/icon.svg`)).headers.get("cache-control")).toBe("no-cache");
});
