/**
 * AIRLOCK_HOME: all state that is not in DATABASE_URL. One process holds a home at a time; the lock is an
 * abstract socket, which the kernel frees however the process ends.
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { isObject } from "../model/json.ts";
import { postgresUser, reachableBy } from "../postgres/reachable.ts";

export type ServerInfo = {
  readonly url: string;
  readonly pid: number;
  readonly started_at: string;
  readonly version: string;
};

/** Where state lies: AIRLOCK_HOME; else `.airlock` beside package.json if the users that need it can get there; else a system folder. */
export function findHome(env: NodeJS.ProcessEnv = process.env): string {
  const asked = env["AIRLOCK_HOME"];
  if (asked !== undefined && asked !== "") return resolve(asked);
  const checkout = checkoutFolder();
  const root = process.getuid?.() === 0;
  if (checkout !== undefined) {
    const here = join(checkout, ".airlock");
    // As root, Postgres and the tenants' tasks run as other users: a checkout under root's home is closed to them.
    if (!root || reachableBy(checkout, postgresUser())) return here;
  }
  if (root) return "/var/lib/airlock";
  const state = env["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state");
  return join(state, "airlock");
}

/** The folder of the package this file is in, if it is a checkout and not an installed package. */
export function checkoutFolder(): string | undefined {
  for (let at = import.meta.dirname; ; at = dirname(at)) {
    if (at.includes("/node_modules/")) return undefined;
    if (existsSync(join(at, "package.json")) && existsSync(join(at, "platform"))) return at;
    if (at === dirname(at)) return undefined;
  }
}

export type HeldHome = {
  readonly folder: string;
  /** How scripts find a running server. */
  publish(info: ServerInfo): void;
  release(): void;
};

/**
 * Takes the home for these roles of this process. Throws with the name of the holder if another process has one
 * of them on it: processes of different roles share a home, and with it repositories and checkouts.
 */
export async function holdHome(folder: string, roles: readonly string[]): Promise<HeldHome> {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o711); // tenants' and Postgres' users pass through; they cannot list
  const locks: Server[] = [];
  try {
    for (const role of roles) locks.push(await takeLock(folder, role));
  } catch (error) {
    for (const lock of locks) lock.close();
    throw error;
  }
  const file = join(folder, "server.json");
  return {
    folder,
    publish(info) {
      const part = `${file}.part`;
      writeFileSync(part, `${JSON.stringify(info, null, 2)}\n`, { mode: 0o600 });
      renameSync(part, file);
    },
    release() {
      if (roles.includes("server")) rmSync(file, { force: true });
      for (const lock of locks) lock.close();
    },
  };
}

function takeLock(folder: string, role: string): Promise<Server> {
  const name = createHash("sha256").update(realpathSync(folder)).digest("hex").slice(0, 32);
  return new Promise((done, fail) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => {
      fail(error.code === "EADDRINUSE" ? new Error(describeHolder(folder)) : error);
    });
    server.listen(`\0airlock-home-${name}-${role}`, () => done(server));
    server.unref();
  });
}

function describeHolder(folder: string): string {
  const info = readServerInfo(folder);
  const who =
    info === undefined ? "Another process" : `Process ${info.pid}, which answers at ${info.url},`;
  return `${who} holds ${folder}. Stop it, or set AIRLOCK_HOME to another folder.`;
}

export function readServerInfo(folder: string): ServerInfo | undefined {
  try {
    const raw: unknown = JSON.parse(readFileSync(join(folder, "server.json"), "utf8"));
    return isObject(raw) && typeof raw["url"] === "string" && typeof raw["pid"] === "number"
      ? (raw as ServerInfo)
      : undefined;
  } catch {
    return undefined;
  }
}
