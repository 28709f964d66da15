/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";
import { sortKeys } from "./sort-keys.ts";

export const search = readSearch({
  /** The box. */
  q: "text",
  sort: sortKeys,
  /** The other way round. */
  down: "flag",
  /** The DAG whose form for a new run is open. */
  trigger: "text",
});
