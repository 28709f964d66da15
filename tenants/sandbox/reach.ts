/** Whether a tenant's uid can get at a path: one forbidden folder on the way (root's home) is enough that it cannot. */
import { readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";

/** Answers the first path on the way that stops this uid, or undefined if it can read (and, for programs, run) it. */
export function stoppedAt(
  path: string,
  uid: number,
  want: "read" | "run" = "read",
): string | undefined {
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    return path;
  }
  // Links are followed by whoever opens the path, so the folders that hold them must be open as well.
  for (const hop of [...hops(path), real]) {
    for (let folder = dirname(hop); ; folder = dirname(folder)) {
      if (!allowed(folder, uid, 1)) return folder;
      if (folder === dirname(folder)) break;
    }
  }
  const isFolder = statSync(real).isDirectory();
  return allowed(real, uid, want === "run" || isFolder ? 5 : 4) ? undefined : real;
}

function hops(path: string): readonly string[] {
  const seen: string[] = [];
  for (let at = path; seen.length < 40; ) {
    seen.push(at);
    try {
      const target = readlinkSync(at);
      at = isAbsolute(target) ? target : join(dirname(at), target);
    } catch {
      return seen;
    }
  }
  return seen;
}

function allowed(path: string, uid: number, bits: number): boolean {
  try {
    const { mode, uid: owner, gid } = statSync(path);
    if (uid === 0) return true;
    const shift = owner === uid ? 6 : gid === uid ? 3 : 0;
    return ((mode >> shift) & bits) === bits;
  } catch {
    return false;
  }
}
