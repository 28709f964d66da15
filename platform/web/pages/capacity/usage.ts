/** What DAGs used, summed and ordered, and as a file: functions of the rows alone. */
import type { Usage } from "../../../api/ui/capacity.ts";

type Row = Usage["rows"][number];
export type Span = "today" | "week";
export type By = "cpu" | "memory" | "time" | "tries";
export type Sum = Omit<Row, "day">;

const columnOf = { cpu: "cpu_s", memory: "gb_s", time: "run_s", tries: "tries" } as const;

/** Per DAG, the largest first. */
export function sumUsage({ rows, today }: Usage, span: Span, by: By): readonly Sum[] {
  const sums = new Map<string, Sum>();
  for (const row of rows) {
    if (span === "today" && row.day !== today) continue;
    const before = sums.get(row.dag_id);
    sums.set(row.dag_id, before === undefined ? row : add(before, row));
  }
  const column = columnOf[by];
  return [...sums.values()].toSorted(
    (a, b) => b[column] - a[column] || (a.dag_id < b.dag_id ? -1 : 1),
  );
}

export const totalOf = (sums: readonly Sum[]): Sum =>
  sums.reduce(add, { dag_id: "", tries: 0, unmeasured: 0, run_s: 0, cpu_s: 0, gb_s: 0 });

const add = (a: Sum, b: Sum): Sum => ({
  dag_id: a.dag_id,
  tries: a.tries + b.tries,
  unmeasured: a.unmeasured + b.unmeasured,
  run_s: a.run_s + b.run_s,
  cpu_s: a.cpu_s + b.cpu_s,
  gb_s: a.gb_s + b.gb_s,
});

/** RFC 4180, a row per day and DAG. An id that a spreadsheet would take for a formula is made text. */
export function usageCsv(usage: Usage): string {
  const head = "day,dag_id,tries,unmeasured_tries,run_seconds,cpu_seconds,gb_seconds";
  const rows = usage.rows.map((row) =>
    [
      row.day,
      field(row.dag_id),
      row.tries,
      row.unmeasured,
      row.run_s.toFixed(3),
      row.cpu_s.toFixed(3),
      row.gb_s.toFixed(3),
    ].join(","),
  );
  return `${[head, ...rows].join("\r\n")}\r\n`;
}

const field = (text: string): string => {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

/** 12, 1,234, 0.04: as many digits as tell something. */
export const amount = (value: number): string =>
  value.toLocaleString("en", { maximumFractionDigits: value < 1 ? 3 : value < 100 ? 1 : 0 });
