import type { DagSpec } from "../../model/dag-spec.ts";
import type { Tx } from "../../store/open.ts";
import { getVersion, type VersionRow } from "../../store/read-dags.ts";

type Versioned = VersionRow & { readonly spec: DagSpec };

const kept = new Map<string, Versioned>();
const keptMax = 500;

/**
 * The spec a row is pinned to. A version never changes, so it is kept, by its id: a number comes again when a
 * DAG is deleted and pushed anew, the id does not.
 */
export async function specOf(
  tx: Tx,
  row: { readonly dag_id: string; readonly version: number; readonly version_id: string | null },
): Promise<DagSpec | undefined> {
  const key = row.version_id;
  if (key === null) return undefined;
  const before = kept.get(key);
  if (before) return before.spec;
  const found = await getVersion(tx, row.dag_id, row.version);
  if (found?.id === key) {
    if (kept.size >= keptMax) {
      const oldest = kept.keys().next().value;
      if (oldest !== undefined) kept.delete(oldest);
    }
    kept.set(key, found);
  }
  return found?.spec;
}

/** What people call a task: its own name, else its id. */
export const nameOf = (spec: DagSpec | undefined, taskId: string): string =>
  spec?.tasks.find((task) => task.task_id === taskId)?.display_name ?? taskId;
