import type { TaskId } from "../model/ids.ts";
import type {
  CounterKey,
  CounterRow,
  InstanceKey,
  InstanceRow,
  LengthRow,
  LoadedRows,
  PastRow,
  RunFacts,
  RunNeed,
  SkipRow,
} from "../model/run.ts";

/**
 * What the engine was shown of a run. It knows what was looked for, so that "not loaded" and "does not
 * exist" are two things. Made by `openView`, grown by `seen`, never written to by anybody.
 */
export type RunView = {
  readonly run: RunFacts;
  readonly everything: boolean;
  readonly instances: ReadonlyMap<TaskId, ReadonlyMap<number, InstanceRow>>;
  readonly counters: ReadonlyMap<TaskId, ReadonlyMap<number, CounterRow>>;
  readonly skips: ReadonlyMap<TaskId, ReadonlyMap<number, SkipRow>>;
  readonly pushed: ReadonlyMap<string, number>;
  readonly expanded: ReadonlyMap<string, number>;
  readonly past: ReadonlyMap<TaskId, PastRow>;
  /** What was looked for: see `asked`. */
  readonly asked: Asked;
};

type Asked = {
  readonly instances: ReadonlySet<string>;
  readonly tasks: ReadonlySet<TaskId>;
  readonly counters: ReadonlySet<string>;
  readonly counter_tasks: ReadonlySet<TaskId>;
  readonly skips: ReadonlySet<TaskId>;
  readonly lengths: ReadonlySet<string>;
  readonly past: ReadonlySet<TaskId>;
};

/** A view in which nothing has been looked at yet. */
export function openView(run: RunFacts): RunView {
  return {
    run,
    everything: false,
    instances: new Map(),
    counters: new Map(),
    skips: new Map(),
    pushed: new Map(),
    expanded: new Map(),
    past: new Map(),
    asked: {
      instances: new Set(),
      tasks: new Set(),
      counters: new Set(),
      counter_tasks: new Set(),
      skips: new Set(),
      lengths: new Set(),
      past: new Set(),
    },
  };
}

/** The view with what was found for `need`: a row that was asked for and is not among `rows` does not exist. */
export function seen(view: RunView, need: RunNeed, rows: LoadedRows): RunView {
  return {
    run: view.run,
    everything: view.everything || need.everything,
    instances: nested(view.instances, rows.instances, (r) => r.map_index),
    counters: nested(view.counters, rows.counters, (r) => r.scope),
    skips: nested(view.skips, rows.skips, (r) => r.map_index),
    pushed: lengthsOf(view.pushed, rows.lengths, "pushed"),
    expanded: lengthsOf(view.expanded, rows.lengths, "expanded"),
    past: new Map([...view.past, ...rows.past.map((row) => [row.task_id, row] as const)]),
    asked: {
      instances: union(view.asked.instances, need.instances.map(instanceName)),
      tasks: union(view.asked.tasks, need.tasks),
      counters: union(view.asked.counters, need.counters.map(counterName)),
      counter_tasks: union(view.asked.counter_tasks, need.counter_tasks),
      skips: union(view.asked.skips, need.skips),
      lengths: union(view.asked.lengths, need.lengths),
      past: union(view.asked.past, need.past),
    },
  };
}

/** One text per instance, for sets: task ids hold no blank. */
export const instanceName = (key: InstanceKey): string => `${key.task_id} ${key.map_index}`;
export const counterName = (key: CounterKey): string => `${key.task_id} ${key.scope}`;

function nested<R extends { readonly task_id: TaskId }>(
  before: ReadonlyMap<TaskId, ReadonlyMap<number, R>>,
  rows: readonly R[],
  indexOf: (row: R) => number,
): ReadonlyMap<TaskId, ReadonlyMap<number, R>> {
  if (rows.length === 0) return before;
  const after = new Map<TaskId, Map<number, R>>();
  for (const [task, inner] of before) after.set(task, new Map(inner));
  for (const row of rows) {
    const inner = after.get(row.task_id);
    if (inner) inner.set(indexOf(row), row);
    else after.set(row.task_id, new Map([[indexOf(row), row]]));
  }
  return after;
}

function lengthsOf(
  before: ReadonlyMap<string, number>,
  rows: readonly LengthRow[],
  kind: LengthRow["kind"],
): ReadonlyMap<string, number> {
  const found = rows.filter((row) => row.kind === kind);
  return found.length === 0
    ? before
    : new Map([...before, ...found.map((row) => [row.name, row.length] as const)]);
}

const union = <T>(before: ReadonlySet<T>, more: readonly T[]): ReadonlySet<T> =>
  more.length === 0 ? before : new Set([...before, ...more]);
