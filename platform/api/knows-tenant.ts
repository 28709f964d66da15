import type { Asker, TenantRights } from "../../policies/authz/authorizer.ts";
import type { Deed } from "../model/access.ts";

/** Has the asker anything to do in this tenant? Whoever has not is told what a stranger to the name is told. */
export const knowsTenant = (rights: TenantRights, asker: Asker): boolean =>
  anyDeed.some((deed) => rights.canAnywhere(asker, deed));

/** One of these is in everything that a rule can give. */
const anyDeed: readonly Deed[] = [
  "tenant.read",
  "dag.read",
  "run.read",
  "repo.read",
  "repo.push",
  "conn.read",
  "var.read",
  "pool.read",
  "run.trigger",
  "log.read",
  "grant.read",
  "audit.read",
];
