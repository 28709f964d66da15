/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";

/** Facets hold several values, one a comma: no id of ours holds one. */
export const search = readSearch({
  q: "text",
  state: "text",
  run_type: "text",
  dag_id: "text",
  tag: "text",
  user: "text",
  commit: "text",
  since: ["1h", "24h", "7d", "30d"],
});
