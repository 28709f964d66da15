import { createHmac, randomUUID } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { bad, good } from "../../platform/model/answer.ts";
import type { DagSpec } from "../../platform/model/dag-spec.ts";
import type { FileProblem, ParsedFile, ParseRequest } from "../../platform/model/guest.ts";
import { known } from "../../platform/model/ids.ts";
import { isObject } from "../../platform/model/json.ts";
import { listImportErrors } from "../../platform/store/dag-files.ts";
import { listDeploys } from "../../platform/store/deploys.ts";
import { openStore, type Store } from "../../platform/store/open.ts";
import {
  changeRepository,
  createRepository,
  findLiveCommits,
  holdCommit,
  leaseRepository,
  listWanted,
  readRepository,
  removeRepository,
  takeHoldBack,
  wantSync,
} from "../../platform/store/repositories.ts";
import { openDatabase, type TestDatabase } from "../../test/kit/database.ts";
import {
  commit,
  git,
  gitAside,
  type LoopbackServer,
  newRepository,
  serveHttp,
  temporaryFolder,
} from "../../test/kit/git.ts";
import { removeTree } from "../source/check-out.ts";
import { createHosted, hostedDir } from "../source/hosted-repository.ts";
import { serveGit } from "../source/serve-git.ts";
import { answerPush } from "./answer-push.ts";
import { ensureBundle } from "./ensure-bundle.ts";
import { forgetRepository } from "./forget-repository.ts";
import { receiveWebhook } from "./receive-webhook.ts";
import { runSyncs, type Syncs } from "./run-syncs.ts";
import { type DeployResult, type SyncDeps, syncRepository } from "./sync-repository.ts";

/**
 * A guest for these tests: a file says in its own words what a parse of it finds.
 * `dag a schedule=…`, `import PATH`, `error LINE TEXT`, `hang`.
 */
const parses: string[] = [];
async function* fakeParse(
  { key, files }: ParseRequest,
  _host: unknown,
  signal: AbortSignal,
): AsyncGenerator<ParsedFile> {
  for (const path of files) {
    parses.push(path);
    const errors: FileProblem[] = [];
    const dags: unknown[] = [];
    const inputs = [path];
    for (const line of readFileSync(join(key.bundleDir, path), "utf8").split("\n")) {
      const [word, first = "", ...rest] = line.split(" ");
      if (word === "dag") dags.push(rawSpec(first, rest[0]?.replace("schedule=", "")));
      if (word === "import") inputs.push(first);
      if (word === "error")
        errors.push({ line: Number(first), message: rest.join(" "), hint: "mend it" });
      if (word === "hang")
        await new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(new Error("stopped")), { once: true }),
        );
    }
    if (readFileSync(join(key.bundleDir, path), "utf8").includes("silent")) continue;
    yield { path, dags, errors, warnings: [], inputs, packages: ["pandas"], ms: 1 };
  }
}

const rawSpec = (dag_id: string, schedule?: string): Record<string, unknown> => ({
  dag_id,
  tags: [],
  owners: ["airflow"],
  level: "3",
  guest: "python",
  timezone: "UTC",
  catchup: false,
  max_active_runs: 16,
  max_active_tasks: 16,
  timetable:
    schedule === undefined
      ? { kind: "none" }
      : { kind: "cron_trigger", expression: schedule, timezone: "UTC", interval_s: 0 },
  max_consecutive_failed_dag_runs: 0,
  fail_fast: false,
  params: {},
  render_template_as_native_obj: false,
  has_success_callback: false,
  has_failure_callback: false,
  groups: [],
  tasks: [],
});

const containing = (text: string): unknown => expect.stringContaining(text);
const place = temporaryFolder();
const acme = known.tenant("acme");
const globex = known.tenant("globex");
const pipelines = known.repository("pipelines");
const folders = {
  hosted: join(place, "hosted"),
  mirrors: join(place, "mirrors"),
  bundles: join(place, "bundles"),
  temporary: join(place, "temporary"),
};
let database: TestDatabase;
let store: Store;
let deps: SyncDeps;
let author: string;
let hosted: string;
let environment: () => ReturnType<SyncDeps["ensureEnvironment"]>;

beforeAll(async () => {
  database = await openDatabase();
  store = openStore(database.url, { connectionsMax: 8 });
  mkdirSync(folders.temporary, { recursive: true });
  await store.system((tx) => tx`insert into airlock.tenant (tenant) values ('acme'), ('globex')`);
});
afterAll(async () => {
  await store.close();
  await database.drop();
  if (existsSync(folders.bundles)) await removeTree(folders.bundles);
  rmSync(place, { recursive: true, force: true });
});

beforeEach(async () => {
  await database.owner`truncate airlock.repository, airlock.dag cascade`;
  if (existsSync(folders.bundles)) await removeTree(folders.bundles);
  for (const folder of [folders.hosted, folders.mirrors])
    rmSync(folder, { recursive: true, force: true });
  author = join(place, `author-${randomUUID()}`);
  hosted = hostedDir(folders.hosted, acme, pipelines);
  await createHosted(hosted, "main");
  newRepository(author, { "README.md": "x" });
  await addRepository("pipelines");
  environment = async () => good({ hash: "default", interpreter: "/usr/bin/python3" });
  parses.length = 0;
  deps = depsOf("11111111-1111-4111-8111-111111111111");
});

function depsOf(owner: string): SyncDeps {
  return {
    store,
    folders,
    guests: { parse: fakeParse },
    parseHostOf: () => ({
      getConnection: async () => undefined,
      getVariable: async () => undefined,
    }),
    ensureEnvironment: () => environment(),
    nodeEnvironment: { hash: "node", interpreter: process.execPath },
    guestVersions: { python: "1", node: "1" },
    readDagSpec: (raw) =>
      isObject(raw) && typeof raw["dag_id"] === "string" && /^[\w.-]+$/.test(raw["dag_id"])
        ? good(raw as unknown as DagSpec)
        : bad([{ message: "dag_id must be letters, digits, dash, dot and underscore" }]),
    checkTimetable: (timetable) =>
      timetable.kind === "cron_trigger" && timetable.expression === "nonsense"
        ? "nonsense is not a cron expression"
        : undefined,
    summarizeTimetable: (timetable) => ("expression" in timetable ? timetable.expression : null),
    openCredentials: async () => ({ kind: "token", username: "robot", token: "t0ken" }),
    addressRules: { privateHosts: ["127.0.0.1"], fileRoots: [] },
    pausedAtCreation: false,
    owner,
    leaseSeconds: 5,
    log: pino({ level: "silent" }),
    now: () => new Date(),
  };
}

