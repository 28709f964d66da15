/**
 * The cells of a grid: a byte per task and run, group sums made when they are first looked at, and single cells
 * changed by what the live stream tells. The arrays are changed in place; `edition` says that they were.
 */
import {
  absent,
  type Counts,
  codeOfState,
  type GridPlanes,
  worse,
} from "../../model/grid-matrix.ts";
import type { Shape } from "./grid-rows.ts";

export type CellRun = {
  readonly run_id: string;
  readonly state: string;
  readonly run_after: string;
  readonly queued_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly version: number;
  readonly commit: string;
};

export type Cells<Run extends CellRun> = {
  readonly shape: Shape;
  readonly structureKey: string;
  /** Newest first, as the server gives them. */
  runs: Run[];
  states: Uint8Array;
  counts: Map<number, Map<number, number>>;
  ran: Float32Array | undefined;
  waited: Float32Array | undefined;
  edition: number;
  readonly taskPlaces: ReadonlyMap<string, number>;
  readonly runPlaces: Map<string, number>;
  /** By group and run; 255: not summed yet. */
  groupStates: Uint8Array;
  medians: Float32Array | undefined;
};

const unsummed = 255;

export function openCells<Run extends CellRun>(
  shape: Shape,
  structureKey: string,
  runs: readonly Run[],
  planes: GridPlanes,
): Cells<Run> {
  return {
    shape,
    structureKey,
    runs: [...runs],
    states: planes.states,
    counts: copied(planes.counts),
    ran: planes.ran,
    waited: planes.waited,
    edition: 0,
    taskPlaces: new Map(shape.tasks.map(({ id }, place) => [id, place])),
    runPlaces: new Map(runs.map(({ run_id }, place) => [run_id, place])),
    groupStates: new Uint8Array(shape.groups.length * runs.length).fill(unsummed),
    medians: planes.ran === undefined ? undefined : mediansOf(planes.ran, shape.tasks.length),
  };
}

const copied = (counts: ReadonlyMap<number, Counts>): Map<number, Map<number, number>> =>
  new Map([...counts].map(([cell, found]) => [cell, new Map(found)]));

/** Of a task in a run. */
export const codeAt = (cells: Cells<CellRun>, task: number, run: number): number =>
  cells.states[run * cells.shape.tasks.length + task] ?? absent;

/** Of the tasks of a group: the state to look at first. */
export function groupCodeAt(
  cells: Cells<CellRun>,
  group: number,
  span: readonly [number, number],
  run: number,
): number {
  const at = group * cells.runs.length + run;
  const kept = cells.groupStates[at] ?? unsummed;
  if (kept !== unsummed) return kept;
  const base = run * cells.shape.tasks.length;
  let code: number = absent;
  for (let task = span[0]; task < span[1]; task += 1)
    code = worse(code, cells.states[base + task] ?? absent);
  cells.groupStates[at] = code;
  return code;
}

/** How many instances (of a mapped task) or tasks (of a group) are in which state. */
export function countsAt(
  cells: Cells<CellRun>,
  span: readonly [number, number],
  run: number,
): Counts {
  const sum = new Map<number, number>();
  const base = run * cells.shape.tasks.length;
  for (let task = span[0]; task < span[1]; task += 1) {
    const several = cells.counts.get(base + task);
    if (several !== undefined)
      for (const [code, count] of several) sum.set(code, (sum.get(code) ?? 0) + count);
    else {
      const code = cells.states[base + task] ?? absent;
      if (code !== absent) sum.set(code, (sum.get(code) ?? 0) + 1);
    }
  }
  return new Map([...sum].toSorted(([a], [b]) => b - a));
}

export type CellChange = {
  readonly at: string;
  readonly run_id: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly from_state: string | null;
  readonly to_state: string | null;
};

/**
 * What to do beside what was done: runs that are not here, and runs whose cells cannot be told from the change
 * alone (how many instances a mapped task has, a task that is not in the structure).
 */
export type Left = { readonly unknown: readonly string[]; readonly unsure: readonly string[] };

export function applyChanges(cells: Cells<CellRun>, changes: readonly CellChange[]): Left {
  const unknown = new Set<string>();
  const unsure = new Set<string>();
  for (const change of changes) {
    const run = cells.runPlaces.get(change.run_id);
    if (run === undefined) {
      unknown.add(change.run_id);
      continue;
    }
    cells.edition += 1;
    if (change.task_id === "") {
      changeRun(cells, run, change);
      // A cleared run begins anew: its times and version may be other ones.
      if (change.to_state === "queued" || change.from_state === change.to_state)
        unsure.add(change.run_id);
      continue;
    }
    const task = cells.taskPlaces.get(change.task_id);
    const code = codeOfState(change.to_state);
    if (task === undefined || code === absent) {
      unsure.add(change.run_id);
      continue;
    }
    const cell = run * cells.shape.tasks.length + task;
    if (change.map_index >= 0 || cells.counts.has(cell)) {
      // One of several: what it was is known only if the sum is.
      const several = cells.counts.get(cell);
      const from = codeOfState(change.from_state);
      const left = (several?.get(from) ?? 0) - 1;
      if (several !== undefined && left >= 0) {
        if (left === 0) several.delete(from);
        else several.set(from, left);
        several.set(code, (several.get(code) ?? 0) + 1);
        cells.states[cell] = Math.max(...several.keys());
      } else cells.states[cell] = worse(cells.states[cell] ?? absent, code);
      unsure.add(change.run_id);
    } else cells.states[cell] = code;
    forgetSums(cells, task, run);
  }
  return { unknown: [...unknown], unsure: [...unsure] };
}

