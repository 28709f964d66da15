/**
 * The engine against a twin that knows no counters, no views and no crossings: after every event the twin
 * looks at every instance of the run and counts its upstreams from scratch. Random graphs with mapping,
 * mapped groups, branches, setups, retries, clears, marks and answers of dead attempts.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { dagSpec, groupSpec, type TaskSketch } from "../../test/kit/dag-spec.ts";
import type { DagSpec, MapSource } from "../model/dag-spec.ts";
import { known, type TaskId } from "../model/ids.ts";
import type { InstanceRow, RunEvent } from "../model/run.ts";
import { isFinished, type TaskState, type TriggerRule } from "../model/states.ts";
import { type CompiledDag, type CompiledTask, compileDag, reachable } from "./compile-dag.ts";
import { recount } from "./recount.ts";
import { RunInMemory } from "./run-in-memory.ts";
import { noCounts, verdictOf } from "./trigger-rule.ts";

test("every run ends, its counters are always right, and a twin that counts from scratch agrees", () => {
  fc.assert(
    fc.property(drawnDag, fc.infiniteStream(fc.nat(1_000_000)), (spec, dice) => {
      expect(playAgainstTwin(spec, diceOf(dice))).not.toBe("running");
    }),
    { numRuns: 1500, seed: 7 },
  );
});

test("answers of one batch may come in any order: the run stands the same", () => {
  fc.assert(
    fc.property(drawnDag, fc.infiniteStream(fc.nat(1_000_000)), (spec, stream) => {
      const roll = diceOf(stream);
      const runs = [openRun(spec), openRun(spec)] as const;
      for (const run of runs) run.turn([{ kind: "run_started" }], 0);
      for (let step = 0; step < 60 && runs[0].run.state === "running"; step++) {
        const ready = runs[0].instances().filter((row) => row.state === "scheduled");
        const events = ready.map((row) => answer(runs[0].dag, row, roll));
        for (const timer of runs[0].timers.splice(0))
          events.push({ kind: "timer_fired", ...timer });
        if (events.length === 0) break;
        for (const run of runs)
          for (const row of ready) {
            run.move(row, "scheduled", "queued");
            run.move(row, "queued", "running");
          }
        runs[0].turn(events, step);
        runs[1].turn(events.toReversed(), step);
        expect(sorted(runs[1].instances())).toEqual(sorted(runs[0].instances()));
        expect(runs[1].run).toEqual(runs[0].run);
      }
    }),
    { numRuns: 400, seed: 11 },
  );
});

function playAgainstTwin(spec: DagSpec, roll: (sides: number) => number): string {
  const run = openRun(spec);
  const twin = new Twin(run.dag);
  const startedTries = new Set<string>();
  let nowMs = 0;
  let troubles = 12;

  const turn = (event: RunEvent): void => {
    nowMs += 1000;
    const stateBefore = run.run.state;
    const decisions = run.turn([event], nowMs);
    for (const row of [
      ...decisions.created.filter((r) => r.state === "scheduled"),
      ...decisions.states
        .filter((s) => s.to === "scheduled" && s.try_number !== s.from_try_number)
        .map((s) => ({ task_id: s.task_id, map_index: s.map_index, try_number: s.try_number })),
    ]) {
      const name = `${row.task_id}[${row.map_index}] #${row.try_number}`;
      expect(startedTries.has(name), `${name} twice`).toBe(false);
      startedTries.add(name);
    }
    twin.turn(event, stateBefore, run.run.state);
    const found = recount(run.dag, run.instances());
    expect(run.run.unfinished).toBe(found.unfinished);
    expect(run.run.failed_leaves).toBe(found.failedLeaves);
    const counted = [...found.counters.values()].flatMap((scopes) => [...scopes.values()]);
    const kept = run
      .counters()
      .filter((row) => Object.keys(noCounts).some((key) => row[key as "total"] !== 0));
    const byKey = (a: { task_id: string; scope: number }, b: { task_id: string; scope: number }) =>
      a.task_id < b.task_id ? -1 : a.task_id > b.task_id ? 1 : a.scope - b.scope;
    expect(kept.toSorted(byKey)).toEqual(counted.toSorted(byKey));
    expect(sorted(run.instances())).toEqual(sorted(twin.instances()));
    expect(
      stateBefore === "running" && run.run.state === "running" ? run.run.unfinished : 1,
    ).toBeGreaterThan(0);
  };

  turn({ kind: "run_started" });
  for (let step = 0; ; step++) {
    expect(step, "the run never ends").toBeLessThan(2000);
    if (run.run.state === "queued") {
      turn({ kind: "run_started" });
      continue;
    }
    if (run.run.state !== "running" && (troubles <= 0 || roll(3) > 0)) break;
    const rows = run.instances();
    if (troubles > 0 && roll(5) === 0) {
      troubles--;
      const event = trouble(run, rows, roll);
      if (event) turn(event);
      continue;
    }
    const flying = rows.filter(
      (row) => row.state === "scheduled" || row.state === "restarting" || row.state === "running",
    );
    const pick = roll(flying.length + run.timers.length + 1);
    const row = flying[pick];
    if (row) {
      if (row.state === "scheduled") {
        run.move(row, "scheduled", "queued");
        run.move(row, "queued", "running");
        twin.move(row, "running");
        if (roll(4) === 0) continue;
      }
      turn(answer(run.dag, row, roll, troubles > 0));
      continue;
    }
    const timer = run.timers.splice(pick - flying.length, 1)[0];
    if (timer) {
      turn({ kind: "timer_fired", ...timer });
      continue;
    }
    const deferred = rows.find((one) => one.state === "deferred");
    if (deferred) {
      turn({
        kind: "timer_fired",
        ...keyOf(deferred),
        try_number: deferred.try_number,
        timer: "deferral",
      });
      continue;
    }
    if (run.run.state === "running" && flying.length === 0 && run.timers.length === 0) {
      turn({ kind: "deadlock_check" });
      expect(run.run.state).toBe("failed");
    }
  }
  return run.run.state;
}

/** Clears, marks, ghosts and the like. */
function trouble(
  run: RunInMemory,
  rows: readonly InstanceRow[],
  roll: (sides: number) => number,
): RunEvent | undefined {
  const row = rows[roll(rows.length)];
  if (!row) return undefined;
  const below = (): InstanceRow[] => {
    const ids = reachable(
      [row.task_id],
      (id) => run.dag.tasks.get(id)?.downstream.map((e) => e.id) ?? [],
    );
    return [row, ...rows.filter((one) => ids.has(one.task_id))];
  };
  switch (roll(6)) {
    case 0:
      return { kind: "instances_cleared", keys: below().map(keyOf) };
    case 1:
      return { kind: "instances_cleared", keys: [keyOf(row)] };
    case 2:
      return {
        kind: "instances_marked",
        keys: [keyOf(row)],
        state: (["success", "failed", "skipped"] as const)[roll(3)] ?? "success",
      };
    case 3:
      return {
        kind: "attempt_succeeded",
        ...keyOf(row),
        try_number: row.try_number - 1,
        mapped_length: 5,
      };
    case 4:
      return {
        kind: "attempt_failed",
        ...keyOf(row),
        try_number: row.try_number + 1,
        retryable: true,
        reason: "ghost",
      };
    default:
      return { kind: "attempt_stopped", ...keyOf(row), try_number: row.try_number };
  }
}