async function addRepository(
  name: string,
  more: { tenant?: typeof acme; url?: string; path?: string } = {},
): Promise<void> {
  const { tenant = acme, url = null, path = "" } = more;
  await store.tx(tenant, (tx) =>
    createRepository(tx, {
      tenant,
      repository: known.repository(name),
      kind: url === null ? "hosted" : "external",
      url,
      branch: "main",
      path,
      credentials: url === null ? null : Buffer.from("sealed"),
      webhook_secrets: Buffer.from("sealed"),
    }),
  );
}

function push(files: Record<string, string | Buffer | null>): string {
  const id = commit(author, files);
  git(author, ["push", "-q", "--force", hosted, "HEAD:main"]);
  return id;
}

const sync = (more: Partial<Parameters<typeof syncRepository>[0]> = {}): Promise<DeployResult> =>
  syncRepository({ tenant: acme, repository: pipelines, reason: "push", ...more }, deps);

async function deploy(
  files: Record<string, string | Buffer | null>,
): Promise<Extract<DeployResult, { kind: "live" | "failed" }>> {
  push(files);
  const result = await sync();
  if (result.kind !== "live" && result.kind !== "failed") throw new Error(`it is ${result.kind}`);
  return result;
}

/** The first line is there for Airflow's safe mode, which passes over files that do not speak of a DAG. */
const py = (...lines: string[]): string => ["# an airflow dag", ...lines].join("\n");
const liveDags = async (): Promise<string[]> =>
  (
    await database.owner`select dag_id, version, state, path from airlock.dag where tenant = 'acme' order by dag_id`
  ).map((row) => `${row["dag_id"]} v${row["version"]} ${row["state"]} ${row["path"]}`);

test("a first push is live, with a version, its bundle and its answer", async () => {
  const result = await deploy({
    "dags/a.py": py("dag a schedule=@daily"),
    "dags/b.dag.ts": "dag b",
    "dags/c.dag.yaml": "dag c",
  });
  expect(result.lines).toEqual([expect.stringMatching(/^live in \d+ ms: 3 DAGs \(3 new\)$/)]);
  expect(await liveDags()).toEqual([
    "a v1 active dags/a.py",
    "b v1 active dags/b.dag.ts",
    "c v1 active dags/c.dag.yaml",
  ]);
  const head = git(author, ["rev-parse", "HEAD"]);
  expect(await store.tx(acme, (tx) => readRepository(tx, acme, pipelines))).toMatchObject({
    head_commit: head,
    seen_commit: head,
    failures: 0,
    last_error: null,
  });
  expect(readdirSync(join(folders.bundles, "acme/pipelines"))).toEqual([head]);
  const [deployed] = await store.tx(acme, (tx) =>
    listDeploys(tx, { tenant: acme, repository: pipelines, limit: 10 }),
  );
  expect(deployed).toMatchObject({
    commit: head,
    state: "live",
    dags: { new: 3, changed: 0, unchanged: 0, removed: 0 },
    errors: [],
  });
  const [planned] =
    await database.owner`select plan_needed, timetable_summary, commit, environment from airlock.dag where dag_id = 'a'`;
  expect(planned).toMatchObject({
    timetable_summary: "@daily",
    commit: head,
    environment: "default",
    plan_needed: true,
  });
  const [bundle] = await database.owner`select dags_folder, packages, limits from airlock.bundle`;
  expect(bundle).toMatchObject({
    dags_folder: "dags",
    packages: ["pandas"],
    limits: { parseSeconds: 30 },
  });
});

test("a push that changes one of 500 DAGs parses one file and stores one version", async () => {
  await deploy(
    Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`dags/f${i}.py`, py(`dag d${i}`)])),
  );
  parses.length = 0;
  const result = await deploy({ "dags/f7.py": py("dag d7 schedule=@hourly") });
  expect(result.dags).toEqual({ new: 0, changed: 1, unchanged: 499, removed: 0 });
  expect(parses).toEqual(["dags/f7.py"]);
  expect((await database.owner`select count(*)::int as n from airlock.dag_version`)[0]).toEqual({
    n: 501,
  });
  expect(
    (await database.owner`select count(distinct commit)::int as n from airlock.dag`)[0],
  ).toEqual({ n: 1 });
});

test("a file is parsed again when a module that it imported changes, and only then", async () => {
  await deploy({
    "dags/a.py": py("dag a", "import include/lib.py"),
    "dags/b.py": py("dag b"),
    "include/lib.py": "1",
  });
  parses.length = 0;
  await deploy({ "include/other.py": "1" });
  expect(parses).toEqual([]);
  const result = await deploy({ "include/lib.py": "2" });
  expect(parses).toEqual(["dags/a.py"]);
  expect(result.dags).toMatchObject({ changed: 1, unchanged: 1 });
});

test("a push that changes no DAG stores no version, and its runs still get today's checkout", async () => {
  await deploy({ "dags/a.py": py("dag a") });
  const result = await deploy({ "include/data.csv": "1" });
  expect(result.dags).toMatchObject({ unchanged: 1, changed: 0 });
  expect(await liveDags()).toEqual(["a v1 active dags/a.py"]);
  expect((await database.owner`select commit from airlock.dag`)[0]).toEqual({
    commit: git(author, ["rev-parse", "HEAD"]),
  });
});

