/** Groups of verbs for things, with airflowctl's names: a table of requests, each a line or two. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { isObject, type Json, type JsonObject } from "../model/json.ts";
import { apiPath, askServer, platformPath, type Query, type Server } from "./ask-server.ts";
import { type Column, columns, printAnswer, tell } from "./print-answer.ts";
import { wrongUse } from "./problem.ts";
import { readJsonOption, readWhole } from "./read-option.ts";
import { type Ref, readRepositoryRef } from "./read-ref.ts";
import { collect, leaf, remote, type Shared } from "./verb-options.ts";
import { refOf, text } from "./verbs/find-run.ts";

export function addThings(program: Command): void {
  program.commandsGroup("Things:");
  addAuth(program);
  addTenants(program);
  addRepositories(program);
  addDags(program);
  addRuns(program);
  addXComs(program);
  addPools(program);
  addConnections(program);
  addVariables(program);
  addPeople(program);
  addRights(program);
}

type Options = Shared & { readonly [name: string]: unknown };
type Deed = (server: Server, args: readonly string[], options: Options) => Promise<unknown>;

/** One verb: what it asks for, and what of the answer a table shows. `said`: the message where there is nothing to show. */
function verb(
  group: Command,
  usage: string,
  description: string,
  shown: readonly Column[] | string,
  deed: Deed,
  options: readonly (readonly [flags: string, description: string])[] = [],
  more: { readonly ownUrl?: true; readonly example?: string } = {},
): void {
  const command = remote(group, usage, description, more.ownUrl);
  for (const [flags, text] of options) {
    if (text.endsWith("(again)"))
      command.option(flags, text.replace(" (again)", "; can be given again"), collect, []);
    else command.option(flags, text);
  }
  if (more.example !== undefined) command.addHelpText("after", `\nExample:\n  npx ${more.example}`);
  command.action(async (...all: unknown[]) => {
    // Commander hands over the arguments, the options and the command itself.
    const given = all.at(-2) as Options;
    const args = all.slice(0, -2).filter((arg) => typeof arg === "string");
    const { url: _, ...withoutUrl } = given;
    const server = askServer(more.ownUrl === true ? withoutUrl : given);
    const answer = await deed(server, args, given);
    if (typeof shown !== "string") return printAnswer(answer, given.output, shown);
    if (given.output !== "table") return printAnswer(answer ?? {}, given.output, []);
    tell(shown);
  });
}

const group = (program: Command, name: string, description: string): Command =>
  program.command(name).description(description).exitOverride().showSuggestionAfterError();

const textOf = (options: Options, name: string): string | undefined => {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
};
const limitOf = (options: Options): number =>
  readWhole("--limit", textOf(options, "limit") ?? "100", 1, 100_000);
const limit = ["--limit <n>", "at most so many (default 100)"] as const;

function parse(text: string | undefined, kind: "tenant" | "dag" | "run" | "task"): Ref {
  return refOf(text ?? "", kind);
}
/** `tenant/name` of a thing whose own name may be anything. */
function named(
  text: string | undefined,
  what: string,
): { readonly tenant: string; readonly name: string } {
  const cut = text?.indexOf("/") ?? -1;
  if (text === undefined || cut < 1 || cut === text.length - 1)
    throw wrongUse(
      `${JSON.stringify(text ?? "")} is not the name of a ${what}: write tenant/${what}`,
    );
  const { tenant } = refOf(text.slice(0, cut), "tenant");
  return { tenant, name: text.slice(cut + 1) };
}
const tenantOf = (text: string | undefined): string => parse(text, "tenant").tenant;

function addAuth(program: Command): void {
  const auth = group(program, "auth", "Sign in to a server");
  const withProfile = (command: Command): Command =>
    command
      .option("--url <address>", "the server")
      .option("--token <token>", "a token one has already")
      .option("--profile <name>", "the name to keep it under (default: default)");
  withProfile(leaf(auth, "login", "Sign in; the profile becomes the one that is used"))
    .option("--username <name>", "left out: asked for")
    .option("--password-stdin", "read the password from standard input")
    .addHelpText(
      "after",
      "\nExample:\n  npx airlock auth login --url https://airlock.example.org --username ada",
    )
    .action(async (options) => {
      const { login } = await import("./verbs/auth.ts");
      await login(options as Parameters<typeof login>[0]);
    });
  withProfile(leaf(auth, "logout", "Forget a profile")).action(async (options) => {
    const { logout } = await import("./verbs/auth.ts");
    await logout(options as Parameters<typeof logout>[0]);
  });
  remote(auth, "status", "Who one is, and where").action(async (options) => {
    const { status } = await import("./verbs/auth.ts");
    await status(options as Parameters<typeof status>[0]);
  });
}

