/** The stage of the supervisor's tests: a sandbox, our test guest, a house that remembers what it was told. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type {
  AttemptHost,
  AttemptOutcome,
  AttemptStart,
  GuestKey,
  GuestLimits,
  LogLine,
  ParsedFile,
} from "../../../platform/model/guest.ts";
import { known } from "../../../platform/model/ids.ts";
import type { Json } from "../../../platform/model/json.ts";
import { openSandbox, type Sandbox, type SandboxOptions } from "../../sandbox/open-sandbox.ts";
import {
  type GuestEvent,
  type GuestsOptions,
  type OpenGuests,
  openGuests,
} from "../open-guests.ts";

const roomy: GuestLimits = {
  memoryBytes: 256 << 20,
  cpuPercent: 200,
  processes: 32,
  openFiles: 256,
  fileBytes: 64 << 20,
  logBytes: 8 << 20,
  logBytesPerSecond: 64 << 20,
  xcomBytes: 64 << 10,
  artifactBytes: 1 << 20,
  parseSeconds: 5,
  wallSeconds: 0,
};

export type Stage = {
  readonly sandbox: Sandbox;
  readonly guests: OpenGuests;
  readonly events: GuestEvent[];
  readonly folder: string;
  key(changes?: Partial<GuestKey>, limits?: Partial<GuestLimits>): GuestKey;
  /** Runs Python code as a task. */
  run(code: string, how?: How): Promise<Told>;
  parse(
    files: { readonly [path: string]: string },
    limits?: Partial<GuestLimits>,
  ): Promise<ParsedFile[]>;
  close(): Promise<void>;
};

type How = {
  readonly limits?: Partial<GuestLimits>;
  readonly key?: GuestKey;
  readonly host?: Partial<AttemptHost>;
  readonly start?: Partial<AttemptStart>;
  readonly signal?: AbortSignal;
};

export type Told = {
  readonly outcome: AttemptOutcome;
  readonly lines: LogLine[];
  readonly xcoms: Map<string, Json>;
  readonly artifacts: { name: string; text: string }[];
  readonly text: string;
};

export async function setStage(
  want = (process.env["STAGE_SANDBOX"] ?? "auto") as NonNullable<SandboxOptions["want"]>,
  options: Partial<GuestsOptions> = {},
): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "supervisor-"));
  chmodSync(folder, 0o755);
  const bundleDir = join(folder, "bundle");
  mkdirSync(join(bundleDir, "dags"), { recursive: true });
  // A copy where tenants' uids can reach it, wherever this checkout lies.
  const program = join(folder, "program");
  mkdirSync(program);
  for (const [name, source] of [
    ["guest.py", "guest.py"],
    // Text to the linter, since it is data to the test: it runs inside the sandbox.
    ["guest.mjs", "single-use-guest.txt"],
  ] as const)
    writeFileSync(
      join(program, name),
      readFileSync(fileURLToPath(new URL(`./${source}`, import.meta.url))),
    );
  const sandbox = await openSandbox({ want, stateDir: join(folder, "state") });
  const events: GuestEvent[] = [];
  const guests = openGuests({
    sandbox,
    stateDir: join(folder, "state"),
    programs: {
      python: { dir: program, entry: "guest.py" },
      node: { dir: program, entry: "guest.mjs" },
    },
    onEvent: (event) => events.push(event),
    ...options,
  });
  const uid = sandbox.root ? 41_000 + (process.pid % 20_000) : (process.getuid?.() ?? 0);
  const key: Stage["key"] = (changes = {}, limits = {}) => ({
    tenant: known.tenant("acme"),
    uid,
    kind: "python",
    repository: known.repository("pipelines"),
    commit: known.commit("0".repeat(40)),
    bundleDir,
    environment: {
      hash: "test",
      interpreter: changes.kind === "node" ? sandbox.node() : "/usr/bin/python3",
    },
    level: "3",
    grants: "*",
    egress: [],
    limits: { ...roomy, ...limits },
    ...changes,
  });
  const shared = key();
  let attempts = 0;
  return {
    sandbox,
    guests,
    events,
    folder,
    key,
    run: async (code, how = {}) => {
      const told = {
        lines: [] as LogLine[],
        xcoms: new Map<string, Json>(),
        artifacts: [] as { name: string; text: string }[],
      };
      const used = how.key ?? (how.limits === undefined ? shared : key({}, how.limits));
      attempts += 1;
      const outcome = await guests.run(
        used,
        startOf(attempts, code, how.start),
        { ...quietHost(told), ...how.host },
        how.signal ?? new AbortController().signal,
      );
      return {
        outcome,
        ...told,
        get text() {
          return told.lines.map((line) => line.text).join("\n");
        },
      };
    },
    parse: async (files, limits) => {
      const dir = mkdtempSync(join(folder, "bundle-"));
      chmodSync(dir, 0o755);
      mkdirSync(join(dir, "dags"));
      for (const [path, text] of Object.entries(files)) writeFileSync(join(dir, path), text);
      const found: ParsedFile[] = [];
      for await (const file of guests.parse(
        { key: key({ bundleDir: dir }, limits), files: Object.keys(files), dagsFolder: "dags" },
        { getConnection: async () => undefined, getVariable: async () => "topsecretvalue" },
        new AbortController().signal,
      ))
        found.push(file);
      return found;
    },
    close: async () => {
      await guests.close();
      await sandbox.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function startOf(n: number, code: string, changes: Partial<AttemptStart> = {}): AttemptStart {
  return {
    attempt: known.attempt(`00000000-0000-4000-8000-${String(n).padStart(12, "0")}`),
    fence: n,
    dag_id: known.dag("d"),
    task_id: known.task("t"),
    map_index: -1,
    try_number: 1,
    max_tries: 1,
    dag_file: "dags/d.py",
    queue: "default",
    pool: "default_pool",
    priority_weight: 1,
    push_length: false,
    run: {
      run_id: known.run("r"),
      run_type: "manual",
      run_after: "2026-01-01T00:00:00Z",
      start_date: "2026-01-01T00:00:00Z",
      conf: { code },
      params: {},
      clear_number: 0,
    },
    ...changes,
  };
}

function quietHost(told: Pick<Told, "lines" | "xcoms" | "artifacts">): AttemptHost {
  return {
    getConnection: async (id) =>
      id === "db"
        ? {
            conn_id: "db",
            conn_type: "postgres",
            login: "u",
            password: "p4ss/w?rd+secret",
            extra: '{"api_key":"k-123456789","region":"north-sea"}',
          }
        : undefined,
    getVariable: async (key) => (key === "v" ? "variable-value" : undefined),
    putVariable: async () => undefined,
    deleteVariable: async () => true,
    getXCom: async ({ key }) => told.xcoms.get(key),
    listXComs: async () => [10, 20, 30, 40],
    countXComs: async () => 4,
    setXCom: async ({ key }, value) => {
      told.xcoms.set(key, value);
    },
    deleteXCom: async ({ key }) => {
      told.xcoms.delete(key);
    },
    setRenderedFields: async (fields) => {
      told.xcoms.set("rendered", fields);
    },
    setRenderedMapIndex: async (text) => {
      told.xcoms.set("label", text);
    },
    triggerDagRun: async () => ({ ok: true, run_id: "manual__1" }),
    getDagRunState: async () => "success",
    getTaskStates: async () => ({ r: { a: "success", b: "failed", c: null } }),
    log: async (lines) => {
      told.lines.push(...lines);
    },
    artifact: async ({ name, path }) => {
      told.artifacts.push({ name, text: await readFile(path, "utf8") });
    },
  };
}
