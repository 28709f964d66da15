import type { TaskId } from "../model/ids.ts";
import type {
  CounterRow,
  Counts,
  InstanceKey,
  InstanceRow,
  LengthRow,
  PastRow,
  RunChange,
  RunDecisions,
  RunEndReason,
  SkipRow,
  StateChange,
  TimerRow,
} from "../model/run.ts";
import { isFinished, type RunState, type TaskState } from "../model/states.ts";
import type { CompiledDag, CompiledTask, Edge } from "./compile-dag.ts";
import { isFailed, plus, type Recount, shareOf } from "./recount.ts";
import { doneOf, noCounts } from "./trigger-rule.ts";
import { instanceName, type RunView } from "./view.ts";
import { ownScope, scopeOf, Wish } from "./wish.ts";

/** It exists by the spec but was not loaded; what is missing has been wished for. */
export const unseen = "unseen";
export type Unseen = typeof unseen;

/** What is to be looked at again at one task, once all events are applied. */
export type Pending = {
  /** Counters as they were when first touched. */
  readonly before: Map<number, Counts>;
  readonly indexes: Set<number>;
  all: boolean;
};

/**
 * One turn in the making, over a view that stays as it is. `setState` is the only way to change an instance:
 * it moves the counters of the direct downstreams, the run's own, and notes who must be looked at.
 */
export class Draft {
  readonly dag: CompiledDag;
  readonly view: RunView;
  readonly nowMs: number;
  readonly wish: Wish;
  readonly timers: TimerRow[] = [];
  readonly pastChanged = new Set<TaskId>();
  /** What branches and short circuits of this turn skip outright. */
  readonly toSkip = new Set<TaskId>();

  state: RunState;
  ended: RunEndReason | undefined;
  restarted = false;
  hasInstances: boolean;
  unfinished: number;
  failedLeaves: number;

  readonly #instances = new Map<TaskId, Map<number, InstanceRow>>();
  /** What the keeper has under the final key: the loaded row, or nothing for a new one. */
  readonly #origins = new Map<string, InstanceRow | undefined>();
  readonly #flags = new Map<string, { stop: boolean; cleared: boolean; reason?: string }>();
  /** Tasks of which every instance is in `#instances`. */
  readonly #whole = new Set<TaskId>();
  readonly #counters = new Map<TaskId, Map<number, Counts>>();
  /** Tasks whose scoped counters did not exist before this turn. */
  readonly #newScopes = new Set<TaskId>();
  readonly #expanded: TaskId[] = [];
  readonly #skips = new Map<string, SkipRow | InstanceKey>();
  readonly #lengths = new Map<string, LengthRow>();
  readonly #pending = new Map<number, Pending>();
  readonly #heap: number[] = [];

  constructor(dag: CompiledDag, view: RunView, nowMs: number) {
    this.dag = dag;
    this.view = view;
    this.nowMs = nowMs;
    this.wish = new Wish(dag);
    this.state = view.run.state;
    this.hasInstances = view.run.has_instances;
    this.unfinished = view.run.unfinished;
    this.failedLeaves = view.run.failed_leaves;
  }

  // ---- reading -------------------------------------------------------------------------------------

