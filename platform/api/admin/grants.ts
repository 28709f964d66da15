import { z } from "zod";
import type { Domain } from "../../../policies/authz/authorizer.ts";
import { deedsOfRole, roleNames } from "../../../policies/authz/describe-rules.ts";
import { readAssignment, readRule } from "../../../policies/authz/read-rule.ts";
import type { Answer } from "../../model/answer.ts";
import { listAudit } from "../../store/audit.ts";
import {
  addAssignment,
  addRule,
  listAssignments,
  listRules,
  removeAssignment,
  removeRule,
} from "../../store/grants.ts";
import type { Tx } from "../../store/open.ts";
import { countOtherAdmins } from "../../store/people.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { pageOf, paging, text } from "../fields.ts";
import { conflict, forbidden, invalid, notFound } from "../problem.ts";
import { json, nothing } from "../reply.ts";

const tag = "Rights";
const assignment = { subject: text(300), role: text(300) };
const rule = {
  subject: text(300),
  thing: text(300),
  deed: text(100),
  effect: z.enum(["allow", "deny"]).default("allow"),
};
const assignmentList = z.object({
  roles: z.array(z.object({ subject: z.string(), role: z.string() })),
  total_entries: z.int(),
});
const ruleList = z.object({
  grants: z.array(
    z.object({ subject: z.string(), thing: z.string(), deed: z.string(), effect: z.string() }),
  ),
  total_entries: z.int(),
});
const auditList = z.object({
  events: z.array(
    z.object({
      id: z.string(),
      at: z.string(),
      actor: z.string(),
      ip: z.string().nullable(),
      deed: z.string(),
      thing: z.string(),
      outcome: z.string(),
      detail: z.record(z.string(), z.unknown()),
    }),
  ),
  total_entries: z.int(),
});

export const grantEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: "/api/platform/roles",
      tag,
      summary: "The built-in roles and what each may do",
      policy: { signedIn: true, why: "the same for everybody" },
      answers: {
        200: z.object({
          roles: z.array(z.object({ name: z.string(), deeds: z.array(z.string()) })),
        }),
      },
    },
    async () => json(200, { roles: roleNames.map((name) => ({ name, deeds: deedsOfRole(name) })) }),
  ),
  ...rightsOf("/api/platform/tenants/{tenant}", "grant.read", "grant.write", "audit.read"),
  ...rightsOf("/api/platform", "platform.read", "platform.write", "platform.read"),
];

