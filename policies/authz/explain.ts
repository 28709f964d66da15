/** Why somebody may or may not do something: the rules that say so, and the roles and groups by which they reach them. */
import { actionBundles, builtInPolicies } from "../rules/built-in.ts";
import type { Assignment, Domain, Rule, RuleSet } from "./authorizer.ts";
import { thingMatches } from "./grants.ts";

export type Reason = {
  readonly effect: "allow" | "deny";
  /** Who or what the rule names. */
  readonly subject: string;
  readonly thing: string;
  readonly deed: string;
  /** Where the rule stands; built-in ones are what a role means. */
  readonly from: "built-in" | "tenant" | "platform";
  /** From the one who is asked about to the rule's subject, both included. */
  readonly via: readonly string[];
};

/** Every rule that counts, a deny first: it beats every allow. */
export function explain(
  set: RuleSet,
  domain: Domain,
  question: { readonly subject: string; readonly deed: string; readonly thing: string },
): readonly Reason[] {
  const rules: readonly (Rule & Pick<Reason, "from">)[] = [
    ...builtInPolicies.map(([subject, , thing, deed, effect]) => ({
      subject,
      thing,
      deed,
      effect: effect as Rule["effect"],
      from: "built-in" as const,
    })),
    ...set.platform.rules.map((rule) => ({ ...rule, from: "platform" as const })),
    ...(domain === "*"
      ? []
      : set.tenant.rules.map((rule) => ({ ...rule, from: "tenant" as const }))),
  ];
  const deeds = withBundles(question.deed);
  // A way leads through the tenant's assignments or through the platform's, never through both.
  const ways = [
    waysFrom(question.subject, set.platform.assignments),
    ...(domain === "*" ? [] : [waysFrom(question.subject, set.tenant.assignments)]),
  ];
  return rules
    .filter(({ thing, deed }) => deeds.has(deed) && thingMatches(question.thing, thing))
    .flatMap((rule) => {
      const via = ways.map((way) => way.get(rule.subject)).find((way) => way !== undefined);
      return via === undefined ? [] : [{ ...rule, via }];
    })
    .toSorted((a, b) => Number(a.effect === "allow") - Number(b.effect === "allow"));
}

function withBundles(deed: string): ReadonlySet<string> {
  const found = new Set([deed, "*"]);
  for (const name of found)
    for (const [part, bundle] of actionBundles) if (part === name) found.add(bundle);
  return found;
}

/** The shortest way from a subject to each role and group that it has. */
function waysFrom(
  subject: string,
  assignments: readonly Assignment[],
): ReadonlyMap<string, readonly string[]> {
  const ways = new Map<string, readonly string[]>([[subject, [subject]]]);
  for (const [at, way] of ways)
    for (const { subject: from, role } of assignments)
      if (from === at && !ways.has(role)) ways.set(role, [...way, role]);
  return ways;
}
