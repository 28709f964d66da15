import { isObject } from "../model/json.ts";

export type Format = "table" | "json" | "yaml";

/** `key` may go down (`dags.new`); `title` defaults to it. */
export type Column = { readonly key: string; readonly title?: string };
export const columns = (...keys: readonly string[]): readonly Column[] =>
  keys.map((key) => ({ key }));

/** One document on standard output. Tables are for people: cut to the terminal, everything is in json. */
export async function printAnswer(
  value: unknown,
  format: Format,
  shown: readonly Column[],
): Promise<void> {
  if (format === "json") return write(`${JSON.stringify(value, null, 2)}\n`);
  if (format === "yaml") {
    const { stringify } = await import("yaml");
    return write(stringify(value, { lineWidth: 0 }));
  }
  const rows = Array.isArray(value) ? value : [value];
  return write(
    Array.isArray(value)
      ? drawTable(rows, shown, process.stdout.isTTY ? process.stdout.columns : undefined)
      : drawRecord(value, shown),
  );
}

/** Columns as wide as their longest cell; the last ones give way when the terminal is narrow. */
export function drawTable(
  rows: readonly unknown[],
  shown: readonly Column[],
  width: number | undefined,
): string {
  if (rows.length === 0) return "(none)\n";
  const head = shown.map(({ key, title }) => (title ?? key).toUpperCase().replaceAll(/[._]/g, " "));
  const cells = rows.map((row) => shown.map(({ key }) => cellText(valueAt(row, key))));
  const wide = head.map((title, at) =>
    Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)),
  );
  return [head, ...cells]
    .map((row) =>
      row
        .map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(wide[at] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .map((line) =>
      width === undefined || line.length <= width ? line : `${line.slice(0, width - 1)}…`,
    )
    .map((line) => `${line}\n`)
    .join("");
}

function drawRecord(value: unknown, shown: readonly Column[]): string {
  const lines = shown.map(
    ({ key, title }) => [title ?? key, cellText(valueAt(value, key))] as const,
  );
  const wide = Math.max(...lines.map(([title]) => title.length));
  return lines.map(([title, cell]) => `${title.padEnd(wide)}  ${cell}\n`).join("");
}

function valueAt(row: unknown, key: string): unknown {
  let at = row;
  for (const part of key.split(".")) at = isObject(at) ? at[part] : undefined;
  return at;
}

function cellText(value: unknown): string {
  if (value === undefined || value === null || value === "") return "–";
  if (Array.isArray(value)) {
    const parts = value.map((part: unknown) =>
      isObject(part) && typeof part["name"] === "string" ? part["name"] : cellText(part),
    );
    return parts.length === 0 ? "–" : parts.join(", ");
  }
  if (typeof value === "object") return JSON.stringify(value);
  // Control characters of a stranger's text would drive the reader's terminal.
  return oneLine(typeof value === "string" ? value : JSON.stringify(value));
}

/** Text of a stranger on one line of a terminal: no control characters. */
export const oneLine = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- control characters are what it takes out
  text.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, " ");

/** Resolves when written, so that the exit does not cut a pipe short. */
export function write(text: string): Promise<void> {
  return new Promise((done, fail) => {
    process.stdout.write(text, (error) => (error ? fail(error) : done()));
  });
}

/** Progress and messages: never on standard output. */
export const tell = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