test("a bad file blocks only itself: told with line and way out, its last good version stays live", async () => {
  await deploy({ "dags/a.py": py("dag a"), "dags/b.py": py("dag b") });
  const first = git(author, ["rev-parse", "HEAD"]);
  const result = await deploy({
    "dags/a.py": py("error 12 NameError: x"),
    "dags/b.py": py("dag b schedule=@daily"),
  });
  expect(result.lines).toEqual([
    expect.stringMatching(/^live in \d+ ms: 2 DAGs \(1 changed, 1 unchanged\)$/),
    "dags/a.py:12: NameError: x",
    "    mend it",
  ]);
  expect(await liveDags()).toEqual(["a v1 active dags/a.py", "b v2 active dags/b.py"]);
  expect((await database.owner`select commit from airlock.dag where dag_id = 'a'`)[0]).toEqual({
    commit: first,
  });
  expect(await store.tx(acme, (tx) => listImportErrors(tx, acme))).toMatchObject([
    { path: "dags/a.py", line: 12, message: "NameError: x" },
  ]);
  expect(existsSync(join(folders.bundles, "acme/pipelines", first))).toBe(true);

  parses.length = 0;
  const mended = await deploy({ "dags/a.py": py("dag a") });
  expect(mended.errors).toEqual([]);
  expect(await store.tx(acme, (tx) => listImportErrors(tx, acme))).toEqual([]);
  expect(await liveDags()).toContain("a v1 active dags/a.py");
});

test("a deploy of which nothing can be loaded is failed, and what was live stays", async () => {
  await deploy({ "dags/a.py": py("dag a") });
  const first = git(author, ["rev-parse", "HEAD"]);
  const result = await deploy({ "dags/a.py": py("error 1 SyntaxError") });
  expect(result.kind).toBe("failed");
  expect(result.lines[0]).toMatch(
    /^failed after \d+ ms: nothing of this commit went live; 1 DAG of before stays live$/,
  );
  expect(await store.tx(acme, (tx) => readRepository(tx, acme, pipelines))).toMatchObject({
    head_commit: first,
  });
  expect(await liveDags()).toEqual(["a v1 active dags/a.py"]);
});

test.each<[string, Record<string, string>, RegExp]>([
  [
    "a spec that the house refuses",
    { "dags/a.py": py("dag a;b"), "dags/ok.py": py("dag ok") },
    /dags\/a\.py: dag_id must be/,
  ],
  [
    "a schedule that is none",
    { "dags/a.py": py("dag a schedule=nonsense"), "dags/ok.py": py("dag ok") },
    /dags\/a\.py: the DAG a: nonsense is not a cron expression/,
  ],
  [
    "a DAG id in two files",
    { "dags/a.py": py("dag x"), "dags/b.py": py("dag x") },
    /dags\/b\.py: the DAG x is already defined in dags\/a\.py/,
  ],
  [
    "a guest that does not answer",
    { "dags/a.py": py("silent"), "dags/ok.py": py("dag ok") },
    /dags\/a\.py: the guest gave no answer/,
  ],
  [
    "a file of 50 MB",
    { "dags/huge.dag.yaml": "a: b\n".repeat(10 * 2 ** 20), "dags/ok.py": py("dag ok") },
    /dags\/huge\.dag\.yaml: has 50 MiB/,
  ],
])("%s is that file's problem alone", async (_name, files, told) => {
  const result = await deploy(files);
  expect(result.kind).toBe("live");
  expect(result.lines.join("\n")).toMatch(told);
  expect(result.dags.new).toBe(1);
});

test("a removed file's DAG retires with its history kept, and comes back", async () => {
  await deploy({ "dags/a.py": py("dag a"), "dags/b.py": py("dag b") });
  expect((await deploy({ "dags/a.py": null })).dags).toEqual({
    new: 0,
    changed: 0,
    unchanged: 1,
    removed: 1,
  });
  expect(await liveDags()).toEqual(["a v1 retired dags/a.py", "b v1 active dags/b.py"]);
  expect((await deploy({ "dags/a.py": py("dag a") })).dags).toMatchObject({ new: 1 });
  expect(await liveDags()).toEqual(["a v1 active dags/a.py", "b v1 active dags/b.py"]);
});

test("a version that comes back is the old one again", async () => {
  await deploy({ "dags/a.py": py("dag a") });
  await deploy({ "dags/a.py": py("dag a schedule=@daily") });
  await deploy({ "dags/a.py": py("dag a") });
  expect(await liveDags()).toEqual(["a v1 active dags/a.py"]);
});

test("pausing is people's: a deploy does not undo it", async () => {
  await deploy({ "dags/a.py": py("dag a") });
  await database.owner`update airlock.dag set is_paused = true`;
  await deploy({ "dags/a.py": py("dag a schedule=@daily") });
  expect((await database.owner`select is_paused from airlock.dag`)[0]).toEqual({ is_paused: true });
});

test("two repositories of a tenant cannot have one DAG id, two tenants can", async () => {
  await deploy({ "dags/a.py": py("dag a") });
  for (const [tenant, name] of [
    [acme, "second"],
    [globex, "pipelines"],
  ] as const) {
    const repository = known.repository(name);
    const dir = hostedDir(folders.hosted, tenant, repository);
    await createHosted(dir, "main");
    git(author, ["push", "-q", dir, "HEAD:main"]);
    await addRepository(name, { tenant });
    const result = await syncRepository({ tenant, repository, reason: "push" }, deps);
    if (tenant === acme)
      expect(result).toMatchObject({
        kind: "failed",
        errors: [
          { message: "the DAG a is already defined in dags/a.py of the repository pipelines" },
        ],
      });
    else expect(result).toMatchObject({ kind: "live", dags: { new: 1 } });
  }
  await store.tx(acme, (tx) => removeRepository(tx, acme, pipelines));
  expect(
    await syncRepository(
      { tenant: acme, repository: known.repository("second"), reason: "push" },
      deps,
    ),
  ).toMatchObject({ kind: "live", dags: { new: 1 } });
});

