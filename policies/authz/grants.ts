/**
 * Rules compiled to one answer per (subject, tenant, deed): two sets and two prefix lists. The rules are
 * walked once through casbin's own role managers, so casbin stays the one source of truth; a fuzz test
 * holds the answers to enforceSync.
 */
import type { Enforcer } from "casbin";

export type Side = { readonly exact: ReadonlySet<string>; readonly prefixes: readonly string[] };
export type GrantSet = { readonly allow: Side; readonly deny: Side };

export const nothingGranted: GrantSet = {
  allow: { exact: new Set(), prefixes: [] },
  deny: { exact: new Set(), prefixes: [] },
};

/** Exact, or a trailing `*`. Ids never contain `*`, so no id can pass for a pattern. */
export const thingMatches = (thing: string, pattern: string): boolean =>
  thing === pattern || (pattern.endsWith("*") && thing.startsWith(pattern.slice(0, -1)));

export const allows = (grants: GrantSet, thing: string): boolean =>
  hits(grants.allow, thing) && !hits(grants.deny, thing);

type LinkKeeper = { syncedHasLink(a: string, b: string, ...domain: string[]): boolean };

/** `subjects`: the asker and the groups it is in; a rule counts if it reaches any of them. */
export function compileGrants(
  enforcer: Enforcer,
  subjects: readonly string[],
  domain: string,
  deed: string,
): GrantSet {
  const roles = enforcer.getRoleManager() as unknown as LinkKeeper;
  const bundles = enforcer.getNamedRoleManager("g2") as unknown as LinkKeeper;
  const allow = { exact: new Set<string>(), prefixes: new Set<string>() };
  const deny = { exact: new Set<string>(), prefixes: new Set<string>() };
  const rules = enforcer.getModel().model.get("p")?.get("p")?.policy ?? [];
  for (const [sub = "", dom = "", obj = "", act = "", effect = ""] of rules) {
    if (dom !== domain && dom !== "*") continue;
    if (act !== "*" && !bundles.syncedHasLink(deed, act)) continue;
    const reaches = (subject: string): boolean =>
      roles.syncedHasLink(subject, sub, domain) || roles.syncedHasLink(subject, sub, "*");
    if (!subjects.some(reaches)) continue;
    const side = effect === "deny" ? deny : effect === "allow" ? allow : undefined;
    if (!side) continue;
    if (obj.endsWith("*")) side.prefixes.add(obj.slice(0, -1));
    else side.exact.add(obj);
  }
  const settled = (side: typeof allow): Side => ({
    exact: side.exact,
    prefixes: [...side.prefixes],
  });
  return { allow: settled(allow), deny: settled(deny) };
}

const hits = (side: Side, thing: string): boolean =>
  side.exact.has(thing) || side.prefixes.some((prefix) => thing.startsWith(prefix));
