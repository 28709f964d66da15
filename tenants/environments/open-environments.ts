/**
 * Python environments, named by the hash of what is in them: built once, in the sandbox, as the tenant's uid,
 * with the package index as the only thing to reach; then the house's own, read-only, and shared.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import type { EnvironmentRef } from "../../platform/model/guest.ts";
import type { TenantId } from "../../platform/model/ids.ts";
import { findPython } from "../sandbox/interpreters.ts";
import type { Boxed } from "../sandbox/launch.ts";
import type { Sandbox } from "../sandbox/open-sandbox.ts";
import { plain } from "../sandbox/plain-text.ts";
import { explainPip, lastNamed } from "./explain-pip.ts";
import { readIndexSettings } from "./index-settings.ts";
import { type Requirements, readRequirements } from "./read-requirements.ts";

export type EnvironmentRequest = {
  readonly tenant: TenantId;
  /** uid on the host under which the packages' own install code runs. */
  readonly uid: number;
  /** Absolute folder of the immutable checkout: its requirements.txt (else its pyproject.toml) names the environment; without one it is the default. */
  readonly bundleDir: string;
  /** One line at a time, plain text, for the push answer. */
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
};

export type EnvironmentProblem = {
  /** One sentence: which requirement, what is wrong. */
  readonly message: string;
  /** One sentence: the way out. */
  readonly hint: string;
  /** File and line in the bundle, where the problem has one. */
  readonly path?: string;
  readonly line?: number;
};

export type Environments = {
  /** The Python environment of a bundle; built once per content hash, then answered at once. */
  ensure(request: EnvironmentRequest): Promise<Answer<EnvironmentRef, EnvironmentProblem>>;
  /** The environment that ships with the platform, built as `uid` (a tenant's, or one that belongs to nobody). */
  ensureDefault(
    onProgress?: (line: string) => void,
  ): Promise<Answer<EnvironmentRef, EnvironmentProblem>>;
  /** Folders of environments that exist, by hash: for garbage collection together with `remove`. */
  list(): readonly string[];
  remove(hash: string): void;
};

export type EnvironmentsOptions = {
  readonly sandbox: Sandbox;
  /** Absolute folder of the environments; tenants' uids must be able to pass through what leads to it. */
  readonly folder: string;
  /** What the Python guest stands on, pinned (its requirements.txt): the default environment. */
  readonly requirements?: string;
  /** uid for the default environment's build, where root can give one. */
  readonly defaultUid?: number;
  readonly limits?: Partial<BuildLimits>;
  /** For tests: the machine's variables. */
  readonly machine?: { readonly [name: string]: string | undefined };
};

type BuildLimits = {
  readonly seconds: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly processes: number;
};

const usual: BuildLimits = {
  seconds: 900,
  memoryBytes: 2 * 2 ** 30,
  diskBytes: 6 * 2 ** 30,
  processes: 256,
};
const requirementsBytesMax = 256 * 1024;
const progressLinesMax = 5000;
const outputKept = 64 * 1024;
const diskLookMs = 1000;
/** Raise when the way of building changes: what was built before is then not found again. */
const recipe = 1;

const roomFile = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8");

