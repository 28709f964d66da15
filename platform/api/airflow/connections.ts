import { z } from "zod";
import {
  mask,
  maskExtra,
  openConnection,
  sealConnection,
  unmaskExtra,
} from "../../secrets/connection-value.ts";
import {
  addConnection,
  type ConnectionRow,
  changeConnection,
  connectionOrders,
  getConnection,
  listConnections,
  removeConnection,
} from "../../store/connections.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { manyTexts, orderOf, pageOf, paging, pattern, text } from "../fields.ts";
import { isGiven } from "../is-given.ts";
import { conflict, invalid, notFound } from "../problem.ts";
import { json, nothing } from "../reply.ts";
import { api } from "./base.ts";
import { type BulkAction, bulkBody, runBulk } from "./bulk.ts";
import { masked } from "./runs.ts";
import * as shapes from "./shapes.ts";
import { shownSecret } from "./shown-secret.ts";

const tag = "Connection";
const connId = text(250).regex(/^[\w.:@+()[\]-]+$/, {
  error: "connection_id must be letters, digits and any of _.:@+()[]-",
});

const fields = {
  connection_id: connId,
  conn_type: text(500).min(1),
  description: text(5_000).nullish(),
  host: text(500).nullish(),
  login: text(5_000).nullish(),
  schema: text(500).nullish(),
  port: z.int().min(0).max(65_535).nullish(),
  password: text(5_000).nullish(),
  extra: text(500_000).nullish(),
  team_name: z.null().optional(),
};
type Body = z.output<z.ZodObject<typeof fields>>;
const editable = [
  "conn_type",
  "description",
  "host",
  "login",
  "schema",
  "port",
  "password",
  "extra",
] as const;

export const connectionEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${api}/connections`,
      tag,
      summary: "Connections, without their secrets",
      policy: { deed: "conn.read", list: "conn" },
      query: { ...paging, connection_id_pattern: pattern },
      answers: { 200: shapes.connectionList },
    },
    async (ask) => {
      const found = await ask.tx((tx) =>
        listConnections(tx, {
          seen: ask.seen(),
          pattern: ask.query.connection_id_pattern,
          order: orderOf(ask.query, connectionOrders),
          page: pageOf(ask.query),
        }),
      );
      const connections = await Promise.all(found.rows.map((row) => toConnection(ask, row)));
      return json(200, { connections, total_entries: found.total });
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${api}/connections`,
      tag,
      summary: "Make a connection",
      policy: { deed: "conn.write", list: "conn" },
      body: fields,
      answers: { 201: shapes.connection },
    },
    async (ask) => {
      ask.must("conn.write", `conn:${ask.body.connection_id}`);
      return json(201, await toConnection(ask, await create(ask, ask.body)));
    },
  ),
  endpoint(
    {
      method: "PATCH",
      path: `${api}/connections`,
      tag,
      summary: "Make, change and remove many",
      policy: { deed: "conn.write", list: "conn" },
      body: bulkBody(z.object(fields)),
      answers: { 200: shapes.bulk },
    },
    async (ask) =>
      json(
        200,
        await runBulk(ask.body.actions as BulkAction<Body>[], {
          idField: "connection_id",
          nameOf: (body) => body.connection_id,
          allow: (name) => ask.must("conn.write", `conn:${name}`),
          exists: async (name) => (await ask.tx((tx) => getConnection(tx, name))) !== undefined,
          create: async (body) => void (await create(ask, body)),
          update: async (body, update) =>
            void (await change(ask, body.connection_id, body, update)),
          remove: (name) => remove(ask, name),
        }),
      ),
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/connections/{connection_id}`,
      tag,
      summary: "One connection, without its secrets",
      policy: { deed: "conn.read", on: "conn:{connection_id}" },
      answers: { 200: shapes.connection },
    },
    async (ask) => {
      const name = ask.params["connection_id"] ?? "";
      const row = await ask.tx((tx) => getConnection(tx, name));
      if (!row) throw noConnection(name);
      return json(200, await toConnection(ask, row));
    },
  ),
  endpoint(
    {
      method: "PATCH",
      path: `${api}/connections/{connection_id}`,
      tag,
      summary: "Change a connection; a secret sent as *** stays as it is",
      policy: { deed: "conn.write", on: "conn:{connection_id}" },
      query: { update_mask: manyTexts },
      body: { ...fields, connection_id: connId.nullish(), conn_type: text(500).min(1).nullish() },
      answers: { 200: shapes.connection },
    },
    async (ask) => {
      const name = ask.params["connection_id"] ?? "";
      if (isGiven(ask.body.connection_id) && ask.body.connection_id !== name)
        throw invalid(
          "connection_id",
          "The connection_id in the request body does not match the URL parameter",
        );
      return json(
        200,
        await toConnection(ask, await change(ask, name, ask.body, ask.query.update_mask)),
      );
    },
  ),
  endpoint(
    {
      method: "DELETE",
      path: `${api}/connections/{connection_id}`,
      tag,
      summary: "Remove a connection",
      policy: { deed: "conn.write", on: "conn:{connection_id}" },
      answers: { 204: undefined },
    },
    async (ask) => {
      await remove(ask, ask.params["connection_id"] ?? "");
      return nothing();
    },
  ),
];

async function create(ask: Ask<unknown, unknown>, body: Body): Promise<ConnectionRow> {
  const row: ConnectionRow = {
    conn_id: body.connection_id,
    conn_type: body.conn_type,
    description: body.description ?? null,
    host: body.host ?? null,
    schema: body.schema ?? null,
    login: body.login ?? null,
    port: body.port ?? null,
    sealed: await sealConnection(ask.deps.keyring, ask.tenant, body.connection_id, {
      password: body.password ?? undefined,
      extra: body.extra ?? undefined,
    }),
  };
  await ask.tx(async (tx) => {
    if (!(await addConnection(tx, row)))
      throw conflict(`The Connection with connection_id: \`${row.conn_id}\` already exists`);
    await ask.audit(tx, "conn.write", `conn:${row.conn_id}`, {
      made: true,
      conn_type: row.conn_type,
    });
  });
  return row;
}

