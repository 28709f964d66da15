import { accessSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** A user of this machine that a server process can run as; undefined: as ourselves. */
export type SystemUser = { readonly name: string; readonly uid: number; readonly gid: number };

/**
 * Whether somebody else may enter every folder on the way to `path`, and read it. A checkout under root's
 * home cannot be reached by the `postgres` user, however open the checkout itself is.
 */
export function reachableBy(path: string, user: SystemUser | undefined): boolean {
  if (user === undefined) return readable(path);
  for (let at = resolve(path); ; at = dirname(at)) {
    if (existsSync(at)) {
      const { mode, uid, gid } = statSync(at);
      const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
      if (((mode >> shift) & 0o1) === 0) return false;
    }
    if (at === dirname(at)) return true;
  }
}

function readable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The user that runs Postgres when we are root, which Postgres refuses to run as. */
export function postgresUser(): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const name of ["postgres", "nobody"]) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(":");
    if (fields !== undefined) return { name, uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error(
    "Postgres does not run as root, and this machine has neither a user `postgres` nor `nobody`.",
  );
}