export function openEnvironments(options: EnvironmentsOptions): Environments {
  const { sandbox, folder } = options;
  const pinned = options.requirements ?? roomFile("requirements-default.txt");
  const limits = { ...usual, ...options.limits };
  const defaultUid = options.defaultUid ?? 65_532;
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  sweep(folder);
  const building = new Map<string, Building>();
  const python = once(() => findPython(sandbox.root ? defaultUid : (process.getuid?.() ?? 0)));

  return {
    ensure: async (request) => {
      const wanted = readWanted(request.bundleDir);
      if (!wanted.ok) return wanted;
      return ensureWanted(wanted.value, request.uid, request.onProgress, request.signal);
    },
    ensureDefault: async (onProgress) =>
      ensureWanted({ kind: "default" }, defaultUid, onProgress, undefined),
    list: () => readdirSync(folder).filter((name) => /^[0-9a-f]{32}$/.test(name)),
    remove: (hash) => {
      if (/^[0-9a-f]{32}$/.test(hash) && !building.has(hash))
        rmSync(join(folder, hash), { recursive: true, force: true });
    },
  };

  async function ensureWanted(
    wanted: Wanted,
    uid: number,
    onProgress: ((line: string) => void) | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Answer<EnvironmentRef, EnvironmentProblem>> {
    const found = python();
    if (!found.ok) return bad(found.problem);
    const { python: base, passedOver } = found.value;
    const files = filesOf(wanted, pinned);
    const hash = hashOf([recipe, base.path, base.version, process.arch, files]);
    const dir = join(folder, hash);
    const ref = { hash, dir, interpreter: join(dir, "bin", "python") };
    if (existsSync(join(dir, doneFile))) return good(ref);
    if (!base.venv)
      return bad({
        message: `${base.path} cannot make virtual environments: its venv module is missing.`,
        hint: "Install Debian's python3-venv (apt-get install python3-venv).",
      });
    let build = building.get(hash);
    if (build === undefined) {
      const hearers = new Set<(line: string) => void>();
      const stop = new AbortController();
      const answer = buildEnvironment({
        sandbox,
        dir,
        base: base.path,
        files,
        wanted,
        uid: sandbox.root ? uid : (process.getuid?.() ?? 0),
        limits,
        machine: options.machine ?? process.env,
        say: (line) => {
          for (const hear of hearers) hear(line);
        },
        signal: stop.signal,
      }).finally(() => building.delete(hash));
      build = { answer, hearers, waiting: 0, stop };
      building.set(hash, build);
      for (const line of passedOver) onProgress?.(line);
    } else onProgress?.("The same environment is being built already; waiting for it.");
    return follow(build, onProgress, signal, ref);
  }
}

type Building = {
  readonly answer: Promise<Answer<undefined, EnvironmentProblem>>;
  readonly hearers: Set<(line: string) => void>;
  waiting: number;
  readonly stop: AbortController;
};

/** A build ends early only when nobody waits for it any more. */
async function follow(
  build: Building,
  onProgress: ((line: string) => void) | undefined,
  signal: AbortSignal | undefined,
  ref: EnvironmentRef,
): Promise<Answer<EnvironmentRef, EnvironmentProblem>> {
  const hear = (line: string): void => onProgress?.(line);
  build.hearers.add(hear);
  build.waiting += 1;
  let onAbort = (): void => undefined;
  const aborted = new Promise<Answer<undefined, EnvironmentProblem>>((resolve) => {
    onAbort = () => resolve(bad({ message: "The build was stopped.", hint: "Push again." }));
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
  });
  try {
    const answer = await Promise.race([build.answer, aborted]);
    return answer.ok ? good(ref) : answer;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    build.hearers.delete(hear);
    build.waiting -= 1;
    if (build.waiting === 0) build.stop.abort();
  }
}

type Wanted =
  | { readonly kind: "default" }
  | { readonly kind: "requirements"; readonly requirements: Requirements }
  | { readonly kind: "pyproject"; readonly text: string };

function readWanted(bundleDir: string): Answer<Wanted, EnvironmentProblem> {
  const text = readBundleFile(bundleDir, "requirements.txt");
  if (text === "too large")
    return bad({
      message: "requirements.txt is larger than 256 KiB.",
      hint: "Name only what the DAGs import.",
      path: "requirements.txt",
    });
  if (text !== undefined) {
    const read = readRequirements("requirements.txt", text, (path) => {
      const found = readBundleFile(bundleDir, path);
      return found === "too large" ? undefined : found;
    });
    if (!read.ok) return bad(read.problem);
    return good(
      read.value.lines.length === 0
        ? { kind: "default" }
        : { kind: "requirements", requirements: read.value },
    );
  }
  const project = readBundleFile(bundleDir, "pyproject.toml");
  if (project !== undefined && /^\[project\]/m.test(project) && /^dependencies\s*=/m.test(project))
    return good({ kind: "pyproject", text: project });
  return good({ kind: "default" });
}

/** Regular files only: a link in a repository could lead anywhere on this machine. */
function readBundleFile(bundleDir: string, path: string): string | undefined {
  let fd: number;
  try {
    for (let folder = path; folder.includes("/"); ) {
      folder = folder.slice(0, folder.lastIndexOf("/"));
      if (lstatSync(join(bundleDir, folder)).isSymbolicLink()) return undefined;
    }
    fd = openSync(
      join(bundleDir, path),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
  } catch {
    return undefined;
  }
  try {
    if (!fstatSync(fd).isFile()) return undefined;
    const buffer = Buffer.alloc(requirementsBytesMax + 1);
    let length = 0;
    for (let more = 1; more > 0 && length < buffer.length; length += more)
      more = readSync(fd, buffer, length, buffer.length - length, length);
    return length > requirementsBytesMax ? "too large" : buffer.toString("utf8", 0, length);
  } finally {
    closeSync(fd);
  }
}

type BuildFiles = { readonly [name: string]: string };

function filesOf(wanted: Wanted, pinned: string): BuildFiles {
  switch (wanted.kind) {
    case "default":
      return { "requirements.txt": pinned };
    case "requirements":
      return {
        "requirements.txt": `${wanted.requirements.lines.join("\n")}\n`,
        "constraints.txt": `${wanted.requirements.constraints.join("\n")}\n`,
        "platform.txt": roomFile("requirements-platform.txt"),
      };
    case "pyproject":
      return {
        "pyproject.toml": wanted.text,
        "platform.txt": roomFile("requirements-platform.txt"),
      };
  }
}

const hashOf = (parts: unknown): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);

/** Written by the house when all is done: an environment without it is half of one. */
const doneFile = "airlock-environment.json";

type Build = {
  readonly sandbox: Sandbox;
  readonly dir: string;
  readonly base: string;
  readonly files: BuildFiles;
  readonly wanted: Wanted;
  readonly uid: number;
  readonly limits: BuildLimits;
  readonly machine: { readonly [name: string]: string | undefined };
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
};

async function buildEnvironment(build: Build): Promise<Answer<undefined, EnvironmentProblem>> {
  const { sandbox, dir, uid, limits, files } = build;
  const index = readIndexSettings(build.machine);
  const site = `${dir}.building-${String(process.pid)}-${randomBytes(4).toString("hex")}`;
  // A virtual environment names its own path: it is built there. Where nothing can be bound, it is built in its place.
  const half = sandbox.binds ? join(site, "environment") : dir;
  const scratch = join(site, "scratch");
  const input = join(site, "input");
  mkdirSync(site);
  chmodSync(site, 0o711);
  rmSync(dir, { recursive: true, force: true });
  for (const folder of [half, scratch, input]) mkdirSync(folder);
  for (const folder of [half, scratch]) {
    if (sandbox.root) chownSync(folder, uid, uid);
    chmodSync(folder, 0o755);
  }
  chmodSync(input, 0o755);
  for (const [name, text] of Object.entries({ ...files, "build.py": roomFile("build.py") })) {
    writeFileSync(join(input, name), text);
    chmodSync(join(input, name), 0o644);
  }
  const at = sandbox.binds
    ? { environment: dir, scratch: "/airlock/scratch", input: "/airlock/input" }
    : { environment: dir, scratch, input };
  const group = sandbox.groups?.make(`e${randomBytes(4).toString("hex")}`, {
    memoryBytes: limits.memoryBytes,
    cpuPercent: 200,
    processes: limits.processes,
  });
  try {
    const boxed = await sandbox.launch({
      name: "the build of an environment",
      uid,
      command: [build.base, "-I", join(at.input, "build.py"), at.environment, at.input],
      binds: [
        ...index.binds,
        ...(build.base.startsWith("/usr/")
          ? []
          : [{ from: prefixOf(build.base), to: prefixOf(build.base), access: "read" as const }]),
        { from: half, to: dir, access: "write" },
        { from: scratch, to: at.scratch, access: "write" },
        { from: input, to: at.input, access: "read" },
      ],
      cwd: at.scratch,
      env: {
        ...index.env,
        PATH: "/usr/local/bin:/usr/bin:/bin",
        HOME: at.scratch,
        TMPDIR: at.scratch,
        LANG: "C.UTF-8",
      },
      egress: index.egress,
      limits: {
        memoryBytes: limits.memoryBytes,
        processes: limits.processes,
        openFiles: 1024,
        fileBytes: limits.diskBytes,
      },
      ...(group === undefined ? {} : { group }),
      first: false,
    });
    const end = await watch(boxed, build, [half, scratch]);
    const hits = group?.hits() ?? { memory: 0, processes: 0 };
    boxed.kill();
    if (end.kind === "done") {
      takeOver(half, sandbox.root);
      writeFileSync(
        join(half, doneFile),
        JSON.stringify({ built_at: new Date().toISOString(), files }),
      );
      if (half !== dir) renameSync(half, dir);
      return good(undefined);
    }
    return bad(placed(problemOf(end, hits, build, index.hosts), build.wanted));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTEMPTY" && existsSync(join(dir, doneFile)))
      return good(undefined);
    return bad({
      message: `The environment could not be built: ${error instanceof Error ? error.message : String(error)}.`,
      hint: "See `airlock doctor`.",
    });
  } finally {
    await group?.remove();
    rmSync(site, { recursive: true, force: true });
    if (!existsSync(join(dir, doneFile))) rmSync(dir, { recursive: true, force: true });
  }
}

type End =
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly output: string; readonly how: string }
  | { readonly kind: "time" | "disk" | "stopped"; readonly output: string };

