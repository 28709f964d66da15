/**
 * Secrets of every kind go in through the doors that people use, then everything that the house keeps, says or starts is
 * searched for them, plain and in the forms in which they are written down. Beside them goes a word that is no secret: a
 * place in which that is not found was not searched.
 */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import postgres from "postgres";
import { isObject } from "../../platform/model/json.ts";
import { decrypt } from "../../platform/secrets/envelope.ts";
import { eventually, type House, openHouse } from "../kit/house.ts";
import type { Campaign } from "./campaign.ts";
import { adminToken, asAdmin, makeLive, mustDo, openTeam, runDag, writeInto } from "./house.ts";
import { fillPath, minimal, operationsOf, textOf } from "./operations.ts";

/** No secret, and in each place. */
const marker = "siege-marker";

type Secrets = Map<string, string>;

/** Letters and digits only, so that no escaping hides it. */
const newSecret = (): string => `Sg${randomBytes(15).toString("hex")}`;

export async function searchForSecrets(campaign: Campaign): Promise<void> {
  const secrets: Secrets = new Map();
  const plant = (name: string): string => {
    const text = newSecret();
    secrets.set(name, text);
    return text;
  };
  const traces: string[] = [];
  const collector = await collectTraces(traces);
  const adminPassword = plant("the admin's password");
  const platformKey = randomBytes(32).toString("base64");
  secrets.set("the platform's key", platformKey);
  const house = await openHouse({
    env: {
      AIRLOCK_ADMIN_PASSWORD: adminPassword,
      AIRLOCK_SECRET_KEY: platformKey,
      AIRLOCK_LOG_LEVEL: "trace",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
      OTEL_BSP_SCHEDULE_DELAY: "100",
    },
  });
  const watch = watchProcesses(house.pid);
  try {
    secrets.set(
      "the database's password",
      readFileSync(join(house.home, "postgres.secret"), "utf8").trim(),
    );
    secrets.set("the local profile's token", adminToken(house));
    const answers = await useSecrets(campaign, house, secrets, plant, adminPassword);
    secrets.set("a tenant's key", await readTenantKey(house, platformKey));
    campaign.tell("secrets: everything is searched");
    const search = searcher(campaign, secrets);
    search("the database", await dumpDatabase(house));
    search("the log", house.output(), '"level"');
    await eventually(async () => (traces.join("").includes(marker) ? true : undefined));
    search("the traces", traces.join("\n"));
    // Names of DAGs and tenants are kept out of metrics on purpose.
    search("the metrics", (await asAdmin(house, "GET", "/metrics")).text, "airlock_");
    search("the API's answers to readers", await readEverything(house, secrets));
    search("the API's answers to those who wrote", answers.join("\n"));
    search("the page", await readPage(house), "<div");
    search("command lines", watch.commandLines(), "airlock.mjs");
    search("environments of started processes", watch.environments(), "PATH=");
    for (const [name, text] of filesOf(house)) search(name, text.bytes, text.marker);
    for (const name of ["secret.key", "postgres.secret", "local-profile.json", "server.json"]) {
      const path = join(house.home, name);
      if (!existsSync(path)) continue;
      const mode = statSync(path).mode & 0o777;
      campaign.probe(
        `${name} is its owner's alone`,
        mode === 0o600 ? undefined : `its mode is ${mode.toString(8)}`,
      );
    }
  } finally {
    watch.stop();
    await house.remove();
    collector.closeAllConnections();
    collector.close();
  }
}

// ---- in through the doors