function addTenants(program: Command): void {
  const tenants = group(program, "tenants", "Namespaces of teams");
  const shown = columns("name", "display_name", "state", "max_running", "weight", "created_at");
  const path = platformPath("tenants");
  verb(tenants, "list", "All that one may see", shown, (server) => server.list(path, "tenants"));
  verb(
    tenants,
    "get <tenant>",
    "One tenant",
    [...shown, ...columns("limits", "egress", "allow_sources")],
    (server, [name]) => server.get(platformPath("tenants", tenantOf(name))),
  );
  verb(
    tenants,
    "create <name>",
    "A new tenant",
    shown,
    (server, [name], options) =>
      server.send("POST", path, {
        name: tenantOf(name),
        display_name: textOf(options, "displayName") ?? null,
      }),
    [["--display-name <text>", "how people call it"]],
    { example: "airlock tenants create acme" },
  );
  verb(
    tenants,
    "update <tenant>",
    "Change limits, egress or state",
    shown,
    (server, [name], options) => {
      const egress = options["egress"] as readonly string[];
      const sources = options["allowSource"] as readonly string[];
      return server.send("PATCH", platformPath("tenants", tenantOf(name)), {
        ...(textOf(options, "state") === undefined
          ? {}
          : { state: textOf(options, "state") ?? null }),
        ...wholeField(options, "maxRunning", "max_running", "--max-running"),
        ...wholeField(options, "weight", "weight", "--weight"),
        ...(egress.length === 0 ? {} : { egress: egress.map(hostPort) }),
        ...(sources.length === 0 ? {} : { allow_sources: [...sources] }),
      });
    },
    [
      ["--state <state>", "active or suspended"],
      ["--max-running <n>", "task slots it may hold at once"],
      ["--weight <n>", "its share when slots are scarce"],
      ["--egress <host:port>", "where its tasks may connect: the whole list (again)"],
      [
        "--allow-source <host>",
        "plain or private git hosts it may fetch from: the whole list (again)",
      ],
    ],
    {
      example:
        "airlock tenants update acme --egress api.example.org:443 --egress db.example.org:5432",
    },
  );
}

function hostPort(text: string): JsonObject {
  const match = /^(.+):(\d{1,5})$/.exec(text);
  if (!match) throw wrongUse(`${JSON.stringify(text)} is not host:port`);
  return { host: match[1] ?? "", port: Number(match[2]) };
}

function wholeField(options: Options, option: string, field: string, flag: string): JsonObject {
  const text = textOf(options, option);
  return text === undefined ? {} : { [field]: readWhole(flag, text, -1, 2_000_000_000) };
}