async function watch(boxed: Boxed, build: Build, folders: readonly string[]): Promise<End> {
  const { limits, say, signal } = build;
  let output = "";
  let lines = 0;
  let rest = "";
  let why: "time" | "disk" | "stopped" | undefined;
  const stop = (reason: NonNullable<typeof why>): void => {
    why ??= reason;
    boxed.kill();
  };
  const hear = (chunk: Buffer): void => {
    const text = chunk.toString("utf8");
    output = (output + text).slice(-outputKept);
    const parts = (rest + text).split(/\r?\n/);
    rest = (parts.pop() ?? "").slice(-4096);
    for (const line of parts) {
      lines += 1;
      if (lines === progressLinesMax) say("… (more output is not shown)");
      if (lines < progressLinesMax && line.trim() !== "") say(plain(line));
    }
  };
  boxed.stdout.on("data", hear);
  boxed.stderr.on("data", hear);
  const timer = setTimeout(() => stop("time"), limits.seconds * 1000);
  let looking = false;
  const looker = setInterval(() => {
    if (looking) return;
    looking = true;
    void measure(folders, limits.diskBytes).then((over) => {
      looking = false;
      if (over) stop("disk");
    });
  }, diskLookMs);
  const onAbort = (): void => stop("stopped");
  signal.addEventListener("abort", onAbort, { once: true });
  const exit = await boxed.exited;
  clearTimeout(timer);
  clearInterval(looker);
  signal.removeEventListener("abort", onAbort);
  await new Promise((resolve) => setImmediate(resolve));
  if (why !== undefined) return { kind: why, output };
  if (exit.code === 0 && exit.signal === null) return { kind: "done" };
  return { kind: "failed", output, how: exit.signal ?? `exit code ${String(exit.code)}` };
}

