import { nextRun, type PlannedRun } from "../engine/timetable.ts";
import type { DagSpec } from "../model/dag-spec.ts";

/** The runs that the schedule makes from now on, as the scheduler would plan them for a DAG that is new today. */
export function listNextRuns(spec: DagSpec, nowMs: number, count: number): readonly PlannedRun[] {
  const starts = [spec.start_date, ...spec.tasks.map((task) => task.start_date)]
    .flatMap((date) => (date === undefined ? [] : [Date.parse(date)]))
    .toSorted((a, b) => a - b);
  const runs: PlannedRun[] = [];
  let last: PlannedRun | undefined;
  while (runs.length < count) {
    const next = nextRun({
      timetable: spec.timetable,
      catchup: false,
      start_ms: starts[0],
      end_ms: spec.end_date === undefined ? undefined : Date.parse(spec.end_date),
      last: last && { start_ms: last.interval_start_ms, end_ms: last.interval_end_ms },
      // Later ones are planned when the one before has come.
      nowMs: Math.max(nowMs, last?.run_after_ms ?? 0),
    });
    if (next === undefined) break;
    if (last !== undefined && next.run_after_ms <= last.run_after_ms) break;
    if (next.run_after_ms >= nowMs) runs.push(next);
    last = next;
  }
  return runs;
}
