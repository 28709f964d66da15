import { z } from "zod";
import {
  addPool,
  changePool,
  defaultPool,
  getPool,
  listPools,
  type PoolRow,
  poolOrders,
  removePool,
} from "../../store/pools.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { manyTexts, orderOf, pageOf, paging, pattern, text } from "../fields.ts";
import { isGiven } from "../is-given.ts";
import { badRequest, conflict, invalid, notFound } from "../problem.ts";
import { json, nothing } from "../reply.ts";
import { api } from "./base.ts";
import { type BulkAction, bulkBody, runBulk } from "./bulk.ts";
import { masked } from "./runs.ts";
import * as shapes from "./shapes.ts";

const tag = "Pool";
/** −1: no limit, as in Airflow. */
const slots = z.int().min(-1).max(1_000_000);
const fields = {
  name: text(256).min(1),
  slots,
  description: text(5_000).nullish(),
  include_deferred: z.boolean().nullish(),
  team_name: z.null().optional(),
};
type Body = z.output<z.ZodObject<typeof fields>>;

export const poolEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${api}/pools`,
      tag,
      summary: "Pools and who holds their slots",
      policy: { deed: "pool.read", list: "pool" },
      query: { ...paging, pool_name_pattern: pattern },
      answers: { 200: shapes.poolList },
    },
    async (ask) => {
      const found = await ask.tx((tx) =>
        listPools(tx, {
          seen: ask.seen(),
          pattern: ask.query.pool_name_pattern,
          order: orderOf(ask.query, poolOrders),
          page: pageOf(ask.query),
        }),
      );
      return json(200, { pools: found.rows.map(toPool), total_entries: found.total });
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${api}/pools`,
      tag,
      summary: "Make a pool",
      policy: { deed: "pool.write", list: "pool" },
      body: fields,
      answers: { 201: shapes.pool },
    },
    async (ask) => {
      ask.must("pool.write", `pool:${ask.body.name}`);
      await create(ask, ask.body);
      return json(201, toPool(await poolOf(ask, ask.body.name)));
    },
  ),
  endpoint(
    {
      method: "PATCH",
      path: `${api}/pools`,
      tag,
      summary: "Make, change and remove many",
      policy: { deed: "pool.write", list: "pool" },
      body: bulkBody(z.object(fields)),
      answers: { 200: shapes.bulk },
    },
    async (ask) =>
      json(
        200,
        await runBulk(ask.body.actions as BulkAction<Body>[], {
          idField: "name",
          nameOf: (body) => body.name,
          allow: (name) => ask.must("pool.write", `pool:${name}`),
          exists: async (name) => (await ask.tx((tx) => getPool(tx, name))) !== undefined,
          create: (body) => create(ask, body),
          update: (body, update) => change(ask, body.name, body, update),
          remove: (name) => remove(ask, name),
        }),
      ),
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/pools/{pool_name*}`,
      tag,
      summary: "One pool",
      policy: { deed: "pool.read", on: "pool:{pool_name}" },
      answers: { 200: shapes.pool },
    },
    async (ask) => json(200, toPool(await poolOf(ask, ask.params["pool_name"] ?? ""))),
  ),
  endpoint(
    {
      method: "PATCH",
      path: `${api}/pools/{pool_name*}`,
      tag,
      summary: "Change a pool",
      policy: { deed: "pool.write", on: "pool:{pool_name}" },
      query: { update_mask: manyTexts },
      body: {
        pool: text(256).nullish(),
        name: text(256).nullish(),
        slots: slots.nullish(),
        description: text(5_000).nullish(),
        include_deferred: z.boolean().nullish(),
        team_name: z.null().optional(),
      },
      answers: { 200: shapes.pool },
    },
    async (ask) => {
      const name = ask.params["pool_name"] ?? "";
      const sent = ask.body.pool ?? ask.body.name;
      if (isGiven(sent) && sent !== name)
        throw invalid(
          "pool",
          "Invalid body, pool name from request body doesn't match uri parameter",
        );
      await change(ask, name, ask.body, ask.query.update_mask);
      return json(200, toPool(await poolOf(ask, name)));
    },
  ),
  endpoint(
    {
      method: "DELETE",
      path: `${api}/pools/{pool_name*}`,
      tag,
      summary: "Remove a pool",
      policy: { deed: "pool.write", on: "pool:{pool_name}" },
      answers: { 204: undefined },
    },
    async (ask) => {
      await remove(ask, ask.params["pool_name"] ?? "");
      return nothing();
    },
  ),
];

async function poolOf(ask: Ask<unknown, unknown>, name: string): Promise<PoolRow> {
  const row = await ask.tx((tx) => getPool(tx, name));
  if (!row) throw noPool(name);
  return row;
}

async function create(ask: Ask<unknown, unknown>, body: Body): Promise<void> {
  await ask.tx(async (tx) => {
    const made = await addPool(tx, {
      name: body.name,
      slots: body.slots,
      description: body.description ?? null,
      include_deferred: body.include_deferred ?? false,
    });
    if (!made) throw conflict(`The Pool with name: \`${body.name}\` already exists`);
    await ask.audit(tx, "pool.write", `pool:${body.name}`, { made: true, slots: body.slots });
  });
}

async function change(
  ask: Ask<unknown, unknown>,
  name: string,
  body: {
    slots?: number | null | undefined;
    description?: string | null | undefined;
    include_deferred?: boolean | null | undefined;
  },
  updateMask: readonly string[] | undefined,
): Promise<void> {
  const changes = masked(
    body,
    updateMask?.filter((field) => !["pool", "name", "team_name"].includes(field)),
    ["slots", "description", "include_deferred"],
  );
  if (name === defaultPool && changes.description !== undefined)
    throw badRequest("Only slots and include_deferred can be modified on Default Pool");
  await ask.tx(async (tx) => {
    const found = await changePool(tx, name, {
      slots: changes.slots ?? undefined,
      include_deferred: changes.include_deferred ?? undefined,
      description: changes.description,
    });
    if (!found) throw noPool(name);
    await ask.audit(tx, "pool.write", `pool:${name}`, { slots: changes.slots ?? null });
  });
  ask.deps.runs.limitGrew(ask.tenant);
}

async function remove(ask: Ask<unknown, unknown>, name: string): Promise<void> {
  if (name === defaultPool) throw badRequest("Default Pool can't be deleted");
  await ask.tx(async (tx) => {
    if (!(await removePool(tx, name))) throw noPool(name);
    await ask.audit(tx, "pool.write", `pool:${name}`, { removed: true });
  });
}

const noPool = (name: string): ReturnType<typeof notFound> =>
  notFound(`The Pool with name: \`${name}\` was not found`);

function toPool(row: PoolRow): z.output<typeof shapes.pool> {
  const occupied =
    row.running_slots + row.queued_slots + (row.include_deferred ? row.deferred_slots : 0);
  return {
    name: row.name,
    slots: row.slots,
    description: row.description,
    include_deferred: row.include_deferred,
    occupied_slots: occupied,
    running_slots: row.running_slots,
    queued_slots: row.queued_slots,
    scheduled_slots: row.scheduled_slots,
    open_slots: row.slots === -1 ? -1 : row.slots - occupied,
    deferred_slots: row.deferred_slots,
    team_name: null,
  };
}
