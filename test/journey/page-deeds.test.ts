/** What a person does to runs: start one by its form, clear, mark, stop, pause; and one deed on many runs, or its undo. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { axe } from "../kit/axe.ts";
import { closeBrowser, noChromium, openVisitor, type Visitor } from "../kit/browser.ts";
import { cloneRepository, eventually, type House, openHouse } from "../kit/house.ts";

const dags = `
import time
from airflow.sdk import Param, Variable, dag, task

@dag(schedule=None, params={
    "city": Param("Bern", type="string", minLength=2, description="Which **city**", title="City"),
    "rows": Param(3, type="integer", minimum=1, maximum=9),
    "share": Param(0.5, type="number"),
    "full": Param(False, type="boolean"),
    "kind": Param("day", enum=["day", "night"]),
    "since": Param("2026-01-31", type="string", format="date"),
    "names": Param(["a", "b"], type="array", items={"type": "string"}),
    "tree": Param({"deep": [1]}, type="object"),
    "maybe": Param(None, type=["null", "string"]),
    "must": Param(type="string", description="Nobody can guess it"),
})
def asked():
    @task
    def echo(params=None):
        print("asked for", params["rows"], "of", params["city"])
    echo()

@dag(schedule=None)
def shaky():
    @task
    def first():
        return 1
    @task
    def second(n):
        if Variable.get("ok", default=None) is None:
            raise ValueError("not yet")
    @task
    def third():
        return 3
    second(first()) >> third()

@dag(schedule=None)
def slow():
    @task
    def wait():
        time.sleep(600)
    wait()

@dag(schedule=None, max_active_runs=16)
def many():
    @task
    def one():
        raise ValueError("none of them")
    one()

asked()
shaky()
slow()
many()
`;

describe.skipIf(noChromium)("the deeds on runs", () => {
  let house: House;
  const visitors: Visitor[] = [];
  /** One person with two tabs, signed in once. */
  const visit = async (path: string, tab = 0): Promise<Visitor["page"]> => {
    const { page } = (visitors[tab] ??= await openVisitor({
      url: house.url,
      as: { name: "admin", password: house.password },
    }));
    await page.goto(path);
    return page;
  };
  const stateOf = async (run: string): Promise<string> =>
    (JSON.parse(await house.must("dagrun", "get", run, "-o", "json")) as { state: string }).state;
  const isIn = (run: string, state: string) =>
    eventually(async () => ((await stateOf(run)) === state ? true : undefined));
  const triesOf = async (run: string): Promise<Record<string, [string | null, number]>> => {
    const rows = JSON.parse(await house.must("tasks", "states-for-dag-run", run, "-o", "json")) as {
      task_id: string;
      state: string | null;
      try_number: number;
    }[];
    return Object.fromEntries(rows.map((row) => [row.task_id, [row.state, row.try_number]]));
  };

  beforeAll(async () => {
    house = await openHouse();
    await house.must("tenants", "create", "acme");
    await house.must("repositories", "create", "acme/pipelines");
    const clone = await cloneRepository(house, "acme", "pipelines");
    mkdirSync(join(clone.folder, "dags"));
    writeFileSync(join(clone.folder, "dags", "deeds.py"), dags);
    const pushed = await clone.push("deeds");
    if (!/live in \d+ ms: 4 DAGs/.test(pushed.stderr)) throw new Error(pushed.stderr);
  }, 240_000);
  afterEach(() => {
    const [complaint] = visitors.flatMap((visitor) => visitor.complaints);
    if (complaint !== undefined) throw new Error(complaint);
  });
  afterAll(async () => {
    await closeBrowser();
    await house.remove();
  });

  test("a run is started by its form: what is wrong is named at its field, as JSON too, and one lands on the run", async () => {
    const page = await visit("/t/acme/dags/asked");
    await page.getByRole("button", { name: "Trigger" }).click();
    const dialog = page.getByRole("dialog", { name: "Trigger asked" });
    const go = dialog.getByRole("button", { name: "Trigger", exact: true });
    await dialog.getByLabel("City").waitFor();
    expect(await dialog.getByLabel("City").inputValue()).toBe("Bern");
    expect(await dialog.getByLabel("kind").locator("option:checked").innerText()).toBe("day");
    expect(await dialog.getByLabel("names").inputValue()).toBe("a\nb");

    await dialog.getByLabel("rows").fill("12");
    await go.click();
    await dialog.getByText("must be at most 9").waitFor();
    await dialog
      .getByRole("alert")
      .getByText(/2 params are not right yet: .*rows.*must/)
      .waitFor();
    expect(await axe(page)).toEqual([]);
    await dialog.getByLabel("rows").fill("4");
    await dialog.getByLabel("must").fill("x");
    await dialog.getByLabel("City").fill("Genève");
    await dialog.getByLabel("full").check();

    await dialog.getByRole("button", { name: "JSON", exact: true }).click();
    const text = dialog.getByLabel("Conf (JSON)");
    expect(JSON.parse(await text.inputValue())).toMatchObject({
      city: "Genève",
      rows: 4,
      full: true,
      kind: "day",
      tree: { deep: [1] },
      maybe: null,
      must: "x",
    });
    await text.fill('{"rows": ');
    await dialog.getByText(/This is no JSON/).waitFor();
    await text.fill('{"must": "y", "rows": 5, "beside": 1}');
    expect(await axe(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Form", exact: true }).click();
    expect(await dialog.getByLabel("rows").inputValue()).toBe("5");
    await dialog.getByText("Beside the params, as JSON:").waitFor();
    await dialog.getByLabel("Run id").fill("by-form");
    await go.click();
    await page.waitForURL(/\/runs\/by-form/);
    await isIn("acme/asked/by-form", "success");
    expect(await house.must("logs", "acme/asked/by-form/echo")).toContain("asked for 5 of Bern");

    await page.goto("/t/acme/dags/asked");
    await page.getByRole("button", { name: "Trigger" }).click();
    await dialog.getByRole("button", { name: /^As the last run/ }).click();
    expect(await dialog.getByLabel("must").inputValue()).toBe("y");
    // The same id again: a clear word, and nothing typed is lost.
    await dialog.getByLabel("Run id").fill("by-form");
    await go.click();
    await dialog
      .getByRole("alert")
      .getByText(/'by-form' exists already/)
      .waitFor();
    expect(await dialog.getByLabel("must").inputValue()).toBe("y");
  }, 60_000);

  test("a failed run is cleared after a look at what that touches, and runs again from there; two tabs do not do it twice", async () => {
    expect((await house.airlock("trigger", "acme/shaky", "--run-id", "r", "--wait")).code).toBe(1);
    await house.must("variables", "create", "acme/ok", "now");
    const page = await visit("/t/acme/dags/shaky/runs/r");
    const other = await visit("/t/acme/dags/shaky/runs/r", 1);
    const open = async (at: typeof page) => {
      await at.getByRole("button", { name: "Clear", exact: true }).click();
      const dialog = at.getByRole("dialog", { name: "Clear run r" });
      await dialog.getByText("2 task instances would be cleared").waitFor();
      return dialog;
    };
    const dialog = await open(page);
    const late = await open(other);
    expect(await dialog.getByLabel("Only what failed").isChecked()).toBe(true);
    await dialog.getByLabel("Only what failed").uncheck();
    await dialog.getByText("3 task instances would be cleared").waitFor();
    await dialog.getByLabel("Only what failed").check();
    await dialog.getByText("2 task instances would be cleared").waitFor();
    expect(await axe(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Clear 2" }).click();
    await page.getByText("Cleared 2 task instances: they run again").waitFor();
    await isIn("acme/shaky/r", "success");
    expect(await triesOf("acme/shaky/r")).toMatchObject({
      first: ["success", 1],
      second: ["success", 2],
      third: ["success", 1],
    });
    // The other tab was told meanwhile.
    await late.getByText("Nothing would be cleared.").waitFor();
    expect(await late.getByRole("button", { name: "Clear", exact: true }).isDisabled()).toBe(true);

    await page.goto("/t/acme/dags/shaky/runs/r/tasks/second");
    await page.getByRole("button", { name: "Clear", exact: true }).click();
    const ofTask = page.getByRole("dialog", { name: "Clear second" });
    await ofTask.getByText("2 task instances would be cleared").waitFor();
    await ofTask.getByLabel("And what comes after (downstream)").uncheck();
    await ofTask.getByText("1 task instance would be cleared").waitFor();
    await page.keyboard.press("Escape");
    await ofTask.waitFor({ state: "detached" });
  }, 60_000);

  test("a running run is stopped, marked, and a task of it as well; the second tab is told who was quicker", async () => {
    await house.must("trigger", "acme/slow", "--run-id", "long");
    await isIn("acme/slow/long", "running");
    const page = await visit("/t/acme/dags/slow/runs/long");
    const other = await visit("/t/acme/dags/slow/runs/long", 1);
    const stopIn = (at: typeof page) => at.getByRole("dialog", { name: "Stop run long" });
    for (const at of [page, other]) {
      await at.getByRole("button", { name: "Stop", exact: true }).click();
      await stopIn(at).getByText("1 task instance that has not finished would be ended.").waitFor();
    }
    expect(await axe(page)).toEqual([]);
    await stopIn(page).getByRole("button", { name: "Stop the run" }).click();
    await page.getByText("The run is stopped").waitFor();
    await isIn("acme/slow/long", "failed");
    await stopIn(other).getByText("The run has ended already: there is nothing to stop.").waitFor();
    expect(await stopIn(other).getByRole("button", { name: "Stop the run" }).isDisabled()).toBe(
      true,
    );

    await page.getByRole("button", { name: "Mark", exact: true }).click();
    const mark = page.getByRole("dialog", { name: "Mark run long" });
    await mark.getByLabel("Mark as").selectOption("failed");
    await mark.getByText("The run is failed already.").waitFor();
    await mark.getByLabel("Mark as").selectOption("success");
    await mark.getByText(/become so; what runs is ended/).waitFor();
    expect(await axe(page)).toEqual([]);
    await mark.getByRole("button", { name: "Mark success" }).click();
    await page.getByText("The run is marked success").waitFor();
    await isIn("acme/slow/long", "success");

    await page.goto("/t/acme/dags/slow/runs/long/tasks/wait");
    await page.getByRole("button", { name: /^Mark/ }).first().click();
    const ofTask = page.getByRole("dialog", { name: "Mark wait" });
    await ofTask.getByLabel("Mark as").selectOption("skipped");
    await ofTask.getByText("1 task instance would be marked skipped").waitFor();
    expect(await axe(page)).toEqual([]);
    await ofTask.getByRole("button", { name: "Mark skipped" }).click();
    await page.getByText("Marked 1 task instance skipped").waitFor();
    expect(await triesOf("acme/slow/long")).toMatchObject({ wait: ["skipped", 1] });
  }, 60_000);

  test("a DAG is paused at a press, in every tab, and taken back when the server would not", async () => {
    const page = await visit("/t/acme/dags/slow");
    const other = await visit("/t/acme/dags", 1);
    const here = page.getByRole("switch", { name: "slow runs by its schedule" });
    const there = other.getByRole("switch", { name: "slow runs by its schedule" });
    await isSwitched(here, true);
    await here.click();
    await page.getByText("slow is paused").waitFor();
    await isSwitched(there, false);
    await there.click();
    await isSwitched(here, true);
    // The server's own refusals need a right taken away or a DAG gone; the switch sees the same answer.
    await page.route("**/api/v2/dags/slow", (route) =>
      route.request().method() === "PATCH"
        ? route.fulfill({
            status: 409,
            json: { title: "Conflict", status: 409, detail: "not now" },
          })
        : route.continue(),
    );
    await here.click();
    await page.getByText("slow could not be paused: not now").waitFor();
    await isSwitched(here, true);
    expect(await here.isEnabled()).toBe(true);
    await page.unrouteAll();
  }, 60_000);

  test("one deed on many failed runs: a look, undo from another page, then to its end with the reason where not", async () => {
    await Promise.all(
      [1, 2, 3, 4, 5, 6].map((i) =>
        house.must("trigger", "acme/many", "--run-id", `m${String(i)}`),
      ),
    );
    const page = await visit("/t/acme/runs?dag_id=many");
    const facets = page.getByRole("region", { name: "Facets" });
    await facets.getByRole("checkbox", { name: /^failed/ }).check();
    await page.waitForURL((at) => at.searchParams.get("state") === "failed");
    const rows = page.getByRole("grid", { name: "Runs" });
    for (const i of [1, 2, 3, 4, 5, 6])
      await rows.getByText(`m${String(i)}`, { exact: true }).waitFor();
    const ask = async (deed: string) => {
      await page.getByRole("button", { name: "Choose all that match" }).click();
      await page.getByText("6 chosen").waitFor();
      await page.getByRole("button", { name: "Do with them …" }).click();
      await page.getByRole("menuitem", { name: deed, exact: true }).click();
      const dialog = page.getByRole("dialog", { name: `${deed}: many runs` });
      await dialog.getByText(/6 runs.*of 1 DAG .*6 task instances/).waitFor();
      return dialog;
    };
    const dialog = await ask("Mark success");
    expect(await axe(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Mark success: 6 runs" }).click();
    const banner = page.getByRole("group", { name: "Mark success: 6 runs" });
    await banner.getByRole("button", { name: "Undo" }).waitFor();
    // The page is loaded anew, and another one: the server knows of it.
    await page.goto("/t/acme/dags");
    await banner.getByRole("button", { name: "Undo" }).click();
    await page.getByText("Taken back: Mark success of 6 runs").waitFor();
    await banner.waitFor({ state: "detached" });
    expect(await stateOf("acme/many/m3")).toBe("failed");
    await page.goto("/t/acme/runs?dag_id=many&state=failed");

    await (await ask("Mark success")).getByRole("button", { name: "Mark success: 6 runs" }).click();
    await banner.waitFor();
    // While it waits, one of them goes: what is gone is told with its reason.
    await page.evaluate(deleteRun);
    // Seen wherever one goes.
    await page.getByRole("link", { name: "DAGs" }).click();
    await page.getByRole("heading", { name: "DAGs" }).waitFor();
    await banner.getByText("5 of 6 done, 1 not").waitFor();
    expect(await stateOf("acme/many/m6")).toBe("success");
    await banner.getByRole("button", { name: "Why not" }).click();
    const why = page.getByRole("dialog", { name: "On which runs it was not done" });
    await why.getByText(/m3.* was not found/).waitFor();
    expect(await axe(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await banner.getByRole("button", { name: "Dismiss" }).click();
    await page.reload();
    await page.getByRole("grid").first().waitFor();
    expect(await banner.count()).toBe(0);
  }, 60_000);

  test("dark and on a phone, the dialogs and the list of runs are whole", async () => {
    const page = await visit("/t/acme/runs");
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 390, height: 800 });
    const isInside = async (): Promise<boolean> =>
      page.evaluate("document.documentElement.scrollWidth <= innerWidth");
    await page.getByRole("grid", { name: "Runs" }).getByText("by-form").waitFor();
    expect(await isInside()).toBe(true);
    expect(await axe(page)).toEqual([]);
    await page.goto("/t/acme/runs?q=no-such-run");
    await page.getByText("No run is like that.").waitFor();
    for (const [path, button, name] of [
      ["/t/acme/dags/asked", "Trigger", "Trigger asked"],
      ["/t/acme/dags/shaky/runs/r", "Clear", "Clear run r"],
      ["/t/acme/dags/shaky/runs/r", "Mark", "Mark run r"],
    ] as const) {
      await page.goto(path);
      await page.getByRole("button", { name: button }).first().click();
      const dialog = page.getByRole("dialog", { name });
      await dialog.getByRole("button", { name: "Copy as" }).waitFor();
      expect(await axe(page)).toEqual([]);
      expect(await isInside()).toBe(true);
      const box = await dialog.boundingBox();
      expect((box?.x ?? -1) >= 0 && (box?.x ?? 0) + (box?.width ?? 999) <= 390).toBe(true);
      expect(
        await dialog.evaluate(
          "(d => d.scrollWidth <= d.clientWidth)(document.querySelector('[role=dialog]'))",
        ),
      ).toBe(true);
    }
  }, 60_000);
});

const deleteRun = `fetch("/t/acme/api/v2/dags/many/dagRuns/m3", { method: "DELETE" }).then((answer) => {
  if (answer.status !== 204) throw new Error(String(answer.status));
})`;

const isSwitched = (
  at: { getAttribute(name: string): Promise<string | null> },
  on: boolean,
): Promise<true> =>
  eventually(async () =>
    (await at.getAttribute("aria-checked")) === String(on) ? true : undefined,
  );