function changeRun(cells: Cells<CellRun>, place: number, change: CellChange): void {
  const run = cells.runs[place];
  if (run === undefined || change.to_state === null) return;
  const ended = change.to_state === "success" || change.to_state === "failed";
  cells.runs[place] = {
    ...run,
    state: change.to_state,
    started_at: change.to_state === "running" ? (run.started_at ?? change.at) : run.started_at,
    ended_at: ended ? change.at : null,
  };
}

function forgetSums(cells: Cells<CellRun>, task: number, run: number): void {
  let group = cells.shape.tasks[task]?.group ?? -1;
  for (let steps = 0; group >= 0 && steps <= cells.shape.groups.length; steps += 1) {
    cells.groupStates[group * cells.runs.length + run] = unsummed;
    group = cells.shape.groups[group]?.parent ?? -1;
  }
}

/** One run's cells anew, in its place. false: it has no place here. */
export function putRun<Run extends CellRun>(
  cells: Cells<Run>,
  run: Run,
  planes: GridPlanes,
): boolean {
  const place = cells.runPlaces.get(run.run_id);
  const size = cells.shape.tasks.length;
  if (place === undefined || planes.states.length !== size) return false;
  cells.edition += 1;
  cells.runs[place] = run;
  const base = place * size;
  cells.states.set(planes.states, base);
  for (let task = 0; task < size; task += 1) cells.counts.delete(base + task);
  for (const [task, counts] of planes.counts) cells.counts.set(base + task, new Map(counts));
  if (planes.ran !== undefined) cells.ran?.set(planes.ran, base);
  if (planes.waited !== undefined) cells.waited?.set(planes.waited, base);
  for (let group = 0; group < cells.shape.groups.length; group += 1)
    cells.groupStates[group * cells.runs.length + place] = unsummed;
  return true;
}

/** Each task's own median, over the runs that are here. NaN: it never ran. */
function mediansOf(plane: Float32Array, tasks: number): Float32Array {
  const medians = new Float32Array(tasks);
  const runs = tasks === 0 ? 0 : plane.length / tasks;
  const values = new Float32Array(runs);
  for (let task = 0; task < tasks; task += 1) {
    let count = 0;
    for (let run = 0; run < runs; run += 1) {
      const value = plane[run * tasks + task] ?? Number.NaN;
      if (value >= 0) {
        values[count] = value;
        count += 1;
      }
    }
    const sorted = values.subarray(0, count).sort();
    medians[task] = count === 0 ? Number.NaN : (sorted[count >> 1] ?? Number.NaN);
  }
  return medians;
}

// ---- shades

/** How a cell compares: −1 nothing to say, else a step of a ramp from calm (0) to loud. */
export const shadeSteps = 6;

export function durationShade(ran: number, median: number): number {
  if (!(ran >= 0) || !(median >= 0)) return -1;
  // Below a second everything is noise.
  const ratio = (ran + 0.5) / (median + 0.5);
  return ratio < 0.8 ? 0 : ratio < 1.25 ? 1 : ratio < 1.6 ? 2 : ratio < 2.5 ? 3 : ratio < 5 ? 4 : 5;
}

export function waitShade(seconds: number): number {
  if (!(seconds >= 0)) return -1;
  return seconds < 1
    ? 0
    : seconds < 10
      ? 1
      : seconds < 60
        ? 2
        : seconds < 600
          ? 3
          : seconds < 3_600
            ? 4
            : 5;
}

export type By = "state" | "duration" | "wait";

/** Of a row's tasks in a run the loudest shade. */
export function shadeAt(
  cells: Cells<CellRun>,
  by: "duration" | "wait",
  span: readonly [number, number],
  run: number,
): number {
  const base = run * cells.shape.tasks.length;
  let shade = -1;
  for (let task = span[0]; task < span[1]; task += 1)
    shade = Math.max(
      shade,
      by === "wait"
        ? waitShade(cells.waited?.[base + task] ?? Number.NaN)
        : durationShade(
            cells.ran?.[base + task] ?? Number.NaN,
            cells.medians?.[task] ?? Number.NaN,
          ),
    );
  return shade;
}

// ---- runs

/** Height of each run's bar, 0 to 1, by how long it took until now; the longest has 1. */
export function barsOf(runs: readonly CellRun[], nowMs: number): readonly number[] {
  const lengths = runs.map(({ started_at, ended_at }) =>
    started_at === null
      ? 0
      : Math.max(0, (ended_at === null ? nowMs : Date.parse(ended_at)) - Date.parse(started_at)),
  );
  const longest = Math.max(1, ...lengths);
  // Never nothing: what took a moment is still a run.
  return lengths.map((length) => Math.max(length === 0 ? 0.04 : 0.1, length / longest));
}

/** Whether the commit is another one than that of the run before it. Runs: newest first. */
export const commitMarks = (runs: readonly CellRun[]): readonly boolean[] =>
  runs.map(({ commit }, at) => {
    const before = runs[at + 1];
    return before !== undefined && before.commit !== commit;
  });