test("an environment that cannot be built fails the deploy at its line, and the old version stays live", async () => {
  await deploy({ "dags/a.py": py("dag a") });
  environment = async () =>
    bad({
      path: "requirements.txt",
      line: 3,
      message: "nosuch==9 does not exist",
      hint: "correct the version",
    });
  const result = await deploy({
    "dags/a.py": py("dag a schedule=@daily"),
    "requirements.txt": "nosuch==9",
  });
  expect(result.lines).toEqual([
    expect.stringContaining("failed after"),
    "requirements.txt:3: nosuch==9 does not exist",
    "    correct the version",
  ]);
  expect(await liveDags()).toEqual(["a v1 active dags/a.py"]);
});

test("a new environment parses everything that runs in it anew", async () => {
  await deploy({ "dags/a.py": py("dag a"), "dags/b.dag.ts": "dag b" });
  parses.length = 0;
  environment = async () => good({ hash: "other", interpreter: "/usr/bin/python3" });
  await deploy({ "requirements.txt": "x" });
  expect(parses).toEqual(["dags/a.py"]);
});

test("airlock.yaml is obeyed, and one that is wrong fails with its line", async () => {
  await deploy({
    "airlock.yaml": "dags_folder: pipes\nlimits: {memory: 128MiB}\n",
    "pipes/a.py": py("dag a"),
    "dags/b.py": py("dag b"),
  });
  expect(await liveDags()).toEqual(["a v1 active pipes/a.py"]);
  expect(
    (await database.owner`select limits ->> 'memoryBytes' as memory from airlock.bundle`)[0],
  ).toEqual({ memory: String(128 * 2 ** 20) });
  const result = await deploy({ "airlock.yaml": "dags_folder: pipes\nlimits:\n  memory: 64GiB\n" });
  expect(result).toMatchObject({ kind: "failed", errors: [{ path: "airlock.yaml", line: 3 }] });
});

test("a tenant's own limits are the widest", async () => {
  await database.owner`update airlock.tenant set limits = '{"memory": "1MB"}' where tenant = 'acme'`;
  const result = await deploy({
    "airlock.yaml": "limits: {memory: 2MB}\n",
    "dags/a.py": py("dag a"),
  });
  expect(result.kind).toBe("failed");
  await database.owner`update airlock.tenant set limits = '{}' where tenant = 'acme'`;
});

test("a commit that breaks a bound as a whole is failed and says which", async () => {
  await deploy({ "dags/a.py": py("dag a") });
  const result = await deploy(
    Object.fromEntries(Array.from({ length: 20_001 }, (_, i) => [`data/${i % 100}/${i}.txt`, "x"])),
  );
  expect(result).toMatchObject({
    kind: "failed",
    errors: [{ message: "the commit has more than 20000 files" }],
  });
  expect(await liveDags()).toEqual(["a v1 active dags/a.py"]);
});

test("text that Postgres cannot hold does not stop a deploy", async () => {
  const result = await deploy({
    "dags/a.py": `# airflow dag\nerror 1 nul \u0000 \ud800 end`,
    "dags/b.py": py("dag b"),
  });
  expect(result.kind).toBe("live");
  expect(await store.tx(acme, (tx) => listImportErrors(tx, acme))).toHaveLength(1);
});

test("two processes never sync one repository", async () => {
  push({ "dags/a.py": py("dag a") });
  await store.tx(acme, (tx) =>
    leaseRepository(tx, acme, pipelines, { owner: randomUUID(), seconds: 30 }),
  );
  expect(await sync()).toMatchObject({ kind: "not_mine" });
  await database.owner`update airlock.repository set lease_until = now() - interval '1 second'`;
  expect(await sync()).toMatchObject({ kind: "live" });
});

test("who lost the lease publishes nothing", async () => {
  push({ "dags/a.py": py("dag a") });
  const thief = randomUUID();
  environment = async () => {
    await database.owner`update airlock.repository set lease_owner = ${thief}::uuid`;
    return good({ hash: "default", interpreter: "/usr/bin/python3" });
  };
  await expect(sync()).rejects.toThrow(/lease/);
  expect(await liveDags()).toEqual([]);
  expect((await database.owner`select lease_owner::text from airlock.repository`)[0]).toEqual({
    lease_owner: thief,
  });
});

test("a push during a sync is not forgotten", async () => {
  push({ "dags/a.py": py("dag a") });
  environment = async () => {
    await store.tx(acme, (tx) => wantSync(tx, acme, pipelines, "push"));
    return good({ hash: "default", interpreter: "/usr/bin/python3" });
  };
  await sync();
  expect(await store.system((tx) => listWanted(tx, 10))).toMatchObject([
    { repository: "pipelines" },
  ]);
});

test("an empty hosted repository says what to do", async () => {
  rmSync(hosted, { recursive: true });
  await createHosted(hosted, "main");
  expect(await sync({ reason: "asked" })).toMatchObject({
    kind: "failed",
    errors: [{ message: "the branch main does not exist", hint: "push it: git push origin main" }],
  });
});

test("a mono-repo serves two repositories from two folders, and a folder can be changed", async () => {
  push({ "teams/a/dags/a.py": py("dag a"), "teams/b/dags/b.py": py("dag b") });
  await store.tx(acme, (tx) =>
    changeRepository(tx, {
      tenant: acme,
      repository: pipelines,
      url: null,
      branch: "main",
      path: "teams/a",
    }),
  );
  expect(await sync()).toMatchObject({ kind: "live" });
  expect(await liveDags()).toEqual(["a v1 active dags/a.py"]);
  await store.tx(acme, (tx) =>
    changeRepository(tx, {
      tenant: acme,
      repository: pipelines,
      url: null,
      branch: "main",
      path: "teams/b",
    }),
  );
  expect(await sync({ reason: "asked" })).toMatchObject({
    kind: "live",
    dags: { new: 1, removed: 1 },
  });
  expect(await liveDags()).toEqual(["a v1 retired dags/a.py", "b v1 active dags/b.py"]);
});

