/** The next hour on a line. Pure: the time comes in. */
import type { Now } from "../../../api/ui/now.ts";

const minuteMs = 60_000;
export const minutes = 60;

/** How many runs come in each minute from `fromMs` on. */
export function runsPerMinute(due: Now["due"], fromMs: number): readonly number[] {
  const counts = Array.from({ length: minutes }, () => 0);
  for (const { times } of due)
    for (const time of times) {
      const minute = Math.floor((Date.parse(time) - fromMs) / minuteMs);
      if (minute >= 0 && minute < minutes) counts[minute] = (counts[minute] ?? 0) + 1;
    }
  return counts;
}

export type DueRow = {
  readonly tenant: string;
  readonly dag_id: string;
  readonly display_name: string;
  /** The first that is still to come. */
  readonly next: string;
  /** How many more come within the hour. */
  readonly more: number;
};

/** The soonest first; what has passed since it was read is left out. */
export function rowsOf(due: Now["due"], fromMs: number): readonly DueRow[] {
  return due
    .flatMap(({ tenant, dag_id, display_name, times }) => {
      const coming = times.filter((time) => Date.parse(time) >= fromMs);
      const [next] = coming;
      return next === undefined
        ? []
        : [{ tenant, dag_id, display_name, next, more: coming.length - 1 }];
    })
    .toSorted((a, b) => Date.parse(a.next) - Date.parse(b.next));
}
