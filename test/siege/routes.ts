/**
 * Every route × every role × every tenant, from what is mounted: what the policy refuses is refused, changes nothing
 * and tells nothing; what it allows is answered, in the asker's own tenant alone. Then every place of a request in
 * which something can be named: another tenant's thing is answered like one that is nowhere.
 */
import { createApi } from "../../platform/api/create-api.ts";
import type { ApiDeps } from "../../platform/api/deps.ts";
import type { Endpoint } from "../../platform/api/endpoint.ts";
import { describeApi } from "../../platform/api/openapi.ts";
import {
  type Asked,
  canary,
  openApiStage,
  type PersonName,
  people,
  type Stage,
} from "../kit/api-stage.ts";
import type { Campaign } from "./campaign.ts";
import { knows, may, mayAnywhere } from "./expected-rights.ts";
import {
  bodiesNaming,
  fillPath,
  minimal,
  namesFor,
  type Operation,
  operationsOf,
  plausible,
  textOf,
} from "./operations.ts";
import { hidden, nobodys, plantThings, theirs, theirsToo } from "./plant.ts";

export type RoutesOptions = {
  readonly server?: string | undefined;
  /** Only to show that the siege finds what is broken: an API with other parts than the product's. */
  readonly broken?: (deps: ApiDeps) => ApiDeps;
  /** Every how manieth route; 1: all. */
  readonly stride?: number;
};

type Who = PersonName | undefined;
const askers: readonly Who[] = [undefined, ...(Object.keys(people) as PersonName[])];
/** What is in globex alone: nobody else may read it anywhere. */
const onlyInGlobex = /globex|secret_plan/i;

export async function besiegeRoutes(
  campaign: Campaign,
  options: RoutesOptions = {},
): Promise<void> {
  const stage = await openApiStage(options.server);
  try {
    await plantThings(stage);
    const besieged = options.broken ? another(stage, options.broken) : stage;
    const endpoints = besieged.api.endpoints.filter((_, at) => at % (options.stride ?? 1) === 0);
    checkMounted(campaign, besieged);
    await askWhatIsRefused(campaign, besieged, endpoints);
    await nameOthersThings(campaign, besieged, endpoints);
    await askWhatIsAllowed(campaign, besieged, endpoints);
    for (const surprise of besieged.surprises)
      campaign.probe("an exception reached the outside", String(surprise));
  } finally {
    await stage.close();
  }
}

