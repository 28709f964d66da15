/** The screens of a run and of a task instance: watch it live, see why, look at what it left behind. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { axe } from "../kit/axe.ts";
import { closeBrowser, noChromium, openVisitor, type Visitor } from "../kit/browser.ts";
import { type Clone, cloneRepository, eventually, type House, openHouse } from "../kit/house.ts";

/** What a hostile team would leave behind as a report: each line tries something else. */
const hostileHtml = `<!doctype html><title>report</title>
<script>top.document.title = "pwned"; fetch("/evil-marker-1");</script>
<meta http-equiv="refresh" content="0;url=/evil-marker-2">
<img src="/evil-marker-3" onerror="top.document.title='pwned'">
<link rel="stylesheet" href="/evil-marker-4"><object data="/evil-marker-5"></object>
<iframe src="/evil-marker-6"></iframe><iframe srcdoc="<script>fetch('/evil-marker-7')</script>"></iframe>
<body onload="fetch('/evil-marker-8')">
<a style="position:fixed;inset:0;display:block" target="_top" href="/evil-marker-9">leave</a>`;
const hostileSvg = `<svg xmlns="http://www.w3.org/2000/svg" width="600" height="400" onload="top.document.title='pwned'">
<script>fetch("/evil-marker-10"); top.document.title = "pwned";</script><image href="/evil-marker-11" width="9" height="9"/>
<a href="/evil-marker-12" target="_top"><rect width="600" height="400" fill="teal"/></a></svg>`;

const dags = `
import os, time
from pathlib import Path
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Variable, dag, task, task_group

@dag(schedule=None)
def watched():
    @task(retries=1, retry_delay=0.1)
    def extract(params=None, ti=None):
        """Reads **three** rows."""
        if ti.try_number == 1:
            raise ConnectionError("the source is having a rest")
        print("extracting", 3)
        return {"rows": [1, 2, 3], "id": 9007199254740991, "__proto__": "plain", "html": "<img src=x onerror=alert(1)>"}

    @task
    def gate(found):
        print("waiting at the gate")
        while Variable.get("go", default=None) is None:
            time.sleep(0.05)
        return [1, 2, 3]

    @task_group
    def sums():
        @task
        def one(n):
            return n
        return one.expand(n=through)

    @task
    def report():
        folder = Path(os.environ["AIRLOCK_ARTIFACTS"])
        (folder / "hostile.html").write_text(${JSON.stringify(hostileHtml)})
        (folder / "hostile.svg").write_text(${JSON.stringify(hostileSvg)})
        (folder / "plain.txt").write_text("a plain file")

    through = gate(extract())
    sums() >> report() >> TriggerDagRunOperator(task_id="go_on", trigger_dag_id="broken")

@dag(schedule=None)
def broken():
    @task
    def total():
        raise ValueError("the total is off")
    @task
    def never():
        pass
    total() >> never()

watched()
broken()
`;

