/**
 * A backup of a whole platform while it runs: Postgres, then what its rows name. Objects and repositories are copied
 * after the database's last moment, so that what a row of the copy names is beside it.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { belongsToBackup, controlFile, isWalBetween } from "../../platform/postgres/data-folder.ts";
import { type ServerFacts, withBaseBackup } from "../../platform/store/base-backup.ts";
import { runGit } from "../../tenants/source/run-git.ts";
import { type Copying, copyFile, copyFolder, untilOnDisk } from "./copy-files.ts";
import { type Manifest, manifestName } from "./manifest.ts";

export type BackupOptions = {
  readonly home: string;
  /** Of Postgres, as its owner. */
  readonly url: string;
  /** Where the backup's own folder is made. */
  readonly into: string;
  readonly airlock: string;
  readonly walArchive: string | undefined;
  readonly now: Date;
  readonly progress: (line: string) => void;
};

export type TakenBackup = {
  readonly folder: string;
  readonly bytes: number;
  readonly files: number;
  readonly repositories: number;
  readonly manifest: Manifest;
};

const copyTries = 3;

/** Whole under its name, or not at all: it grows under another one. Throws with a sentence; then nothing is left. */
export async function takeBackup(options: BackupOptions): Promise<TakenBackup> {
  const { home, into, progress } = options;
  const name = `airlock-${options.now.toISOString().replaceAll(/[:.]/g, "-")}`;
  const part = join(into, `.${name}.part`);
  await mkdir(into, { recursive: true });
  await mkdir(part, { mode: 0o700 });
  let bytes = 0;
  const copying: Copying = {
    root: part,
    files: [],
    folders: [],
    onBytes: (more) => {
      bytes += more;
    },
  };
  let server: ServerFacts | undefined;
  try {
    const backup = await withBaseBackup(
      options.url,
      async (facts) => {
        server = facts;
        await mustHaveRoom(into, facts.bytes);
        progress("the database");
        await copyFolder(
          copying,
          facts.dataFolder,
          "postgres/data",
          (path) => belongsToBackup(path) && path !== controlFile,
        );
        await copyFile(
          copying,
          join(facts.dataFolder, controlFile),
          join("postgres/data", controlFile),
        );
      },
      async ({ firstWal, lastWal }) => {
        progress("its log of changes");
        await copyFolder(
          copying,
          join(server?.dataFolder ?? "", "pg_wal"),
          "postgres/data/pg_wal",
          (path) => isWalBetween(path, firstWal, lastWal),
        );
      },
    );
    await addFile(copying, "postgres/data/backup_label", backup.label);

    progress("objects");
    if (existsSync(join(home, "objects")))
      await copyFolder(
        copying,
        join(home, "objects"),
        "objects",
        (path) => !path.endsWith(".part"),
      );
    progress("hosted repositories");
    const repositories = await copyRepositories(copying, join(home, "repositories"));
    progress("keys");
    await copyFile(copying, join(home, "postgres.secret"), "postgres.secret");
    const hasKeys = await copyFile(copying, join(home, "secret.key"), "secret.key");

    const manifest: Manifest = {
      format: 1,
      airlock: options.airlock,
      made_at: options.now.toISOString(),
      consistent_at: backup.stoppedAt.toISOString(),
      postgres: {
        version: server?.version ?? "",
        first_wal: backup.firstWal,
        last_wal: backup.lastWal,
      },
      has_keys: hasKeys,
      wal_archive: options.walArchive ?? null,
      folders: copying.folders,
      files: copying.files,
    };
    await writeFile(join(part, manifestName), `${JSON.stringify(manifest)}\n`, { mode: 0o600 });
    progress("waiting for the disk");
    untilOnDisk(part);
    const folder = join(into, name);
    await rename(part, folder);
    return { folder, bytes, files: copying.files.length, repositories, manifest };
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code === "ENOSPC")
      throw new Error(
        `The disk under ${into} is full after ${megabytes(bytes)}. Nothing was kept; what runs was not touched. Give another folder.`,
        { cause: error },
      );
    throw error;
  }
}

async function mustHaveRoom(into: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(into);
  if (bavail * bsize < bytes * 1.1)
    throw new Error(
      `The database has ${megabytes(bytes)}, and ${into} has room for ${megabytes(bavail * bsize)}. Give another folder.`,
    );
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;

async function addFile(copying: Copying, path: string, text: string): Promise<void> {
  const body = Buffer.from(text);
  await writeFile(join(copying.root, path), body, { mode: 0o600 });
  copying.files.push({
    path,
    bytes: body.length,
    sha256: createHash("sha256").update(body).digest("hex"),
  });
}

/**
 * References first, then the objects that they name: what is pushed in between brings objects that nothing names, and no
 * reference without its objects. A packing in between moves objects away under our hands: then it is copied anew.
 */
async function copyRepositories(copying: Copying, root: string): Promise<number> {
  let count = 0;
  for (const tenant of await readdir(root).catch(() => []))
    for (const repository of await readdir(join(root, tenant)).catch(() => [])) {
      await copyRepository(
        copying,
        join(root, tenant, repository),
        `repositories/${tenant}/${repository}`,
      );
      count += 1;
    }
  return count;
}

async function copyRepository(copying: Copying, from: string, to: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const before = { files: copying.files.length, folders: copying.folders.length };
    await copyFolder(
      copying,
      from,
      to,
      (path) => !path.startsWith("objects") && !path.endsWith(".lock"),
    );
    const objects = await copyFolder(
      copying,
      join(from, "objects"),
      `${to}/objects`,
      (path) => !/(?:^|\/)(?:tmp_|incoming-)/.test(path),
    );
    const problem = await brokenRepository(join(copying.root, to));
    if (objects.vanished === 0 && problem === undefined) return;
    if (tries >= copyTries)
      throw new Error(
        `The repository ${to} could not be copied whole: ${problem ?? "it changes all the time"}.`,
      );
    copying.files.length = before.files;
    copying.folders.length = before.folders;
    await rm(join(copying.root, to), { recursive: true, force: true });
  }
}

/** Whether every reference of a bare repository leads to what it needs; undefined: it does. */
export async function brokenRepository(repository: string): Promise<string | undefined> {
  const checked = await runGit({
    repository,
    args: ["fsck", "--connectivity-only", "--no-dangling", "--no-progress"],
    deadlineMs: 300_000,
  });
  if (checked.ok) return undefined;
  const head = await readFile(join(repository, "HEAD"), "utf8").catch(() => "");
  return head === ""
    ? "it has no HEAD"
    : checked.problem.kind === "exit"
      ? checked.problem.message.slice(0, 300)
      : checked.problem.kind;
}
