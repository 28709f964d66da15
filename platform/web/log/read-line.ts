/**
 * A line of a log as pieces to be shown. What it holds was written by a stranger: colours are understood, every
 * other control, half characters and marks that turn the direction of writing are shown, one sign for each, so that
 * places in the text stay places in what is seen.
 */
import Anser from "anser";
import { colourCodes } from "../../model/log-text.ts";

export type Piece = {
  readonly text: string;
  /** A colour for both themes; undefined: the text's own. */
  readonly colour?: string;
  readonly ground?: string;
  readonly bold?: boolean;
  readonly dim?: boolean;
  readonly italic?: boolean;
  readonly underline?: boolean;
  /** It is what was searched for. */
  readonly marked?: boolean;
};
export type Mark = readonly [from: number, to: number];

export function readLine(raw: string, marks: readonly Mark[] = []): readonly Piece[] {
  return withMarks(coloured(raw), marks);
}

function coloured(raw: string): Piece[] {
  if (!raw.includes("\u001b[") && !raw.includes("\\x1b[")) return [{ text: visible(raw) }];
  const pieces: string[] = [];
  let at = 0;
  for (const code of raw.matchAll(colourCodes)) {
    pieces.push(visible(raw.slice(at, code.index)), `\u001b[${code[1] ?? ""}m`);
    at = code.index + code[0].length;
  }
  pieces.push(visible(raw.slice(at)));
  return Anser.ansiToJson(pieces.join(""), {
    json: true,
    remove_empty: true,
    use_classes: true,
  }).map(pieceOf);
}

function pieceOf(entry: Anser.AnserJsonEntry): Piece {
  const colour = colourOf(entry.fg, entry.fg_truecolor);
  const ground = colourOf(entry.bg, entry.bg_truecolor);
  const has = (name: Anser.DecorationName): boolean => entry.decorations.includes(name);
  return {
    text: entry.content,
    ...(colour === undefined ? {} : { colour }),
    // Only a tint: any text on it must stay readable in both themes.
    ...(ground === undefined ? {} : { ground: `color-mix(in oklab, ${ground} 18%, transparent)` }),
    ...(has("bold") ? { bold: true } : {}),
    ...(has("dim") ? { dim: true } : {}),
    ...(has("italic") ? { italic: true } : {}),
    ...(has("underline") ? { underline: true } : {}),
  };
}

const named: Readonly<Record<string, string>> = {
  black: "var(--muted)",
  red: "var(--danger)",
  green: "var(--state-success)",
  yellow: "var(--warn)",
  blue: "var(--focus)",
  magenta: "var(--state-deferred)",
  cyan: "var(--accent)",
  white: "var(--text)",
};
const order = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

function colourOf(name: string | null, exact: string | null): string | undefined {
  if (name === null || name === "") return undefined;
  if (name === "ansi-truecolor") return readable(exact ?? "128, 128, 128");
  const palette = /^ansi-palette-(\d+)$/.exec(name);
  if (palette !== null) return paletteColour(Number(palette[1]));
  return named[name.replace(/^ansi-(?:bright-)?/, "")];
}

function paletteColour(index: number): string | undefined {
  if (index < 16) return named[order[index % 8] ?? "white"];
  if (index > 231)
    return readable(
      Array<number>(3)
        .fill(8 + (index - 232) * 10)
        .join(", "),
    );
  const steps = [0, 95, 135, 175, 215, 255];
  const cube = index - 16;
  return readable(
    [cube / 36, (cube / 6) % 6, cube % 6].map((step) => steps[Math.floor(step)] ?? 0).join(", "),
  );
}

/** Towards the text's colour, so that yellow on white and navy on black can be read. */
const readable = (rgb: string): string => `color-mix(in oklab, rgb(${rgb}) 40%, var(--text))`;

const unseen =
  // oxlint-disable-next-line no-control-regex -- control characters are what it is about
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

export function visible(text: string): string {
  return text.toWellFormed().replace(unseen, (one) => {
    const code = one.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "\u2421" : "\u00b7";
  });
}

function withMarks(pieces: readonly Piece[], marks: readonly Mark[]): readonly Piece[] {
  if (marks.length === 0) return pieces;
  const cut: Piece[] = [];
  let at = 0;
  for (const piece of pieces) {
    const end = at + piece.text.length;
    let from = at;
    for (const [markFrom, markTo] of marks) {
      const first = Math.max(markFrom, from);
      const last = Math.min(markTo, end);
      if (first >= last) continue;
      if (first > from) cut.push({ ...piece, text: piece.text.slice(from - at, first - at) });
      cut.push({ ...piece, text: piece.text.slice(first - at, last - at), marked: true });
      from = last;
    }
    if (from < end) cut.push({ ...piece, text: piece.text.slice(from - at) });
    at = end;
  }
  return cut;
}

/** Where a text occurs in a line as it is seen. */
export function marksOf(bare: string, find: string, caps: boolean): readonly Mark[] {
  const low = bare.toLowerCase();
  const hay = caps || low.length !== bare.length ? bare : low;
  const needle = caps ? find : find.toLowerCase();
  const marks: Mark[] = [];
  for (
    let at = needle === "" ? -1 : hay.indexOf(needle);
    at >= 0 && marks.length < 20;
    at = hay.indexOf(needle, at + needle.length)
  )
    marks.push([at, at + needle.length]);
  return marks;
}

/** Pieces in rows of so many cells each: CJK and emoji take two, a tab four. */
export function wrapped(pieces: readonly Piece[], cells: number): readonly (readonly Piece[])[] {
  const rows: Piece[][] = [[]];
  let used = 0;
  for (const piece of pieces) {
    let text = "";
    for (const one of piece.text) {
      const width = cellsOf(one);
      if (used + width > cells && used > 0) {
        if (text !== "") rows.at(-1)?.push({ ...piece, text });
        rows.push([]);
        text = "";
        used = 0;
      }
      text += one;
      used += width;
    }
    if (text !== "") rows.at(-1)?.push({ ...piece, text });
  }
  return rows;
}

export function rowsNeeded(bare: string, cells: number): number {
  if (/^[\x20-\x7e]*$/.test(bare)) return Math.max(1, Math.ceil(bare.length / cells));
  return wrapped([{ text: bare }], cells).length;
}

function cellsOf(one: string): number {
  if (one === "\t") return 4;
  const code = one.codePointAt(0) ?? 0;
  if (code < 0x1100) return 1;
  return /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u.test(
    one,
  ) || code >= 0x20000
    ? 2
    : 1;
}
