/** axe-core on a page as it is now: the rule and the place of each violation, in words. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

type Found = {
  readonly violations: readonly {
    readonly id: string;
    readonly help: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
};

export async function axe(page: Page): Promise<readonly string[]> {
  // Evaluated by the debugger, not by the page: its policy would refuse a script of ours.
  await page.evaluate(source);
  const found = (await page.evaluate(
    `axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] })`,
  )) as Found;
  return found.violations.flatMap(({ id, help, nodes }) =>
    nodes
      .slice(0, 5)
      .map(
        (node) => `${id}: ${help}\n  ${node.html.slice(0, 200)}\n  ${node.failureSummary ?? ""}`,
      ),
  );
}
