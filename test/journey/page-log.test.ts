/** A person reads a log: hostile bytes, groups, search, errors, ranges, copying, a tail, and what differs between tries. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { axe } from "../kit/axe.ts";
import { closeBrowser, noChromium, openVisitor, type Visitor } from "../kit/browser.ts";
import { cloneRepository, type House, openHouse } from "../kit/house.ts";

const dag = `
import os, sys, time
from airflow.sdk import dag, task

@dag(schedule=None)
def talk():
    @task
    def speak():
        print("\\x1b[1;31mred and bold\\x1b[0m then plain")
        print("::group::Install the things")
        for i in range(20):
            print("installing", i)
        print("::endgroup::")
        print("nul \\x00 bell \\x07 turn \\u202e back <img src=x onerror=document.title='owned'>")
        print("x" * 9000)
        for i in range(30000):
            print(f"row {i} is fine")
        print("the Needle is here", file=sys.stderr)
        for i in range(500):
            print(f"tail {i}")

    @task(retries=1, retry_delay=0)
    def twice(ti=None):
        print("begin", os.getpid())
        print("only in one" if ti.try_number == 1 else "only in two")
        print("end")
        if ti.try_number == 1:
            raise ValueError("not yet")

    @task
    def grow(params=None):
        print("the beginning", flush=True)
        while not os.path.exists("/nowhere"):
            time.sleep(0.3)
            print("and on", flush=True)

    speak()
    twice()
    grow()
talk()
`;

/** "#b3261e" as a browser computes it. */
const rgb = (hex: string): string =>
  `rgb(${[1, 3, 5].map((at) => Number.parseInt(hex.trim().slice(at, at + 2), 16)).join(", ")})`;

