/** What the OpenAPI description says can be asked, and requests made from it. */
import type { Json } from "../../platform/model/json.ts";

export type Schema = {
  readonly type?: string | readonly string[];
  readonly enum?: readonly Json[];
  readonly const?: Json;
  readonly default?: Json;
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
};

export type Parameter = {
  readonly name: string;
  readonly in: "path" | "query";
  readonly required: boolean;
  readonly schema: Schema;
};

export type Operation = {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body: Schema | undefined;
};

type Described = {
  readonly paths: {
    readonly [path: string]: {
      readonly [method: string]: {
        readonly parameters: readonly Parameter[];
        readonly requestBody?: {
          readonly content: { readonly "application/json": { readonly schema: Schema } };
        };
      };
    };
  };
};

export const operationsOf = (description: object): readonly Operation[] =>
  Object.entries((description as Described).paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      parameters: operation.parameters,
      body: operation.requestBody?.content["application/json"].schema,
    })),
  );

/** Things that exist, by the name of the field that names them. */
export const plausible: { readonly [field: string]: string } = {
  tenant: "acme",
  dag_id: "payroll",
  dag_run_id: "r1",
  run_id: "r1",
  task_id: "extract",
  map_index: "-1",
  try_number: "1",
  version_number: "1",
  connection_id: "warehouse",
  conn_type: "http",
  variable_key: "city",
  pool_name: "default_pool",
  xcom_key: "return_value",
  import_error_id: "1",
  event_log_id: "1",
  deploy: "1",
  deed_id: "00000000-0000-4000-8000-000000000000",
  id: "00000000-0000-4000-8000-000000000001",
  structure_key: "0",
  name: "made",
  key: "made",
  value: "text",
  repository: "pipelines",
  username: "zed",
  user: "zed",
  token_id: "AAAAAAAAAAAA",
  subject: "user:zed",
  role: "viewer",
  thing: "dag:payroll",
  deed: "dag.read",
  commit: "a".repeat(40),
  kind: "connection",
  password: "a long enough password",
  find: "line",
  zone: "UTC",
};

/** As little as the schema asks for. */
export function minimal(schema: Schema, field = ""): Json {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0] ?? null;
  if (schema.default !== undefined) return schema.default;
  const [first] = schema.anyOf ?? schema.oneOf ?? [];
  if (first) return minimal(first, field);
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "string":
      return schema.format === "date-time" ? "2026-01-01T00:00:00Z" : (plausible[field] ?? "text");
    case "integer":
    case "number":
      return Math.max(schema.minimum ?? 1, 1);
    case "boolean":
      return true;
    case "array":
      return schema.items ? [minimal(schema.items, field)] : [];
    case "object":
      return Object.fromEntries(
        (schema.required ?? []).map((name) => [
          name,
          minimal(schema.properties?.[name] ?? {}, name),
        ]),
      );
    default:
      return "text";
  }
}

/** As a query carries it. */
export const textOf = (value: Json): string =>
  typeof value === "string" ? value : JSON.stringify(value);

/** Bodies that each name `name` in one place, whatever place that is: nested, in a list, in an alternative. */
export function bodiesNaming(schema: Schema, name: string, field = ""): readonly Json[] {
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives) return alternatives.flatMap((one) => bodiesNaming(one, name, field));
  if (schema.enum ?? schema.const !== undefined) return [];
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "string":
      return schema.format === undefined ? namesFor(field, name) : [];
    case "array":
      return schema.items ? bodiesNaming(schema.items, name, field).map((one) => [one]) : [];
    case "object": {
      const least = minimal(schema) as { readonly [key: string]: Json };
      return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) =>
        bodiesNaming(inner, name, key).map((value) => ({ ...least, [key]: value })),
      );
    }
    default:
      return [];
  }
}

/** A field may hold the bare name, or the name behind its kind. */
export function namesFor(field: string, name: string): readonly string[] {
  if (field === "subject") return [`user:${name}`, `group:${name}`];
  if (field === "thing")
    return ["dag", "conn", "var", "pool", "repo"].map((kind) => `${kind}:${name}`);
  if (field === "role") return [name, `group:${name}`];
  return [name];
}

/** The path with each parameter in its place; what is not given is plausible. */
export const fillPath = (path: string, given: { readonly [name: string]: string } = {}): string =>
  path.replace(/\{(\w+)\*?\}/g, (_, name: string) =>
    encodeURIComponent(given[name] ?? plausible[name] ?? "x"),
  );
