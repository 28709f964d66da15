import { isObject } from "../../model/json.ts";
import { apiPath, type Server } from "../ask-server.ts";
import { tell } from "../print-answer.ts";
import { failed, wrongUse } from "../problem.ts";
import { type Depth, type Ref, readRef } from "../read-ref.ts";

export function refOf(text: string, least: Depth, most: Depth = least): Ref {
  const ref = readRef(text, least, most);
  if (ref.ok) return ref.value;
  throw wrongUse(ref.problem);
}

export type RunRef = Ref & Required<Pick<Ref, "dag" | "run">>;
export type Row = { readonly [field: string]: unknown };

/** A name without a run means the DAG's newest one; which that is gets said. */
export async function runRefOf(server: Server, text: string): Promise<RunRef> {
  const ref = refOf(text, "dag", "task");
  if (ref.dag === undefined) throw wrongUse(`${JSON.stringify(text)} names no DAG`);
  if (ref.run !== undefined) return { ...ref, dag: ref.dag, run: ref.run };
  const [newest] = await server.list(
    apiPath(ref.tenant, "dags", ref.dag, "dagRuns"),
    "dag_runs",
    { order_by: "-run_after" },
    1,
  );
  const run = newest?.["dag_run_id"];
  if (typeof run !== "string")
    throw failed(`${ref.tenant}/${ref.dag} has no run yet`, `start one: airlock trigger ${text}`);
  tell(`newest run: ${ref.tenant}/${ref.dag}/${run}`);
  return { ...ref, dag: ref.dag, run: run as RunRef["run"] };
}

export const runPath = (ref: RunRef, ...more: readonly (string | number)[]): string =>
  apiPath(ref.tenant, "dags", ref.dag, "dagRuns", ref.run, ...more);

/** The run's instances, or those of the task (and index) that the name has. */
export async function instancesOf(server: Server, ref: RunRef): Promise<readonly Row[]> {
  const all = await server.list(runPath(ref, "taskInstances"), "task_instances");
  const some = all.filter(
    (row) =>
      (ref.task === undefined || row["task_id"] === ref.task) &&
      (ref.map_index === undefined || row["map_index"] === ref.map_index),
  );
  if (some.length === 0 && ref.task !== undefined)
    throw failed(
      `the run has no task instance ${ref.task}${ref.map_index === undefined ? "" : `[${ref.map_index}]`}`,
      `it has: ${[...new Set(all.map((row) => text(row, "task_id")))].slice(0, 20).join(", ")}`,
    );
  return some;
}

export const text = (row: unknown, field: string): string => {
  const value = isObject(row) ? row[field] : undefined;
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
};
export const number = (row: unknown, field: string): number => {
  const value = isObject(row) ? row[field] : undefined;
  return typeof value === "number" ? value : -1;
};
export const instanceName = (row: unknown): string =>
  number(row, "map_index") < 0
    ? text(row, "task_id")
    : `${text(row, "task_id")}[${number(row, "map_index")}]`;