test("checkouts that nothing references are removed, those of unfinished runs are not", async () => {
  const commits: string[] = [];
  for (let i = 0; i < 8; i++) {
    commits.push(push({ "dags/a.py": py("dag a"), "include/x": String(i) }));
    await sync();
    if (i === 0)
      await database.owner`
        insert into airlock.dag_run (tenant, dag_id, run_id, run_type, run_after, state, version, repository, commit, path, environment)
        values ('acme', 'a', 'r', 'manual', now(), 'running', 1, 'pipelines', ${commits[0] ?? ""}, 'dags/a.py', 'default')`;
  }
  expect(
    readdirSync(join(folders.bundles, "acme/pipelines"))
      .filter((name) => name !== ".trash")
      .toSorted(),
  ).toEqual([commits[0] ?? "", ...commits.slice(3)].toSorted());
});

test("a run of long ago that is to run again as it was has its checkout made anew", async () => {
  const first = push({ "dags/a.py": py("dag a") });
  await sync();
  await database.owner`
    insert into airlock.dag_run (tenant, dag_id, run_id, run_type, run_after, state, version, repository, commit, path, environment)
    values ('acme', 'a', 'r', 'manual', now(), 'success', 1, 'pipelines', ${first}, 'dags/a.py', 'default')`;
  for (let i = 0; i < 7; i++) {
    push({ "dags/a.py": py(`dag a schedule=${i}`) });
    await sync();
  }
  const dir = join(folders.bundles, "acme/pipelines", first);
  expect(existsSync(dir)).toBe(false);
  expect(await ensureBundle(acme, pipelines, known.commit(first), deps)).toMatchObject({
    ok: true,
  });
  expect(readFileSync(join(dir, "dags/a.py"), "utf8")).toBe(py("dag a"));
});

test("a checkout that this machine lost is made again for the runs that pin it", async () => {
  const first = push({ "dags/a.py": py("dag a") });
  await sync();
  push({ "dags/a.py": py("dag a schedule=@daily") });
  await sync();
  await removeTree(join(folders.bundles, "acme/pipelines"));
  const again = await ensureBundle(acme, pipelines, known.commit(first), deps);
  expect(again).toMatchObject({ ok: true, value: { dags_folder: "dags" } });
  expect(readFileSync(join(folders.bundles, "acme/pipelines", first, "dags/a.py"), "utf8")).toBe(
    py("dag a"),
  );
  expect(await ensureBundle(acme, pipelines, known.commit("0".repeat(40)), deps)).toMatchObject({
    ok: false,
  });
  expect((await database.owner`select lease_owner from airlock.repository`)[0]).toEqual({
    lease_owner: null,
  });
});

test("an external checkout is made again by its commit, though the branch has moved on", async () => {
  const server = await serveHttp((request, response) => {
    void serveGit(request, response, {
      root: folders.hosted,
      authorize: async () => ({ kind: "allowed", actor: "x" }),
      async *pushed() {},
    });
  });
  const external = known.repository("external");
  await addRepository("external", {
    url: `http://127.0.0.1:${server.port}/git/acme/pipelines.git`,
  });
  const first = push({ "dags/a.py": py("dag a") });
  expect(await sync({ repository: external, reason: "asked" })).toMatchObject({ kind: "live" });
  push({ "dags/a.py": py("dag a schedule=@daily") });
  rmSync(folders.mirrors, { recursive: true });
  await removeTree(folders.bundles);
  expect(await ensureBundle(acme, external, known.commit(first), deps)).toMatchObject({ ok: true });
  await server.close();
});

test("a repository that is forgotten leaves its DAGs' history and nothing on disk", async () => {
  await deploy({ "dags/a.py": py("dag a") });
  expect(await forgetRepository(acme, pipelines, deps)).toBe(true);
  expect(await forgetRepository(acme, pipelines, deps)).toBe(false);
  expect(await liveDags()).toEqual(["a v1 retired dags/a.py"]);
  expect(existsSync(hosted)).toBe(false);
  expect(
    existsSync(join(folders.bundles, "acme/pipelines", git(author, ["rev-parse", "HEAD"]))),
  ).toBe(false);
});

const rollBack = (commitId: string, repository = pipelines): Promise<boolean> =>
  store.tx(acme, (tx) => holdCommit(tx, acme, repository, known.commit(commitId), "user:ann"));
const repositoryFacts = async (name = "pipelines") => {
  const row = await store.tx(acme, (tx) => readRepository(tx, acme, known.repository(name)));
  return { head: row?.head_commit, held: row?.held_commit, over: row?.held_over };
};
const lastDeploy = async () =>
  (
    await database.owner`select commit, reason, state, asked_by, errors from airlock.deploy order by deploy desc limit 1`
  )[0];

test("a rollback makes an earlier commit live as a deploy of it would, and holds against polls and restarts", async () => {
  const first = push({ "dags/a.py": py("dag a"), "dags/b.py": py("error 3 NameError: y") });
  await sync();
  const second = push({ "dags/a.py": py("dag a schedule=@daily"), "dags/b.py": py("dag b") });
  await sync();
  expect(await liveDags()).toEqual(["a v2 active dags/a.py", "b v1 active dags/b.py"]);

  expect(await rollBack(first)).toBe(true);
  expect(await sync({ reason: "asked" })).toMatchObject({ kind: "live", commit: first });
  // b's file was bad in that commit: its last good version stays, as with any deploy of a bad file.
  expect(await liveDags()).toEqual(["a v1 active dags/a.py", "b v1 active dags/b.py"]);
  expect(await store.tx(acme, (tx) => listImportErrors(tx, acme))).toMatchObject([
    { path: "dags/b.py", line: 3, message: "NameError: y" },
  ]);
  expect(
    (await database.owner`select commit from airlock.dag where dag_id = 'a'`)[0]?.["commit"],
  ).toBe(first);
  expect(await lastDeploy()).toMatchObject({ commit: first, reason: "rollback", state: "live" });

  for (const reason of ["poll", "retry", "webhook", "push"] as const)
    expect(await sync({ reason })).toMatchObject({ kind: "up_to_date", commit: first });
  deps = depsOf("22222222-2222-4222-8222-222222222222");
  expect(await sync({ reason: "asked" })).toMatchObject({ kind: "live", commit: first });
  expect(await repositoryFacts()).toEqual({ head: first, held: first, over: second });
});

