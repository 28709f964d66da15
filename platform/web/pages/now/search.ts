/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";

export const search = readSearch({
  /** Failures whose DAGs have gone well since are unfolded. */
  past: "flag",
});
