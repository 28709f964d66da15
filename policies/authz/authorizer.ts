import { type Enforcer, newEnforcer, newModelFromString } from "casbin";
import type { Actor, Deed, Thing } from "../../platform/model/access.ts";
import type { TenantId } from "../../platform/model/ids.ts";
import { actionBundles, builtInPolicies } from "../rules/built-in.ts";
import { modelText } from "../rules/model.ts";
import { allows, compileGrants, type GrantSet, nothingGranted, thingMatches } from "./grants.ts";
import { type SeenIds, seenIds } from "./seen-by.ts";

/** `*` is the platform: the domain of `platform.*` deeds and of platform admins. */
export type Domain = TenantId | "*";

/** Somebody who asks, with what their token narrows. Undefined scopes: no narrowing. A scope is a deed or a bundle (`b:viewer`). */
export type Asker = Actor & { readonly scopes?: readonly string[] };

/** A rule as stored: who may (or may not) do what on which thing. `deed` is a deed, a bundle or `*`. */
export type Rule = {
  readonly subject: string;
  readonly thing: string;
  readonly deed: string;
  readonly effect: "allow" | "deny";
};
/** A subject has a role, or is in a group. */
export type Assignment = { readonly subject: string; readonly role: string };

/** The rules of a tenant and those of domain `*`, read together, with a version that rises with every change of either. */
export type RuleSet = {
  readonly version: string;
  readonly tenant: { readonly rules: readonly Rule[]; readonly assignments: readonly Assignment[] };
  readonly platform: {
    readonly rules: readonly Rule[];
    readonly assignments: readonly Assignment[];
  };
};

export type RuleSource = {
  /** A cheap read: it is asked every `trustMs` while a tenant is in use. */
  versionOf(domain: Domain): Promise<string>;
  load(domain: Domain): Promise<RuleSet>;
};

/** What one tenant's rules answer, at one version. */
export type TenantRights = {
  /** May `asker` do `deed` on `thing`? Things: `dag:<id>`, `conn:<id>`, …, `*` for the tenant as a whole. */
  can(asker: Asker, deed: Deed, thing: Thing): boolean;
  /** The same as a condition over the ids of one kind, for lists. */
  seen(asker: Asker, deed: Deed, kind: string): SeenIds;
  /** Is there anything at all on which `asker` may do `deed`? */
  canAnywhere(asker: Asker, deed: Deed): boolean;
};

export type Authorizer = {
  /** The caller must know that the tenant exists: every name asked for costs a cache place. */
  rightsIn(domain: Domain): Promise<TenantRights>;
  can(asker: Asker, deed: Deed, domain: Domain, thing: Thing): Promise<boolean>;
  /** The next question reads this domain's rules again (`*`: of all). For NOTIFY, and after an own change. */
  forget(domain: Domain): void;
};

export type AuthorizerSettings = {
  /** How long a version read is believed: the bound within which a revocation counts on every node. */
  readonly trustMs?: number;
  readonly tenantsMax?: number;
  readonly nowMs?: () => number;
};

type Entry = { version: string; readonly rights: TenantRights; checkedMs: number };

/** Least recently used tenants leave; a compiled set lives as long as its version, so a revocation can never be outlived by a cache. */
export function openAuthorizer(source: RuleSource, settings: AuthorizerSettings = {}): Authorizer {
  const { trustMs = 500, tenantsMax = 1_000, nowMs = () => performance.now() } = settings;
  const entries = new Map<Domain, Entry>();
  const loading = new Map<Domain, Promise<TenantRights>>();

  const rightsIn = async (domain: Domain): Promise<TenantRights> => {
    const entry = entries.get(domain);
    if (entry && nowMs() - entry.checkedMs < trustMs) {
      entries.delete(domain);
      entries.set(domain, entry);
      return entry.rights;
    }
    const running = loading.get(domain);
    if (running) return running;
    const load = refresh(domain, entry).finally(() => {
      if (loading.get(domain) === load) loading.delete(domain);
    });
    loading.set(domain, load);
    return load;
  };

  return {
    rightsIn,
    can: async (asker, deed, domain, thing) => (await rightsIn(domain)).can(asker, deed, thing),
    forget: (domain) => {
      // Whoever asks from now on must not be handed a load that began before the change.
      if (domain === "*") {
        entries.clear();
        loading.clear();
      } else {
        entries.delete(domain);
        loading.delete(domain);
      }
    },
  };

  async function refresh(domain: Domain, entry: Entry | undefined): Promise<TenantRights> {
    // Taken before the read: what is read afterwards is at least as new as this moment.
    const checkedMs = nowMs();
    if (entry && (await source.versionOf(domain)) === entry.version) {
      entry.checkedMs = checkedMs;
      return entry.rights;
    }
    const set = await source.load(domain);
    const rights = await compileRights(domain, set);
    entries.set(domain, { version: set.version, rights, checkedMs });
    if (entries.size > tenantsMax) {
      const oldest = entries.keys().next().value;
      if (oldest !== undefined) entries.delete(oldest);
    }
    return rights;
  }
}