function answer(
  dag: CompiledDag,
  row: InstanceRow,
  roll: (sides: number) => number,
  mayWait = false,
): RunEvent {
  const ref = { ...keyOf(row), try_number: row.try_number };
  const task = dag.tasks.get(row.task_id);
  const fate = roll(mayWait ? 14 : 12);
  if (fate < 3) return { kind: "attempt_failed", ...ref, retryable: fate > 0, reason: "x" };
  if (fate === 3) return { kind: "attempt_skipped", ...ref };
  if (fate === 12) return { kind: "attempt_rescheduled", ...ref, at_ms: 5 };
  if (fate === 13) return { kind: "attempt_deferred", ...ref };
  const downs = task?.downstream.map((edge) => edge.id) ?? [];
  const some = downs.filter(() => roll(2) === 0);
  const skip =
    task?.spec.decides === "branch"
      ? { followed: some }
      : task?.spec.decides === "short_circuit" && roll(2) === 0
        ? {
            skipped: [
              ...reachable(
                [row.task_id],
                (id) => dag.tasks.get(id)?.downstream.map((e) => e.id) ?? [],
              ),
            ],
          }
        : undefined;
  return {
    kind: "attempt_succeeded",
    ...ref,
    ...(skip ? { skip } : {}),
    ...(task?.pushesLength && roll(6) > 0 ? { mapped_length: roll(4) } : {}),
    ...(task !== undefined && task.pushesKeys.length > 0 && roll(6) > 0
      ? { mapped_lengths: Object.fromEntries(task.pushesKeys.map((key) => [key, roll(4)])) }
      : {}),
  };
}

