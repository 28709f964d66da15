import type { Answer } from "../../../platform/model/answer.ts";
import type { ParamSpec } from "../../../platform/model/dag-spec.ts";
import { isObject, type Json, type JsonObject } from "../../../platform/model/json.ts";
import type { Params } from "./author-types.ts";

export type ReadParams = {
  readonly specs: { readonly [name: string]: ParamSpec };
  readonly read: (params: JsonObject) => unknown;
};

/** Params as JSON Schema by name, from either form an author may write; or a sentence about what is wrong. */
export function readParams(params: Params | undefined): Answer<ReadParams, string> {
  if (params === undefined) return { ok: true, value: { specs: {}, read: (values) => values } };
  const standard: unknown = params["~standard"];
  if (isObject(standard)) return readStandard(standard);
  const specs: Record<string, ParamSpec> = {};
  for (const [name, schema] of Object.entries(params)) {
    if (!isObject(schema))
      return {
        ok: false,
        problem: `params.${name} must be a JSON Schema, like { type: "string" }`,
      };
    specs[name] = paramSpec(schema);
  }
  return { ok: true, value: { specs, read: (values) => values } };
}

function readStandard(standard: { readonly [key: string]: unknown }): Answer<ReadParams, string> {
  const { jsonSchema, validate } = standard;
  const input = isObject(jsonSchema) ? jsonSchema["input"] : undefined;
  if (typeof input !== "function" || typeof validate !== "function")
    return {
      ok: false,
      problem: "params: this schema cannot be turned into JSON Schema (zod can from 4.2 on)",
    };
  const schema: unknown = (input as (options: object) => unknown)({ target: "draft-2020-12" });
  const properties = isObject(schema) ? schema["properties"] : undefined;
  if (!isObject(properties))
    return { ok: false, problem: "params must be an object of named params, like z.object({ … })" };
  const specs: Record<string, ParamSpec> = {};
  for (const [name, one] of Object.entries(properties))
    if (isObject(one)) specs[name] = paramSpec(one);
  const read = (values: JsonObject): unknown => {
    const answer = (validate as (value: unknown) => unknown)(values);
    if (!isObject(answer)) throw new TypeError("the params' schema gave no answer");
    const { issues, value } = answer;
    if (Array.isArray(issues))
      throw new TypeError(`the run's params do not fit: ${issues.map(issueText).join("; ")}`);
    return value;
  };
  return { ok: true, value: { specs, read } };
}

function issueText(issue: unknown): string {
  if (!isObject(issue)) return "invalid";
  const path = Array.isArray(issue["path"]) ? issue["path"].map(String).join(".") : "";
  return `${path === "" ? "" : `${path}: `}${typeof issue["message"] === "string" ? issue["message"] : "invalid"}`;
}

/** JSON in and out: a schema with functions or symbols in it loses them here rather than in the house. */
export function paramSpec(schema: { readonly [key: string]: unknown }): ParamSpec {
  const { description } = schema;
  const plain = JSON.parse(JSON.stringify(schema)) as { readonly [key: string]: Json };
  return { schema: plain, ...(typeof description === "string" ? { description } : {}) };
}