function addRepositories(program: Command): void {
  const repositories = group(program, "repositories", "Git repositories of a tenant");
  const shown = columns("name", "state", "commit", "branch", "path", "url", "clone_url");
  const path = (tenant: string, ...more: string[]): string =>
    platformPath("tenants", tenant, "repositories", ...more);
  const one = (text: string | undefined): readonly [string, string] => {
    const ref = readRepositoryRef(text ?? "", true);
    if (!ref.ok) throw wrongUse(ref.problem);
    return [ref.value.tenant, ref.value.repository ?? ""];
  };
  verb(repositories, "list <tenant>", "Those of a tenant", shown, (server, [tenant]) =>
    server.list(path(tenantOf(tenant)), "repositories"),
  );
  verb(
    repositories,
    "get <tenant/repository>",
    "One of them",
    [...shown, ...columns("webhook_url", "checked_at")],
    (server, [name]) => server.get(path(...one(name))),
  );
  verb(
    repositories,
    "create <tenant/repository>",
    "On the built-in host, or, with --url, one that lies elsewhere",
    shown,
    (server, [name], options) => {
      const [tenant, repository] = one(name);
      const key = textOf(options, "deployKey");
      const token = textOf(options, "gitToken");
      const hosts = textOf(options, "knownHosts");
      if ((key === undefined) !== (hosts === undefined))
        throw wrongUse(
          "--deploy-key and --known-hosts belong together",
          "pin the host: ssh-keyscan git.example.org > known_hosts",
        );
      return server.send("POST", path(tenant), {
        name: repository,
        url: textOf(options, "url") ?? null,
        branch: textOf(options, "branch") ?? null,
        path: textOf(options, "path") ?? null,
        credentials:
          token !== undefined
            ? {
                token,
                ...(textOf(options, "gitUser") === undefined
                  ? {}
                  : { username: textOf(options, "gitUser") ?? "" }),
              }
            : key !== undefined && hosts !== undefined
              ? { private_key: readText(key), known_hosts: readText(hosts) }
              : null,
      });
    },
    [
      [
        "--url <url>",
        "https:// or ssh:// (the server's own address comes from AIRLOCK_URL or --profile)",
      ],
      ["--branch <name>", "the one that is deployed (default main)"],
      ["--path <folder>", "a folder of it, where several tenants share one repository"],
      ["--git-token <token>", "for https"],
      ["--git-user <name>", "the user name beside it"],
      ["--deploy-key <file>", "a private key, for ssh"],
      ["--known-hosts <file>", "the host's pinned keys, for ssh"],
    ],
    { ownUrl: true, example: "airlock repositories create acme/pipelines" },
  );
  verb(
    repositories,
    "delete <tenant/repository>",
    "Its DAGs retire, their history stays",
    "deleted",
    (server, [name]) => server.send("DELETE", path(...one(name))),
  );
  verb(
    repositories,
    "sync <tenant/repository>",
    "Look for new commits now",
    "asked for",
    (server, [name]) => server.send("POST", path(...one(name), "sync"), {}),
  );
  verb(
    repositories,
    "webhook-secret <tenant/repository>",
    "A new secret for the git host's webhook, shown once",
    columns("url", "secret"),
    (server, [name]) => server.send("POST", path(...one(name), "webhook-secret"), {}),
  );

  const deploys = group(program, "deploys", "What became of each push");
  verb(
    deploys,
    "list <tenant[/repository]>",
    "Newest first",
    columns(
      "commit",
      "repository",
      "state",
      "dags.new",
      "dags.changed",
      "dags.unchanged",
      "dags.removed",
      "errors",
      "ms",
      "at",
    ),
    async (server, [name], options) => {
      const ref = readRepositoryRef(name ?? "", false);
      if (!ref.ok) throw wrongUse(ref.problem);
      const { tenant, repository } = ref.value;
      const rows = await server.list(
        repository === undefined
          ? platformPath("tenants", tenant, "deploys")
          : path(tenant, repository, "deploys"),
        "deploys",
        {},
        limitOf(options),
      );
      if (options.output !== "table") return rows;
      return rows.map((row) => ({
        ...row,
        commit: String(row["commit"]).slice(0, 10),
        errors: Array.isArray(row["errors"]) ? row["errors"].filter(isObject).map(errorText) : [],
      }));
    },
    [limit],
    { example: "airlock deploys list acme/pipelines" },
  );
  verb(
    deploys,
    "rollback <tenant/repository> [commit]",
    "Go back to a commit that was live, until the next push or until it is taken back with --undo",
    columns("repository", "commit"),
    (server, [name, commit], options) => {
      const at = path(...one(name), "rollback");
      if (options["undo"] === true) {
        if (commit !== undefined) throw wrongUse("--undo takes no commit");
        return server.send("DELETE", at);
      }
      if (commit === undefined)
        throw wrongUse("it needs a commit, or --undo", `airlock deploys list ${name ?? ""}`);
      return server.send("POST", at, { commit });
    },
    [["--undo", "the branch's newest commit goes live again"]],
    { example: "airlock deploys rollback acme/pipelines 1f0c3a9d52" },
  );
}

const errorText = (error: { readonly [key: string]: unknown }): string =>
  `${String(error["path"])}${typeof error["line"] === "number" ? `:${error["line"]}` : ""}: ${String(error["message"])}`;

