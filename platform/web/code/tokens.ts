/** Lines of code as coloured pieces of text, and which colours a file can have. */
import type { Part } from "./line-diff.ts";

export type Language = "python" | "typescript" | "yaml";
export type Token = { readonly text: string; readonly color?: string | undefined };
export type Piece = Token & { readonly changed: boolean };

export function languageOf(path: string): Language | undefined {
  const [, end = ""] = /\.(\w+)$/.exec(path) ?? [];
  switch (end.toLowerCase()) {
    case "py":
    case "pyi":
      return "python";
    case "ts":
    case "mts":
    case "cts":
    case "js":
    case "mjs":
    case "cjs":
      return "typescript";
    case "yaml":
    case "yml":
      return "yaml";
    default:
      return undefined;
  }
}

/** The pieces of a line that is cut by its colours and by what changed of it. */
export function cutBoth(
  tokens: readonly Token[] | undefined,
  parts: readonly Part[],
): readonly Piece[] {
  const total = parts.reduce((sum, { text }) => sum + text.length, 0);
  // Colours of another text (they come a moment later than it) would cut this one wrongly.
  const coloured =
    tokens?.reduce((sum, { text }) => sum + text.length, 0) === total ? tokens : undefined;
  if (coloured === undefined) return parts;
  const pieces: Piece[] = [];
  let [at, used] = [0, 0];
  for (const { text, changed } of parts)
    for (let from = 0; from < text.length; ) {
      const token = coloured[at];
      if (token === undefined) break;
      const length = Math.min(token.text.length - used, text.length - from);
      if (length > 0)
        pieces.push({ text: text.slice(from, from + length), color: token.color, changed });
      from += length;
      used += length;
      if (used >= token.text.length) [at, used] = [at + 1, 0];
    }
  return pieces;
}

/** Characters that turn text around, or are not seen at all, made to be seen: code must read as it runs. */
export const seen = (text: string): string =>
  text.replace(
    // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
    (mark) => `‹U+${mark.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}›`,
  );
