import type { TaskId } from "../model/ids.ts";
import type {
  CounterRow,
  InstanceKey,
  InstanceRow,
  LengthRow,
  LoadedRows,
  PastRow,
  RunDecisions,
  RunEvent,
  RunFacts,
  RunNeed,
  SkipRow,
  TimerRow,
} from "../model/run.ts";
import type { TaskState } from "../model/states.ts";
import type { CompiledDag } from "./compile-dag.ts";
import { decide } from "./decide.ts";
import { reach } from "./reach.ts";
import { openView, seen } from "./view.ts";

/**
 * A keeper of one run's rows in memory: what the door is over Postgres, for a run on a laptop and for
 * tests. It checks what the door checks: every write names the state it expects.
 */
export class RunInMemory {
  run: RunFacts;
  dag: CompiledDag;
  /** Timers that were set and not taken yet. */
  readonly timers: TimerRow[] = [];
  /** How often rows were loaded in the last turn. */
  loads = 0;
  /** How many rows the last turn loaded and wrote. */
  rows = 0;

  readonly #instances = new Map<TaskId, Map<number, InstanceRow>>();
  readonly #counters = new Map<TaskId, Map<number, CounterRow>>();
  readonly #skips = new Map<TaskId, Map<number, SkipRow>>();
  readonly #lengths = new Map<string, LengthRow>();
  readonly #pastOf: (task: TaskId) => PastRow | undefined;

  constructor(
    dag: CompiledDag,
    run: RunFacts,
    pastOf: (task: TaskId) => PastRow | undefined = () => undefined,
  ) {
    this.dag = dag;
    this.run = run;
    this.#pastOf = pastOf;
  }

  /** Loads, decides, writes; answers what was written. */
  turn(events: readonly RunEvent[], nowMs: number): RunDecisions {
    this.loads = 0;
    this.rows = 0;
    let need = reach(this.dag, this.run, events);
    let view = openView(this.run);
    for (;;) {
      view = seen(view, need, this.load(need));
      this.loads++;
      const turn = decide(this.dag, view, events, nowMs);
      if (turn.kind === "decided") {
        this.write(turn.decisions, nowMs);
        return turn.decisions;
      }
      if (this.loads > 10_000) throw new Error("the engine asks for the same rows for ever");
      need = turn.need;
    }
  }

  load(need: RunNeed): LoadedRows {
    const pick = <R>(map: Map<TaskId, Map<number, R>>, tasks: Iterable<TaskId>): R[] =>
      [...tasks].flatMap((task) => [...(map.get(task)?.values() ?? [])]);
    const one = <R>(map: Map<TaskId, Map<number, R>>, task: TaskId, index: number): R[] => {
      const row = map.get(task)?.get(index);
      return row === undefined ? [] : [row];
    };
    const past = need.past.flatMap((task) => this.#pastOf(task) ?? []);
    const found: LoadedRows = need.everything
      ? {
          instances: pick(this.#instances, this.#instances.keys()),
          counters: pick(this.#counters, this.#counters.keys()),
          skips: pick(this.#skips, this.#skips.keys()),
          lengths: [...this.#lengths.values()],
          past,
        }
      : {
          instances: [
            ...pick(this.#instances, need.tasks),
            ...need.instances.flatMap((key) => one(this.#instances, key.task_id, key.map_index)),
          ],
          counters: [
            ...pick(this.#counters, need.counter_tasks),
            ...need.counters.flatMap((key) => one(this.#counters, key.task_id, key.scope)),
          ],
          skips: pick(this.#skips, need.skips),
          lengths: need.lengths.flatMap((name) =>
            ["pushed", "expanded"].flatMap((kind) => this.#lengths.get(`${kind} ${name}`) ?? []),
          ),
          past,
        };
    this.rows += found.instances.length + found.counters.length;
    return found;
  }

  write(decisions: RunDecisions, nowMs: number): void {
    for (const task of decisions.expanded) {
      const rows = this.#instances.get(task);
      const placeholder = rows?.get(-1);
      if (!rows || !placeholder) throw new Error(`${task} has no placeholder to expand`);
      rows.delete(-1);
      rows.set(0, { ...placeholder, map_index: 0 });
    }
    for (const row of decisions.created) {
      if (this.#instances.get(row.task_id)?.has(row.map_index))
        throw new Error(`${row.task_id}[${row.map_index}] exists already`);
      put(this.#instances, row.task_id, row.map_index, row);
    }
    for (const change of decisions.states) {
      const row = this.instance(change);
      if (row?.state !== change.from || row.try_number !== change.from_try_number)
        throw new Error(`${change.task_id}[${change.map_index}] is not in ${change.from}`);
      const { task_id, map_index, to, try_number, max_tries } = change;
      put(this.#instances, task_id, map_index, {
        task_id,
        map_index,
        state: to,
        try_number,
        max_tries,
      });
    }
    for (const row of decisions.counters) put(this.#counters, row.task_id, row.scope, row);
    for (const row of decisions.skips) put(this.#skips, row.task_id, row.map_index, row);
    for (const key of decisions.skips_deleted) this.#skips.get(key.task_id)?.delete(key.map_index);
    for (const row of decisions.lengths) this.#lengths.set(`${row.kind} ${row.name}`, row);
    this.timers.push(...decisions.timers);
    this.rows += decisions.states.length + decisions.counters.length + decisions.created.length;
    const { run } = decisions;
    if (!run) return;
    this.run = {
      ...this.run,
      state: run.state,
      has_instances: run.has_instances,
      unfinished: run.unfinished,
      failed_leaves: run.failed_leaves,
      ...(run.from === "queued" && run.state !== "queued" ? { start_ms: nowMs } : {}),
    };
  }

  /** What admission and a worker's claim do elsewhere: it says so when an instance moves without the engine. */
  move(key: InstanceKey, from: TaskState, to: TaskState): void {
    const row = this.instance(key);
    if (row?.state !== from) throw new Error(`${key.task_id}[${key.map_index}] is not in ${from}`);
    put(this.#instances, key.task_id, key.map_index, { ...row, state: to });
  }

  instance(key: InstanceKey): InstanceRow | undefined {
    return this.#instances.get(key.task_id)?.get(key.map_index);
  }
  instances(): InstanceRow[] {
    return [...this.#instances.values()].flatMap((rows) => [...rows.values()]);
  }
  counters(): CounterRow[] {
    return [...this.#counters.values()].flatMap((rows) => [...rows.values()]);
  }
}

function put<R>(map: Map<TaskId, Map<number, R>>, task: TaskId, index: number, row: R): void {
  const inner = map.get(task);
  if (inner) inner.set(index, row);
  else map.set(task, new Map([[index, row]]));
}
