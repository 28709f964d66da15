import { type Answer, good } from "../model/answer.ts";
import type { Timetable } from "../model/dag-spec.ts";
import { alignToNextMs, alignToPreviousMs, checkCron, nextFireMs, previousFireMs } from "./cron.ts";

/** When a run comes, and what it is about. Epoch milliseconds. */
export type PlannedRun = {
  readonly logical_date_ms: number;
  readonly interval_start_ms: number;
  readonly interval_end_ms: number;
  readonly run_after_ms: number;
};

export type Interval = { readonly start_ms: number; readonly end_ms: number };

export type NextRunQuestion = {
  readonly timetable: Timetable;
  readonly catchup: boolean;
  /** The earlier of the DAG's start_date and its tasks'. */
  readonly start_ms?: number | undefined;
  /** The DAG's end_date. */
  readonly end_ms?: number | undefined;
  /** Data interval of the last run that the timetable made. */
  readonly last?: Interval | undefined;
  readonly nowMs: number;
};

/**
 * The next run of a timetable, by Airflow's `next_dagrun_info`, or undefined if there is none (left). It
 * comes when `run_after_ms` is reached; asked again with its interval as `last` it gives a later one.
 */
export function nextRun(question: NextRunQuestion): PlannedRun | undefined {
  const { timetable } = question;
  switch (timetable.kind) {
    case "none":
      return undefined;
    case "once":
      return nextOnce(question);
    case "continuous":
      return nextContinuous(question);
    case "cron_interval":
      return nextInterval(question, cronSteps(timetable.expression, timetable.timezone));
    case "cron_trigger":
      return nextTrigger(
        question,
        cronSteps(timetable.expression, timetable.timezone),
        timetable.interval_s * 1000,
      );
    case "delta": {
      const steps = deltaSteps(timetable.seconds * 1000);
      return timetable.interval_s === undefined
        ? nextInterval(question, steps)
        : nextTrigger(question, steps, timetable.interval_s * 1000);
    }
  }
}

/** What `readDagSpec` cannot see: whether cron expression and zone mean something. The problem is a sentence. */
export function checkTimetable(timetable: Timetable): Answer<undefined, string> {
  return timetable.kind === "cron_interval" || timetable.kind === "cron_trigger"
    ? checkCron(timetable.expression, timetable.timezone)
    : good(undefined);
}

/** The data interval of a run that a person starts. */
export function manualInterval(timetable: Timetable, runAfterMs: number): Interval {
  switch (timetable.kind) {
    case "cron_interval": {
      const { expression, timezone } = timetable;
      const end = alignToPreviousMs(expression, timezone, runAfterMs);
      const start = end === undefined ? undefined : previousFireMs(expression, timezone, end);
      return { start_ms: start ?? runAfterMs, end_ms: end ?? runAfterMs };
    }
    case "cron_trigger":
      return { start_ms: runAfterMs - timetable.interval_s * 1000, end_ms: runAfterMs };
    case "delta":
      return {
        start_ms: runAfterMs - (timetable.interval_s ?? timetable.seconds) * 1000,
        end_ms: runAfterMs,
      };
    case "none":
    case "once":
    case "continuous":
      return { start_ms: runAfterMs, end_ms: runAfterMs };
  }
}

/** How one kind of schedule walks through time. */
type Steps = {
  readonly next: (ms: number) => number | undefined;
  readonly alignNext: (ms: number) => number | undefined;
  readonly alignPrevious: (ms: number) => number | undefined;
  /** Start of the last interval that is complete now. */
  readonly lastComplete: (nowMs: number) => number | undefined;
};

const cronSteps = (expression: string, zone: string): Steps => {
  const next = (ms: number): number | undefined => nextFireMs(expression, zone, ms);
  const previous = (ms: number): number | undefined => previousFireMs(expression, zone, ms);
  return {
    next,
    alignNext: (ms) => alignToNextMs(expression, zone, ms),
    alignPrevious: (ms) => alignToPreviousMs(expression, zone, ms),
    lastComplete: (nowMs) => {
      const start = previous(nowMs);
      if (start === undefined) return next(nowMs);
      return next(start) === nowMs ? start : (previous(start) ?? start);
    },
  };
};

