/** Copies a folder that others may be writing to, and says of each file how long it is and what its hash is. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { lstat, mkdir, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

export type CopiedFile = {
  /** Below the backup's folder, with slashes. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
};

export type Copying = {
  /** The backup's folder. */
  readonly root: string;
  readonly files: CopiedFile[];
  /** Also those that are empty: Postgres misses them. */
  readonly folders: string[];
  readonly onBytes: (bytes: number) => void;
};

/**
 * All files below `from`, to `to` below the backup's folder. Neither links nor sockets: nothing of ours is one. A file that
 * vanishes while we look was not part of what is kept: those who own the folder say so by `isKept`, or copy it anew.
 */
export async function copyFolder(
  copying: Copying,
  from: string,
  to: string,
  isKept: (path: string) => boolean = () => true,
): Promise<{ readonly vanished: number }> {
  let vanished = 0;
  const walk = async (below: string): Promise<void> => {
    await mkdir(join(copying.root, to, below), { recursive: true, mode: 0o700 });
    copying.folders.push(join(to, below));
    for (const entry of await orVanished(readdir(join(from, below), { withFileTypes: true }), [])) {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      if (!isKept(path)) continue;
      if (entry.isDirectory()) await walk(path);
      else if (entry.isFile() && !(await copyFile(copying, join(from, path), join(to, path))))
        vanished += 1;
    }
  };
  await walk("");
  return { vanished };
}

/** false: it is not there any more. */
export async function copyFile(copying: Copying, from: string, to: string): Promise<boolean> {
  if ((await orVanished(lstat(from), undefined)) === undefined) return false;
  const target = join(copying.root, to);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const hash = createHash("sha256");
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      copying.onBytes(chunk.length);
      done(null, chunk);
    },
  });
  const is = await orVanished(
    pipeline(
      createReadStream(from, { highWaterMark: 1 << 18 }),
      count,
      createWriteStream(target, { mode: 0o600 }),
    ).then(() => true),
    false,
  );
  if (is) copying.files.push({ path: to, bytes, sha256: hash.digest("hex") });
  return is;
}

/** All that was written below a folder is on its disk: what a power cut could take back is not kept yet. */
export function untilOnDisk(folder: string): void {
  const { status, stderr, error } = spawnSync("sync", ["--file-system", folder], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`sync of ${folder} failed: ${error?.message ?? stderr.trim()}`);
}

async function orVanished<T, O>(doing: Promise<T>, otherwise: O): Promise<T | O> {
  try {
    return await doing;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return otherwise;
    throw error;
  }
}
