/** What a tenant may call things, a right that is withdrawn, a server that fails and a clock that is wrong: the page holds. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { closeBrowser, noChromium, openVisitor, type Visitor } from "../kit/browser.ts";
import { cloneRepository, type House, openHouse } from "../kit/house.ts";

const long = "d".repeat(250);
const longTask = "t".repeat(250);
const longRun = `r:${"~".repeat(248)}`;
const evil = `<img src=x onerror="window.alert('owned')">`;

const dags = `
from airflow.sdk import dag, task, Param

EVIL = ${JSON.stringify(evil)}
TURN = "\\u202eturned\\u2066 \\u200f"
WIDE = EVIL + TURN + "\\U0001F469\\u200d\\U0001F680" + "w" * 180

@dag(dag_id="d" * 250, dag_display_name=WIDE, description=WIDE * 5, doc_md=EVIL + "\\n\\n[x](javascript:alert(1))" + "z" * 500,
     tags=[EVIL, TURN + "x", "g" * 90], default_args={"owner": EVIL}, schedule=None,
     params={"p": Param(WIDE, type="string", description=WIDE, title=WIDE), "deep": {"a": [EVIL]}})
def odd():
    @task(task_id="t" * 250, task_display_name=WIDE, doc_md=EVIL)
    def speak():
        print("\\x1b[31mred\\x1b[0m nul \\x00 bell \\x07 " + WIDE)
        print("::group::" + WIDE)
        print("y" * 5000)
        print("::endgroup::")
        deep = EVIL
        for _ in range(18):
            deep = {WIDE[:100]: [deep, TURN]}
        return deep

    @task(task_display_name=TURN)
    def fail(given):
        raise ValueError("nul \\x00 " + WIDE + "v" * 3000)

    fail(speak())
odd()
`;

describe.skipIf(noChromium)("the page, with what is hostile or broken", () => {
  let house: House;
  let visitor: Visitor | undefined;
  const admin = (more: Partial<Parameters<typeof openVisitor>[0]> = {}): Promise<Page> =>
    open({ as: { name: "admin", password: house.password }, ...more });
  const open = async (more: Partial<Parameters<typeof openVisitor>[0]>): Promise<Page> => {
    visitor = await openVisitor({ url: house.url, ...more });
    return visitor.page;
  };

  beforeAll(async () => {
    house = await openHouse();
    await house.must("tenants", "create", "acme");
    await house.must("repositories", "create", "acme/pipelines");
    const clone = await cloneRepository(house, "acme", "pipelines");
    mkdirSync(join(clone.folder, "dags"));
    writeFileSync(join(clone.folder, "dags", "odd.py"), dags);
    expect((await clone.push(evil)).stderr).toMatch(/live in \d+ ms: 1 DAG/);
    const conf = JSON.stringify({ p: evil, deep: { a: ["\u202e", evil] }, [evil]: evil });
    const ran = ["trigger", `acme/${long}`, "--run-id", longRun, "--conf", conf, "--wait"];
    // It fails, as it should: its second task does.
    expect((await house.airlock(...ran)).code).toBe(1);
  }, 240_000);
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

  const dag = `/t/acme/dags/${long}`;
  const run = `${dag}/runs/${encodeURIComponent(longRun)}`;
  /** Address, and a word that is there once the page has its data. */
  const pages: readonly (readonly [string, RegExp])[] = [
    ["/", /ValueError/],
    ["/t/acme", /ValueError/],
    ["/t/acme/dags", /<img src=x/],
    [dag, /<img src=x/],
    ...["graph", "trends", "code", "details", "deploys"].map(
      (tab) => [`${dag}?tab=${tab}`, /<img src=x/] as const,
    ),
    [run, /<img src=x/],
    [`${run}?task=${longTask}`, /red nul/],
    ...["log", "xcom", "details", "rendered"].map(
      (tab) => [`${run}/tasks/${longTask}?tab=${tab}`, /<img src=x/] as const,
    ),
    [`${run}/tasks/fail`, /ValueError/],
    ["/t/acme/runs", /r:~~~/],
    ["/t/acme/deploys", /<img src=x/],
  ];

  test.each([
    [1280, "light"],
    [390, "dark"],
  ] as const)(
    "every name is text, and nothing is wider than the window of %i",
    async (width, theme) => {
      const page = await admin({ width, theme });
      await page.addInitScript("window.alert = () => { window.top.name = 'owned'; };");
      page.on("dialog", () => visitor?.complaints.push("a dialog opened"));
      for (const [path, word] of pages) {
        await page.goto(path);
        await page.locator("#content").getByText(word).first().waitFor({ state: "attached" });
        expect(await page.locator("#content img[src=x]").count(), path).toBe(0);
        expect(await page.locator("[href^='javascript:']").count(), path).toBe(0);
        expect(await page.evaluate("window.name"), path).toBe("");
        const spill =
          "document.documentElement.scrollWidth - document.documentElement.clientWidth + Math.max(0, document.body.scrollWidth - innerWidth)";
        expect(await page.evaluate(spill), path).toBe(0);
      }
    },
    120_000,
  );

  test("a right that is withdrawn ends what is open, at once", async () => {
    const page = await admin();
    // As the page itself asks: the server refuses what comes from elsewhere.
    const made = await page.evaluate<number>(`fetch("/api/platform/users", {
      method: "POST",
      headers: { "content-type": "application/json", "x-airlock-client": "ui" },
      body: JSON.stringify({ name: "bob", password: "a-long-password-of-bob" }),
    }).then(({ status }) => status)`);
    expect(made).toBe(201);
    await house.must("roles", "add", "bob", "viewer", "--tenant", "acme");
    await visitor?.close();
    const theirs = await open({ as: { name: "bob", password: "a-long-password-of-bob" } });
    await theirs.goto("/t/acme/dags");
    const name = theirs.getByText(/<img src=x/).first();
    await name.waitFor();
    await house.must("roles", "remove", "bob", "viewer", "--tenant", "acme");
    await name.waitFor({ state: "detached" });
    await theirs.getByText("It is not there, or not for you to see.").first().waitFor();
  }, 60_000);

  test("a server that fails is told in its own words, and one that is slow is waited for", async () => {
    const page = await admin();
    const lists = /\/t\/acme\/api\/ui\/dags(\?|$)/;
    let asked = 0;
    await page.route(lists, (route) => {
      asked += 1;
      return route.fulfill({
        status: 500,
        contentType: "application/json",
        body: JSON.stringify({ detail: "The disk is on fire." }),
      });
    });
    await page.goto("/t/acme/dags");
    await page.getByRole("alert").getByText("The disk is on fire.").waitFor();
    expect(asked).toBeGreaterThan(0);
    visitor?.complaints.splice(0);
    await page.unroute(lists);
    await page.getByRole("button", { name: "Try again" }).click();
    await page
      .getByText(/<img src=x/)
      .first()
      .waitFor();

    const { promise: gate, resolve: release } = Promise.withResolvers<void>();
    await page.route(lists, async (route) => {
      await gate;
      await route.continue();
    });
    await page.reload();
    await page.locator("#content [role=status]").first().waitFor();
    release();
    await page
      .getByText(/<img src=x/)
      .first()
      .waitFor();
  }, 60_000);

  test("a clock that is two hours wrong shows the ages that are right", async () => {
    const page = await admin();
    await page.addInitScript(`{
      const Real = Date;
      const off = -2 * 3600_000;
      globalThis.Date = class extends Real {
        constructor(...given) { if (given.length === 0) super(Real.now() + off); else super(...given); }
        static now() { return Real.now() + off; }
      };
    }`);
    await page.goto("/t/acme/runs");
    await page.getByText(/r:~~~/).first().waitFor();
    const ages = page.locator("#content").getByText(/^(\d+ (s|min)( \d+ s)? ago|just now|now)$/);
    await ages.first().waitFor();
    expect(await page.locator("#content").innerText()).not.toMatch(/\b[12] h\b|in \d+ (h|min)/);
  }, 60_000);
});
