/** The canary: a tenant of the platform's own, whose DAGs go the way of everybody's, so that its end says whether the way is open. */
import type { SampleTenant } from "./seed.ts";

export const canaryTenant = "airlock-canary";
export const canaryDags = { mustSucceed: "must_succeed", mustFail: "must_fail" } as const;

export const canary: SampleTenant = {
  tenant: canaryTenant,
  display_name: "Canary: runs so that alerts can tell that nothing does",
  repository: "canary",
  folder: "canary",
  connections: [],
  variables: [],
  egress: [],
};
