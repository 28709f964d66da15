import type { Counts } from "../model/run.ts";
import type { SemanticsLevel, TriggerRule } from "../model/states.ts";

export type Verdict = "wait" | "run" | "skipped" | "upstream_failed" | "removed";

/**
 * What a trigger rule says of an instance whose relevant direct upstreams stand as counted. State changes
 * come eagerly, without waiting for all upstreams, and failures go before skips, as in Airflow's
 * `trigger_rule_dep.py`. `mapIndex` is −1 for an instance that is not mapped.
 */
export function verdictOf(
  rule: TriggerRule,
  level: SemanticsLevel,
  counts: Counts,
  mapIndex: number,
): Verdict {
  if (rule === "always" || counts.total === 0) return "run";
  const n = counts.total;
  const s = counts.success;
  const f = counts.failed;
  const u = counts.upstream_failed;
  const k = counts.skipped;
  // Generation 1.10 has no removed upstreams to forgive.
  const r = level === "1.10" || mapIndex < 0 ? 0 : counts.removed;
  const d = doneOf(counts);
  const allDone = d >= n;
  const runIf = (met: boolean): Verdict => (met ? "run" : "wait");
  switch (rule) {
    case "all_success":
      if (u > 0 || f > 0) return "upstream_failed";
      if (k > 0) return "skipped";
      if (r > 0 && s > 0 && mapIndex >= s) return "removed";
      return runIf(n - s - r <= 0);
    case "all_failed":
      if (s > 0 || k > 0) return "skipped";
      return runIf(n - f - u - r <= 0);
    case "all_done":
      return runIf(allDone);
    case "one_success":
      if (level === "1.10" && allDone && s === 0) return "skipped";
      if (allDone && d === k) return "skipped";
      if (allDone && s === 0) return "upstream_failed";
      return runIf(s > 0);
    case "one_failed":
      if (allDone && f === 0 && u === 0) return "skipped";
      return runIf(f > 0 || u > 0);
    case "one_done":
      if (allDone && f === 0 && s === 0) return "skipped";
      return runIf(s + f > 0);
    case "none_failed":
      if (u > 0 || f > 0) return "upstream_failed";
      return runIf(n - s - k - r <= 0);
    case "none_failed_min_one_success":
      if (u > 0 || f > 0) return "upstream_failed";
      if (k === n) return "skipped";
      return runIf(n - s - k - r <= 0);
    case "none_skipped":
      if (k > 0) return "skipped";
      return runIf(allDone);
    case "all_skipped":
      if (s > 0 || f > 0 || u > 0) return "skipped";
      return runIf(n - k <= 0);
    case "all_done_min_one_success":
      if (k > 0) return "skipped";
      if (allDone && s === 0) return "upstream_failed";
      return runIf(allDone);
    case "all_done_setup_success":
      if (allDone && counts.setups > 0 && counts.setups_skipped >= counts.setups) return "skipped";
      if (allDone && counts.setups > 0 && counts.setups_success === 0) return "upstream_failed";
      return runIf(allDone);
  }
}

/**
 * Whether a verdict can differ between two counts: a state seen for the first time (or no longer), or the
 * last upstream done. Only then are instances looked at; a fan-in of a thousand costs two looks.
 * Removed upstreams make the number of successes itself matter.
 */
export function crossed(before: Counts, after: Counts): boolean {
  const turned = (key: keyof Counts): boolean => before[key] > 0 !== after[key] > 0;
  return (
    turned("success") ||
    turned("failed") ||
    turned("upstream_failed") ||
    turned("skipped") ||
    turned("removed") ||
    turned("setups_success") ||
    after.removed > 0 ||
    doneOf(before) >= before.total !== doneOf(after) >= after.total
  );
}

/** How many upstreams are in a finished state. */
export const doneOf = (counts: Counts): number =>
  counts.success + counts.failed + counts.upstream_failed + counts.skipped + counts.removed;

export const noCounts: Counts = {
  total: 0,
  success: 0,
  failed: 0,
  upstream_failed: 0,
  skipped: 0,
  removed: 0,
  setups: 0,
  setups_success: 0,
  setups_skipped: 0,
};
