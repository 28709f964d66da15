/**
 * A form from the params' JSON Schemas, and a conf from what was typed into it. Schemas and confs are tenants' text:
 * whatever they hold, there is a field for it (at worst one for JSON), and no name of theirs is a name of ours.
 */
import { typesOf } from "../../model/check-json.ts";
import { isObject } from "../../model/json.ts";

export type FieldKind =
  | "text"
  | "lines"
  | "number"
  | "integer"
  | "boolean"
  | "choice"
  | "date"
  | "date-time"
  | "time"
  /** A list of texts, one a line. */
  | "list"
  | "json";

export type FormField = {
  readonly name: string;
  readonly title: string;
  readonly description: string | undefined;
  readonly section: string | undefined;
  readonly kind: FieldKind;
  readonly schema: { readonly [key: string]: unknown };
  /** May be null: "no value". */
  readonly nullable: boolean;
  /** For `choice`: the values that are allowed. */
  readonly choices: readonly unknown[];
  /** Suggestions; others are allowed. */
  readonly examples: readonly string[];
};

/** What is typed, per field: a text, whatever the kind ("true" of a check box, an index of a choice); null: no value. */
export type Draft = string | null;
export type Drafts = ReadonlyMap<string, Draft>;

export type FormParam = {
  readonly name: string;
  readonly schema: { readonly [key: string]: unknown };
  readonly description: string | null;
};

const choicesMax = 500;

export const fieldsOf = (params: readonly FormParam[]): readonly FormField[] =>
  params.map(({ name, schema, description }) => {
    const of = follow(schema);
    const types = typesOf(own(of, "type"));
    const title = own(schema, "title");
    const section = own(schema, "section");
    const shown = description ?? own(schema, "description");
    const choices = own(of, "enum");
    const examples = own(of, "examples");
    return {
      name,
      title: typeof title === "string" && title.trim() !== "" ? title.slice(0, 300) : name,
      description:
        typeof shown === "string" && shown.trim() !== "" ? shown.slice(0, 4_000) : undefined,
      section: typeof section === "string" ? section.slice(0, 300) : undefined,
      kind: kindOf(of, types),
      schema,
      nullable:
        types?.includes("null") === true || (Array.isArray(choices) && choices.includes(null)),
      choices: Array.isArray(choices) ? choices.slice(0, choicesMax) : [],
      examples: Array.isArray(examples)
        ? examples.filter((one) => typeof one === "string").slice(0, 100)
        : [],
    };
  });

/** Of a schema that is only `anyOf` null and one other, or only a `$ref`, the one that says what the field is. */
function follow(schema: { readonly [key: string]: unknown }): { readonly [key: string]: unknown } {
  if (Object.hasOwn(schema, "type") || Object.hasOwn(schema, "enum")) return schema;
  const ways = own(schema, "anyOf") ?? own(schema, "oneOf");
  if (!Array.isArray(ways) || ways.length > 4 || !ways.every(isObject)) return schema;
  const [first, ...more] = ways.filter((way) => own(way, "type") !== "null");
  if (first === undefined || more.length > 0 || ways.length === 1) return first ?? schema;
  const types = typesOf(own(first, "type"));
  return types === undefined ? schema : { ...first, type: [...types, "null"] };
}

const own = (of: { readonly [key: string]: unknown }, name: string): unknown =>
  Object.hasOwn(of, name) ? of[name] : undefined;

function kindOf(
  schema: { readonly [key: string]: unknown },
  types: readonly string[] | undefined,
): FieldKind {
  const choices = own(schema, "enum");
  if (Array.isArray(choices) && choices.length > 0 && choices.length <= choicesMax) return "choice";
  const real = types?.filter((type) => type !== "null") ?? [];
  const [type = ""] = real;
  // A value of any kind, or of several: only JSON can say which.
  if (real.length !== 1) return real.length === 2 && isNumbers(real) ? "number" : untyped(schema);
  switch (type) {
    case "string": {
      const format = own(schema, "format");
      if (format === "date" || format === "date-time" || format === "time") return format;
      return format === "multiline" ? "lines" : "text";
    }
    case "number":
      return "number";
    case "integer":
      return "integer";
    case "boolean":
      return "boolean";
    case "array": {
      const items = own(schema, "items");
      return isObject(items) && own(items, "type") === "string" && !Object.hasOwn(items, "enum")
        ? "list"
        : "json";
    }
    default:
      return "json";
  }
}

const isNumbers = (types: readonly string[]): boolean =>
  types.every((type) => type === "number" || type === "integer");

/** Airflow's plain defaults (`params={"day": "today"}`) have no type: the default's own is the likeliest. */
function untyped(schema: { readonly [key: string]: unknown }): FieldKind {
  if (Object.hasOwn(schema, "type")) return "json";
  const value = own(schema, "default");
  if (typeof value === "boolean") return "boolean";
  if (typeof value === "string") return value.includes("\n") ? "lines" : "text";
  return "json";
}

/** What is shown in a field for a value; undefined: this kind of field cannot show it. */
export function draftOf(field: FormField, value: unknown): Draft | undefined {
  if (value === undefined) return "";
  if (field.kind === "json") return JSON.stringify(value, null, 2);
  if (field.kind === "choice") {
    const text = JSON.stringify(value);
    const at = field.choices.findIndex((choice) => JSON.stringify(choice) === text);
    return at < 0 ? undefined : String(at);
  }
  if (value === null) return field.nullable ? null : undefined;
  switch (field.kind) {
    case "number":
    case "integer":
      return typeof value === "number" ? String(value) : undefined;
    case "boolean":
      return typeof value === "boolean" ? String(value) : undefined;
    case "list":
      return Array.isArray(value) &&
        value.every((item) => typeof item === "string" && item !== "" && !item.includes("\n"))
        ? value.join("\n")
        : undefined;
    case "text":
    case "lines":
    case "date":
    case "date-time":
    case "time":
      return typeof value === "string" ? value : undefined;
  }
}

