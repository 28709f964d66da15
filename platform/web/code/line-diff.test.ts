import fc from "fast-check";
import { expect, test } from "vitest";
import {
  diffLists,
  diffTexts,
  diffWords,
  foldRows,
  type Hunk,
  linesOf,
  unify,
} from "./line-diff.ts";

/** What one has after the hunks were applied to `a`, taking what is new from `b`. */
function apply(a: readonly string[], b: readonly string[], hunks: readonly Hunk[]): string[] {
  const made: string[] = [];
  let [x, y] = [0, 0];
  for (const { same, before, after } of hunks) {
    if (same) made.push(...a.slice(x, x + before));
    else made.push(...b.slice(y, y + after));
    x += before;
    y += after;
  }
  expect([x, y]).toEqual([a.length, b.length]);
  return made;
}
const edits = (hunks: readonly Hunk[]): number =>
  hunks.reduce((sum, hunk) => sum + (hunk.same ? 0 : hunk.before + hunk.after), 0);

const lines = fc.array(fc.constantFrom("a", "b", "c", "", "  x = 1"), { maxLength: 40 });

test("applied to the one list, the difference gives the other, with what is equal left alone", () => {
  fc.assert(
    fc.property(lines, lines, (a, b) => {
      const hunks = diffLists(a, b);
      expect(apply(a, b, hunks)).toEqual(b);
      let [x, y] = [0, 0];
      for (const { same, before, after } of hunks) {
        if (same) expect(a.slice(x, x + before)).toEqual(b.slice(y, y + after));
        x += before;
        y += after;
      }
    }),
  );
});

test("no shorter difference exists", () => {
  const shortest = (a: readonly string[], b: readonly string[]): number => {
    const table = Array.from({ length: a.length + 1 }, () =>
      Array.from({ length: b.length + 1 }, () => 0),
    );
    for (let i = a.length; i >= 0; i--)
      for (let j = b.length; j >= 0; j--) {
        const row = table[i] ?? [];
        const cell = (di: number, dj: number): number => table[i + di]?.[j + dj] ?? Infinity;
        row[j] =
          i === a.length
            ? b.length - j
            : j === b.length
              ? a.length - i
              : a[i] === b[j]
                ? cell(1, 1)
                : 1 + Math.min(cell(1, 0), cell(0, 1));
      }
    return table[0]?.[0] ?? 0;
  };
  fc.assert(
    fc.property(lines, lines, (a, b) => {
      expect(edits(diffLists(a, b))).toBe(shortest(a, b));
    }),
  );
});

test("past the bound it is one replacement, and still right", () => {
  fc.assert(
    fc.property(lines, lines, fc.integer({ min: 0, max: 5 }), (a, b, max) => {
      expect(apply(a, b, diffLists(a, b, max))).toEqual(b);
    }),
  );
  const a = Array.from({ length: 30 }, (_, i) => `a${String(i)}`);
  const b = a.map((line) => `${line}!`);
  expect(diffLists(["top", ...a], ["top", ...b], 3)).toEqual([
    { same: true, before: 1, after: 1 },
    { same: false, before: 30, after: 30 },
  ]);
});

test("rows hold every line of both texts, in order, whatever is folded and opened", () => {
  const text = fc.array(fc.constantFrom("one", "two words", "  three", "", "four = 4"), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(text, text, (a, b) => {
      const { rows, added, removed } = diffTexts(a.join("\n"), b.join("\n"));
      const side = (which: "before" | "after"): string[] =>
        rows.flatMap((row) =>
          row.kind === "fold" || row[which] === undefined
            ? []
            : [row[which].parts.map(({ text: part }) => part).join("")],
        );
      expect(side("before")).toEqual(linesOf(a.join("\n")));
      expect(side("after")).toEqual(linesOf(b.join("\n")));
      expect(side("after").length - side("before").length).toBe(added - removed);
      const folded = foldRows(rows, new Set());
      const counted = folded.reduce((sum, row) => sum + (row.kind === "fold" ? row.count : 1), 0);
      expect(counted).toBe(rows.length);
      const opened = new Set(folded.flatMap((row) => (row.kind === "fold" ? [row.at] : [])));
      expect(foldRows(rows, opened)).toEqual(rows);
      expect(unify(rows).filter(({ kind }) => kind === "added")).toHaveLength(added);
      expect(unify(rows).filter(({ kind }) => kind === "removed")).toHaveLength(removed);
    }),
  );
});

test("within a changed line the words that differ are marked", () => {
  expect(diffWords("retries = 1, pool='a'", "retries = 3, pool='a'")).toEqual([
    [
      { text: "retries = ", changed: false },
      { text: "1", changed: true },
      { text: ", pool='a'", changed: false },
    ],
    [
      { text: "retries = ", changed: false },
      { text: "3", changed: true },
      { text: ", pool='a'", changed: false },
    ],
  ]);
  expect(diffWords("alpha", "something else entirely")[0]).toEqual([
    { text: "alpha", changed: false },
  ]);
});

test("a line that ends in another way is the same line", () => {
  expect(diffTexts("a\r\nb\r\n", "a\nb")).toMatchObject({ added: 0, removed: 0 });
  expect(linesOf("")).toEqual([]);
});