/** The same stage behind another API. */
function another(stage: Stage, change: (deps: ApiDeps) => ApiDeps): Stage {
  const api = createApi(change(stage.deps));
  return {
    ...stage,
    api,
    ask: async (who, method, path, body, headers = {}) => {
      const response = await api.fetch(
        new Request(`http://localhost:8080${path}`, {
          method,
          headers: {
            ...(who === undefined ? {} : { authorization: `Bearer ${stage.tokens[who]}` }),
            ...(body === undefined ? {} : { "content-type": "application/json" }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }),
        { ip: "192.0.2.1" },
      );
      const text = await response.text();
      return { status: response.status, text, headers: response.headers, body: undefined };
    },
  };
}

function checkMounted(campaign: Campaign, stage: Stage): void {
  const shape = (path: string): string =>
    path.replace(/\{[^}]*\}/g, (part) =>
      part.startsWith("{-") || part.startsWith("{.") ? "" : ":",
    );
  const declared = new Map(
    stage.api.endpoints.map((endpoint) => [
      `${endpoint.method} ${endpoint.path.replace(/\{(\w+)\*?\}/g, ":$1")}`,
      endpoint,
    ]),
  );
  for (const { method, path } of stage.api.routes) {
    const endpoint = declared.get(`${method} ${shape(path)}`);
    const policy = endpoint?.policy;
    const has = policy && ("open" in policy || "signedIn" in policy || "deed" in policy);
    campaign.probe(`${method} ${path} has a policy`, has ? undefined : "it answers without one");
  }
}

// ---- what a policy says about one request

type Place = { readonly tenant: string; readonly dag: string };

function placesOf(endpoint: Endpoint): readonly Place[] {
  if (!endpoint.path.includes("{tenant}")) return [{ tenant: "acme", dag: "payroll" }];
  const others = [
    { tenant: "globex", dag: "orders_etl" },
    { tenant: "nowhere", dag: "orders_etl" },
  ];
  if (!endpoint.path.includes("{dag_id}")) return [{ tenant: "acme", dag: "payroll" }, ...others];
  return [
    ...["payroll", "fin_report", "orders_etl", "secret_plan", nobodys, "~"].map((dag) => ({
      tenant: "acme",
      dag,
    })),
    ...others,
    { tenant: "globex", dag: "secret_plan" },
  ];
}

/** The statuses that the policy allows; `allowed`: it may go on to the deed, where only the deed's own problems are left. */
function expected(
  endpoint: Endpoint,
  who: Who,
  { tenant, dag }: Place,
): readonly number[] | "allowed" {
  const { policy, path } = endpoint;
  if ("open" in policy) return "allowed";
  if (who === undefined) return [401];
  const platform = !path.includes("{tenant}") || "platform" in policy;
  if (!platform && (tenant === "nowhere" || !knows(who, tenant))) return [404];
  if ("signedIn" in policy) return "allowed";
  const domain = platform ? "*" : tenant;
  if ("list" in policy) {
    const one = policy.in === undefined ? undefined : policy.in === "dag_id" ? dag : "pipelines";
    if (policy.in !== undefined && path.includes(`{${policy.in}}`) && one !== "~")
      return verdict(who, domain, endpoint, `${policy.list}:${one ?? ""}`);
    return mayAnywhere(who, domain, policy.deed, policy.list) ? "allowed" : [403];
  }
  const thing = policy.on.replace(/\{(\w+)\}/g, (_, name: string) =>
    name === "dag_id" ? dag : (plausible[name] ?? "x"),
  );
  if (thing === "dag:~") return [404];
  return verdict(who, domain, endpoint, thing);
}

function verdict(
  who: PersonName,
  domain: string,
  { policy }: Endpoint,
  thing: string,
): readonly number[] | "allowed" {
  if (!("deed" in policy)) return "allowed";
  if (may(who, domain, policy.deed, thing)) return "allowed";
  if (thing === "*") return [403];
  const [kind = ""] = thing.split(":");
  // Whoever may read the thing knows that it exists, and is told that this deed is not theirs.
  const reads = may(who, domain, `${kind}.read` as "dag.read", thing);
  if (reads) return [403];
  // Else it must not be told apart from a thing that is not there.
  return kind === "dag" ? [404] : [403, 404];
}

const bodyOf = (endpoint: Endpoint): unknown => (endpoint.body ? { siege: 1 } : undefined);

const pathAt = (endpoint: Endpoint, { tenant, dag }: Place): string =>
  fillPath(endpoint.path, { tenant, dag_id: dag });

async function askWhatIsRefused(
  campaign: Campaign,
  stage: Stage,
  endpoints: readonly Endpoint[],
): Promise<void> {
  const before = await fingerprint(stage, "everything");
  const calls = stage.calls.length;
  for (const who of askers) {
    campaign.tell(`routes: what is refused to ${who ?? "a stranger"}`);
    for (const endpoint of endpoints) {
      const answers = new Map<string, Asked>();
      for (const place of placesOf(endpoint)) {
        const statuses = expected(endpoint, who, place);
        if (statuses === "allowed") continue;
        const path = pathAt(endpoint, place);
        const asked = await stage.ask(who, endpoint.method, path, bodyOf(endpoint));
        const name = `${who ?? "stranger"} ${endpoint.method} ${path}`;
        campaign.probe(
          name,
          statuses.includes(asked.status)
            ? leakIn(who, asked, path)
            : `answered ${asked.status} instead of ${statuses.join(" or ")}: ${asked.text.slice(0, 200)}`,
        );
        answers.set(`${place.tenant} ${place.dag}`, asked);
      }
      // What is not for one's eyes is answered as what is not there.
      for (const [there, absent] of [
        ["globex orders_etl", "nowhere orders_etl"],
        ["acme orders_etl", `acme ${nobodys}`],
        ["acme secret_plan", `acme ${nobodys}`],
      ] as const) {
        const [one, other] = [answers.get(there), answers.get(absent)];
        if (!one || !other || (one.status === 403 && other.status === 403)) continue;
        campaign.probe(
          `${who ?? "stranger"} ${endpoint.method} ${endpoint.path}: ${there} like ${absent}`,
          difference(one, other),
        );
      }
    }
  }
  const after = await fingerprint(stage, "everything");
  for (const [table, rows] of after)
    campaign.probe(
      `${table} after everything that was refused`,
      rows === before.get(table) ? undefined : "it was changed",
    );
  campaign.probe(
    "deeds after everything that was refused",
    stage.calls.length === calls
      ? undefined
      : `done: ${JSON.stringify(stage.calls.slice(calls, calls + 5))}`,
  );
}

/** GET first, DELETE last: what is removed can no longer be asked for. */
async function askWhatIsAllowed(
  campaign: Campaign,
  stage: Stage,
  endpoints: readonly Endpoint[],
): Promise<void> {
  campaign.tell("routes: what is allowed");
  const before = await fingerprint(stage, "globex");
  const rank = ({ method }: Endpoint): number =>
    method === "GET" ? 0 : method === "DELETE" ? 2 : 1;
  const gone = new Set<string>();
  for (const endpoint of endpoints.toSorted((a, b) => rank(a) - rank(b))) {
    for (const who of askers) {
      if (who === "root" || who === "gil") continue;
      for (const place of placesOf(endpoint)) {
        if (expected(endpoint, who, place) !== "allowed" || place.dag === "~") continue;
        const path = pathAt(endpoint, place);
        const asked = await stage.ask(who, endpoint.method, path, bodyOf(endpoint));
        const exists = !["secret_plan", nobodys].includes(place.dag) && !gone.has(path);
        const signsIn = "open" in endpoint.policy && endpoint.method === "POST";
        const fine =
          asked.status < 500 &&
          (signsIn || asked.status !== 401) &&
          (asked.status !== 403 || "signedIn" in endpoint.policy || isShutToAll(endpoint)) &&
          (asked.status !== 404 || !exists || endpoint.method !== "GET" || unplanted(endpoint));
        campaign.probe(
          `${who ?? "stranger"} ${endpoint.method} ${path}`,
          fine ? leakIn(who, asked, path) : `answered ${asked.status}: ${asked.text.slice(0, 200)}`,
        );
        if (endpoint.method === "DELETE") gone.add(path);
      }
    }
  }
  await unchanged(campaign, stage, before, "what acme's people did");
}

/** Routes of things that only exist when they were made: 404 says nothing about rights there. */
const unplanted = ({ path }: Endpoint): boolean =>
  /\{(?:event_log_id|import_error_id|deed_id|token_id|deploy|username|structure_key)\}/.test(
    path,
  ) || path.endsWith("/artifacts/{try_number}/{name*}");

/** As on an Airflow whose administrator does not show its configuration: 403 to whoever may ask at all. */
const isShutToAll = ({ path }: Endpoint): boolean => path.endsWith("/api/v2/config");

// ---- every place in which something is named

async function nameOthersThings(
  campaign: Campaign,
  stage: Stage,
  endpoints: readonly Endpoint[],
): Promise<void> {
  const before = await fingerprint(stage, "globex");
  const operations = new Map(
    operationsOf(describeApi(endpoints, "siege")).map((operation) => [
      `${operation.method} ${operation.path}`,
      operation,
    ]),
  );
  // What is made by one asker is seen by the next: questions come before deeds, and each has an absent name of its own.
  for (const [who, name, absent, kind] of ["questions", "deeds"].flatMap((kind) => [
    ["dan", theirs, `${nobodys}1`, kind] as const,
    ["eve", theirsToo, `${nobodys}2`, kind] as const,
    ["eve", hidden, `${nobodys}3`, kind] as const,
  ])) {
    campaign.tell(`routes: ${who} names ${name} in ${kind}`);
    for (const endpoint of endpoints) {
      if ("open" in endpoint.policy || (endpoint.method === "GET") !== (kind === "questions"))
        continue;
      const operation = operations.get(`${endpoint.method} ${endpoint.path.replaceAll("*}", "}")}`);
      if (!operation) throw new Error(`${endpoint.path} is not described`);
      const pairs = requestsNaming(operation, name);
      const twins = requestsNaming(operation, absent);
      for (const [at, request] of pairs.entries()) {
        const twin = twins[at];
        if (!twin) throw new Error("a request without its twin");
        const askBoth = async (): Promise<readonly [Asked, Asked]> => [
          await stage.ask(who, operation.method, request.path, anew(request.body)),
          await stage.ask(who, operation.method, twin.path, anew(twin.body)),
        ];
        let [one, other] = await askBoth();
        // Seconds that pass between the two may show in an answer; a leak shows each time.
        for (let again = 0; again < 2 && kind === "questions" && difference(one, other); again++)
          [one, other] = await askBoth();
        campaign.probe(
          `${who} ${operation.method} ${request.path} ${JSON.stringify(request.body ?? null)}`,
          difference(one, other) ?? leakIn(who, one, request.path),
        );
      }
    }
  }
  await unchanged(campaign, stage, before, "naming globex's things");
}

let made = 0;
/** Each thing that a request makes on the way has a name of its own. */
const anew = (body: unknown): unknown =>
  body === undefined
    ? undefined
    : JSON.parse(JSON.stringify(body).replaceAll('"made"', () => `"made${(made += 1)}"`));

type Request = { readonly path: string; readonly body: unknown };

/** Requests that are plain but for one place each: path, query, or anywhere in the body. */
function requestsNaming(operation: Operation, name: string): readonly Request[] {
  const least = operation.body === undefined ? undefined : minimal(operation.body);
  const required = operation.parameters.filter((one) => one.in === "query" && one.required);
  const query = (given: readonly (readonly [string, string])[]): string => {
    const all = [
      ...required
        .filter((one) => !given.some(([field]) => field === one.name))
        .map((one) => [one.name, textOf(minimal(one.schema, one.name))] as const),
      ...given,
    ];
    return all.length === 0
      ? ""
      : `?${all.map(([field, value]) => `${field}=${encodeURIComponent(value)}`).join("&")}`;
  };
  return operation.parameters
    .flatMap((parameter): Request[] => {
      if (parameter.in === "path")
        return parameter.name === "tenant"
          ? []
          : [
              {
                path: `${fillPath(operation.path, { [parameter.name]: name })}${query([])}`,
                body: least,
              },
            ];
      const fits = bodiesNaming(parameter.schema, name, parameter.name).length > 0;
      return fits
        ? namesFor(parameter.name, name).map((value) => ({
            path: `${fillPath(operation.path)}${query([[parameter.name, value]])}`,
            body: least,
          }))
        : [];
    })
    .concat(
      operation.body === undefined
        ? []
        : bodiesNaming(operation.body, name).map((body) => ({
            path: `${fillPath(operation.path)}${query([])}`,
            body,
          })),
    );
}

// ---- looking at answers

/** How two answers differ, once the names and what is made anew each time are taken out. */
function difference(one: Asked, other: Asked): string | undefined {
  const [a, b] = [said(one), said(other)];
  return a === b ? undefined : `told apart: ${firstDifference(a, b)}`;
}

const said = ({ status, text, headers }: Asked): string =>
  `${status} ${headers.get("content-type") ?? ""} ${text}`
    .replace(
      /zz_(?:theirs|hidden|nobody)\d?|made\d+|secret_plan|orders_etl|globex|nowhere/g,
      "NAME",
    )
    .replace(/\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?/g, "TIME")
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "UUID")
    .replace(/alk_[\w-]+|"id":"\w{12}"/g, "TOKEN")
    .replace(/"run":"\d+"/g, "RUN");