function addDags(program: Command): void {
  const dags = group(program, "dags", "DAGs of a tenant");
  const shown = columns(
    "dag_id",
    "is_paused",
    "timetable_summary",
    "next_dagrun_run_after",
    "tags",
    "owners",
  );
  const path = (ref: Ref, ...more: string[]): string =>
    apiPath(ref.tenant, "dags", ref.dag ?? "", ...more);
  verb(
    dags,
    "list <tenant>",
    "All that one may see",
    shown,
    (server, [tenant], options) =>
      server.list(
        apiPath(tenantOf(tenant), "dags"),
        "dags",
        {
          tags: options["tag"] as readonly string[],
          dag_id_pattern: textOf(options, "pattern"),
        },
        limitOf(options),
      ),
    [
      limit,
      ["--tag <tag>", "only with this tag (again)"],
      ["--pattern <pattern>", "of the id: % and _ as in SQL"],
    ],
  );
  verb(
    dags,
    "get <tenant/dag>",
    "One DAG",
    [...shown, ...columns("description", "fileloc", "max_active_runs", "max_active_tasks")],
    (server, [name]) => server.get(path(parse(name, "dag"))),
  );
  verb(
    dags,
    "details <tenant/dag>",
    "One DAG with everything that its file says",
    [...shown, ...columns("params", "catchup", "start_date", "timezone")],
    (server, [name]) => server.get(path(parse(name, "dag"), "details")),
  );
  verb(
    dags,
    "versions <tenant/dag>",
    "Its versions",
    columns("version_number", "bundle_version", "created_at"),
    (server, [name]) => server.list(path(parse(name, "dag"), "dagVersions"), "dag_versions"),
  );
  for (const [word, paused] of [
    ["pause", true],
    ["unpause", false],
  ] as const)
    verb(
      dags,
      `${word} <tenant/dag>`,
      paused ? "Plan no more runs" : "Plan runs again",
      columns("dag_id", "is_paused"),
      (server, [name]) =>
        server.send(
          "PATCH",
          path(parse(name, "dag")),
          { is_paused: paused },
          { update_mask: "is_paused" },
        ),
    );
  verb(
    dags,
    "delete <tenant/dag>",
    "Remove a DAG's history (its file makes it anew)",
    "deleted",
    (server, [name]) => server.send("DELETE", path(parse(name, "dag"))),
  );
  verb(
    dags,
    "errors <tenant>",
    "Files that could not be read",
    columns("filename", "timestamp", "stack_trace"),
    (server, [tenant]) => server.list(apiPath(tenantOf(tenant), "importErrors"), "import_errors"),
  );
}

function addRuns(program: Command): void {
  const runs = group(program, "dagrun", "Runs of DAGs");
  const shown = columns(
    "dag_id",
    "dag_run_id",
    "state",
    "run_type",
    "run_after",
    "start_date",
    "end_date",
  );
  verb(
    runs,
    "list <tenant[/dag]>",
    "Newest first",
    shown,
    (server, [name], options) => {
      const ref = refOf(name ?? "", "tenant", "dag");
      const query: Query = { order_by: "-run_after", state: textOf(options, "state") };
      return server.list(
        apiPath(ref.tenant, "dags", ref.dag ?? "~", "dagRuns"),
        "dag_runs",
        query,
        limitOf(options),
      );
    },
    [limit, ["--state <state>", "queued, running, success or failed"]],
  );
  const path = (ref: Ref, ...more: string[]): string =>
    apiPath(ref.tenant, "dags", ref.dag ?? "", "dagRuns", ref.run ?? "", ...more);
  verb(
    runs,
    "get <tenant/dag/run>",
    "One run",
    [...shown, ...columns("conf", "note", "triggering_user_name")],
    (server, [name]) => server.get(path(parse(name, "run"))),
  );
  verb(
    runs,
    "delete <tenant/dag/run>",
    "Remove a run with its history",
    "deleted",
    (server, [name]) => server.send("DELETE", path(parse(name, "run"))),
  );

  const tasks = group(program, "tasks", "Tasks and their instances");
  verb(
    tasks,
    "list <tenant/dag>",
    "Tasks of a DAG",
    columns("task_id", "operator_name", "downstream_task_ids", "trigger_rule", "retries", "pool"),
    (server, [name]) => {
      const ref = parse(name, "dag");
      return server.list(apiPath(ref.tenant, "dags", ref.dag ?? "", "tasks"), "tasks");
    },
  );
  const instance = columns("task_id", "map_index", "state", "try_number", "start_date", "duration");
  verb(
    tasks,
    "states-for-dag-run <tenant/dag/run>",
    "How every instance of a run stands",
    instance,
    (server, [name]) => server.list(path(parse(name, "run"), "taskInstances"), "task_instances"),
  );
  verb(
    tasks,
    "tries <tenant/dag/run/task>",
    "Every try of an instance",
    [...instance, ...columns("hostname")],
    (server, [name]) => {
      const ref = parse(name, "task");
      const index = ref.map_index === undefined ? [] : [String(ref.map_index)];
      return server.list(
        path(ref, "taskInstances", ref.task ?? "", ...index, "tries"),
        "task_instances",
      );
    },
  );
}

