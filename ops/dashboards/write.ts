/** Writes the dashboards' JSON beside their data: `node ops/dashboards/write.ts`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { dashboards, toGrafana } from "./dashboards.ts";

for (const dashboard of dashboards)
  writeFileSync(
    join(import.meta.dirname, `${dashboard.uid}.json`),
    `${JSON.stringify(toGrafana(dashboard), null, 2)}\n`,
  );
