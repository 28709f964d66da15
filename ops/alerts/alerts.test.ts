/** Alert rules: what they ask for exists, each wakes somebody who finds a page to read, and promtool agrees. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { buildProgram } from "../../platform/main/build-program.ts";
import { metricNamesIn } from "../telemetry/metric-names-in.ts";
import { namesInExpressions } from "../telemetry/render-metrics.ts";

type Rule = {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: { readonly severity?: string };
  readonly annotations?: { readonly summary?: string; readonly runbook_url?: string };
};
type Rules = { readonly groups: readonly { readonly rules: readonly Rule[] }[] };
type Cases = {
  readonly tests: readonly {
    readonly alert_rule_test: readonly {
      readonly alertname: string;
      readonly exp_alerts: readonly object[];
    }[];
  }[];
};

const root = join(import.meta.dirname, "..", "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const files = readdirSync(import.meta.dirname).filter((name) => /(?<!\.test)\.yaml$/.test(name));
const caseFiles = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".test.yaml"));
const rules = files.flatMap((file) =>
  (parse(read(`ops/alerts/${file}`)) as Rules).groups.flatMap((group) => group.rules),
);
const alerts = rules.filter((rule) => rule.alert !== undefined);
const recorded = new Set(rules.map(({ record }) => record));

test("there are rules", () => expect(alerts.length).toBeGreaterThan(20));

test.each(rules)("$alert$record asks for metrics that there are", ({ expr }) => {
  const names = metricNamesIn(expr);
  expect(names.length + (expr.startsWith("vector(") ? 1 : 0)).toBeGreaterThan(0);
  expect(names.filter((name) => !namesInExpressions.has(name) && !recorded.has(name))).toEqual([]);
});

test.each(alerts)(
  "$alert says how bad it is, what it is, and where to read on",
  ({ alert, labels, annotations }) => {
    expect(["page", "ticket", "tenant", "none"]).toContain(labels?.severity);
    expect(annotations?.summary).toMatch(/^.{20,200}$/);
    expect(annotations?.runbook_url).toBe(`ops/runbooks/${alert}.md`);
    const page = read(`ops/runbooks/${alert}.md`);
    expect(page).toMatch(/^# /);
    for (const part of ["## What users see", "## Look", "## Mend"]) expect(page).toContain(part);
  },
);

test("every runbook belongs to an alert", () => {
  const pages = readdirSync(join(root, "ops/runbooks")).filter((name) => name !== "README.md");
  expect(new Set(pages.map((name) => name.replace(/\.md$/, "")))).toEqual(
    new Set(alerts.map(({ alert }) => alert)),
  );
});

test("the commands that runbooks tell of exist, and so do the pages and metrics", () => {
  const program = buildProgram();
  for (const name of readdirSync(join(root, "ops/runbooks"))) {
    const page = read(`ops/runbooks/${name}`);
    for (const [, verb = "", noun = ""] of page.matchAll(/npx airlock ([a-z]+)(?: ([a-z-]+))?/g)) {
      const found = program.commands.find((command) => command.name() === verb);
      expect(found, `${name}: airlock ${verb}`).toBeDefined();
      if ((found?.commands.length ?? 0) > 0)
        expect(
          found?.commands.map((command) => command.name()),
          `${name}: ${verb}`,
        ).toContain(noun);
    }
    for (const [, other = ""] of page.matchAll(/\]\((\w+\.md)\)/g))
      expect(existsSync(join(root, "ops/runbooks", other)), `${name}: ${other}`).toBe(true);
  }
});

test("each alert is tried where it must fire", () => {
  const tests = caseFiles.flatMap((file) => (parse(read(`ops/alerts/${file}`)) as Cases).tests);
  const fired = new Set(
    tests
      .flatMap((one) => one.alert_rule_test)
      .filter(({ exp_alerts: expected }) => expected.length > 0)
      .map(({ alertname }) => alertname),
  );
  expect(alerts.map(({ alert }) => alert).filter((name) => !fired.has(name ?? ""))).toEqual([]);
});

const promtool = spawnSync("promtool", ["--version"]).status === 0;
test.skipIf(!promtool)(
  "promtool takes the rules and their tests (needs promtool, of Debian's package prometheus)",
  () => {
    for (const args of [
      ["check", "rules", ...files.map((file) => join(import.meta.dirname, file))],
      ["test", "rules", ...caseFiles.map((file) => join(import.meta.dirname, file))],
    ]) {
      const ran = spawnSync("promtool", args, { encoding: "utf8", timeout: 25_000 });
      expect(ran.status, `${ran.stdout}${ran.stderr}`).toBe(0);
    }
  },
);
