/** The real command against a server that answers what it is told to: exit codes, streams, what is sent. */

import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { airlock, startAirlock } from "../../test/kit/airlock-command.ts";
import { takenDateWords, takenIdWords } from "../model/run.ts";

type Asked = {
  readonly method: string;
  readonly path: string;
  readonly token: string | undefined;
  readonly body: unknown;
};
type Answer = (request: IncomingMessage, response: ServerResponse, body: unknown) => void;

let server: Server;
let url: string;
let asked: Asked[];
let answers: Map<string, Answer | object>;
let folder: string;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  asked = [];
  answers = new Map();
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (chunk: Buffer) => parts.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(parts).toString("utf8");
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      const path = decodeURIComponent((request.url ?? "").split("?")[0] ?? "");
      asked.push({
        method: request.method ?? "",
        path,
        token: request.headers.authorization,
        body,
      });
      const answer = answers.get(`${request.method} ${path}`);
      if (typeof answer === "function") return (answer as Answer)(request, response, body);
      response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(answer ?? { detail: "Not Found" }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  folder = mkdtempSync(join(tmpdir(), "airlock-client-"));
  env = {
    AIRLOCK_HOME: join(folder, "home"),
    XDG_CONFIG_HOME: join(folder, "config"),
    AIRLOCK_URL: url,
    AIRLOCK_TOKEN: "t0ken",
  };
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

const fails =
  (status: number, detail: unknown): Answer =>
  (_, response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ detail }));
  };
const dag = "/t/acme/api/v2/dags/orders";
const run = `${dag}/dagRuns/r1`;
const instance = (task: string, state: string | null, more: object = {}): object => ({
  task_id: task,
  map_index: -1,
  state,
  try_number: 1,
  start_date: "2026-01-01T00:00:00Z",
  ...more,
});

/** A run that is running until `end` is called. */
function stageRun(
  state: "success" | "failed",
  feed: boolean,
): { readonly end: () => void; readonly feedOpened: Promise<void> } {
  let now = "running";
  let live: ServerResponse | undefined;
  const { promise: feedOpened, resolve } = Promise.withResolvers<void>();
  answers.set(`POST ${dag}/dagRuns`, { dag_run_id: "r1", state: "queued" });
  answers.set(`GET ${dag}/tasks`, {
    tasks: [
      { task_id: "load", downstream_task_ids: [] },
      { task_id: "extract", downstream_task_ids: ["load"] },
    ],
    total_entries: 2,
  });
  const reply =
    (make: () => object): Answer =>
    (_, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(make()));
    };
  answers.set(
    `GET ${run}`,
    reply(() => ({ dag_run_id: "r1", state: now })),
  );
  answers.set(
    `GET ${run}/taskInstances`,
    reply(() => ({
      task_instances: [
        instance("extract", "success"),
        instance("load", now === "running" ? "running" : state),
      ],
      total_entries: 2,
    })),
  );
  answers.set(`GET ${run}/taskInstances/load/why`, {
    state: "failed",
    why: "It failed: no such table.",
  });
  if (feed)
    answers.set("GET /t/acme/api/live", (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(": airlock\n\n");
      live = response;
      resolve();
    });
  return {
    feedOpened,
    end() {
      now = state;
      const event = {
        dag_id: "orders",
        run_id: "r1",
        task_id: "",
        map_index: -1,
        try_number: 0,
        to_state: state,
      };
      live?.write(`id: 1\nevent: change\ndata: ${JSON.stringify(event)}\n\n`);
    },
  };
}

test("trigger --wait follows by events, answers one document, and exits with 1 when the run failed", async () => {
  const stage = stageRun("failed", true);
  const { said, seen } = startAirlock(
    [
      "trigger",
      "acme/orders",
      "--conf",
      '{"n": 1}',
      "--logical-date",
      "2026-01-31",
      "--wait",
      "-o",
      "json",
    ],
    { env },
  );
  await stage.feedOpened;
  await seen("load running");
  stage.end();
  const { code, stdout, stderr } = await said;
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ dag_run_id: "r1", state: "failed" });
  expect(stderr).toContain("extract success");
  expect(stderr).toContain("load: It failed: no such table.");
  expect(stderr).toContain("airlock clear acme/orders/r1 --failed");
  expect(asked[0]).toMatchObject({
    method: "POST",
    token: "Bearer t0ken",
    body: { conf: { n: 1 }, logical_date: "2026-01-31T00:00:00.000Z" },
  });
});

