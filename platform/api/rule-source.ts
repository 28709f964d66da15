import type { RuleSource } from "../../policies/authz/authorizer.ts";
import { loadRules, policyVersion } from "../store/grants.ts";
import type { Store } from "../store/open.ts";

/** Rights from the database, for `openAuthorizer`. */
export const openRuleSource = (store: Store): RuleSource => ({
  versionOf: (domain) => store.system((tx) => policyVersion(tx, domain)),
  load: (domain) => store.system((tx) => loadRules(tx, domain)),
});
