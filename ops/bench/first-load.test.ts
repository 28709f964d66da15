import { join } from "node:path";
import { expect, test } from "vitest";
import { buildPage } from "../../platform/main/build-page.ts";
import { firstLoadBytes } from "./first-load.ts";

test("the first load of the page is at most 200 kB", async () => {
  await buildPage(() => undefined);
  const folder = join(import.meta.dirname, "..", "..", "platform", "web", "dist");
  expect(firstLoadBytes(folder) / 1000).toBeLessThanOrEqual(200);
}, 120_000);