  instance(task_id: TaskId, map_index: number): InstanceRow | undefined | Unseen {
    const changed = this.#instances.get(task_id)?.get(map_index);
    if (changed) return changed;
    if (this.#whole.has(task_id)) return undefined;
    const loaded = this.view.instances.get(task_id)?.get(map_index);
    if (loaded) return loaded;
    const { everything, asked } = this.view;
    const looked =
      everything ||
      asked.tasks.has(task_id) ||
      asked.instances.has(instanceName({ task_id, map_index })) ||
      !this.view.run.has_instances;
    if (looked) return undefined;
    this.wish.instance(task_id, map_index);
    return unseen;
  }

  /** All instances. A placeholder (map_index −1) is always the only one. */
  allOf(task: TaskId): readonly InstanceRow[] | Unseen {
    const loaded = this.view.instances.get(task);
    const changed = this.#instances.get(task);
    if (this.#whole.has(task)) return [...(changed?.values() ?? [])];
    const known =
      this.view.everything ||
      this.view.asked.tasks.has(task) ||
      loaded?.has(-1) ||
      !this.view.run.has_instances;
    if (!known) {
      this.wish.allOf(task);
      return unseen;
    }
    if (!changed) return [...(loaded?.values() ?? [])];
    return [...new Map([...(loaded ?? []), ...changed]).values()];
  }

  /** A list of its own: changing an instance while going through it is fine. */
  everyInstance(): readonly InstanceRow[] {
    const tasks = new Set([...this.view.instances.keys(), ...this.#instances.keys()]);
    return [...tasks].flatMap((task) => {
      const rows = this.allOf(task);
      return rows === unseen ? [] : rows;
    });
  }

  counts(task: TaskId, scope: number): Counts | Unseen {
    const changed = this.#counters.get(task)?.get(scope);
    if (changed) return changed;
    const loaded = this.view.counters.get(task)?.get(scope);
    if (loaded) return loaded;
    const { everything, asked } = this.view;
    const looked =
      everything ||
      !this.view.run.has_instances ||
      (scope >= 0 && this.#newScopes.has(task)) ||
      asked.counter_tasks.has(task) ||
      asked.counters.has(`${task} ${scope}`);
    if (looked) return noCounts;
    this.wish.counter(task, scope);
    return unseen;
  }

  skipOf(task_id: TaskId, map_index: number): readonly TaskId[] | Unseen {
    const name = instanceName({ task_id, map_index });
    const changed = this.#skips.get(name);
    if (changed) return "skipped" in changed ? changed.skipped : [];
    const loaded = this.view.skips.get(task_id)?.get(map_index);
    if (loaded) return loaded.skipped;
    if (this.view.everything || this.view.asked.skips.has(task_id) || !this.view.run.has_instances)
      return [];
    this.wish.skipsOf(task_id);
    return unseen;
  }

  length(kind: LengthRow["kind"], name: string): number | undefined | Unseen {
    const changed = this.#lengths.get(`${kind} ${name}`);
    if (changed) return changed.length;
    const loaded = this.view[kind].get(name);
    if (loaded !== undefined) return loaded;
    const { everything, asked } = this.view;
    if (everything || asked.lengths.has(name) || !this.view.run.has_instances) return undefined;
    this.wish.length(name);
    return unseen;
  }

  pastOf(task: TaskId): PastRow | undefined | Unseen {
    const loaded = this.view.past.get(task);
    if (loaded || this.view.asked.past.has(task)) return loaded;
    this.wish.past(task);
    return unseen;
  }

  // ---- changing ------------------------------------------------------------------------------------

  setState(
    row: InstanceRow,
    to: TaskState,
    change: {
      try_number?: number;
      max_tries?: number;
      stop?: boolean;
      cleared?: boolean;
      reason?: string;
    } = {},
  ): InstanceRow {
    const after: InstanceRow = {
      ...row,
      state: to,
      try_number: change.try_number ?? row.try_number,
      max_tries: change.max_tries ?? row.max_tries,
    };
    this.#keep(row, after);
    this.#flag(after, change);
    if (row.state === to) return after;
    this.unfinished += Number(isFinished(row.state)) - Number(isFinished(to));
    const task = this.dag.tasks.get(row.task_id);
    if (!task) return after;
    if (task.isLeaf) this.failedLeaves += Number(isFailed(to)) - Number(isFailed(row.state));
    if (isFinished(row.state) || isFinished(to)) {
      const delta = plus(shareOf(task, to), shareOf(task, row.state), -1);
      this.#countItself(task, delta, 1);
      for (const edge of task.downstream)
        if (!this.#count(edge, row.map_index, delta, 1) && isFinished(to) && to !== "success")
          this.wish.closureOf(task, row.map_index);
    }
    if (isFinished(to)) this.#wakeFurther(task, row.map_index);
    return after;
  }

  /** A new instance, waiting. Counts at its downstreams like any other. */
  create(task: CompiledTask, map_index: number): InstanceRow {
    const row: InstanceRow = {
      task_id: task.id,
      map_index,
      state: null,
      try_number: 0,
      max_tries: task.spec.retries,
    };
    this.#origins.set(instanceName(row), undefined);
    this.#put(row);
    this.unfinished++;
    this.#countItself(task, shareOf(task, null), 1);
    for (const edge of task.downstream) this.#count(edge, map_index, shareOf(task, null), 1);
    return row;
  }

  /**
   * The placeholder becomes indexes 0 to n−1, all as it was. Downstreams in the same mapped group get
   * counters of their own per index.
   */
  expand(task: CompiledTask, placeholder: InstanceRow, n: number): InstanceRow[] {
    const share = shareOf(task, placeholder.state);
    const from = instanceName(placeholder);
    const rows = Array.from({ length: n }, (_, map_index) => ({ ...placeholder, map_index }));
    this.#countItself(task, share, n - 1);
    for (const edge of task.downstream) {
      if (!edge.scoped) {
        this.#count(edge, -1, share, n - 1);
        continue;
      }
      this.#count(edge, -1, share, -1);
      this.#newScopes.add(edge.id);
      for (let i = 0; i < n; i++) this.#count(edge, i, share, 1);
    }
    if (!isFinished(placeholder.state)) this.unfinished += n - 1;
    if (task.isLeaf && isFailed(placeholder.state)) this.failedLeaves += n - 1;

    const isNew = this.#origins.has(from) && this.#origins.get(from) === undefined;
    const origin = this.#origins.get(from) ?? placeholder;
    const flags = this.#flags.get(from);
    this.#origins.delete(from);
    this.#flags.delete(from);
    this.#instances.set(task.id, new Map(rows.map((row) => [row.map_index, row])));
    this.#whole.add(task.id);
    for (const row of rows) this.#origins.set(instanceName(row), undefined);
    const first = instanceName({ task_id: task.id, map_index: 0 });
    if (!isNew) {
      this.#origins.set(first, origin);
      this.#expanded.push(task.id);
    }
    if (flags) this.#flags.set(first, flags);
    return rows;
  }

  setSkip(key: InstanceKey, skipped: readonly TaskId[]): void {
    this.#skips.set(instanceName(key), { ...plainKey(key), skipped });
  }
  deleteSkip(key: InstanceKey): void {
    this.#skips.set(instanceName(key), plainKey(key));
  }
  setLength(row: LengthRow): void {
    this.#lengths.set(`${row.kind} ${row.name}`, row);
  }

  /** Replaces all counters by what was counted anew. */
  replaceCounters(found: Recount): void {
    const kept = new Map<TaskId, Map<number, Counts>>();
    for (const [task, scopes] of this.view.counters)
      kept.set(task, new Map([...scopes.keys()].map((scope) => [scope, noCounts] as const)));
    for (const [task, scopes] of found.counters)
      for (const [scope, counts] of scopes) into(kept, task, scope, counts);
    this.#counters.clear();
    for (const [task, scopes] of kept) this.#counters.set(task, scopes);
    this.unfinished = found.unfinished;
    this.failedLeaves = found.failedLeaves;
  }

  /** Many new rows at once (start of a run): counters are counted, not added up. */
  createAll(rows: readonly InstanceRow[]): void {
    for (const row of rows) {
      this.#origins.set(instanceName(row), undefined);
      this.#put(row);
    }
  }

  #keep(before: InstanceRow, after: InstanceRow): void {
    const name = instanceName(before);
    if (!this.#origins.has(name)) this.#origins.set(name, before);
    this.#put(after);
  }
  #put(row: InstanceRow): void {
    into(this.#instances, row.task_id, row.map_index, row);
  }

  #flag(key: InstanceKey, change: { stop?: boolean; cleared?: boolean; reason?: string }): void {
    if (!change.stop && !change.cleared && change.reason === undefined) return;
    const name = instanceName(key);
    const before = this.#flags.get(name);
    const reason = change.reason ?? before?.reason;
    this.#flags.set(name, {
      stop: change.stop === true || before?.stop === true,
      cleared: change.cleared === true || before?.cleared === true,
      ...(reason === undefined ? {} : { reason }),
    });
  }

  /** False if the counter was not loaded: it is wished for, and the turn will be asked for again. */
  #count(edge: Edge, mapIndex: number, delta: Counts, times: number): boolean {
    const down = this.dag.tasks.get(edge.id);
    if (!down) return true;
    const scope = scopeOf(edge, mapIndex);
    const before = this.counts(edge.id, scope);
    if (before === unseen) {
      this.wish.arrival(down, scope);
      return false;
    }
    into(this.#counters, edge.id, scope, plus(before, delta, times));
    const pending = this.#pendingAt(down);
    if (!pending.before.has(scope)) pending.before.set(scope, before);
    return true;
  }

  #wakeFurther(task: CompiledTask, mapIndex: number): void {
    for (const waiter of task.wakesPast) this.pastChanged.add(waiter);
    for (const gated of task.gateOf) {
      const other = this.dag.tasks.get(gated);
      if (!other) continue;
      if (task.mappedGroup !== undefined && other.mappedGroup === task.mappedGroup)
        this.lookAt(other, mapIndex);
      else this.lookAtAll(other);
    }
    if (!task.countsItself) this.#feedMaps(task);
  }

  #feedMaps(task: CompiledTask): void {
    for (const id of task.feedsMapsOf) {
      const other = this.dag.tasks.get(id);
      if (other) this.lookAtAll(other);
    }
  }

  /** A mapped task that others map over: the end of its last instance is what they wait for. */
  #countItself(task: CompiledTask, delta: Counts, times: number): void {
    if (!task.countsItself) return;
    const before = this.counts(task.id, ownScope);
    if (before === unseen) return;
    const after = plus(before, delta, times);
    into(this.#counters, task.id, ownScope, after);
    if (doneOf(after) >= after.total) this.#feedMaps(task);
  }

  // ---- who must be looked at, upstreams first --------------------------------------------------------

  lookAt(task: CompiledTask, mapIndex: number): void {
    this.#pendingAt(task).indexes.add(mapIndex);
  }
  lookAtAll(task: CompiledTask): void {
    this.#pendingAt(task).all = true;
  }

  /** The next task to look at, in topological order, so that each sees all changes above it at once. */
  nextPending(): { readonly task: CompiledTask; readonly pending: Pending } | undefined {
    const position = popSmallest(this.#heap);
    const pending = position === undefined ? undefined : this.#pending.get(position);
    const task = position === undefined ? undefined : this.dag.order[position];
    if (position === undefined || !pending || !task) return undefined;
    this.#pending.delete(position);
    return { task, pending };
  }

  #pendingAt(task: CompiledTask): Pending {
    const known = this.#pending.get(task.position);
    if (known) return known;
    const pending: Pending = { before: new Map(), indexes: new Set(), all: false };
    this.#pending.set(task.position, pending);
    pushSmallest(this.#heap, task.position);
    return pending;
  }

  // ---- what came out -------------------------------------------------------------------------------

  decisions(): RunDecisions {
    const created: InstanceRow[] = [];
    const states: StateChange[] = [];
    for (const rows of this.#instances.values())
      for (const row of rows.values()) {
        const name = instanceName(row);
        const origin = this.#origins.get(name);
        if (!origin) {
          if (this.#origins.has(name)) created.push(row);
          continue;
        }
        const flags = this.#flags.get(name);
        if (
          origin.state === row.state &&
          origin.try_number === row.try_number &&
          origin.max_tries === row.max_tries
        )
          continue;
        states.push({
          ...plainKey(row),
          from: origin.state,
          from_try_number: origin.try_number,
          to: row.state,
          try_number: row.try_number,
          max_tries: row.max_tries,
          stop: flags?.stop ?? false,
          cleared: flags?.cleared ?? false,
          ...(flags?.reason === undefined ? {} : { reason: flags.reason }),
        });
      }
    const skips: SkipRow[] = [];
    const deleted: InstanceKey[] = [];
    for (const skip of this.#skips.values())
      if ("skipped" in skip) skips.push(skip);
      else deleted.push(skip);
    const run = this.#runChange();
    return {
      expanded: this.#expanded,
      created,
      states,
      counters: this.#changedCounters(),
      skips,
      skips_deleted: deleted,
      lengths: [...this.#lengths.values()],
      timers: this.timers.filter((timer) => this.#isAwaited(timer)),
      past_changed: [...this.pastChanged],
      ...(run ? { run } : {}),
    };
  }

  /** Whoever set it may have been passed by within the batch: a sensor that asked to be called again, and was then marked. */
  #isAwaited({ task_id, map_index, timer }: TimerRow): boolean {
    const row = this.instance(task_id, map_index);
    return (
      row !== unseen && row?.state === (timer === "retry" ? "up_for_retry" : "up_for_reschedule")
    );
  }

  #changedCounters(): CounterRow[] {
    const rows: CounterRow[] = [];
    for (const [task_id, scopes] of this.#counters)
      for (const [scope, counts] of scopes) {
        const before = this.view.counters.get(task_id)?.get(scope) ?? noCounts;
        const keys = Object.keys(noCounts) as (keyof Counts)[];
        if (keys.some((key) => before[key] !== counts[key]))
          rows.push({ ...counts, task_id, scope });
      }
    return rows;
  }

  #runChange(): RunChange | undefined {
    const { run } = this.view;
    const same =
      run.state === this.state &&
      run.has_instances === this.hasInstances &&
      run.unfinished === this.unfinished &&
      run.failed_leaves === this.failedLeaves &&
      !this.restarted &&
      this.ended === undefined;
    if (same) return undefined;
    return {
      from: run.state,
      state: this.state,
      has_instances: this.hasInstances,
      unfinished: this.unfinished,
      failed_leaves: this.failedLeaves,
      ...(this.ended ? { ended: this.ended } : {}),
      restarted: this.restarted,
    };
  }
}

const plainKey = (key: InstanceKey): InstanceKey => ({
  task_id: key.task_id,
  map_index: key.map_index,
});

function into<V>(map: Map<TaskId, Map<number, V>>, task: TaskId, index: number, value: V): void {
  const inner = map.get(task);
  if (inner) inner.set(index, value);
  else map.set(task, new Map([[index, value]]));
}

/** A binary heap, smallest first. */
function pushSmallest(heap: number[], value: number): void {
  let at = heap.push(value) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent] ?? 0;
    if (above <= value) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = value;
}

function popSmallest(heap: number[]): number | undefined {
  const smallest = heap[0];
  const last = heap.pop();
  if (smallest === undefined || last === undefined || heap.length === 0) return smallest;
  let at = 0;
  for (;;) {
    let child = at * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++;
    const below = heap[child] ?? 0;
    if (below >= last) break;
    heap[at] = below;
    at = child;
  }
  heap[at] = last;
  return smallest;
}