/** Whether the build holds more than it may, or the disk is nearly full. */
async function measure(folders: readonly string[], bytesMax: number): Promise<boolean> {
  let bytes = 0;
  let files = 0;
  const walk = async (folder: string): Promise<void> => {
    let entries;
    try {
      entries = await readdir(folder, { withFileTypes: true });
    } catch {
      return;
    }
    for (const entry of entries) {
      if (bytes > bytesMax || files > filesMax) return;
      const path = join(folder, entry.name);
      files += 1;
      if (entry.isDirectory()) await walk(path);
      else if (entry.isFile()) bytes += (await stat(path).catch(() => undefined))?.size ?? 0;
    }
  };
  for (const folder of folders) await walk(folder);
  return bytes > bytesMax || files > filesMax || isDiskFull(folders[0] ?? "/");
}
const filesMax = 400_000;

function isDiskFull(folder: string): boolean {
  try {
    const { bavail, blocks } = statfsSync(folder);
    return bavail < blocks * 0.03;
  } catch {
    return false; // it was just finished or given up, and moved away under this look
  }
}

/** From now on the house's: no tenant can write here, whoever built it. All its processes are gone. */
function takeOver(folder: string, root: boolean): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (root) lchownSync(path, 0, 0);
    if (entry.isSymbolicLink()) continue;
    if (entry.isDirectory()) {
      takeOver(path, root);
      chmodSync(path, 0o755);
    } else if (entry.isFile()) chmodSync(path, lstatSync(path).mode & 0o100 ? 0o755 : 0o644);
    else rmSync(path);
  }
  if (root) chownSync(folder, 0, 0);
  chmodSync(folder, 0o755);
}

