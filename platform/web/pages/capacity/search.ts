/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";

export const search = readSearch({
  /** Of the usage: which day, or all of the last seven. */
  span: ["today", "week"],
  by: ["cpu", "memory", "time", "tries"],
});
