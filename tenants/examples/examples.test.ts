/**
 * The sample tenants as the platform runs them: their files through the real guests in the real sandbox, every
 * DAG to its end as `airlock run` does it, against a real Postgres and a board that echoes.
 */
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { checkParams } from "../../platform/local/check-params.ts";
import { Results } from "../../platform/local/keep-results.ts";
import { runDag } from "../../platform/local/run-dag.ts";
import type { DagSpec, GuestKind } from "../../platform/model/dag-spec.ts";
import type { GuestKey, ParsedFile, ParseHost } from "../../platform/model/guest.ts";
import { known } from "../../platform/model/ids.ts";
import type { JsonObject } from "../../platform/model/json.ts";
import { readDagSpec } from "../../platform/model/read-dag-spec.ts";
import { ensureSampleDatabase } from "../../platform/store/sample-database.ts";
import { type Environments, openEnvironments } from "../environments/open-environments.ts";
import { bundleGuest } from "../guest/node/bundle-guest.ts";
import { defaultLimits } from "../registry/limits.ts";
import { openSandbox, type Sandbox } from "../sandbox/open-sandbox.ts";
import { type OpenGuests, openGuests } from "../supervisor/open-guests.ts";
import { type SampleTenant, sampleTenants } from "./seed.ts";

const folders = ["acme", "globex", "initech"] as const;
const dagFiles = {
  acme: ["dags/city_pulse.py", "dags/orders_etl.py", "dags/stock_check.py"],
  globex: ["dags/bikes_daily.dag.ts", "dags/bikes_now.dag.ts"],
  initech: ["dags/air_now.dag.yaml", "dags/air_quality.dag.yaml"],
} as const;
/** The page that a run draws, and something that must be on it. */
const reports: Readonly<Record<string, { readonly name: string; readonly shows: RegExp }>> = {
  "dags/orders_etl.py": { name: "orders.html", shows: /<svg[^]*Altstadt[^]*EUR/ },
  "dags/stock_check.py": {
    name: "stock.txt",
    shows: /counted on 2026-09-15, next look on 2026-09-16/,
  },
  "dags/bikes_daily.dag.ts": { name: "bikes.html", shows: /<svg[^]*Lake path counted most/ },
  "dags/air_quality.dag.yaml": { name: "air.html", shows: /<svg[^]*Motorway bridge/ },
};
/** What the message board hears of a run. */
const told: Readonly<Record<string, readonly string[]>> = {
  "dags/bikes_now.dag.ts": ["bikes"],
  "dags/air_now.dag.yaml": ["air"],
  "dags/air_quality.dag.yaml": ["air"],
};

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
}, 300_000);
afterAll(() => stage.close());

test("every file of a sample is small, and every DAG file is known here", () => {
  for (const folder of folders) {
    const files = filesOf(join(import.meta.dirname, folder));
    expect(
      files.filter((file) => statSync(join(import.meta.dirname, folder, file)).size > 300_000),
    ).toEqual([]);
    expect(files.filter((file) => /^dags\/[^/]+\.(?:py|dag\.ts|dag\.yaml)$/.test(file))).toEqual(
      dagFiles[folder],
    );
  }
});

test("the samples' README names every DAG file", () => {
  for (const folder of folders) {
    const text = readFileSync(join(import.meta.dirname, folder, "README.md"), "utf8");
    for (const file of dagFiles[folder]) expect(text).toContain(`\`${file}\``);
  }
});

describe.each(folders)("%s", (folder) => {
  test("its files are read without an error or a warning, and one of its DAGs runs every few minutes", async () => {
    const parsed = await stage.parse(folder);
    expect(parsed.map(({ path }) => path).toSorted()).toEqual(dagFiles[folder]);
    for (const { errors, warnings } of parsed) expect([...errors, ...warnings]).toEqual([]);
    const specs = parsed.flatMap(specsOf);
    expect(specs).toHaveLength(dagFiles[folder].length);
    const everyFewMinutes = specs.filter(
      ({ timetable }) =>
        timetable.kind === "cron_trigger" && /^\*\/[3-5] /.test(timetable.expression),
    );
    expect(everyFewMinutes).toHaveLength(1);
    for (const spec of specs) expect(spec).toMatchObject({ catchup: false, max_active_runs: 1 });
  }, 120_000);

  test.each(dagFiles[folder])(
    "%s runs to success",
    async (file) => {
      stage.heard.length = 0;
      const ran = await stage.run(folder, file, {});
      expect(ran.failures).toEqual([]);
      expect(ran.state).toBe("success");
      const report = reports[file];
      if (report !== undefined) expect(ran.artifacts.get(report.name)).toMatch(report.shows);
      const boards = told[file] ?? [];
      expect(stage.heard).toMatchObject(boards.map((board) => ({ board })));
    },
    120_000,
  );
});

