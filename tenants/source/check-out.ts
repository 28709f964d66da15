/**
 * A commit as an immutable folder: every file written by our own hand from git's objects. git's checkout is
 * not used: it would follow `.gitattributes` (filters, encodings, line ends) and could make links; this
 * writes plain files whose content has exactly the hash that versions are computed from.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, link, lstat, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import type { CommitId } from "../../platform/model/ids.ts";
import {
  listTree,
  type PathProblem,
  type TreeBounds,
  type TreeFile,
  type TreeProblem,
} from "./list-tree.ts";
import { endGroup, startGit } from "./run-git.ts";

export type Bundle = {
  /** Absolute, `<bundlesDir>/<commit>`; files and folders without write permission. */
  readonly dir: string;
  readonly commit: CommitId;
  readonly files: readonly TreeFile[];
  /** Entries that were left out. */
  readonly problems: readonly PathProblem[];
};

export type CheckoutRequest = {
  /** Bare repository: a mirror or a hosted one. */
  readonly repository: string;
  readonly commit: CommitId;
  readonly path: string;
  /** Where this repository's bundles lie, best `<home>/bundles/<tenant>/<repository>`. */
  readonly bundlesDir: string;
  /** An earlier bundle of the same repository: unchanged files are hard links to its files. */
  readonly previous?: { readonly dir: string; readonly files: readonly TreeFile[] };
  readonly bounds: TreeBounds;
  readonly signal?: AbortSignal;
};

/** Safe to repeat and to run twice at once: the folder appears whole or not at all. */
export async function checkOut(request: CheckoutRequest): Promise<Answer<Bundle, TreeProblem>> {
  const { repository, commit, path, bundlesDir, bounds, signal } = request;
  const tree = await listTree(repository, commit, path, bounds, signal);
  if (!tree.ok) return tree;
  const dir = join(bundlesDir, commit);
  const bundle: Bundle = { dir, commit, ...tree.value };
  if (existsSync(dir)) {
    if (await isWhole(bundle)) return good(bundle);
    await removeTree(dir);
  }
  const fresh = join(bundlesDir, `.fresh-${randomUUID()}`);
  await makePassage(bundlesDir);
  await mkdir(fresh);
  try {
    await makeFolders(fresh, tree.value.files);
    const missing = await linkUnchanged(fresh, tree.value.files, request.previous);
    const written = await writeBlobs(repository, fresh, missing, signal);
    if (!written.ok) return written;
    await sealFolders(fresh, tree.value.files);
    await rename(fresh, dir).catch((cause: unknown) => {
      // Somebody else finished the same commit meanwhile; both are equal.
      if (!existsSync(dir)) throw new Error(`cannot put the checkout at ${dir}`, { cause });
    });
    return good(bundle);
  } finally {
    if (existsSync(fresh)) await removeTree(fresh);
  }
}

/** Whatever this process' umask is: a tenant's uid may pass through, but sees only what it can name. */
async function makePassage(dir: string): Promise<void> {
  const first = await mkdir(dir, { recursive: true });
  if (first === undefined) return;
  for (let made = dir; made.length >= first.length; made = dirname(made)) await chmod(made, 0o711);
}

/** Power may have failed over an earlier one, or the name stands for another subdirectory of the same commit. */
async function isWhole({ dir, files }: Bundle): Promise<boolean> {
  let whole = true;
  await inParallel(files, async ({ path, bytes }) => {
    const found = await lstat(join(dir, path)).catch(() => undefined);
    if (found?.size !== bytes) whole = false;
  });
  return whole;
}

function foldersOf(files: readonly TreeFile[]): string[] {
  const folders = new Set<string>();
  for (const { path } of files)
    for (let folder = dirname(path); folder !== "."; folder = dirname(folder)) folders.add(folder);
  return [...folders].toSorted();
}

async function makeFolders(root: string, files: readonly TreeFile[]): Promise<void> {
  for (const folder of foldersOf(files)) await mkdir(join(root, folder));
}

async function sealFolders(root: string, files: readonly TreeFile[]): Promise<void> {
  for (const folder of foldersOf(files).toReversed()) await chmod(join(root, folder), 0o555);
  await chmod(root, 0o555);
}