test("trigger --wait gets to the end without events as well", async () => {
  const stage = stageRun("success", false);
  const { said, seen } = startAirlock(["trigger", "acme/orders", "--wait"], { env });
  await seen("load running");
  stage.end();
  const { code, stdout } = await said;
  expect(code).toBe(0);
  expect(stdout).toMatch(/^success acme\/orders\/r1 in /);
});

test("Ctrl-C ends the watching with 130 and leaves the run alone", async () => {
  const stage = stageRun("success", true);
  const { child, said, seen } = startAirlock(["trigger", "acme/orders", "--wait"], { env });
  await stage.feedOpened;
  await seen("load running");
  child.kill("SIGINT");
  const { code, stderr } = await said;
  expect(code).toBe(130);
  expect(stderr).toContain("the run goes on");
  expect(asked.filter(({ method }) => method !== "GET").map(({ path }) => path)).toEqual([
    `${dag}/dagRuns`,
  ]);
});

test("refused is 1, wrong use 2, not signed in and not there 3, each with a sentence and nothing on standard output", async () => {
  answers.set(`POST ${dag}/dagRuns`, fails(409, "There is a run r1 already"));
  answers.set(`PATCH ${dag}`, fails(403, "Forbidden"));
  answers.set("GET /api/platform/tenants", fails(401, "Not authenticated"));
  answers.set(
    "POST /t/acme/api/v2/pools",
    fails(422, [{ loc: ["body", "slots"], msg: "must be above 0", type: "x" }]),
  );
  const cases: readonly (readonly [readonly string[], number, string])[] = [
    [["trigger", "acme/orders", "--run-id", "r1"], 1, "There is a run r1 already"],
    [["pause", "acme/orders"], 1, "not allowed"],
    [["pools", "create", "acme/p", "0"], 1, "slots: must be above 0"],
    [["dags", "list", "nobody"], 1, "there is no tenant nobody"],
    [["tenants", "list"], 3, "does not accept the token"],
    [["tenants", "list", "--url", "http://127.0.0.1:9"], 3, "does not answer"],
    [["trigger", "orders"], 2, "write tenant/dag"],
    [["trigger", "acme/orders", "--conf", "{"], 2, "--conf is not JSON"],
    [["trigger"], 2, "missing required argument"],
    [["triger", "acme/orders"], 2, "trigger"],
    [["mark", "acme/orders/r1", "skipped"], 2, "it may be success, failed, queued"],
    [["logs", "acme/orders/r1", "--grep", "("], 2, "--grep"],
    [["auth"], 2, "login"],
  ];
  for (const [args, code, message] of cases) {
    const said = await airlock(args, { env });
    expect({ args, code: said.code, stdout: said.stdout }).toEqual({ args, code, stdout: "" });
    expect(said.stderr).toContain(message);
    expect(said.stderr).not.toMatch(/\n\s+at /);
  }
});

test("a token is never sent to another address than the one it belongs to", async () => {
  answers.set("GET /api/platform/tenants", { tenants: [], total_entries: 0 });
  const elsewhere = { ...env, AIRLOCK_URL: "http://127.0.0.1:9" };
  await airlock(["tenants", "list", "--url", url], { env: elsewhere });
  expect(asked.map(({ token }) => token)).toEqual([undefined]);
  const home = join(folder, "home");
  mkdirSync(home);
  writeFileSync(
    join(home, "local-profile.json"),
    JSON.stringify({ url: "http://127.0.0.1:9", token: "local" }),
  );
  await airlock(["tenants", "list"], {
    env: { AIRLOCK_HOME: home, XDG_CONFIG_HOME: folder, AIRLOCK_URL: url },
  });
  expect(asked.at(-1)?.token).toBeUndefined();
});

