/** Groups of lines that are folded away: from rows in sight to line numbers, and back. */
export type Group = {
  /** Line of its `::group::`, which stays in sight. */
  readonly from: number;
  /** Line of its `::endgroup::`; null while it is open. */
  readonly to: number | null;
  readonly depth: number;
  readonly title: string;
};

/** Hidden lines: ranges in order, apart from each other, with how many are hidden before each. */
export type Folds = readonly {
  readonly from: number;
  readonly to: number;
  readonly before: number;
}[];

export function foldsOf(
  groups: readonly Group[],
  folded: ReadonlySet<number>,
  lines: number,
): Folds {
  const folds: { from: number; to: number; before: number }[] = [];
  let hidden = 0;
  for (const group of groups) {
    if (!folded.has(group.from)) continue;
    const from = group.from + 1;
    const to = Math.min(group.to ?? lines, lines);
    // A group inside of a folded one is hidden with it.
    if (to < from || from <= (folds.at(-1)?.to ?? 0)) continue;
    folds.push({ from, to, before: hidden });
    hidden += to - from + 1;
  }
  return folds;
}

export function rowsLeft(folds: Folds, lines: number): number {
  const last = folds.at(-1);
  return last === undefined ? lines : lines - last.before - (last.to - last.from + 1);
}

/** The line (from 1) of a row (from 0). */
export function lineAt(folds: Folds, row: number): number {
  // The last fold that begins at or before this row: what it hides is before the row.
  const at = lastIndex(folds, (fold) => fold.from - fold.before - 1 <= row);
  const fold = folds[at];
  return fold === undefined ? row + 1 : row + 1 + fold.before + (fold.to - fold.from + 1);
}

/** The row of a line; of a hidden one, that of its group. */
export function rowAt(folds: Folds, line: number): number {
  const fold = folds[lastIndex(folds, ({ from }) => from <= line)];
  if (fold === undefined) return line - 1;
  return line <= fold.to
    ? fold.from - 2 - fold.before
    : line - 1 - fold.before - (fold.to - fold.from + 1);
}

/** Groups that hide this line. */
export const groupsAround = (groups: readonly Group[], line: number): readonly Group[] =>
  groups.filter(({ from, to }) => from < line && (to === null || line <= to));

function lastIndex<T>(list: readonly T[], holds: (one: T) => boolean): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const one = list[middle];
    if (one !== undefined && holds(one)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
