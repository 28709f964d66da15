/**
 * The difference of two texts, line by line (Myers, in linear space of the edit length) and then word by word, as
 * rows that stand side by side. Pure, and bounded: texts that have little in common are said to be replaced.
 */

/** A stretch of both texts: `same`, or `before` lines of the one in the place of `after` lines of the other. */
export type Hunk = {
  readonly same: boolean;
  readonly before: number;
  readonly after: number;
};

/** Beyond so many edits the search costs too much, and nobody would read it as a change. */
const editsMax = 2_000;

/** Hunks from the top to the bottom; applied to `a` they give `b`. */
export function diffLists(
  a: readonly string[],
  b: readonly string[],
  max = editsMax,
): readonly Hunk[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (
    tail < a.length - head &&
    tail < b.length - head &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  )
    tail++;
  const middle = myers(a.slice(head, a.length - tail), b.slice(head, b.length - tail), max);
  return joined([
    { same: true, before: head, after: head },
    ...middle,
    { same: true, before: tail, after: tail },
  ]);
}

function myers(a: readonly string[], b: readonly string[], max: number): readonly Hunk[] {
  const all = { same: false, before: a.length, after: b.length };
  if (a.length === 0 || b.length === 0) return [all];
  const limit = Math.min(max, a.length + b.length);
  // furthest[k + limit + 1]: how far in `a` one comes on diagonal k with d edits.
  const furthest = new Int32Array(2 * limit + 3);
  const trace: Int32Array[] = [];
  const middle = limit + 1;
  for (let d = 0; d <= limit; d++) {
    // Only the diagonals that d edits can reach are kept: the whole trace grows with d², not with the texts.
    trace.push(furthest.slice(middle - d - 1, middle + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const down =
        k === -d || (k !== d && at(furthest, middle + k - 1) < at(furthest, middle + k + 1));
      let x = down ? at(furthest, middle + k + 1) : at(furthest, middle + k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      furthest[middle + k] = x;
      if (x >= a.length && x - k >= b.length) return walkBack(trace, a.length, b.length);
    }
  }
  return [all];
}

const at = (list: Int32Array, place: number): number => list[place] ?? 0;

function walkBack(trace: readonly Int32Array[], endX: number, endY: number): readonly Hunk[] {
  const steps: Hunk[] = [];
  let x = endX;
  let y = endY;
  for (let d = trace.length - 1; d >= 0; d--) {
    const row = trace[d] ?? new Int32Array();
    const look = (k: number): number => at(row, k + d + 1);
    const k = x - y;
    const down = k === -d || (k !== d && look(k - 1) < look(k + 1));
    const before = down ? look(k + 1) : look(k - 1);
    const startX = d === 0 ? 0 : before + (down ? 0 : 1);
    if (x > startX) steps.push({ same: true, before: x - startX, after: x - startX });
    if (d > 0) steps.push({ same: false, before: down ? 0 : 1, after: down ? 1 : 0 });
    y = d === 0 ? 0 : before - (down ? k + 1 : k - 1);
    x = before;
  }
  return steps.toReversed();
}

function joined(hunks: readonly Hunk[]): readonly Hunk[] {
  const list: { same: boolean; before: number; after: number }[] = [];
  for (const hunk of hunks) {
    const last = list.at(-1);
    if (hunk.before === 0 && hunk.after === 0) continue;
    if (last?.same === hunk.same) {
      last.before += hunk.before;
      last.after += hunk.after;
    } else list.push({ ...hunk });
  }
  return list;
}

export const linesOf = (text: string): readonly string[] => {
  const lines = text.split(/\r\n|\n|\r/);
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
};

/** Parts of a line, marked where they differ from the line across. */
export type Part = { readonly text: string; readonly changed: boolean };
export type Side = { readonly line: number; readonly parts: readonly Part[] };
export type DiffRow =
  | { readonly kind: "same"; readonly before: Side; readonly after: Side }
  | {
      readonly kind: "change";
      readonly before: Side | undefined;
      readonly after: Side | undefined;
    }
  /** Equal lines that are not shown; `at` is the place of its first in the rows before folding. */
  | { readonly kind: "fold"; readonly at: number; readonly count: number };

export type TextDiff = {
  readonly rows: readonly DiffRow[];
  readonly added: number;
  readonly removed: number;
};

export function diffTexts(before: string, after: string): TextDiff {
  const [a, b] = [linesOf(before), linesOf(after)];
  const rows: DiffRow[] = [];
  let [x, y, added, removed] = [0, 0, 0, 0];
  const whole = (list: readonly string[], place: number): Side => ({
    line: place + 1,
    parts: [{ text: list[place] ?? "", changed: false }],
  });
  for (const hunk of diffLists(a, b)) {
    if (hunk.same)
      for (let i = 0; i < hunk.before; i++)
        rows.push({ kind: "same", before: whole(a, x + i), after: whole(b, y + i) });
    else {
      removed += hunk.before;
      added += hunk.after;
      for (let i = 0; i < Math.max(hunk.before, hunk.after); i++) {
        const has = [i < hunk.before, i < hunk.after];
        if (has[0] && has[1] && hunk.before + hunk.after <= wordHunkMax) {
          const [old, now] = diffWords(a[x + i] ?? "", b[y + i] ?? "");
          rows.push({
            kind: "change",
            before: { line: x + i + 1, parts: old },
            after: { line: y + i + 1, parts: now },
          });
        } else
          rows.push({
            kind: "change",
            before: has[0] ? whole(a, x + i) : undefined,
            after: has[1] ? whole(b, y + i) : undefined,
          });
      }
    }
    x += hunk.before;
    y += hunk.after;
  }
  return { rows, added, removed };
}

const wordLineMax = 2_000;
/** Of a rewritten file nobody reads the words one by one. */
const wordHunkMax = 400;

/** Both lines in parts. Lines with hardly a word in common are left whole: marks everywhere would say nothing. */
export function diffWords(
  before: string,
  after: string,
): readonly [readonly Part[], readonly Part[]] {
  const whole = [[{ text: before, changed: false }], [{ text: after, changed: false }]] as const;
  if (before.length > wordLineMax || after.length > wordLineMax) return whole;
  const [a, b] = [wordsOf(before), wordsOf(after)];
  const hunks = diffLists(a, b, 400);
  const common = hunks
    .filter(({ same }) => same)
    .reduce((sum, { before: count }) => sum + count, 0);
  if (common * 4 < Math.max(a.length, b.length)) return whole;
  const sides: [Part[], Part[]] = [[], []];
  let [x, y] = [0, 0];
  for (const hunk of hunks) {
    const texts = [
      a.slice(x, x + hunk.before).join(""),
      b.slice(y, y + hunk.after).join(""),
    ] as const;
    for (const side of [0, 1] as const)
      if (texts[side] !== "") sides[side].push({ text: texts[side], changed: !hunk.same });
    x += hunk.before;
    y += hunk.after;
  }
  return sides;
}

const wordsOf = (line: string): readonly string[] => line.match(/[\p{L}\p{N}_]+|\s+|./gsu) ?? [];

/** Equal stretches folded down to the lines around a change. `opened`: folds (by `at`) that are shown whole. */
export function foldRows(
  rows: readonly DiffRow[],
  opened: ReadonlySet<number>,
  around = 3,
): readonly DiffRow[] {
  const shown: DiffRow[] = [];
  for (let start = 0; start < rows.length; ) {
    let end = start;
    while (end < rows.length && rows[end]?.kind === "same") end++;
    if (end === start) {
      const row = rows[start];
      if (row !== undefined) shown.push(row);
      start++;
      continue;
    }
    const from = start === 0 ? 0 : start + around;
    const to = end === rows.length ? end : end - around;
    // A fold of one line would take as much room as the line.
    if (to - from < 2 || opened.has(from)) shown.push(...rows.slice(start, end));
    else
      shown.push(
        ...rows.slice(start, from),
        { kind: "fold", at: from, count: to - from },
        ...rows.slice(to, end),
      );
    start = end;
  }
  return shown;
}

/** For a narrow screen: what went, then what came, one below the other. */
export type UnifiedRow =
  | {
      readonly kind: "same" | "removed" | "added";
      readonly before?: number;
      readonly after?: number;
      readonly parts: readonly Part[];
    }
  | { readonly kind: "fold"; readonly at: number; readonly count: number };

export function unify(rows: readonly DiffRow[]): readonly UnifiedRow[] {
  const list: UnifiedRow[] = [];
  let came: UnifiedRow[] = [];
  const flush = (): void => {
    list.push(...came);
    came = [];
  };
  for (const row of rows) {
    if (row.kind === "change") {
      if (row.before !== undefined)
        list.push({ kind: "removed", before: row.before.line, parts: row.before.parts });
      if (row.after !== undefined)
        came.push({ kind: "added", after: row.after.line, parts: row.after.parts });
      continue;
    }
    flush();
    list.push(
      row.kind === "fold"
        ? row
        : { kind: "same", before: row.before.line, after: row.after.line, parts: row.after.parts },
    );
  }
  flush();
  return list;
}
