/** The page: what it loads first. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { findPage } from "../../platform/main/build-page.ts";
import { firstLoadBytes } from "./first-load.ts";
import { say } from "./measure.ts";
import type { Bench, World } from "./world.ts";

export const page: readonly Bench[] = [{ names: ["first-load-kb"], measure: measureFirstLoad }];

/** Beside it, the floor that no page of this kind goes below: its view library alone. */
async function measureFirstLoad(world: World): Promise<void> {
  const folder = await findPage(say);
  if (folder === undefined) throw new Error("the page is not built, and cannot be built here");
  const library = join(
    dirname(createRequire(import.meta.url).resolve("react-dom/package.json")),
    "cjs",
    "react-dom-client.production.js",
  );
  world.report("first-load-kb", {
    value: firstLoadBytes(folder) / 1000,
    floor: gzipSync(readFileSync(library)).length / 1000,
    samples: 1,
  });
}
