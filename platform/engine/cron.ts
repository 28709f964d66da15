import { Cron } from "croner";
import { Temporal } from "temporal-polyfill";
import { type Answer, bad, good } from "../model/answer.ts";

/**
 * The next fire strictly after `afterMs` by Airflow's rule, or undefined if there is none: croniter on the
 * naive local time, the zone put back with the second of two equal local times, a time in a gap moved
 * forward; but where every hour fires, the real time that passes is added, so that both folded hours run.
 */
export const nextFireMs = (expression: string, zone: string, afterMs: number): number | undefined =>
  fireMs(expression, zone, afterMs, (cron, wall) => cron.nextRun(wall) ?? undefined);

/** The last fire strictly before `beforeMs`, by the same rule. */
export const previousFireMs = (
  expression: string,
  zone: string,
  beforeMs: number,
): number | undefined =>
  fireMs(expression, zone, beforeMs, (cron, wall) => cron.previousRuns(1, wall)[0]);

/** `atMs` itself if it is a fire, else the next one. */
export function alignToNextMs(expression: string, zone: string, atMs: number): number | undefined {
  const next = nextFireMs(expression, zone, atMs);
  if (next === undefined) return undefined;
  return previousFireMs(expression, zone, next) === atMs ? atMs : next;
}

/** `atMs` itself if it is a fire, else the one before. */
export function alignToPreviousMs(
  expression: string,
  zone: string,
  atMs: number,
): number | undefined {
  const previous = previousFireMs(expression, zone, atMs);
  if (previous === undefined)
    return nextFireMs(expression, zone, atMs - 1) === atMs ? atMs : undefined;
  return nextFireMs(expression, zone, previous) === atMs ? atMs : previous;
}

/** Whether this is a cron expression that fires at all; the problem is a sentence with the way out. */
export function checkCron(expression: string, zone: string): Answer<undefined, string> {
  const compiled = cronOf(expression);
  if (!compiled.ok) return compiled;
  if (!isZone(zone))
    return bad(`"${zone}" is not a time zone; write an IANA name like Europe/Berlin`);
  if (nextFireMs(expression, zone, Date.UTC(2026, 0, 1)) === undefined)
    return bad(`"${expression}" never fires: no year has that date`);
  return good(undefined);
}

function isZone(zone: string): boolean {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
    return true;
  } catch {
    return false;
  }
}

type Compiled = { readonly cron: Cron; readonly everyHour: boolean };

function fireMs(
  expression: string,
  zone: string,
  fromMs: number,
  search: (cron: Cron, wall: Date) => Date | undefined,
): number | undefined {
  const compiled = cronOf(expression);
  if (!compiled.ok) throw new Error(`not a cron expression: ${compiled.problem}`);
  const local = Temporal.Instant.fromEpochMilliseconds(fromMs).toZonedDateTimeISO(zone);
  // The cron runs on the wall clock, read as if it were UTC.
  const wallMs = local.toPlainDateTime().toZonedDateTime("UTC").epochMilliseconds;
  const foundMs = search(compiled.value.cron, new Date(wallMs))?.getTime();
  if (foundMs === undefined) return undefined;
  if (compiled.value.everyHour) return fromMs + (foundMs - wallMs);
  return Temporal.Instant.fromEpochMilliseconds(foundMs)
    .toZonedDateTimeISO("UTC")
    .toPlainDateTime()
    .toZonedDateTime(zone, { disambiguation: "later" }).epochMilliseconds;
}

/** Compiling costs more than a fire. Bounded, because expressions come from tenants. */
const known = new Map<string, Answer<Compiled, string>>();
const knownMax = 10_000;

function cronOf(expression: string): Answer<Compiled, string> {
  const before = known.get(expression);
  if (before) return before;
  const compiled = compile(expression);
  if (known.size >= knownMax) known.clear();
  known.set(expression, compiled);
  return compiled;
}

/** A map: `__proto__` is a name that a tenant may write as well. */
const presets: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
  }),
);

type Field = {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names?: string;
};
const minute: Field = { name: "minute", min: 0, max: 59 };
const hour: Field = { name: "hour", min: 0, max: 23 };
const day: Field = { name: "day of month", min: 1, max: 31 };
const month: Field = {
  name: "month",
  min: 1,
  max: 12,
  names: "jan feb mar apr may jun jul aug sep oct nov dec",
};
const weekday: Field = {
  name: "day of week",
  min: 0,
  max: 7,
  names: "sun mon tue wed thu fri sat",
};
const second: Field = { name: "second", min: 0, max: 59 };
const year: Field = { name: "year", min: 1970, max: 2099 };
/** croniter's order: seconds come after the five, the year last. */
const fields = [minute, hour, day, month, weekday, second, year];

