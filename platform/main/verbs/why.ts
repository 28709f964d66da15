import { askServer } from "../ask-server.ts";
import { columns, printAnswer } from "../print-answer.ts";
import type { Shared } from "../verb-options.ts";
import { instanceName, instancesOf, runPath, runRefOf, text } from "./find-run.ts";
import { whyPath } from "./trigger.ts";

/** A sentence per instance; of a whole run only those that are not done. */
export async function why(name: string, options: Shared): Promise<void> {
  const server = askServer(options);
  const run = await runRefOf(server, name);
  const all = await instancesOf(server, run);
  const open = all.filter(({ state }) => state !== "success" && state !== "removed");
  const rows = run.task === undefined ? open : all;
  const answers = [];
  for (const row of rows.slice(0, 50)) {
    const answer = await server.get(whyPath(run, row));
    answers.push({
      task: instanceName(row),
      state: row["state"] ?? null,
      why: text(answer, "why"),
    });
  }
  if (answers.length === 0 && run.task === undefined) {
    const row = await server.get(runPath(run));
    answers.push({
      task: "(the run)",
      state: text(row, "state"),
      why: all.length === 0 ? "The run has not started yet." : "Every task is done.",
    });
  }
  await printAnswer(answers, options.output, columns("task", "state", "why"));
}
