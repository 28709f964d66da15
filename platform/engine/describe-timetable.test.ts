import { expect, test } from "vitest";
import type { Timetable } from "../model/dag-spec.ts";
import { describeTimetable } from "./describe-timetable.ts";

const cron = (expression: string, timezone = "UTC"): Timetable => ({
  kind: "cron_trigger",
  expression,
  timezone,
  interval_s: 0,
});

test.each<[Timetable, string]>([
  [{ kind: "none" }, "only when started"],
  [{ kind: "once" }, "once"],
  [{ kind: "continuous" }, "again and again"],
  [{ kind: "delta", seconds: 3_600 }, "every hour"],
  [{ kind: "delta", seconds: 5_400 }, "every 90 minutes"],
  [{ kind: "delta", seconds: 1_209_600 }, "every 2 weeks"],
  [{ kind: "delta", seconds: 0.5 }, "every 0.5 seconds"],
  [cron("* * * * *"), "every minute"],
  [cron("*/5 * * * *"), "every 5 minutes"],
  [cron("0 * * * *", "Asia/Tokyo"), "every hour"],
  [cron("5 * * * *"), "every hour at :05"],
  [cron("0 */6 * * *"), "every 6 hours"],
  [cron("@daily"), "every day at 00:00"],
  [cron("30 6 * * *", "Europe/Zurich"), "every day at 06:30 (Europe/Zurich)"],
  [cron("0 8,20 * * *"), "every day at 08:00, 20:00"],
  [cron("0 6 * * 1-5"), "Monday to Friday at 06:00"],
  [cron("0 6 * * MON,7"), "Mondays, Sundays at 06:00"],
  [cron("@monthly"), "on day 1 of each month at 00:00"],
  [cron("@quarterly"), "on day 1 of every 3rd month at 00:00"],
  [cron("@yearly"), "on 1 January at 00:00"],
  [cron("1-59/7 3 * * *"), "cron 1-59/7 3 * * *"],
  [cron("0 0 1 * 1", "Europe/Zurich"), "cron 0 0 1 * 1 (Europe/Zurich)"],
  [cron("0 6 * * XYZ"), "cron 0 6 * * XYZ"],
  [cron("0 0 1 13 *"), "cron 0 0 1 13 *"],
  [cron("*/0 * * * *"), "cron */0 * * * *"],
  [cron("0 0 0 0 0 0"), "cron 0 0 0 0 0 0"],
])("%j is %s", (timetable, words) => {
  expect(describeTimetable(timetable)).toBe(words);
});
