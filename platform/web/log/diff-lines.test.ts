import fc from "fast-check";
import { expect, test } from "vitest";
import { diffLines, sameness, withGaps } from "./diff-lines.ts";

test("times, ids and durations are no difference, counts are", () => {
  expect(
    sameness("2026-01-02T03:04:05.678Z [run 0a1b2c3d-1111-2222-3333-444455556666] done in 12.5 ms"),
  ).toBe(
    sameness("2026-02-03T13:14:15.000Z [run ffffffff-1111-2222-3333-444455556666] done in 9 ms"),
  );
  expect(sameness("object at 0x7f3a9c1b2d30, pid 4711")).toBe(
    sameness("object at 0x7f0000000000, pid 12"),
  );
  expect(sameness("wrote 10 rows")).not.toBe(sameness("wrote 11 rows"));
});

test("what was added and removed is told in place", () => {
  const rows = diffLines(["a", "b", "c", "d"], ["a", "x", "c", "d", "e"]);
  expect(rows.map(({ kind }) => kind)).toEqual([
    "same",
    "removed",
    "added",
    "same",
    "same",
    "added",
  ]);
});

test("the rows hold every line of both sides once, in order, and what is said to be the same is", () => {
  const lines = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 40 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const rows = diffLines(before, after);
      expect(rows.flatMap((row) => (row.kind === "added" ? [] : [row.before]))).toEqual([
        ...before.keys(),
      ]);
      expect(rows.flatMap((row) => (row.kind === "removed" ? [] : [row.after]))).toEqual([
        ...after.keys(),
      ]);
      for (const row of rows)
        if (row.kind === "same") expect(before[row.before]).toBe(after[row.after]);
    }),
  );
});

test("two logs with nothing in common are told as such, in bounded time", () => {
  const rows = diffLines(
    Array.from({ length: 5_000 }, (_, i) => `left ${i}`),
    Array.from({ length: 5_000 }, (_, i) => `right ${i}`),
  );
  expect(rows).toHaveLength(10_000);
});

test("long same stretches become a gap", () => {
  const same = Array.from({ length: 100 }, (_, i) => `line ${i}`);
  const shown = withGaps(diffLines(same, [...same.slice(0, 50), "new", ...same.slice(50)]), 2);
  expect(shown.map(({ kind }) => kind)).toEqual([
    "gap",
    "same",
    "same",
    "added",
    "same",
    "same",
    "gap",
  ]);
  expect(shown[0]).toMatchObject({ lines: 48 });
});
