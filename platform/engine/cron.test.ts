import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { alignToNextMs, alignToPreviousMs, checkCron, nextFireMs, previousFireMs } from "./cron.ts";

/** Expression → zone → rows: a start in epoch seconds, then the seconds to each next fire. */
type Cases = Readonly<Record<string, Readonly<Record<string, readonly (readonly number[])[]>>>>;
const data = JSON.parse(
  readFileSync(join(import.meta.dirname, "cron-cases/cases.json"), "utf8"),
) as {
  readonly cases: Cases;
  readonly extra: Cases;
  readonly rejected: readonly string[];
};

const each = (cases: Cases) =>
  Object.entries(cases).flatMap(([expression, zones]) =>
    Object.entries(zones).flatMap(([zone, rows]) => rows.map((row) => ({ expression, zone, row }))),
  );

test.each([
  ["cases", 870, data.cases],
  ["extra", 60, data.extra],
] as const)("every fire is Airflow's: %s (%i)", (_name, count, cases) => {
  const all = each(cases);
  expect(all).toHaveLength(count);
  const misses = all.filter(({ expression, zone, row }) => {
    let at = (row[0] ?? 0) * 1000;
    return !row.slice(1).every((seconds) => {
      const next = nextFireMs(expression, zone, at);
      const hit = next === at + seconds * 1000;
      at += seconds * 1000;
      return hit;
    });
  });
  expect(misses).toEqual([]);
});

test("what the reference refuses is refused, with a reason", () => {
  for (const expression of data.rejected) expect(checkCron(expression, "UTC").ok).toBe(false);
});

test.each([
  ["0 25 * * *", "hour 25 is not in 0–23"],
  ["0 0 * *", "has 4 fields"],
  ["@dayly", "is not a preset"],
  ["0 0 * * foo", 'day of week "foo" is not a number'],
  ["*/0 * * * *", "steps by 0"],
  ["0 0 30 2 *", "never fires"],
  ["0 0 1-x * *", 'day of month "x"'],
  ["", "has 1 fields"],
  ["1,,2 * * * *", 'minute ""'],
])("%s is refused and says: %s", (expression, message) => {
  const checked = checkCron(expression, "UTC");
  expect(checked.ok ? "" : checked.problem).toContain(message);
});

test("an unknown zone is refused", () => {
  expect(checkCron("@daily", "Mars/Olympus")).toMatchObject({ ok: false });
});

test.each([
  ["0 0 * * * 30", "2026-01-15T00:00:00Z", "2026-01-15T00:00:30Z"],
  ["0 0 1 1 * 0 2030", "2026-01-15T00:00:00Z", "2030-01-01T00:00:00Z"],
  ["0 22-2 * * *", "2026-01-15T00:30:00Z", "2026-01-15T01:00:00Z"],
  ["0 0 ? * MON#1", "2026-01-15T00:00:00Z", "2026-02-02T00:00:00Z"],
  ["0 0 1 */5 *", "2026-02-15T00:00:00Z", "2026-06-01T00:00:00Z"],
])("%s after %s fires at %s", (expression, after, fires) => {
  const next = nextFireMs(expression, "UTC", Date.parse(after));
  expect(next === undefined ? undefined : new Date(next).toISOString()).toBe(
    new Date(fires).toISOString(),
  );
});

test("a range that covers every hour counts as every hour when clocks change", () => {
  const at = Date.parse("2026-11-01T04:30:00Z");
  const walk = (expression: string): number[] => {
    const fires: number[] = [];
    for (let ms = at; fires.length < 5; ) {
      ms = nextFireMs(expression, "America/New_York", ms) ?? 0;
      fires.push(ms);
    }
    return fires;
  };
  expect(walk("0 0-23 * * *")).toEqual(walk("0 * * * *"));
});

test("fires rise, and align agrees with next and previous", () => {
  const expressions = Object.keys(data.cases);
  const zones = Object.keys(data.cases["0 0 * * *"] ?? {});
  fc.assert(
    fc.property(
      fc.constantFrom(...expressions),
      fc.constantFrom(...zones),
      fc.integer({ min: 1_700_000_000, max: 1_900_000_000 }),
      (expression, zone, seconds) => {
        const at = seconds * 1000;
        const next = nextFireMs(expression, zone, at) ?? 0;
        const previous = previousFireMs(expression, zone, at) ?? 0;
        expect(next).toBeGreaterThan(at);
        expect(previous).toBeLessThan(at);
        expect(alignToNextMs(expression, zone, at) ?? 0).toBeGreaterThanOrEqual(at);
        expect(alignToPreviousMs(expression, zone, at) ?? 0).toBeLessThanOrEqual(at);
      },
    ),
    { numRuns: 500 },
  );
});

test("checking never throws, whatever a tenant writes", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 300 }),
        fc.constantFrom("__proto__", "constructor", "@toString", "@__proto__"),
        fc
          .array(
            fc.constantFrom(
              "*",
              "*/5",
              "0",
              "L",
              "L5",
              "1#2",
              "5L",
              "9-1",
              "mon-fri",
              "?",
              "1/2",
              "-",
              "59,60",
            ),
            {
              minLength: 4,
              maxLength: 8,
            },
          )
          .map((words) => words.join(" ")),
      ),
      (expression) => {
        const checked = checkCron(expression, "Europe/Berlin");
        if (checked.ok)
          expect(
            nextFireMs(expression, "Europe/Berlin", 1_780_000_000_000) ?? Infinity,
          ).toBeGreaterThan(1_780_000_000_000);
        else expect(checked.problem).not.toBe("");
      },
    ),
    { numRuns: 300 },
  );
});
