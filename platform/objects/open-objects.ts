/**
 * Larger things than a row should hold: XComs over 64 KiB, artifacts, archived logs. Keys are made by the
 * house from tenant, attempt and fence, never from names that a tenant chose.
 */
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";

export type Objects = {
  /** Writes whole or not at all. */
  put(key: string, body: Buffer | Readable): Promise<{ readonly bytes: number }>;
  /** `undefined` if there is none. `start` and `end` are byte offsets, end not included. */
  read(
    key: string,
    range?: { readonly start: number; readonly end: number },
  ): Promise<Readable | undefined>;
  size(key: string): Promise<number | undefined>;
  /** Everything under a prefix that ends at a slash. */
  remove(prefix: string): Promise<void>;
};

const keyPattern = /^[a-z0-9][a-z0-9-]*(?:\/[A-Za-z0-9._-]+){1,6}$/;

/** Objects as files below one folder. */
export function openDirectoryObjects(folder: string): Objects {
  const pathOf = (key: string): string => {
    if (!keyPattern.test(key) || key.split("/").includes(".."))
      throw new Error(`not an object key: ${JSON.stringify(key.slice(0, 100))}`);
    return join(folder, key);
  };
  return {
    async put(key, body) {
      const path = pathOf(key);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const part = `${path}.${process.pid}.part`;
      const file = await open(part, "w", 0o600);
      try {
        if (Buffer.isBuffer(body)) await file.writeFile(body);
        // Not pipeline to a write stream: with autoClose off it waits for a close that never comes.
        else for await (const chunk of body) await file.writeFile(chunk as Buffer);
        await file.sync();
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      } finally {
        await file.close();
      }
      const { size } = await stat(part);
      await rename(part, path);
      return { bytes: size };
    },
    async read(key, range) {
      const path = pathOf(key);
      if ((await sizeOf(path)) === undefined) return undefined;
      return createReadStream(
        path,
        range === undefined
          ? {}
          : { start: range.start, end: Math.max(range.start, range.end - 1) },
      );
    },
    size: (key) => sizeOf(pathOf(key)),
    async remove(prefix) {
      await rm(pathOf(prefix.replace(/\/$/, "")), { recursive: true, force: true });
    },
  };
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch {
    return undefined;
  }
}
