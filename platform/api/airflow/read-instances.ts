import type { z } from "zod";
import { listTaskInstances, type TaskInstanceRow } from "../../store/read-runs.ts";
import type { InstanceRef } from "../deps.ts";
import type { Ask } from "../endpoint.ts";
import type * as shapes from "./shapes.ts";
import { nameOf, specOf } from "./specs.ts";
import { toTaskInstance } from "./to-airflow.ts";

const repliedMax = 5_000;

/** Instances of one DAG that a clear or a mark answered, as rows; at most 5,000 of them are shown. */
export async function readInstances(
  ask: Ask<unknown, unknown>,
  dagId: string,
  refs: readonly InstanceRef[],
): Promise<readonly z.output<typeof shapes.taskInstance>[]> {
  if (refs.length === 0) return [];
  const wanted = new Set(refs.slice(0, repliedMax).map(keyOf));
  const runIds = [...new Set(refs.map(({ run_id }) => run_id))];
  const taskIds = [...new Set(refs.map(({ task_id }) => task_id))];
  const rows = await ask.tx((tx) =>
    listTaskInstances(tx, {
      seen: {
        allow: { kind: "some", ids: [dagId], ranges: [] },
        deny: { kind: "some", ids: [], ranges: [] },
      },
      dagId,
      runIds,
      taskIds,
      order: [],
      page: { limit: 50_000, offset: 0 },
    }),
  );
  return showInstances(
    ask,
    rows.rows.filter((row) => wanted.has(keyOf(row))),
  );
}

/** Rows with the names that their versions give the tasks. */
export async function showInstances(
  ask: Ask<unknown, unknown>,
  rows: readonly TaskInstanceRow[],
): Promise<readonly z.output<typeof shapes.taskInstance>[]> {
  return ask.tx(async (tx) => {
    const shown: z.output<typeof shapes.taskInstance>[] = [];
    for (const row of rows)
      shown.push(toTaskInstance(row, nameOf(await specOf(tx, row), row.task_id)));
    return shown;
  });
}

const keyOf = ({ run_id, task_id, map_index }: InstanceRef): string =>
  JSON.stringify([run_id, task_id, map_index]);
