/** What became of each push, as a person sees it: live at once, wrong with its lines, and back to an earlier commit. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { axe } from "../kit/axe.ts";
import { closeBrowser, noChromium, openVisitor, type Visitor } from "../kit/browser.ts";
import { type Clone, cloneRepository, type House, openHouse } from "../kit/house.ts";

describe.skipIf(noChromium)("the deploys page", () => {
  let house: House;
  let clone: Clone;
  let visitor: Visitor | undefined;
  const visit = async (more: Partial<Parameters<typeof openVisitor>[0]> = {}): Promise<Visitor> => {
    visitor = await openVisitor({
      url: house.url,
      as: { name: "admin", password: house.password },
      ...more,
    });
    return visitor;
  };
  const write = (name: string, text: string): void =>
    writeFileSync(join(clone.folder, "dags", name), text);
  const head = async (): Promise<string> => (await clone.git("rev-parse", "HEAD")).stdout.trim();

  beforeAll(async () => {
    house = await openHouse();
    await house.must("tenants", "create", "acme");
    await house.must("repositories", "create", "acme/pipelines");
    clone = await cloneRepository(house, "acme", "pipelines");
    mkdirSync(join(clone.folder, "dags"));
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

  const dag = (id: string, body = "print('one')"): string => `from airflow.sdk import dag, task

@dag(schedule=None)
def ${id}():
    @task
    def one():
        ${body}
    one()
${id}()
`;

  test("a push appears by itself, is looked at, is gone back from and comes back", async () => {
    const { page } = await visit();
    await page.goto("/t/acme/deploys");
    await page.getByText("Nothing was deployed yet").waitFor();
    expect(await axe(page)).toEqual([]);

    write("orders.py", dag("orders"));
    expect((await clone.push("Orders, at last")).code).toBe(0);
    const first = await head();
    const list = page.getByRole("grid", { name: "Deploys, newest first" });
    await list.getByText("Orders, at last").waitFor();
    await list.getByText("pushed by admin · 1 DAG: 1 new").waitFor();

    write("stock.py", dag("stock"));
    write("broken.py", `${dag("broken")}raise_it(3)\n`);
    expect((await clone.push("Stock <img src=x onerror=alert(1)>")).code).toBe(0);
    const second = await head();
    await list.getByText("1 error").waitFor();
    await list.getByText("Stock <img src=x onerror=alert(1)>").click();
    const detail = page.getByRole("article");
    await detail.getByText("dags/broken.py:10").waitFor();
    await detail.getByText("NameError: name 'raise_it' is not defined").first().waitFor();
    expect(await detail.getByText("raise_it(3)").count()).toBeGreaterThan(0);
    await detail.getByRole("link", { name: "stock" }).waitFor();
    await detail
      .getByRole("list", { name: "How long its parts took" })
      .getByText("parse")
      .waitFor();
    expect(page.url()).toContain("deploy=");
    expect(await axe(page)).toEqual([]);

    // What is live cannot be gone back to; what was live can.
    expect(await detail.getByRole("button", { name: "Roll back" }).count()).toBe(0);
    await list.getByText("Orders, at last").click();
    await detail.getByRole("button", { name: "Roll back to this commit" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText(second.slice(0, 10)).waitFor();
    expect(await axe(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Roll back", exact: true }).click();
    const repository = page.getByRole("region", { name: "Repository pipelines" });
    await repository.getByText("It holds until the next push.").waitFor();
    await list.getByText("rolled back by admin · 1 DAG: 1 removed").waitFor();
    await repository.getByText(`live: ${first.slice(0, 10)}`).waitFor();

    await repository.getByRole("button", { name: "Sync now" }).click();
    await list.getByText("sync asked for by admin").waitFor();
    await repository.getByText(`live: ${first.slice(0, 10)}`).waitFor();

    await repository.getByRole("button", { name: "Take back" }).click();
    await list.getByText("rollback taken back by admin").waitFor();
    await repository.getByText(`live: ${second.slice(0, 10)}`).waitFor();
    expect(await repository.getByText("It holds until").count()).toBe(0);
  }, 120_000);

  test("the command goes back too, and the next push ends it", async () => {
    const { page } = await visit({ theme: "dark" });
    const first = (await clone.git("rev-parse", "HEAD~1")).stdout.trim();
    await page.goto("/t/acme/deploys?state=live");
    const repository = page.getByRole("region", { name: "Repository pipelines" });
    await repository.waitFor();
    await house.must("deploys", "rollback", "acme/pipelines", first.slice(0, 12));
    await repository.getByText("It holds until the next push.").waitFor();
    await repository.getByText(`live: ${first.slice(0, 10)}`).waitFor();
    expect(await axe(page)).toEqual([]);
    const twice = await house.airlock("deploys", "rollback", "acme/pipelines", first);
    expect(twice).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("is live already") as string,
    });
    const never = await house.airlock("deploys", "rollback", "acme/pipelines", "0".repeat(40));
    expect(never).toMatchObject({ code: 1, stderr: expect.stringContaining("was live") as string });

    await clone.git("rm", "--quiet", "dags/broken.py");
    const pushed = await clone.push("Without the broken one");
    expect(pushed.stderr).toContain(`the rollback to ${first.slice(0, 10)} ends here`);
    const last = await head();
    await repository.getByText(`live: ${last.slice(0, 10)}`).waitFor();
    expect(await repository.getByText("It holds until").count()).toBe(0);
    const undone = await house.airlock("deploys", "rollback", "acme/pipelines", "--undo");
    expect(undone).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("not rolled back") as string,
    });
  }, 120_000);

  test("a phone shows the list or one of it, and keys move through it", async () => {
    const { page } = await visit({ width: 390, height: 844 });
    await page.goto("/t/acme/deploys");
    await page.getByRole("grid").getByText("Orders, at last").first().click();
    await page.getByRole("button", { name: "Back to the list" }).click();
    await page.getByRole("grid").waitFor();
    await page.keyboard.press("j");
    await page.getByRole("article").waitFor();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390);
    expect(await axe(page)).toEqual([]);
  }, 60_000);
});
