/**
 * Airflow's five roles as data (FAB's defaults: `providers/fab/…/security_manager/override.py`), in our deeds.
 * They are rows of domain `*`, so every tenant has them and no tenant stores them.
 */
export const builtInRoles = ["public", "viewer", "user", "op", "admin"] as const;

/** sub, dom, obj, act, eft. Public may nothing, as in Airflow: its row only makes the role known. */
export const builtInPolicies: readonly (readonly [string, string, string, string, string])[] = [
  ["role:public", "*", "*", "none", "allow"],
  ["role:viewer", "*", "*", "b:viewer", "allow"],
  ["role:user", "*", "*", "b:user", "allow"],
  ["role:op", "*", "*", "b:op", "allow"],
  ["role:admin", "*", "*", "b:admin", "allow"],
];

/**
 * What each bundle adds to the one below. Pushing is an operator's deed: pushed code can use every
 * connection of the tenant, so it may not come cheaper than the right to write them.
 */
const bundles: Readonly<Record<string, readonly string[]>> = {
  "b:viewer": [
    "tenant.read",
    "repo.read",
    "dag.read",
    "code.read",
    "run.read",
    "log.read",
    "xcom.read",
    "pool.read",
  ],
  "b:user": [
    "b:viewer",
    "dag.pause",
    "dag.delete",
    "run.trigger",
    "run.clear",
    "run.delete",
    "task.mark",
  ],
  "b:op": [
    "b:user",
    "xcom.write",
    "conn.read",
    "conn.write",
    "var.read",
    "var.write",
    "pool.write",
    "repo.push",
  ],
  "b:admin": [
    "b:op",
    "audit.read",
    "grant.read",
    "grant.write",
    "repo.write",
    "tenant.write",
    "platform.read",
    "platform.write",
  ],
};

/** g2: a deed or bundle, and the bundle that contains it. */
export const actionBundles: readonly (readonly [string, string])[] = Object.entries(
  bundles,
).flatMap(([bundle, parts]) => parts.map((part) => [part, bundle] as const));
