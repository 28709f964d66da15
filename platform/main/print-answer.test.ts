import { expect, test } from "vitest";
import { columns, drawTable } from "./print-answer.ts";

test("a table is as wide as its cells and reads nested keys", () => {
  const rows = [
    { commit: "abc", dags: { new: 1 }, errors: [] },
    { commit: "abcdef", dags: { new: 12 }, errors: ["one", "two"] },
  ];
  expect(drawTable(rows, columns("commit", "dags.new", "errors"), undefined)).toBe(
    "COMMIT  DAGS NEW  ERRORS\nabc     1         –\nabcdef  12        one, two\n",
  );
});

test("a stranger's control characters do not reach the terminal", () => {
  expect(drawTable([{ name: "a\u001b[2Jb\nc" }], columns("name"), undefined)).toBe(
    "NAME\na [2Jb c\n",
  );
});

test("a narrow terminal cuts lines, it does not wrap them", () => {
  expect(drawTable([{ name: "abcdefghij" }], columns("name"), 6)).toBe("NAME\nabcde…\n");
});
