/** A whole platform as its users start it: a process of its own, on a home and a port of its own. */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const root = join(import.meta.dirname, "..", "..");

export type House = {
  readonly url: string;
  readonly home: string;
  readonly pid: number;
  readonly password: string;
  /** Everything it has printed. */
  output(): string;
  /** The command as people run it on this machine; never throws. */
  airlock(...args: string[]): Promise<Ran>;
  /** The same where it must succeed: what it printed. */
  must(...args: string[]): Promise<string>;
  /** SIGINT, as Ctrl-C; resolves with its exit code. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
  /** Stops it if it runs, and removes its home. */
  remove(): Promise<void>;
};

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

export type HouseOptions = {
  /** An earlier house's home, to start again on. */
  readonly home?: string;
  readonly examples?: boolean;
  readonly env?: NodeJS.ProcessEnv;
  readonly readyMs?: number;
  /** A single role instead of all of them; needs DATABASE_URL in `env`. */
  readonly role?: "server" | "scheduler" | "worker" | "sync";
  /** Run as this user (root only). */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
};

export async function openHouse(options: HouseOptions = {}): Promise<House> {
  const home = options.home ?? makeHome();
  // Of another user: what root lends it could not change.
  const lends = options.home === undefined && options.user === undefined;
  if (lends) lendEnvironments(home);
  const password = "journey-password";
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    AIRLOCK_HOME: home,
    AIRLOCK_PORT: "0",
    AIRLOCK_ADMIN_PASSWORD: password,
    AIRLOCK_EXAMPLES: options.examples === true ? "1" : "0",
    AIRLOCK_LOG_FORMAT: "json",
    ...options.env,
  };
  // Not spawn's own uid: supplementary groups of root would stay.
  const as =
    options.user === undefined
      ? []
      : [
          "setpriv",
          "--reuid",
          String(options.user.uid),
          "--regid",
          String(options.user.gid),
          "--clear-groups",
        ];
  const [program = process.execPath, ...before] = as.length > 0 ? [...as, process.execPath] : [];
  if (options.user !== undefined) env["HOME"] = home;
  const child: ChildProcess = spawn(
    program,
    [...before, join(root, "bin/airlock.mjs"), options.role ?? "up"],
    {
      cwd: root,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let printed = "";
  child.stdout?.on("data", (data: Buffer) => {
    printed += data.toString();
  });
  child.stderr?.on("data", (data: Buffer) => {
    printed += data.toString();
  });
  const ended = new Promise<number | null>((done) => child.once("exit", (code) => done(code)));
  const url = await readyUrl(() => printed, ended, options.readyMs ?? 60_000);
  let over = false;
  void ended.then(() => {
    over = true;
  });
  const house: House = {
    url,
    home,
    pid: child.pid ?? 0,
    password,
    output: () => printed,
    airlock: (...args) =>
      run(process.execPath, [join(root, "bin/airlock.mjs"), ...args], { env, cwd: root }),
    async must(...args) {
      const ran = await house.airlock(...args);
      if (ran.code !== 0) throw new Error(`airlock ${args.join(" ")}: ${ran.stderr}`);
      return ran.stdout;
    },
    async stop() {
      child.kill("SIGINT");
      return ended;
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
    async remove() {
      if (!over) await house.stop();
      if (lends) keepEnvironments(home);
      rmSync(home, { recursive: true, force: true });
    },
  };
  return house;
}

/**
 * Python environments are named by their contents and never changed: one that a house of this test run has built is
 * linked into the next one's home. How they are built is tested where nothing is lent (`tenants/environments`, the newcomer).
 */
const lent = process.env["AIRLOCK_TEST_ENVIRONMENTS"];

function lendEnvironments(home: string): void {
  if (lent === undefined) return;
  const to = join(home, "environments");
  mkdirSync(to);
  for (const hash of readdirSync(lent).filter(isHash)) linkFolder(join(lent, hash), join(to, hash));
}

function keepEnvironments(home: string): void {
  const from = join(home, "environments");
  if (lent === undefined || !existsSync(from)) return;
  for (const hash of readdirSync(from).filter(isHash)) {
    if (existsSync(join(lent, hash))) continue;
    const part = join(lent, `${hash}.${process.pid}`);
    linkFolder(join(from, hash), part);
    try {
      renameSync(part, join(lent, hash));
    } catch {
      // another test file was first
      rmSync(part, { recursive: true, force: true });
    }
  }
}

const isHash = (name: string): boolean => /^[0-9a-f]{32}$/.test(name);

function linkFolder(from: string, to: string): void {
  const { status, stderr } = spawnSync("cp", ["--archive", "--link", from, to]);
  if (status !== 0) throw new Error(`cp ${from}: ${stderr.toString()}`);
}

export function makeHome(): string {
  const home = mkdtempSync(join(tmpdir(), "airlock-house-"));
  chmodSync(home, 0o711);
  return home;
}

async function readyUrl(
  printed: () => string,
  ended: Promise<number | null>,
  ms: number,
): Promise<string> {
  let code: number | null | undefined;
  void ended.then((c) => {
    code = c;
  });
  for (const until = Date.now() + ms; Date.now() < until; ) {
    const found = /Airlock(?: \(\w+\))? is ready in [\d.]+ s(?: at (\S+))?/.exec(printed());
    if (found !== null) return found[1] ?? "";
    if (code !== undefined) break;
    await pause(20);
  }
  throw new Error(`the platform did not become ready (exit ${String(code)}):\n${printed()}`);
}

/** A program to its end; its exit code is an answer, not an exception. */
export const run = (
  program: string,
  args: readonly string[],
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly cwd?: string;
    readonly timeoutMs?: number;
  } = {},
): Promise<Ran> =>
  new Promise((done) => {
    execFile(
      program,
      args,
      {
        env: options.env ?? process.env,
        cwd: options.cwd,
        timeout: options.timeoutMs ?? 120_000,
        maxBuffer: 64 * 1024 * 1024,
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        done({ code, stdout, stderr });
      },
    );
  });

/** Asks until the answer is there; the error says what was last seen. */
export async function eventually<T>(ask: () => Promise<T | undefined>, ms = 20_000): Promise<T> {
  let last: unknown;
  for (const until = Date.now() + ms; Date.now() < until; ) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = error;
    }
    await pause(50);
  }
  throw new Error(`it did not happen within ${ms} ms`, { cause: last });
}

