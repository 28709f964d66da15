import type { Timetable } from "../model/dag-spec.ts";

/** A schedule in words, for people who do not read cron: "every day at 06:00 (Europe/Zurich)". */
export function describeTimetable(timetable: Timetable): string {
  switch (timetable.kind) {
    case "none":
      return "only when started";
    case "once":
      return "once";
    case "continuous":
      return "again and again";
    case "delta":
      return `every ${lengthOf(timetable.seconds)}`;
    case "cron_interval":
    case "cron_trigger": {
      const words = describeCron(timetable.expression);
      const tellsHours = /\d\d:\d\d/.test(words) || words.startsWith("cron");
      return timetable.timezone === "UTC" || !tellsHours
        ? words
        : `${words} (${timetable.timezone})`;
    }
  }
}

const presets: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@quarterly": "0 0 1 */3 *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

/** The shapes that most schedules have; any other one is shown as it is written. */
function describeCron(expression: string): string {
  const fields = (presets[expression] ?? expression).trim().split(/\s+/);
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = fields;
  const asWritten = `cron ${expression}`;
  if (fields.length !== 5) return asWritten;
  const everyDay = day === "*" && month === "*" && weekday === "*";
  if (everyDay && minute === "*" && hour === "*") return "every minute";
  const minutes = stepOf(minute);
  if (everyDay && hour === "*" && minutes !== undefined) return every(minutes, "minute");
  if (!isNumber(minute)) return asWritten;
  if (everyDay && hour === "*")
    return minute === "0" ? "every hour" : `every hour at :${pad(minute)}`;
  const hours = stepOf(hour);
  if (everyDay && hours !== undefined)
    return `${every(hours, "hour")}${minute === "0" ? "" : ` at :${pad(minute)}`}`;
  if (!/^\d+(?:,\d+){0,3}$/.test(hour)) return asWritten;
  const at = `at ${hour
    .split(",")
    .map((one) => `${pad(one)}:${pad(minute)}`)
    .join(", ")}`;
  if (everyDay) return `every day ${at}`;
  if (day === "*" && month === "*") {
    const days = weekdaysOf(weekday);
    return days === undefined ? asWritten : `${days} ${at}`;
  }
  if (weekday !== "*" || !isNumber(day)) return asWritten;
  if (month === "*") return `on day ${day} of each month ${at}`;
  const months = stepOf(month);
  if (months !== undefined) return `on day ${day} of every ${ordinal(months)} month ${at}`;
  const name = isNumber(month) ? monthNames[Number(month) - 1] : undefined;
  return name === undefined ? asWritten : `on ${day} ${name} ${at}`;
}

const monthNames = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const dayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const shortDays = dayNames.map((name) => name.slice(0, 3).toUpperCase());

function weekdaysOf(field: string): string | undefined {
  if (/^(?:1-5|MON-FRI)$/i.test(field)) return "Monday to Friday";
  const days = field.toUpperCase().split(",");
  const names = days.map(
    (day) => dayNames[isNumber(day) ? Number(day) % 7 : shortDays.indexOf(day)],
  );
  if (names.length > 4 || names.includes(undefined)) return undefined;
  return `${names.map((name) => `${name ?? ""}s`).join(", ")}`;
}

const stepOf = (field: string): number | undefined => {
  const [, step] = /^\*\/(\d{1,2})$/.exec(field) ?? [];
  return step === undefined || step === "0" ? undefined : Number(step);
};
const every = (count: number, unit: string): string =>
  count === 1 ? `every ${unit}` : `every ${count} ${unit}s`;
const isNumber = (text: string): boolean => /^\d{1,2}$/.test(text);
const pad = (text: string): string => text.padStart(2, "0");
const ordinal = (n: number): string => (n === 2 ? "2nd" : n === 3 ? "3rd" : `${n}th`);

function lengthOf(seconds: number): string {
  const units = [
    ["week", 604_800],
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ] as const;
  const [name, size] = units.find(([, size]) => seconds >= size && seconds % size === 0) ?? [
    "second",
    1,
  ];
  const count = seconds / size;
  return count === 1 ? name : `${count} ${name}s`;
}