/** The same routes for a tenant and for the platform as a whole (whose roles count in every tenant). */
function rightsOf(
  base: string,
  read: "grant.read" | "platform.read",
  write: "grant.write" | "platform.write",
  audit: "audit.read" | "platform.read",
): readonly Endpoint[] {
  const where = base.includes("{tenant}") ? "a tenant" : "the platform";
  // `/api/platform/roles` is the catalogue; who has them on the platform is below `/admins`.
  const assignments = base.includes("{tenant}") ? `${base}/roles` : `${base}/admins`;
  return [
    endpoint(
      {
        method: "GET",
        path: assignments,
        tag,
        summary: `Who has which role in ${where}`,
        policy: { deed: read, on: "*" },
        answers: { 200: assignmentList },
      },
      async (ask) => {
        const roles = await ask.deps.store.system((tx) => listAssignments(tx, domainOf(ask)));
        return json(200, { roles, total_entries: roles.length });
      },
    ),
    endpoint(
      {
        method: "POST",
        path: assignments,
        tag,
        summary: `Give a role in ${where}`,
        policy: { deed: write, on: "*" },
        body: assignment,
        answers: { 201: z.object({ subject: z.string(), role: z.string() }) },
      },
      async (ask) => {
        const wanted = valueOf(readAssignment(ask.body));
        notBeyondToken(ask);
        await changed(ask, write, wanted.subject, { role: wanted.role }, (tx) =>
          addAssignment(tx, domainOf(ask), wanted),
        );
        return json(201, wanted);
      },
    ),
    endpoint(
      {
        method: "DELETE",
        path: assignments,
        tag,
        summary: `Take a role away in ${where}`,
        policy: { deed: write, on: "*" },
        query: assignment,
        answers: { 204: undefined },
      },
      async (ask) => {
        const wanted = valueOf(readAssignment(ask.query));
        const domain = domainOf(ask);
        await changed(
          ask,
          write,
          wanted.subject,
          { role: wanted.role, removed: true },
          async (tx) => {
            await notTheLastAdmin(tx, domain, wanted);
            if (!(await removeAssignment(tx, domain, wanted)))
              throw notFound("There is no such assignment");
          },
        );
        return nothing();
      },
    ),
    endpoint(
      {
        method: "GET",
        path: `${base}/grants`,
        tag,
        summary: `Rules of ${where}: who may (or may not) do what on which thing`,
        policy: { deed: read, on: "*" },
        answers: { 200: ruleList },
      },
      async (ask) => {
        const grants = await ask.deps.store.system((tx) => listRules(tx, domainOf(ask)));
        return json(200, { grants, total_entries: grants.length });
      },
    ),
    endpoint(
      {
        method: "POST",
        path: `${base}/grants`,
        tag,
        summary: `Add a rule to ${where}`,
        policy: { deed: write, on: "*" },
        body: rule,
        answers: {
          201: z.object({
            subject: z.string(),
            thing: z.string(),
            deed: z.string(),
            effect: z.string(),
          }),
        },
      },
      async (ask) => {
        const wanted = valueOf(readRule(ask.body));
        notBeyondToken(ask);
        await changed(ask, write, wanted.subject, { ...wanted }, (tx) =>
          addRule(tx, domainOf(ask), wanted),
        );
        return json(201, wanted);
      },
    ),
    endpoint(
      {
        method: "DELETE",
        path: `${base}/grants`,
        tag,
        summary: `Take a rule away from ${where}`,
        policy: { deed: write, on: "*" },
        query: rule,
        answers: { 204: undefined },
      },
      async (ask) => {
        const wanted = valueOf(readRule(ask.query));
        await changed(ask, write, wanted.subject, { ...wanted, removed: true }, async (tx) => {
          if (!(await removeRule(tx, domainOf(ask), wanted)))
            throw notFound("There is no such grant");
        });
        return nothing();
      },
    ),
    endpoint(
      {
        method: "GET",
        path: `${base}/audit`,
        tag,
        summary: `What people did in ${where}, newest first`,
        policy: { deed: audit, on: "*" },
        query: { limit: paging.limit, offset: paging.offset },
        answers: { 200: auditList },
      },
      async (ask) => {
        const found = await ask.deps.store.system((tx) =>
          listAudit(tx, { tenant: domainOf(ask), page: pageOf(ask.query) }),
        );
        return json(200, {
          events: found.rows.map((row) => ({
            id: row.id,
            at: row.at.toISOString(),
            actor: row.actor,
            ip: row.ip,
            deed: row.deed,
            thing: row.thing,
            outcome: row.outcome,
            detail: row.detail,
          })),
          total_entries: found.total,
        });
      },
    ),
  ];
}

const domainOf = (ask: Ask<unknown, unknown>): Domain =>
  ask.params["tenant"] === undefined ? "*" : ask.tenant;

/** The change and its audit row in one transaction; the next question anywhere sees it. */
async function changed(
  ask: Ask<unknown, unknown>,
  deed: string,
  subject: string,
  detail: Record<string, string | boolean>,
  work: (tx: Tx) => Promise<unknown>,
): Promise<void> {
  await ask.deps.store.system(async (tx) => {
    await work(tx);
    await ask.audit(tx, deed, subject, detail);
  });
  ask.deps.authorizer.forget(domainOf(ask));
}

/** A narrowed token may not give away more than it holds, and cannot say what that is: so it gives nothing. */
function notBeyondToken(ask: Ask<unknown, unknown>): void {
  if (ask.asker.scopes !== undefined) throw forbidden("A token with scopes cannot give rights");
}

async function notTheLastAdmin(
  tx: Tx,
  domain: Domain,
  { subject, role }: { subject: string; role: string },
): Promise<void> {
  if (domain !== "*" || role !== "role:admin" || !subject.startsWith("user:")) return;
  if ((await countOtherAdmins(tx, subject.slice("user:".length))) === 0)
    throw conflict("The last admin of the platform keeps the role");
}

function valueOf<T>(answer: Answer<T, { field: string; message: string }>): T {
  if (answer.ok) return answer.value;
  throw invalid(answer.problem.field, answer.problem.message);
}
