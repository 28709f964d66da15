/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";

export const search = readSearch({
  repository: "text",
  state: ["syncing", "live", "failed"],
  /** The one that is looked at. */
  deploy: "text",
});
