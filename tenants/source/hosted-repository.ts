/** Repositories of the built-in git host: bare, made by us, with nothing in them that a tenant can set but objects and refs. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { CommitId, RepositoryId, TenantId } from "../../platform/model/ids.ts";
import { resolveCommit } from "./fetch-branch.ts";
import { runGit } from "./run-git.ts";

export const hostedDir = (root: string, tenant: TenantId, repository: RepositoryId): string =>
  join(root, tenant, `${repository}.git`);

/** Safe to repeat. HEAD is the deployed branch, so that a clone of it shows what runs. */
export async function createHosted(dir: string, branch: string): Promise<void> {
  if (!existsSync(join(dir, "HEAD"))) {
    await mkdir(dirname(dir), { recursive: true });
    const fresh = await mkdtemp(join(dirname(dir), ".fresh-"));
    await demand("init", [
      "init",
      "--quiet",
      "--bare",
      "--template=",
      `--initial-branch=${branch}`,
      fresh,
    ]);
    await rename(fresh, dir);
  }
  await demand("symbolic-ref", ["symbolic-ref", "HEAD", `refs/heads/${branch}`], dir);
}

/**
 * The commit that a branch has, and since when its ref says so (epoch ms), from git's own files: cheap enough to ask of
 * every repository now and then. undefined: there is no such branch.
 */
export async function readHostedHead(
  dir: string,
  branch: string,
): Promise<{ readonly commit: string; readonly sinceMs: number } | undefined> {
  const ref = `refs/heads/${branch}`;
  for (const [file, find] of [
    [join(dir, ref), (text: string) => text.trim()],
    [
      join(dir, "packed-refs"),
      (text: string) =>
        text
          .split("\n")
          .find((line) => line.endsWith(` ${ref}`))
          ?.split(" ")[0],
    ],
  ] as const)
    try {
      const commit = find(await readFile(file, "utf8"));
      if (commit !== undefined && /^[0-9a-f]{40,64}$/.test(commit))
        return { commit, sinceMs: (await stat(file)).mtimeMs };
    } catch {
      // the other file has it, or nobody
    }
  return undefined;
}

export async function removeHosted(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true });
}

/** Bytes on disk, for the quota. */
export async function hostedBytes(dir: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(dir, { recursive: true }).catch(() => []))
    bytes += (await stat(join(dir, name)).catch(() => undefined))?.size ?? 0;
  return bytes;
}

/** The files of a folder as one commit on a branch: how sample repositories come to be. Unchanged files make no commit. */
export async function commitFolder(
  dir: string,
  branch: string,
  folder: string,
  commit: { readonly author: string; readonly email: string; readonly message: string },
): Promise<CommitId> {
  const scratch = await mkdtemp(join(dirname(dir), ".index-"));
  try {
    const env = {
      GIT_INDEX_FILE: join(scratch, "index"),
      GIT_WORK_TREE: folder,
      GIT_AUTHOR_NAME: commit.author,
      GIT_AUTHOR_EMAIL: commit.email,
      GIT_COMMITTER_NAME: commit.author,
      GIT_COMMITTER_EMAIL: commit.email,
    };
    await demand("add", ["-C", folder, "add", "--all", "--", "."], dir, env);
    const tree = await demand("write-tree", ["write-tree"], dir, env);
    const head = await resolveCommit(dir, `refs/heads/${branch}`);
    if (head.ok && (await demand("rev-parse", ["rev-parse", `${head.value}^{tree}`], dir)) === tree)
      return head.value;
    const parents = head.ok ? ["-p", head.value] : [];
    const made = await demand(
      "commit-tree",
      ["commit-tree", tree, ...parents, "-m", commit.message],
      dir,
      env,
    );
    await demand("update-ref", ["update-ref", `refs/heads/${branch}`, made], dir);
    const now = await resolveCommit(dir, `refs/heads/${branch}`);
    if (!now.ok) throw new Error(`the commit ${made} did not arrive in ${dir}`);
    return now.value;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function demand(
  what: string,
  args: readonly string[],
  repository?: string,
  env?: { readonly [name: string]: string },
): Promise<string> {
  const done = await runGit({
    args,
    ...(repository === undefined ? {} : { repository }),
    ...(env ? { env } : {}),
  });
  if (!done.ok) throw new Error(`git ${what} failed`, { cause: done.problem });
  return done.value.toString("utf8").trim();
}