/** Answers what could not be linked. A link that fails (too many, another disk, gone) is a file to write. */
async function linkUnchanged(
  root: string,
  files: readonly TreeFile[],
  previous: CheckoutRequest["previous"],
): Promise<readonly TreeFile[]> {
  if (!previous) return files;
  const before = new Map(previous.files.map((file) => [file.path, file]));
  const missing: TreeFile[] = [];
  await inParallel(files, async (file) => {
    const same = before.get(file.path);
    const linked =
      same?.blob === file.blob && same.executable === file.executable
        ? await link(join(previous.dir, file.path), join(root, file.path)).then(
            () => true,
            () => false,
          )
        : false;
    if (!linked) missing.push(file);
  });
  return missing;
}

async function writeBlobs(
  repository: string,
  root: string,
  files: readonly TreeFile[],
  signal: AbortSignal | undefined,
): Promise<Answer<"written", TreeProblem>> {
  if (files.length === 0) return good("written");
  const places = Map.groupBy(files, ({ blob }) => blob);
  const blobs = [...places.keys()];
  const deadlineMs = 120_000;
  const child = startGit({ repository, args: ["cat-file", "--batch", "--buffer"] }, deadlineMs);
  const { stdin, stdout, stderr } = child;
  if (!stdin || !stdout) throw new Error("git was started without pipes");
  stderr?.resume();
  const ended = new Promise<void>((resolve, reject) => {
    child.once("close", () => resolve());
    child.once("error", reject);
  });
  const timer = setTimeout(() => endGroup(child), deadlineMs);
  const onAbort = (): void => endGroup(child);
  signal?.addEventListener("abort", onAbort, { once: true });
  stdin.on("error", () => undefined);
  stdin.end(blobs.map((blob) => `${blob}\n`).join(""));
  let next = 0;
  try {
    for await (const { blob, content } of readBatch(stdout)) {
      if (blob !== blobs[next]) break;
      next += 1;
      await inParallel(places.get(blob) ?? [], async ({ path, executable }) => {
        await writeFile(join(root, path), content, {
          flag: "wx",
          mode: executable ? 0o555 : 0o444,
        });
        // The process' umask must not decide whether a tenant's uid can read its own code.
        await chmod(join(root, path), executable ? 0o555 : 0o444);
      });
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    endGroup(child);
    await ended;
  }
  return next === blobs.length
    ? good("written")
    : bad({
        kind: "unreadable",
        message: "the commit's files cannot be read from the repository",
        hint: "push again; if it stays, the repository is damaged",
      });
}

/** `<id> blob <size>\n<content>\n`, one after the other; sizes were bounded by the listing. */
async function* readBatch(
  output: AsyncIterable<Buffer>,
): AsyncGenerator<{ readonly blob: string; readonly content: Buffer }> {
  let parts: Buffer[] = [];
  let held = 0;
  let want: { blob: string; bytes: number } | undefined;
  for await (const chunk of output) {
    parts.push(chunk);
    held += chunk.length;
    if (want && held < want.bytes + 1) continue;
    let buffer = Buffer.concat(parts);
    for (;;) {
      if (!want) {
        const lineEnd = buffer.indexOf(10);
        if (lineEnd < 0) break;
        const [blob = "", type, size] = buffer.subarray(0, lineEnd).toString("latin1").split(" ");
        if (type !== "blob") return;
        want = { blob, bytes: Number(size) };
        buffer = buffer.subarray(lineEnd + 1);
      }
      if (buffer.length < want.bytes + 1) break;
      yield { blob: want.blob, content: buffer.subarray(0, want.bytes) };
      buffer = buffer.subarray(want.bytes + 1);
      want = undefined;
    }
    parts = [buffer];
    held = buffer.length;
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(16, items.length) }, lane));
}

/** Sealed folders refuse removal to anybody but root until they are opened again. */
export async function removeTree(dir: string): Promise<void> {
  await openFolders(dir);
  await rm(dir, { recursive: true, force: true });
}

async function openFolders(dir: string): Promise<void> {
  await chmod(dir, 0o755);
  for (const entry of await readdir(dir, { withFileTypes: true }))
    if (entry.isDirectory()) await openFolders(join(dir, entry.name));
}
