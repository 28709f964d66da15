/** Which of what the database tells needs a person, and in what order. Pure: time comes in. */
import type { FailureRow, OpenTaskRow } from "../../store/attention.ts";
import { fingerprint } from "./fingerprint.ts";

export type FailureGroup = {
  readonly tenant: string;
  readonly fingerprint: string;
  /** The newest of them. */
  readonly newest: FailureRow;
  readonly count: number;
  readonly first_at: Date;
  /** The DAGs it hit, those that still fail first. */
  readonly dag_ids: readonly string[];
  /** How many of them have not gone well since. */
  readonly still_failing: number;
};

/** By cause: first those of which a DAG still fails, then the newest. `failures` come newest first. */
export function groupFailures(failures: readonly FailureRow[]): readonly FailureGroup[] {
  const groups = Map.groupBy(failures, (row) =>
    JSON.stringify([row.tenant, fingerprint(row.reason)]),
  );
  return [...groups.values()]
    .flatMap((rows): FailureGroup[] => {
      const [newest] = rows;
      const oldest = rows.at(-1);
      if (newest === undefined || oldest === undefined) return [];
      const dags = new Map(rows.map((row) => [row.dag_id, row.last_state !== "success"]));
      const ids = [...dags.keys()];
      return [
        {
          tenant: newest.tenant,
          fingerprint: fingerprint(newest.reason),
          newest,
          count: rows.length,
          first_at: oldest.at,
          dag_ids: [
            ...ids.filter((id) => dags.get(id) === true),
            ...ids.filter((id) => dags.get(id) === false),
          ],
          still_failing: ids.filter((id) => dags.get(id) === true).length,
        },
      ];
    })
    .toSorted(
      (a, b) =>
        Number(b.still_failing > 0) - Number(a.still_failing > 0) ||
        b.newest.at.getTime() - a.newest.at.getTime(),
    );
}

const enoughSamples = 3;
const longUnknownS = 6 * 3_600;
const longQueuedS = 300;
/** A task of a second that takes five is no trouble. */
const leastRunningS = 60;

/** Why it counts as stuck, or undefined: it does not. */
export function judgeOpenTask(
  task: Pick<OpenTaskRow, "state" | "since" | "samples" | "median_s" | "p95_s">,
  nowMs: number,
): "long" | "very_long" | "queued" | undefined {
  const seconds = (nowMs - task.since.getTime()) / 1_000;
  if (task.state === "queued") return seconds > longQueuedS ? "queued" : undefined;
  if (seconds <= leastRunningS) return undefined;
  const { samples, median_s, p95_s } = task;
  if (samples < enoughSamples || median_s === null || p95_s === null)
    return seconds > longUnknownS ? "very_long" : undefined;
  // Longer than nearly all before it as well: four medians alone are an ordinary day of a task that varies.
  const isFar = seconds > 2 * p95_s || (seconds > 4 * median_s && seconds > p95_s);
  return isFar ? "long" : undefined;
}
