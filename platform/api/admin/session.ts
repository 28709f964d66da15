import { z } from "zod";
import { deeds } from "../../model/access.ts";
import { known } from "../../model/ids.ts";
import { sessionHours } from "../../store/people.ts";
import { tooManyTries } from "../airflow/token.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { text } from "../fields.ts";
import type { SignIn } from "../identify.ts";
import { forbidden, HttpProblem } from "../problem.ts";
import { json, nothing } from "../reply.ts";
import { cookieName, isFromOurPages, readCookie, sessionCookie } from "../same-origin.ts";
import { seenTenants } from "./tenants.ts";

const path = "/api/platform/session";
const tag = "Session";
const me = z.object({
  name: z.string(),
  groups: z.array(z.string()),
  is_platform_admin: z.boolean(),
  /** The server's clock, so that a page can tell ages rightly on a machine whose own is wrong. */
  now: z.iso.datetime(),
  version: z.string(),
  tenants: z.array(
    z.object({
      tenant: z.string(),
      display_name: z.string(),
      state: z.enum(["active", "suspended"]),
      /** What one may do on something in it: what a page may offer. */
      may: z.array(z.enum(deeds)),
    }),
  ),
});
export type Me = z.output<typeof me>;

export const sessionEndpoints = (signIn: SignIn): readonly Endpoint[] => [
  endpoint(
    {
      method: "POST",
      path,
      tag,
      summary: "Sign in to the page: answers an HttpOnly cookie",
      policy: { open: true, why: "it is how one signs in" },
      body: { username: text(1_000), password: text(4_096) },
      answers: { 201: z.object({ name: z.string() }) },
    },
    async (ask) => {
      const { request } = ask;
      // A foreign page must not sign a visitor in as somebody else. Programs send no Origin.
      if (request.headers.has("origin") && !isFromOurPages(request, ask.deps.publicUrl))
        throw forbidden("The request does not come from this site's own pages");
      const answer = await signIn.byPassword(ask.body.username, ask.body.password, ask.ip);
      if (answer.kind === "too_soon") throw tooManyTries(answer.seconds);
      if (answer.kind === "wrong") throw new HttpProblem(401, "Invalid credentials");
      const { name } = answer.asker;
      // Always a new id: one that somebody planted before the sign-in stays worthless.
      const id = await signIn.openSession(
        name,
        request.headers.get("user-agent")?.slice(0, 300) ?? null,
      );
      const cookie = sessionCookie(ask.deps.publicUrl, id, sessionHours * 3_600);
      return json(201, { name }, { "set-cookie": cookie });
    },
  ),
  endpoint(
    {
      method: "GET",
      path,
      tag,
      summary: "Who is signed in, and in which tenants they may do what",
      policy: { signedIn: true, why: "one's own name and rights" },
      answers: { 200: me },
    },
    async (ask) => {
      const platform = await ask.deps.authorizer.rightsIn("*");
      return json(200, {
        name: ask.asker.name,
        groups: ask.asker.groups.map((group) => group.replace(/^group:/, "")),
        is_platform_admin: platform.can(ask.asker, "platform.write", "*"),
        now: new Date().toISOString(),
        version: ask.deps.version,
        tenants: await tenantsOf(ask),
      } satisfies Me);
    },
  ),
  endpoint(
    {
      method: "DELETE",
      path,
      tag,
      summary: "Sign out",
      policy: { signedIn: true, why: "one's own session" },
      answers: { 204: undefined },
    },
    async (ask) => {
      const id = readCookie(ask.request, cookieName(ask.deps.publicUrl));
      if (id !== undefined) await signIn.closeSession(id);
      const response = nothing();
      response.headers.set("set-cookie", sessionCookie(ask.deps.publicUrl, "", 0));
      return response;
    },
  ),
];

async function tenantsOf(ask: Ask<unknown, unknown>): Promise<Me["tenants"]> {
  const { asker, deps } = ask;
  const platform = await deps.authorizer.rightsIn("*");
  const everywhere = deeds.filter((deed) => platform.canAnywhere(asker, deed));
  const isAdmin = platform.can(asker, "platform.write", "*");
  const tenants: Me["tenants"] = [];
  for (const { tenant, display_name, state } of await seenTenants(ask)) {
    // An admin's rights are the same in all: the rules of a thousand tenants need not be read to say so.
    const rights = isAdmin ? undefined : await deps.authorizer.rightsIn(known.tenant(tenant));
    const may =
      rights === undefined ? everywhere : deeds.filter((deed) => rights.canAnywhere(asker, deed));
    tenants.push({ tenant, display_name, state, may: [...may] });
  }
  return tenants;
}
