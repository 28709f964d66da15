/**
 * The last runs of a DAG in few bytes: a list of a thousand DAGs carries twenty-five thousand of them. Their ids
 * and times are much alike, so each says only where it differs from the one before.
 */
import type { RunState } from "./states.ts";

export type StripRun = {
  readonly run_id: string;
  readonly state: RunState;
  /** Seconds since the epoch. */
  readonly after: number;
  readonly started: number | null;
  readonly ended: number | null;
};

export type RunStrip = {
  /** One letter per run, newest first: `q`, `r`, `s`, `f`. */
  readonly states: string;
  /** `[letters shared at the start, letters shared at the end, what is between]`, with the id before it. */
  readonly ids: readonly (readonly [number, number, string])[];
  /** Seconds: the first since the epoch, each other one before the one in front of it. */
  readonly after: readonly number[];
  /** Seconds from `after` to the start; null: it has not started. */
  readonly wait: readonly (number | null)[];
  /** Seconds from the start to the end; null: it has not ended. */
  readonly lasted: readonly (number | null)[];
};

const letters: Readonly<Record<RunState, string>> = {
  queued: "q",
  running: "r",
  success: "s",
  failed: "f",
};
const stateOf = new Map(Object.entries(letters).map(([state, letter]) => [letter, state]));

export function packRuns(runs: readonly StripRun[]): RunStrip {
  return {
    states: runs.map(({ state }) => letters[state]).join(""),
    ids: runs.map(({ run_id }, i) => difference(runs[i - 1]?.run_id ?? "", run_id)),
    after: runs.map(({ after }, i) => rounded(i === 0 ? after : (runs[i - 1]?.after ?? 0) - after)),
    wait: runs.map(({ after, started }) => (started === null ? null : rounded(started - after))),
    lasted: runs.map(({ started, ended }) =>
      started === null || ended === null ? null : rounded(Math.max(0, ended - started)),
    ),
  };
}

export function unpackRuns(strip: RunStrip): readonly StripRun[] {
  let id = "";
  let at = 0;
  return [...strip.states].map((letter, i) => {
    const [head, tail, middle] = strip.ids[i] ?? [0, 0, ""];
    id = id.slice(0, head) + middle + (tail === 0 ? "" : id.slice(-tail));
    const step = strip.after[i] ?? 0;
    at = i === 0 ? step : rounded(at - step);
    const wait = strip.wait[i] ?? null;
    const lasted = strip.lasted[i] ?? null;
    const started = wait === null ? null : rounded(at + wait);
    return {
      run_id: id,
      state: (stateOf.get(letter) ?? "queued") as RunState,
      after: at,
      started,
      ended: started === null || lasted === null ? null : rounded(started + lasted),
    };
  });
}

function difference(before: string, id: string): readonly [number, number, string] {
  const most = Math.min(before.length, id.length);
  let head = 0;
  while (head < most && before[head] === id[head]) head += 1;
  let tail = 0;
  while (tail < most - head && before.at(-1 - tail) === id.at(-1 - tail)) tail += 1;
  return [head, tail, id.slice(head, id.length - tail)];
}

/** To a hundredth: what a bar or a list can show. */
const rounded = (seconds: number): number => Math.round(seconds * 100) / 100;

/** The value at a share of a list (0.5: the median), between neighbours as Postgres' percentile_cont; null: of nothing. */
export function percentile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const low = sorted[Math.floor(place)] ?? 0;
  const high = sorted[Math.ceil(place)] ?? low;
  return rounded(low + (high - low) * (place - Math.floor(place)));
}
