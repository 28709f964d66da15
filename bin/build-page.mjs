// `npm ci` ends with this: the page is built under the pinned Node, whatever Node npm runs on.
// oxlint-disable typescript/no-unsafe-call typescript/no-unsafe-member-access typescript/no-unsafe-assignment typescript/no-unsafe-argument typescript/no-unsafe-return -- no types here
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = join(root, "node_modules", "node", "bin", "node");
const vite = join(root, "node_modules", "vite", "bin", "vite.js");
// Installed without what it is built with (`--omit=dev`), or from a package that holds it built: nothing to do.
if (existsSync(node) && existsSync(vite)) {
  const built = spawnSync(node, [join(root, "bin", "build-page.ts")], { stdio: "inherit" });
  process.exitCode = built.status ?? 1;
}