describe.skipIf(noChromium)("a log", () => {
  let house: House;
  let visitor: Visitor;
  let page: Page;

  beforeAll(async () => {
    house = await openHouse();
    await house.must("tenants", "create", "acme");
    await house.must("repositories", "create", "acme/pipelines");
    const clone = await cloneRepository(house, "acme", "pipelines");
    mkdirSync(join(clone.folder, "dags"));
    writeFileSync(join(clone.folder, "dags", "talk.py"), dag);
    expect((await clone.push("talk")).stderr).toMatch(/live in/);
    await house.must("trigger", "acme/talk", "--run-id", "first");
    visitor = await openVisitor({
      url: house.url,
      as: { name: "admin", password: house.password },
    });
    page = visitor.page;
  }, 120_000);
  afterAll(async () => {
    await closeBrowser();
    await house.airlock("stop", "acme/talk/first");
    await house.remove();
  }, 60_000);

  const open = async (task: string, search = ""): Promise<void> => {
    await page.goto(`/t/acme/dags/talk/runs/first/tasks/${task}${search}`);
  };
  const log = () => page.getByRole("log");
  const line = (number: number) => page.locator(`[data-line="${String(number)}"]`);
  /** Its log has all its lines. */
  const spoken = async (): Promise<void> => {
    await open("speak");
    await page.getByText(/30\u202f5\d\d lines/).waitFor({ timeout: 40_000 });
  };

  test("shows colours, and every other control as a sign, as text", async () => {
    await spoken();
    await page.reload();
    await line(1).waitFor();
    const red = line(1).getByText("red and bold");
    await red.waitFor();
    const look = (of: string): Promise<string> =>
      page.evaluate(
        `getComputedStyle(document.querySelector('[data-line="1"] .tenant-text span span')).${of}`,
      );
    expect(await look("fontWeight")).toBe("700");
    const danger = "getComputedStyle(document.documentElement).getPropertyValue('--danger')";
    expect(await look("color")).toBe(rgb(await page.evaluate<string>(danger)));
    expect(await line(1).locator(".tenant-text").innerText()).toBe("red and bold then plain");
    const hostile = page.getByText(/<img src=x onerror/);
    expect(await hostile.innerText()).toMatch(/nul \\x00 bell \\x07 turn \\u202e back <img/);
    expect(await page.title()).not.toContain("owned");
    expect(await log().locator("img").count()).toBe(0);
  }, 60_000);

  test("a group folds away and opens, and a long line is whole in its own window", async () => {
    await page.getByRole("button", { name: "Fold the group Install the things" }).click();
    await page.getByText("… 21 lines").waitFor();
    expect(await page.getByText("installing 5", { exact: true }).count()).toBe(0);
    await page.getByRole("button", { name: "Open the group Install the things" }).click();
    await page.getByText("installing 5", { exact: true }).waitFor();
    await page.getByRole("button", { name: /whole line/ }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText(/to 9\u202f000 of 9\u202f000/).waitFor();
    expect(await dialog.getByText(/^x+$/).innerText()).toHaveLength(9_000);
    await page.keyboard.press("Escape");
  });

  test("finds one line among thirty thousand, by text and by expression, and n leads there", async () => {
    await page.keyboard.press("/");
    await page.keyboard.type("needle");
    await page.getByText("1 hit", { exact: true }).waitFor();
    const hits = page.getByRole("complementary", { name: "Hits" });
    await hits.getByText("the Needle is here").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("n");
    await log().getByText("Needle").waitFor();
    expect(await log().locator("mark").innerText()).toBe("Needle");
    expect(new URL(page.url()).searchParams.get("find")).toBe("needle");

    await page.getByRole("button", { name: "Regular expression" }).click();
    await page.getByLabel("Find in the whole log").fill("row \\d*9999 is");
    await page.getByText("3 hits", { exact: true }).waitFor();
    await hits.getByText(/row 29999 is/).click();
    await log().getByText("row 29998 is fine").waitFor();
    await page.getByLabel("Find in the whole log").fill("(?=a)b");
    await page
      .getByRole("alert")
      .getByText(/Lookahead/)
      .waitFor();
    await page.getByLabel("Find in the whole log").fill("");
  });

  test("the first error is one key away, and a level leaves only what is as bad", async () => {
    await open("speak");
    await line(1).waitFor();
    await page.keyboard.press("e");
    await log().getByText("the Needle is here").waitFor();
    await page.getByLabel("Level").selectOption("error");
    await expect.poll(() => log().locator("[data-line]").count()).toBe(1);
    await page.getByLabel("Level").selectOption("critical");
    await page.getByRole("button", { name: "Show all levels" }).click();
    await log().getByText("the Needle is here").waitFor();
  });

  test("jumps to both ends, and a link to lines opens at them", async () => {
    await log().focus();
    await page.keyboard.press("g");
    await page.keyboard.press("g");
    await line(1).waitFor();
    await page.keyboard.press("G");
    await log().getByText("tail 499").waitFor();
    await page.keyboard.press("Home");
    await line(1).waitFor();
    await page.getByRole("button", { name: "Line 3", exact: true }).click();
    await page.getByRole("button", { name: "Line 6", exact: true }).click({ modifiers: ["Shift"] });
    await page.getByText("Lines 3 to 6 are selected.").waitFor();
    expect(new URL(page.url()).search).toMatch(/line=3/);
    expect(new URL(page.url()).search).toMatch(/lineTo=6/);
    await open("speak", "?line=15000&lineTo=27000");
    await line(15_000).waitFor();
    await page.getByRole("button", { name: "Copy 12\u202f001 lines" }).click();
    await page.getByText("Copied 12\u202f001 lines").waitFor();
    const copied = await page.evaluate<string>("navigator.clipboard.readText()");
    expect(copied.trimEnd().split("\n")).toHaveLength(12_001);
  });

  test("a selection that goes beyond the screen is copied whole", async () => {
    await open("speak", "?line=2");
    await line(3).waitFor();
    const from = await line(3).locator(".tenant-text").boundingBox();
    await page.mouse.move((from?.x ?? 0) + 2, (from?.y ?? 0) + 8);
    await page.mouse.down();
    await page.mouse.move((from?.x ?? 0) + 60, (from?.y ?? 0) + 60);
    for (let i = 0; i < 8; i++) await page.mouse.wheel(0, 600);
    await expect.poll(() => line(3).count()).toBe(0);
    await page.mouse.move((from?.x ?? 0) + 80, (from?.y ?? 0) + 100);
    await page.mouse.up();
    await page.keyboard.press("Control+c");
    await page.getByText(/Copied \d+ lines/).waitFor();
    const copied = await page.evaluate<string>("navigator.clipboard.readText()");
    expect(copied.startsWith("installing 0\n")).toBe(true);
    expect(copied.split("\n").length).toBeGreaterThan(100);
  });

  test("wraps long lines, and the address says so", async () => {
    await open("speak");
    await line(25).waitFor();
    const height = async (): Promise<number> => (await line(25).boundingBox())?.height ?? 0;
    expect(await height()).toBe(20);
    await page.keyboard.press("w");
    await expect.poll(height).toBeGreaterThan(200);
    expect(new URL(page.url()).searchParams.get("wrap")).toBe("true");
    await log().focus();
    await page.keyboard.press("End");
    await log().getByText("tail 499").waitFor();
  });

  test("follows a log that grows, stays where one scrolls to, and follows again", async () => {
    await open("grow");
    await log().getByText("and on").first().waitFor();
    await expect.poll(() => log().getByText("the beginning").count(), { timeout: 25_000 }).toBe(0);
    // It has outgrown the window: what is seen is the end.
    expect(
      await page.getByRole("button", { name: "Follow the end (f)" }).getAttribute("aria-pressed"),
    ).toBe("true");
    await log().focus();
    await page.keyboard.press("Home");
    await log().getByText("the beginning").waitFor();
    expect(
      await page.getByRole("button", { name: "Follow the end (f)" }).getAttribute("aria-pressed"),
    ).toBe("false");
    await page.keyboard.press("f");
    await expect.poll(() => log().getByText("the beginning").count()).toBe(0);
  }, 60_000);

  test("tells two tries apart, where pids and times do not count", async () => {
    await open("twice", "?try=2");
    await log().getByText("only in two").waitFor({ timeout: 30_000 });
    await page.getByRole("button", { name: "Compare with another try" }).click();
    await page.getByRole("menuitem", { name: "Against try 1" }).click();
    const difference = page.getByRole("grid", { name: "Difference between try 1 and try 2" });
    await difference.getByText("only in one").waitFor();
    await difference.getByText("only in two").waitFor();
    expect(new URL(page.url()).searchParams.get("against")).toBe("1");
  }, 40_000);

  test("a download is the text as it was printed", async () => {
    await open("speak");
    await line(1).waitFor();
    const coming = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download" }).click();
    await page.getByRole("menuitem", { name: "Text as it was printed" }).click();
    const download = await coming;
    expect(download.suggestedFilename()).toBe("talk.speak.1.log");
    const text = readFileSync(await download.path(), "utf8");
    expect(text.startsWith("\u001b[1;31mred and bold\u001b[0m then plain\n")).toBe(true);
    expect(text).toContain("\ntail 498\ntail 499\n");
  });

  test("says what there would be where there is nothing", async () => {
    await open("speak", "?try=7");
    await page.getByText(/never ran/).waitFor();
    await open("no_such_task");
    await page.getByText("It is not there, or not for you to see.").waitFor();
  });

  test.each(["light", "dark"] as const)("is clean for axe in the %s theme", async (theme) => {
    await page.emulateMedia({ colorScheme: theme });
    await open("speak", "?find=red&line=1");
    await page.getByRole("complementary", { name: "Hits" }).getByText("red").waitFor();
    expect(await axe(page)).toEqual([]);
  });

  test("nothing was wrong on the way", () => {
    expect(visitor.complaints).toEqual([]);
  });
});
