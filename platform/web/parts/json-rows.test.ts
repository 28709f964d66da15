import { expect, test } from "vitest";
import {
  Digits,
  isContainer,
  type JsonRow,
  jsonRows,
  jsonText,
  readJson,
  scalarText,
  unfoldTo,
} from "./json-rows.ts";

const names = (rows: readonly JsonRow[]) =>
  rows.map((row) => (row.kind === "entry" ? row.name : `and ${String(row.left)} more`));

test("only what is unfolded has rows", () => {
  const value = readJson('{"a": {"b": {"c": 1}}, "d": [true, null]}');
  expect(names(jsonRows(value, unfoldTo(value, 1)))).toEqual([undefined, "a", "d"]);
  expect(names(jsonRows(value, unfoldTo(value, 2)))).toEqual([undefined, "a", "b", "d", "0", "1"]);
});

test("100,000 keys are shown by pages, and the rest is counted", () => {
  const value = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]));
  const rows = jsonRows(value, unfoldTo(value, 3));
  expect(rows).toHaveLength(202);
  expect(rows.at(-1)).toMatchObject({ kind: "more", shown: 200, left: 99_800 });
  const all = jsonRows(value, new Map([[value, 100_000]]));
  expect(all.length).toBeLessThanOrEqual(5_000);
});

test("10,000 levels are read, unfolded and walked without falling over", () => {
  const text = `${"[".repeat(10_000)}${"]".repeat(10_000)}`;
  const value = readJson(text);
  const open = new Map<object, number>();
  for (let at = value; isContainer(at); at = (at as readonly unknown[])[0]) open.set(at, 200);
  expect(open.size).toBe(10_000);
  const rows = jsonRows(value, open);
  expect(rows).toHaveLength(5_000);
  expect(rows.at(-1)).toMatchObject({ kind: "entry", depth: 4_999 });
  // Written again or refused, never thrown.
  expect(() => jsonText(value)).not.toThrow();
});

test("__proto__ is a key like any other and changes nothing", () => {
  const value = readJson('{"__proto__": {"polluted": 1}, "constructor": 2, "toString": 3}');
  expect(names(jsonRows(value, unfoldTo(value, 1)))).toEqual([
    undefined,
    "__proto__",
    "constructor",
    "toString",
  ]);
  expect(names(jsonRows(value, unfoldTo(value, 2)))).toContain("polluted");
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

test("numbers keep their digits", () => {
  const value = readJson(
    '{"id": 12345678901234567890, "f": 0.1, "e": 1e3, "one": 1.0, "huge": 1e400}',
  );
  expect(value).toEqual({
    id: new Digits("12345678901234567890"),
    f: 0.1,
    e: 1000,
    one: 1,
    huge: new Digits("1e400"),
  });
  expect(scalarText(new Digits("12345678901234567890")).text).toBe("12345678901234567890");
  expect(jsonText(value)).toContain("12345678901234567890,");
});

test("a long text is cut and says so; control characters are escaped", () => {
  expect(scalarText("x".repeat(1_000_000))).toEqual({ text: `"${"x".repeat(400)}"`, cut: 999_600 });
  expect(scalarText("a\u0000\n").text).toBe('"a\\u0000\\n"');
});

test("an empty value and one that is none", () => {
  expect(names(jsonRows({}, unfoldTo({}, 2)))).toEqual([undefined]);
  expect(jsonRows(null, unfoldTo(null, 2))).toMatchObject([
    { kind: "entry", value: null, isOpen: false },
  ]);
  expect(() => readJson("{")).toThrow(SyntaxError);
});
