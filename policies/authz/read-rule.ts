/**
 * The only way from a stranger's rule to a stored one. Everything casbin could misread (a comma, a line
 * break, a `*` in the middle, a role that is nobody's) ends here, so that stored text is always literal.
 */
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import { actionBundles, builtInRoles } from "../rules/built-in.ts";
import type { Assignment, Rule } from "./authorizer.ts";

export type RuleProblem = { readonly field: string; readonly message: string };

const subjectPattern = /^(?:user|group|svc|role):[A-Za-z0-9_.:@+-]{1,250}$/;
const thingPattern = /^(?:dag|conn|var|pool|repo):(?:[A-Za-z0-9_.:@+-]{1,250}\*?|\*)$/;
const deeds: ReadonlySet<string> = new Set(actionBundles.map(([part]) => part));
const bundles: ReadonlySet<string> = new Set(actionBundles.map(([, bundle]) => bundle));

/** All deeds and bundles that a rule or a token's scope may name. */
export const isDeedOrBundle = (raw: string): boolean => deeds.has(raw) || bundles.has(raw);

export function readRule(raw: { readonly [key: string]: unknown }): Answer<Rule, RuleProblem> {
  const subject = readSubject(raw["subject"]);
  if (!subject.ok) return subject;
  const { thing, deed, effect = "allow" } = raw;
  if (typeof thing !== "string" || !(thing === "*" || thingPattern.test(thing)))
    return bad({
      field: "thing",
      message:
        "thing must be *, or dag:, conn:, var:, pool: or repo: with an id, a prefix and *, or *",
    });
  if (typeof deed !== "string" || !(deed === "*" || isDeedOrBundle(deed)))
    return bad({
      field: "deed",
      message: "deed must be *, a deed such as run.trigger, or a bundle such as b:viewer",
    });
  if (effect !== "allow" && effect !== "deny")
    return bad({ field: "effect", message: "effect must be allow or deny" });
  return good({ subject: subject.value, thing, deed, effect });
}

export function readAssignment(raw: {
  readonly [key: string]: unknown;
}): Answer<Assignment, RuleProblem> {
  const subject = readSubject(raw["subject"]);
  if (!subject.ok) return subject;
  const { role } = raw;
  if (typeof role !== "string" || !/^(?:group:)?[A-Za-z0-9_.-]{1,100}$/.test(role))
    return bad({
      field: "role",
      message: `role must be ${builtInRoles.join(", ")}, the name of a custom role, or group: and a name`,
    });
  return good({
    subject: subject.value,
    role: role.startsWith("group:") ? role : `role:${role}`,
  });
}

function readSubject(raw: unknown): Answer<string, RuleProblem> {
  if (typeof raw === "string" && (raw === "anonymous" || subjectPattern.test(raw)))
    return good(raw);
  return bad({
    field: "subject",
    message: "subject must be anonymous, or user:, group:, svc: or role: with a name",
  });
}