function addXComs(program: Command): void {
  const xcom = group(program, "xcom", "What tasks hand on");
  const path = (ref: Ref, ...more: string[]): string =>
    apiPath(
      ref.tenant,
      "dags",
      ref.dag ?? "",
      "dagRuns",
      ref.run ?? "",
      "taskInstances",
      ref.task ?? "",
      "xcomEntries",
      ...more,
    );
  const shown = columns("task_id", "map_index", "key", "timestamp");
  verb(xcom, "list <tenant/dag/run[/task]>", "Keys of a run or task", shown, (server, [name]) => {
    const ref = refOf(name ?? "", "run", "task");
    return server.list(path({ ...ref, task: ref.task ?? ("~" as never) }), "xcom_entries");
  });
  verb(
    xcom,
    "get <tenant/dag/run/task>",
    "One value",
    columns("key", "value"),
    (server, [name], options) => {
      const ref = parse(name, "task");
      return server.get(path(ref, textOf(options, "key") ?? "return_value"), {
        map_index: ref.map_index ?? -1,
      });
    },
    [["--key <key>", "default return_value"]],
  );
  verb(
    xcom,
    "set <tenant/dag/run/task> <json>",
    "Write a value",
    columns("key", "value"),
    (server, [name, value], options) => {
      const ref = parse(name, "task");
      return server.send("POST", path(ref), {
        key: textOf(options, "key") ?? "return_value",
        value: readJsonOption("the value", value ?? ""),
        map_index: ref.map_index ?? -1,
      });
    },
    [["--key <key>", "default return_value"]],
  );
  verb(
    xcom,
    "delete <tenant/dag/run/task>",
    "Remove a value",
    "deleted",
    (server, [name], options) => {
      const ref = parse(name, "task");
      return server.send("DELETE", path(ref, textOf(options, "key") ?? "return_value"), undefined, {
        map_index: ref.map_index ?? -1,
      });
    },
    [["--key <key>", "default return_value"]],
  );
}

function addPools(program: Command): void {
  const pools = group(program, "pools", "Slots that tasks share");
  const shown = columns(
    "name",
    "slots",
    "occupied_slots",
    "running_slots",
    "queued_slots",
    "open_slots",
    "description",
  );
  const path = (tenant: string, ...more: string[]): string => apiPath(tenant, "pools", ...more);
  const options = [
    ["--description <text>", "for people"],
    ["--include-deferred", "count deferred tasks as well"],
  ] as const;
  const fields = (given: Options): JsonObject => ({
    ...(textOf(given, "description") === undefined
      ? {}
      : { description: textOf(given, "description") ?? "" }),
    ...(given["includeDeferred"] === true ? { include_deferred: true } : {}),
  });
  verb(pools, "list <tenant>", "All of a tenant", shown, (server, [tenant]) =>
    server.list(path(tenantOf(tenant)), "pools"),
  );
  verb(pools, "get <tenant/pool>", "One of them", shown, (server, [name]) => {
    const pool = named(name, "pool");
    return server.get(path(pool.tenant, pool.name));
  });
  verb(
    pools,
    "create <tenant/pool> <slots>",
    "A new one",
    shown,
    (server, [name, slots], given) => {
      const pool = named(name, "pool");
      return server.send("POST", path(pool.tenant), {
        name: pool.name,
        slots: readWhole("slots", slots ?? "", 0, 1_000_000),
        ...fields(given),
      });
    },
    options,
  );
  verb(
    pools,
    "update <tenant/pool> <slots>",
    "Change one",
    shown,
    (server, [name, slots], given) => {
      const pool = named(name, "pool");
      const body = { slots: readWhole("slots", slots ?? "", 0, 1_000_000), ...fields(given) };
      return server.send("PATCH", path(pool.tenant, pool.name), body, {
        update_mask: Object.keys(body),
      });
    },
    options,
  );
  verb(pools, "delete <tenant/pool>", "Remove one", "deleted", (server, [name]) => {
    const pool = named(name, "pool");
    return server.send("DELETE", path(pool.tenant, pool.name));
  });
}

