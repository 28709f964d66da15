/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";
import { graphSearch } from "./graph-search.ts";

export const search = readSearch({
  tab: ["grid", "graph", "trends", "code", "details", "deploys"],
  ...graphSearch,
});
