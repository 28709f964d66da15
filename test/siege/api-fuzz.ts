/**
 * Requests made from our own OpenAPI description and then spoilt: none may be answered with a 5xx or a stack, hang, or
 * end the server. In process with every case's database behind it, and over sockets against a whole house, where also
 * the bytes around a request are spoilt.
 */
import { connect } from "node:net";
import { describeApi } from "../../platform/api/openapi.ts";
import type { Json } from "../../platform/model/json.ts";
import { openApiStage } from "../kit/api-stage.ts";
import { eventually, type House, openHouse } from "../kit/house.ts";
import type { Campaign } from "./campaign.ts";
import {
  anyJson,
  type Dice,
  diceOf,
  mutateBytes,
  mutateJson,
  mutateText,
  nastyNumbers,
  nastyTexts,
} from "./dice.ts";
import { adminToken, asAdmin, makeLive, mustDo, openTeam, runDag, writeInto } from "./house.ts";
import { type Operation, operationsOf, plausible, type Schema, textOf } from "./operations.ts";

const silentMs = 15_000;

export type FuzzedRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
};

type Answer = { readonly status: number; readonly text: string };

// ---- making requests

const dates = [
  "2026-01-01T00:00:00Z",
  "2026-01-01",
  "2024-02-29T23:59:60Z",
  "0001-01-01T00:00:00Z",
  "9999-12-31T23:59:59.999999Z",
  "2026-01-01T00:00:00+14:00",
  "-000001-01-01T00:00:00Z",
  "294277-01-01T00:00:00Z",
];

function textFor(dice: Dice, field: string): string {
  const known = plausible[field];
  if (known !== undefined && dice.chance(0.7)) return known;
  return dice.chance(0.5) ? dice.pick(nastyTexts) : mutateText(dice, known ?? "text");
}

/** Mostly what the schema allows. */
function valueFor(dice: Dice, schema: Schema, field: string, depth = 0): Json {
  if (depth > 12) return null;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum && dice.chance(0.9)) return dice.pick(schema.enum);
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives && alternatives.length > 0)
    return valueFor(dice, dice.pick(alternatives), field, depth + 1);
  const types = Array.isArray(schema.type)
    ? (schema.type as readonly string[])
    : [(schema.type as string | undefined) ?? "anything"];
  switch (dice.pick(types)) {
    case "string":
      return schema.format === "date-time" ? dice.pick(dates) : textFor(dice, field);
    case "integer":
      return dice.chance(0.6)
        ? dice.pick([0, 1, 2, 50, 100, 2_147_483_647, -1])
        : dice.pick(nastyNumbers);
    case "number":
      return dice.pick(nastyNumbers);
    case "boolean":
      return dice.chance(0.5);
    case "array": {
      const items = schema.items ?? {};
      return Array.from({ length: dice.under(4) }, () => valueFor(dice, items, field, depth + 1));
    }
    case "object": {
      const required = new Set(schema.required ?? []);
      const fields = Object.entries(schema.properties ?? {}).filter(
        ([name]) => required.has(name) || dice.chance(0.4),
      );
      return Object.fromEntries(
        fields.map(([name, inner]) => [name, valueFor(dice, inner, name, depth + 1)]),
      );
    }
    case "null":
      return null;
    default:
      return anyJson(dice, 2);
  }
}

