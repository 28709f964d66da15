/** Connections, variables and pools as a person keeps them; then capacity, rights and the platform, looked at. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { axe } from "../kit/axe.ts";
import { closeBrowser, noChromium, openVisitor, type Visitor } from "../kit/browser.ts";
import { type House, openHouse } from "../kit/house.ts";

describe.skipIf(noChromium)("things, capacity, rights and the platform", () => {
  let house: House;
  let visitor: Visitor | undefined;
  const visit = async (more: Partial<Parameters<typeof openVisitor>[0]> = {}): Promise<Visitor> => {
    visitor = await openVisitor({
      url: house.url,
      as: { name: "admin", password: house.password },
      ...more,
    });
    return visitor;
  };

  beforeAll(async () => {
    house = await openHouse();
    await house.must("tenants", "create", "acme");
  }, 240_000);
  afterEach(async () => {
    const { complaints = [] } = visitor ?? {};
    await visitor?.close();
    visitor = undefined;
    // Not `expect`: this is no test, and a failure here must still name what was complained of.
    if (complaints.length > 0) throw new Error(complaints.join("\n"));
  });
  afterAll(async () => {
    await closeBrowser();
    await house.remove();
  });

  test("a connection is made, tried, changed without its secret being shown, and removed", async () => {
    const { page } = await visit();
    await page.goto("/t/acme/things");
    await page.getByText("There are no connections yet").waitFor();
    expect(await axe(page)).toEqual([]);
    await page.getByRole("button", { name: "New connection" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel(/^Name/).fill("warehouse");
    await dialog.getByLabel(/^Type/).fill("postgres");
    await dialog.getByLabel(/^Host/).fill("db.example.invalid");
    await dialog.getByLabel(/^Login/).fill("etl");
    await dialog.getByLabel(/^Password/).fill("planted-secret");
    expect(await axe(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("button", { name: "warehouse" }).click();

    await dialog.getByRole("button", { name: "Test what is saved" }).click();
    await dialog
      .getByRole("status")
      .getByText(/may not reach db\.example\.invalid:5432|was not found/)
      .waitFor();
    await dialog.getByText("No live DAG file names it").waitFor();
    expect(await dialog.getByLabel(/^Password/).inputValue()).toBe("");
    expect(await page.content()).not.toContain("planted-secret");
    await dialog.getByLabel(/^Host/).fill("127.0.0.1");
    await dialog.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("cell", { name: "127.0.0.1" }).waitFor();
    await page.getByText("etl with a password").waitFor();

    // What somebody else does appears by itself.
    await house.must("connections", "create", "acme/api", "--conn-type", "http");
    await page.getByRole("button", { name: "api", exact: true }).waitFor();

    await page.getByRole("button", { name: "warehouse" }).click();
    await dialog.getByRole("button", { name: "Remove" }).click();
    await dialog.getByRole("button", { name: "Really remove it" }).click();
    await page.getByRole("button", { name: "warehouse" }).waitFor({ state: "detached" });
  }, 120_000);

  test("a secret variable is written and never shown, odd names are inert, and a pool is resized", async () => {
    const { page } = await visit({ theme: "dark" });
    await page.goto("/t/acme/things?tab=variables&make=true");
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel(/^Key/).fill("api_token");
    await dialog.getByLabel(/^Value/).fill("planted-secret");
    await dialog.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("secret, never shown").waitFor();
    expect(await page.content()).not.toContain("planted-secret");
    const odd = `<img src=x onerror=alert(1)> \u202egnol ${"x".repeat(200)}`;
    await page.getByRole("button", { name: "New variable" }).click();
    await dialog.getByLabel(/^Key/).fill(odd);
    await dialog.getByLabel(/^Value/).fill("7");
    await dialog.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("button", { name: /^<img src=x/ }).click();
    await dialog.getByLabel(/^Value/).fill("8");
    await dialog.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("cell", { name: "8", exact: true }).waitFor();
    expect(await axe(page)).toEqual([]);

    await page.getByRole("tab", { name: "Pools" }).click();
    await page.getByRole("button", { name: "default_pool" }).click();
    expect(await dialog.getByRole("button", { name: "Remove" }).count()).toBe(0);
    await dialog.getByLabel(/^Slots/).fill("7");
    await dialog.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("cell", { name: "7", exact: true }).waitFor();
    expect(page.url()).toContain("tab=pools");
    expect(await axe(page)).toEqual([]);
  }, 120_000);

  test.each(["light", "dark"] as const)(
    "capacity, rights and the platform are told (%s)",
    async (theme) => {
      const { page } = await visit({ theme });
      await page.goto("/t/acme/capacity");
      await page.getByText("Nothing waits").waitFor();
      await page.getByRole("region", { name: "Pools" }).getByText("default_pool").waitFor();
      await page.getByRole("region", { name: "Workers" }).getByText("default").waitFor();
      await page.getByText("Nothing ended today").waitFor();
      expect(await axe(page)).toEqual([]);

      await page.goto("/t/acme/rights");
      await page.getByRole("button", { name: "user:admin may conn.write: why" }).click();
      await page.getByText("role:admin means b:admin on everything").waitFor();
      expect(page.url()).toContain("deed=conn.write");
      expect(await axe(page)).toEqual([]);

      await page.goto("/platform");
      await page.getByRole("button", { name: "acme" }).last().click();
      await page.getByText("May reach").waitFor();
      expect(await axe(page)).toEqual([]);
    },
    120_000,
  );

  test("who is no admin is told whose page the platform's is, and sees their own rights", async () => {
    const admin = await visit();
    const made = await admin.page.request.post("/api/platform/users", {
      data: { name: "vera", password: "vera-password-1" },
      headers: { origin: new URL(house.url).origin },
    });
    expect(made.status()).toBe(201);
    await admin.close();
    await house.must("roles", "add", "vera", "viewer", "--tenant", "acme");
    const { page } = await visit({ as: { name: "vera", password: "vera-password-1" } });
    await page.goto("/platform");
    await page.getByText("This page is for the platform's admins").waitFor();
    await page.goto("/t/acme/rights");
    await page.getByText("What you may do on the tenant as a whole").waitFor();
    await page.goto("/t/acme/things");
    await page.getByRole("tab", { name: "Pools" }).waitFor();
    expect(await page.getByRole("tab").count()).toBe(1);
    expect(await page.getByRole("button", { name: "New pool" }).count()).toBe(0);
  }, 60_000);
});