async function useSecrets(
  campaign: Campaign,
  house: House,
  secrets: Secrets,
  plant: (name: string) => string,
  adminPassword: string,
): Promise<readonly string[]> {
  campaign.tell("secrets: planting");
  const answers: string[] = [];
  const send = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await asAdmin(house, method, path, body);
    answers.push(`${method} ${path} ${answer.status} ${answer.text}`);
    return answer.body;
  };
  await send("POST", "/api/platform/tenants", { name: "acme", display_name: marker });
  const base = "/t/acme/api/v2";
  const connection = {
    connection_id: "warehouse",
    conn_type: "postgres",
    description: marker,
    host: "db.example",
    login: "etl",
    password: plant("a connection's password"),
    extra: JSON.stringify({ region: marker, api_key: plant("a key in a connection's extra") }),
  };
  await send("POST", `${base}/connections`, connection);
  await send("POST", `${base}/connections`, connection);
  await send("POST", `${base}/connections`, { ...connection, port: "no" });
  await send("POST", `${base}/connections`, {
    ...connection,
    connection_id: "a b",
    unknown: connection.password,
  });
  await send("PATCH", `${base}/connections/warehouse`, {
    ...connection,
    password: plant("a connection's later password"),
  });
  await send("PATCH", `${base}/connections`, {
    actions: [
      {
        action: "create",
        entities: [
          { connection_id: "bulk", conn_type: "http", password: plant("a password of a bulk") },
        ],
      },
    ],
  });
  const variable = plant("a variable with a secret's name");
  await send("POST", `${base}/variables`, {
    key: "api_token",
    value: variable,
    description: marker,
  });
  await send("POST", `${base}/variables`, { key: "api_token", value: variable });
  await send("POST", `${base}/variables`, { key: 7, value: variable });
  await send("POST", "/api/platform/tenants/acme/repositories", {
    name: "elsewhere",
    url: "https://127.0.0.1:9/x.git",
    credentials: { username: "bot", password: plant("a repository's token") },
  });
  await send("POST", "/api/platform/tenants/acme/repositories", {
    name: "worse",
    url: `https://bot:${plant("a password in an address")}@git.example/x.git`,
  });
  // Shown once, to whoever asked: its answer is not among those searched.
  const hook = await mustDo(house, "POST", "/api/platform/tenants/acme/repositories", {
    name: "hooked",
  }).then(() =>
    asAdmin(house, "POST", "/api/platform/tenants/acme/repositories/hooked/webhook-secret"),
  );
  if (isObject(hook.body) && typeof hook.body["secret"] === "string")
    secrets.set("a webhook's secret", hook.body["secret"]);
  else campaign.probe("a webhook's secret can be had", `${hook.status} ${hook.text}`);
  const password = plant("a person's password");
  await send("POST", "/api/platform/users", { name: "ann", display_name: marker, password });
  await send("POST", "/api/platform/users", {
    name: "b b",
    password: plant("a refused person's password"),
  });
  await send("PUT", "/api/platform/users/ann/password", {
    password: "short",
    old_password: password,
  });
  await send("POST", "/api/platform/session", {
    username: "ann",
    password: plant("a wrong password"),
  });
  const session = await fetch(`${house.url}/api/platform/session`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username: "admin", password: adminPassword }),
  });
  const cookie = /airlock_session=([\w-]+)/.exec(session.headers.get("set-cookie") ?? "")?.[1];
  if (cookie === undefined)
    campaign.probe("a session can be had", `${session.status} ${await session.text()}`);
  else secrets.set("a session's cookie", cookie);
  const token = await asAdmin(house, "POST", "/api/platform/tokens", { name: marker });
  if (isObject(token.body) && typeof token.body["token"] === "string")
    secrets.set("a token", token.body["token"].split("_").slice(2).join("_"));
  else campaign.probe("a token can be had", token.text);
  await runTasks(campaign, { ...house, password: adminPassword });
  return answers;
}

/** A task has them by right, says them in every way it can, and fails with them. */
async function runTasks(campaign: Campaign, house: House): Promise<void> {
  const team = await openTeam(house, "acme", "pipelines");
  writeInto(team, {
    "dags/siege_marker.py": `# ${marker}
import base64, json, sys, urllib.parse
from airflow.sdk import dag, task
from airflow.providers.standard.operators.bash import BashOperator
@dag(schedule=None, dag_id="${marker}", tags=["${marker}"])
def says():
    @task
    def say():
        from airflow.hooks.base import BaseHook
        from airflow.models import Variable
        found = BaseHook.get_connection("warehouse")
        texts = [found.password, found.extra_dejson["api_key"], Variable.get("api_token")]
        print("${marker}")
        for text in texts:
            print(text)
            print("token=" + text, file=sys.stderr)
            print(base64.b64encode(text.encode()).decode())
            print(urllib.parse.quote(text), json.dumps({"x": text}))
            for letter in text: sys.stdout.write(letter)
            print()
        raise RuntimeError("cannot sign in with " + " ".join(texts))
    @task
    def dies():
        from airflow.models import Variable
        import os
        os.write(2, Variable.get("api_token").encode())
        os._exit(7)
    say() >> BashOperator(task_id="rendered", bash_command="echo {{ conn.warehouse.password }} {{ var.value.api_token }}", trigger_rule="all_done", do_xcom_push=False)
    dies()
says()
`,
  });
  await makeLive(house, "acme", team, marker);
  const state = await runDag(house, "acme", marker);
  campaign.probe("a task that has the secrets ran", state.startsWith("failed") ? undefined : state);
}

