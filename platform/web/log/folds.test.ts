import fc from "fast-check";
import { expect, test } from "vitest";
import { foldsOf, type Group, groupsAround, lineAt, rowAt, rowsLeft } from "./folds.ts";

const group = (from: number, to: number | null, depth = 0): Group => ({
  from,
  to,
  depth,
  title: "",
});

test("a folded group leaves its first line, and what follows moves up", () => {
  const folds = foldsOf([group(2, 5), group(7, 8)], new Set([2, 7]), 10);
  expect(rowsLeft(folds, 10)).toBe(6);
  expect([0, 1, 2, 3, 4, 5].map((row) => lineAt(folds, row))).toEqual([1, 2, 6, 7, 9, 10]);
  expect(rowAt(folds, 4)).toBe(1);
  expect(rowAt(folds, 8)).toBe(3);
  expect(rowAt(folds, 9)).toBe(4);
});

test("an inner group is hidden with the outer one, an open one folds to the end", () => {
  const folds = foldsOf([group(1, 9), group(3, 5, 1), group(12, null)], new Set([1, 3, 12]), 20);
  expect(folds.map(({ from, to }) => [from, to])).toEqual([
    [2, 9],
    [13, 20],
  ]);
  expect(rowsLeft(folds, 20)).toBe(4);
});

test("a group of which only the beginning was written hides nothing", () => {
  expect(foldsOf([group(5, null)], new Set([5]), 5)).toEqual([]);
});

test("rows and lines agree for any folding", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 50 })), {
        maxLength: 12,
      }),
      fc.integer({ min: 60, max: 300 }),
      (raw, lines) => {
        let at = 0;
        const groups = raw
          .map(([gap, inside]) => {
            const from = at + gap;
            at = from + inside + 1;
            return group(from, at);
          })
          .filter(({ to }) => (to ?? 0) <= lines);
        const folded = new Set(groups.filter((_, i) => i % 2 === 0).map(({ from }) => from));
        const folds = foldsOf(groups, folded, lines);
        const hidden = new Set(
          groups
            .filter(({ from }) => folded.has(from))
            .flatMap(({ from, to }) =>
              Array.from({ length: (to ?? from) - from }, (_, i) => from + 1 + i),
            ),
        );
        const shown = Array.from({ length: lines }, (_, i) => i + 1).filter(
          (line) => !hidden.has(line),
        );
        expect(rowsLeft(folds, lines)).toBe(shown.length);
        expect(shown.map((_, row) => lineAt(folds, row))).toEqual(shown);
        for (const [row, line] of shown.entries()) expect(rowAt(folds, line)).toBe(row);
      },
    ),
  );
});

test("what hides a line is opened to show it", () => {
  expect(
    groupsAround([group(1, 9), group(3, 5, 1), group(10, null)], 4).map(({ from }) => from),
  ).toEqual([1, 3]);
});
