/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";

export const search = readSearch({
  tab: ["connections", "variables", "pools"],
  q: "text",
  /** The name of the one that is open. */
  open: "text",
  make: "flag",
});
