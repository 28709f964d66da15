/**
 * Removing what a tenant wrote, as root perhaps, while another of its processes may still swap
 * names for links: every step goes through an open descriptor, and no link is followed.
 */
import { closeSync, constants, openSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Removes a folder and all in it. Answers whether it is gone; what cannot be removed stays. */
export function removeFolder(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, folderFlags);
  } catch {
    return false;
  }
  try {
    empty(fd, 0);
  } finally {
    closeSync(fd);
  }
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

function empty(folder: number, depth: number): void {
  const inside = `/proc/self/fd/${String(folder)}`;
  if (depth > 100) return;
  for (const entry of readdirSync(inside, { withFileTypes: true })) {
    const path = join(inside, entry.name);
    try {
      if (!entry.isDirectory()) {
        unlinkSync(path);
        continue;
      }
      const fd = openSync(path, folderFlags);
      try {
        empty(fd, depth + 1);
      } finally {
        closeSync(fd);
      }
      rmdirSync(path);
    } catch {
      // Changed meanwhile, or not ours to remove: it stays for the next time.
    }
  }
}
