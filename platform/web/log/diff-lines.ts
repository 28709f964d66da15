/** What differs between the logs of two tries, where times, ids and counts of milliseconds do not. */
export type DiffRow =
  | { readonly kind: "same"; readonly before: number; readonly after: number }
  | { readonly kind: "removed"; readonly before: number }
  | { readonly kind: "added"; readonly after: number };

/** Beyond so many differences in one stretch it is told as all removed, all added: it would say nothing anyhow. */
const editsMax = 1_500;

/** Indexes into both lists. */
export function diffLines(before: readonly string[], after: readonly string[]): readonly DiffRow[] {
  const a = before.map(sameness);
  const b = after.map(sameness);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (
    tail < a.length - head &&
    tail < b.length - head &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  )
    tail += 1;
  const rows: DiffRow[] = [];
  for (let i = 0; i < head; i++) rows.push({ kind: "same", before: i, after: i });
  rows.push(
    ...shifted(edits(a.slice(head, a.length - tail), b.slice(head, b.length - tail)), head),
  );
  for (let i = tail; i > 0; i--)
    rows.push({ kind: "same", before: a.length - i, after: b.length - i });
  return rows;
}

/** A line without what differs from try to try anyhow. */
export function sameness(line: string): string {
  return line
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?/g, "<time>")
    .replace(/\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b/g, "<time>")
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, "<id>")
    .replace(/\b0x[0-9a-f]+\b/gi, "<id>")
    .replace(/\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b/gi, "<id>")
    .replace(/\b\d+(?:\.\d+)? ?(?:ns|µs|us|ms|s|sec|seconds|min)\b/g, "<duration>")
    .replace(/\b(pid|process|thread|tid)([ =:#]+)\d+/gi, "$1$2<id>")
    .trimEnd();
}

const shifted = (rows: readonly DiffRow[], by: number): readonly DiffRow[] =>
  rows.map((row) =>
    row.kind === "same"
      ? { kind: "same", before: row.before + by, after: row.after + by }
      : row.kind === "removed"
        ? { kind: "removed", before: row.before + by }
        : { kind: "added", after: row.after + by },
  );

/** Myers: the furthest reach of each diagonal per number of edits, then the way back. */
function edits(a: readonly string[], b: readonly string[]): readonly DiffRow[] {
  const most = Math.min(a.length + b.length, editsMax);
  const reach = new Map<number, number>([[1, 0]]);
  const trace: ReadonlyMap<number, number>[] = [];
  for (let d = 0; d <= most; d++) {
    const kept = new Map<number, number>();
    for (let k = -d; k <= d; k += 2) {
      const left = reach.get(k - 1) ?? -1;
      const up = reach.get(k + 1) ?? -1;
      let x = k === -d || (k !== d && left < up) ? up : left + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      reach.set(k, x);
      kept.set(k, x);
      if (x >= a.length && x - k >= b.length) {
        trace.push(kept);
        return wayBack(trace, a.length, b.length);
      }
    }
    trace.push(kept);
  }
  return [
    ...a.map((_, before): DiffRow => ({ kind: "removed", before })),
    ...b.map((_, after): DiffRow => ({ kind: "added", after })),
  ];
}

function wayBack(
  trace: readonly ReadonlyMap<number, number>[],
  endA: number,
  endB: number,
): readonly DiffRow[] {
  const rows: DiffRow[] = [];
  let x = endA;
  let y = endB;
  for (let d = trace.length - 1; d > 0; d--) {
    const before = trace[d - 1];
    const k = x - y;
    const left = before?.get(k - 1) ?? -1;
    const up = before?.get(k + 1) ?? -1;
    const isAdded = k === -d || (k !== d && left < up);
    const fromX = isAdded ? up : left;
    const fromY = fromX - (isAdded ? k + 1 : k - 1);
    while (x > fromX + (isAdded ? 0 : 1) && y > fromY + (isAdded ? 1 : 0)) {
      x -= 1;
      y -= 1;
      rows.push({ kind: "same", before: x, after: y });
    }
    if (isAdded) rows.push({ kind: "added", after: fromY });
    else rows.push({ kind: "removed", before: fromX });
    x = fromX;
    y = fromY;
  }
  while (x > 0 && y > 0) {
    x -= 1;
    y -= 1;
    rows.push({ kind: "same", before: x, after: y });
  }
  return rows.toReversed();
}

/** Long stretches that are the same are told by their length; `around` lines stay beside what differs. */
export function withGaps(
  rows: readonly DiffRow[],
  around: number,
): readonly (DiffRow | { readonly kind: "gap"; readonly lines: number; readonly at: number })[] {
  const isNear = new Uint8Array(rows.length);
  for (const [i, row] of rows.entries())
    if (row.kind !== "same")
      isNear.fill(1, Math.max(0, i - around), Math.min(rows.length, i + around + 1));
  const shown: (DiffRow | { kind: "gap"; lines: number; at: number })[] = [];
  for (const [i, row] of rows.entries()) {
    const last = shown.at(-1);
    if (isNear[i] === 1) shown.push(row);
    else if (last?.kind === "gap") shown[shown.length - 1] = { ...last, lines: last.lines + 1 };
    else shown.push({ kind: "gap", lines: 1, at: i });
  }
  return shown;
}