/** Keeps instances only; every question is answered by looking at all of them. */
class Twin {
  readonly dag: CompiledDag;
  readonly #rows = new Map<string, InstanceRow>();
  readonly #skips = new Map<string, readonly TaskId[]>();
  readonly #pushed = new Map<string, number>();
  #expanded = new Map<string, number>();

  constructor(dag: CompiledDag) {
    this.dag = dag;
  }

  instances(): InstanceRow[] {
    return [...this.#rows.values()];
  }
  move(row: InstanceRow, state: TaskState): void {
    this.#set({ ...row, state });
  }

  turn(event: RunEvent, runBefore: string, runAfter: string): void {
    this.#take(event, runBefore);
    const wasOpen = runBefore === "running" || event.kind === "run_started";
    if (wasOpen && runAfter !== "queued") this.#settle();
  }

  #take(event: RunEvent, runState: string): void {
    if (event.kind === "run_started") {
      if (this.#rows.size === 0) this.#create();
      return;
    }
    if (event.kind === "instances_cleared") {
      for (const key of event.keys) {
        const row = this.#get(key.task_id, key.map_index);
        const task = this.#task(key.task_id);
        if (!row || row.state === "removed") continue;
        const running = row.state === "running" || row.state === "restarting";
        if (task.spec.decides) this.#skips.delete(name(row.task_id, row.map_index));
        if (row.state === null && row.try_number === 0) continue;
        this.#set({
          ...row,
          state: running ? "restarting" : null,
          max_tries: row.try_number + task.spec.retries,
        });
      }
      return;
    }
    if (event.kind === "instances_marked") {
      for (const key of event.keys) {
        const row = this.#get(key.task_id, key.map_index);
        if (row && row.state !== "removed") this.#set({ ...row, state: event.state });
      }
      return;
    }
    if (!("try_number" in event)) return;
    const row = this.#get(event.task_id, event.map_index);
    if (!row || row.try_number !== event.try_number) return;
    const task = this.#task(row.task_id);
    if (event.kind === "timer_fired") {
      if (runState !== "running") return;
      if (event.timer === "retry" && row.state === "up_for_retry")
        this.#set({ ...row, state: null });
      if (event.timer === "reschedule" && row.state === "up_for_reschedule")
        this.#set({ ...row, state: "scheduled" });
      if (event.timer === "deferral" && row.state === "deferred")
        this.#set({ ...row, state: "scheduled" });
      return;
    }
    if (row.state === "restarting") {
      this.#set({ ...row, state: null });
      return;
    }
    if (row.state !== "running") return;
    const failed = (retryable: boolean): void =>
      this.#set({
        ...row,
        state:
          retryable && task.spec.retries > 0 && row.try_number <= row.max_tries
            ? "up_for_retry"
            : "failed",
      });
    switch (event.kind) {
      case "attempt_failed":
        return failed(event.retryable);
      case "attempt_skipped":
        return this.#set({ ...row, state: "skipped" });
      case "attempt_rescheduled":
        return this.#set({ ...row, state: "up_for_reschedule" });
      case "attempt_deferred":
        return this.#set({ ...row, state: "deferred" });
      case "attempt_succeeded": {
        if (task.pushesLength && event.mapped_length === undefined) return failed(true);
        const others = event.mapped_lengths ?? {};
        if (task.pushesKeys.some((key) => others[key] === undefined)) return failed(true);
        if (event.mapped_length !== undefined)
          this.#pushed.set(`${row.task_id} return_value`, event.mapped_length);
        for (const [key, length] of Object.entries(others))
          this.#pushed.set(`${row.task_id} ${key}`, length);
        this.#set({ ...row, state: "success" });
        if (!event.skip) return;
        const skipped = this.#skippedBy(task, event.skip);
        this.#skips.set(name(row.task_id, row.map_index), skipped);
        if (row.map_index < 0)
          for (const one of this.instances())
            if (one.state === null && skipped.includes(one.task_id))
              this.#set({ ...one, state: "skipped" });
        return;
      }
      case "attempt_stopped":
    }
  }

  #skippedBy(
    task: CompiledTask,
    said: { followed?: readonly string[]; skipped?: readonly string[] },
  ): TaskId[] {
    const downs = (id: TaskId): TaskId[] => this.#task(id).downstream.map((edge) => edge.id);
    if (said.skipped)
      return [...reachable([task.id], downs)].filter(
        (id) => said.skipped?.includes(id) && !this.#task(id).spec.is_teardown,
      );
    const followed = (said.followed ?? []).map(known.task);
    const kept = new Set([...followed, ...reachable(followed, downs)]);
    return downs(task.id).filter((id) => !kept.has(id));
  }

  #create(): void {
    for (const task of this.dag.order) {
      const literal = task.map && task.mapSources.length === 0 ? this.#length(task) : undefined;
      const n = typeof literal === "number" && literal > 0 ? literal : undefined;
      if (n !== undefined) this.#expanded.set(task.mappedGroup ?? task.id, n);
      for (let i = n === undefined ? -1 : 0; i < (n ?? 0); i++) this.#new(task, i);
    }
  }
  #new(task: CompiledTask, map_index: number): void {
    this.#set({
      task_id: task.id,
      map_index,
      state: null,
      try_number: 0,
      max_tries: task.spec.retries,
    });
  }

  /** In topological order, over and over, until nothing moves. */
  #settle(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const task of this.dag.order)
        for (const { map_index } of this.#of(task.id)) {
          const row = this.#get(task.id, map_index);
          if (row?.state === null && this.#move(task, row)) moved = true;
        }
    }
  }

  #move(task: CompiledTask, row: InstanceRow): boolean {
    const verdict = this.#judge(task, row);
    if (verdict === "wait") return false;
    if (verdict !== "run") {
      this.#set({ ...row, state: verdict });
      return true;
    }
    if (task.map) {
      const length = this.#length(task);
      if (length === "waiting") return false;
      const together = (
        task.mappedGroup ? (this.dag.mappedGroups.get(task.mappedGroup)?.tasks ?? []) : [task.id]
      ).map((id) => this.#task(id));
      const key = task.mappedGroup ?? task.id;
      if (length === "unresolvable" || (row.map_index < 0 && length === 0)) {
        this.#set({ ...row, state: length === 0 ? "skipped" : "upstream_failed" });
        return true;
      }
      if (row.map_index < 0) {
        for (const one of together)
          for (const old of this.#of(one.id)) {
            this.#rows.delete(name(one.id, -1));
            for (let i = 0; i < length; i++) this.#set({ ...old, map_index: i });
          }
        this.#expanded.set(key, length);
        return true;
      }
      if (this.#expanded.get(key) !== length) {
        for (const one of together) {
          for (const old of this.#of(one.id))
            if (old.map_index >= length) this.#set({ ...old, state: "removed" });
            else if (old.state === "removed") this.#set({ ...old, state: null });
          for (let i = 0; i < length; i++) if (!this.#get(one.id, i)) this.#new(one, i);
        }
        this.#expanded.set(key, length);
        return true;
      }
    }
    this.#set({
      ...row,
      state: task.isInline ? "success" : "scheduled",
      try_number: row.try_number + 1,
    });
    return true;
  }

  #judge(task: CompiledTask, row: InstanceRow): ReturnType<typeof verdictOf> {
    const mates = (id: TaskId): boolean =>
      task.mappedGroup !== undefined && this.#task(id).mappedGroup === task.mappedGroup;
    for (const { id } of task.upstream)
      if (this.#skips.get(name(id, mates(id) ? row.map_index : -1))?.includes(task.id))
        return "skipped";
    const sources = task.mapSources.flatMap((id) => this.#get(id, -1)?.state ?? []);
    if (sources.some((s) => s === "failed" || s === "upstream_failed")) return "upstream_failed";
    if (sources.includes("skipped")) return "skipped";
    if (task.upstream.length === 0 || task.spec.trigger_rule === "always") return "run";
    let blocked = false;
    if (!task.spec.is_teardown && task.gates.length > 0) {
      const gates = this.#count(
        task.gates.flatMap((id) => (mates(id) ? [this.#get(id, row.map_index)] : this.#of(id))),
      );
      const verdict = verdictOf("all_success", this.dag.level, gates, row.map_index);
      if (verdict !== "run" && verdict !== "wait") return verdict;
      blocked = verdict === "wait";
    }
    const upstream = task.upstream.flatMap((edge) =>
      edge.scoped && row.map_index >= 0 ? [this.#get(edge.id, row.map_index)] : this.#of(edge.id),
    );
    const verdict = verdictOf(
      task.spec.trigger_rule,
      this.dag.level,
      this.#count(upstream),
      row.map_index,
    );
    return verdict === "run" && blocked ? "wait" : verdict;
  }

  #count(rows: readonly (InstanceRow | undefined)[]) {
    const there = rows.filter((row) => row !== undefined);
    const how = (state: TaskState, of = there): number =>
      of.filter((row) => row.state === state).length;
    const setups = there.filter((row) => this.#task(row.task_id).spec.is_setup);
    return {
      total: there.length,
      success: how("success"),
      failed: how("failed"),
      upstream_failed: how("upstream_failed"),
      skipped: how("skipped"),
      removed: how("removed"),
      setups: setups.length,
      setups_success: how("success", setups),
      setups_skipped: how("skipped", setups),
    };
  }

  #length(task: CompiledTask): number | "waiting" | "unresolvable" {
    let product = 1;
    for (const source of task.map?.sources ?? []) {
      if (source.kind === "literal") product *= source.length;
      if (source.kind !== "task") continue;
      const rows = this.#of(source.task_id);
      if (rows.some((row) => !isFinished(row.state))) return "waiting";
      if (this.#task(source.task_id).map) {
        product *= rows.filter((row) => row.state === "success").length;
        continue;
      }
      const length =
        rows[0]?.state === "success"
          ? this.#pushed.get(`${source.task_id} ${source.key}`)
          : undefined;
      if (length === undefined) return "unresolvable";
      product *= length;
    }
    return product;
  }

  #task(id: TaskId): CompiledTask {
    const task = this.dag.tasks.get(id);
    if (!task) throw new Error(`no task ${id}`);
    return task;
  }
  #of(id: TaskId): InstanceRow[] {
    return this.instances().filter((row) => row.task_id === id);
  }
  #get(id: TaskId, index: number): InstanceRow | undefined {
    return this.#rows.get(name(id, index));
  }
  #set(row: InstanceRow): void {
    this.#rows.set(name(row.task_id, row.map_index), row);
  }
}