test("on the machine of a running server the command is signed in at once", async () => {
  answers.set("GET /api/platform/tenants", {
    tenants: [{ name: "acme", state: "active" }],
    total_entries: 1,
  });
  const home = join(folder, "home");
  mkdirSync(home);
  // The port may have changed since the profile was written: server.json knows.
  writeFileSync(
    join(home, "local-profile.json"),
    JSON.stringify({ url: "http://127.0.0.1:9", token: "local" }),
  );
  writeFileSync(
    join(home, "server.json"),
    JSON.stringify({ url, pid: process.pid, started_at: "", version: "" }),
  );
  const said = await airlock(["tenants", "list"], {
    env: { AIRLOCK_HOME: home, XDG_CONFIG_HOME: folder },
  });
  expect(said.stdout).toContain("acme");
  expect(asked[0]?.token).toBe("Bearer local");
});

test("auth login keeps a token of its own, readable by nobody else, and never the password", async () => {
  answers.set("POST /api/platform/session", (_, response) => {
    response.writeHead(201, {
      "content-type": "application/json",
      "set-cookie": "airlock_session=s1; HttpOnly",
    });
    response.end('{"name":"ada"}');
  });
  answers.set("POST /api/platform/tokens", (request, response) => {
    const ok = request.headers.cookie === "airlock_session=s1" && request.headers.origin === url;
    response.writeHead(ok ? 201 : 403, { "content-type": "application/json" });
    response.end('{"token":"made-token"}');
  });
  answers.set("GET /api/platform/session", { name: "ada" });
  const own = { AIRLOCK_HOME: join(folder, "home"), XDG_CONFIG_HOME: join(folder, "config") };
  const said = await airlock(["auth", "login", "--url", `${url}/`, "--username", "ada"], {
    env: own,
    input: "pass-word\n",
  });
  expect(said).toMatchObject({ code: 0, stderr: expect.stringContaining("as ada") as string });
  const file = join(folder, "config", "airlock", "profiles.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, "utf8")).toContain("made-token");
  expect(readFileSync(file, "utf8")).not.toContain("pass-word");
  expect(asked.map(({ method, path }) => `${method} ${path}`)).toContain(
    "DELETE /api/platform/session",
  );
  await airlock(["auth", "status"], { env: own });
  expect(asked.at(-1)?.token).toBe("Bearer made-token");
});

test("logs -f tells every task of the newest run to its end, each line once", async () => {
  let reads = 0;
  answers.set(`GET ${dag}/dagRuns`, { dag_runs: [{ dag_run_id: "r1" }], total_entries: 1 });
  answers.set(`GET ${run}`, (_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ state: reads < 3 ? "running" : "success" }));
  });
  answers.set(`GET ${run}/taskInstances`, {
    task_instances: [instance("load", "running")],
    total_entries: 1,
  });
  const line = (event: string): object => ({
    timestamp: "2026-01-01T06:00:00Z",
    level: "info",
    source: "task",
    event,
  });
  answers.set(`GET ${run}/taskInstances/load/logs/1`, (request, response) => {
    const token = new URL(request.url ?? "", url).searchParams.get("token");
    reads += 1;
    const page =
      token === null
        ? { content: [line("one"), line("noise")], continuation_token: "a" }
        : token === "a" && reads > 3
          ? { content: [line("two \u001b[2Jx")], continuation_token: null }
          : { content: [], continuation_token: "a" };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(page));
  });
  const said = await airlock(["logs", "acme/orders", "-f", "--grep", "one|two"], { env });
  expect(said.code).toBe(0);
  expect(said.stdout).toBe("06:00:00 load one\n06:00:00 load two  [2Jx\n");
  expect(said.stderr).toContain("newest run: acme/orders/r1");
});

test("clear runs on the newest version unless told otherwise, and says what it cleared", async () => {
  answers.set(`POST ${dag}/clearTaskInstances`, {
    task_instances: [instance("load", null)],
    total_entries: 1,
  });
  const said = await airlock(["clear", "acme/orders/r1/load[2]", "--downstream"], { env });
  expect(said).toMatchObject({ code: 0, stderr: "1 cleared: they run again\n" });
  await airlock(["clear", "acme/orders/r1", "--failed", "--same-version", "--dry-run"], { env });
  expect(asked.map(({ body }) => body)).toMatchObject([
    {
      task_ids: [["load", 2]],
      include_downstream: true,
      only_failed: false,
      run_on_latest_version: true,
      dry_run: false,
    },
    { only_failed: true, run_on_latest_version: false, dry_run: true, dag_run_id: "r1" },
  ]);
});