function problemOf(
  end: Exclude<End, { readonly kind: "done" }>,
  hits: { readonly memory: number; readonly processes: number },
  { limits }: Build,
  hosts: readonly string[],
): EnvironmentProblem & { readonly package?: string } {
  const busy = lastNamed(end.output);
  const at = busy === undefined ? "" : ` It was busy with ${busy}.`;
  const about = busy === undefined ? {} : { package: busy.toLowerCase().replace(/[-_.]+/g, "-") };
  if (end.kind === "stopped") return { message: "The build was stopped.", hint: "Push again." };
  if (hits.memory > 0)
    return {
      message: `The install needed more memory than the limit of ${String(Math.round(limits.memoryBytes / 2 ** 20))} MiB.${at}`,
      hint: "Take versions that the index has as wheels, so that nothing has to be compiled.",
      ...about,
    };
  if (hits.processes > 0)
    return {
      message: `The install started more than ${String(limits.processes)} processes.${at}`,
      hint: "A package's install code misbehaves: take another version of it.",
      ...about,
    };
  if (end.kind === "time")
    return {
      message: `The install did not end within ${String(limits.seconds)} s.${at}`,
      hint: "A package's install code hangs, or it is built from source: take a version that the index has as a wheel.",
      ...about,
    };
  if (end.kind === "disk")
    return {
      message: `The install needs more disk than the limit of ${String(Math.round(limits.diskBytes / 2 ** 20))} MiB, or the disk is nearly full.${at}`,
      hint: "Install less, or free space.",
      ...about,
    };
  return explainPip(end.output, hosts);
}

/** Where in the bundle the package is named. */
function placed(
  { package: name, ...problem }: EnvironmentProblem & { readonly package?: string },
  wanted: Wanted,
): EnvironmentProblem {
  if (wanted.kind === "pyproject") return { ...problem, path: "pyproject.toml" };
  if (wanted.kind === "default") return problem;
  const place = name === undefined ? undefined : wanted.requirements.places.get(name);
  return { ...problem, ...(place ?? { path: "requirements.txt" }) };
}

/** What builds of a house that was killed left behind. */
function sweep(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = /^[0-9a-f]{32}\.building-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(folder, name), { recursive: true, force: true });
  }
}

const prefixOf = (interpreter: string): string => interpreter.split("/").slice(0, -2).join("/");

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