function compile(expression: string): Answer<Compiled, string> {
  const text = expression.trim();
  if (text.startsWith("@") && !presets.has(text.toLowerCase()))
    return bad(`"${text}" is not a preset; there are ${[...presets.keys()].join(", ")}`);
  if (text.length > 250) return bad("a cron expression has at most 250 characters");
  const words = (presets.get(text.toLowerCase()) ?? text).split(/\s+/);
  if (words.length < 5 || words.length > 7)
    return bad(
      `"${text}" has ${words.length} fields; write five: minute hour day-of-month month day-of-week`,
    );
  const parts: string[] = [];
  for (const [i, field] of fields.slice(0, words.length).entries()) {
    const part = readField(words[i] ?? "", field);
    if (!part.ok) return bad(`"${text}": ${part.problem}`);
    parts.push(part.value);
  }
  const [minutes, hours, days, months, weekdays, seconds = "0", years] = parts;
  const pattern = [seconds, minutes, hours, days, months, weekdays, ...(years ? [years] : [])];
  try {
    const cron = new Cron(pattern.join(" "), { timezone: "UTC", paused: true });
    return good({ cron, everyHour: hours === "*" });
  } catch (cause) {
    return bad(`"${text}": ${cause instanceof Error ? cause.message : "not understood"}`);
  }
}

/** One field as `*`, a list of numbers, or what only croner can expand (last day, nth weekday). */
function readField(word: string, field: Field): Answer<string, string> {
  const values = new Set<number>();
  const special: string[] = [];
  let isStar = false;
  for (const part of word.toLowerCase().split(",")) {
    if (field === day && part === "l") {
      special.push("L");
      continue;
    }
    const nth = field === weekday ? /^(\w+)#([1-5])$/.exec(part) : null;
    const last = field === weekday ? /^l([0-7])$/.exec(part) : null;
    if (nth || last) {
      const which = numberOf((nth ?? last)?.[1] ?? "", field);
      if (!which.ok) return which;
      special.push(nth ? `${which.value % 7}#${nth[2]}` : `${which.value % 7}L`);
      continue;
    }
    const match = /^(\*|\?|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part);
    if (!match) return bad(`${field.name} "${part}" is not a number, a-b, */n or a list of these`);
    const [, from = "", to, by] = match;
    const step = by === undefined ? 1 : Number(by);
    if (step === 0) return bad(`${field.name} "${part}" steps by 0; a step is at least 1`);
    const wild = from === "*" || from === "?";
    if (wild && to !== undefined) return bad(`${field.name} "${part}" is not a range of numbers`);
    if (wild && step === 1) isStar = true;
    const low = wild ? good(field.min) : numberOf(from, field);
    const high = to === undefined ? undefined : numberOf(to, field);
    if (!low.ok) return low;
    if (high && !high.ok) return high;
    const max = field === weekday && wild ? 6 : field.max;
    const end = high ? high.value : wild || by !== undefined ? max : low.value;
    addRange(values, low.value, end, step, field);
  }
  if (isStar) return good("*");
  // Every hour, however it is written, is what Airflow's rule for clock changes asks about.
  if (field !== day && field !== weekday && values.size === field.max - field.min + 1)
    return good("*");
  const numbers = [...values].toSorted((a, b) => a - b).map(String);
  return good([...numbers, ...special].join(","));
}

/** croniter lets a range run over the end: fri-sun, 22-2. */
function addRange(
  values: Set<number>,
  low: number,
  high: number,
  step: number,
  field: Field,
): void {
  const add = (value: number): void => {
    values.add(field === weekday ? value % 7 : value);
  };
  const size = field === weekday ? 7 : field.max - field.min + 1;
  const end = high < low ? high + size : high;
  for (let value = low; value <= end; value += step) add(value > field.max ? value - size : value);
}

function numberOf(text: string, field: Field): Answer<number, string> {
  const named = field.names?.split(" ").indexOf(text) ?? -1;
  if (named >= 0) return good(named + field.min);
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value))
    return bad(
      `${field.name} "${text}" is not a number${field.names ? ` or one of ${field.names}` : ""}`,
    );
  if (value < field.min || value > field.max)
    return bad(`${field.name} ${value} is not in ${field.min}–${field.max}`);
  return good(value);
}