test("a second run, by the other branch, leaves the same tables", async () => {
  const before = await stage.tables();
  expect(Object.keys(before).toSorted()).toEqual([
    "air_days",
    "air_readings",
    "bikes_per_day",
    "orders_by_district",
  ]);
  stage.heard.length = 0;
  const orders = await stage.run("acme", "dags/orders_etl.py", { report_from_eur: 9_000_000 });
  expect(orders.instances).toMatchObject({
    report: "skipped",
    quiet_day: "success",
    done: "success",
  });
  expect(orders.artifacts.size).toBe(0);
  const bikes = await stage.run("globex", "dags/bikes_daily.dag.ts", { report: "never" });
  expect(bikes.instances).toMatchObject({
    report: "skipped",
    no_report: "success",
    done: "success",
  });
  const air = await stage.run("initech", "dags/air_quality.dag.yaml", { alarm_from: 99 });
  expect(air.instances).toMatchObject({ alarm: "skipped", all_clear: "success", done: "success" });
  expect(stage.heard).toEqual([]);
  expect(await stage.run("initech", "dags/air_now.dag.yaml", {})).toMatchObject({
    state: "success",
  });
  expect(await stage.tables()).toEqual(before);
}, 240_000);

test("orders_etl tries again after a failure, adds up one product, and draws its report", async () => {
  const ran = await stage.run("acme", "dags/orders_etl.py", {
    first_try_fails: true,
    product: "year",
  });
  expect(ran.failures).toEqual([expect.stringContaining("the open-data portal is having a rest")]);
  expect(ran.state).toBe("success");
  expect(ran.instances).toMatchObject({
    extract: "success",
    report: "success",
    quiet_day: "skipped",
  });
  expect(Object.keys(ran.instances).filter((name) => name.startsWith("add_up["))).toHaveLength(8);
  expect(ran.artifacts.get("orders.html")).toMatch(/<svg[^]*Altstadt[^]*EUR/);
}, 120_000);

// ---- the stage --------------------------------------------------------------------------------------------

type Folder = (typeof folders)[number];
type Ran = {
  readonly state: string;
  /** By task id, `task[index]` if mapped. */
  readonly instances: Readonly<Record<string, string | null>>;
  /** Why tries failed, in order. */
  readonly failures: readonly string[];
  /** Text by name. */
  readonly artifacts: ReadonlyMap<string, string>;
};
type Stage = {
  parse(folder: Folder): Promise<readonly ParsedFile[]>;
  run(folder: Folder, file: string, conf: JsonObject): Promise<Ran>;
  /** Rows of each table, without what names the run. */
  tables(): Promise<Readonly<Record<string, readonly object[]>>>;
  /** What the board was told. */
  readonly heard: unknown[];
  close(): Promise<void>;
};

async function setStage(): Promise<Stage> {
  const home = mkdtempSync(join(tmpdir(), "airlock-samples-"));
  chmodSync(home, 0o755);
  const heard: unknown[] = [];
  const board = await openBoard(heard);
  const warehouse = await ensureSampleDatabase(inject("postgresUrl"), "samples-password");
  const sql = postgres({
    ...warehouse,
    username: warehouse.login,
    onnotice: () => undefined,
    max: 1,
  });
  const address = board.address();
  if (address === null || typeof address === "string") throw new Error("the board has no port");
  const seeds = sampleTenants({ warehouse, echo: { host: "127.0.0.1", port: address.port } });
  const sandbox = await openSandbox({ stateDir: home });
  const environments = openEnvironments({ sandbox, folder: join(home, "environments") });
  const guests = openGuests({
    sandbox,
    stateDir: join(home, "state"),
    programs: await placePrograms(home),
  });
  const bundles = new Map<Folder, Promise<Bundle>>();
  const bundleOf = (folder: Folder): Promise<Bundle> => {
    const bundle = bundles.get(folder) ?? openBundle(folder, home, seeds, sandbox, environments);
    bundles.set(folder, bundle);
    return bundle;
  };
  return {
    heard,
    async parse(folder) {
      const bundle = await bundleOf(folder);
      return parseFiles(guests, bundle, dagFiles[folder]);
    },
    async run(folder, file, conf) {
      const bundle = await bundleOf(folder);
      const [spec] = (await parseFiles(guests, bundle, [file])).flatMap(specsOf);
      if (spec === undefined) throw new Error(`${file} has no DAG`);
      return runToEnd({ spec, file, bundle, guests, conf, home });
    },
    async tables() {
      const names = await sql<{ name: string }[]>`
        select table_name as name from information_schema.tables where table_schema = 'public' order by 1`;
      const found: Record<string, readonly object[]> = {};
      for (const { name } of names) {
        const rows = await sql<Record<string, unknown>[]>`select * from ${sql(name)} order by 1, 2`;
        found[name] = rows.map((row) => ({ ...row, loaded_by: null, at: null }));
      }
      return found;
    },
    async close() {
      await guests.close();
      await sandbox.close();
      await sql.end({ timeout: 2 });
      await new Promise((done) => board.close(done));
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** As the platform's own echo route: whatever comes is answered as JSON. */
async function openBoard(heard: unknown[]): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const body: unknown = text === "" ? null : JSON.parse(text);
      if (body !== null) heard.push(body);
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ method: request.method, path: request.url, body }));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

