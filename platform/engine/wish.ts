import type { TaskId } from "../model/ids.ts";
import type { CounterKey, InstanceKey, RunNeed } from "../model/run.ts";
import { type CompiledDag, type CompiledTask, type Edge, lengthNamesOf } from "./compile-dag.ts";
import { counterName, instanceName } from "./view.ts";

/** Collects what to load, each thing once. */
export class Wish {
  everything = false;
  readonly #instances = new Map<string, InstanceKey>();
  readonly #tasks = new Set<TaskId>();
  readonly #counters = new Map<string, CounterKey>();
  readonly #counterTasks = new Set<TaskId>();
  readonly #skips = new Set<TaskId>();
  readonly #lengths = new Set<string>();
  readonly #past = new Set<TaskId>();
  readonly #walked = new Set<string>();
  readonly #inline: [CompiledTask, number][] = [];
  readonly #dag: CompiledDag;

  constructor(dag: CompiledDag) {
    this.#dag = dag;
  }

  instance(task_id: TaskId, map_index: number): void {
    const key = { task_id, map_index };
    this.#instances.set(instanceName(key), key);
  }
  counter(task_id: TaskId, scope: number): void {
    const key = { task_id, scope };
    this.#counters.set(counterName(key), key);
  }
  allOf(task: TaskId): void {
    this.#tasks.add(task);
  }
  countersOf(task: TaskId): void {
    this.#counterTasks.add(task);
  }
  skipsOf(task: TaskId): void {
    this.#skips.add(task);
  }
  length(name: string): void {
    this.#lengths.add(name);
  }
  past(task: TaskId): void {
    this.#past.add(task);
  }

  /** What a change of this instance's state touches at its direct downstreams. */
  downstreamOf(task: CompiledTask, mapIndex: number): void {
    if (task.countsItself) this.counter(task.id, ownScope);
    for (const edge of task.downstream) {
      const down = this.#dag.tasks.get(edge.id);
      if (down) this.arrival(down, scopeOf(edge, mapIndex));
    }
  }

  /** An upstream of `task` changed in this scope: the counters, and the instance they are about if it is one. */
  arrival(task: CompiledTask, scope: number): void {
    this.counter(task.id, -1);
    if (scope >= 0) this.counter(task.id, scope);
    this.evaluation(task, scope);
  }

  /** Everything read to judge this instance; of an inline task, also what its own end touches. */
  evaluation(task: CompiledTask, mapIndex: number): void {
    if (!this.#first(`evaluation ${task.id} ${mapIndex}`)) return;
    this.instance(task.id, mapIndex);
    this.counter(task.id, -1);
    if (task.hasScopedUpstream && mapIndex >= 0) this.counter(task.id, mapIndex);
    for (const decider of task.deciders) this.skipsOf(decider);
    for (const gate of task.gates) this.gate(task, gate, mapIndex);
    if (task.spec.depends_on_past || task.spec.wait_for_downstream) this.past(task.id);
    if (task.map) {
      this.length(task.mappedGroup ?? task.id);
      for (const name of lengthNamesOf(task.map)) this.length(name);
      for (const source of task.mapSources) {
        this.instance(source, -1);
        if (this.#dag.tasks.get(source)?.countsItself) this.counter(source, ownScope);
      }
    }
    if (task.isInline) this.#followInline(task, mapIndex);
  }

  /** With a list instead of recursion: a line of ten thousand inline tasks is one walk. */
  #followInline(task: CompiledTask, mapIndex: number): void {
    this.#inline.push([task, mapIndex]);
    if (this.#inline.length > 1) return;
    for (let i = 0; i < this.#inline.length; i++) {
      const [at, index] = this.#inline[i] ?? [task, mapIndex];
      this.downstreamOf(at, index);
    }
    this.#inline.length = 0;
  }

  gate(task: CompiledTask, gate: TaskId, mapIndex: number): void {
    if (sharesGroup(this.#dag, task, gate)) this.instance(gate, mapIndex);
    else this.allOf(gate);
  }

  /** A failure or a skip travels: everything it may reach, up to tasks whose rule waits for the end of all. */
  closureOf(task: CompiledTask, mapIndex: number): void {
    const open: [CompiledTask, number][] = [[task, mapIndex]];
    for (let next = open.pop(); next; next = open.pop()) {
      const [at, index] = next;
      if (!this.#first(`closure ${at.id} ${index}`)) continue;
      for (const edge of at.downstream) {
        const down = this.#dag.tasks.get(edge.id);
        if (!down) continue;
        const scope = scopeOf(edge, index);
        this.arrival(down, scope);
        if (!waitsForAll.has(down.spec.trigger_rule)) open.push([down, scope]);
      }
    }
  }

  get isEmpty(): boolean {
    return !(
      this.everything ||
      this.#instances.size > 0 ||
      this.#tasks.size > 0 ||
      this.#counters.size > 0 ||
      this.#counterTasks.size > 0 ||
      this.#skips.size > 0 ||
      this.#lengths.size > 0 ||
      this.#past.size > 0
    );
  }

  need(): RunNeed {
    return {
      everything: this.everything,
      instances: [...this.#instances.values()],
      tasks: [...this.#tasks],
      counters: [...this.#counters.values()],
      counter_tasks: [...this.#counterTasks],
      skips: [...this.#skips],
      lengths: [...this.#lengths],
      past: [...this.#past],
    };
  }

  #first(name: string): boolean {
    if (this.#walked.has(name)) return false;
    this.#walked.add(name);
    return true;
  }
}

/** The scope under which a mapped task that others map over counts its own instances. */
export const ownScope = -2;

/** In which scope of the downstream's counters an upstream instance counts. */
export const scopeOf = (edge: Edge, mapIndex: number): number => (edge.scoped ? mapIndex : -1);

/** Both are in the same mapped group: index i has to do with index i. */
export const sharesGroup = (dag: CompiledDag, task: CompiledTask, other: TaskId): boolean =>
  task.mappedGroup !== undefined && dag.tasks.get(other)?.mappedGroup === task.mappedGroup;

const waitsForAll: ReadonlySet<string> = new Set(["all_done", "all_done_setup_success", "always"]);