/** A delta has no fixed points: it goes on from where it began. */
const deltaSteps = (deltaMs: number): Steps => ({
  next: (ms) => ms + deltaMs,
  alignNext: (ms) => ms,
  alignPrevious: (ms) => ms,
  lastComplete: (nowMs) => nowMs - (nowMs % deltaMs) - deltaMs,
});

/** The logical date is the start of the interval, and the run comes at its end. */
function nextInterval(question: NextRunQuestion, steps: Steps): PlannedRun | undefined {
  const { catchup, start_ms, end_ms, last, nowMs } = question;
  const aligned = start_ms === undefined ? undefined : steps.alignNext(start_ms);
  const earliest = catchup ? aligned : later(steps.lastComplete(nowMs), aligned);
  const goesOn = last ? steps.alignPrevious(last.end_ms) : undefined;
  const start = last ? later(goesOn, earliest) : earliest;
  if (start === undefined || (end_ms !== undefined && start > end_ms)) return undefined;
  const end = steps.next(start);
  if (end === undefined) return undefined;
  return {
    logical_date_ms: start,
    interval_start_ms: start,
    interval_end_ms: end,
    run_after_ms: end,
  };
}

/** The logical date is the fire (less the interval, if there is one), and the run comes at the fire. */
function nextTrigger(
  question: NextRunQuestion,
  steps: Steps,
  intervalMs: number,
): PlannedRun | undefined {
  const { catchup, start_ms, end_ms, last, nowMs } = question;
  const goesOn = last ? steps.next(last.end_ms) : undefined;
  // The last possible fire was before the last run's successor: a year that is over, for example.
  if (last && goesOn === undefined) return undefined;
  const aligned = start_ms === undefined ? undefined : steps.alignNext(start_ms);
  const first = last || start_ms !== undefined ? undefined : firstFire(steps, nowMs);
  const fire = catchup
    ? (goesOn ?? first ?? aligned)
    : later(steps.alignPrevious(nowMs), goesOn, first, aligned);
  if (fire === undefined || (end_ms !== undefined && fire > end_ms)) return undefined;
  return {
    logical_date_ms: fire - intervalMs,
    interval_start_ms: fire - intervalMs,
    interval_end_ms: fire,
    run_after_ms: fire,
  };
}

/** Without a start_date: the fire that has just passed (within a tenth of the gap, at least 5 minutes), else the next. */
function firstFire(steps: Steps, nowMs: number): number | undefined {
  const previous = steps.alignPrevious(nowMs);
  const next = steps.alignNext(nowMs);
  if (previous === undefined || next === undefined) return next ?? previous;
  return nowMs - previous <= Math.max((next - previous) / 10, 5 * 60_000) ? previous : next;
}

/** Runs once, at its start_date or now, whatever catchup says. */
function nextOnce({ start_ms, end_ms, last, nowMs }: NextRunQuestion): PlannedRun | undefined {
  const at = start_ms ?? nowMs;
  if (last || (end_ms !== undefined && at > end_ms)) return undefined;
  return { logical_date_ms: at, interval_start_ms: at, interval_end_ms: at, run_after_ms: at };
}

/** One run after another; without a start_date none. The caller waits for the last one to end (max_active_runs is 1). */
function nextContinuous({
  start_ms,
  end_ms,
  last,
  nowMs,
}: NextRunQuestion): PlannedRun | undefined {
  if (start_ms === undefined) return undefined;
  const start = last ? last.end_ms : start_ms;
  // A clock that went back must not make an interval that ends before it begins.
  const end = Math.max(start, nowMs);
  if (end_ms !== undefined && end > end_ms) return undefined;
  return {
    logical_date_ms: start,
    interval_start_ms: start,
    interval_end_ms: end,
    run_after_ms: end,
  };
}

const later = (...times: readonly (number | undefined)[]): number | undefined => {
  const there = times.filter((ms) => ms !== undefined);
  return there.length === 0 ? undefined : Math.max(...there);
};