test("a newer push ends a rollback, whether or not it can be loaded", async () => {
  const first = push({ "dags/a.py": py("dag a") });
  await sync();
  push({ "dags/a.py": py("dag a schedule=@daily") });
  await sync();
  await rollBack(first);
  await sync({ reason: "asked" });
  const lines: string[] = [];
  push({ "dags/a.py": py("error 1 SyntaxError") });
  expect(await sync({ onLine: (line) => lines.push(line) })).toMatchObject({ kind: "failed" });
  expect(lines).toEqual([containing(`the rollback to ${first.slice(0, 10)} ends here`)]);
  expect(await repositoryFacts()).toEqual({ head: first, held: null, over: null });
  const mended = push({ "dags/a.py": py("dag a schedule=@hourly") });
  await sync();
  expect(await repositoryFacts()).toMatchObject({ head: mended, held: null });
});

test("a rollback that is taken back makes the branch's newest commit live again", async () => {
  const first = push({ "dags/a.py": py("dag a") });
  await sync();
  const second = push({ "dags/a.py": py("dag a schedule=@daily") });
  await sync();
  await rollBack(first);
  await withSyncs(async () => {
    await until(async () => (await repositoryFacts()).head === first);
    expect(await store.tx(acme, (tx) => takeHoldBack(tx, acme, pipelines, "user:ann"))).toBe(true);
    await until(async () => (await repositoryFacts()).head === second);
  });
  expect(await lastDeploy()).toMatchObject({
    commit: second,
    reason: "restored",
    asked_by: "user:ann",
  });
  expect(await store.tx(acme, (tx) => takeHoldBack(tx, acme, pipelines, "user:ann"))).toBe(false);
});

test("going back twice keeps what the first was in place of, so that no push is needed in between", async () => {
  const commits: string[] = [];
  for (const schedule of ["1", "2", "3"]) {
    commits.push(push({ "dags/a.py": py(`dag a schedule=${schedule}`) }));
    await sync();
  }
  const [first = "", second = "", third = ""] = commits;
  await rollBack(second);
  await sync({ reason: "asked" });
  await rollBack(first);
  await sync({ reason: "asked" });
  expect(await repositoryFacts()).toEqual({ head: first, held: first, over: third });
});

test("a push that is being deployed while somebody goes back does not overtake them", async () => {
  const first = push({ "dags/a.py": py("dag a") });
  await sync();
  const second = push({ "dags/a.py": py("dag a schedule=@daily") });
  let goneBack = false;
  const once = deps.ensureEnvironment;
  deps = {
    ...deps,
    async ensureEnvironment(request) {
      if (!goneBack) await rollBack(first);
      goneBack = true;
      return once(request);
    },
  };
  expect(await sync()).toMatchObject({ kind: "live", commit: second });
  await withSyncs(() => until(async () => (await repositoryFacts()).head === first));
  expect(await repositoryFacts()).toEqual({ head: first, held: first, over: second });
});

test("only a commit that was live is found, by a prefix that is its alone", async () => {
  const live = push({ "dags/a.py": py("dag a") });
  await sync();
  const broken = push({ "dags/a.py": py("error 1 SyntaxError") });
  await sync();
  const find = (prefix: string) =>
    store.tx(acme, (tx) => findLiveCommits(tx, acme, pipelines, prefix));
  expect(await find(live.slice(0, 7))).toEqual([live]);
  expect(await find(live)).toEqual([live]);
  expect(await find(broken)).toEqual([]);
});

test("a rollback to a commit that cannot be deployed any more says so and holds nothing", async () => {
  const first = push({ "dags/a.py": py("dag a") });
  await sync();
  const second = push({ "dags/a.py": py("dag a schedule=@daily") });
  await sync();
  await rollBack(first);
  environment = async () => bad({ message: "pandas==9 cannot be installed", hint: "ask" });
  expect(await sync({ reason: "asked" })).toMatchObject({ kind: "failed", commit: first });
  expect(await repositoryFacts()).toEqual({ head: second, held: null, over: null });
  expect(await liveDags()).toEqual(["a v2 active dags/a.py"]);
  environment = async () => good({ hash: "default", interpreter: "/usr/bin/python3" });
  expect(await sync({ reason: "poll" })).toMatchObject({ kind: "up_to_date", commit: second });
});

test("an external repository goes back without its server, and says so when a force-push took the commit away", async () => {
  let server: LoopbackServer | undefined = await serveHttp((request, response) => {
    void serveGit(request, response, {
      root: folders.hosted,
      authorize: async () => ({ kind: "allowed", actor: "x" }),
      async *pushed() {},
    });
  });
  const external = known.repository("external");
  await addRepository("external", {
    url: `http://127.0.0.1:${server.port}/git/acme/pipelines.git`,
  });
  const syncExternal = (reason: "asked" | "poll") => sync({ repository: external, reason });
  const first = push({ "dags/a.py": py("dag a") });
  await syncExternal("asked");
  const second = push({ "dags/a.py": py("dag a schedule=@daily") });
  await syncExternal("asked");

  // The history is rewritten, and neither the mirror nor the server has the commit any more.
  git(author, ["checkout", "-q", "--orphan", "anew"]);
  const rewritten = push({ "dags/a.py": py("dag a schedule=@hourly") });
  git(hosted, ["reflog", "expire", "--expire=now", "--all"]);
  git(hosted, ["gc", "-q", "--prune=now"]);
  await syncExternal("asked");
  rmSync(folders.mirrors, { recursive: true });
  await rollBack(first, external);
  const result = await syncExternal("asked");
  expect(result).toMatchObject({ kind: "failed", commit: first });
  expect(result.lines.join("\n")).toContain("is not in the repository any more");
  expect(await repositoryFacts("external")).toEqual({ head: rewritten, held: null, over: null });

  const last = push({ "dags/a.py": py("dag a schedule=@weekly") });
  await syncExternal("asked");
  await server.close();
  server = undefined;
  await rollBack(rewritten, external);
  expect(await syncExternal("asked")).toMatchObject({ kind: "live", commit: rewritten });
  expect(await syncExternal("poll")).toMatchObject({ kind: "failed" });
  expect(await repositoryFacts("external")).toEqual({
    head: rewritten,
    held: rewritten,
    over: last,
  });
  expect(second).not.toBe(first);
});

