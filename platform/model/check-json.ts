/**
 * A value against a JSON Schema, as params have it. One function for the browser and the server, so that both say the
 * same. Schemas are tenants' text: nothing is compiled, steps are counted, and a `$ref` leads to the same document
 * only, a bounded number of times.
 */
import { isObject } from "./json.ts";

export type JsonProblem = {
  /** Names and indexes from the value down: `["rows", 2, "id"]`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
};

export type CheckTools = {
  /** Must not backtrack. undefined: the pattern is none that it can read, and is not checked. */
  readonly matches: (pattern: string, text: string) => boolean | undefined;
};

const stepsMax = 50_000;
const depthMax = 64;
const problemsMax = 20;

type Check = {
  readonly root: unknown;
  readonly tools: CheckTools;
  readonly problems: JsonProblem[];
  steps: number;
};
type Path = readonly (string | number)[];

/** What is wrong with `value`; nothing: it fits. */
export function checkJson(
  schema: unknown,
  value: unknown,
  tools: CheckTools,
): readonly JsonProblem[] {
  const check: Check = { root: schema, tools, problems: [], steps: 0 };
  visit(check, schema, value, [], 0);
  return check.problems;
}

class TooMuch extends Error {}

function visit(check: Check, schema: unknown, value: unknown, path: Path, depth: number): void {
  try {
    look(check, schema, value, path, depth);
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    check.problems.length = 0;
    check.problems.push({
      path: [],
      message: "has a schema that is too deep or too large to check",
    });
  }
}

function look(check: Check, schema: unknown, value: unknown, path: Path, depth: number): void {
  check.steps += 1;
  if (check.steps > stepsMax || depth > depthMax) throw new TooMuch();
  if (check.problems.length >= problemsMax) return;
  if (schema === false) return say(check, path, "is not allowed");
  if (!isObject(schema)) return;
  const at = (name: string): unknown => (Object.hasOwn(schema, name) ? schema[name] : undefined);
  const ref = at("$ref");
  if (typeof ref === "string") look(check, resolve(check.root, ref), value, path, depth + 1);
  const types = typesOf(at("type"));
  if (types !== undefined && !types.some((type) => isOfType(value, type)))
    return say(check, path, `must be ${types.map((type) => typeWords[type] ?? type).join(" or ")}`);
  const choices = at("enum");
  if (Array.isArray(choices) && !choices.some((choice) => same(choice, value)))
    say(check, path, `must be one of ${brief(choices)}`);
  if (Object.hasOwn(schema, "const") && !same(schema["const"], value))
    say(check, path, `must be ${brief([schema["const"]])}`);
  if (typeof value === "number") lookAtNumber(check, at, value, path);
  else if (typeof value === "string") lookAtText(check, at, value, path);
  else if (Array.isArray(value)) lookAtList(check, at, value, path, depth);
  else if (isObject(value)) lookAtObject(check, at, value, path, depth);
  combine(check, at, value, path, depth);
}

type At = (name: string) => unknown;

function lookAtNumber(check: Check, at: At, value: number, path: Path): void {
  const bound = (name: string): number | undefined => {
    const raw = at(name);
    return typeof raw === "number" ? raw : undefined;
  };
  const min = bound("minimum");
  const max = bound("maximum");
  const above = bound("exclusiveMinimum");
  const below = bound("exclusiveMaximum");
  const step = bound("multipleOf");
  if (min !== undefined && value < min) say(check, path, `must be at least ${min}`);
  if (max !== undefined && value > max) say(check, path, `must be at most ${max}`);
  if (above !== undefined && value <= above) say(check, path, `must be more than ${above}`);
  if (below !== undefined && value >= below) say(check, path, `must be less than ${below}`);
  if (step !== undefined && step > 0) {
    const parts = value / step;
    if (Math.abs(parts - Math.round(parts)) > 1e-9)
      say(check, path, `must be a multiple of ${step}`);
  }
}

function lookAtText(check: Check, at: At, value: string, path: Path): void {
  const min = at("minLength");
  const max = at("maxLength");
  // Characters as the schema counts them: code points.
  const length = Array.from(value).length;
  if (typeof min === "number" && length < min)
    say(check, path, min === 1 ? "must not be empty" : `must have at least ${min} characters`);
  if (typeof max === "number" && length > max)
    say(check, path, `must have at most ${max} characters`);
  const pattern = at("pattern");
  if (typeof pattern === "string" && check.tools.matches(pattern, value) === false)
    say(check, path, `must match ${pattern.length > 120 ? `${pattern.slice(0, 119)}…` : pattern}`);
  const wrong = formatProblem(at("format"), value);
  if (wrong !== undefined) say(check, path, wrong);
}

function lookAtList(
  check: Check,
  at: At,
  value: readonly unknown[],
  path: Path,
  depth: number,
): void {
  const min = at("minItems");
  const max = at("maxItems");
  if (typeof min === "number" && value.length < min)
    say(check, path, `must have at least ${min} items`);
  if (typeof max === "number" && value.length > max)
    say(check, path, `must have at most ${max} items`);
  if (at("uniqueItems") === true) {
    check.steps += value.length;
    if (new Set(value.map(canonical)).size < value.length)
      say(check, path, "must not hold the same item twice");
  }
  const before = at("prefixItems");
  const first = Array.isArray(before) ? before : [];
  const rest = at("items");
  for (const [i, item] of value.entries()) {
    const schema: unknown = i < first.length ? first[i] : rest;
    if (schema !== undefined) look(check, schema, item, [...path, i], depth + 1);
  }
}

