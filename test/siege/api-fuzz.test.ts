/** A slice of the siege: requests from our own description, spoilt, in process. */
import { expect, inject, test } from "vitest";
import { faultOf, fuzzApiHere, requestFor } from "./api-fuzz.ts";
import { openCampaign } from "./campaign.ts";
import { diceOf } from "./dice.ts";

test("no request that is made from the description ends in a 5xx, a stack or silence", async () => {
  const campaign = openCampaign(Number(process.env["SEED"] ?? 1));
  await fuzzApiHere(campaign, 800, inject("postgresUrl"));
  expect(campaign.escapes).toEqual([]);
  expect(campaign.probes).toBeGreaterThanOrEqual(800);
}, 300_000);

test("a seed makes the same request again; a 5xx and an inside are faults", () => {
  const operation = {
    method: "POST",
    path: "/t/{tenant}/x",
    parameters: [],
    body: { type: "object", properties: { note: { type: "string" } } },
  };
  for (let at = 0; at < 20; at++)
    expect(requestFor(diceOf(3, at), operation)).toEqual(requestFor(diceOf(3, at), operation));
  expect(faultOf({ status: 500, text: "{}" })).toContain("answered 500");
  expect(
    faultOf({ status: 400, text: '{"detail":"x at answer (/srv/platform/api.ts:3:1)"}' }),
  ).toContain("inside");
  expect(faultOf({ status: 422, text: '{"detail":"note is too long"}' })).toBeUndefined();
});
