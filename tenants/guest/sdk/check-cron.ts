/** Reads a cron expression as Airflow's croniter does and says which field is wrong. What it fires is the house's matter. */

const names = {
  month: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
  day: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
} as const;

type Field = { readonly name: string; readonly min: number; readonly max: number };
const fields: readonly Field[] = [
  { name: "minute", min: 0, max: 59 },
  { name: "hour", min: 0, max: 23 },
  { name: "day of month", min: 1, max: 31 },
  { name: "month", min: 1, max: 12 },
  { name: "day of week", min: 0, max: 7 },
];

export const presetCron: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@quarterly": "0 0 1 */3 *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

/** A sentence about what is wrong with it, or undefined. */
export function cronProblem(expression: string): string | undefined {
  if (Object.hasOwn(presetCron, expression)) return undefined;
  if (expression.length > 200) return "the cron expression is longer than 200 characters";
  const parts = expression.trim().split(/\s+/);
  if (parts.length !== 5)
    return `a cron expression has five fields (minute hour day month weekday), this has ${parts.length}`;
  for (const [index, field] of fields.entries()) {
    const part = parts[index] ?? "";
    if (!part.split(",").every((piece) => pieceIsRight(piece, field)))
      return `the ${field.name} of the cron expression, "${part}", is not one of ${field.min}–${field.max}`;
  }
  return undefined;
}

function pieceIsRight(piece: string, field: Field): boolean {
  const [range = "", step, ...more] = piece.toLowerCase().split("/");
  if (more.length > 0 || (step !== undefined && !/^[1-9]\d{0,2}$/.test(step))) return false;
  if (range === "*" || range === "?") return true;
  if (field.name === "day of month" && range === "l") return true;
  if (field.name === "day of week" && /^(?:l[0-7]|[0-7]l|[0-7]#[1-5])$/.test(range)) return true;
  const [from = "", to, ...rest] = range.split("-");
  return rest.length === 0 && [from, to ?? from].every((end) => numberIsRight(end, field));
}

function numberIsRight(text: string, field: Field): boolean {
  if (field.name === "month" && names.month.some((name) => name === text)) return true;
  if (field.name === "day of week" && names.day.some((name) => name === text)) return true;
  return /^\d{1,2}$/.test(text) && Number(text) >= field.min && Number(text) <= field.max;
}

export function timezoneIsKnown(name: string): boolean {
  try {
    // Offsets like +02:00 are known to Intl but are no zone of the year.
    const { timeZone } = new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions();
    return !/^[+-]/.test(timeZone);
  } catch {
    return false;
  }
}
