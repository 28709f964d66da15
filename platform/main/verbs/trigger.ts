import { setTimeout as pause } from "node:timers/promises";
import type { JsonObject } from "../../model/json.ts";
import { takenDateWords, takenIdWords } from "../../model/run.ts";
import { apiPath, askServer } from "../ask-server.ts";
import { orderTasks } from "../order-tasks.ts";
import { columns, printAnswer, tell, write } from "../print-answer.ts";
import { readConf, readTime } from "../read-option.ts";
import { durationText, showRun } from "../show-run.ts";
import type { Shared } from "../verb-options.ts";
import { Interrupted, untilInterrupted, watchRun } from "../watch-run.ts";
import { instanceName, instancesOf, type RunRef, refOf, runPath, text } from "./find-run.ts";

/** Answers whether the run succeeded, or, without --wait, that it was made. */
export async function trigger(
  name: string,
  options: Shared & {
    readonly conf?: string;
    readonly logicalDate?: string;
    readonly runId?: string;
    readonly wait?: true;
  },
): Promise<boolean> {
  const ref = refOf(name, "dag");
  const dag = ref.dag ?? ("" as never);
  const body = (): JsonObject => ({
    conf: options.conf === undefined ? {} : readConf(options.conf),
    // Now, as Airflow's page and command do: without a date a run has no `ds`, and most DAGs use one.
    logical_date: new Date(
      options.logicalDate === undefined ? Date.now() : readTime(options.logicalDate),
    ).toISOString(),
    ...(options.runId === undefined ? {} : { dag_run_id: options.runId }),
  });
  const server = askServer(options);
  // Somebody else's "now" may be the same millisecond: a moment later it is another one. What was asked for is not ours to move.
  const mayAsk = (error: unknown): boolean =>
    options.logicalDate === undefined &&
    error instanceof Error &&
    (error.message.endsWith(takenDateWords) ||
      (options.runId === undefined && error.message.endsWith(takenIdWords)));
  const send = async (triesLeft: number): Promise<unknown> => {
    try {
      return await server.send("POST", apiPath(ref.tenant, "dags", dag, "dagRuns"), body());
    } catch (error) {
      if (triesLeft === 0 || !mayAsk(error)) throw error;
      await pause(1 + Math.random() * 20);
      return send(triesLeft - 1);
    }
  };
  const made = (await send(5)) as JsonObject;
  const run: RunRef = { tenant: ref.tenant, dag, run: text(made, "dag_run_id") as RunRef["run"] };
  const full = `${run.tenant}/${run.dag}/${run.run}`;
  if (options.wait !== true) {
    if (options.output !== "table") await printAnswer(made, options.output, []);
    else {
      await write(`${full}\n`);
      tell(`follow it: airlock logs ${full} -f`);
    }
    return true;
  }
  const tasks = await server.list(apiPath(run.tenant, "dags", run.dag, "tasks"), "tasks");
  const screen = showRun({
    title: full,
    tasks: orderTasks(
      tasks.map((task) => ({
        task_id: text(task, "task_id"),
        downstream: (task["downstream_task_ids"] ?? []) as readonly string[],
      })),
    ),
    logsTo: process.stderr,
  });
  const begun = performance.now();
  const interrupted = untilInterrupted();
  let ended: Awaited<ReturnType<typeof watchRun>>;
  try {
    ended = await watchRun(server, run, screen, interrupted.signal);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    screen.close();
    tell(`the run goes on: airlock logs ${full} -f, airlock stop ${full}`);
    process.exitCode = 130;
    return false;
  } finally {
    interrupted.close();
  }
  screen.close();
  const ok = ended["state"] === "success";
  if (options.output !== "table") await printAnswer(ended, options.output, columns("state"));
  else
    await write(`${text(ended, "state")} ${full} in ${durationText(performance.now() - begun)}\n`);
  if (!ok) {
    for (const row of await instancesOf(server, run))
      if (row["state"] === "failed") {
        const task = `${full}/${instanceName(row)}`;
        const answer = await server.get(whyPath(run, row)).catch(() => undefined);
        tell(`${instanceName(row)}: ${text(answer, "why")}`);
        tell(`  airlock logs ${task}`);
      }
    tell(`mend it and go on from there: airlock clear ${full} --failed`);
  }
  return ok;
}

export const whyPath = (run: RunRef, row: { readonly [field: string]: unknown }): string =>
  Number(row["map_index"]) < 0
    ? runPath(run, "taskInstances", text(row, "task_id"), "why")
    : runPath(run, "taskInstances", text(row, "task_id"), Number(row["map_index"]), "why");
