/** One run of a grid: from its task instances to a byte per task; and the memory of runs that are over. */
import {
  absent,
  type Counts,
  codeOfState,
  type GridPlanes,
  worse,
} from "../../model/grid-matrix.ts";

export type Column = {
  readonly states: Uint8Array;
  /** Of tasks with several instances, or one that has an index: instances by state code. */
  readonly counts: ReadonlyMap<number, Counts>;
  readonly ran: Float32Array | undefined;
  readonly waited: Float32Array | undefined;
};

/** `lines`: as the store gives them, "task state [queued started ended]". Tasks without a place are left out. */
export function columnOf(
  lines: string,
  places: ReadonlyMap<string, number>,
  times: boolean,
): Column {
  const size = places.size;
  const states = new Uint8Array(size);
  const counts = new Map<number, Map<number, number>>();
  const seen = new Uint32Array(size);
  const queued = times ? new Float64Array(size).fill(Number.NaN) : undefined;
  const started = times ? new Float64Array(size).fill(Number.NaN) : undefined;
  const ended = times ? new Float64Array(size).fill(Number.NaN) : undefined;
  if (lines !== "")
    for (const line of lines.split("\n")) {
      const [task = "", state = "", queuedAt, startedAt, endedAt] = line.split(" ");
      const place = places.get(task);
      if (place === undefined) continue;
      const code = codeOfState(state === "" ? null : state);
      const before = states[place] ?? absent;
      seen[place] = (seen[place] ?? 0) + 1;
      if (seen[place] > 1) {
        const found = counts.get(place) ?? new Map<number, number>([[before, 1]]);
        found.set(code, (found.get(code) ?? 0) + 1);
        counts.set(place, found);
      }
      states[place] = worse(before, code);
      if (queued === undefined || started === undefined || ended === undefined) continue;
      // Of many instances: from the first that began to the last that ended.
      keepLeast(queued, place, queuedAt);
      keepLeast(started, place, startedAt);
      keepMost(ended, place, endedAt);
    }
  return {
    states,
    counts,
    ran: started && ended && secondsBetween(started, ended),
    waited: queued && started && secondsBetween(queued, started),
  };
}

const keepLeast = (plane: Float64Array, place: number, text = ""): void => {
  if (text === "") return;
  const value = Number(text);
  const before = plane[place] ?? Number.NaN;
  if (!(before <= value)) plane[place] = value;
};
const keepMost = (plane: Float64Array, place: number, text = ""): void => {
  if (text === "") return;
  const value = Number(text);
  const before = plane[place] ?? Number.NaN;
  if (!(before >= value)) plane[place] = value;
};
function secondsBetween(from: Float64Array, to: Float64Array): Float32Array {
  const seconds = new Float32Array(from.length);
  for (let i = 0; i < from.length; i += 1) {
    const length = ((to[i] ?? Number.NaN) - (from[i] ?? Number.NaN)) / 1000;
    seconds[i] = length >= 0 ? length : Number.NaN;
  }
  return seconds;
}

/** Columns side by side, run by run. */
export function planesOf(columns: readonly Column[], tasks: number, times: boolean): GridPlanes {
  const cells = columns.length * tasks;
  const states = new Uint8Array(cells);
  const counts = new Map<number, Counts>();
  const ran = times ? new Float32Array(cells).fill(Number.NaN) : undefined;
  const waited = times ? new Float32Array(cells).fill(Number.NaN) : undefined;
  for (const [run, column] of columns.entries()) {
    states.set(column.states, run * tasks);
    for (const [task, found] of column.counts) counts.set(run * tasks + task, found);
    if (column.ran !== undefined) ran?.set(column.ran, run * tasks);
    if (column.waited !== undefined) waited?.set(column.waited, run * tasks);
  }
  return { states, counts, ran, waited };
}

type Ended = {
  readonly run: string;
  readonly state: string;
  readonly changed: string | null;
  readonly ended_at: Date | null;
};

/**
 * A run that is over changes only when somebody clears or marks something in it, and then the feed has a later
 * change of it. What ended a moment ago may still have a change under way with an earlier number: not kept.
 */
export function openColumns({
  bytesMax = 64 * 1024 * 1024,
  settledMs = 10_000,
  lifeMs = 10 * 60_000,
  now = Date.now,
}: {
  readonly bytesMax?: number;
  readonly settledMs?: number;
  /** Shorter by far than the feed's memory: a change that was forgotten must not look like none. */
  readonly lifeMs?: number;
  readonly now?: () => number;
} = {}) {
  const kept = new Map<
    string,
    { readonly column: Column; readonly bytes: number; readonly at: number }
  >();
  let bytes = 0;
  const keyOf = (structure: string, run: Ended, times: boolean): string =>
    [structure, run.run, run.state, run.changed ?? "", String(times)].join(" ");
  const settled = (run: Ended): boolean =>
    (run.state === "success" || run.state === "failed") &&
    run.ended_at !== null &&
    now() - run.ended_at.getTime() > settledMs;
  const drop = (key: string): void => {
    bytes -= kept.get(key)?.bytes ?? 0;
    kept.delete(key);
  };
  return {
    get(structure: string, run: Ended, times: boolean): Column | undefined {
      if (!settled(run)) return undefined;
      const key = keyOf(structure, run, times);
      const found = kept.get(key);
      if (found !== undefined && now() - found.at > lifeMs) {
        drop(key);
        return undefined;
      }
      return found?.column;
    },
    set(structure: string, run: Ended, times: boolean, column: Column): void {
      if (!settled(run)) return;
      const key = keyOf(structure, run, times);
      drop(key);
      const size =
        column.states.length * (times ? 9 : 1) +
        [...column.counts.values()].reduce((sum, counts) => sum + 100 + counts.size * 40, 200);
      kept.set(key, { column, bytes: size, at: now() });
      bytes += size;
      for (const oldest of kept.keys()) {
        if (bytes <= bytesMax) break;
        drop(oldest);
      }
    },
  };
}