function addConnections(program: Command): void {
  const connections = group(
    program,
    "connections",
    "How tasks reach other systems; passwords are never shown",
  );
  const shown = columns(
    "connection_id",
    "conn_type",
    "host",
    "port",
    "schema",
    "login",
    "description",
  );
  const path = (tenant: string, ...more: string[]): string =>
    apiPath(tenant, "connections", ...more);
  const options = [
    ["--uri <uri>", "all in one: postgres://user:password@host:5432/schema"],
    ["--json <json>", "all in one, with Airflow's field names"],
    ["--conn-type <type>", "such as postgres or http"],
    ["--host <host>", ""],
    ["--port <port>", ""],
    ["--schema <schema>", ""],
    ["--login <name>", ""],
    ["--password-stdin", "read the password from standard input"],
    ["--extra <json>", ""],
    ["--description <text>", "for people"],
  ] as const;
  verb(connections, "list <tenant>", "All that one may see", shown, (server, [tenant]) =>
    server.list(path(tenantOf(tenant)), "connections"),
  );
  verb(
    connections,
    "get <tenant/connection>",
    "One of them",
    [...shown, ...columns("extra")],
    (server, [name]) => {
      const connection = named(name, "connection");
      return server.get(path(connection.tenant, connection.name));
    },
  );
  verb(
    connections,
    "create <tenant/connection>",
    "A new one",
    shown,
    async (server, [name], given) => {
      const connection = named(name, "connection");
      return server.send("POST", path(connection.tenant), {
        connection_id: connection.name,
        ...(await connectionFields(connection.name, given)),
      });
    },
    options,
    {
      example:
        "airlock connections create acme/warehouse --uri postgres://etl:secret@db.example.org:5432/dwh",
    },
  );
  verb(
    connections,
    "update <tenant/connection>",
    "Change one",
    shown,
    async (server, [name], given) => {
      const connection = named(name, "connection");
      const fields = await connectionFields(connection.name, given);
      return server.send(
        "PATCH",
        path(connection.tenant, connection.name),
        { connection_id: connection.name, ...fields },
        { update_mask: Object.keys(fields) },
      );
    },
    options,
  );
  verb(connections, "delete <tenant/connection>", "Remove one", "deleted", (server, [name]) => {
    const connection = named(name, "connection");
    return server.send("DELETE", path(connection.tenant, connection.name));
  });
  verb(
    connections,
    "import <tenant> <file>",
    "From a file as Airflow exports it (.json, .yaml, .env)",
    columns("created", "changed"),
    async (server, [tenant, file]) => {
      const { readConnections } = await import("../local/read-things.ts");
      const read = readConnections({ name: file ?? "", text: readText(file ?? "") });
      if (!read.ok) throw wrongUse(read.problem);
      const into = tenantOf(tenant);
      return importAll(
        server,
        path(into),
        "connections",
        "connection_id",
        [...read.value.values()].map(({ conn_id, ...rest }) => ({
          connection_id: conn_id,
          ...rest,
        })),
      );
    },
  );
}

async function connectionFields(id: string, given: Options): Promise<JsonObject> {
  const { readConnection } = await import("../local/read-things.ts");
  const whole = textOf(given, "uri") ?? textOf(given, "json");
  let fields: { [name: string]: Json } = {};
  if (whole !== undefined) {
    const read = readConnection(id, whole);
    if (!read.ok) throw wrongUse(read.problem);
    const { conn_id: _, ...rest } = read.value;
    fields = { ...rest };
  }
  const port = textOf(given, "port");
  const password = given["passwordStdin"] === true ? await readSecret("Password") : undefined;
  for (const [field, value] of [
    ["conn_type", textOf(given, "connType")],
    ["host", textOf(given, "host")],
    ["schema", textOf(given, "schema")],
    ["login", textOf(given, "login")],
    ["password", password],
    ["extra", textOf(given, "extra")],
    ["description", textOf(given, "description")],
  ] as const)
    if (value !== undefined) fields[field] = value;
  if (port !== undefined) fields["port"] = readWhole("--port", port, 0, 65_535);
  return fields;
}

