import { isObject } from "../../model/json.ts";
import { askServer, type Server } from "../ask-server.ts";
import { columns, type Format, printAnswer } from "../print-answer.ts";
import { wrongUse } from "../problem.ts";
import { refText } from "../read-ref.ts";
import type { Shared } from "../verb-options.ts";
import { type RunRef, refOf, runPath } from "./find-run.ts";

export async function mark(name: string, state: string, options: Shared): Promise<void> {
  const ref = refOf(name, "run", "task");
  const allowed =
    ref.task === undefined ? ["success", "failed", "queued"] : ["success", "failed", "skipped"];
  if (!allowed.includes(state))
    throw wrongUse(
      `${JSON.stringify(state)} is no state to mark a ${ref.task === undefined ? "run" : "task"} with`,
      `it may be ${allowed.join(", ")}`,
    );
  const server = askServer(options);
  if (ref.dag === undefined || ref.run === undefined)
    throw wrongUse(`${refText(ref)} names no run`);
  const run: RunRef = { ...ref, dag: ref.dag, run: ref.run };
  if (run.task !== undefined) return markTask(server, run, state, options.output);
  const row = await server.send("PATCH", runPath(run), { state });
  await printAnswer(row, options.output, columns("dag_id", "dag_run_id", "state"));
}

export async function markTask(
  server: Server,
  run: RunRef,
  state: string,
  output: Format,
): Promise<void> {
  const path =
    run.map_index === undefined
      ? runPath(run, "taskInstances", run.task ?? "")
      : runPath(run, "taskInstances", run.task ?? "", run.map_index);
  const answer = await server.send("PATCH", path, { new_state: state });
  const rows = isObject(answer) ? answer["task_instances"] : [];
  await printAnswer(rows, output, columns("task_id", "map_index", "state", "try_number"));
}
