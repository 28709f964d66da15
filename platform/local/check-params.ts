import { Ajv2020 } from "ajv/dist/2020.js";
import { type Answer, bad, good } from "../model/answer.ts";
import type { DagSpec } from "../model/dag-spec.ts";
import type { Json, JsonObject } from "../model/json.ts";

/** Params with their defaults, overridden by conf (Airflow: conf wins by name), each checked against its schema. */
export function checkParams(spec: DagSpec, conf: JsonObject): Answer<JsonObject, string> {
  const ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: false });
  const params: { [name: string]: Json } = {};
  for (const [name, { schema }] of Object.entries(spec.params)) {
    const value = conf[name] ?? schema["default"];
    if (value === undefined)
      return bad(`param ${name} has no value: give it with --conf '{"${name}": …}'`);
    const check = ajv.compile(schema);
    if (!check(value)) {
      const [error] = check.errors ?? [];
      return bad(`param ${name}${error?.instancePath ?? ""} ${error?.message ?? "is invalid"}`);
    }
    params[name] = value;
  }
  return good({ ...params, ...conf });
}
