/** A slice of the siege: all of the routes, and that the siege would see what it looks for. */
import { expect, inject, test } from "vitest";
import type { TenantRights } from "../../policies/authz/authorizer.ts";
import { type Campaign, openCampaign } from "./campaign.ts";
import { besiegeRoutes, type RoutesOptions } from "./routes.ts";

const besieged = async (options: RoutesOptions): Promise<Campaign> => {
  const campaign = openCampaign(1);
  await besiegeRoutes(campaign, { server: inject("postgresUrl"), ...options });
  return campaign;
};

test("every route, role and tenant: what is refused tells nothing and changes nothing", async () => {
  const campaign = await besieged({});
  expect(campaign.escapes).toEqual([]);
  expect(campaign.probes).toBeGreaterThan(9_000);
}, 300_000);

test("the siege sees rules that let everybody in", async () => {
  const all: TenantRights = {
    can: () => true,
    canAnywhere: () => true,
    seen: () => ({ allow: { kind: "all" }, deny: { kind: "some", ids: [], ranges: [] } }),
  };
  const campaign = await besieged({
    stride: 12,
    broken: (deps) => ({
      ...deps,
      authorizer: { rightsIn: async () => all, can: async () => true, forget: () => undefined },
    }),
  });
  expect(campaign.escapes.filter((line) => line.includes("instead of 404")).length).toBeGreaterThan(
    20,
  );
}, 300_000);

test("the siege sees a store that forgets whose transaction it is", async () => {
  const campaign = await besieged({
    stride: 6,
    broken: (deps) => ({
      ...deps,
      store: { ...deps.store, tx: (_tenant, work) => deps.store.system(work) },
    }),
  });
  expect(campaign.escapes.length).toBeGreaterThan(10);
}, 300_000);
