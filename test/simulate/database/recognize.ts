/**
 * Which statement of the house a text is. The model of a statement is true only of the text that it was written
 * for: a text that nobody knows, or that is not what it was, ends the simulation with a word on what to do.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Handler } from "./server.ts";

export type Known = { readonly name: string; readonly handler: Handler };
type Entry = Known & { readonly parts: readonly string[] };

const entries: Entry[] = [];
const recognized = new Map<string, Known>();
const goldenPath = join(import.meta.dirname, "statements.json");
const golden = new Map(
  Object.entries(JSON.parse(readFileSync(goldenPath, "utf8")) as Record<string, string[]>),
);

/** The model of the one statement whose text holds all these parts, or with `=` is this. */
export function statement(name: string, parts: readonly string[], handler: Handler): void {
  entries.push({ name, parts, handler });
}

/** The same for a statement that never waits. */
export const plain = (work: (...of: Parameters<Handler>) => readonly object[]): Handler =>
  // oxlint-disable-next-line require-yield
  function* (s, p) {
    return work(s, p);
  };

export function recognize(text: string): Known {
  const before = recognized.get(text);
  if (before !== undefined) return before;
  const found = entries.filter((entry) =>
    entry.parts.every((part) =>
      part.startsWith("=") ? text === part.slice(1) : text.includes(part),
    ),
  );
  const [entry] = found;
  if (entry === undefined || found.length > 1)
    throw new Error(
      `${found.length} models (${found.map((one) => one.name).join(", ")}) for a statement; teach test/simulate/database/statements what it does:\n${text}`,
    );
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
  if (golden.get(entry.name)?.includes(hash) !== true) {
    if (process.env["REWRITE"] !== "1")
      throw new Error(
        `the statement "${entry.name}" is not what its model was written for: look whether test/simulate/database/statements still does the same, then run once with REWRITE=1:\n${text}`,
      );
    golden.set(entry.name, [...(golden.get(entry.name) ?? []), hash].toSorted());
    const sorted = [...golden].toSorted(([a], [b]) => (a < b ? -1 : 1));
    writeFileSync(goldenPath, `${JSON.stringify(Object.fromEntries(sorted), undefined, 2)}\n`);
  }
  recognized.set(text, entry);
  return entry;
}

export const statementNames = (): string[] => entries.map((entry) => entry.name);
