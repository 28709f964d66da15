import type { Timetable } from "../../../platform/model/dag-spec.ts";
import { cronProblem, presetCron, timezoneIsKnown } from "./check-cron.ts";
import { durationRule, durationSeconds } from "./duration.ts";

export type LooseSchedule =
  | string
  | {
      readonly kind: "cron";
      readonly expression: string;
      readonly tz?: string | undefined;
      readonly intervals?: boolean | undefined;
    }
  | { readonly kind: "every"; readonly every: string };

/** The timetable of a schedule, or a sentence about what is wrong with it. */
export function timetableOf(
  schedule: LooseSchedule | undefined,
  timezone: string,
): Timetable | { readonly kind: "wrong"; readonly message: string } {
  if (schedule === undefined) return { kind: "none" };
  if (typeof schedule === "string") {
    if (schedule === "@once") return { kind: "once" };
    if (schedule === "@continuous") return { kind: "continuous" };
    return timetableOf({ kind: "cron", expression: schedule }, timezone);
  }
  if (schedule.kind === "every") {
    const seconds = durationSeconds(schedule.every);
    if (seconds === undefined) return { kind: "wrong", message: durationRule };
    if (seconds < 1) return { kind: "wrong", message: "a schedule's pause is at least 1s" };
    return { kind: "delta", seconds };
  }
  const zone = schedule.tz ?? timezone;
  if (!timezoneIsKnown(zone))
    return {
      kind: "wrong",
      message: `"${zone}" is no time zone, write for example "Europe/Zurich"`,
    };
  const problem = cronProblem(schedule.expression);
  if (problem !== undefined) return { kind: "wrong", message: problem };
  const preset = Object.hasOwn(presetCron, schedule.expression)
    ? presetCron[schedule.expression]
    : undefined;
  const expression = preset ?? schedule.expression.trim();
  return schedule.intervals === true
    ? { kind: "cron_interval", expression, timezone: zone }
    : { kind: "cron_trigger", expression, timezone: zone, interval_s: 0 };
}

/** ISO 8601 with offset. A bare date or time is meant in the DAG's zone, which only the house can resolve: UTC is written. */
export function instant(text: string): string | undefined {
  if (
    !/^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/.test(
      text,
    )
  )
    return undefined;
  const zoned = /(?:Z|[+-]\d{2}:?\d{2})$/.test(text.slice(10));
  const full = text.length === 10 ? `${text}T00:00:00Z` : zoned ? text : `${text}Z`;
  const date = new Date(full.replace(" ", "T"));
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
