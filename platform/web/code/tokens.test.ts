import fc from "fast-check";
import { expect, test } from "vitest";
import { cutBoth, languageOf, seen } from "./tokens.ts";

test("the language is that of the file's end", () => {
  expect(["dags/a.py", "b.TS", "c.yml", "d.sql", "noend"].map(languageOf)).toEqual([
    "python",
    "typescript",
    "yaml",
    undefined,
    undefined,
  ]);
});

test("cut by colour and by change, a line is still the same text", () => {
  const texts = fc.array(fc.string({ maxLength: 6 }), { maxLength: 8 });
  fc.assert(
    fc.property(texts, fc.array(fc.nat(6), { maxLength: 12 }), (words, cuts) => {
      const line = words.join("");
      const tokens: { text: string; color: string }[] = [];
      let from = 0;
      for (const cut of cuts) {
        tokens.push({ text: line.slice(from, from + cut), color: String(cut) });
        from += cut;
      }
      tokens.push({ text: line.slice(from), color: "rest" });
      const parts = words.map((text, at) => ({ text, changed: at % 2 === 0 }));
      const pieces = cutBoth(tokens, parts);
      expect(pieces.map(({ text }) => text).join("")).toBe(line);
      expect(
        pieces
          .filter(({ changed }) => changed)
          .map(({ text }) => text)
          .join(""),
      ).toBe(
        parts
          .filter(({ changed }) => changed)
          .map(({ text }) => text)
          .join(""),
      );
    }),
  );
});

test("colours of another text are left out", () => {
  expect(
    cutBoth([{ text: "long line", color: "red" }], [{ text: "short", changed: false }]),
  ).toEqual([{ text: "short", changed: false }]);
});

test("marks that turn text around are shown by name", () => {
  expect(seen("a\u202eb\u0000")).toBe("a‹U+202E›b‹U+0000›");
  expect(seen("tab\tand ünïcode 日本")).toBe("tab\tand ünïcode 日本");
});