const rules: readonly TriggerRule[] = [
  "all_success",
  "all_success",
  "all_success",
  "all_failed",
  "all_done",
  "one_success",
  "one_failed",
  "one_done",
  "none_failed",
  "none_failed_min_one_success",
  "none_skipped",
  "all_skipped",
  "all_done_min_one_success",
  "always",
];

/** Task i may only come after tasks before it, so every drawn graph is acyclic. */
const drawnDag: fc.Arbitrary<DagSpec> = fc
  .record({
    tasks: fc.array(
      fc.record({
        after: fc.array(fc.nat(20), { maxLength: 3 }),
        rule: fc.constantFrom(...rules),
        retries: fc.constantFrom(0, 0, 1, 2),
        nature: fc.constantFrom(
          "plain",
          "plain",
          "plain",
          "inline",
          "branch",
          "short_circuit",
          "setup",
          "teardown",
          "mapped",
          "mapped",
        ),
        literal: fc.option(fc.nat(3)),
        source: fc.nat(20),
      }),
      { minLength: 1, maxLength: 9 },
    ),
    group: fc.option(
      fc.record({
        from: fc.nat(8),
        size: fc.integer({ min: 1, max: 4 }),
        literal: fc.option(fc.nat(3)),
        source: fc.nat(20),
      }),
    ),
    level: fc.constantFrom("1.10" as const, "2" as const, "3" as const),
    fail_fast: fc.constant(false),
  })
  .map(({ tasks, group, level, fail_fast }) => {
    const inGroup = (i: number): boolean =>
      group !== null && i >= group.from && i < group.from + group.size;
    const ups = tasks.map((task, i) => new Set(i === 0 ? [] : task.after.map((j) => j % i)));
    const sourceOf = (i: number, literal: number | null, source: number): MapSource =>
      literal !== null || i === 0
        ? { kind: "literal", length: literal ?? 2 }
        : {
            kind: "task",
            task_id: known.task(`t${source % i}`),
            key: source % 3 === 0 ? "rows" : "return_value",
          };
    const sketches = tasks.map((task, i): TaskSketch => {
      const source = sourceOf(i, task.literal, task.source);
      const mapped = task.nature === "mapped" && !inGroup(i);
      if (mapped && source.kind === "task") ups[i]?.add(task.source % i);
      return {
        task_id: `t${i}`,
        trigger_rule: task.nature === "teardown" ? "all_done_setup_success" : task.rule,
        retries: task.retries,
        retry_delay_s: 1,
        is_setup: task.nature === "setup",
        is_teardown: task.nature === "teardown",
        runs_in: task.nature === "inline" ? "inline" : "python",
        ...(inGroup(i) ? { group: "g" } : {}),
        ...(mapped ? { map: { kind: "product" as const, sources: [source] } } : {}),
        ...(task.nature === "branch" || task.nature === "short_circuit"
          ? { decides: task.nature }
          : {}),
      };
    });
    const groupSource = group ? sourceOf(group.from, group.literal, group.source) : undefined;
    if (group && groupSource?.kind === "task")
      tasks.forEach((_, i) => {
        if (inGroup(i) && ![...(ups[i] ?? [])].some(inGroup))
          ups[i]?.add(group.source % group.from);
      });
    const downs = tasks.map((_, i) =>
      tasks.flatMap((_task, j) => (ups[j]?.has(i) ? [`t${j}`] : [])),
    );
    return dagSpec(
      sketches.map((sketch, i) => ({ ...sketch, downstream: downs[i] ?? [] })),
      {
        level,
        fail_fast,
        groups: groupSource
          ? [groupSpec({ group_id: "g", map: { kind: "product", sources: [groupSource] } })]
          : [],
      },
    );
  });

function openRun(spec: DagSpec): RunInMemory {
  return new RunInMemory(compileDag(spec), {
    dag_id: spec.dag_id,
    run_id: known.run("r"),
    run_type: "manual",
    state: "queued",
    has_instances: false,
    unfinished: 0,
    failed_leaves: 0,
  });
}

const name = (task: string, index: number): string => `${task} ${index}`;
const keyOf = (row: InstanceRow) => ({ task_id: row.task_id, map_index: row.map_index });
const sorted = (rows: readonly InstanceRow[]): string[] =>
  rows
    .map((r) => `${r.task_id}[${r.map_index}] ${r.state} ${r.try_number}/${r.max_tries}`)
    .toSorted();

function diceOf(stream: fc.Stream<number>): (sides: number) => number {
  return (sides) => {
    const next = stream.next();
    if (next.done === true) throw new Error("an infinite stream ended");
    return next.value % Math.max(1, sides);
  };
}
