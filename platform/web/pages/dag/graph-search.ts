/** What the graph and the code tab keep in the address. */
export const graphSearch = {
  /** Absent: that of the chosen run, else the live one. */
  version: "number",
  /** The version that is compared to. */
  against: "number",
  /** Absent: the newest one; "-": none. */
  run: "text",
  /** The task that is looked at. */
  task: "text",
  /** See `readFolded`. */
  folded: "text",
  /** Only so many steps around the task. */
  steps: "number",
  /** Absent: left to right; on a phone top to bottom. */
  dir: ["tb", "lr"],
  view: ["list"],
  critical: "flag",
  /** Of the code. */
  line: "number",
  layout: ["unified"],
} as const;
