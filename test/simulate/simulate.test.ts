/** A slice of the campaign (`npm run simulate`), and what the campaign itself promises. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { bugs } from "./planted.ts";
import { runSeed } from "./run-seed.ts";
import { shrink } from "./shrink.ts";

test("500 seeds keep every promise", async ({ signal }) => {
  const broken: string[] = [];
  const sums = { commits: 0, attempts: 0, weather: 0 };
  for (let seed = 1; seed <= 500; seed += 1) {
    // On a machine that is too slow: two stories at once would take each other's clock.
    if (signal.aborted) return;
    const { violation, commits, attempts, acts } = await runSeed(seed);
    if (violation !== undefined)
      broken.push(`npm run simulate -- --seed ${seed}   # ${violation.message}`);
    sums.commits += commits;
    sums.attempts += attempts;
    sums.weather += acts.length;
    // Vitest wants to hear of us now and then.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  expect(broken).toEqual([]);
  // A storm in which nothing happens would prove nothing.
  expect(sums.commits).toBeGreaterThan(40_000);
  expect(sums.attempts).toBeGreaterThan(5_000);
  expect(sums.weather).toBeGreaterThan(3_000);
}, 900_000);

test("a seed is one story: played again it is the same, line by line", async () => {
  for (const seed of [3, 17, 42]) {
    const [first, again]: [string[], string[]] = [[], []];
    await runSeed(seed, { onLine: (line) => first.push(line) });
    await runSeed(seed, { onLine: (line) => again.push(line) });
    expect(first.length).toBeGreaterThan(30);
    expect(again).toEqual(first);
  }
});

test("a script that breaks a promise is cut down to acts that all are needed", async () => {
  const bug = bugs.find(({ name }) => name === "a person's end of an attempt ends it");
  if (bug === undefined) throw new Error("no such bug");
  const options = { planted: bug.planted };
  for (let seed = 1; seed < 100; seed += 1) {
    const found = await runSeed(seed, options);
    if (found.violation === undefined || found.acts.length < 8) continue;
    const kept = await shrink(found, options);
    expect(kept.length).toBeLessThan(found.acts.length);
    const { promise } = found.violation;
    const promiseOf = async (only: readonly number[]): Promise<string | undefined> =>
      (await runSeed(seed, { ...options, only })).violation?.promise;
    expect(await promiseOf(kept)).toBe(promise);
    for (const act of kept)
      expect(await promiseOf(kept.filter((one) => one !== act))).not.toBe(promise);
    return;
  }
  throw new Error("no seed found it");
}, 300_000);

const command = async (...args: string[]): Promise<{ code: number; out: string; err: string }> => {
  const run = promisify(execFile)(process.execPath, [
    join(import.meta.dirname, "simulate.ts"),
    ...args,
  ]);
  try {
    const { stdout, stderr } = await run;
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
};

test("the command prints one line of JSON, and says what it was asked wrongly", async () => {
  const { code, out } = await command("--seeds", "3", "--seed", "7");
  expect(code).toBe(0);
  expect(out.trimEnd().split("\n")).toHaveLength(1);
  expect(out).toMatch(/^\{"name":"simulate","seeds":3,"violations":0[,}]/);
  for (const wrong of [
    ["--seeds", "0"],
    ["--seeds", "many"],
    ["--only", "1"],
    ["--sed", "1"],
    ["1"],
  ]) {
    const answer = await command(...wrong);
    expect(answer.code, wrong.join(" ")).toBe(2);
    expect(answer.err).toContain("Usage: npm run simulate");
    expect(answer.out).toBe("");
  }
  expect((await command("--help")).code).toBe(0);
}, 300_000);
