import type { Timetable } from "../model/dag-spec.ts";

/** What lists show of a schedule, as Airflow's timetable_summary does; null: none. */
export function summarizeTimetable(timetable: Timetable): string | null {
  switch (timetable.kind) {
    case "none":
      return null;
    case "once":
      return "@once";
    case "continuous":
      return "@continuous";
    case "cron_interval":
    case "cron_trigger":
      return timetable.expression;
    case "delta":
      return describeSeconds(timetable.seconds);
  }
}

/** Like Python's `str(timedelta)`: `1 day, 2:00:00`. */
function describeSeconds(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const rest = seconds - days * 86_400;
  const hours = Math.floor(rest / 3_600);
  const minutes = String(Math.floor((rest % 3_600) / 60)).padStart(2, "0");
  const clock = `${hours}:${minutes}:${String(Math.floor(rest % 60)).padStart(2, "0")}`;
  return days === 0 ? clock : `${days} day${days === 1 ? "" : "s"}, ${clock}`;
}
