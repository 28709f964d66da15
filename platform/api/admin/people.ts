import { z } from "zod";
import { hashPassword, passwordProblem } from "../../secrets/passwords.ts";
import {
  addPerson,
  changePerson,
  countOtherAdmins,
  getPerson,
  listPeople,
  type PersonRow,
  removePerson,
  setPassword,
} from "../../store/people.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { text } from "../fields.ts";
import { namePattern, type SignIn } from "../identify.ts";
import { isGiven } from "../is-given.ts";
import { conflict, forbidden, HttpProblem, invalid, notFound } from "../problem.ts";
import { json, nothing } from "../reply.ts";

const tag = "User";
const path = "/api/platform/users";
const one = `${path}/{username}`;
const policy = { deed: "platform.write", on: "*" } as const;
const person = z.object({
  name: z.string(),
  display_name: z.string(),
  email: z.string().nullable(),
  state: z.enum(["active", "disabled"]),
  groups: z.array(z.string()),
  created_at: z.string(),
  signed_in_at: z.string().nullable(),
});

export const peopleEndpoints = (signIn: SignIn): readonly Endpoint[] => [
  endpoint(
    {
      method: "GET",
      path,
      tag,
      summary: "Users of the platform",
      policy: { deed: "platform.read", on: "*" },
      answers: { 200: z.object({ users: z.array(person), total_entries: z.int() }) },
    },
    async (ask) => {
      const users = await ask.deps.store.system(listPeople);
      return json(200, { users: users.map(toPerson), total_entries: users.length });
    },
  ),
  endpoint(
    {
      method: "POST",
      path,
      tag,
      summary: "Make a user",
      policy,
      body: {
        name: text(250).regex(namePattern, {
          error: "name must be letters, digits and any of _.@+-",
        }),
        display_name: text(250).nullish(),
        email: text(320).nullish(),
        password: text(4_096).nullish(),
      },
      answers: { 201: person },
    },
    async (ask) => {
      const { name, display_name, email, password } = ask.body;
      const hash = !isGiven(password) ? null : await hashNew(password);
      const row = await ask.deps.store.system(async (tx) => {
        const made = await addPerson(tx, {
          name,
          display_name: display_name ?? undefined,
          email: email ?? null,
          password: hash,
        });
        if (!made) throw conflict(`There is a user ${name} already`);
        await ask.audit(tx, "platform.write", `user:${name}`, { made: true });
        return getPerson(tx, name);
      });
      return json(201, row && toPerson(row));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: one,
      tag,
      summary: "One user",
      policy: { deed: "platform.read", on: "*" },
      answers: { 200: person },
    },
    async (ask) => json(200, toPerson(await personOf(ask))),
  ),
  endpoint(
    {
      method: "PATCH",
      path: one,
      tag,
      summary: "Change or disable a user; disabling ends their sessions",
      policy,
      body: {
        display_name: text(250).nullish(),
        email: text(320).nullish(),
        state: z.enum(["active", "disabled"]).nullish(),
      },
      answers: { 200: person },
    },
    async (ask) => {
      const { name } = await personOf(ask);
      const { display_name, email, state } = ask.body;
      await ask.deps.store.system(async (tx) => {
        if (state === "disabled" && (await countOtherAdmins(tx, name)) === 0)
          throw conflict("The last admin of the platform cannot be disabled");
        await changePerson(tx, name, {
          display_name: display_name ?? undefined,
          email: email ?? undefined,
          state: state ?? undefined,
        });
        await ask.audit(tx, "platform.write", `user:${name}`, { state: state ?? null });
      });
      return json(200, toPerson(await personOf(ask)));
    },
  ),
  endpoint(
    {
      method: "DELETE",
      path: one,
      tag,
      summary: "Remove a user with all rights, sessions and tokens",
      policy,
      answers: { 204: undefined },
    },
    async (ask) => {
      const { name } = await personOf(ask);
      await ask.deps.store.system(async (tx) => {
        if ((await countOtherAdmins(tx, name)) === 0)
          throw conflict("The last admin of the platform cannot be removed");
        await removePerson(tx, name);
        await ask.audit(tx, "platform.write", `user:${name}`, { removed: true });
      });
      ask.deps.authorizer.forget("*");
      return nothing();
    },
  ),
  endpoint(
    {
      method: "PUT",
      path: `${one}/password`,
      tag,
      summary:
        "Set a password: one's own with the old one, or, as admin, anybody's. Ends the person's sessions",
      policy: {
        signedIn: true,
        why: "one's own password needs the old one, another's the admin's right",
      },
      body: { password: text(4_096), old_password: text(4_096).nullish() },
      answers: { 204: undefined },
    },
    async (ask) => {
      const name = ask.params["username"] ?? "";
      await mayChangePassword(signIn, ask, name, ask.body.old_password ?? undefined);
      const hash = await hashNew(ask.body.password);
      await ask.deps.store.system(async (tx) => {
        if (!(await setPassword(tx, name, hash))) throw notFound(`User ${name} was not found`);
        await ask.audit(tx, "platform.write", `user:${name}`, { password: "changed" });
      });
      return nothing();
    },
  ),
];

async function mayChangePassword(
  signIn: SignIn,
  ask: Ask<unknown, unknown>,
  name: string,
  oldPassword: string | undefined,
): Promise<void> {
  const isAdmin = ask.rights.can(ask.asker, "platform.write", "*");
  const isOwn = ask.asker.name === name;
  // A narrowed token must not become its owner: with the password, it could.
  if (ask.asker.scopes !== undefined || ask.asker.onlyTenant !== undefined) throw forbidden();
  if (!isOwn) {
    if (isAdmin) return;
    throw notFound();
  }
  if (oldPassword === undefined) throw invalid("old_password", "Field required");
  const answer = await signIn.byPassword(name, oldPassword, ask.ip);
  if (answer.kind === "too_soon")
    throw new HttpProblem(429, `Too many tries; wait ${answer.seconds} s`, {
      "retry-after": String(answer.seconds),
    });
  if (answer.kind === "wrong") throw forbidden("The old password is not right");
}

async function hashNew(password: string): Promise<string> {
  const problem = passwordProblem(password);
  if (problem !== undefined) throw invalid("password", problem);
  return hashPassword(password);
}

async function personOf(ask: Ask<unknown, unknown>): Promise<PersonRow> {
  const name = ask.params["username"] ?? "";
  const row = await ask.deps.store.system((tx) => getPerson(tx, name));
  if (!row) throw notFound(`User ${name} was not found`);
  return row;
}

const toPerson = (row: PersonRow): z.output<typeof person> => ({
  name: row.name,
  display_name: row.display_name,
  email: row.email,
  state: row.state,
  groups: [...row.groups],
  created_at: row.created_at.toISOString(),
  signed_in_at: row.signed_in_at?.toISOString() ?? null,
});
