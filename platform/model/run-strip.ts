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
  /**
   * Per run, between blanks (an id holds none): `shared at the start.shared at the end.what is between`, counted in
   * letters of the id before it.
   */
  readonly ids: string;
  /** Seconds: the first since the epoch, each other one before the one in front of it. */
  readonly after: number[];
  /** Seconds from `after` to the start; null: it has not started. */
  readonly wait: (number | null)[];
  /** Seconds from the start to the end; null: it has not ended. */
  readonly lasted: (number | null)[];
};

const letters: Readonly<Record<RunState, string>> = {
  queued: "q",
  running: "r",
  success: "s",
  failed: "f",
};
const stateOf = new Map<string, RunState>(
  (Object.keys(letters) as RunState[]).map((state) => [letters[state], state]),
);

export function packRuns(runs: readonly StripRun[]): RunStrip {
  let states = "";
  let ids = "";
  let idBefore = "";
  let afterBefore = 0;
  const after: number[] = [];
  const wait: (number | null)[] = [];
  const lasted: (number | null)[] = [];
  for (const run of runs) {
    states += letters[run.state];
    ids += `${ids === "" ? "" : " "}${difference(idBefore, run.run_id)}`;
    after.push(rounded(after.length === 0 ? run.after : afterBefore - run.after));
    wait.push(run.started === null ? null : rounded(run.started - run.after));
    lasted.push(
      run.started === null || run.ended === null
        ? null
        : rounded(Math.max(0, run.ended - run.started)),
    );
    idBefore = run.run_id;
    afterBefore = run.after;
  }
  return { states, ids, after, wait, lasted };
}

export function unpackRuns(strip: RunStrip): readonly StripRun[] {
  const ids = strip.ids.split(" ");
  let id = "";
  let at = 0;
  return strip.states.split("").map((letter, i) => {
    const [, head = "0", tail = "0", middle = ""] =
      /^(\d+)\.(\d+)\.(.*)$/s.exec(ids[i] ?? "") ?? [];
    id = id.slice(0, Number(head)) + middle + (tail === "0" ? "" : id.slice(-Number(tail)));
    const step = strip.after[i] ?? 0;
    at = i === 0 ? step : rounded(at - step);
    const wait = strip.wait[i] ?? null;
    const lasted = strip.lasted[i] ?? null;
    const started = wait === null ? null : rounded(at + wait);
    return {
      run_id: id,
      state: stateOf.get(letter) ?? "queued",
      after: at,
      started,
      ended: started === null || lasted === null ? null : rounded(started + lasted),
    };
  });
}

/** Letter by letter, by their codes: this is done twenty-five thousand times for one list. */
function difference(before: string, id: string): string {
  const most = Math.min(before.length, id.length);
  let head = 0;
  while (head < most && before.charCodeAt(head) === id.charCodeAt(head)) head += 1;
  let tail = 0;
  while (
    tail < most - head &&
    before.charCodeAt(before.length - 1 - tail) === id.charCodeAt(id.length - 1 - tail)
  )
    tail += 1;
  return `${head}.${tail}.${id.slice(head, id.length - tail)}`;
}

/** To a hundredth: what a bar or a list can show. */
const rounded = (seconds: number): number => Math.round(seconds * 100) / 100;

/**
 * The values at shares of a list (0.5: the median), between neighbours as Postgres' percentile_cont; null: of nothing.
 */
export function percentiles(
  values: readonly number[],
  shares: readonly number[],
): readonly (number | null)[] {
  const sorted = Float64Array.from(values).sort();
  return shares.map((share) => {
    if (sorted.length === 0) return null;
    const place = share * (sorted.length - 1);
    const low = sorted[Math.floor(place)] ?? 0;
    const high = sorted[Math.ceil(place)] ?? low;
    return rounded(low + (high - low) * (place - Math.floor(place)));
  });
}
