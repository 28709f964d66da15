import * as z from "zod";
import { dagShape } from "./dag-shape.ts";

/** The JSON Schema (draft 2020-12) of a YAML DAG, as it is published. */
export function schemaText(): string {
  const schema = z.toJSONSchema(dagShape, { io: "input", target: "draft-2020-12" });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
