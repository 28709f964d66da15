import { isObject } from "../../model/json.ts";
import { apiPath, askServer } from "../ask-server.ts";
import { columns, printAnswer, tell } from "../print-answer.ts";
import type { Shared } from "../verb-options.ts";
import { runRefOf } from "./find-run.ts";

export async function clear(
  name: string,
  options: Shared & {
    readonly failed?: true;
    readonly upstream?: true;
    readonly downstream?: true;
    readonly sameVersion?: true;
    readonly dryRun?: true;
  },
): Promise<void> {
  const server = askServer(options);
  const run = await runRefOf(server, name);
  const answer = await server.send(
    "POST",
    apiPath(run.tenant, "dags", run.dag, "clearTaskInstances"),
    {
      dag_run_id: run.run,
      dry_run: options.dryRun === true,
      only_failed: options.failed === true,
      reset_dag_runs: true,
      include_upstream: options.upstream === true,
      include_downstream: options.downstream === true,
      run_on_latest_version: options.sameVersion !== true,
      ...(run.task === undefined
        ? {}
        : { task_ids: [run.map_index === undefined ? run.task : [run.task, run.map_index]] }),
    },
  );
  const rows =
    isObject(answer) && Array.isArray(answer["task_instances"]) ? answer["task_instances"] : [];
  await printAnswer(rows, options.output, columns("task_id", "map_index", "state", "try_number"));
  if (rows.length === 0) tell("nothing to clear");
  else
    tell(
      options.dryRun === true
        ? `${rows.length} would run again`
        : `${rows.length} cleared: they run again`,
    );
}
