/** The catalogue keeps Prometheus' rules, is bounded whatever tenants name their things, and holds nothing that nobody writes. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { airflowAliases } from "./airflow-names.ts";
import { catalogue, labelBounds, type MetricSpec } from "./catalogue.ts";
import { openMetrics } from "./metrics.ts";
import { renderMetrics } from "./render-metrics.ts";

const specs: readonly [string, MetricSpec][] = Object.entries(catalogue);
const root = join(import.meta.dirname, "..", "..");

test.each(specs)("%s is named as Prometheus asks", (_, spec) => {
  expect(spec.name).toMatch(/^(?:airlock|process)_[a-z][a-z0-9_]*[a-z0-9]$/);
  expect(spec.name.endsWith("_total")).toBe(spec.type === "counter");
  expect(spec.name).not.toMatch(
    /_(?:ms|millis|milliseconds|minutes|kb|mb|percent|count|sum|bucket)(?:_|$)/,
  );
  if (spec.type === "histogram") expect(spec.name).toMatch(/_seconds$/);
  for (const label of spec.labels) {
    expect(Object.keys(labelBounds)).toContain(label);
    expect(spec.name.split("_"), "a label's name in a metric's").not.toContain(
      ["dag", "pool", "queue", "role"].includes(label) ? "" : label,
    );
  }
  expect(spec.help).toMatch(/^[A-Z0-9`].*\.$/s);
});

test("names are there once", () => {
  const names = specs.map(([, { name }]) => name);
  expect(new Set(names).size).toBe(names.length);
  const aliases = airflowAliases.map(({ name }) => name);
  expect(new Set(aliases).size).toBe(aliases.length);
});

test("histograms carry the tenant at most, with what it ended as, and have at most 12 buckets", () => {
  for (const [, spec] of specs.filter(([, { type }]) => type === "histogram")) {
    expect(spec.buckets?.length).toBeLessThanOrEqual(12);
    expect(["tenant", "result", "method", "code"]).toEqual(
      expect.arrayContaining([...spec.labels]),
    );
    expect(spec.buckets).toEqual(spec.buckets?.toSorted((a, b) => a - b));
  }
});

test("a DAG's name is on four metrics and the canary's", () => {
  const named = specs.filter(([, { labels }]) => labels.includes("dag")).map(([key]) => key);
  expect(named.toSorted()).toEqual(["canary", "dagRuns", "deadlineMissed", "lastSuccess"]);
});

test("every metric is written by some code", () => {
  const sources = ["platform", "tenants", "ops/telemetry"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter(
        (path) =>
          path.endsWith(".ts") && !path.endsWith(".test.ts") && !path.includes("node_modules"),
      )
      .map((path) => readFileSync(join(root, folder, path), "utf8")),
  );
  const verb = { counter: "add", gauge: "(?:set|add|replace)", histogram: "observe" } as const;
  const dead = specs.filter(
    ([key, { type }]) =>
      !sources.some((text) => new RegExp(`metrics\\.${key}\\s*\\.${verb[type]}\\(`).test(text)),
  );
  expect(dead.map(([key]) => key)).toEqual([]);
});

test("a label of a million values takes a bounded number of series, and says what went elsewhere", async () => {
  const { metrics, registry, series } = openMetrics({ seriesMax: 2_000, perTenantMax: 500 });
  metrics.dagRuns.add({ tenant: "quiet", dag: "before", result: "success" });
  for (let n = 0; n < 1_000_000; n += 1)
    metrics.dagRuns.add({ tenant: "flood", dag: `d${n}`, result: "success" });
  metrics.dagRuns.add({ tenant: "quiet", dag: "after", result: "success" });
  expect(series()).toBeLessThanOrEqual(2_000);
  const { text } = await renderMetrics({ registry });
  expect(text).toContain(
    `airlock_dag_runs_total{tenant="_other",dag="_other",result="success"} 999500`,
  );
  expect(text).toContain(`airlock_dag_runs_total{tenant="quiet",dag="after",result="success"} 1`);
  expect(text).toContain(
    `airlock_metrics_dropped_series_total{metric="airlock_dag_runs_total"} 999500`,
  );
  expect(text.split("\n").length).toBeLessThan(2_000);
}, 60_000);

test("a million tenants as well", async () => {
  const { metrics, registry, series } = openMetrics({ seriesMax: 300 });
  for (let n = 0; n < 100_000; n += 1) metrics.queueDelay.observe({ tenant: `t${n}` }, 0.01);
  expect(series()).toBeLessThanOrEqual(300);
  const { text } = await renderMetrics({ registry });
  const counts = [...text.matchAll(/^airlock_task_queue_delay_seconds_count\{[^}]*\} (\d+)$/gm)];
  expect(counts.reduce((sum, [, n]) => sum + Number(n), 0)).toBe(100_000);
});

test("gauges from rows forget what is gone, and give its place back", async () => {
  const { metrics, registry, series } = openMetrics({ seriesMax: 10 });
  for (let round = 0; round < 50; round += 1)
    metrics.importErrors.replace([[{ tenant: `t${round}` }, round]]);
  const { text } = await renderMetrics({ registry });
  expect(text.match(/^airlock_dag_import_errors\{.*$/gm)).toEqual([
    'airlock_dag_import_errors{tenant="t49"} 49',
  ]);
  expect(series()).toBe(1);
});

test("labels are escaped in both formats; OpenMetrics carries exemplars, the older text does not", async () => {
  const { metrics, registry } = openMetrics();
  metrics.dagRuns.add({ tenant: "a", dag: 'x"\\\n} 9', result: "success" });
  metrics.queueDelay.observe({ tenant: "a" }, 0.02, {
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    span_id: "b7ad6b7169203331",
  });
  const old = await renderMetrics({ registry });
  expect(old.contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(old.text).toContain('dag="x\\"\\\\\\n} 9"');
  expect(old.text).not.toContain("trace_id");
  const open = await renderMetrics({
    registry,
    accept: "application/openmetrics-text;version=1.0.0",
  });
  expect(open.contentType).toContain("application/openmetrics-text");
  expect(open.text).toMatch(
    /^airlock_task_queue_delay_seconds_bucket\{tenant="a",le="0.025"\} 1 # \{trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"\} 0\.02 \d+/m,
  );
  expect(open.text).toContain("# TYPE airlock_dag_runs counter");
  expect(open.text.endsWith("# EOF\n")).toBe(true);
});

test("a team sees its own series alone", async () => {
  const { metrics, registry } = openMetrics();
  for (const tenant of ["acme", "globex"]) metrics.attempts.add({ tenant, result: "success" });
  metrics.tasksLost.add({ reason: "lease" });
  const { text } = await renderMetrics({ registry, tenant: "acme" });
  expect(text.match(/^airlock.*$/gm)).toEqual([
    'airlock_task_attempts_total{tenant="acme",result="success"} 1',
  ]);
});

test("Airflow's names come from the same series, in Airflow's units, and only where they are asked for", async () => {
  for (const { of, keep, where } of airflowAliases) {
    const spec = specs.find(([, { name }]) => name === of)?.[1];
    expect(spec?.labels).toEqual(expect.arrayContaining([...keep, ...Object.keys(where ?? {})]));
  }
  const { metrics, registry } = openMetrics();
  metrics.attempts.add({ tenant: "acme", result: "success" }, 3);
  metrics.attempts.add({ tenant: "acme", result: "failure" });
  metrics.dagRunSeconds.observe({ tenant: "acme", result: "success" }, 2);
  metrics.poolSlots.replace([[{ tenant: "acme", pool: "default_pool", state: "open" }, 128]]);
  expect((await renderMetrics({ registry })).text).not.toContain("airflow_");
  const { text } = await renderMetrics({ registry, airflow: true });
  expect(text).toContain('airflow_ti_successes_total{tenant="acme"} 3');
  expect(text).toContain('airflow_ti_failures_total{tenant="acme"} 1');
  expect(text).toContain('airflow_pool_open_slots{tenant="acme",pool_name="default_pool"} 128');
  expect(text).toContain('airflow_dagrun_duration_success_sum{tenant="acme"} 2000');
  expect(text).toMatch(/airflow_dagrun_duration_success_bucket\{[^}]*le="5000"[^}]*\} 1/);
});
