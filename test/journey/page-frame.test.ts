/** The page's frame as a person meets it: signing in, finding the way, themes, a lost connection, many tabs. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { axe } from "../kit/axe.ts";
import { closeBrowser, noChromium, openVisitor, type Visitor } from "../kit/browser.ts";
import { eventually, type House, makeHome, openHouse } from "../kit/house.ts";

describe.skipIf(noChromium)("the page", () => {
  const home = makeHome();
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
    house = await openHouse({ home });
    await house.must("tenants", "create", "acme");
    await house.must("tenants", "create", "globex");
  }, 120_000);
  afterEach(async () => {
    const { complaints = [] } = visitor ?? {};
    await visitor?.close();
    visitor = undefined;
    expect(complaints).toEqual([]);
  });
  afterAll(async () => {
    await closeBrowser();
    await house.remove();
  });

  test("a stranger is asked to sign in, is told when it is wrong, and lands where they wanted", async () => {
    const { page } = (visitor = await openVisitor({ url: house.url }));
    await page.goto("/t/acme/runs");
    await page.getByRole("heading", { name: "Sign in to Airlock" }).waitFor();
    await page.getByLabel("Name").fill("admin");
    await page.getByLabel("Password").fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("Name or password is wrong.").waitFor();
    expect(await axe(page)).toEqual([]);
    await page.getByLabel("Password").fill(house.password);
    await page.keyboard.press("Enter");
    await page.waitForURL("**/t/acme/runs");
  });

  test("an address that would lead away after signing in does not", async () => {
    for (const back of [
      "//evil.example",
      "/\\evil.example",
      "https://evil.example",
      "/%09/evil.example",
      "javascript:alert(1)",
    ]) {
      const stranger = await openVisitor({ url: house.url });
      const { page } = stranger;
      await page.goto(`/sign-in?back=${encodeURIComponent(back)}`);
      await page.getByLabel("Name").fill("admin");
      await page.getByLabel("Password").fill(house.password);
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: /^admin/ }).waitFor();
      expect(new URL(page.url()).origin).toBe(new URL(house.url).origin);
      await stranger.close();
    }
  }, 60_000);

  test("keys lead everywhere, ? shows them, Ctrl-K finds a tenant", async () => {
    const { page } = await visit();
    await page.keyboard.press("?");
    await page
      .getByRole("dialog", { name: "Keys" })
      .getByText("Find anything, do anything")
      .waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.getByPlaceholder("A DAG, a page, a deed").fill("globex");
    await page.getByRole("option", { name: /globex/ }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL("**/t/globex");
    // The address is ahead of the page: the tenant's keys are there when its pages are.
    await page.getByRole("navigation", { name: "Pages of globex" }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("d");
    await page.waitForURL("**/t/globex/dags");
    await page.keyboard.press("g");
    await page.keyboard.press("r");
    await page.waitForURL("**/t/globex/runs");
  });

  test("light or dark is as the machine, or as chosen; so is the time zone, and both stay", async () => {
    const { page } = await visit({ theme: "dark" });
    const theme = () => page.evaluate("document.documentElement.dataset.theme");
    expect(await theme()).toBe("dark");
    await page.getByRole("button", { name: "Theme" }).click();
    await page.getByRole("menuitem", { name: "Light" }).click();
    expect(await theme()).toBe("light");
    await page.getByRole("button", { name: "Europe/Zurich" }).click();
    await page.getByRole("menuitem", { name: "UTC" }).click();
    await page.reload();
    await page.getByRole("button", { name: "UTC" }).waitFor();
    expect(await theme()).toBe("light");
  });

  test("a lost connection is shown and heals by itself", async () => {
    const { page } = await visit();
    await page.goto("/t/acme");
    await page.getByRole("navigation", { name: "Pages of acme" }).waitFor();
    await page.context().setOffline(true);
    await page.getByText("The connection to the server is lost").waitFor();
    await page.context().setOffline(false);
    await page.getByText("The connection to the server is lost").waitFor({ state: "detached" });
    visitor?.complaints.splice(0);
  }, 60_000);

  test("ten tabs of a browser hold one stream, and it goes on when the tab that read it closes", async () => {
    const { page } = await visit();
    await page.goto("/t/acme");
    const pages = [page];
    for (let i = 0; i < 9; i += 1) {
      const tab = await page.context().newPage();
      await tab.goto("/t/acme");
      await tab.getByRole("navigation", { name: "Pages of acme" }).waitFor();
      pages.push(tab);
    }
    const streams = () => connectionsTo(house);
    await eventually(async () => ((await streams()) === 1 ? true : undefined));
    await pages[0]?.close();
    await eventually(async () => ((await streams()) === 1 ? true : undefined));
    await pages[9]?.getByRole("link", { name: "DAGs" }).click();
    await pages[9]?.waitForURL("**/t/acme/dags");
  }, 60_000);

  test("signing out ends it in every tab's next step", async () => {
    const { page } = await visit();
    const other = await page.context().newPage();
    await other.goto("/t/acme");
    await other.getByRole("navigation", { name: "Pages of acme" }).waitFor();
    await page.getByRole("button", { name: /^admin/ }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in to Airlock" }).waitFor();
    await other.reload();
    await other.getByRole("heading", { name: "Sign in to Airlock" }).waitFor();
  });
});

/** Open live streams, as the server counts them. */
async function connectionsTo(house: House): Promise<number> {
  const text = await (await fetch(`${house.url}/metrics`)).text();
  return Number(/^airlock_sse_clients (\d+)/m.exec(text)?.[1] ?? "-1");
}
