/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";

export const search = readSearch({
  /** Absent: the tenant as a whole. */
  dag: "text",
  who: "text",
  deed: "text",
});
