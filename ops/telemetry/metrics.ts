/**
 * The catalogue, alive: counted in this process, read from the rows when somebody scrapes. A new value of a label
 * costs memory for ever, so each process holds at most `seriesMax` series and one tenant at most its share of them:
 * what comes later is counted under `_other`, and that it was is counted as well.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import {
  catalogue,
  type Label,
  type LabelsOf,
  labelBounds,
  type MetricKey,
  type MetricSpec,
} from "./catalogue.ts";

export const overflow = "_other";

/** Points an observation at its trace. */
export type Exemplar = { readonly trace_id: string; readonly span_id: string };
type Many<K extends MetricKey> = readonly (readonly [LabelsOf<K>, number])[];

/** What writers may do; one that does not fit the metric's type does nothing that a test would not see. */
export type Metric<K extends MetricKey> = {
  add(labels: LabelsOf<K>, by?: number): void;
  set(labels: LabelsOf<K>, value: number): void;
  observe(labels: LabelsOf<K>, value: number, exemplar?: Exemplar): void;
  /** All of it anew: values that are not named are gone. */
  replace(values: Many<K>): void;
};
export type Metrics = { readonly [K in MetricKey]: Metric<K> };

export type OpenMetrics = {
  readonly metrics: Metrics;
  readonly registry: Registry;
  /** How many series there are. */
  readonly series: () => number;
};

export type MetricLimits = { readonly seriesMax?: number; readonly perTenantMax?: number };

export function openMetrics(limits: MetricLimits = {}): OpenMetrics {
  const { seriesMax = 10_000, perTenantMax = 1_000 } = limits;
  // Only an OpenMetrics registry keeps exemplars; how it is written down is `render-metrics.ts`' own matter.
  const registry = new Registry();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
  const budget = { used: 0, ofTenant: new Map<string, number>() };
  let dropped: ((metric: string) => void) | undefined;

  const open = (spec: MetricSpec): Metric<never> => {
    const settings = {
      name: spec.name,
      help: spec.help,
      labelNames: [...spec.labels],
      registers: [registry],
    };
    // A gauge that nobody has set is no 0.
    const unset = (made: Gauge): Gauge => {
      if (spec.labels.length === 0) made.remove();
      return made;
    };
    const counter = spec.type === "counter" ? new Counter(settings) : undefined;
    const gauge = spec.type === "gauge" ? unset(new Gauge(settings)) : undefined;
    const histogram =
      spec.type === "histogram"
        ? new Histogram({
            ...settings,
            buckets: [...(spec.buckets ?? [])],
            enableExemplars: spec.exemplars === true,
          })
        : undefined;
    const cost = spec.type === "histogram" ? (spec.buckets?.length ?? 0) + 3 : 1;
    const isOpen = spec.labels.some((label) => labelBounds[label] === "open");
    const known = new Map<string, string | undefined>();

    /** These labels if there is room for their series, else the ones that stand for all others. */
    const admit = (labels: Record<string, string>): Record<string, string> => {
      if (!isOpen) return labels;
      const key = spec.labels.map((label) => labels[label]).join("\0");
      if (known.has(key)) return labels;
      const { tenant } = labels;
      const mine = tenant === undefined ? 0 : (budget.ofTenant.get(tenant) ?? 0);
      const fits =
        budget.used + cost <= seriesMax && (tenant === undefined || mine + cost <= perTenantMax);
      if (!fits) {
        dropped?.(spec.name);
        return Object.fromEntries(
          spec.labels.map((label) => [label, otherOf(label, labels[label] ?? "")]),
        );
      }
      known.set(key, tenant);
      budget.used += cost;
      if (tenant !== undefined) budget.ofTenant.set(tenant, mine + cost);
      return labels;
    };
    const forgetAll = (): void => {
      for (const tenant of known.values()) {
        budget.used -= cost;
        if (tenant === undefined) continue;
        const left = (budget.ofTenant.get(tenant) ?? cost) - cost;
        if (left > 0) budget.ofTenant.set(tenant, left);
        else budget.ofTenant.delete(tenant);
      }
      known.clear();
    };
    return {
      add(labels, by = 1) {
        const admitted = admit(labels);
        counter?.inc(admitted, by);
        gauge?.inc(admitted, by);
      },
      set(labels, value) {
        gauge?.set(admit(labels), value);
      },
      observe(labels, value, exemplar) {
        const admitted = admit(labels);
        if (exemplar === undefined || spec.exemplars !== true) {
          // The class with exemplars takes one object, the class without two arguments.
          if (spec.exemplars === true) histogram?.observe({ labels: admitted, value } as never);
          else histogram?.observe(admitted, value);
        } else
          histogram?.observe({
            labels: admitted,
            value,
            exemplarLabels: { ...exemplar },
          } as never);
      },
      replace(values) {
        forgetAll();
        gauge?.reset();
        for (const [labels, value] of values) {
          const admitted = admit(labels);
          if (admitted === labels) gauge?.set(admitted, value);
          // Of what has no series of its own, the sum; times and ages have none.
          else if (!/_(?:timestamp|age)_seconds$/.test(spec.name)) gauge?.inc(admitted, value);
        }
      },
    };
  };

  const metrics = Object.fromEntries(
    Object.entries(catalogue).map(([key, spec]) => [key, open(spec)]),
  ) as unknown as Metrics;
  dropped = (metric) => metrics.droppedSeries.add({ metric });
  return { metrics, registry, series: () => budget.used };
}

const otherOf = (label: Label, value: string): string =>
  labelBounds[label] === "open" ? overflow : value;

const opened = openMetrics();
/** Of this process. */
export const metrics: Metrics = opened.metrics;
export const registry: Registry = opened.registry;