test("an artifact comes to standard output byte by byte", async () => {
  const bytes = Buffer.from([0, 255, 10, 13, 128]);
  answers.set(`GET ${run}/artifacts`, {
    artifacts: [{ task_id: "report", map_index: -1, try_number: 2, name: "out/a b.bin", bytes: 5 }],
    total_entries: 1,
  });
  answers.set(`GET ${run}/taskInstances/report/artifacts/2/out/a b.bin`, (_, response) => {
    response.writeHead(200, { "content-type": "application/octet-stream" });
    response.end(bytes);
  });
  const said = await airlock(["artifacts", "acme/orders/r1", "--get", "out/a b.bin"], { env });
  expect(said.code).toBe(0);
  expect(said.stdout).toBe(bytes.toString("utf8"));
  expect((await airlock(["artifacts", "acme/orders/r1", "--get", "x"], { env })).code).toBe(1);
});

test("lists are read to their last page", async () => {
  answers.set("GET /t/acme/api/v2/variables", (request, response) => {
    const offset = Number(new URL(request.url ?? "", url).searchParams.get("offset"));
    const variables = Array.from({ length: Math.min(100, 250 - offset) }, (_, at) => ({
      key: `v${offset + at}`,
      value: "x",
    }));
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ variables, total_entries: 250 }));
  });
  const said = await airlock(["variables", "list", "acme", "-o", "json"], { env });
  expect((JSON.parse(said.stdout) as unknown[]).length).toBe(250);
});

test("connections of a file are made or changed; a password never stands on the command line's output", async () => {
  const file = join(folder, "conn.yaml");
  writeFileSync(file, "old: http://x.example\nnew: postgres://u:hush@db.example:5432/s\n");
  chmodSync(file, 0o600);
  answers.set("GET /t/acme/api/v2/connections", {
    connections: [{ connection_id: "old" }],
    total_entries: 1,
  });
  answers.set("PATCH /t/acme/api/v2/connections/old", {});
  answers.set("POST /t/acme/api/v2/connections", {});
  const said = await airlock(["connections", "import", "acme", file, "-o", "json"], { env });
  expect(JSON.parse(said.stdout)).toEqual({ created: ["new"], changed: ["old"] });
  expect(said.stdout + said.stderr).not.toContain("hush");
  expect(asked.at(-1)?.body).toMatchObject({
    connection_id: "new",
    conn_type: "postgres",
    password: "hush",
    port: 5432,
  });
});

test.each([
  ["its id, which is made of the date", [], takenIdWords],
  ["its date", ["--run-id", "mine"], takenDateWords],
])(
  "two people's now may be the same millisecond: the second asks again where the other has %s",
  async (_name, more, words) => {
    let turns = 0;
    answers.set("POST /t/acme/api/v2/dags/orders/dagRuns", (_request, response) => {
      turns += 1;
      response.writeHead(turns < 3 ? 409 : 200, { "content-type": "application/json" });
      response.end(
        JSON.stringify(
          turns < 3
            ? { detail: `A run of DAG 'orders' with run_id 'a' ${words}` }
            : { dag_run_id: "b" },
        ),
      );
    });
    expect(await airlock(["trigger", "acme/orders", ...more], { env })).toMatchObject({ code: 0 });
    const dates = asked.map(({ body }) => (body as { logical_date: string }).logical_date);
    expect(dates).toEqual([...new Set(dates)].toSorted());
    expect(dates).toHaveLength(3);
  },
);

test.each([
  [["--logical-date", "2026-01-01"], takenDateWords],
  [["--run-id", "mine"], takenIdWords],
])("a date or an id that was asked for is not moved: %s", async (more, words) => {
  answers.set("POST /t/acme/api/v2/dags/orders/dagRuns", (_request, response) => {
    response.writeHead(409, { "content-type": "application/json" });
    response.end(JSON.stringify({ detail: `A run of DAG 'orders' with run_id 'mine' ${words}` }));
  });
  const told = await airlock(["trigger", "acme/orders", ...more], { env });
  expect(told).toMatchObject({ code: 1 });
  expect(told.stderr).toContain("exists already");
  expect(asked).toHaveLength(1);
});
