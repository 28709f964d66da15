import { known, type RunId } from "../model/ids.ts";
import type { RunType, SemanticsLevel } from "../model/states.ts";

/**
 * Airflow's run id: the type, two underscores, an ISO date. Generations before 3 take the logical date,
 * 3 the time after which the run may come, with `suffix` (random, from the caller) where there is no
 * logical date or the run comes from data.
 */
export function runIdOf(run: {
  readonly type: RunType;
  readonly level: SemanticsLevel;
  readonly logical_date_ms?: number | undefined;
  readonly run_after_ms: number;
  readonly suffix: string;
}): RunId {
  const { type, level, logical_date_ms, run_after_ms, suffix } = run;
  const isData = type === "asset_triggered";
  const prefix = isData && level !== "3" ? "dataset_triggered" : type;
  const date = isoOf(level === "3" ? run_after_ms : (logical_date_ms ?? run_after_ms));
  return known.run(
    `${prefix}__${date}${isData || logical_date_ms === undefined ? `_${suffix}` : ""}`,
  );
}

/** Ids that a person gives must not look like the scheduler's. */
export const isReservedRunId = (id: string): boolean =>
  /^(?:scheduled|backfill|asset_triggered|dataset_triggered)__/.test(id);

/** Python's `isoformat()` in UTC: six decimals, or none. */
export function isoOf(ms: number): string {
  const iso = new Date(ms).toISOString();
  return `${iso.slice(0, 19)}${ms % 1000 === 0 ? "" : `${iso.slice(19, 23)}000`}+00:00`;
}