async function change(
  ask: Ask<unknown, unknown>,
  name: string,
  body: Omit<Partial<Body>, "conn_type" | "connection_id"> & {
    conn_type?: string | null | undefined;
  },
  updateMask: readonly string[] | undefined,
): Promise<ConnectionRow> {
  const changes = masked(
    body,
    updateMask?.filter((field) => !["connection_id", "team_name"].includes(field)),
    editable,
  );
  const before = await ask.tx((tx) => getConnection(tx, name));
  if (!before) throw noConnection(name);
  // An unreadable secret must be replaceable: there is nothing of it left to keep.
  const secret = await shownSecret(
    ask,
    `connection ${name}`,
    { conn_id: name, conn_type: before.conn_type },
    () => openConnection(ask.deps.keyring, ask.tenant, before),
  );
  const kept = <T>(sent: T | null | undefined, field: string, old: T | null): T | null =>
    Object.hasOwn(changes, field) ? (sent ?? null) : old;
  const password =
    changes.password === mask
      ? secret.password
      : kept(changes.password, "password", secret.password ?? null);
  const extra = kept(changes.extra, "extra", secret.extra ?? null);
  const row: ConnectionRow = {
    conn_id: name,
    conn_type: changes.conn_type ?? before.conn_type,
    description: kept(changes.description, "description", before.description),
    host: kept(changes.host, "host", before.host),
    schema: kept(changes.schema, "schema", before.schema),
    login: kept(changes.login, "login", before.login),
    port: kept(changes.port, "port", before.port),
    sealed: await sealConnection(ask.deps.keyring, ask.tenant, name, {
      password: password ?? undefined,
      extra: extra === null ? undefined : unmaskExtra(extra, secret.extra),
    }),
  };
  await ask.tx(async (tx) => {
    if (!(await changeConnection(tx, row))) throw noConnection(name);
    // Which fields, never what they hold.
    await ask.audit(tx, "conn.write", `conn:${name}`, { changed: Object.keys(changes) });
  });
  return row;
}

async function remove(ask: Ask<unknown, unknown>, name: string): Promise<void> {
  await ask.tx(async (tx) => {
    if (!(await removeConnection(tx, name))) throw noConnection(name);
    await ask.audit(tx, "conn.write", `conn:${name}`, { removed: true });
  });
}

const noConnection = (name: string): ReturnType<typeof notFound> =>
  notFound(`The Connection with connection_id: \`${name}\` was not found`);

async function toConnection(
  ask: Ask<unknown, unknown>,
  row: ConnectionRow,
): Promise<z.output<typeof shapes.connection>> {
  const { password, extra } = await shownSecret(
    ask,
    `connection ${row.conn_id}`,
    { conn_id: row.conn_id, conn_type: row.conn_type, password: mask, extra: mask },
    () => openConnection(ask.deps.keyring, ask.tenant, row),
  );
  return {
    connection_id: row.conn_id,
    conn_type: row.conn_type,
    description: row.description,
    host: row.host,
    login: row.login,
    schema: row.schema,
    port: row.port,
    password: password === undefined ? null : mask,
    extra: extra === undefined ? null : maskExtra(extra),
    team_name: null,
  };
}