export type Read =
  | { readonly kind: "value"; readonly value: unknown }
  /** Nothing was typed: the conf does not name it. */
  | { readonly kind: "none" }
  | { readonly kind: "problem"; readonly message: string };

/** What was typed as a value; only its notation is looked at here, its schema by `findParamProblems`. */
export function readDraft(field: FormField, draft: Draft): Read {
  if (draft === null) return { kind: "value", value: null };
  switch (field.kind) {
    case "choice":
      return draft === ""
        ? { kind: "none" }
        : { kind: "value", value: field.choices[Number(draft)] };
    case "boolean":
      return draft === "" ? { kind: "none" } : { kind: "value", value: draft === "true" };
    case "number":
    case "integer": {
      if (draft.trim() === "") return { kind: "none" };
      if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(draft.trim()))
        return { kind: "problem", message: "must be a number" };
      const value = Number(draft);
      if (!Number.isFinite(value)) return { kind: "problem", message: "is too large a number" };
      return Number.isInteger(value) && !Number.isSafeInteger(value)
        ? {
            kind: "problem",
            message: "has more digits than a number here can hold: it would be rounded",
          }
        : { kind: "value", value };
    }
    case "list":
      return { kind: "value", value: draft.split("\n").filter((line) => line !== "") };
    case "json":
      if (draft.trim() === "") return { kind: "none" };
      try {
        return { kind: "value", value: JSON.parse(draft) as unknown };
      } catch (error) {
        return { kind: "problem", message: `is no JSON: ${(error as Error).message}` };
      }
    case "date":
    case "date-time":
    case "time":
      return draft === "" ? { kind: "none" } : { kind: "value", value: draft };
    case "text":
    case "lines":
      // An empty text is a value where there is no default that it would hide, or the schema lets it.
      return { kind: "value", value: draft };
  }
}

/** The form as it opens: what `conf` says, else the defaults; and what conf holds beside the params. */
export function fillForm(
  fields: readonly FormField[],
  conf: { readonly [key: string]: unknown },
): {
  readonly drafts: Drafts;
  readonly extra: { readonly [key: string]: unknown };
  /** Fields that cannot show the value that conf has for them: the form must give way to the JSON. */
  readonly unfit: readonly string[];
} {
  const drafts = new Map<string, Draft>();
  const unfit: string[] = [];
  for (const field of fields) {
    const given = Object.hasOwn(conf, field.name);
    const value = given ? conf[field.name] : own(field.schema, "default");
    const draft = draftOf(field, value);
    if (draft === undefined && given) unfit.push(field.name);
    drafts.set(field.name, draft ?? (value === null ? null : ""));
  }
  const names = new Set(fields.map(({ name }) => name));
  const extra = Object.fromEntries(Object.entries(conf).filter(([name]) => !names.has(name)));
  return { drafts, extra, unfit };
}

/** The conf that the form means, and which fields cannot be read. Names are data: `__proto__` is one like any other. */
export function confOf(
  fields: readonly FormField[],
  drafts: Drafts,
  extra: { readonly [key: string]: unknown },
): {
  readonly conf: { readonly [key: string]: unknown };
  readonly problems: ReadonlyMap<string, string>;
} {
  const problems = new Map<string, string>();
  const entries: [string, unknown][] = [];
  for (const field of fields) {
    const draft = drafts.get(field.name);
    const read = readDraft(field, draft === undefined ? "" : draft);
    if (read.kind === "problem") problems.set(field.name, read.message);
    else if (read.kind === "value" && !isUntouched(field, read.value))
      entries.push([field.name, read.value]);
  }
  return { conf: Object.fromEntries([...entries, ...Object.entries(extra)]), problems };
}

/** An empty text where nothing was given before means: not given. */
function isUntouched(field: FormField, value: unknown): boolean {
  const isText = field.kind === "text" || field.kind === "lines";
  return isText && value === "" && own(field.schema, "default") === undefined;
}

/** A conf's text; an object, or a sentence why not. A number that would be rounded is told: it would start another run than meant. */
export function readConfText(
  text: string,
): { readonly conf: { readonly [key: string]: unknown } } | { readonly problem: string } {
  if (text.trim() === "") return { conf: {} };
  let rounded: string | undefined;
  try {
    const value: unknown = JSON.parse(text, ((
      _key: string,
      part: unknown,
      at?: { source?: string },
    ) => {
      if (typeof part === "number" && at?.source !== undefined && isRounded(part, at.source))
        rounded ??= at.source;
      return part;
    }) as (key: string, value: unknown) => unknown);
    if (rounded !== undefined)
      return {
        problem: `The number ${rounded.slice(0, 40)} has more digits than can be sent from here; give it as a text, or use the command`,
      };
    return isObject(value)
      ? { conf: value }
      : { problem: 'The conf must be a JSON object: {"name": value}' };
  } catch (error) {
    return { problem: `This is no JSON: ${(error as Error).message}` };
  }
}

const isRounded = (value: number, source: string): boolean =>
  /^-?\d+$/.test(source) && Number.isFinite(value) && BigInt(source) !== BigInt(value);

/** Fields by the first letters typed: with a thousand params, nobody scrolls. */
export const fieldsLike = (fields: readonly FormField[], words: string): readonly FormField[] => {
  const wanted = words.trim().toLowerCase();
  return wanted === ""
    ? fields
    : fields.filter(
        ({ name, title }) =>
          name.toLowerCase().includes(wanted) || title.toLowerCase().includes(wanted),
      );
};