function addVariables(program: Command): void {
  const variables = group(program, "variables", "Values that DAGs read");
  const shown = columns("key", "value", "description");
  const path = (tenant: string, ...more: string[]): string => apiPath(tenant, "variables", ...more);
  const options = [["--description <text>", "for people"]] as const;
  verb(variables, "list <tenant>", "All that one may see", shown, (server, [tenant]) =>
    server.list(path(tenantOf(tenant)), "variables"),
  );
  verb(variables, "get <tenant/key>", "One of them", shown, (server, [name]) => {
    const variable = named(name, "key");
    return server.get(path(variable.tenant, variable.name));
  });
  verb(
    variables,
    "create <tenant/key> <value>",
    "A new one",
    shown,
    (server, [name, value], given) => {
      const variable = named(name, "key");
      return server.send("POST", path(variable.tenant), {
        key: variable.name,
        value: value ?? "",
        description: textOf(given, "description") ?? null,
      });
    },
    options,
  );
  verb(
    variables,
    "update <tenant/key> <value>",
    "Change one",
    shown,
    (server, [name, value], given) => {
      const variable = named(name, "key");
      const description = textOf(given, "description");
      const body = { value: value ?? "", ...(description === undefined ? {} : { description }) };
      return server.send(
        "PATCH",
        path(variable.tenant, variable.name),
        { key: variable.name, ...body },
        { update_mask: Object.keys(body) },
      );
    },
    options,
  );
  verb(variables, "delete <tenant/key>", "Remove one", "deleted", (server, [name]) => {
    const variable = named(name, "key");
    return server.send("DELETE", path(variable.tenant, variable.name));
  });
  verb(
    variables,
    "import <tenant> <file>",
    "From a file as Airflow exports it (.json, .yaml, .env)",
    columns("created", "changed"),
    async (server, [tenant, file]) => {
      const { readVariables } = await import("../local/read-things.ts");
      const read = readVariables({ name: file ?? "", text: readText(file ?? "") });
      if (!read.ok) throw wrongUse(read.problem);
      return importAll(
        server,
        path(tenantOf(tenant)),
        "variables",
        "key",
        [...read.value].map(([key, value]) => ({ key, value })),
      );
    },
  );
}

/** New ones are made, those that exist are changed; the first refusal ends it, saying which. */
async function importAll(
  server: Server,
  path: string,
  list: string,
  idField: string,
  rows: readonly { readonly [field: string]: Json }[],
): Promise<unknown> {
  const before = new Set((await server.list(path, list)).map((row) => text(row, idField)));
  const created: string[] = [];
  const changed: string[] = [];
  for (const row of rows) {
    const id = text(row, idField);
    if (before.has(id)) {
      await server.send("PATCH", `${path}/${encodeURIComponent(id)}`, row);
      changed.push(id);
    } else {
      await server.send("POST", path, row);
      created.push(id);
    }
  }
  return { created, changed };
}

function addPeople(program: Command): void {
  const users = group(program, "users", "People");
  const shown = columns("name", "display_name", "email", "state", "groups", "signed_in_at");
  const path = platformPath("users");
  verb(users, "list", "Everybody", shown, (server) => server.list(path, "users"));
  verb(users, "get <name>", "One of them", shown, (server, [name]) =>
    server.get(platformPath("users", name ?? "")),
  );
  verb(
    users,
    "create <name>",
    "Somebody new; the password is asked for, or read from standard input",
    shown,
    async (server, [name], options) =>
      server.send("POST", path, {
        name: name ?? "",
        display_name: textOf(options, "displayName") ?? null,
        email: textOf(options, "email") ?? null,
        password: options["password"] === false ? null : await readSecret("Password", true),
      }),
    [
      ["--display-name <text>", "how people call them"],
      ["--email <address>", ""],
      ["--no-password", "they sign in by other means"],
    ],
  );
  for (const [word, state] of [
    ["disable", "disabled"],
    ["enable", "active"],
  ] as const)
    verb(
      users,
      `${word} <name>`,
      state === "disabled" ? "Their sessions end at once" : "They may sign in again",
      shown,
      (server, [name]) => server.send("PATCH", platformPath("users", name ?? ""), { state }),
    );
  verb(
    users,
    "delete <name>",
    "Remove somebody with all rights, sessions and tokens",
    "deleted",
    (server, [name]) => server.send("DELETE", platformPath("users", name ?? "")),
  );
  verb(
    users,
    "passwd <name>",
    "Set a password; it is asked for, or read from standard input",
    "the password is set; their sessions have ended",
    async (server, [name], options) => {
      const old_password = options["old"] === true ? await readSecret("Old password") : null;
      return server.send("PUT", platformPath("users", name ?? "", "password"), {
        password: await readSecret("New password", true),
        old_password,
      });
    },
    [["--old", "ask for the old one first: needed for one's own without an admin's rights"]],
  );
}