// ---- everything that is kept, said or started

/** The forms in which a secret is written down by those who mean to show something else. */
const formsOf = (secret: string): readonly string[] => {
  const base64 = Buffer.from(secret).toString("base64").replace(/=+$/, "");
  return [
    secret,
    encodeURIComponent(secret),
    // The last letters of base64 depend on what follows.
    base64.slice(0, -2),
    Buffer.from(secret).toString("hex"),
    secret.split("").toReversed().join(""),
    // A key is written down as base64; its bytes may show as digits.
    ...(/^[\w+/]{43}=$/.test(secret) ? [Buffer.from(secret, "base64").toString("hex")] : []),
  ];
};

function searcher(
  campaign: Campaign,
  secrets: Secrets,
): (place: string, text: string | Buffer, sign?: string) => void {
  return (place, text, sign = marker) => {
    campaign.probe(
      `${place} was searched`,
      text.includes(sign) ? undefined : `${sign} is not in its ${text.length} bytes`,
    );
    for (const [name, secret] of secrets) {
      const form = formsOf(secret).find((one) => text.includes(one));
      const around =
        form === undefined
          ? ""
          : Buffer.from(text)
              .subarray(Math.max(0, text.indexOf(form) - 120), text.indexOf(form))
              .toString("latin1");
      campaign.probe(
        `${name} in ${place}`,
        form === undefined ? undefined : `found after ${JSON.stringify(around)}`,
      );
    }
  };
}

function connectTo(house: House): postgres.Sql {
  const pidFile = join(house.home, "postgres", "data", "postmaster.pid");
  const port = readFileSync(pidFile, "utf8").split("\n")[3]?.trim() ?? "";
  const password = readFileSync(join(house.home, "postgres.secret"), "utf8").trim();
  return postgres(`postgres://airlock:${password}@127.0.0.1:${port}/airlock`, {
    max: 1,
    onnotice: () => undefined,
  });
}

/** What a tenant's secrets are sealed with, as nobody should ever see it. */
async function readTenantKey(house: House, platformKey: string): Promise<string> {
  const sql = connectTo(house);
  try {
    const [row] = await sql<{ version: number; platform_key: string; wrapped: Buffer }[]>`
      select version, platform_key, wrapped from airlock.tenant_key where tenant = 'acme'`;
    if (row === undefined) throw new Error("acme has no key");
    const key = decrypt(Buffer.from(platformKey, "base64"), row.wrapped, {
      tenant: "acme",
      kind: "data-key",
      id: row.platform_key,
      version: row.version,
    });
    if (key === undefined) throw new Error("acme's key cannot be unwrapped");
    return key.toString("base64");
  } finally {
    await sql.end();
  }
}

async function dumpDatabase(house: House): Promise<string> {
  const sql = connectTo(house);
  try {
    const tables = await sql<{ name: string }[]>`
      select format('%I.%I', table_schema, table_name) as name from information_schema.tables
       where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`;
    const parts: string[] = [];
    for (const { name } of tables) {
      const rows = await sql.unsafe<{ row: string }[]>(`select t::text as row from ${name} t`);
      parts.push(...rows.map(({ row }) => row));
    }
    const active = await sql<{ query: string }[]>`select query from pg_stat_activity`;
    return [...parts, ...active.map(({ query }) => query)].join("\n");
  } finally {
    await sql.end();
  }
}

