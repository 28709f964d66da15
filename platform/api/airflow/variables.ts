import { z } from "zod";
import { isSecretName, mask } from "../../secrets/connection-value.ts";
import {
  addVariable,
  changeVariable,
  getVariable,
  listVariables,
  removeVariable,
  type VariableRow,
  variableOrders,
} from "../../store/variables.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { manyTexts, orderOf, pageOf, paging, pattern, text } from "../fields.ts";
import { isGiven } from "../is-given.ts";
import { conflict, HttpProblem, invalid, notFound } from "../problem.ts";
import { json, nothing } from "../reply.ts";
import { api } from "./base.ts";
import { type BulkAction, bulkBody, runBulk } from "./bulk.ts";
import { masked } from "./runs.ts";
import * as shapes from "./shapes.ts";
import { shownSecret } from "./shown-secret.ts";

const tag = "Variable";
const fields = {
  key: text(250).min(1),
  /** Any JSON; what is no text is kept as JSON text, as Airflow does. */
  value: z.unknown(),
  description: text(5_000).nullish(),
  team_name: z.null().optional(),
};
type Body = z.output<z.ZodObject<typeof fields>>;
const valueBytesMax = 512 * 1024;

export const variableEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${api}/variables`,
      tag,
      summary: "Variables; the value of one that is named like a secret is masked",
      policy: { deed: "var.read", list: "var" },
      query: { ...paging, variable_key_pattern: pattern },
      answers: { 200: shapes.variableList },
    },
    async (ask) => {
      const found = await ask.tx((tx) =>
        listVariables(tx, {
          seen: ask.seen(),
          pattern: ask.query.variable_key_pattern,
          order: orderOf(ask.query, variableOrders),
          page: pageOf(ask.query),
        }),
      );
      const variables = await Promise.all(found.rows.map((row) => toVariable(ask, row)));
      return json(200, { variables, total_entries: found.total });
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${api}/variables`,
      tag,
      summary: "Make a variable",
      policy: { deed: "var.write", list: "var" },
      body: fields,
      answers: { 201: shapes.variable },
    },
    async (ask) => {
      ask.must("var.write", `var:${ask.body.key}`);
      return json(201, await toVariable(ask, await create(ask, ask.body)));
    },
  ),
  endpoint(
    {
      method: "PATCH",
      path: `${api}/variables`,
      tag,
      summary: "Make, change and remove many",
      policy: { deed: "var.write", list: "var" },
      body: bulkBody(z.object(fields)),
      answers: { 200: shapes.bulk },
    },
    async (ask) =>
      json(
        200,
        await runBulk(ask.body.actions as BulkAction<Body>[], {
          idField: "key",
          nameOf: (body) => body.key,
          allow: (name) => ask.must("var.write", `var:${name}`),
          exists: async (name) => (await ask.tx((tx) => getVariable(tx, name))) !== undefined,
          create: async (body) => void (await create(ask, body)),
          update: async (body, update) => void (await change(ask, body.key, body, update)),
          remove: (name) => remove(ask, name),
        }),
      ),
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/variables/{variable_key*}`,
      tag,
      summary: "One variable",
      policy: { deed: "var.read", on: "var:{variable_key}" },
      answers: { 200: shapes.variable },
    },
    async (ask) => {
      const key = ask.params["variable_key"] ?? "";
      const row = await ask.tx((tx) => getVariable(tx, key));
      if (!row) throw noVariable(key);
      return json(200, await toVariable(ask, row));
    },
  ),
  endpoint(
    {
      method: "PATCH",
      path: `${api}/variables/{variable_key*}`,
      tag,
      summary: "Change a variable; a value sent as *** stays as it is",
      policy: { deed: "var.write", on: "var:{variable_key}" },
      query: { update_mask: manyTexts },
      body: { ...fields, key: text(250).nullish() },
      answers: { 200: shapes.variable },
    },
    async (ask) => {
      const key = ask.params["variable_key"] ?? "";
      if (isGiven(ask.body.key) && ask.body.key !== key)
        throw invalid("key", "Invalid body, key from request body doesn't match uri parameter");
      return json(
        200,
        await toVariable(ask, await change(ask, key, ask.body, ask.query.update_mask)),
      );
    },
  ),
  endpoint(
    {
      method: "DELETE",
      path: `${api}/variables/{variable_key*}`,
      tag,
      summary: "Remove a variable",
      policy: { deed: "var.write", on: "var:{variable_key}" },
      answers: { 204: undefined },
    },
    async (ask) => {
      await remove(ask, ask.params["variable_key"] ?? "");
      return nothing();
    },
  ),
];

async function create(ask: Ask<unknown, unknown>, body: Body): Promise<VariableRow> {
  const row = {
    key: body.key,
    sealed: await ask.deps.keyring.seal(ask.tenant, "variable", body.key, asText(body.value)),
    description: body.description ?? null,
  };
  await ask.tx(async (tx) => {
    if (!(await addVariable(tx, row)))
      throw conflict(`The Variable with key: \`${row.key}\` already exists`);
    await ask.audit(tx, "var.write", `var:${row.key}`, { made: true });
  });
  return row;
}

async function change(
  ask: Ask<unknown, unknown>,
  key: string,
  body: { value?: unknown; description?: string | null | undefined },
  updateMask: readonly string[] | undefined,
): Promise<VariableRow> {
  const changes = masked(
    body,
    updateMask?.filter((field) => !["key", "team_name"].includes(field)),
    ["value", "description"],
  );
  const before = await ask.tx((tx) => getVariable(tx, key));
  if (!before) throw noVariable(key);
  const unchanged = !Object.hasOwn(changes, "value") || changes.value === mask;
  const row = {
    key,
    sealed: unchanged
      ? before.sealed
      : await ask.deps.keyring.seal(ask.tenant, "variable", key, asText(changes.value)),
    description: Object.hasOwn(changes, "description")
      ? (changes.description ?? null)
      : before.description,
  };
  await ask.tx(async (tx) => {
    if (!(await changeVariable(tx, row))) throw noVariable(key);
    await ask.audit(tx, "var.write", `var:${key}`, { changed: Object.keys(changes) });
  });
  return row;
}

async function remove(ask: Ask<unknown, unknown>, key: string): Promise<void> {
  await ask.tx(async (tx) => {
    if (!(await removeVariable(tx, key))) throw noVariable(key);
    await ask.audit(tx, "var.write", `var:${key}`, { removed: true });
  });
}

function asText(value: unknown): string {
  const kept =
    typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value, null, 2);
  if (Buffer.byteLength(kept) > valueBytesMax)
    throw new HttpProblem(413, `value must be at most ${valueBytesMax} bytes`);
  return kept;
}

const noVariable = (key: string): ReturnType<typeof notFound> =>
  notFound(`The Variable with key: \`${key}\` was not found`);

async function toVariable(
  ask: Ask<unknown, unknown>,
  row: VariableRow,
): Promise<z.output<typeof shapes.variable>> {
  return {
    key: row.key,
    value: isSecretName(row.key)
      ? mask
      : await shownSecret(ask, `variable ${row.key}`, mask, () =>
          ask.deps.keyring.open(ask.tenant, "variable", row.key, row.sealed),
        ),
    description: row.description,
    is_encrypted: true,
    team_name: null,
  };
}
