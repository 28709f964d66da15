/** Who asks, for what, on which thing: the words of `can(actor, deed, thing)`. */
import type { TenantId } from "./ids.ts";

export type Actor = {
  /** casbin subject: `user:<name>`, `svc:<token id>`, `anonymous`. */
  readonly subject: string;
  readonly name: string;
  /** casbin subjects of the groups the person is in: `group:<name>`. */
  readonly groups: readonly string[];
  /** A token may be bound to one tenant and to a subset of its owner's rights. */
  readonly onlyTenant?: TenantId;
};

/** `dag:<id>`, `conn:<id>`, `var:<key>`, `pool:<name>`, `repo:<name>`, or `*` for a thing of the tenant as a whole. */
export type Thing = string;

export const deeds = [
  "dag.read",
  "dag.pause",
  "dag.delete",
  "run.read",
  "run.trigger",
  "run.clear",
  "run.delete",
  "task.mark",
  "log.read",
  "xcom.read",
  "xcom.write",
  "code.read",
  "conn.read",
  "conn.write",
  "var.read",
  "var.write",
  "pool.read",
  "pool.write",
  "repo.read",
  "repo.write",
  "repo.push",
  "audit.read",
  "grant.read",
  "grant.write",
  "tenant.read",
  "tenant.write",
  "platform.read",
  "platform.write",
] as const;
export type Deed = (typeof deeds)[number];
