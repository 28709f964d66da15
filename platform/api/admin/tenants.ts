import { z } from "zod";
import { readLimit } from "../../../tenants/registry/limits.ts";
import { known, readTenantId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import { tenantsOf } from "../../store/grants.ts";
import {
  changeTenant,
  createTenant,
  getTenant,
  listTenants,
  type TenantRow,
} from "../../store/tenants.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { text } from "../fields.ts";
import { isGiven } from "../is-given.ts";
import { knowsTenant } from "../knows-tenant.ts";
import { conflict, invalid, notFound } from "../problem.ts";
import { json } from "../reply.ts";

const tag = "Tenant";
const path = "/api/platform/tenants";
const hostPattern = /^(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/;
const egressRule = z.strictObject({
  host: text(253).regex(hostPattern, { error: "host must be a host name or an address" }),
  port: z.int().min(1).max(65_535),
});
const tenant = z.object({
  name: z.string(),
  display_name: z.string(),
  state: z.enum(["active", "suspended"]),
  max_running: z.int(),
  weight: z.int(),
  limits: z.record(z.string(), z.unknown()),
  egress: z.array(z.object({ host: z.string(), port: z.int() })),
  allow_sources: z.array(z.string()),
  created_at: z.string(),
});

export const tenantEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path,
      tag,
      summary: "The tenants in which one has something to do",
      policy: { signedIn: true, why: "the list is filtered by the rights in each tenant" },
      answers: { 200: z.object({ tenants: z.array(tenant), total_entries: z.int() }) },
    },
    async (ask) => {
      const tenants = await seenTenants(ask);
      return json(200, { tenants: tenants.map(toTenant), total_entries: tenants.length });
    },
  ),
  endpoint(
    {
      method: "POST",
      path,
      tag,
      summary: "Make a tenant",
      policy: { deed: "platform.write", on: "*" },
      body: { name: text(63), display_name: text(200).nullish() },
      answers: { 201: tenant },
    },
    async (ask) => {
      const name = readTenantId(ask.body.name);
      if (!name.ok) throw invalid("name", name.problem.message);
      const row = await ask.deps.store.system(async (tx) => {
        const made = await createTenant(tx, name.value, ask.body.display_name ?? "");
        if (!made) throw conflict(`There is a tenant ${name.value} already`);
        await ask.audit(tx, "platform.write", `tenant:${name.value}`, { made: true });
        return made;
      });
      return json(201, toTenant(row));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${path}/{tenant}`,
      tag,
      summary: "One tenant",
      policy: { deed: "tenant.read", on: "*" },
      answers: { 200: tenant },
    },
    async (ask) => {
      const row = await ask.tx((tx) => getTenant(tx, ask.tenant));
      if (!row) throw notFound();
      return json(200, toTenant(row));
    },
  ),
  endpoint(
    {
      method: "PATCH",
      path: `${path}/{tenant}`,
      tag,
      summary: "Change a tenant's limits, egress or state",
      // The platform's, not the tenant's: whom a limit binds may not widen it.
      policy: { deed: "platform.write", on: "*", platform: true },
      body: {
        display_name: text(200).nullish(),
        state: z.enum(["active", "suspended"]).nullish(),
        max_running: z.int().min(1).max(100_000).nullish(),
        weight: z.int().min(1).max(100).nullish(),
        limits: z.record(text(100), z.union([text(100), z.number()])).nullish(),
        egress: z.array(egressRule).max(500).nullish(),
        allow_sources: z.array(text(500)).max(500).nullish(),
      },
      answers: { 200: tenant },
    },
    async (ask) => {
      const name = readTenantId(ask.params["tenant"]);
      if (!name.ok) throw notFound();
      const { body } = ask;
      // As people write them (`512MiB`, `0.5` cores), kept as written: an unknown or impossible one must not wait to be found by a task.
      for (const [key, raw] of Object.entries(body.limits ?? {})) {
        const limit = readLimit(key, raw);
        if (!limit.ok)
          throw invalid(`limits.${key}`, `${limit.problem.message}; ${limit.problem.hint}`);
      }
      const row = await ask.deps.store.system(async (tx) => {
        const changed = await changeTenant(tx, name.value, {
          display_name: body.display_name ?? undefined,
          state: body.state ?? undefined,
          max_running: body.max_running ?? undefined,
          weight: body.weight ?? undefined,
          limits: (body.limits ?? undefined) as JsonObject | undefined,
          egress: body.egress ?? undefined,
          allow_sources: body.allow_sources ?? undefined,
        });
        if (!changed) throw notFound();
        await ask.audit(tx, "platform.write", `tenant:${name.value}`, {
          changed: Object.entries(body).flatMap(([key, value]) => (!isGiven(value) ? [] : [key])),
        });
        return changed;
      });
      ask.deps.runs.limitGrew(name.value);
      return json(200, toTenant(row));
    },
  ),
];

export async function seenTenants(ask: Ask<unknown, unknown>): Promise<readonly TenantRow[]> {
  const { asker, deps } = ask;
  const platform = await deps.authorizer.rightsIn("*");
  const [all, named] = await deps.store.system(async (tx) => [
    await listTenants(tx),
    new Set(await tenantsOf(tx, [asker.subject, "anonymous", ...asker.groups])),
  ]);
  if (platform.can(asker, "platform.read", "*")) return all;
  const seen: TenantRow[] = [];
  for (const row of all) {
    // Only tenants whose rules name the asker are compiled: a list must not load the rules of everybody.
    if (!named.has("*") && !named.has(row.tenant)) continue;
    const rights = await deps.authorizer.rightsIn(known.tenant(row.tenant));
    if (knowsTenant(rights, asker)) seen.push(row);
  }
  return seen;
}

const toTenant = (row: TenantRow): z.output<typeof tenant> => ({
  name: row.tenant,
  display_name: row.display_name,
  state: row.state,
  max_running: row.max_running,
  weight: row.weight,
  limits: { ...row.limits },
  egress: [...row.egress],
  allow_sources: [...row.allow_sources],
  created_at: row.created_at.toISOString(),
});
