import fc from "fast-check";
import { expect, test } from "vitest";
import { bareText } from "../../model/log-text.ts";
import { marksOf, readLine, rowsNeeded, visible, wrapped } from "./read-line.ts";

const textOf = (raw: string): string =>
  readLine(raw)
    .map(({ text }) => text)
    .join("");

test("colours are read in the spelling in which they are stored, and raw", () => {
  for (const escape of ["\\x1b", "\u001b"])
    expect(readLine(`a ${escape}[1;31mred${escape}[0m b`)).toEqual([
      { text: "a " },
      { text: "red", colour: "var(--danger)", bold: true },
      { text: " b" },
    ]);
});

test("palette and exact colours are mixed towards the text's, grounds are a tint", () => {
  const [piece] = readLine("\\x1b[38;5;226;48;2;1;2;3mx");
  expect(piece?.colour).toBe("color-mix(in oklab, rgb(255, 255, 0) 40%, var(--text))");
  expect(piece?.ground).toContain("18%, transparent");
});

test("every other control is shown, none is obeyed", () => {
  expect(textOf("\u0000\u0007\u001b]0;title\u0007\u001b[2J\b")).toBe("␀␇␛]0;title␇␛[2J␈");
  expect(textOf("a\u202eb\u200fc\u2066d\ufeff")).toBe("a·b·c·d·");
  expect(textOf("x\ud800y\udc00")).toBe("x\ufffdy\ufffd");
  expect(textOf("<img onerror=alert(1)>")).toBe("<img onerror=alert(1)>");
});

test("whatever a task prints, each of its signs is one sign, and none is unseen", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (raw) => {
      const seen = textOf(raw);
      expect(seen).toHaveLength(bareText(raw).length);
      expect(seen).not.toMatch(
        // oxlint-disable-next-line no-control-regex -- control characters are what it is about
        /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/,
      );
      expect(seen.isWellFormed()).toBe(true);
      expect(visible(seen)).toBe(seen);
    }),
  );
});

test("hostile colour codes change nothing but colours", () => {
  for (const codes of [
    "",
    ";;;",
    "999",
    "38;5",
    "38;2;1",
    "38;5;9999",
    "1".repeat(60),
    "48;2;300;300;300",
  ])
    expect(textOf(`a\\x1b[${codes}mb`)).toBe("ab");
  expect(textOf(`\\x1b[${"1;".repeat(100)}mx`)).toContain("x1b[");
});

test("marks cut pieces, also across colours", () => {
  expect(readLine("ti\\x1b[31mme\\x1b[0mout", [[1, 5]])).toEqual([
    { text: "t" },
    { text: "i", marked: true },
    { text: "me", marked: true, colour: "var(--danger)" },
    { text: "o", marked: true },
    { text: "ut" },
  ]);
  expect(marksOf("A timeout, a TIMEOUT", "timeout", false)).toEqual([
    [2, 9],
    [13, 20],
  ]);
  expect(marksOf("A timeout, a TIMEOUT", "TIMEOUT", true)).toEqual([[13, 20]]);
  expect(marksOf("abc", "", false)).toEqual([]);
});

test("a long line is laid in rows of so many cells, by width, with nothing lost", () => {
  expect(rowsNeeded("x".repeat(101), 50)).toBe(3);
  expect(rowsNeeded("", 50)).toBe(1);
  const rows = wrapped(readLine("日本語\\x1b[31mabcdef\\x1b[0m\tz"), 6);
  expect(rows.map((row) => row.map(({ text }) => text).join(""))).toEqual([
    "日本語",
    "abcdef",
    "\tz",
  ]);
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", maxLength: 300 }),
      fc.integer({ min: 4, max: 80 }),
      (raw, cells) => {
        const seen = textOf(raw);
        const laid = wrapped(readLine(raw), cells);
        expect(
          laid
            .flat()
            .map(({ text }) => text)
            .join(""),
        ).toBe(seen);
        expect(rowsNeeded(seen, cells)).toBe(laid.length);
      },
    ),
  );
});