export function requestFor(dice: Dice, operation: Operation): FuzzedRequest {
  const spoil = dice.chance(0.5);
  const inPath = (name: string): string =>
    dice.chance(spoil ? 0.8 : 0.97) ? (plausible[name] ?? "x") : textFor(dice, name);
  let path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(inPath(name).toWellFormed()),
  );
  if (dice.chance(0.02))
    path = mutateText(dice, path)
      .replace(/[^!-~]/g, "%")
      .replace(/[#?]/g, "");
  const query = operation.parameters
    .filter((one) => one.in === "query" && (one.required || dice.chance(0.25)))
    .flatMap((one): string[] => {
      const value = valueFor(dice, one.schema, one.name);
      const texts = Array.isArray(value) ? (value as readonly Json[]) : [value];
      return texts.map((text) => `${one.name}=${encodeURIComponent(textOf(text).toWellFormed())}`);
    });
  if (spoil && dice.chance(0.1))
    query.push(
      dice.pick(["%", "a=%zz", "limit=%00", "&&==", "__proto__=1", `q=${"x".repeat(9_000)}`]),
    );
  if (!path.startsWith("/")) path = `/${path}`;
  const headers: Record<string, string> = {};
  let body: string | undefined;
  if (operation.body !== undefined) {
    const value = valueFor(dice, operation.body, "");
    body = JSON.stringify(spoil ? mutateJson(dice, value, 0.08) : value);
    if (spoil && dice.chance(0.1)) body = mutateText(dice, body);
    headers["content-type"] =
      spoil && dice.chance(0.05)
        ? dice.pick([
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/json; charset=utf-16",
          ])
        : "application/json";
  }
  return {
    method: operation.method,
    path: `${path}${query.length > 0 ? `?${query.join("&")}` : ""}`,
    headers,
    body,
  };
}

// ---- judging answers

/** Inside of the server, which no answer may show. */
const insides =
  /node_modules|\bat (?:async )?[\w.<>]+ \(?(?:file:|\/)|\.ts:\d+|PostgresError|syntax error at or near|relation "|column "[\w.]+" |violates \w+ constraint/;

export function faultOf(answer: Answer): string | undefined {
  if (answer.status >= 500) return `answered ${answer.status}: ${answer.text.slice(0, 300)}`;
  if (answer.status >= 400 && insides.test(answer.text))
    return `showed its inside: ${answer.text.slice(0, 300)}`;
  return undefined;
}

const within = <T>(ms: number, work: Promise<T>): Promise<T | undefined> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((done) => {
    timer = setTimeout(() => done(undefined), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
};

const shown = ({ method, path, body }: FuzzedRequest, seed: number, at: number): string =>
  `${method} ${path.slice(0, 400)} ${body?.slice(0, 600) ?? ""} (seed ${seed}, case ${at})`;

async function fuzz(
  campaign: Campaign,
  operations: readonly Operation[],
  cases: number,
  ask: (request: FuzzedRequest, dice: Dice) => Promise<Answer>,
  refresh: () => Promise<void>,
): Promise<void> {
  // A refused sign-in slows down the next: it would only be asked for the same again.
  const asked = operations.filter(
    ({ path }) => !path.includes("/auth/token") && path !== "/api/platform/session",
  );
  let done = 0;
  for (let at = 0; at < cases; at++) {
    if (at % 250 === 0) {
      campaign.tell(`api: case ${at} of ${cases}`);
      await refresh();
    }
    const dice = diceOf(campaign.seed, at);
    const operation = asked[at % asked.length];
    if (operation === undefined) throw new Error("the description has no operations");
    const request = requestFor(dice, operation);
    const answer = await within(
      silentMs,
      ask(request, dice).catch(
        (error: unknown): Answer => ({
          status: 599,
          text: `no answer: ${String(error)} ${String((error as { cause?: Error }).cause?.message)}`,
        }),
      ),
    );
    if (answer !== undefined && answer.status < 300) done += 1;
    const fault = answer === undefined ? `hangs for more than ${silentMs} ms` : faultOf(answer);
    campaign.probe(
      `${operation.method} ${operation.path}`,
      fault === undefined ? undefined : `${fault} for ${shown(request, campaign.seed, at)}`,
    );
  }
  campaign.tell(`api: ${done} of ${cases} requests were done`);
  // Requests that are all refused at the door would prove little.
  campaign.probe(
    "enough requests are understood",
    done > cases / 10 ? undefined : `${done} of ${cases}`,
  );
}

// ---- in process

export async function fuzzApiHere(
  campaign: Campaign,
  cases: number,
  server?: string,
): Promise<void> {
  const stage = await openApiStage(server);
  try {
    await stage.database.owner`insert into airlock.person (name) values ('zed')`;
    const operations = operationsOf(describeApi(stage.api.endpoints, "siege"));
    await fuzz(
      campaign,
      operations,
      cases,
      async ({ method, path, headers, body }, dice) => {
        const who = dice.pick(["root", "dan", "eve"] as const);
        let request: Request;
        try {
          request = new Request(`http://localhost:8080${path}`, {
            method,
            headers: { authorization: `Bearer ${stage.tokens[who]}`, ...headers },
            ...(body === undefined ? {} : { body }),
          });
        } catch {
          // No client can send that.
          return { status: 400, text: "" };
        }
        const response = await stage.api.fetch(request, { ip: "192.0.2.1" });
        return { status: response.status, text: await response.text() };
      },
      async () => {
        await stage.database.owner`update airlock.tenant set state = 'active'`;
      },
    );
    for (const surprise of stage.surprises)
      campaign.probe("an exception in a handler", String((surprise as Error).stack).slice(0, 500));
  } finally {
    await stage.close();
  }
}

// ---- a whole house

export async function fuzzHouse(campaign: Campaign, cases: number): Promise<void> {
  const house = await openHouse();
  try {
    await fill(house);
    const description = await mustDo(house, "GET", "/api/platform/openapi.json");
    const token = adminToken(house);
    await fuzz(
      campaign,
      operationsOf(description as object),
      cases,
      async ({ method, path, headers, body }) => {
        const response = await fetch(`${house.url}${path}`, {
          method,
          headers: { authorization: `Bearer ${token}`, ...headers },
          ...(body === undefined ? {} : { body }),
          redirect: "manual",
        });
        return { status: response.status, text: await response.text() };
      },
      () => fill(house),
    );
    await fuzzBytes(campaign, house, Math.ceil(cases / 25));
    const ready = await asAdmin(house, "GET", "/readyz");
    campaign.probe("the house is ready afterwards", ready.status === 200 ? undefined : ready.text);
    const crash = /uncaught|unhandledRejection|"level":"fatal"/i.exec(house.output());
    campaign.probe(
      "nothing crashed",
      crash === null ? undefined : house.output().slice(crash.index, crash.index + 400),
    );
  } finally {
    await house.remove();
  }
}

/** What the requests name, made again where earlier ones removed it. */
async function fill(house: House): Promise<void> {
  const there = await asAdmin(house, "GET", "/t/acme/api/v2/dags/payroll");
  await asAdmin(house, "PATCH", "/api/platform/tenants/acme", { state: "active" });
  // A server believes for half a second what it knows of a tenant.
  await eventually(async () => {
    const made = await asAdmin(house, "POST", "/t/acme/api/v2/variables", {
      key: "city",
      value: "Bern",
    });
    return made.status === 403 ? undefined : true;
  });
  if (
    there.status !== 200 &&
    (await asAdmin(house, "GET", "/api/platform/tenants/acme/repositories/pipelines")).status !==
      200
  ) {
    const team = await openTeam(house, "acme", "pipelines");
    writeInto(team, {
      "dags/payroll.py": `from airflow.sdk import dag, task
@dag(schedule=None, params={"day": "today"})
def payroll():
    @task
    def extract(): print("line"); return {"a": 1}
    @task
    def load(x): return x
    load(extract())
payroll()
`,
    });
    await makeLive(house, "acme", team, "payroll");
  }
  const runs = await asAdmin(house, "GET", "/t/acme/api/v2/dags/payroll/dagRuns/r1");
  if (runs.status === 404) await runDag(house, "acme", "payroll", "r1").catch(() => undefined);
  await asAdmin(house, "POST", "/t/acme/api/v2/connections", {
    connection_id: "warehouse",
    conn_type: "http",
    host: "127.0.0.1",
    password: "secret",
  });
  await asAdmin(house, "POST", "/api/platform/users", {
    name: "zed",
    password: "a long enough password",
  });
}

/** Requests as bytes: targets, headers and framing that no library would send. */
async function fuzzBytes(campaign: Campaign, house: House, cases: number): Promise<void> {
  const { host, port } = new URL(house.url);
  const token = adminToken(house);
  const good = [
    `GET /t/acme/api/v2/dags HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
    `GET /t/acme/api/live HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    ...[
      "//[/live",
      "//[",
      "//x:99999/y",
      "http://[",
      "*",
      "/%",
      "/page/%00",
      "/t/%E0%A4%A",
      "/%2e%2e/%2e%2e/etc/passwd",
      "//",
      "/t/acme//",
    ].map((target) => `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
    "GET / HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n",
    `GET /t/acme/dags/payroll HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    `GET /git/acme/pipelines.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Basic ${btoa(`admin:${house.password}`)}\r\nGit-Protocol: version=2\r\nConnection: close\r\n\r\n`,
    `POST /git/acme/pipelines.git/git-receive-pack HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Basic ${btoa(`admin:${house.password}`)}\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: 4\r\nConnection: close\r\n\r\n0000`,
    `POST /t/acme/hooks/git/pipelines HTTP/1.1\r\nHost: ${host}\r\nX-Hub-Signature-256: sha256=${"0".repeat(64)}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
    `POST /echo HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    `PUT /assets/../../secret.key HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    `GET /metrics HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
  ];
  for (let at = 0; at < cases; at++) {
    const dice = diceOf(campaign.seed, 1_000_000 + at);
    const text = at < good.length ? (good[at] ?? "") : dice.pick(good);
    const target = /^\S+ (\S+)/.exec(text)?.[1] ?? "/";
    const spoilt =
      at < good.length
        ? Buffer.from(text)
        : dice.chance(0.6)
          ? Buffer.from(
              text.replace(target, () => mutateText(dice, target).replace(/[\r\n ]/g, "%20")),
              "latin1",
            )
          : mutateBytes(dice, Buffer.from(text));
    const said = await sendBytes(Number(port), spoilt);
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(said)?.[1] ?? 0);
    campaign.probe(
      "bytes on a socket",
      status >= 500 && status !== 501 && status !== 505
        ? `answered ${said.slice(0, 200)} for ${JSON.stringify(spoilt.toString("latin1").slice(0, 300))} (seed ${campaign.seed}, case ${at})`
        : insides.test(said) && status >= 400
          ? `showed its inside: ${said.slice(0, 300)}`
          : undefined,
    );
  }
}

/** What is answered until the other side closes, or for a second. */
const sendBytes = (port: number, bytes: Buffer): Promise<string> =>
  new Promise((done) => {
    let said = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const timer = setTimeout(() => socket.destroy(), 1_000);
    socket.on("data", (chunk: Buffer) => {
      if (said.length < 20_000) said += chunk.toString("latin1");
      if (/^HTTP\/1\.1 \d{3}/.test(said) && said.includes("\r\n\r\n") && said.length > 400)
        socket.end();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      done(said);
    });
  });
