import { z } from "zod";
import { isDeedOrBundle } from "../../../policies/authz/read-rule.ts";
import { readTenantId, type TenantId } from "../../model/ids.ts";
import { listTokens, removeToken, type TokenRow } from "../../store/people.ts";
import { getTenant } from "../../store/tenants.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { text } from "../fields.ts";
import type { SignIn } from "../identify.ts";
import { isGiven } from "../is-given.ts";
import { knowsTenant } from "../knows-tenant.ts";
import { forbidden, invalid, notFound } from "../problem.ts";
import { json, nothing } from "../reply.ts";

const tag = "Token";
const path = "/api/platform/tokens";
const own = { signedIn: true, why: "one's own tokens; an admin's list is everybody's" } as const;
const shown = {
  id: z.string(),
  user: z.string(),
  name: z.string(),
  tenant: z.string().nullable(),
  scopes: z.array(z.string()).nullable(),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  last_used_at: z.string().nullable(),
};

export const tokenEndpoints = (signIn: SignIn): readonly Endpoint[] => [
  endpoint(
    {
      method: "GET",
      path,
      tag,
      summary: "One's own tokens; for an admin, everybody's",
      policy: own,
      answers: { 200: z.object({ tokens: z.array(z.object(shown)), total_entries: z.int() }) },
    },
    async (ask) => {
      const whose = ask.rights.can(ask.asker, "platform.read", "*") ? undefined : ask.asker.name;
      const tokens = await ask.deps.store.system((tx) => listTokens(tx, whose));
      return json(200, { tokens: tokens.map(toToken), total_entries: tokens.length });
    },
  ),
  endpoint(
    {
      method: "POST",
      path,
      tag,
      summary: "A token for a program: never more than its owner may, at any time. Shown this once",
      policy: own,
      body: {
        name: text(200).min(1),
        tenant: text(63).nullish(),
        scopes: z.array(text(100)).max(100).nullish(),
        expires_in_days: z.int().min(1).max(3_650).nullish(),
      },
      answers: { 201: z.object({ ...shown, token: z.string() }) },
    },
    async (ask) => {
      // Else a token that is narrow or short-lived would make itself a wide one that lasts.
      if (ask.asker.scopes !== undefined || ask.asker.onlyTenant !== undefined)
        throw forbidden("A token that is narrowed cannot make tokens");
      const { body } = ask;
      const unknown = body.scopes?.find((scope) => !isDeedOrBundle(scope));
      if (unknown !== undefined)
        throw invalid(
          "scopes",
          "each scope must be a deed such as run.trigger or a bundle such as b:viewer",
        );
      const issued = await signIn.issueToken({
        kind: "api",
        person: ask.asker.name,
        tenant: !isGiven(body.tenant) ? null : await tenantOf(ask, body.tenant),
        scopes: body.scopes ?? null,
        name: body.name,
        seconds: !isGiven(body.expires_in_days) ? undefined : body.expires_in_days * 86_400,
      });
      await ask.deps.store.system((tx) =>
        ask.audit(tx, "token.write", `token:${issued.row.id}`, { made: true, name: body.name }),
      );
      return json(201, { ...toToken(issued.row), token: issued.text });
    },
  ),
  endpoint(
    {
      method: "DELETE",
      path: `${path}/{token_id}`,
      tag,
      summary: "Revoke a token, at once",
      policy: own,
      answers: { 204: undefined },
    },
    async (ask) => {
      if (ask.asker.scopes !== undefined || ask.asker.onlyTenant !== undefined)
        throw forbidden("A token that is narrowed cannot revoke tokens");
      const id = ask.params["token_id"] ?? "";
      const whose = ask.rights.can(ask.asker, "platform.write", "*") ? undefined : ask.asker.name;
      await ask.deps.store.system(async (tx) => {
        if (!(await removeToken(tx, id, whose))) throw notFound("There is no such token");
        await ask.audit(tx, "token.write", `token:${id}`, { removed: true });
      });
      return nothing();
    },
  ),
];

async function tenantOf(ask: Ask<unknown, unknown>, raw: string): Promise<TenantId> {
  const name = readTenantId(raw);
  if (!name.ok) throw invalid("tenant", name.problem.message);
  const row = await ask.deps.store.system((tx) => getTenant(tx, name.value));
  const rights = row && (await ask.deps.authorizer.rightsIn(name.value));
  if (!rights || !knowsTenant(rights, ask.asker)) throw notFound(`Tenant ${raw} was not found`);
  return name.value;
}

const toToken = (row: TokenRow): z.output<z.ZodObject<typeof shown>> => ({
  id: row.id,
  user: row.person,
  name: row.name,
  tenant: row.tenant,
  scopes: row.scopes === null ? null : [...row.scopes],
  created_at: row.created_at.toISOString(),
  expires_at: row.expires_at?.toISOString() ?? null,
  last_used_at: row.last_used_at?.toISOString() ?? null,
});
