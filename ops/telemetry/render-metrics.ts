/**
 * The text that a Prometheus scrapes, in the format that it asks for: OpenMetrics carries exemplars, the older text is
 * what every other collector reads. A team sees the series of its own tenant alone.
 */
import { performance } from "node:perf_hooks";
import type { Registry } from "prom-client";
import { airflowNames } from "./airflow-names.ts";
import { catalogue } from "./catalogue.ts";
import { metrics, registry as own } from "./metrics.ts";

export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly exemplar?:
    | {
        readonly labelSet: Readonly<Record<string, string>>;
        readonly value: number;
        readonly timestamp: number;
      }
    | null
    | undefined;
};
export type Family = {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
};

export type Rendering = {
  readonly contentType: string;
  readonly text: string;
};

export type RenderOptions = {
  /** The scraper's Accept header. */
  readonly accept?: string | undefined;
  /** Only what carries this tenant's name. */
  readonly tenant?: string;
  /** Airflow's names beside ours. */
  readonly airflow?: boolean;
  readonly registry?: Registry;
};

export async function renderMetrics(options: RenderOptions = {}): Promise<Rendering> {
  const registry = options.registry ?? own;
  if (registry === own && options.tenant === undefined) lookAtProcess();
  const open = /application\/openmetrics-text/.test(options.accept ?? "");
  const families = (await readFamilies(registry)).map((family) =>
    options.tenant === undefined
      ? family
      : {
          ...family,
          samples: family.samples.filter(({ labels }) => labels["tenant"] === options.tenant),
        },
  );
  const shown = options.airflow === true ? [...families, ...airflowNames(families)] : families;
  const text = shown
    .filter(({ samples }) => samples.length > 0)
    .map((family) => write(family, open))
    .join("");
  return open
    ? {
        contentType: "application/openmetrics-text; version=1.0.0; charset=utf-8",
        text: `${text}# EOF\n`,
      }
    : { contentType: "text/plain; version=0.0.4; charset=utf-8", text };
}

async function readFamilies(registry: Registry): Promise<Family[]> {
  const read = (await registry.getMetricsAsJSON()) as unknown as {
    readonly name: string;
    readonly help: string;
    readonly type: string;
    readonly values: readonly {
      readonly metricName?: string;
      readonly labels: Record<string, string | number>;
      readonly value: number;
      readonly exemplar?: Sample["exemplar"];
    }[];
  }[];
  return read.map(({ name, help, type, values }) => ({
    name,
    help,
    type,
    samples: values.map((value) => ({ name: value.metricName ?? name, ...value })),
  }));
}

function write({ name, type, help, samples }: Family, open: boolean): string {
  // OpenMetrics names the family of a counter without its suffix.
  const family = open && type === "counter" ? name.replace(/_total$/, "") : name;
  const lines = [`# HELP ${family} ${escapeHelp(help)}`, `# TYPE ${family} ${type}`];
  for (const sample of samples) {
    const exemplar = open && sample.exemplar ? writeExemplar(sample.exemplar) : "";
    lines.push(
      `${sample.name}${writeLabels(sample.labels)} ${writeNumber(sample.value)}${exemplar}`,
    );
  }
  return `${lines.join("\n")}\n`;
}

function writeLabels(labels: Sample["labels"]): string {
  const { le, ...others } = labels;
  const shown = Object.entries(le === undefined ? others : { ...others, le });
  const pairs = shown.map(([name, value]) => `${name}="${escapeValue(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

const writeExemplar = ({ labelSet, value, timestamp }: NonNullable<Sample["exemplar"]>): string =>
  ` # ${writeLabels(labelSet) || "{}"} ${writeNumber(value)} ${timestamp}`;

const escapeHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
const escapeValue = (value: string | number): string =>
  typeof value === "number"
    ? writeNumber(value)
    : value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
const writeNumber = (value: number): string =>
  value === Number.POSITIVE_INFINITY
    ? "+Inf"
    : value === Number.NEGATIVE_INFINITY
      ? "-Inf"
      : String(value);

let cpuBefore = 0;
let loopBefore = performance.eventLoopUtilization();

/** What costs nothing until somebody looks. */
function lookAtProcess(): void {
  const { user, system } = process.cpuUsage();
  const cpu = (user + system) / 1e6;
  metrics.processCpu.add({}, cpu - cpuBefore);
  cpuBefore = cpu;
  metrics.processMemory.set({}, process.memoryUsage.rss());
  metrics.processStart.set({}, Math.round((performance.timeOrigin / 1000) * 100) / 100);
  const loop = performance.eventLoopUtilization();
  metrics.eventLoopBusy.set({}, performance.eventLoopUtilization(loop, loopBefore).utilization);
  loopBefore = loop;
}

/** Names that may stand in an expression: of a histogram its three. */
export const namesInExpressions: ReadonlySet<string> = new Set(
  Object.values(catalogue).flatMap(({ name, type }) =>
    type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  ),
);