describe.skipIf(noChromium)("a run's screen", () => {
  let house: House;
  let clone: Clone;
  let visitor: Visitor | undefined;
  /** What a sandbox refuses is said in the console. */
  let refusals = false;
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
    return visitor.page;
  };

  beforeAll(async () => {
    house = await openHouse();
    await house.must("tenants", "create", "acme");
    await house.must("repositories", "create", "acme/pipelines");
    clone = await cloneRepository(house, "acme", "pipelines");
    mkdirSync(join(clone.folder, "dags"));
    writeFileSync(join(clone.folder, "dags", "watched.py"), dags);
    const pushed = await clone.push("watched");
    if (!/live in \d+ ms: 2 DAGs/.test(pushed.stderr)) throw new Error(pushed.stderr);
  }, 240_000);
  afterEach(async () => {
    const complaints = (visitor?.complaints ?? []).filter(
      (text) => !refusals || !/sandbox|Content Security Policy|Blocked/i.test(text),
    );
    await visitor?.close();
    visitor = undefined;
    refusals = false;
    expect(complaints).toEqual([]);
  });
  afterAll(async () => {
    await closeBrowser();
    await house.remove();
  });

  const first = "/t/acme/dags/watched/runs/first";

  test("a run is watched live: what runs grows, why the rest waits is said, and the end comes by itself", async () => {
    await house.must("trigger", "acme/watched", "--run-id", "first", "--conf", '{"note": "hi"}');
    const page = await visit(first);
    const grid = page.getByRole("grid", { name: "Task instances over time" });
    const row = (name: string) => grid.getByRole("row").filter({ hasText: name });
    await row("gate").getByRole("img", { name: "running" }).first().waitFor();
    // The first try and the second are bars of one row.
    await row("extract")
      .getByRole("img", { name: /ran .*waits for its next try .*try 2: .*ran/ })
      .waitFor();
    const grown = async (): Promise<string> =>
      (await row("gate").getByRole("img", { name: /ran/ }).getAttribute("aria-label")) ?? "";
    const before = await grown();
    await eventually(async () => ((await grown()) === before ? undefined : true));

    await row("report").click();
    const pane = page.getByRole("complementary", { name: "Beside the tasks" });
    await pane.getByText(/It waits for (sums\.)?one/).waitFor();
    expect(new URL(page.url()).searchParams.get("task")).toBe("report");
    await pane.getByRole("list", { name: "What it waits for" }).getByRole("link").first().waitFor();

    await house.must("variables", "create", "acme/go", "now");
    await page.getByText("success", { exact: true }).first().waitFor();
    await row("report").getByRole("img", { name: "success" }).waitFor();
    // Mapped instances stay folded in their group until somebody asks.
    await row("sums").getByRole("gridcell").first().click();
    await row("one [3]").getByRole("gridcell").first().click();
    await row("[2]").waitFor();
    expect(new URL(page.url()).searchParams.get("open")).toContain("one");
    await page.reload();
    await row("[2]").waitFor();
  }, 60_000);

  test("a bar opens the log of its try beside, and the address says so", async () => {
    const page = await visit(`${first}?from=0&to=3000`);
    const row = page.getByRole("grid").getByRole("row").filter({ hasText: "extract" });
    await row
      .locator("rect")
      .filter({ hasText: /^(ran|started)/ })
      .first()
      .click();
    const pane = page.getByRole("complementary", { name: "Beside the tasks" });
    await pane.getByRole("button", { name: "Try 1", pressed: true }).waitFor();
    await pane.getByText("the source is having a rest").first().waitFor();
    await pane.getByRole("button", { name: "Try 2" }).click();
    await pane.getByText("extracting 3").first().waitFor();
    expect(new URL(page.url()).searchParams.get("try")).toBe("2");
    await page.reload();
    await pane.getByText("extracting 3").first().waitFor();
    await pane.getByRole("button", { name: "Close the pane" }).click();
    await page.getByRole("region", { name: "About the run" }).getByText("Triggered by").waitFor();
  }, 60_000);

  test("by keys: from row to row, into the log, and to the task instance's own screen", async () => {
    const page = await visit(first);
    const grid = page.getByRole("grid", { name: "Task instances over time" });
    await grid.getByRole("row").filter({ hasText: "extract" }).waitFor();
    await grid.focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("Enter");
    await page.waitForURL((at) => at.searchParams.get("task") === "extract");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForURL((at) => at.searchParams.get("task") === "gate");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    await page.waitForURL((at) => at.searchParams.get("open") !== null);
    await page.keyboard.press("Escape");
    await page.waitForURL((at) => at.searchParams.get("task") === null);
    await page.getByLabel("Filter the tasks").fill("repo");
    await eventually(async () => ((await grid.getByRole("row").count()) === 1 ? true : undefined));
  }, 60_000);

  test("a failed run says why, its task as well, and what never ran names what it waited for", async () => {
    await house.must("trigger", "acme/broken", "--run-id", "off");
    const page = await visit("/t/acme/dags/broken/runs/off");
    await page.getByText("failed", { exact: true }).first().waitFor();
    await page.goto("/t/acme/dags/broken/runs/off/tasks/total");
    await page
      .getByRole("note", { name: "Why it is where it is" })
      .getByText(/ValueError: the total is off/)
      .waitFor();
    await page.getByRole("tab", { name: /Tries/ }).click();
    await page
      .getByRole("row", { name: /Reason/ })
      .getByText("the total is off")
      .waitFor();
    await page
      .getByRole("row", { name: /Peak memory/ })
      .getByText(/MiB|KiB/)
      .waitFor();
    await page.getByRole("row", { name: /Host/ }).waitFor();
    await page.goto("/t/acme/dags/broken/runs/off/tasks/never");
    const why = page.getByRole("note", { name: "Why it is where it is" });
    await why.getByText("It did not run, because total failed.").waitFor();
    await why.getByRole("link", { name: "total" }).click();
    await page.waitForURL("**/runs/off/tasks/total");
  }, 60_000);

  test("what triggered a run and what it triggered lead to each other", async () => {
    const page = await visit(first);
    const about = page.getByRole("region", { name: "About the run" });
    await about.getByRole("link", { name: /broken \/ / }).click();
    await page.waitForURL("**/dags/broken/runs/**");
    await about.getByRole("link", { name: "go_on" }).waitFor();
    await about.getByRole("link", { name: /watched \/ first/ }).click();
    await page.waitForURL("**/dags/watched/runs/first");
  }, 60_000);

  test("XComs are text with all their digits, in and out; fields, docs and the command are there", async () => {
    const page = await visit(`${first}/tasks/extract?tab=xcom`);
    const value = page.getByRole("list", { name: "return_value" });
    await value.getByText("9007199254740991").waitFor();
    await value.getByText('"<img src=x onerror=alert(1)>"').waitFor();
    await value.getByText("__proto__").waitFor();
    await page.goto(`${first}/tasks/gate?tab=xcom`);
    await page.getByRole("heading", { name: "In: what its upstreams pushed" }).waitFor();
    await page.getByRole("link", { name: "extract" }).first().waitFor();
    await page.getByRole("tab", { name: "Details" }).click();
    await page.getByText(/npx airlock run --task gate --conf '\{"note":\s?"hi"\}'/).waitFor();
    await page.goto(`${first}/tasks/extract?tab=details`);
    await page.getByText(/Reads .*three.* rows/).waitFor();
    await page.getByRole("button", { name: "Add a note" }).click();
    await page.getByLabel("Note").fill("looked at <b>it</b>");
    await page.getByRole("button", { name: "Save the note" }).click();
    await page.getByText("looked at <b>it</b>").waitFor();
  }, 60_000);

  test("a mapped task's instances are a list, and each has its neighbours", async () => {
    const page = await visit(`${first}/tasks/sums.one`);
    const grid = page.getByRole("grid", { name: "Mapped instances" });
    await grid.getByRole("row").nth(2).click();
    await page.waitForURL((at) => at.searchParams.get("map") === "2");
    await page.getByRole("heading", { name: /one\[2\]/ }).waitFor();
    await page.getByRole("tab", { name: "Mapped (3)" }).click();
    await page.getByLabel("Filter the instances").fill("1");
    await eventually(async () => ((await grid.getByRole("row").count()) === 1 ? true : undefined));
  }, 60_000);

  test("an artifact opens and can do nothing: no script, no request, no way out of its frame", async () => {
    refusals = true;
    // The attack is one: without the frame, it does what it says.
    const control = await openVisitor({ url: house.url });
    const hits: string[] = [];
    await control.page.route("**/evil-marker-*", async (route) => {
      hits.push(route.request().url());
      await route.fulfill({ status: 200, body: "" });
    });
    await control.page.route("**/attack", (route) =>
      route.fulfill({ status: 200, contentType: "text/html", body: hostileHtml }),
    );
    await control.page.goto("/attack").catch(() => undefined);
    await eventually(async () =>
      hits.some((url) => url.includes("evil-marker-")) ? true : undefined,
    );
    await control.close();

    const page = await visit(`${first}/tasks/report?tab=artifacts`);
    const asked: string[] = [];
    // What a policy refuses never comes as far as the network.
    await page.route("**/evil-marker-*", async (route) => {
      asked.push(route.request().url());
      await route.fulfill({ status: 200, body: "" });
    });
    for (const name of ["hostile.html", "hostile.svg"]) {
      const item = page.getByRole("listitem").filter({ hasText: name });
      const loaded = page.waitForResponse((response) => response.url().includes("inline=true"));
      await item.getByRole("button", { name: "Open" }).click();
      expect((await loaded).status()).toBe(200);
      const frame = page.locator("iframe");
      expect(await frame.getAttribute("sandbox")).toBe("");
      await eventually(async () => {
        const shown = await (await frame.elementHandle()).contentFrame();
        return shown?.url().includes(name) === true ? true : undefined;
      });
      const title = await page.title();
      const url = page.url();
      const box = await frame.boundingBox();
      if (box === null) throw new Error("the frame is not in sight");
      await page.mouse.click(box.x + 100, box.y + 100);
      // Whatever the click began has been refused once the page answers a full turn later.
      await page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))",
      );
      expect(page.url()).toBe(url);
      expect(await page.title()).toBe(title);
      expect(asked).toEqual([]);
      await item.getByRole("button", { name: "Hide" }).click();
    }
    // What it is not: a page of ours. The session's cookie does not go where the file points.
    const plain = page.getByRole("listitem").filter({ hasText: "plain.txt" });
    await plain.getByRole("button", { name: "Open" }).click();
    await page.locator("iframe").waitFor();
  }, 60_000);

  test("a run that is deleted while it is looked at says so", async () => {
    await house
      .must("trigger", "acme/broken", "--run-id", "going", "--wait")
      .catch(() => undefined);
    const page = await visit("/t/acme/dags/broken/runs/going");
    await page.getByRole("grid").waitFor();
    await house.must("dagrun", "delete", "acme/broken/going");
    await page.getByText("This run was deleted while you looked at it").waitFor();
  }, 60_000);

  test("a run is triggered again with its conf, and one is deleted after a question", async () => {
    const page = await visit("/t/acme/dags/broken/runs/off");
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("menuitem", { name: "Trigger again with the same conf" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Trigger" }).click();
    await page.waitForURL((at) => !at.pathname.endsWith("/off"));
    await page.getByText("failed", { exact: true }).first().waitFor();
    const made = page.url();
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("menuitem", { name: "Delete the run" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete the run" }).click();
    await page.waitForURL("**/t/acme/dags/broken");
    await page.goto(made);
    await page.getByText("It is not there, or not for you to see.").waitFor();
  }, 60_000);

  test.each(["light", "dark"] as const)(
    "axe finds nothing in the %s theme",
    async (theme) => {
      const page = await visit(first, { theme });
      await page.getByRole("grid").getByRole("row").first().waitFor();
      expect(await axe(page)).toEqual([]);
      await page.goto(`${first}?task=extract&open=all`);
      await page.getByRole("button", { name: "Try 1" }).waitFor();
      expect(await axe(page)).toEqual([]);
      for (const tab of ["xcom", "rendered", "tries", "artifacts", "details"]) {
        await page.goto(`${first}/tasks/extract?tab=${tab}`);
        await page.getByRole("tabpanel").waitFor();
        expect(await axe(page)).toEqual([]);
      }
      await page.goto(`${first}/tasks/sums.one`);
      await page.getByRole("grid").getByRole("row").first().waitFor();
      expect(await axe(page)).toEqual([]);
    },
    60_000,
  );

  test("on a phone nothing is wider than the screen", async () => {
    const page = await visit(`${first}?task=extract`, { width: 390, height: 844, touch: true });
    await page.getByRole("button", { name: "Try 1" }).waitFor();
    const wide = () =>
      page.evaluate(
        "document.querySelector('main').scrollWidth - document.querySelector('main').clientWidth",
      );
    expect(await wide()).toBe(0);
    await page.goto(`${first}/tasks/extract?tab=details`);
    await page.getByRole("tabpanel").waitFor();
    expect(await wide()).toBe(0);
  }, 60_000);
});
