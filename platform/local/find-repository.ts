import { existsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/**
 * The author's repository around a path: the nearest folder upwards with an `airlock.yaml`, a `dags/` folder
 * or a `.git`; without any of them the folder itself. Undefined: there is nothing at the path.
 */
export function findRepository(path: string): string | undefined {
  const start = resolve(path);
  if (!existsSync(start)) return undefined;
  const folder = statSync(start).isDirectory() ? start : dirname(start);
  for (let at = folder; ; at = dirname(at)) {
    if (isRepository(at)) return at;
    if (at === dirname(at)) return folder;
  }
}

/** The folder of the git work tree around it: what a git host's annotations name their paths from. */
export function findWorkTree(folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return at;
    if (at === dirname(at)) return undefined;
  }
}

const isRepository = (folder: string): boolean =>
  existsSync(join(folder, "airlock.yaml")) ||
  existsSync(join(folder, ".git")) ||
  isFolder(join(folder, "dags"));

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}
