/** A stranger's text as one line that a terminal, a browser and a log parser read as what it is: text. */

export const lineBytesMax = 16 * 1024;

/** Controls are shown, not obeyed; longer than 16 KiB is cut, with a mark. */
export function plain(text: string): string {
  const escaped = text.toWellFormed().replace(unseen, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
  if (Buffer.byteLength(escaped) <= lineBytesMax) return escaped;
  const mark = " … (cut: the line is longer than 16 KiB)";
  const kept = Buffer.from(escaped)
    .subarray(0, lineBytesMax - Buffer.byteLength(mark) - 3)
    .toString("utf8")
    .replace(/\ufffd+$/, "");
  return kept + mark;
}

// Controls except tab, C1, line and paragraph separators, and what turns the direction of writing.
const ranges = [
  [0x00, 0x08],
  [0x0a, 0x1f],
  [0x7f, 0x9f],
  [0x061c, 0x061c],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2066, 0x2069],
  [0xfeff, 0xfeff],
] as const;
const hex = (code: number): string => `\\u${code.toString(16).padStart(4, "0")}`;
const unseen = new RegExp(`[${ranges.map(([a, b]) => `${hex(a)}-${hex(b)}`).join("")}]`, "g");
