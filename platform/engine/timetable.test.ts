import fc from "fast-check";
import { expect, test } from "vitest";
import type { Timetable } from "../model/dag-spec.ts";
import { isReservedRunId, runIdOf } from "./run-id.ts";
import { checkTimetable, type Interval, manualInterval, nextRun } from "./timetable.ts";

const ms = (iso: string): number => Date.parse(`${iso}Z`);
const iso = (at: number): string => new Date(at).toISOString().slice(0, 16);
const daily: Timetable = { kind: "cron_interval", expression: "@daily", timezone: "UTC" };
const dailyTrigger: Timetable = { ...daily, kind: "cron_trigger", interval_s: 0 };
const hour: Timetable = { kind: "delta", seconds: 3600 };

/** `logical run_after` of the next runs, each asked for with the one before as last. */
function runs(
  timetable: Timetable,
  how: { catchup: boolean; start?: string; end?: string; now: string },
  count = 3,
) {
  const found: string[] = [];
  let last: Interval | undefined;
  for (let i = 0; i < count; i++) {
    const run = nextRun({
      timetable,
      catchup: how.catchup,
      start_ms: how.start === undefined ? undefined : ms(how.start),
      end_ms: how.end === undefined ? undefined : ms(how.end),
      last,
      nowMs: ms(how.now),
    });
    if (!run) break;
    found.push(`${iso(run.logical_date_ms)} ${iso(run.run_after_ms)}`);
    last = { start_ms: run.interval_start_ms, end_ms: run.interval_end_ms };
  }
  return found;
}

test("data intervals with catchup begin at the first whole interval after start_date", () => {
  expect(
    runs(daily, { catchup: true, start: "2026-01-01T05:00", now: "2026-03-01T12:00" }),
  ).toEqual([
    "2026-01-02T00:00 2026-01-03T00:00",
    "2026-01-03T00:00 2026-01-04T00:00",
    "2026-01-04T00:00 2026-01-05T00:00",
  ]);
});

test("data intervals without catchup begin at the last complete interval", () => {
  const how = { catchup: false, start: "2026-01-01T00:00" };
  expect(runs(daily, { ...how, now: "2026-03-01T12:00" }, 2)).toEqual([
    "2026-02-28T00:00 2026-03-01T00:00",
    "2026-03-01T00:00 2026-03-02T00:00",
  ]);
  expect(runs(daily, { ...how, now: "2026-03-01T00:00" }, 1)).toEqual([
    "2026-02-28T00:00 2026-03-01T00:00",
  ]);
  expect(runs(daily, { ...how, start: "2027-01-01T00:00", now: "2026-03-01T00:00" }, 1)).toEqual([
    "2027-01-01T00:00 2027-01-02T00:00",
  ]);
});

test("a trigger's logical date is its fire", () => {
  expect(
    runs(dailyTrigger, { catchup: true, start: "2026-01-01T05:00", now: "2026-03-01T12:00" }, 2),
  ).toEqual(["2026-01-02T00:00 2026-01-02T00:00", "2026-01-03T00:00 2026-01-03T00:00"]);
  expect(
    runs(dailyTrigger, { catchup: false, start: "2026-01-01T05:00", now: "2026-03-01T12:00" }, 2),
  ).toEqual(["2026-03-01T00:00 2026-03-01T00:00", "2026-03-02T00:00 2026-03-02T00:00"]);
});

test("a trigger without start_date takes the fire that has just passed, else the next", () => {
  const at = (now: string) => runs(dailyTrigger, { catchup: false, now }, 1)[0]?.slice(0, 10);
  expect(at("2026-03-01T02:00")).toBe("2026-03-01");
  expect(at("2026-03-01T03:00")).toBe("2026-03-02");
});

test("a trigger may have a data interval", () => {
  const run = nextRun({
    timetable: { ...dailyTrigger, interval_s: 86_400 },
    catchup: false,
    start_ms: ms("2026-01-01T00:00"),
    nowMs: ms("2026-03-01T12:00"),
  });
  expect(iso(run?.interval_start_ms ?? 0)).toBe("2026-02-28T00:00");
  expect(iso(run?.interval_end_ms ?? 0)).toBe("2026-03-01T00:00");
});

test("a delta goes on from its start_date with catchup, from a round time without", () => {
  expect(
    runs(hour, { catchup: true, start: "2026-01-01T00:10", now: "2026-03-01T12:30" }, 2),
  ).toEqual(["2026-01-01T00:10 2026-01-01T01:10", "2026-01-01T01:10 2026-01-01T02:10"]);
  expect(
    runs(hour, { catchup: false, start: "2026-01-01T00:10", now: "2026-03-01T12:30" }, 1),
  ).toEqual(["2026-03-01T11:00 2026-03-01T12:00"]);
  expect(
    runs(
      { ...hour, interval_s: 0 },
      { catchup: true, start: "2026-01-01T00:10", now: "2026-03-01T12:30" },
      2,
    ),
  ).toEqual(["2026-01-01T00:10 2026-01-01T00:10", "2026-01-01T01:10 2026-01-01T01:10"]);
});

