/** Dashboards ask for metrics that there are, each panel says what it shows in which unit, and the JSON is of these data. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { catalogue } from "../telemetry/catalogue.ts";
import { metricNamesIn } from "../telemetry/metric-names-in.ts";
import { namesInExpressions } from "../telemetry/render-metrics.ts";
import { dashboards, toGrafana } from "./dashboards.ts";

const panels = dashboards.flatMap((dashboard) =>
  dashboard.rows.flatMap((row) => row.panels.map((panel) => ({ in: dashboard.uid, ...panel }))),
);

test("there are four", () =>
  expect(dashboards.map(({ uid }) => uid)).toEqual([
    "airlock-platform",
    "airlock-tenant",
    "airlock-workers",
    "airlock-sync",
  ]));

test.each(dashboards)("$uid.json is what its data say", (dashboard) => {
  const written: unknown = JSON.parse(
    readFileSync(join(import.meta.dirname, `${dashboard.uid}.json`), "utf8"),
  );
  expect(written, "run: node ops/dashboards/write.ts").toEqual(toGrafana(dashboard));
});

test.each(panels)("$in: $title", ({ title, about, unit, ask, exemplars }) => {
  expect(title).toMatch(/^[A-Z]/);
  expect(about).toMatch(/\.$/);
  expect(unit).not.toBe("");
  expect(Object.keys(ask).length).toBeGreaterThan(0);
  for (const [legend, expression] of Object.entries(ask)) {
    const names = metricNamesIn(expression);
    expect(names.length, expression).toBeGreaterThan(0);
    expect(
      names.filter((name) => !namesInExpressions.has(name)),
      expression,
    ).toEqual([]);
    const specs = Object.values(catalogue).filter(({ name }) =>
      names.some((used) => used === name || used.replace(/_(?:bucket|sum|count)$/, "") === name),
    );
    const labels = new Set<string>(["instance", ...specs.flatMap((spec) => spec.labels)]);
    for (const [, label = ""] of legend.matchAll(/\{\{(\w+)\}\}/g))
      expect([...labels], legend).toContain(label);
    // What all servers tell alike must not be added up over them.
    if (specs.some(({ from }) => from === "rows"))
      expect(expression, "gauges from rows: max or min by").toMatch(/\b(?:max|min)(?: by)? ?\(/);
    if (exemplars) expect(specs.every((spec) => "exemplars" in spec)).toBe(true);
  }
});

test("every metric of the catalogue is on some dashboard", () => {
  const asked = new Set(panels.flatMap(({ ask }) => Object.values(ask).flatMap(metricNamesIn)));
  const unseen = Object.values(catalogue)
    .map(({ name }) => name)
    .filter((name) => ![...asked].some((used) => used === name || used.startsWith(`${name}_`)));
  expect(unseen).toEqual(["process_start_time_seconds"]);
});
