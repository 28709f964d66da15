/** Removes checkouts that nothing needs any more: rename first, so that no reader finds half a bundle. */
import { randomUUID } from "node:crypto";
import { chmod, mkdir, readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "./check-out.ts";

const freshMsMax = 60 * 60 * 1000;

/**
 * `keep`: commits that are head, among the last five, or pinned by an unfinished run. The caller holds the
 * repository's lease. Answers the commits that went.
 */
export async function collectBundles(
  bundlesDir: string,
  keep: ReadonlySet<string>,
  nowMs: number,
): Promise<readonly string[]> {
  const names = await readdir(bundlesDir).catch(() => []);
  const trash = join(bundlesDir, ".trash");
  const gone: string[] = [];
  for (const name of names) {
    const isBundle = /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(name) && !keep.has(name);
    const isLeftover =
      name.startsWith(".fresh-") &&
      nowMs - ((await stat(join(bundlesDir, name)).catch(() => undefined))?.mtimeMs ?? nowMs) >
        freshMsMax;
    if (!isBundle && !isLeftover) continue;
    await mkdir(trash, { recursive: true });
    // Moving a folder rewrites its "..", which only its writer may do.
    await chmod(join(bundlesDir, name), 0o755);
    await rename(join(bundlesDir, name), join(trash, randomUUID()));
    if (isBundle) gone.push(name);
  }
  for (const left of await readdir(trash).catch(() => [])) await removeTree(join(trash, left));
  return gone;
}
