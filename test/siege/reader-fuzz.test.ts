/** A slice of the siege: the readers of strangers' input, a few hundred cases each. */
import { expect, test } from "vitest";
import { openCampaign } from "./campaign.ts";
import { diceOf } from "./dice.ts";
import { fuzzOnce, fuzzReadersHere } from "./reader-fuzz.ts";
import { readers } from "./readers.ts";

test("no reader throws, hangs or takes what it must not", async () => {
  const campaign = openCampaign(Number(process.env["SEED"] ?? 1));
  await fuzzReadersHere(campaign, 300);
  expect(campaign.escapes).toEqual([]);
  expect(campaign.probes).toBeGreaterThan(3_000);
}, 60_000);

test("the dice throw the same case for the same seed, and a broken reader is named with it", async () => {
  const thrown = Array.from({ length: 5 }, (_, at) => diceOf(7, at).under(1_000_000));
  expect(thrown).toEqual(Array.from({ length: 5 }, (_, at) => diceOf(7, at).under(1_000_000)));
  expect(new Set(thrown).size).toBe(5);
  const broken = { name: "broken", read: () => JSON.parse("{") as undefined };
  expect(await fuzzOnce(broken, 7, 3)).toMatch(/threw SyntaxError.*\(seed 7, case 3\)$/s);
  const lax = { name: "lax", read: () => "took it" };
  expect(await fuzzOnce(lax, 7, 4)).toBe("took it (seed 7, case 4)");
  expect(readers.length).toBeGreaterThan(12);
});