function lookAtObject(
  check: Check,
  at: At,
  value: { readonly [key: string]: unknown },
  path: Path,
  depth: number,
): void {
  const required = at("required");
  if (Array.isArray(required))
    for (const name of required.slice(0, 1_000))
      if (typeof name === "string" && !Object.hasOwn(value, name))
        say(check, [...path, name], "is missing");
  const names = Object.keys(value);
  const min = at("minProperties");
  const max = at("maxProperties");
  if (typeof min === "number" && names.length < min)
    say(check, path, `must have at least ${min} fields`);
  if (typeof max === "number" && names.length > max)
    say(check, path, `must have at most ${max} fields`);
  const properties = at("properties");
  const others = at("additionalProperties");
  const known = isObject(properties) ? properties : {};
  for (const name of names) {
    if (Object.hasOwn(known, name))
      look(check, known[name], value[name], [...path, name], depth + 1);
    else if (others === false) say(check, [...path, name], "is not known here");
    else if (isObject(others)) look(check, others, value[name], [...path, name], depth + 1);
  }
}

function combine(check: Check, at: At, value: unknown, path: Path, depth: number): void {
  const list = (name: string): readonly unknown[] => {
    const raw = at(name);
    return Array.isArray(raw) ? raw : [];
  };
  for (const schema of list("allOf")) look(check, schema, value, path, depth + 1);
  const any = list("anyOf");
  if (any.length > 0 && !any.some((schema) => fits(check, schema, value, depth)))
    say(check, path, nearest(check, any, value, depth));
  const one = list("oneOf");
  if (one.length > 0) {
    const fitting = one.filter((schema) => fits(check, schema, value, depth)).length;
    if (fitting === 0) say(check, path, nearest(check, one, value, depth));
    else if (fitting > 1)
      say(check, path, "fits more than one of the ways that exclude each other");
  }
  const not = at("not");
  if (not !== undefined && fits(check, not, value, depth)) say(check, path, "is excluded");
}

const problemsOf = (
  check: Check,
  schema: unknown,
  value: unknown,
  depth: number,
): readonly JsonProblem[] => {
  const inner: Check = { ...check, problems: [] };
  try {
    look(inner, schema, value, [], depth + 1);
  } finally {
    check.steps = inner.steps;
  }
  return inner.problems;
};
const fits = (check: Check, schema: unknown, value: unknown, depth: number): boolean =>
  problemsOf(check, schema, value, depth).length === 0;

/** Of several ways, what the one that wants this kind of value says; else that none fits. */
function nearest(check: Check, ways: readonly unknown[], value: unknown, depth: number): string {
  for (const way of ways) {
    const types = isObject(way) ? typesOf(way["type"]) : undefined;
    if (types?.some((type) => isOfType(value, type)) !== true) continue;
    const [first] = problemsOf(check, way, value, depth);
    if (first !== undefined) return first.message;
  }
  return "fits none of the ways that its schema allows";
}

function say(check: Check, path: Path, message: string): void {
  if (check.problems.length < problemsMax) check.problems.push({ path, message });
}

/** `#/$defs/x` of the same document. What leads elsewhere, or nowhere, says nothing. */
function resolve(root: unknown, ref: string): unknown {
  if (ref === "#") return root;
  if (!ref.startsWith("#/")) return undefined;
  let at = root;
  for (const raw of ref.slice(2).split("/").slice(0, depthMax)) {
    const name = raw.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(at)) at = at[Number(name)];
    else if (isObject(at) && Object.hasOwn(at, name)) at = at[name];
    else return undefined;
  }
  return at;
}

const typeWords: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  null: "null",
};

export function typesOf(raw: unknown): readonly string[] | undefined {
  if (typeof raw === "string") return [raw];
  if (!Array.isArray(raw)) return undefined;
  return raw.filter((type): type is string => typeof type === "string");
}

export function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case "string":
      return typeof value === "string";
    case "number":
      return typeof value === "number";
    case "integer":
      return typeof value === "number" && Number.isInteger(value);
    case "boolean":
      return typeof value === "boolean";
    case "array":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    case "null":
      return value === null;
    default:
      // A type that nobody knows says nothing.
      return true;
  }
}

/** The formats that Airflow's forms know; others say nothing. */
function formatProblem(format: unknown, value: string): string | undefined {
  switch (format) {
    case "date":
      return isDate(value) ? undefined : "must be a date, as 2026-01-31";
    case "date-time":
      return /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?$/i.test(
        value,
      ) &&
        isDate(value.slice(0, 10)) &&
        !Number.isNaN(Date.parse(value.replace(" ", "T")))
        ? undefined
        : "must be a date and time, as 2026-01-31T06:00:00Z";
    case "time":
      return /^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?$/i.test(
        value,
      )
        ? undefined
        : "must be a time, as 06:00:00";
    default:
      return undefined;
  }
}

function isDate(value: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(value)) return false;
  const at = Date.parse(`${value}T00:00:00Z`);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(value);
}

const same = (a: unknown, b: unknown): boolean => a === b || canonical(a) === canonical(b);

/** The same text for the same value, whatever the order of its fields. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) =>
    isObject(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

function brief(choices: readonly unknown[]): string {
  const shown = choices.slice(0, 8).map((choice) => {
    const text = JSON.stringify(choice);
    return text.length > 60 ? `${text.slice(0, 59)}…` : text;
  });
  return `${shown.join(", ")}${choices.length > 8 ? ` … (${choices.length})` : ""}`;
}