test("a deploy keeps who pushed, its commit's words, how long its parts took, and the lines around a problem", async () => {
  const text = py("one", "two", "error 4 NameError: x", "five");
  push({ "dags/a.py": text, "dags/b.py": py("dag b") });
  await sync({ by: "user:ann" });
  const [row] =
    await database.owner`select asked_by, about, parts, errors from airlock.deploy order by deploy desc limit 1`;
  expect(row).toMatchObject({
    asked_by: "user:ann",
    about: { author: containing(""), subject: containing(""), at: containing("") },
    errors: [
      { path: "dags/a.py", line: 4, frame: { first: 1, lines: text.split("\n").slice(0, 7) } },
    ],
  });
  expect(Object.keys(row?.["parts"] as object).toSorted()).toEqual([
    "checkout",
    "environment",
    "fetch",
    "parse",
    "store",
  ]);
});

test("a sync that was killed leaves a deploy that the next one closes", async () => {
  await database.owner`insert into airlock.deploy (tenant, repository, commit, reason, state) values ('acme', 'pipelines', 'x', 'push', 'syncing')`;
  await deploy({ "dags/a.py": py("dag a") });
  const states = (await database.owner`select state from airlock.deploy order by deploy`).map(
    (row) => String(row["state"]),
  );
  expect(states).toEqual(["failed", "live"]);
});

async function withSyncs(
  work: (syncs: Syncs) => Promise<void>,
  own: SyncDeps = deps,
): Promise<void> {
  const syncs = await runSyncs(own, { concurrency: 2 });
  try {
    await work(syncs);
  } finally {
    await syncs.close(500);
  }
}

