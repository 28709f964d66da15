/** Two pages as people use them all day: what needs somebody, and the list of DAGs. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { axe } from "../kit/axe.ts";
import { closeBrowser, noChromium, openVisitor, type Visitor } from "../kit/browser.ts";
import { type Clone, cloneRepository, type House, openHouse } from "../kit/house.ts";

// Due within the hour, and its last time long enough ago that none is made up for at the first deploy.
const minute = (new Date().getUTCMinutes() + 25) % 60;
const dags = `
from airflow.sdk import dag, task

def failing(name):
    @dag(dag_id=name, schedule="${minute} * * * *", catchup=False, tags=["etl"], default_args={"owner": "admin"})
    def made():
        @task
        def load(params=None):
            raise KeyError(f"no price in row {len(name)} of /data/in/{name}.csv")
        load()
    made()

failing("orders")
failing("orders_of_shops")

@dag(schedule=None, dag_display_name="<img src=x onerror=document.title='owned'> \\u202Eback", tags=["<b>bold</b>"])
def odd():
    @task
    def fine():
        return 1
    fine()
odd()

for i in range(150):
    @dag(dag_id=f"many_{i:03}", schedule=None, tags=["filler"])
    def one():
        @task
        def nothing():
            pass
        nothing()
    one()
`;

describe.skipIf(noChromium)("the lists", () => {
  let house: House;
  let clone: Clone;
  let visitor: Visitor | undefined;
  const visit = async (
    path: string,
    more: Partial<Parameters<typeof openVisitor>[0]> = {},
  ): Promise<Visitor["page"]> => {
    visitor = await openVisitor({
      url: house.url,
      as: { name: "admin", password: house.password },
      ...more,
    });
    await visitor.page.goto(path);
    await visitor.page.getByRole("heading", { level: 1 }).waitFor();
    return visitor.page;
  };

  beforeAll(async () => {
    house = await openHouse();
    for (const tenant of ["acme", "bare"]) {
      await house.must("tenants", "create", tenant);
      await house.must("repositories", "create", `${tenant}/pipelines`);
    }
    clone = await cloneRepository(house, "acme", "pipelines");
    mkdirSync(join(clone.folder, "dags"));
    writeFileSync(join(clone.folder, "dags", "all.py"), dags);
    writeFileSync(
      join(clone.folder, "dags", "broken.py"),
      "from airflow.sdk import dag\n\nthis is no python\n",
    );
    const pushed = await clone.push("all");
    expect(pushed.stderr).toMatch(/live in \d+ ms: 153 DAGs/);
    expect((await house.airlock("trigger", "acme/orders", "--run-id", "one", "--wait")).code).toBe(
      1,
    );
    await house.must("trigger", "acme/odd", "--run-id", "fine", "--wait");
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

  test("the list filters as one types, explains what it does not know, and keeps the question in its address", async () => {
    const page = await visit("/t/acme/dags");
    const grid = page.getByRole("grid", { name: "DAGs of acme" });
    await page.getByText("153 DAGs", { exact: true }).waitFor();
    expect(await grid.getAttribute("aria-rowcount")).toBe("153");
    // Of a long list only what is in sight exists.
    expect(await grid.getByRole("row").count()).toBeLessThan(60);

    await page.keyboard.press("/");
    const box = page.getByRole("combobox", { name: "Filter the DAGs" });
    await box.pressSequentially("state:failed");
    await page.getByText("1 of 153 DAGs").waitFor();
    await grid.getByRole("link", { name: "orders", exact: true }).waitFor();
    await page.waitForURL(/[?&]q=state/);
    await page.reload();
    await page.getByText("1 of 153 DAGs").waitFor();
    expect(await box.inputValue()).toBe("state:failed");

    await box.fill("colour:red -tag:filler");
    await page.getByText("There is no “colour:”", { exact: false }).waitFor();
    await page.getByText("3 of 153 DAGs").waitFor();

    await box.fill("");
    await box.pressSequentially("own");
    await page.getByRole("option", { name: /owner:/ }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    expect(await box.inputValue()).toBe("owner:");
    await page.getByRole("option", { name: /owner:me/ }).click();
    await page.getByText("2 of 153 DAGs").waitFor();

    await page.getByRole("link", { name: /^Failing/ }).click();
    await page.getByText("1 of 153 DAGs").waitFor();
    await box.fill("nothing is called so");
    await page.getByText("No DAG is like that.").waitFor();
    await page.getByRole("link", { name: "Show all of them" }).click();
    await page.getByText("153 DAGs", { exact: true }).waitFor();
  });

  test("by keyboard alone: to the box, to the list, along it, into a DAG and its last run", async () => {
    const page = await visit("/t/acme/dags?q=-tag:filler");
    const grid = page.getByRole("grid", { name: "DAGs of acme" });
    await grid.waitFor();
    const focusedRow = grid.locator("[aria-selected=true]");
    expect(await focusedRow.innerText()).toContain("onerror");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    expect(await focusedRow.getByRole("link").first().innerText()).toBe("orders");
    await page.keyboard.press("f");
    await focusedRow.getByRole("button", { name: "Favourite orders", pressed: true }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL("**/t/acme/dags/orders");
    await page.goBack();
    await grid.waitFor();
    // The favourite comes first now, on this machine, also after a reload.
    await page.reload();
    expect(await focusedRow.getByRole("link").first().innerText()).toBe("orders");
    await page.keyboard.press("o");
    await page.waitForURL("**/t/acme/dags/orders/runs/one");
  });

  test("a column sorts, and the other way round; a bar opens its run", async () => {
    const page = await visit("/t/acme/dags?q=-tag:filler");
    const head = page.getByRole("columnheader", { name: "DAG" });
    const first = page.getByRole("grid").locator("[aria-rowindex='1']");
    await head.getByRole("button").click();
    await head.and(page.locator("[aria-sort=ascending]")).waitFor();
    await head.getByRole("button").click();
    await head.and(page.locator("[aria-sort=descending]")).waitFor();
    expect(await first.getByRole("link").first().innerText()).toBe("orders_of_shops");
    await page.waitForURL(/sort=name.*down=true/);
    const bars = page.getByRole("button", { name: "last run: 1 success" });
    const box = await bars.boundingBox();
    await bars.click({ position: { x: (box?.width ?? 0) - 4, y: 12 } });
    await page.waitForURL("**/t/acme/dags/odd/runs/fine");
  });

  test("a run that starts and ends shows without a reload, and so does a DAG that is paused elsewhere", async () => {
    const page = await visit("/t/acme/dags?q=many_007");
    const row = page.getByRole("grid").locator("[aria-rowindex='1']");
    await row.getByText("no runs").waitFor();
    await house.must("trigger", "acme/many_007", "--run-id", "live", "--wait");
    await row.getByRole("button", { name: "last run: 1 success" }).waitFor();
    await house.must("pause", "acme/many_007");
    await row.getByText("paused").waitFor();
    await page.getByRole("link", { name: /^Paused/ }).waitFor();
  });

  test("a name that is markup is text", async () => {
    const page = await visit("/t/acme/dags?q=odd");
    await page.getByRole("link", { name: /<img src=x onerror/ }).waitFor();
    await page.getByRole("link", { name: "<b>bold</b>" }).waitFor();
    expect(await page.locator("#content img").count()).toBe(0);
    expect(await page.title()).toContain("DAGs");
  });

  test("a tenant without DAGs says how to get one", async () => {
    const page = await visit("/t/bare/dags");
    await page.getByText(`git clone ${house.url}/git/bare/pipelines.git`).waitFor();
    await page.getByText("BashOperator(task_id=").waitFor();
    expect(await axe(page)).toEqual([]);
    // What it teaches is true.
    const text = await page.getByLabel("Write dags/hello.py").innerText();
    const bare = await cloneRepository(house, "bare", "pipelines");
    mkdirSync(join(bare.folder, "dags"));
    writeFileSync(join(bare.folder, "dags", "hello.py"), `${text}\n`);
    expect((await bare.push("A first DAG")).stderr).toMatch(/live in \d+ ms: 1 DAG \(1 new\)/);
    await page.getByRole("link", { name: "hello", exact: true }).waitFor();
  }, 60_000);

  test("failures of one cause are one thing to do, which leads to the newest log; the next one comes by itself", async () => {
    const page = await visit("/t/acme");
    const failing = page.getByRole("link", { name: /KeyError: .*no price in row 6/ });
    await failing.waitFor();
    await page.getByText("once,").waitFor();
    const file = page.getByRole("link", { name: "dags/broken.py:3 cannot be read" });
    await file.waitFor();
    await house.airlock("trigger", "acme/orders_of_shops", "--run-id", "two", "--wait");
    const newest = page.getByRole("link", { name: /KeyError: .*no price in row 15/ });
    await newest.waitFor();
    await page.getByText("2 times,").waitFor();
    expect(await failing.count()).toBe(0);
    // Along the list by keyboard.
    await page.keyboard.press("j");
    expect(await page.locator(":focus").innerText()).toContain("no price in row 15");
    await page.keyboard.press("j");
    expect(await page.locator(":focus").innerText()).toContain("dags/broken.py:3");
    await page.keyboard.press("k");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/t/acme/dags/orders_of_shops/runs/two/tasks/load?**");
  });

  test("beside it: how full it is, what comes, what was deployed; of all tenants as well", async () => {
    const page = await visit("/t/acme");
    await page.getByRole("meter", { name: "Tasks of acme" }).waitFor();
    await page.getByRole("img", { name: /runs planned in the next hour/ }).waitFor();
    await page.getByText("153 new, 1 error").waitFor();
    await page.getByRole("link", { name: "Airlock: what needs attention, everywhere" }).click();
    await page.waitForURL((at) => at.pathname === "/");
    await page.getByRole("link", { name: /^acme\s*2 to do$/ }).waitFor();
    await page.getByRole("link", { name: /KeyError/ }).waitFor();
  });

  test("where nothing is wrong it says so, and what would show", async () => {
    await house.must("tenants", "create", "calm");
    const page = await visit("/t/calm");
    await page.getByText("Nothing needs you.").waitFor();
    await page.getByText("failures of the last day", { exact: false }).waitFor();
  });

  test.each(["light", "dark"] as const)(
    "nobody is kept out, %s",
    async (theme) => {
      const page = await visit("/t/acme/dags?q=colour:x", { theme });
      await page.getByRole("grid").waitFor();
      expect(await axe(page)).toEqual([]);
      await page.getByRole("combobox", { name: "Filter the DAGs" }).fill("st");
      await page.getByRole("option", { name: /state:/ }).waitFor();
      expect(await axe(page)).toEqual([]);
      for (const path of ["/t/acme?past=true", "/"]) {
        await page.goto(path);
        await page.getByText("Last deploys").waitFor();
        expect(await axe(page)).toEqual([]);
      }
      // A phone: nothing is wider than it.
      await page.setViewportSize({ width: 390, height: 800 });
      for (const path of ["/t/acme/dags", "/t/acme", "/"]) {
        await page.goto(path);
        await page.getByRole("heading", { level: 1 }).waitFor();
        await page.getByRole("grid").or(page.getByText("Last deploys")).first().waitFor();
        expect(await axe(page)).toEqual([]);
        const spill = await page.evaluate<number>(
          "document.querySelector('#content').scrollWidth - document.querySelector('#content').clientWidth",
        );
        expect(spill).toBe(0);
      }
    },
    60_000,
  );
});
