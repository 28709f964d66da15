import fc from "fast-check";
import { expect, test } from "vitest";
import { readFolded, writeFolded } from "./folded.ts";

test("what is folded survives the address", () => {
  const groups = ["a", "a.b", "c", "d_e", "f-g"];
  fc.assert(
    fc.property(fc.subarray(groups), fc.subarray(groups), (folded, first) => {
      const atFirst = new Set(first);
      const text = writeFolded(new Set(folded), groups, atFirst);
      expect([...readFolded(text, groups, atFirst)].toSorted()).toEqual(folded.toSorted());
    }),
  );
});

test("the address stays bounded, and a mangled one still opens", () => {
  const groups = Array.from({ length: 4_000 }, (_, at) => `group_${String(at)}`);
  const half = new Set(groups.filter((_, at) => at % 2 === 0));
  expect((writeFolded(half, groups, new Set()) ?? "").length).toBeLessThanOrEqual(1_500);
  expect(readFolded("nothing,,of,!this", ["a"], new Set(["a"])).size).toBe(0);
});
