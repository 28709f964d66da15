/**
 * What an attempt left in its artifacts folder, copied out through descriptors that follow no link, since the
 * author's processes may still run and swap names. The house is given the copies, never the tenant's paths.
 */
import { randomBytes } from "node:crypto";
import { closeSync, constants, mkdirSync, openSync, readdirSync } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { AttemptHost } from "../../platform/model/guest.ts";
import { plain } from "../sandbox/plain-text.ts";

export type ArtifactsFrom = {
  /** The attempt's folder, in a folder that only the house can write. */
  readonly workDir: string;
  /** Where the copies are made: the house's alone. */
  readonly copyDir: string;
  /** Owner that the files must have; undefined where all is one uid. */
  readonly uid: number | undefined;
  readonly bytesMax: number;
};

const filesMax = 1000;
const depthMax = 8;
const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Answers sentences about what was not kept. */
export async function collectArtifacts(
  from: ArtifactsFrom,
  keep: AttemptHost["artifact"],
): Promise<readonly string[]> {
  const folders: number[] = [];
  const problems: string[] = [];
  const copies = join(from.copyDir, randomBytes(8).toString("hex"));
  try {
    const work = openSync(from.workDir, folderFlags);
    folders.push(work);
    const top = openArtifacts(work);
    if (top === undefined) return [];
    folders.push(top);
    const names = readdirSync(`/proc/self/fd/${String(top)}`);
    if (names.length === 0) return [];
    mkdirSync(copies, { recursive: true, mode: 0o700 });
    const state = { bytes: 0, files: 0 };
    await keepFolder(top, "", { from, keep, copies, problems, state, folders });
  } catch (error) {
    problems.push(`The artifacts could not be kept: ${plain((error as Error).message)}.`);
  } finally {
    for (const fd of folders) closeSync(fd);
    await rm(copies, { recursive: true, force: true });
  }
  return problems;
}

/** undefined: the attempt removed it, and so has no artifacts. That its own folder is missing is another matter. */
function openArtifacts(work: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${String(work)}/artifacts`, folderFlags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

type Walk = {
  readonly from: ArtifactsFrom;
  readonly keep: AttemptHost["artifact"];
  readonly copies: string;
  readonly problems: string[];
  readonly state: { bytes: number; files: number };
  readonly folders: number[];
};

async function keepFolder(folder: number, prefix: string, walk: Walk, depth = 0): Promise<void> {
  const inside = `/proc/self/fd/${String(folder)}`;
  for (const entry of readdirSync(inside, { withFileTypes: true })) {
    const name = plain(prefix + entry.name);
    if (walk.problems.length > 20) return;
    if (entry.isDirectory()) {
      if (depth >= depthMax) {
        walk.problems.push(`Artifact folder ${name} is nested too deep (${String(depthMax)}).`);
        continue;
      }
      const fd = openSync(join(inside, entry.name), folderFlags);
      walk.folders.push(fd);
      await keepFolder(fd, `${prefix}${entry.name}/`, walk, depth + 1);
      continue;
    }
    if (walk.state.files >= filesMax) {
      walk.problems.push(`Only the first ${String(filesMax)} artifacts were kept.`);
      return;
    }
    await keepFile(join(inside, entry.name), name, walk);
  }
}

async function keepFile(path: string, name: string, walk: Walk): Promise<void> {
  let source: FileHandle;
  try {
    // Not blocking: a named pipe would hold us for ever.
    source = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    walk.problems.push(`Artifact ${name} was not kept: it is no regular file.`);
    return;
  }
  try {
    const stat = await source.stat();
    const { size } = stat;
    if (!stat.isFile() || (walk.from.uid !== undefined && stat.uid !== walk.from.uid)) {
      walk.problems.push(`Artifact ${name} was not kept: it is no regular file of this task.`);
      return;
    }
    if (walk.state.bytes + size > walk.from.bytesMax) {
      walk.problems.push(
        `Artifact ${name} was not kept: with its ${String(size)} bytes the artifacts are over the limit of ${String(walk.from.bytesMax)} bytes.`,
      );
      return;
    }
    walk.state.bytes += size;
    walk.state.files += 1;
    const copy = join(walk.copies, String(walk.state.files));
    const bytes = await copyBytes(source, copy, size);
    await walk.keep({ name, path: copy, bytes });
    await rm(copy, { force: true });
  } finally {
    await source.close();
  }
}

/** At most `size` bytes: the file may grow while it is read. */
async function copyBytes(source: FileHandle, to: string, size: number): Promise<number> {
  const target = await open(to, "wx", 0o600);
  try {
    const chunk = Buffer.allocUnsafe(Math.min(Math.max(size, 1), 1 << 20));
    let done = 0;
    while (done < size) {
      const { bytesRead } = await source.read(chunk, 0, Math.min(chunk.length, size - done), done);
      if (bytesRead === 0) break;
      await target.write(chunk, 0, bytesRead, done);
      done += bytesRead;
    }
    return done;
  } finally {
    await target.close();
  }
}
