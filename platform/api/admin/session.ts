import { z } from "zod";
import { sessionHours } from "../../store/people.ts";
import { tooManyTries } from "../airflow/token.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { text } from "../fields.ts";
import type { SignIn } from "../identify.ts";
import { forbidden, HttpProblem } from "../problem.ts";
import { json, nothing } from "../reply.ts";
import { cookieName, isFromOurPages, readCookie, sessionCookie } from "../same-origin.ts";

const path = "/api/platform/session";
const tag = "Session";
const me = z.object({
  name: z.string(),
  groups: z.array(z.string()),
  is_platform_admin: z.boolean(),
});

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
      summary: "Who is signed in",
      policy: { signedIn: true, why: "one's own name" },
      answers: { 200: me },
    },
    async (ask) => {
      const platform = await ask.deps.authorizer.rightsIn("*");
      return json(200, {
        name: ask.asker.name,
        groups: ask.asker.groups.map((group) => group.replace(/^group:/, "")),
        is_platform_admin: platform.can(ask.asker, "platform.write", "*"),
      });
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
