/**
 * Builds the guest into a folder that needs nothing beside it: what a sandbox binds at /airlock/guest, and
 * what the published package ships (Node does not strip types inside node_modules).
 */
import { copyFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** The program to start is `main.js` in `folder`. */
export async function bundleGuest(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: [fileURLToPath(new URL("./main.ts", import.meta.url))],
    outdir: folder,
    bundle: true,
    // What only YAML or a parse needs is loaded only then.
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    logLevel: "warning",
    // Packages in CommonJS still call require for Node's own modules.
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  });
  copyFileSync(
    createRequire(import.meta.url).resolve("minijinja-js/dist/web/minijinja_js_bg.wasm"),
    join(folder, "minijinja_js_bg.wasm"),
  );
  return join(folder, "main.js");
}
