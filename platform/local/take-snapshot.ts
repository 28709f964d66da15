import {
  chmodSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { repositoryBounds, sizeText } from "../../tenants/registry/limits.ts";
import { type Answer, bad, good } from "../model/answer.ts";
import type { FileProblem } from "../model/guest.ts";

export type Snapshot = {
  readonly dir: string;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** What was left out and why. */
  readonly warnings: readonly (FileProblem & { readonly path: string })[];
  /** Content of a file as it was taken. */
  read(path: string): Promise<Buffer>;
  readonly remove: () => void;
};

/**
 * A copy of a working folder that does not change under a run, where the sandbox's user can read it (a
 * repository under root's home cannot be). The bounds are those of a push; no symlink is followed, and what
 * nobody commits is left out.
 */
export function takeSnapshot(root: string, parent: string): Answer<Snapshot, FileProblem> {
  const warnings: (FileProblem & { path: string })[] = [];
  const found = walk(root, warnings);
  if (!found.ok) return found;
  mkdirSync(parent, { recursive: true });
  chmodSync(parent, 0o711);
  sweepDead(parent);
  const dir = mkdtempSync(join(parent, `bundle-${process.pid}-`));
  chmodSync(dir, 0o755);
  const made = new Set([dir]);
  const makeFolder = (folder: string): void => {
    if (made.has(folder)) return;
    makeFolder(dirname(folder));
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    made.add(folder);
  };
  for (const { path, executable } of found.value) {
    const target = join(dir, path);
    makeFolder(dirname(target));
    copyFileSync(join(root, path), target, constants.COPYFILE_FICLONE);
    chmodSync(target, executable ? 0o755 : 0o644);
  }
  return good({
    dir,
    files: found.value,
    warnings,
    read: (path) => Promise.resolve(readFileSync(join(dir, path))),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  });
}

/** Copies of processes that were killed before they could clean up. */
function sweepDead(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = /^bundle-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is alive as well.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

type Found = { readonly path: string; readonly bytes: number; readonly executable: boolean };

/** Folders that are made, not written: a push does not have them either. */
const neverTaken = new Set([
  ".git",
  ".airlock",
  ".hg",
  ".svn",
  ".venv",
  "venv",
  ".tox",
  ".nox",
  ".mypy_cache",
  ".pytest_cache",
  ".ruff_cache",
  ".idea",
  ".vscode",
  "__pycache__",
  "node_modules",
]);

function walk(
  root: string,
  warnings: (FileProblem & { path: string })[],
): Answer<readonly Found[], FileProblem> {
  const found: Found[] = [];
  const bytesBelow = new Map<string, number>();
  let total = 0;
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const entries = readdirSync(join(root, folder), { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isSymbolicLink()) {
        warnings.push({
          path,
          message: "a symbolic link is not followed",
          hint: "put the file itself into the repository",
        });
        continue;
      }
      if (entry.isDirectory()) {
        if (!neverTaken.has(entry.name) && path.split("/").length < repositoryBounds.depth)
          folders.push(path);
        continue;
      }
      if (!entry.isFile()) continue;
      const { size, mode } = statSync(join(root, path));
      if (size > repositoryBounds.fileBytes) {
        warnings.push({
          path,
          message: `left out: a file may have ${sizeText(repositoryBounds.fileBytes)}, this one has ${sizeText(size)}`,
          hint: "keep data outside the repository",
        });
        continue;
      }
      found.push({ path, bytes: size, executable: (mode & 0o111) !== 0 });
      total += size;
      const top = path.split("/")[0] ?? "";
      bytesBelow.set(top, (bytesBelow.get(top) ?? 0) + size);
      if (found.length > repositoryBounds.files || total > repositoryBounds.totalBytes)
        return bad(tooLarge(root, found.length, total, bytesBelow));
    }
  }
  return good(found);
}

function tooLarge(
  root: string,
  files: number,
  bytes: number,
  bytesBelow: ReadonlyMap<string, number>,
): FileProblem {
  const [largest] = [...bytesBelow].toSorted(([, a], [, b]) => b - a)[0] ?? [""];
  return {
    message: `${root} is too large for a repository: more than ${files > repositoryBounds.files ? `${repositoryBounds.files} files` : sizeText(bytes)}, most of it in ${largest}`,
    hint: "run it in the author's repository (the folder with dags/ or airlock.yaml), and keep data outside of it",
  };
}
