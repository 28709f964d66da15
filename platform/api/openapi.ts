import { z } from "zod";
import type { Endpoint } from "./endpoint.ts";

/** OpenAPI 3.1 of everything that is mounted, from the same schemas that read the requests. */
export function describeApi(endpoints: readonly Endpoint[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(/\*\}/g, "}");
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation(endpoint) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Airlock",
      version,
      description:
        "Two trees: `/t/{tenant}/api/v2` is Airflow's REST API v2 for one tenant, `/api/platform` is the platform's own.",
    },
    paths,
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        session: { type: "apiKey", in: "cookie", name: "airlock_session" },
      },
    },
  };
}

function operation(endpoint: Endpoint): object {
  const { policy } = endpoint;
  const open = "open" in policy;
  return {
    tags: [endpoint.tag],
    summary: endpoint.summary,
    operationId: operationId(endpoint),
    ...(open ? { security: [] } : { security: [{ token: [] }, { session: [] }] }),
    "x-airlock-policy": sayPolicy(endpoint),
    parameters: [...pathParameters(endpoint), ...queryParameters(endpoint)],
    ...(endpoint.body
      ? {
          requestBody: {
            required: true,
            content: { "application/json": { schema: schemaOf(endpoint.body, "input") } },
          },
        }
      : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(endpoint.answers).map(([status, schema]) => [
          status,
          {
            description: status === "204" ? "Done" : "Successful Response",
            ...(schema
              ? { content: { "application/json": { schema: schemaOf(schema, "output") } } }
              : {}),
          },
        ]),
      ),
      ...(open
        ? {}
        : { "401": { description: "Not signed in" }, "403": { description: "Not allowed" } }),
      "404": { description: "Not there, or not for you" },
      "422": { description: "A field is not valid" },
    },
  };
}

function sayPolicy({ policy }: Endpoint): string {
  if ("open" in policy) return `open: ${policy.why}`;
  if ("signedIn" in policy) return `signed in: ${policy.why}`;
  if ("on" in policy)
    return `${policy.deed} on ${policy.on}${policy.platform ? " of the platform" : ""}`;
  return `${policy.deed}, filtered by ${policy.list}`;
}

const operationId = ({ method, path }: Endpoint): string =>
  `${method.toLowerCase()}_${path
    .replace(/^\/t\/\{tenant\}/, "tenant")
    .replace(/[^A-Za-z0-9]+/g, "_")
    .replace(/^_|_$/g, "")}`;

const pathParameters = ({ path }: Endpoint): object[] =>
  [...path.matchAll(/\{(\w+)\*?\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: name === "map_index" || name === "try_number" ? "integer" : "string" },
  }));

const queryParameters = ({ query }: Endpoint): object[] =>
  Object.entries<z.ZodType>(query.shape).map(([name, schema]) => {
    const described = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
    return {
      name,
      in: "query",
      required: !schema.safeParse(undefined).success,
      schema: bare(described),
    };
  });

const schemaOf = (schema: z.ZodType, io: "input" | "output"): object =>
  bare(z.toJSONSchema(schema, { io, unrepresentable: "any", reused: "inline" }));

const bare = (described: Record<string, unknown>): object =>
  Object.fromEntries(Object.entries(described).filter(([key]) => key !== "$schema"));
