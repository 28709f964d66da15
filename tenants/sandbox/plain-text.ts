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
const unseen = new RegExp(
  "[\\u0000-\\u0008\\u000a-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufeff]",
  "g",
);
