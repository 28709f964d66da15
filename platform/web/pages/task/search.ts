/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";
import { logSearchFields } from "../../log/log-address.ts";

export const search = readSearch({
  /** Index of a mapped instance. */
  map: "number",
  try: "number",
  tab: ["log", "xcom", "rendered", "artifacts", "tries", "mapped", "details"],
  ...logSearchFields,
  /** What is opened: an XCom ("in task map key" or "out key"), an artifact ("try name"). */
  item: "text",
  /** The mapped instances: text and states to keep. */
  q: "text",
  state: "text",
});