function firstDifference(a: string, b: string): string {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at += 1;
  const from = Math.max(0, at - 60);
  return `…${a.slice(from, at + 80)}… and …${b.slice(from, at + 80)}…`;
}

function leakIn(who: Who, { text: answer, status }: Asked, path: string): string | undefined {
  // An answer may repeat what it was asked for.
  const text = path.includes("secret_plan") ? answer.replaceAll("secret_plan", "") : answer;
  if (status >= 500) return `answered ${status}`;
  if (text.includes(canary)) return `a secret was in the answer: ${around(text, canary)}`;
  const found = who === "root" || who === "gil" ? null : onlyInGlobex.exec(text);
  return found ? `another tenant's word was in the answer: ${around(text, found[0])}` : undefined;
}

const around = (text: string, word: string): string => {
  const at = text.indexOf(word);
  return text.slice(Math.max(0, at - 60), at + 80);
};

/** Tables that a request may touch although it was refused: that it was is written down. */
const journals = ["audit", "audit_chain", "audit_seal"];

async function fingerprint(
  { database: { owner } }: Stage,
  of: "everything" | "globex",
): Promise<Map<string, string>> {
  const tables = await owner<{ name: string; fenced: boolean }[]>`
    select c.relname as name, exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant') as fenced
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'airlock' and c.relkind in ('r', 'p')`;
  const found = new Map<string, string>();
  for (const { name, fenced } of tables) {
    if (journals.includes(name) || (of === "globex" && !fenced)) continue;
    // Being used is no change.
    const row =
      name === "token"
        ? "(to_jsonb(t) - 'last_used_at')"
        : name === "session"
          ? "(to_jsonb(t) - 'seen_at')"
          : "to_jsonb(t)";
    const [counted] = await owner.unsafe<{ rows: string }[]>(
      `select count(*) || ' ' || coalesce(md5(string_agg(${row}::text, chr(10) order by ${row}::text)), '') as rows
         from airlock.${name} t ${of === "globex" ? "where t.tenant = 'globex'" : ""}`,
    );
    found.set(name, counted?.rows ?? "");
  }
  return found;
}

async function unchanged(
  campaign: Campaign,
  stage: Stage,
  before: ReadonlyMap<string, string>,
  what: string,
): Promise<void> {
  const after = await fingerprint(stage, "globex");
  for (const [table, rows] of after)
    campaign.probe(
      `globex's rows of ${table} after ${what}`,
      rows === before.get(table) ? undefined : "they were changed",
    );
  const calls = stage.calls.filter(({ tenant }) => tenant === "globex");
  campaign.probe(
    `deeds in globex after ${what}`,
    calls.length === 0 ? undefined : JSON.stringify(calls.slice(0, 3)),
  );
}