function addRights(program: Command): void {
  const base = (tenant: string | undefined, what: "roles" | "grants"): string =>
    tenant === undefined
      ? platformPath(what === "roles" ? "admins" : "grants")
      : platformPath("tenants", tenantOf(tenant), what);
  const subject = (text: string | undefined): string => {
    if (text === undefined || text === "")
      throw wrongUse("a subject is missing", "write user:ada or group:data");
    return text.includes(":") || text === "anonymous" ? text : `user:${text}`;
  };
  const whose = ["--tenant <tenant>", "in this tenant; left out: on the whole platform"] as const;
  const builtIn = new Set(["public", "viewer", "user", "op", "admin"]);
  const role = (text: string | undefined): string =>
    builtIn.has((text ?? "").toLowerCase()) ? (text ?? "").toLowerCase() : (text ?? "");

  const roles = group(program, "roles", "Who is what");
  verb(
    roles,
    "list",
    "Who has which role",
    columns("subject", "role"),
    (server, _, options) => server.list(base(textOf(options, "tenant"), "roles"), "roles"),
    [whose],
  );
  verb(
    roles,
    "catalogue",
    "The built-in roles and what each may do",
    columns("name", "deeds"),
    async (server) => {
      const answer = await server.get(platformPath("roles"));
      return isObject(answer) ? answer["roles"] : [];
    },
  );
  verb(
    roles,
    "add <subject> <role>",
    "Give a role",
    columns("subject", "role"),
    (server, [who, what], options) =>
      server.send("POST", base(textOf(options, "tenant"), "roles"), {
        subject: subject(who),
        role: role(what),
      }),
    [whose],
    { example: "airlock roles add ada viewer --tenant acme" },
  );
  verb(
    roles,
    "remove <subject> <role>",
    "Take a role away",
    "removed",
    (server, [who, what], options) =>
      server.send("DELETE", base(textOf(options, "tenant"), "roles"), undefined, {
        subject: subject(who),
        role: role(what),
      }),
    [whose],
  );

  const grants = group(program, "grants", "Who may do what on which thing");
  const shown = columns("subject", "thing", "deed", "effect");
  const rule = (
    args: readonly string[],
    options: Options,
  ): { subject: string; thing: string; deed: string; effect: string } => ({
    subject: subject(args[0]),
    deed: args[1] ?? "",
    thing: args[2] ?? "",
    effect: options["deny"] === true ? "deny" : "allow",
  });
  const deny = ["--deny", "forbid it: that outweighs every permission"] as const;
  verb(
    grants,
    "list",
    "All rules",
    shown,
    (server, _, options) => server.list(base(textOf(options, "tenant"), "grants"), "grants"),
    [whose],
  );
  verb(
    grants,
    "add <subject> <deed> <thing>",
    "Add a rule",
    shown,
    (server, args, options) =>
      server.send("POST", base(textOf(options, "tenant"), "grants"), rule(args, options)),
    [whose, deny],
    { example: "airlock grants add ada run.trigger dag:orders_etl --tenant acme" },
  );
  verb(
    grants,
    "remove <subject> <deed> <thing>",
    "Take a rule away",
    "removed",
    (server, args, options) =>
      server.send(
        "DELETE",
        base(textOf(options, "tenant"), "grants"),
        undefined,
        rule(args, options),
      ),
    [whose, deny],
  );

  const tokens = group(program, "tokens", "What programs sign in with");
  const token = columns("id", "name", "user", "tenant", "scopes", "expires_at", "last_used_at");
  verb(tokens, "list", "One's own; for an admin everybody's", token, (server) =>
    server.list(platformPath("tokens"), "tokens"),
  );
  verb(
    tokens,
    "create <name>",
    "A new one, shown this once",
    [...token, ...columns("token")],
    (server, [name], options) => {
      const scopes = options["scope"] as readonly string[];
      return server.send("POST", platformPath("tokens"), {
        name: name ?? "",
        tenant: textOf(options, "tenant") ?? null,
        scopes: scopes.length === 0 ? null : [...scopes],
        ...wholeField(options, "days", "expires_in_days", "--days"),
      });
    },
    [
      ["--tenant <tenant>", "good for this tenant alone"],
      ["--scope <deed>", "good for this deed alone, such as run.trigger (again)"],
      ["--days <n>", "good for so many days"],
    ],
  );
  verb(tokens, "revoke <id>", "End one, at once", "revoked", (server, [id]) =>
    server.send("DELETE", platformPath("tokens", id ?? "")),
  );
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw wrongUse(`${file} cannot be read`);
  }
}

async function readSecret(prompt: string, twice = false): Promise<string> {
  const { askSecret } = await import("./ask-secret.ts");
  return askSecret(prompt, twice);
}
