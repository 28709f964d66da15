/** What changed in a DAG, where its time went and how its code reads, as a person looks at it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { axe } from "../kit/axe.ts";
import { closeBrowser, noChromium, openVisitor, type Visitor } from "../kit/browser.ts";
import { type Clone, cloneRepository, type House, openHouse } from "../kit/house.ts";

const shapes = (report: string, retries: number): string => `
import time
from airflow.sdk import dag, task, task_group

@dag(schedule=None)
def shapes():
    @task
    def extract():
        return [1, 2, 3]

    @task_group
    def clean():
        @task
        def check(rows):
            time.sleep(0.3)
            return rows

        @task(retries=${String(retries)})
        def repair(rows):
            return rows

        return repair(check(extracted))

    @task
    def each(row):
        return row * 2

    @task
    def ${report}():
        print("a report")

    extracted = extract()
    extracted >> ${report}()
    each.expand(row=clean())

shapes()
`;

describe.skipIf(noChromium)("a DAG's graph and code", () => {
  let house: House;
  let clone: Clone;
  let visitor: Visitor;
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
    const file = join(clone.folder, "dags/shapes.py");
    writeFileSync(file, shapes("old_report", 1));
    await pushLive("Shapes, at first");
    await house.must("trigger", "acme/shapes", "--run-id", "first", "--wait");
    writeFileSync(file, shapes("fresh_report", 3));
    await pushLive("A fresh report <img onerror=alert(1)>");
    visitor = await openVisitor({
      url: house.url,
      as: { name: "admin", password: house.password },
    });
  }, 240_000);
  afterAll(async () => {
    await visitor.close();
    await closeBrowser();
    await house.remove();
  });

  const node = (name: string | RegExp) =>
    visitor.page.getByRole("group", { name: /^Graph of tasks/ }).getByRole("button", { name });

  test("the graph shows the newest run's states on the live version, and follows a run that begins", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/shapes?tab=graph");
    await node(/^extract.*success/).waitFor();
    // The run is of the version before: what it had not has no state.
    await page.getByText(/The run ran version 1, the graph is version 2/).waitFor();
    await node(/^fresh_report.*@task/).waitFor();
    await house.must("trigger", "acme/shapes", "--run-id", "second", "--wait");
    await node(/^fresh_report.*success/).waitFor();
    await node(/^each.*× 3 · 3 success/).waitFor();
    expect(await page.getByText(/The run ran version/).count()).toBe(0);
  }, 60_000);

  test("a group folds and unfolds, and what led to its tasks leads to it", async () => {
    const { page } = visitor;
    await page.getByRole("button", { name: "Fold group clean" }).click();
    await node(/^Folded group clean.*2 tasks · 2 success/).waitFor();
    expect(await node(/^clean\.check/).count()).toBe(0);
    expect(new URL(page.url()).searchParams.get("folded")).toBe("*");
    await node(/^extract/).focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await page.waitForURL(/task=/);
    await page.reload();
    await node(/^Folded group clean/).waitFor();
    await node(/^Folded group clean/).focus();
    await page.keyboard.press("Space");
    await node(/^clean\.check/).waitFor();
  }, 60_000);

  test("a search brings a task into the middle, its panel says what it is and opens it", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/shapes?tab=graph&folded=*");
    await node(/^Folded group clean/).waitFor();
    await page.keyboard.press("/");
    await page.getByRole("combobox", { name: "Find a task" }).fill("REPAIR");
    await page.getByRole("option", { name: /clean\.repair/ }).waitFor();
    await page.keyboard.press("Enter");
    await node(/^clean\.repair/).waitFor();
    const about = page.getByRole("complementary", { name: "About the graph" });
    await about.getByText("all_success").waitFor();
    await about.getByText(/^3, 5 min/).waitFor();
    await about.getByRole("button", { name: "Only around it" }).click();
    await page.getByText("Only what is around clean.repair").waitFor();
    expect(await node(/^extract/).count()).toBe(0);
    await about.getByRole("link", { name: "Open task" }).click();
    await page.waitForURL(/\/dags\/shapes\/runs\/second\/tasks\/clean\.repair/);
  }, 60_000);

  test("the critical path of a finished run is told in order, with where the time went", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/shapes?tab=graph&run=first");
    await page.getByRole("button", { name: "Critical path" }).click();
    const steps = page.getByRole("list", { name: "Critical path" }).getByRole("button");
    await steps.first().waitFor();
    expect((await steps.allInnerTexts()).map((text) => text.split("\n")[1])).toEqual([
      "extract",
      "clean.check",
      "clean.repair",
      "each",
    ]);
    await node(/^clean\.check.*2\. on the critical path/).waitFor();
    expect(await node(/^old_report.*critical/).count()).toBe(0);
  }, 60_000);

  test("two versions are compared: tasks by sign and colour, each change in words", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/shapes?tab=graph&run=-");
    await page.getByLabel("Compare to").selectOption("1");
    await node(/^fresh_report.*added/).waitFor();
    await node(/^old_report.*removed/).waitFor();
    await node(/^clean\.repair.*changed/).waitFor();
    const changes = page.getByRole("list", { name: "Changes" });
    await changes.getByText("retries: 1 → 3").waitFor();
    expect(await node(/^extract.*(added|removed|changed)/).count()).toBe(0);
    await page.getByRole("button", { name: "As a list" }).click();
    await page.getByRole("grid", { name: "Tasks" }).getByText("removed").waitFor();
    await page.goto("/t/acme/dags/shapes?tab=graph&against=77");
    await page.getByText("There is no version 77 of shapes").waitFor();
  }, 60_000);

  test("the code at a version, with who pushed it, a link to a line, and the difference", async () => {
    const { page } = visitor;
    await page.goto("/t/acme/dags/shapes?tab=code");
    const code = page.getByRole("region", { name: "Code of dags/shapes.py" });
    await code.getByText("fresh_report").first().waitFor();
    await page.getByText("A fresh report <img onerror=alert(1)>").waitFor();
    await page.getByText(/^A team, /).waitFor();
    await code.getByRole("button", { name: "Line 12", exact: true }).click();
    await page.waitForURL(/line=12/);
    await page.reload();
    await code.locator("[aria-current=location][data-line='12']").waitFor();
    // Colours come a moment later than the text.
    await code.locator("span[style*=color]", { hasText: "import" }).first().waitFor();

    await page.getByLabel("Compare to").selectOption("1");
    const difference = page.getByRole("region", { name: /^Difference of dags\/shapes\.py/ });
    await difference.getByRole("deletion").filter({ hasText: "def old_report" }).waitFor();
    await difference.getByRole("insertion").filter({ hasText: "def fresh_report" }).waitFor();
    expect(await difference.locator("ins mark").allInnerTexts()).toContain("3");
    await page.getByText("3 lines added, 3 removed").waitFor();
    const fold = difference.getByRole("button", { name: /equal lines; show them/ });
    const folds = await fold.count();
    await fold.first().click();
    await expect.poll(() => fold.count()).toBe(folds - 1);
    await page.setViewportSize({ width: 390, height: 844 });
    await difference.getByRole("deletion").filter({ hasText: "def old_report" }).waitFor();
    await page.setViewportSize({ width: 1280, height: 800 });
    expect(visitor.complaints).toEqual([]);
  }, 60_000);

  test.each(["light", "dark"] as const)(
    "nothing is wrong for axe in %s",
    async (theme) => {
      const { page } = visitor;
      await page.emulateMedia({ colorScheme: theme });
      for (const [address, ready] of [
        ["?tab=graph&against=1&task=clean.repair&critical=true&run=first&version=2", "Changes"],
        ["?tab=graph&view=list", "Tasks"],
        ["?tab=code&line=3", "Code of dags/shapes.py"],
        ["?tab=code&against=1", "Difference of dags/shapes.py"],
      ] as const) {
        await page.goto(`/t/acme/dags/shapes${address}`);
        await page.getByLabel(ready).first().waitFor();
        if (address.includes("against=1&task")) await node(/^clean\.repair/).waitFor();
        if (address.includes("code"))
          await page.locator("code span[style*=color]").first().waitFor();
        expect(await axe(page)).toEqual([]);
      }
      expect(visitor.complaints).toEqual([]);
    },
    60_000,
  );
});