test("end_date bounds the logical date of intervals and the fire of triggers", () => {
  const how = {
    catchup: true,
    start: "2026-01-01T00:00",
    end: "2026-01-02T00:00",
    now: "2026-03-01T00:00",
  };
  expect(runs(daily, how, 9)).toHaveLength(2);
  expect(runs(dailyTrigger, how, 9)).toHaveLength(2);
});

test("once runs once, none never, continuous from where the last ended", () => {
  expect(
    runs(
      { kind: "once" },
      { catchup: true, start: "2026-01-01T00:00", now: "2026-03-01T00:00" },
      9,
    ),
  ).toHaveLength(1);
  expect(
    runs({ kind: "none" }, { catchup: true, start: "2026-01-01T00:00", now: "2026-03-01T00:00" }),
  ).toEqual([]);
  expect(
    runs(
      { kind: "continuous" },
      { catchup: false, start: "2026-01-01T00:00", now: "2026-03-01T00:00" },
      1,
    ),
  ).toEqual(["2026-01-01T00:00 2026-03-01T00:00"]);
  expect(runs({ kind: "continuous" }, { catchup: false, now: "2026-03-01T00:00" })).toEqual([]);
});

test("an expression whose years are over gives no run", () => {
  const past: Timetable = {
    kind: "cron_interval",
    expression: "0 0 1 1 * 0 2020",
    timezone: "UTC",
  };
  expect(runs(past, { catchup: true, start: "2026-01-01T00:00", now: "2026-03-01T00:00" })).toEqual(
    [],
  );
});

test("manual runs are about the last complete interval, or just their moment", () => {
  const at = ms("2026-03-01T12:00");
  const of = (timetable: Timetable) => {
    const { start_ms, end_ms } = manualInterval(timetable, at);
    return `${iso(start_ms)} ${iso(end_ms)}`;
  };
  expect(of(daily)).toBe("2026-02-28T00:00 2026-03-01T00:00");
  expect(of(dailyTrigger)).toBe("2026-03-01T12:00 2026-03-01T12:00");
  expect(of(hour)).toBe("2026-03-01T11:00 2026-03-01T12:00");
  expect(of({ kind: "none" })).toBe("2026-03-01T12:00 2026-03-01T12:00");
});

test("runs strictly follow each other through clock changes, and without catchup at most one is due", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(
        "0 0 * * *",
        "30 1 * * *",
        "30 2 * * *",
        "0 * * * *",
        "*/7 * * * *",
        "0 1 31 * *",
      ),
      fc.constantFrom("Europe/London", "America/New_York", "Australia/Lord_Howe", "UTC"),
      fc.constantFrom("cron_interval" as const, "cron_trigger" as const),
      fc.integer({ min: ms("2026-03-01T00:00") / 1000, max: ms("2026-11-30T00:00") / 1000 }),
      fc.boolean(),
      (expression, timezone, kind, nowSeconds, catchup) => {
        const timetable: Timetable =
          kind === "cron_trigger"
            ? { kind, expression, timezone, interval_s: 0 }
            : { kind, expression, timezone };
        const nowMs = nowSeconds * 1000;
        let last: Interval | undefined;
        let due = 0;
        for (let i = 0; i < 6; i++) {
          const start_ms = nowMs - 3 * 86_400_000;
          const run = nextRun({ timetable, catchup, start_ms, last, nowMs });
          if (!run) throw new Error("it goes on for ever");
          expect(run.interval_end_ms).toBeGreaterThanOrEqual(run.interval_start_ms);
          if (last) expect(run.run_after_ms).toBeGreaterThan(last.end_ms);
          if (run.run_after_ms <= nowMs) due++;
          last = { start_ms: run.interval_start_ms, end_ms: run.interval_end_ms };
        }
        if (!catchup) expect(due).toBeLessThanOrEqual(1);
      },
    ),
    { numRuns: 300 },
  );
});

test("run ids are Airflow's, per generation", () => {
  const of = {
    logical_date_ms: ms("2026-01-01T00:00"),
    run_after_ms: ms("2026-01-02T00:00"),
    suffix: "Ab1",
  };
  expect(runIdOf({ ...of, type: "scheduled", level: "2" })).toBe(
    "scheduled__2026-01-01T00:00:00+00:00",
  );
  expect(runIdOf({ ...of, type: "scheduled", level: "3" })).toBe(
    "scheduled__2026-01-02T00:00:00+00:00",
  );
  expect(runIdOf({ ...of, type: "asset_triggered", level: "2" })).toBe(
    "dataset_triggered__2026-01-01T00:00:00+00:00_Ab1",
  );
  expect(
    runIdOf({
      ...of,
      logical_date_ms: undefined,
      run_after_ms: ms("2026-01-02T00:00") + 5,
      type: "manual",
      level: "3",
    }),
  ).toBe("manual__2026-01-02T00:00:00.005000+00:00_Ab1");
  expect(isReservedRunId("scheduled__x")).toBe(true);
  expect(isReservedRunId("manual__x")).toBe(false);
});

test("a cron expression that is none is told; other schedules need no check", () => {
  expect(checkTimetable(daily)).toMatchObject({ ok: true });
  expect(checkTimetable({ kind: "once" })).toMatchObject({ ok: true });
  expect(checkTimetable({ ...daily, expression: "0 25 * * *" })).toMatchObject({ ok: false });
});
