import { readTenantId } from "../../model/ids.ts";
import { getTenant } from "../../store/tenants.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { text } from "../fields.ts";
import type { SignIn } from "../identify.ts";
import { knowsTenant } from "../knows-tenant.ts";
import { HttpProblem } from "../problem.ts";
import { json } from "../reply.ts";
import { accessToken } from "./shapes.ts";

const daySeconds = 24 * 60 * 60;
const hourSeconds = 60 * 60;

/** Airflow's sign-in for programs: a token that is good for this tenant alone. */
export const tokenEndpoints = (signIn: SignIn): readonly Endpoint[] =>
  [
    { path: "/t/{tenant}/auth/token", seconds: daySeconds },
    { path: "/t/{tenant}/auth/token/cli", seconds: hourSeconds },
  ].map(({ path, seconds }) =>
    endpoint(
      {
        method: "POST",
        path,
        tag: "Login",
        summary: `A token for this tenant, good for ${seconds / hourSeconds} hours`,
        policy: { open: true, why: "it is how one signs in" },
        body: { username: text(1_000), password: text(4_096) },
        formToo: true,
        answers: { 201: accessToken },
      },
      async (ask) => json(201, { access_token: await issue(signIn, ask, seconds) }),
    ),
  );

async function issue(
  signIn: SignIn,
  ask: Ask<unknown, { username: string; password: string }>,
  seconds: number,
): Promise<string> {
  const { username, password } = ask.body;
  const answer = await signIn.byPassword(username, password, ask.ip);
  if (answer.kind === "too_soon") throw tooManyTries(answer.seconds);
  const tenant = readTenantId(ask.params["tenant"]);
  // The same words for a wrong password, an unknown name and a tenant that is not there or not theirs.
  if (answer.kind === "wrong" || !tenant.ok) throw wrong();
  // The name must be one of a tenant before rights are read: rights of every name asked for would be kept.
  const known = await ask.deps.store.system((tx) => getTenant(tx, tenant.value));
  if (!known) throw wrong();
  const rights = await ask.deps.authorizer.rightsIn(tenant.value);
  if (!knowsTenant(rights, answer.asker)) throw wrong();
  const { text: token } = await signIn.issueToken({
    kind: "access",
    person: answer.asker.name,
    tenant: tenant.value,
    scopes: null,
    name: "",
    seconds,
  });
  return token;
}

const wrong = (): HttpProblem => new HttpProblem(401, "Invalid credentials");
export const tooManyTries = (seconds: number): HttpProblem =>
  new HttpProblem(429, `Too many tries; wait ${seconds} s`, { "retry-after": String(seconds) });
