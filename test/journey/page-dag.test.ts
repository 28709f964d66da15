/** A DAG's page as a team uses it: its grid, live; what it says of itself; and what it says when something is wrong. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Locator } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { axe } from "../kit/axe.ts";
import { closeBrowser, noChromium, openVisitor, type Visitor } from "../kit/browser.ts";
import { type Clone, cloneRepository, type House, openHouse } from "../kit/house.ts";

// Half a day away: a time that has just passed is made up for at the first deploy.
const hour = (new Date().getUTCHours() + 12) % 24;
const long = `long_${"x".repeat(245)}`;
const text = (more: string): string => `
import time
from airflow.sdk import Param, Variable, dag, task, task_group

DOC = """
# Orders

<script>document.title = "owned"</script>
<img src=x onerror="document.title='owned'">

[a trap](javascript:document.title='owned') [the runbook](https://example.org/runbook) ![a spy](https://example.org/spy.png)

| who | when |
|-----|------|
| Ann | Monday |
"""

@dag(schedule="0 ${hour} * * *", catchup=False, tags=["etl"], doc_md=DOC, default_args={"owner": "sales"},
     params={"rows": Param(3, type="integer", description="How many <b>rows</b>")})
def orders():
    @task
    def extract():
        return [1, 2, 3]

    @task_group(tooltip="What comes in is <i>dirty</i>")
    def clean():
        @task
        def check(rows):
            return rows

        @task
        def repair(rows):
            time.sleep(1.5)
            while Variable.get("hold", default="no") == "yes":
                time.sleep(0.1)
            return rows

        return repair(check(extracted))

    @task
    def each(row):
        return row * 2

    extracted = extract()
    each.expand(row=clean())
${more}
orders()

@dag(schedule=None)
def prices():
    @task
    def load():
        raise KeyError("no price in row 7")
    load()
prices()

@dag(schedule=None, dag_id="${long}", dag_display_name="${"very_long_".repeat(21)} \\u202Ekcab <img src=x onerror=alert(1)>")
def wide():
    @task(task_id="${"task_".repeat(50)}")
    def one():
        return 1
    @task(task_display_name="\\u05d0\\u05d1\\u05d2 \\u202Eback")
    def two():
        return 2
    one() >> two()
wide()
`;
const report = `
    @task
    def report():
        print("a report")
    extracted >> report()
`;

describe.skipIf(noChromium)("a DAG's page", () => {
  let house: House;
  let clone: Clone;
  let visitor: Visitor;
  const strangers: string[] = [];
  const write = (body: string): void =>
    writeFileSync(join(clone.folder, "dags", "orders.py"), body);
  const pushLive = async (message: string): Promise<void> => {
    const { stderr } = await clone.push(message);
    if (!stderr.includes("live in")) throw new Error(stderr);
  };
  beforeAll(async () => {
    house = await openHouse();
    await house.must("tenants", "create", "acme");
    await house.must("repositories", "create", "acme/pipelines");
    clone = await cloneRepository(house, "acme", "pipelines");
    mkdirSync(join(clone.folder, "dags"));
    write(text(""));
    await pushLive("Orders, at first");
    await Promise.all([
      house.must("trigger", "acme/orders", "--run-id", "first", "--wait"),
      house.airlock("trigger", "acme/prices", "--run-id", "bad", "--wait"),
    ]);
    write(text(report));
    await pushLive("Orders, with a report");
    await house.must("trigger", "acme/orders", "--run-id", "second", "--wait");
    visitor = await openVisitor({
      url: house.url,
      as: { name: "admin", password: house.password },
    });
    visitor.page.on("request", (request) => {
      if (new URL(request.url()).origin !== new URL(house.url).origin)
        strangers.push(request.url());
    });
  }, 240_000);
  afterAll(async () => {
    await visitor.close();
    await closeBrowser();
    await house.remove();
  });

  const gridBox = (dag = "orders"): Locator =>
    visitor.page.getByRole("grid", { name: `Grid of ${dag}: tasks by runs` });
  const rowOf = (name: string): Locator =>
    gridBox()
      .getByRole("row")
      .filter({ has: visitor.page.getByRole("rowheader", { name, exact: true }) });
  /** What a screen reader is told of a task in the run that is so many columns from the newest. */
  const cellOf = (name: string, fromNewest = 0): Locator =>
    rowOf(name)
      .getByRole("gridcell")
      .nth(-1 - fromNewest);
  const rowNames = (): Promise<string[]> => gridBox().getByRole("rowheader").allInnerTexts();
  /** Where the mouse finds it. `name` undefined: the bar of the run; `fromNewest` undefined: the name. */
  const placeOf = async (
    name: string | undefined,
    fromNewest: number | undefined,
  ): Promise<{ readonly x: number; readonly y: number }> => {
    const box = await gridBox().boundingBox();
    if (box === null) throw new Error("There is no grid to be seen.");
    const row = name === undefined ? -1 : Number(await rowOf(name).getAttribute("aria-rowindex"));
    const columns = Number(await gridBox().getAttribute("aria-colcount")) - 1;
    const labels =
      box.width < 600 ? 150 : Math.round(Math.min(320, Math.max(200, box.width * 0.22)));
    return {
      x:
        fromNewest === undefined
          ? box.x + 60
          : box.x + labels + (columns - 1 - fromNewest) * 18 + 9,
      y: box.y + (row < 0 ? 40 : 78 + (row - 2) * 20 + 10),
    };
  };
  const click = async (name: string | undefined, fromNewest: number | undefined): Promise<void> => {
    const { x, y } = await placeOf(name, fromNewest);
    await visitor.page.mouse.click(x, y);
  };
  const hover = async (name: string | undefined, fromNewest: number | undefined): Promise<void> => {
    const { x, y } = await placeOf(name, fromNewest);
    await visitor.page.mouse.move(x, y);
  };
  const dock = (name: string): Locator =>
    visitor.page.getByRole("complementary", { name, exact: true });

  test("runs are columns and tasks are rows; a cell opens by mouse, and the ways on from it", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/orders");
    await page.getByText("5 tasks, 2 runs").waitFor();
    expect(await rowNames()).toEqual([
      "extract",
      "Group clean",
      "clean.check",
      "clean.repair",
      "report",
      "each",
    ]);
    expect(await cellOf("clean.repair").innerText()).toBe("success");
    // The version before did not have it.
    expect(await cellOf("report", 1).innerText()).toBe("not in this run");
    await click("clean.repair", 0);
    const task = dock("Task clean.repair of run second");
    await task.getByText("1 of 1").waitFor();
    expect(Object.fromEntries(new URL(page.url()).searchParams)).toEqual({
      run: "second",
      task: "clean.repair",
    });
    await task.getByRole("link", { name: "Log, in its run" }).click();
    await page.waitForURL("**/dags/orders/runs/second?task=clean.repair");
    await page.goBack();
    await task.getByRole("link", { name: "Task page" }).click();
    await page.waitForURL("**/dags/orders/runs/second/tasks/clean.repair**");
    await page.goBack();
    await task.getByRole("button", { name: "Close" }).click();
    await task.waitFor({ state: "detached" });
    await click("each", 0);
    await dock("Task each of run second").getByText("3 mapped instances").waitFor();
  }, 40_000);

  test("by keyboard alone: along the cells, into one, back; groups fold and unfold", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/orders");
    await page.getByText("5 tasks, 2 runs").waitFor();
    await gridBox().focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    await dock("Task clean.check of run first").waitFor();
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    await rowOf("clean.check").waitFor({ state: "detached" });
    expect(await rowNames()).toEqual(["extract", "Group clean", "report", "each"]);
    // Of what is folded, the state to look at first.
    expect(await cellOf("Group clean").innerText()).toBe("success");
    await page.keyboard.press("ArrowRight");
    await rowOf("clean.check").waitFor();
    await click("Group clean", undefined);
    await rowOf("clean.check").waitFor({ state: "detached" });
    await page.reload();
    await rowOf("Group clean").waitFor();
    expect(await rowOf("clean.check").count()).toBe(0);
    await page.keyboard.press("]");
    await rowOf("clean.check").waitFor();
    await page.keyboard.press("[");
    await rowOf("clean.check").waitFor({ state: "detached" });

    await page.keyboard.press("/");
    await page.keyboard.type("REPAIR");
    await page.getByText("5 tasks, 2 runs, 1 found").waitFor();
    await rowOf("each").waitFor({ state: "detached" });
    expect(await rowNames()).toEqual(["Group clean", "clean.repair"]);
  }, 40_000);

  test("under the pointer it is said in words: states, times, and which commit changed", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/orders");
    await page.getByText("5 tasks, 2 runs").waitFor();
    const canvas = (): Promise<string> =>
      page.evaluate<string>("document.querySelector('canvas').toDataURL()");
    await hover(undefined, 0);
    await page.getByText(/^commit [0-9a-f]{8}, version 2 \(was [0-9a-f]{8}\)$/).waitFor();
    await hover("each", 0);
    await page
      .getByText(/^3\s*success$/)
      .first()
      .waitFor();
    await page.mouse.move(2, 2);
    const byState = await canvas();
    await page.getByRole("combobox", { name: "Colour by" }).selectOption("duration");
    await page.getByText("well below its median").waitFor();
    await expect.poll(canvas).not.toBe(byState);
    await hover("clean.repair", 0);
    await page.getByText(/^ran [12]\.\d s \(median [12]\.\d s\)$/).waitFor();
    await page.mouse.move(2, 2);
    const byDuration = await canvas();
    await page.getByRole("combobox", { name: "Colour by" }).selectOption("wait");
    await page.getByText("1 h and more").waitFor();
    await expect.poll(canvas).not.toBe(byDuration);
    await hover("clean.repair", 0);
    await page.getByText(/^waited /).waitFor();
    await page.getByRole("combobox", { name: "State of run" }).selectOption("failed");
    await page.getByText("No run is like this.").waitFor();
  }, 40_000);

  test("a run that begins elsewhere grows in the grid, cell by cell, to its end", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/orders");
    await page.getByText("5 tasks, 2 runs").waitFor();
    await page.evaluate("window.same = true");
    await house.must("variables", "create", "acme/hold", "yes");
    await house.must("trigger", "acme/orders", "--run-id", "third");
    await page.getByText("5 tasks, 3 runs").waitFor();
    await cellOf("clean.repair").getByText("running").waitFor();
    await click("clean.repair", 0);
    await dock("Task clean.repair of run third").getByText("running").first().waitFor();
    await house.must("variables", "delete", "acme/hold");
    await cellOf("clean.repair").getByText("success").waitFor();
    await dock("Task clean.repair of run third").getByText("success").first().waitFor();
    await cellOf("each").getByText("success").waitFor();
    await page.getByRole("columnheader", { name: "third: success" }).waitFor();
    expect(await page.evaluate("window.same")).toBe(true);
    await click(undefined, 0);
    const run = dock("Run third");
    await run
      .getByText(/^7\s*success$/)
      .first()
      .waitFor();
    await run.getByRole("link", { name: "Open the run" }).click();
    await page.waitForURL("**/t/acme/dags/orders/runs/third");
  }, 40_000);

  test("trends are drawn, of one run too; failures are told by cause; without a run it says what would show", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/orders?tab=trends&days=1");
    await page.getByText("3 runs ended, 0 failed; 2 commits changed the DAG").waitFor();
    await page.getByText(/^How long runs take, 1 step; at the end: .*median [1-9]/).waitFor();
    expect(await page.locator("figure canvas").count()).toBeGreaterThan(1);
    await page.getByText("Only scheduled runs land: there were none.").waitFor();
    await page.goto("/t/acme/dags/prices?tab=trends");
    await page.getByText("1 run ended, 1 failed; 2 commits changed the DAG").waitFor();
    await page.getByText(/KeyError.*no price in row/).waitFor();
    await page.getByRole("listitem").filter({ hasText: "KeyError" }).getByRole("link").click();
    await page.waitForURL("**/dags/prices/runs/bad?task=load");
    await page.goto(`/t/acme/dags/${long}?tab=trends`);
    await page.getByText("No run ended in this time.").waitFor();
    await page.keyboard.press("1");
    await page.getByText("This DAG has not run yet.").waitFor();
  }, 40_000);

  test("what the file says of itself is shown, and does nothing", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/orders?tab=details");
    await page.getByRole("heading", { name: "Orders" }).waitFor();
    const content = page.locator("#content");
    await content.getByText('<script>document.title = "owned"</script>').waitFor();
    await content.getByText("[picture: a spy, https://example.org/spy.png]").waitFor();
    expect(await content.locator("img, script, iframe").count()).toBe(0);
    expect(await page.getByRole("link", { name: "a trap" }).count()).toBe(0);
    const runbook = page.getByRole("link", { name: "the runbook" });
    expect(await runbook.getAttribute("rel")).toContain("noopener");
    await page.getByRole("cell", { name: "Monday" }).waitFor();
    await page.getByText("How many <b>rows</b>").waitFor();
    await page.getByText("a trap").click();
    expect(await page.title()).not.toContain("owned");
    expect(strangers).toEqual([]);
  }, 40_000);

  test("each tab has a key; deploys say what ran first on which commit; the switch pauses", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/orders");
    await page.getByText("5 tasks, 3 runs").waitFor();
    const tabs = page.getByRole("navigation", { name: "Parts of the DAG" });
    for (const [at, name] of ["Grid", "Graph", "Trends", "Code", "Details", "Deploys"].entries()) {
      await page.keyboard.press(String(at + 1));
      await tabs.locator("[aria-current=page]").getByText(name).waitFor();
    }
    const newest = page.getByRole("row", { name: /^2 newest/ });
    await newest.getByRole("link", { name: /second/ }).waitFor();
    await newest.getByRole("cell", { name: "2", exact: true }).waitFor();
    await newest.getByRole("link", { name: "code" }).click();
    await page.waitForURL(/tab=code.*version=2/);
    const pause = page.getByRole("switch", { name: "orders runs by its schedule" });
    expect(await pause.getAttribute("aria-checked")).toBe("true");
    await pause.click();
    await page.getByText("paused: no run is planned").waitFor();
    expect(await house.must("dags", "get", "acme/orders", "-o", "json")).toMatch(
      /"is_paused": true/,
    );
    await house.must("unpause", "acme/orders");
    await page.getByText(/^next /).waitFor();
  }, 40_000);

  test.each(["light", "dark"] as const)(
    "nobody is kept out, %s",
    async (theme) => {
      const { page } = visitor;
      await page.emulateMedia({ colorScheme: theme });
      const spill = (): Promise<number> =>
        page.evaluate<number>(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
      for (const [dag, tab, seen] of [
        ["orders", "grid&run=second&task=each", "3 mapped instances"],
        ["orders", "grid&by=duration&run=third", "well below its median"],
        ["prices", "trends", "Failures by cause"],
        ["orders", "details", "the runbook"],
        ["orders", "deploys", "First run on it"],
        [long, "grid", "This DAG has not run yet."],
      ] as const) {
        await page.setViewportSize({ width: 1280, height: 800 });
        await page.goto(`/t/acme/dags/${dag}?tab=${tab}`);
        await page.getByText(seen).first().waitFor();
        expect(await axe(page), `${dag} ${tab}`).toEqual([]);
        await page.setViewportSize({ width: 390, height: 800 });
        await page.getByText(seen).first().waitFor({ state: "attached" });
        // What differs between the themes is colours, which were looked at above.
        if (theme === "light") expect(await axe(page), `${dag} ${tab}, phone`).toEqual([]);
        expect(await spill(), `${dag} ${tab}, phone`).toBe(0);
      }
      await page.setViewportSize({ width: 1280, height: 800 });
    },
    60_000,
  );

  test("a push that cannot be read, one that takes it out, and a deletion are said while one looks", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/orders");
    await page.getByText("5 tasks, 3 runs").waitFor();
    write(`${text(report)}\nthis is no python\n`);
    const broken = await clone.push("a typing error");
    const line = /dags\/orders\.py:(\d+): /.exec(broken.stderr)?.[1];
    const alert = page.getByRole("alert").filter({ hasText: "could not be loaded" });
    await alert.getByText(`dags/orders.py:${String(line)}`).waitFor();
    await alert.getByText(/syntax/i).waitFor();
    await page.getByText("5 tasks, 3 runs").waitFor();

    write("# Nothing is here any more.\n");
    await clone.push("orders is no more");
    await page.getByText("This DAG is retired").waitFor();
    await alert.waitFor({ state: "detached" });
    expect(await page.getByRole("button", { name: "Trigger" }).count()).toBe(0);
    expect(await cellOf("extract").innerText()).toBe("success");
    expect(await axe(page)).toEqual([]);

    await house.must("dags", "delete", "acme/orders");
    await page.getByText("This DAG was deleted while its page was open").waitFor();
    expect(await axe(page)).toEqual([]);
    await page.reload();
    await page
      .getByText(/no such DAG|not found|There is no/i)
      .first()
      .waitFor();
    expect(visitor.complaints).toEqual([]);
    expect(strangers).toEqual([]);
  }, 40_000);
});
