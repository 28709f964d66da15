/**
 * Our guest programs, copied once per version to where tenants' uids can reach them (a checkout under root's
 * home they cannot), and compiled: guests may not write there, and would compile at every start.
 */
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import type { GuestKind } from "../../platform/model/dag-spec.ts";

export type GuestProgram = {
  /** Absolute folder, and the file in it that the interpreter runs. */
  readonly dir: string;
  readonly entry: string;
};

export function placeProgram(
  folder: string,
  kind: GuestKind,
  program: GuestProgram,
  python = "/usr/bin/python3",
): GuestProgram {
  const place = join(folder, `${kind}-${versionOf(program.dir)}`);
  if (!existsSync(place)) {
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o755);
    const half = `${place}.${randomBytes(4).toString("hex")}`;
    cpSync(program.dir, half, {
      recursive: true,
      dereference: true,
      filter: (path) => !/\/(?:__pycache__|node_modules)$/.test(path),
    });
    if (kind === "python" && existsSync(python))
      spawnSync(python, ["-I", "-m", "compileall", "-q", half], { env: {}, timeout: 60_000 });
    openUp(half);
    try {
      renameSync(half, place);
    } catch {
      // Another worker of this home was first.
      rmSync(half, { recursive: true, force: true });
    }
  }
  return { dir: place, entry: program.entry };
}

/** Of names, sizes and times: a changed file is another version. */
function versionOf(dir: string): string {
  const hash = createHash("sha256").update(dir);
  for (const path of readdirSync(dir, { recursive: true, encoding: "utf8" }).sort()) {
    if (/(?:^|\/)(?:__pycache__|node_modules)(?:\/|$)/.test(path)) continue;
    const { size, mtimeMs } = statSync(join(dir, path));
    hash.update(`\0${path}\0${String(size)}\0${String(mtimeMs)}`);
  }
  return hash.digest("hex").slice(0, 16);
}

function openUp(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) openUp(path);
    else chmodSync(path, 0o644);
  }
}
