import { isObject, type Json, type JsonObject } from "../model/json.ts";
import { wrongUse } from "./problem.ts";

export function readConf(text: string): JsonObject {
  const raw = readJsonOption("--conf", text);
  if (!isObject(raw))
    throw wrongUse("--conf must be a JSON object", `for example --conf '{"region": "eu"}'`);
  return raw as JsonObject;
}

export function readJsonOption(name: string, text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw wrongUse(`${name} is not JSON: ${error instanceof Error ? error.message : ""}`);
  }
}

/** ISO 8601; a date alone is midnight, and without an offset it is UTC, as in Airflow's own command. */
export function readTime(text: string): number {
  const match =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?))?(Z|[+-]\d{2}:?\d{2})?$/.exec(
      text,
    );
  const ms = match
    ? Date.parse(`${match[1]}T${match[2] ?? "00:00"}${match[3] ?? "Z"}`)
    : Number.NaN;
  if (Number.isNaN(ms))
    throw wrongUse(
      `${JSON.stringify(text)} is not a time`,
      "write 2026-01-31 or 2026-01-31T06:00:00Z",
    );
  return ms;
}

export function readWhole(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d{1,10}$/.test(text) && value >= min && value <= max) return value;
  throw wrongUse(`${name} must be a whole number from ${min} to ${max}`);
}
