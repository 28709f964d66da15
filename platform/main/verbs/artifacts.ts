import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { askServer } from "../ask-server.ts";
import { columns, printAnswer } from "../print-answer.ts";
import { failed } from "../problem.ts";
import type { Shared } from "../verb-options.ts";
import { instanceName, number, runPath, runRefOf, text } from "./find-run.ts";

export async function artifacts(
  name: string,
  options: Shared & { readonly get?: string },
): Promise<void> {
  const server = askServer(options);
  const run = await runRefOf(server, name);
  const all = await server.list(runPath(run, "artifacts"), "artifacts");
  const some = all.filter(
    (row) =>
      (run.task === undefined || row["task_id"] === run.task) &&
      (run.map_index === undefined || row["map_index"] === run.map_index),
  );
  if (options.get === undefined) {
    const rows = some.map((row) => ({ ...row, task: instanceName(row) }));
    return printAnswer(
      options.output === "table" ? rows : some,
      options.output,
      columns("task", "try_number", "name", "bytes", "content_type"),
    );
  }
  const named = some.filter((row) => row["name"] === options.get);
  const newest = named.toSorted((a, b) => number(b, "try_number") - number(a, "try_number"))[0];
  if (newest === undefined)
    throw failed(
      `there is no artifact ${JSON.stringify(options.get)}`,
      some.length === 0
        ? undefined
        : `there are: ${some.map((row) => text(row, "name")).join(", ")}`,
    );
  const tasks = new Set(named.map(instanceName));
  if (tasks.size > 1)
    throw failed(
      `several tasks left ${JSON.stringify(options.get)}`,
      `name the task: ${[...tasks].join(", ")}`,
    );
  const response = await server.open(
    runPath(
      run,
      "taskInstances",
      text(newest, "task_id"),
      "artifacts",
      number(newest, "try_number"),
      options.get,
    ),
    "*/*",
    { map_index: number(newest, "map_index") },
  );
  if (response.body !== null)
    await pipeline(Readable.fromWeb(response.body as never), process.stdout, { end: false });
}
