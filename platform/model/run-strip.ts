/**
 * The last runs of a DAG in few bytes and little work: a list of a thousand DAGs carries twenty-five thousand of them.
 * Their ids and times are much alike, so each says only where it differs.
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

/**
 * As they are read: columns, and nothing that lives for each run. Twenty-five thousand objects cost more than all
 * that is done with them.
 */
export type RunColumns = {
  /** With blanks between them; an id holds none. */
  readonly ids: string;
  /** One letter per run: `q`, `r`, `s`, `f`. */
  readonly states: string;
  /** Three per run (0, 1, 2: due, started, ended; 3: the next one due), in seconds since the epoch; NaN: not yet. */
  readonly timeAt: (place: number) => number;
};

export type RunStrip = {
  /** One letter per run, newest first: `q`, `r`, `s`, `f`. */
  readonly states: string;
  /** How all ids begin and end, and per run what is between, with blanks between them (an id holds none). */
  readonly ids: [head: string, tail: string, middles: string];
  /** Seconds since the epoch at which the first one was due. */
  readonly since: number;
  /**
   * Three per run, in hundredths of a second: due so long before the one in front of it; from then to its start; from
   * its start to its end. -1: not yet.
   */
  readonly times: number[];
};

const stateOf: Readonly<Record<string, RunState>> = {
  q: "queued",
  r: "running",
  s: "success",
  f: "failed",
};

export function packRuns({ ids, states, timeAt }: RunColumns): RunStrip {
  if (states === "") return { states, ids: ["", "", ""], since: 0, times: [] };
  const first = timeAt(0);
  const times: number[] = [];
  let before = first;
  for (let i = 0; i < states.length * 3; i += 3) {
    const after = timeAt(i);
    const started = timeAt(i + 1);
    times.push(
      hundredths(before - after),
      hundredths(started - after),
      hundredths(timeAt(i + 2) - started),
    );
    before = after;
  }
  return { states, ids: sharedEnds(ids), since: rounded(first), times };
}

export function unpackRuns({ states, ids, since, times }: RunStrip): readonly StripRun[] {
  const [head, tail, middles] = ids;
  const middle = middles.split(" ");
  let at = since;
  return states.split("").map((letter, i) => {
    at = rounded(at - (times[3 * i] ?? 0) / 100);
    const wait = times[3 * i + 1] ?? -1;
    const lasted = times[3 * i + 2] ?? -1;
    const started = wait < 0 ? null : rounded(at + wait / 100);
    return {
      run_id: `${head}${middle[i] ?? ""}${tail}`,
      state: stateOf[letter] ?? "queued",
      after: at,
      started,
      ended: started === null || lasted < 0 ? null : rounded(started + lasted / 100),
    };
  });
}

/** Seconds, of those that have ended. */
export const durationsOf = ({ times }: RunStrip): readonly number[] => {
  const found: number[] = [];
  for (let i = 2; i < times.length; i += 3)
    if ((times[i] ?? -1) >= 0) found.push((times[i] ?? 0) / 100);
  return found;
};

/** The scheduler's ids differ in a few letters of the middle; no letter is given to both ends. */
function sharedEnds(ids: string): RunStrip["ids"] {
  const firstEnd = endOfId(ids, 0);
  let head = firstEnd;
  for (let at = 0; at <= ids.length; at = endOfId(ids, at) + 1) {
    let same = 0;
    // A blank, or the end of all, equals no letter of the first id.
    while (same < head && ids.charCodeAt(at + same) === ids.charCodeAt(same)) same += 1;
    head = same;
  }
  let tail = firstEnd - head;
  let middles = "";
  for (let at = 0; at <= ids.length; ) {
    const end = endOfId(ids, at);
    const most = Math.min(tail, end - at - head);
    let same = 0;
    while (same < most && ids.charCodeAt(end - 1 - same) === ids.charCodeAt(firstEnd - 1 - same))
      same += 1;
    tail = same;
    at = end + 1;
  }
  for (let at = 0; at <= ids.length; ) {
    const end = endOfId(ids, at);
    middles += `${at === 0 ? "" : " "}${ids.slice(at + head, end - tail)}`;
    at = end + 1;
  }
  return [ids.slice(0, head), ids.slice(firstEnd - tail, firstEnd), middles];
}

function endOfId(ids: string, from: number): number {
  const blank = ids.indexOf(" ", from);
  return blank === -1 ? ids.length : blank;
}

/** What a bar or a list can show. A clock that was set back makes no time negative. */
const hundredths = (seconds: number): number =>
  Number.isNaN(seconds) ? -1 : Math.max(0, Math.round(seconds * 100));
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