/** Every GET of the description, as the admin: by what is there, and by what is not. */
async function readEverything(house: House, secrets: Secrets): Promise<string> {
  const description = await mustDo(house, "GET", "/api/platform/openapi.json");
  const texts: string[] = [];
  for (const operation of operationsOf(description as object)) {
    if (operation.method !== "GET") continue;
    const required = operation.parameters.filter((one) => one.in === "query" && one.required);
    const query = required
      .map((one) => `${one.name}=${encodeURIComponent(textOf(minimal(one.schema, one.name)))}`)
      .join("&");
    const tasks = operation.path.includes("{task_id}") ? ["say", "rendered", "dies"] : ["say"];
    for (const task of tasks) {
      const path = fillPath(operation.path, {
        dag_id: marker,
        dag_run_id: "siege",
        task_id: task,
        variable_key: "api_token",
        username: "ann",
        connection_id: "warehouse",
      });
      for (const tail of [query, `${query}&unmask=true&show_secrets=1&stringify=false`]) {
        const answer = await asAdmin(house, "GET", `${path}?${tail}`);
        texts.push(`GET ${path} ${answer.status} ${answer.text}`);
      }
    }
  }
  // The asker's own credential is never repeated either.
  texts.push(
    await fetch(`${house.url}/api/platform/session`, {
      headers: { cookie: `airlock_session=${secrets.get("a session's cookie") ?? ""}` },
    }).then((answer) => answer.text()),
  );
  return texts.join("\n");
}

async function readPage(house: House): Promise<string> {
  const texts: string[] = [];
  const read = async (path: string): Promise<string> => {
    const text = await fetch(`${house.url}${path}`).then((answer) => answer.text());
    texts.push(text);
    return text;
  };
  const seen = new Set<string>();
  const waiting = [...(await read("/t/acme")).matchAll(/\/page\/[\w.-]+/g)].map(([path]) => path);
  while (waiting.length > 0) {
    const path = waiting.pop() ?? "";
    if (seen.has(path)) continue;
    seen.add(path);
    for (const [name] of (await read(path)).matchAll(/[\w-]+\.(?:js|css)\b/g))
      if (seen.size < 200) waiting.push(`/page/${name}`);
  }
  return texts.join("\n");
}

/** What lies on disk, apart from the files that hold secrets by their nature. */
function filesOf(house: House): readonly [string, { bytes: Buffer; marker: string }][] {
  const all = (folder: string): Buffer =>
    Buffer.concat(
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .flatMap((entry) => {
          try {
            return [readFileSync(join(entry.parentPath, entry.name))];
          } catch {
            return [];
          }
        }),
    );
  const signs: readonly (readonly [string, string])[] = [
    ["postgres/data", marker],
    ["bundles", marker],
    // Objects of git are packed: their names are what can be read.
    ["repositories", "refs/heads/main"],
    ["guests-state", "import"],
    ["guests", "import"],
  ];
  return signs
    .filter(([name]) => existsSync(join(house.home, name)))
    .map(([name, sign]) => [
      `files of ${name}`,
      { bytes: all(join(house.home, name)), marker: sign },
    ]);
}

type Watch = { commandLines(): string; environments(): string; stop(): void };

/** Looks at everything below the house many times a second, for as long as it works. */
function watchProcesses(house: number): Watch {
  const lines = new Set<string>();
  const environments = new Set<string>();
  const look = (): void => {
    const parents = new Map<number, number>();
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
      } catch {
        // It has ended.
      }
    }
    const isBelow = (pid: number): boolean => {
      for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at))
        if (at === house) return true;
      return false;
    };
    for (const pid of parents.keys()) {
      if (!isBelow(pid)) continue;
      try {
        lines.add(readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "));
        // What the operator gives the house itself stands in its own environment: nowhere below it.
        if (pid !== house)
          environments.add(
            `${readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")}\n${readFileSync(`/proc/${pid}/environ`, "utf8").replaceAll("\0", "\n")}`,
          );
      } catch {
        // It has ended.
      }
    }
  };
  // After a pause, not at a rate: looking must leave time for what is looked at.
  let timer = setTimeout(function again() {
    look();
    timer = setTimeout(again, 25);
  }, 0);
  return {
    commandLines: () => [...lines].join("\n"),
    environments: () => [...environments].join("\n\n"),
    stop: () => clearTimeout(timer),
  };
}

const collectTraces = async (bodies: string[]): Promise<Server> => {
  const server = createServer((request, response) => {
    request.on("data", (part: Buffer) => bodies.push(part.toString("utf8")));
    request.on("end", () => response.end("{}"));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
};
