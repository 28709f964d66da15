/** Figures: what a benchmark found, as one JSON object per line for programs and as a sentence for people. */

export type Unit = "ms" | "s" | "MB" | "kB" | "percent" | "per_second" | "cpu_s" | "ratio";

export type Figure = {
  readonly name: string;
  readonly value: number;
  readonly unit: Unit;
  /** What was promised; null: nothing was. */
  readonly target: number | null;
  /** The same on the barest thing that could do it, measured in the same run; null: there is no such thing. */
  readonly floor: number | null;
  readonly ratio: number | null;
  readonly samples: number;
};

/** What design promises of each name, and the unit. A name that is not here cannot be reported. */
export const promises = {
  "push-to-live-p50": ["ms", 1000],
  "push-to-live-p99": ["ms", 3000],
  "hop-p50": ["ms", 5],
  "hop-p99": ["ms", 25],
  "hop-doorbell-p50": ["ms", null],
  "three-steps-p50": ["ms", 15],
  "three-steps-inline-p50": ["ms", null],
  fib40: ["s", 0.2],
  "line-100x10-wall": ["s", 2.5],
  "line-100x10-lag": ["s", 0.2],
  "workflows-per-second": ["per_second", 150],
  "workflows-per-second-inline": ["per_second", null],
  "three-steps-cpu": ["cpu_s", 0.013],
  "completion-cost-ratio": ["ratio", 1.5],
  "parse-1000-files": ["s", null],
  "reparse-one-of-1000": ["ms", 1000],
  "dags-list-p95": ["ms", 50],
  "midnight-burst": ["s", null],
  "idle-memory": ["MB", 100],
  "idle-cpu": ["percent", 1],
  "start-first": ["s", 10],
  "start-again": ["s", 3],
  "first-load-kb": ["kB", 200],
  "grid-5000x50": ["ms", 200],
  "dags-index-p95": ["ms", 50],
  "log-open-p95": ["ms", null],
  "log-first-hits": ["ms", 200],
  "grid-frame-p95": ["ms", 17],
  "dags-frame-p95": ["ms", 17],
  "log-frame-p95": ["ms", 17],
  "live-1000-cpu": ["percent", null],
  "live-1000-kb": ["kB", null],
  "live-1000-delta-p95": ["ms", null],
  "kill-to-restart-p50": ["ms", 1000],
  "kill-to-restart-p99": ["ms", 1000],
  "flood-delay-p95": ["ms", 50],
} as const satisfies Record<string, readonly [Unit, number | null]>;

export type Name = keyof typeof promises;
export const names = Object.keys(promises) as readonly Name[];
export const isName = (text: string): text is Name => Object.hasOwn(promises, text);

export type Measured = {
  readonly value: number;
  readonly floor: number | null;
  readonly samples: number;
};

/** Pure: the line of one measurement. The ratio says how many times the floor it is; of a rate, how many times slower. */
export function toFigure(name: Name, { value, floor, samples }: Measured): Figure {
  const [unit, target] = promises[name];
  const ratio =
    floor === null || floor <= 0 || value <= 0
      ? null
      : unit === "per_second"
        ? floor / value
        : value / floor;
  return {
    name,
    value: short(value),
    unit,
    target,
    floor: floor === null ? null : short(floor),
    ratio: ratio === null ? null : short(ratio),
    samples,
  };
}

/** `p` from 0 to 1, by nearest rank: always a value that was measured. Throws on nothing. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const found = sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * p) - 1))];
  if (found === undefined) throw new Error("there is nothing to take a percentile of");
  return found;
}

export const median = (values: readonly number[]): number => percentile(values, 0.5);

export function mean(values: readonly number[]): number {
  if (values.length === 0) throw new Error("there is nothing to take a mean of");
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Three significant digits: more would pretend to know. */
export const short = (value: number): number => Number(value.toPrecision(3));

export type Report = (name: Name, measured: Measured) => void;

export function printFigure(figure: Figure): void {
  process.stdout.write(`${JSON.stringify(figure)}\n`);
  const { name, value, unit, target, floor, ratio, samples } = figure;
  const about = [
    target === null ? undefined : `promised ${target}`,
    floor === null ? undefined : `floor ${floor}${ratio === null ? "" : `, ${ratio} times`}`,
    `${samples} samples`,
  ];
  say(`${name}: ${value} ${unit} (${about.filter((part) => part !== undefined).join("; ")})`);
}

/** For people: standard output is the figures' alone. */
export const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
