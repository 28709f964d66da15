/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";
import { graphSearch } from "./graph-search.ts";

export const search = readSearch({
  ...graphSearch,
  tab: ["grid", "graph", "trends", "code", "details", "deploys"],
  // grid: what is docked, and what is shown
  run: "text",
  task: "text",
  by: ["duration", "wait"],
  n: "number",
  before: "text",
  q: "text",
  fold: "text",
  runType: ["scheduled", "manual", "backfill", "asset_triggered"],
  runState: ["queued", "running", "success", "failed"],
  // trends
  days: "number",
});
