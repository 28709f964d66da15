/** node tenants/guest/yaml/write-schema.ts: writes schema/dag.v1.json anew from dag-shape.ts. */
import { writeFileSync } from "node:fs";
import { schemaText } from "./schema-text.ts";

writeFileSync(new URL("./schema/dag.v1.json", import.meta.url), schemaText());
