/** A log's rows as they are stored and read: what its reader on the server and its page must understand alike. */

export const logLevels = ["debug", "info", "warning", "error", "critical"] as const;
export type LogLevel = (typeof logLevels)[number];

/** One line: JSON of [epoch ms, level, source, text] in its chunk. */
export type StoredLine = {
  readonly at: number | null;
  readonly level: LogLevel;
  readonly source: string;
  readonly text: string;
};

export const rankOf = (level: LogLevel): number => logLevels.indexOf(level);

/** What is no line (a row that somebody else wrote) is read as an empty one: the numbers of those after it must hold. */
export function readStoredLine(row: string): StoredLine {
  const [at, level, source, text] = fieldsOf(row);
  return {
    at: typeof at === "number" && Number.isFinite(at) ? at : null,
    level: logLevels.find((one) => one === level) ?? "info",
    source: typeof source === "string" ? source : "task",
    text: typeof text === "string" ? text : "",
  };
}

/** The rows of a chunk, without the empty one behind a last line's end. */
export function rowsOf(chunk: string): string[] {
  const rows = chunk.split("\n");
  if (rows.at(-1) === "") rows.pop();
  return rows;
}

/**
 * Colours and weights of a terminal. What writes a task's words down makes every escape visible (`\x1b`), so they
 * come in that spelling; a raw one is understood as well.
 */
// oxlint-disable-next-line no-control-regex -- an escape is what it looks for
export const colourCodes = /(?:\u001b|\\x1b)\[([\d;]{0,60})m/g;

/** Without colours: what a person sees, and what is searched. */
export const bareText = (text: string): string =>
  text.includes("\u001b[") || text.includes("\\x1b[") ? text.replace(colourCodes, "") : text;

/** For a terminal: colours as escapes again, everything else as visible as it was. */
export const terminalText = (text: string): string =>
  text.includes("\\x1b[")
    ? text.replace(colourCodes, (_, codes: string) => `\u001b[${codes}m`)
    : text;

function fieldsOf(row: string): readonly unknown[] {
  try {
    const fields: unknown = JSON.parse(row);
    return Array.isArray(fields) ? fields : [];
  } catch {
    return [];
  }
}