/** One enforcer per domain, never changed after it was built: a reload swaps the whole. */
export async function compileRights(domain: Domain, set: RuleSet): Promise<TenantRights> {
  const enforcer = await openEnforcer(domain, set);
  const compiled = new Map<string, GrantSet>();
  const compiledMax = 10_000;

  const grantsOf = (asker: Asker, deed: Deed): GrantSet => {
    if (asker.onlyTenant !== undefined && asker.onlyTenant !== domain) return nothingGranted;
    // A tenant's own admin must not become the platform's through the same role name.
    if (deed.startsWith("platform.") !== (domain === "*") && deed.startsWith("platform."))
      return nothingGranted;
    if (asker.scopes && !inScopes(enforcer, asker.scopes, deed)) return nothingGranted;
    const subjects = [asker.subject, ...asker.groups];
    const key = JSON.stringify([deed, ...subjects]);
    const known = compiled.get(key);
    if (known) return known;
    const grants = compileGrants(enforcer, subjects, domain, deed);
    if (compiled.size >= compiledMax) compiled.clear();
    compiled.set(key, grants);
    return grants;
  };

  return {
    can: (asker, deed, thing) => allows(grantsOf(asker, deed), thing),
    seen: (asker, deed, kind) => seenIds(grantsOf(asker, deed), kind),
    canAnywhere: (asker, deed) => {
      const { allow } = grantsOf(asker, deed);
      const head = thingsOf(deed);
      if (head === "*") return allow.exact.has("*") || allow.prefixes.includes("");
      return (
        allow.prefixes.some((prefix) => prefix.startsWith(head) || head.startsWith(prefix)) ||
        [...allow.exact].some((thing) => thing.startsWith(head))
      );
    },
  };
}

/** On which things a deed is done: a bundle granted on `dag:x` holds `pool.read` too, and opens no pool by it. */
function thingsOf(deed: Deed): string {
  const kind = deed.slice(0, deed.indexOf("."));
  switch (kind) {
    case "dag":
    case "run":
    case "task":
    case "log":
    case "xcom":
    case "code":
      return "dag:";
    case "conn":
    case "var":
    case "pool":
    case "repo":
      return `${kind}:`;
    default:
      return "*";
  }
}

/** Exported for the tests that hold the compiled answers to casbin's own. */
export async function openEnforcer(domain: Domain, set: RuleSet): Promise<Enforcer> {
  const enforcer = await newEnforcer(newModelFromString(modelText));
  await enforcer.addFunction("objMatch", thingMatches);
  const policies = unique([
    ...builtInPolicies.map((row) => [...row]),
    ...set.platform.rules.map((rule) => policyRow(rule, "*")),
    ...(domain === "*" ? [] : set.tenant.rules.map((rule) => policyRow(rule, domain))),
  ]);
  const links = unique([
    ...set.platform.assignments.map(({ subject, role }) => [subject, role, "*"]),
    ...(domain === "*"
      ? []
      : set.tenant.assignments.map(({ subject, role }) => [subject, role, domain])),
  ]);
  await enforcer.addPolicies(policies);
  await enforcer.addNamedGroupingPolicies(
    "g2",
    actionBundles.map((row) => [...row]),
  );
  if (links.length > 0) await enforcer.addGroupingPolicies(links);
  return enforcer;
}

const policyRow = ({ subject, thing, deed, effect }: Rule, domain: string): string[] => [
  subject,
  domain,
  thing,
  deed,
  effect,
];

/** casbin refuses a whole batch if one row of it is there twice. */
const unique = (rows: readonly string[][]): string[][] => [
  ...new Map(rows.map((row) => [JSON.stringify(row), row])).values(),
];

function inScopes(enforcer: Enforcer, scopes: readonly string[], deed: Deed): boolean {
  const bundles = enforcer.getNamedRoleManager("g2") as unknown as {
    syncedHasLink(a: string, b: string): boolean;
  };
  return scopes.some((scope) => scope === "*" || bundles.syncedHasLink(deed, scope));
}