/** A clone of a hosted repository, as a team has it. */
export async function cloneRepository(house: House, tenant: string, name: string): Promise<Clone> {
  const folder = mkdtempSync(join(tmpdir(), "airlock-clone-"));
  const at = new URL(house.url);
  const address = `http://admin:${house.password}@${at.host}/git/${tenant}/${name}.git`;
  const env = { ...process.env, GIT_TERMINAL_PROMPT: "0", GIT_CONFIG_GLOBAL: "/dev/null" };
  const git = (...args: string[]): Promise<Ran> => run("git", ["-C", folder, ...args], { env });
  const cloned = await run("git", ["clone", "--quiet", address, folder], { env });
  if (cloned.code !== 0) throw new Error(`clone: ${cloned.stderr}`);
  await git("config", "user.email", "team@example.org");
  await git("config", "user.name", "A team");
  return {
    folder,
    git,
    async push(message) {
      await git("add", "--all");
      await git("commit", "--quiet", "--message", message);
      return git("push", "origin", "HEAD:main");
    },
    read: (path) => readFileSync(join(folder, path), "utf8"),
  };
}

export type Clone = {
  readonly folder: string;
  git(...args: string[]): Promise<Ran>;
  /** Commits all and pushes; the `remote:` lines are in stderr. */
  push(message: string): Promise<Ran>;
  read(path: string): string;
};
