import { askServer } from "../ask-server.ts";
import { columns, printAnswer } from "../print-answer.ts";
import type { Shared } from "../verb-options.ts";
import { runPath, runRefOf } from "./find-run.ts";
import { markTask } from "./mark.ts";

/** A run: what runs is ended, the run fails. One task of it: it is ended and counts as failed. */
export async function stop(name: string, options: Shared): Promise<void> {
  const server = askServer(options);
  const run = await runRefOf(server, name);
  if (run.task !== undefined) return markTask(server, run, "failed", options.output);
  const row = await server.send("POST", runPath(run, "stop"), {});
  await printAnswer(row, options.output, columns("dag_id", "dag_run_id", "state"));
}
