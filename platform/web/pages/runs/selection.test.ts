import { expect, test } from "vitest";
import { choose, countChosen, isChosen, nothing } from "./selection.ts";

const rows = ["a", "b", "c", "d", "e"];
const keys = (selection: ReturnType<typeof choose>) =>
  rows.filter((row) => isChosen(selection, row)).join("");

test("click, shift-click both ways, click again", () => {
  const one = choose(nothing, rows, 3, false);
  expect(keys(one)).toBe("d");
  expect(keys(choose(one, rows, 1, true))).toBe("bcd");
  expect(keys(choose(choose(one, rows, 1, true), rows, 2, false))).toBe("bd");
  expect(keys(choose(nothing, rows, 2, true))).toBe("c");
  expect(choose(one, rows, 9, false)).toBe(one);
});

test("from all that match, a click leaves one of the loaded out", () => {
  const all = { kind: "all" } as const;
  expect(countChosen(all, 900)).toBe(900);
  expect(keys(choose(all, rows, 0, false))).toBe("bcde");
});