async function until(fact: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 15_000;
  while (!(await fact())) {
    if (performance.now() > end) throw new Error("it did not come true within 15 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a push over HTTP reads its outcome in remote: lines", async () => {
  await withSyncs(async (syncs) => {
    const server = await serveHttp((request, response) => {
      void serveGit(request, response, {
        root: folders.hosted,
        authorize: async () => ({ kind: "allowed", actor: "admin" }),
        pushed: (pushed) => answerPush(pushed, syncs, deps),
      });
    });
    const url = `http://admin:x@127.0.0.1:${server.port}/git/acme/pipelines.git`;
    commit(author, { "dags/a.py": py("dag a"), "dags/bad.py": py("error 3 NameError: y") });
    const first = await gitAside(author, ["push", url, "main"]);
    expect(first.err).toMatch(
      /remote: live in \d+ ms: 1 DAG \(1 new\) *\nremote: dags\/bad\.py:3: NameError: y *\nremote: +mend it/,
    );
    await gitAside(author, ["push", url, "main:refs/heads/feature"]);
    commit(author, { "dags/a.py": py("dag a schedule=@daily") });
    const branch = await gitAside(author, ["push", url, "main:refs/heads/feature"]);
    expect(branch.err).toContain("remote: stored; only the branch main is deployed");
    const second = await gitAside(author, ["push", url, "main"]);
    expect(second.err).toMatch(/remote: live in \d+ ms: 1 DAG \(1 changed\)/);
    await server.close();
  });
});

test("a push does not wait longer than it should, and the sync goes on", async () => {
  const finish = Promise.withResolvers<void>();
  environment = async () => {
    await finish.promise;
    return good({ hash: "default", interpreter: "/usr/bin/python3" });
  };
  push({ "dags/a.py": py("dag a") });
  await withSyncs(async (syncs) => {
    const lines: string[] = [];
    for await (const line of answerPush(
      {
        tenant: acme,
        repository: pipelines,
        refs: ["refs/heads/main"],
        signal: new AbortController().signal,
      },
      syncs,
      deps,
      300,
    ))
      lines.push(line);
    expect(lines).toEqual([
      "still at work after 0 s; follow it: airlock deploys list acme/pipelines",
    ]);
    finish.resolve();
    await until(async () => (await liveDags()).length === 1);
  });
});

test("a push that another process takes up is answered from its row", async () => {
  push({ "dags/a.py": py("dag a") });
  const held = Promise.withResolvers<void>();
  const other = {
    ...depsOf(randomUUID()),
    ensureEnvironment: async () => {
      await held.promise;
      return good({ hash: "default", interpreter: "/x" });
    },
  };
  const theirs = syncRepository({ tenant: acme, repository: pipelines, reason: "push" }, other);
  await until(
    async () =>
      (await database.owner`select 1 from airlock.deploy where state = 'syncing'`).length === 1,
  );
  await withSyncs(async (syncs) => {
    const lines: string[] = [];
    const answer = (async () => {
      for await (const line of answerPush(
        {
          tenant: acme,
          repository: pipelines,
          refs: ["refs/heads/main"],
          signal: new AbortController().signal,
        },
        syncs,
        deps,
        10_000,
      ))
        lines.push(line);
    })();
    held.resolve();
    await answer;
    await theirs;
    expect(lines[0]).toMatch(/live in \d+ ms: 1 DAG|already live/);
  });
});

const secret = "hook-secret";
const deliver = (
  delivery: string,
  body: Buffer,
  sign = secret,
): ReturnType<typeof receiveWebhook> =>
  receiveWebhook(
    {
      tenant: acme,
      repository: pipelines,
      body,
      headers: {
        "x-hub-signature-256": `sha256=${createHmac("sha256", sign).update(body).digest("hex")}`,
        "x-github-event": "push",
        "x-github-delivery": delivery,
      },
    },
    { store, webhookSecrets: async () => [secret], now: () => new Date() },
  );

test("a webhook becomes a sync; forged, repeated, oversized and misdirected ones do not", async () => {
  push({ "dags/a.py": py("dag a") });
  expect(await deliver("d0", Buffer.from("{}"), "wrong")).toMatchObject({ status: 401 });
  expect(await store.system((tx) => listWanted(tx, 10))).toEqual([]);
  expect(await deliver("d1", Buffer.alloc(2 ** 20 + 1))).toMatchObject({ status: 413 });
  expect(
    await receiveWebhook(
      { tenant: acme, repository: known.repository("nope"), headers: {}, body: Buffer.from("{}") },
      { store, webhookSecrets: async () => [secret], now: () => new Date() },
    ),
  ).toMatchObject({ status: 404 });
  await withSyncs(async () => {
    expect(await deliver("d2", Buffer.from("{}"))).toMatchObject({ status: 202 });
    await until(async () => (await liveDags()).length === 1);
  });
  expect(await deliver("d2", Buffer.from("{}"))).toMatchObject({
    status: 200,
    detail: containing("seen"),
  });
  expect(await store.system((tx) => listWanted(tx, 10))).toEqual([]);
  await database.owner`update airlock.webhook_delivery set at = now() - interval '25 hours'`;
  expect(await deliver("d2", Buffer.from("{}"))).toMatchObject({ status: 202 });
});

test("an external repository is polled, and one that goes away keeps what is live and backs off", async () => {
  let server: LoopbackServer | undefined = await serveHttp((request, response) => {
    void serveGit(request, response, {
      root: folders.hosted,
      authorize: async ({ basic }) =>
        basic?.password === "t0ken" ? { kind: "allowed", actor: "x" } : { kind: "sign_in" },
      async *pushed() {},
    });
  });
  const external = known.repository("external");
  await addRepository("external", {
    url: `http://127.0.0.1:${server.port}/git/acme/pipelines.git`,
  });
  push({ "dags/a.py": py("dag a") });
  const facts = (): Promise<Record<string, unknown> | undefined> =>
    database.owner`select head_commit, failures, last_error, extract(epoch from next_poll_at - now())::float8 as wait from airlock.repository where repository = 'external'`.then(
      (rows) => rows[0],
    );
  await withSyncs(async (syncs) => {
    await until(async () => (await liveDags()).length === 1);
    await until(async () => ((await facts())?.["wait"] as number) < 10);
    const moved = push({ "dags/a.py": py("dag a schedule=@daily") });
    await database.owner`update airlock.repository set next_poll_at = now() where repository = 'external'`;
    syncs.wake();
    await until(async () => (await facts())?.["head_commit"] === moved);
    await server?.close();
    server = undefined;
    await database.owner`update airlock.repository set next_poll_at = now() where repository = 'external'`;
    syncs.wake();
    await until(async () => (await facts())?.["failures"] === 1);
  });
  expect((await facts())?.["last_error"]).toMatch(/127\.0\.0\.1/);
  expect(await liveDags()).toEqual(["a v2 active dags/a.py"]);
  expect(
    await store.tx(acme, (tx) =>
      listDeploys(tx, { tenant: acme, repository: external, limit: 10 }),
    ),
  ).toHaveLength(2);
});

test("plain http to a private address needs an admin's word", async () => {
  await addRepository("external", { url: "http://127.0.0.1:1/x.git" });
  const strict = { ...deps, addressRules: { privateHosts: [], fileRoots: [] } };
  expect(
    await syncRepository(
      { tenant: acme, repository: known.repository("external"), reason: "asked" },
      strict,
    ),
  ).toMatchObject({ kind: "failed", errors: [{ message: containing("plain http") }] });
  await database.owner`update airlock.tenant set allow_sources = '["127.0.0.1:1"]' where tenant = 'acme'`;
  expect(
    await syncRepository(
      { tenant: acme, repository: known.repository("external"), reason: "asked" },
      strict,
    ),
  ).toMatchObject({
    kind: "failed",
    errors: [{ message: containing("cannot be reached") }],
  });
  await database.owner`update airlock.tenant set allow_sources = '[]' where tenant = 'acme'`;
});

test.each(["a loose ref", "a packed ref"])(
  "a push that the host took right before its process ended goes live when a sync looks: %s",
  async (kind) => {
    const id = push({ "dags/a.py": py("dag a") });
    const ref = join(hosted, "refs/heads/main");
    if (kind === "a packed ref") git(hosted, ["pack-refs", "--all"]);
    const file = existsSync(ref) ? ref : join(hosted, "packed-refs");
    // Younger, its own process may be about to ask.
    utimesSync(file, new Date(Date.now() - 60_000), new Date(Date.now() - 60_000));
    await withSyncs(async () => {
      await until(async () => {
        const [row] = await database.owner`select head_commit from airlock.repository`;
        return row?.["head_commit"] === id;
      });
    });
    expect(parses).toHaveLength(1);
  },
);

test("when the platform stops, a parse that hangs is stopped and its push is taken up again", async () => {
  push({ "dags/a.py": py("hang") });
  const syncs = await runSyncs(deps, { concurrency: 1 });
  const result = syncs.now(acme, pipelines, "push").catch((error: unknown) => error);
  await until(async () => parses.length === 1);
  await syncs.close(100);
  expect(await result).toBeInstanceOf(Error);
  expect(
    (await database.owner`select failures, lease_owner from airlock.repository`)[0],
  ).toMatchObject({ failures: 1, lease_owner: null });
});

test("a checkout folder of the tenant can be entered by others, and written by nobody", async () => {
  await deploy({ "dags/a.py": py("dag a") });
  const dir = join(folders.bundles, "acme/pipelines", git(author, ["rev-parse", "HEAD"]));
  expect(() => chmodSync(dir, 0o555)).not.toThrow();
  expect(readFileSync(join(dir, "dags/a.py"), "utf8")).toContain("dag a");
});