async function placePrograms(
  home: string,
): Promise<{ readonly [kind in GuestKind]: { readonly dir: string; readonly entry: string } }> {
  const node = join(home, "guest-node");
  await bundleGuest(node);
  const python = join(home, "guest-python");
  cpSync(join(import.meta.dirname, "../guest/python"), python, {
    recursive: true,
    filter: (path) => !path.includes("__pycache__"),
  });
  return { node: { dir: node, entry: "main.js" }, python: { dir: python, entry: "main.py" } };
}

type Bundle = {
  readonly seed: SampleTenant;
  readonly keyOf: (kind: GuestKind, level: DagSpec["level"]) => GuestKey;
  readonly host: ParseHost;
};

async function openBundle(
  folder: Folder,
  home: string,
  seeds: readonly SampleTenant[],
  sandbox: Sandbox,
  environments: Environments,
): Promise<Bundle> {
  const seed = seeds.find((one) => one.folder === folder);
  if (seed === undefined) throw new Error(`the seed has no tenant for ${folder}`);
  const bundleDir = join(home, "bundles", folder);
  cpSync(join(import.meta.dirname, folder), bundleDir, { recursive: true });
  const tenant = known.tenant(seed.tenant);
  // Only root can give a tenant a user of its own.
  const uid = sandbox.root ? 61_200 : (process.getuid?.() ?? 0);
  const python = await environments.ensure({ tenant, uid, bundleDir });
  if (!python.ok) throw new Error(`${folder}: ${python.problem.message} ${python.problem.hint}`);
  const node = { hash: "default", interpreter: sandbox.node() };
  return {
    seed,
    keyOf: (kind, level) => ({
      tenant,
      uid,
      kind,
      repository: known.repository(seed.repository),
      commit: known.commit("0".repeat(40)),
      bundleDir,
      environment: kind === "node" ? node : python.value,
      level,
      grants: "*",
      egress: seed.egress,
      limits: defaultLimits,
    }),
    host: {
      getConnection: async (id) => seed.connections.find(({ conn_id }) => conn_id === id),
      getVariable: async (key) => seed.variables.find((one) => one.key === key)?.value,
    },
  };
}

const never = new AbortController().signal;

async function parseFiles(
  guests: OpenGuests,
  bundle: Bundle,
  files: readonly string[],
): Promise<readonly ParsedFile[]> {
  const kind: GuestKind = files[0]?.endsWith(".py") ? "python" : "node";
  const request = { key: bundle.keyOf(kind, "3"), files, dagsFolder: "dags" };
  const parsed: ParsedFile[] = [];
  for await (const one of guests.parse(request, bundle.host, never)) parsed.push(one);
  return parsed;
}

const specsOf = ({ path, dags }: ParsedFile): DagSpec[] =>
  dags.map((raw) => {
    const spec = readDagSpec(raw);
    if (!spec.ok) throw new Error(`${path}: ${JSON.stringify(spec.problem)}`);
    return spec.value;
  });

type Play = {
  readonly spec: DagSpec;
  readonly file: string;
  readonly bundle: Bundle;
  readonly guests: OpenGuests;
  readonly conf: JsonObject;
  readonly home: string;
};

async function runToEnd({ spec, file, bundle, guests, conf, home }: Play): Promise<Ran> {
  const { seed, keyOf } = bundle;
  const params = checkParams(spec, conf);
  if (!params.ok) throw new Error(params.problem);
  const artifactsDir = mkdtempSync(join(home, "artifacts-"));
  const failures: string[] = [];
  const ran = await runDag({
    spec,
    dagFile: file,
    guests,
    keyOf: async (kind) => keyOf(kind, spec.level),
    conf,
    params: params.value,
    logicalDateMs: Date.UTC(2026, 8, 15, 6),
    things: {
      connections: new Map(seed.connections.map((one) => [one.conn_id, one])),
      variables: new Map(seed.variables.map(({ key, value }) => [key, value])),
    },
    results: new Results(),
    artifactsDir,
    concurrency: 2,
    onEvent(event) {
      if (event.kind === "state" && (event.state === "up_for_retry" || event.state === "failed"))
        failures.push(event.reason ?? "");
    },
    signal: never,
  });
  return {
    state: ran.state,
    failures,
    artifacts: new Map(
      filesOf(artifactsDir).map((path) => [
        basename(path),
        readFileSync(join(artifactsDir, path), "utf8"),
      ]),
    ),
    instances: Object.fromEntries(
      ran.instances.map(({ task_id, map_index, state }) => [
        map_index < 0 ? task_id : `${task_id}[${map_index}]`,
        state,
      ]),
    ),
  };
}

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => statSync(join(folder, file)).isFile())
    .toSorted();
