/** A small disk of its own for what the platform keeps in files, so that it can be full. Needs root on Linux. */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

export type SmallDisk = {
  readonly folder: string;
  /** Not one byte more fits, until it is told otherwise. */
  fill(): void;
  free(): void;
  close(): void;
};

/** undefined: this user may not mount. */
export function openSmallDisk(folder: string, megabytes: number): SmallDisk | undefined {
  mkdirSync(folder, { recursive: true });
  if (process.getuid?.() !== 0) return undefined;
  const mounted = spawnSync("mount", [
    "-t",
    "tmpfs",
    "-o",
    `size=${megabytes}m,mode=0711`,
    "airlock-storm",
    folder,
  ]);
  if (mounted.status !== 0) return undefined;
  const ballast = join(folder, "ballast");
  return {
    folder,
    fill() {
      const file = openSync(ballast, "w");
      try {
        for (const size of [1 << 20, 4096, 1])
          for (;;)
            try {
              writeSync(file, Buffer.alloc(size));
            } catch {
              break; // full
            }
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(ballast, { force: true }),
    close() {
      rmSync(ballast, { force: true });
      // Lazily: a process that was just killed may still be letting go of it.
      spawnSync("umount", ["--lazy", folder]);
    },
  };
}
