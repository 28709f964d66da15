import type { RunColumns, RunStrip, StripRun } from "../../platform/model/run-strip.ts";
import { packRuns } from "../../platform/model/run-strip.ts";

/** Runs, newest first, as the store reads them. */
export function columnsOf(runs: readonly StripRun[]): RunColumns {
  const times = runs.flatMap(({ after, started, ended }) => [after, started, ended]);
  return {
    ids: runs.map(({ run_id }) => run_id).join(" "),
    // The first letters of the states are all different.
    states: runs.map(({ state }) => state.charAt(0)).join(""),
    timeAt: (place) => times[place] ?? Number.NaN,
  };
}

export const stripOf = (...runs: readonly StripRun[]): RunStrip => packRuns(columnsOf(runs));
