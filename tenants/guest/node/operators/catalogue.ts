/** What each ready-made task type does. TypeScript's `op(…)` and YAML's `type:` come to the same deeds. */
import type { AttemptStart } from "../../../../platform/model/guest.ts";
import type { Context } from "../../sdk/author-types.ts";
import type { Line } from "../line.ts";
import type { Imports } from "../load-author-file.ts";
import { runNode } from "./node.ts";
import { runBash, runPython } from "./process.ts";

export type OperatorTools = {
  readonly line: Line;
  /** Real path of the bundle. */
  readonly root: string;
  /** Relative to the bundle. */
  readonly dagFile: string;
  readonly imports: Imports;
};
export type Operation = OperatorTools & {
  readonly context: Context;
  readonly item: unknown;
  readonly start: AttemptStart;
};
/** Arguments are resolved and rendered; each deed reads them with its own checks. */
export type Operate = (args: unknown, operation: Operation) => Promise<unknown>;

// The database driver and the template engine are loaded by the tasks that need them, not by every spare.
export const operators: ReadonlyMap<string, Operate> = new Map<string, Operate>([
  ["bash", runBash],
  ["python", runPython],
  ["node", runNode],
  ["http", async (args, operation) => (await import("./http.ts")).requestHttp(args, operation)],
  [
    "http.sensor",
    async (args, operation) => (await import("./http.ts")).lookAtHttp(args, operation),
  ],
  ["sql", async (args, operation) => (await import("./sql.ts")).runSql(args, operation)],
  ["empty", async () => undefined],
]);
