/** For each rule that the simulation covers: without it, some seed breaks a promise. With it, none does (`simulate.test.ts`). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { statementNames } from "./database/recognize.ts";
import { bugs } from "./planted.ts";
import { runSeed } from "./run-seed.ts";

const seedsMax = 2_000;

/** Where each was seen last: looked at first, to save the walk there. Nothing depends on it. */
const seenAt = JSON.parse(
  readFileSync(join(import.meta.dirname, "planted-seen.json"), "utf8"),
) as Partial<Record<string, number>>;

test.each(bugs)(
  "found if it is not so: $name",
  async ({ name, planted }) => {
    const first = seenAt[name];
    const seeds = Array.from({ length: seedsMax }, (_, n) => n + 1);
    let found: { seed: number; promise: string } | undefined;
    for (const seed of first === undefined ? seeds : [first, ...seeds]) {
      const { violation } = await runSeed(seed, { planted });
      if (violation === undefined) continue;
      found = { seed, promise: violation.promise };
      break;
    }
    expect(found, `no seed up to ${seedsMax} finds it`).toBeDefined();
    // It is the promise that is broken, not the house that falls over.
    expect(found?.promise).not.toBe("no error but the database's");
  },
  300_000,
);

test("what is planted stands in place of a statement that there is", async () => {
  await runSeed(1);
  const names = new Set(statementNames());
  for (const { name, planted } of bugs)
    for (const statement of planted.keys())
      expect(names.has(statement), `${name}: ${statement}`).toBe(true);
});
