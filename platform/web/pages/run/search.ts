/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";
import { logSearchFields } from "../../log/log-address.ts";

export const search = readSearch({
  /** The instance whose log is beside, and which of its tries. */
  task: "text",
  map: "number",
  try: "number",
  ...logSearchFields,
  /** The Gantt: text and states to keep, the order, what is unfolded, the part of time (ms from the run's start). */
  q: "text",
  state: "text",
  sort: ["start", "topology"],
  open: "text",
  from: "number",
  to: "number",
});
