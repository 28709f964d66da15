import { expect, test } from "vitest";
import { dagSpec, groupSpec, type TaskSketch } from "../../test/kit/dag-spec.ts";
import type { DagSpec } from "../model/dag-spec.ts";
import { known } from "../model/ids.ts";
import type { PastRow, RunDecisions, RunEvent, RunFacts } from "../model/run.ts";
import { compileDag } from "./compile-dag.ts";
import { apply, decide } from "./decide.ts";
import { reach } from "./reach.ts";
import { recount } from "./recount.ts";
import { RunInMemory } from "./run-in-memory.ts";
import { noCounts } from "./trigger-rule.ts";
import { openView, seen } from "./view.ts";

test("an ordinary success is one load, whatever the size of the run", () => {
  for (const size of [100, 10_000]) {
    const run = started(line(size));
    begin(run, "t0");
    const decisions = run.turn([succeeded("t0")], 1);
    expect(changes(decisions)).toEqual(["t0 running > success #1", "t1 null > scheduled #1"]);
    expect(run.loads).toBe(1);
    expect(run.rows).toBeLessThan(10);
  }
});

test("a fan-in looks at its task only when the last upstream ends", () => {
  const names = Array.from({ length: 1000 }, (_, i) => `u${i}`);
  const run = started(
    dagSpec([...names.map((task_id) => ({ task_id, downstream: ["join"] })), { task_id: "join" }]),
  );
  let rows = 0;
  for (const name of names) {
    begin(run, name);
    run.turn([succeeded(name)], 1);
    expect(run.loads).toBe(1);
    rows = Math.max(rows, run.rows);
  }
  expect(state(run, "join")).toBe("scheduled");
  expect(rows).toBeLessThan(8);
});

test("a thousand mapped instances feed a thousand mapped ones without a million looks", () => {
  const run = started(
    dagSpec([
      { task_id: "a", map: literal(1000), downstream: ["b"] },
      { task_id: "b", map: literal(1000), downstream: [] },
    ]),
  );
  let rows = 0;
  for (let i = 0; i < 1000; i++) {
    begin(run, "a", i);
    run.turn([succeeded("a", i)], 1);
    rows += run.rows;
  }
  expect(run.instances().filter((row) => row.state === "scheduled")).toHaveLength(1000);
  expect(rows).toBeLessThan(20_000);
});

test("a run of 10,000 tasks starts in one turn, from nothing loaded", () => {
  const run = started(dagSpec(Array.from({ length: 10_000 }, (_, i) => ({ task_id: `t${i}` }))));
  expect(run.instances().filter((row) => row.state === "scheduled")).toHaveLength(10_000);
});

test("a line of inline tasks runs to its end in the turn that starts it", () => {
  const run = opened(dagSpec(line(2000).tasks.map((task) => ({ ...task, runs_in: "inline" }))));
  const decisions = run.turn([{ kind: "run_started" }], 5);
  expect(decisions.run).toMatchObject({ state: "success", ended: "success", unfinished: 0 });
  expect(decisions.created.every((row) => row.state === "success" && row.try_number === 1)).toBe(
    true,
  );
  expect(run.loads).toBe(1);
});

test("inline tasks after a real one need no second load", () => {
  const run = started(
    dagSpec([
      { task_id: "a", downstream: ["b"] },
      { task_id: "b", runs_in: "inline", downstream: ["c"] },
      { task_id: "c" },
    ]),
  );
  begin(run, "a");
  run.turn([succeeded("a")], 1);
  expect(run.loads).toBe(1);
  expect(state(run, "c")).toBe("scheduled");
});

test("a failure travels down a line of 3,000 in three loads", () => {
  const run = started(line(3000));
  begin(run, "t0");
  run.turn([failed("t0")], 1);
  expect(run.loads).toBeLessThanOrEqual(3);
  expect(run.run).toMatchObject({ state: "failed", unfinished: 0 });
});

test("within a batch a failure beats a skip, in either order", () => {
  for (const flip of [false, true]) {
    const run = started(
      dagSpec([
        { task_id: "a", downstream: ["c"] },
        { task_id: "b", downstream: ["c"] },
        { task_id: "c" },
      ]),
    );
    begin(run, "a");
    begin(run, "b");
    const events: RunEvent[] = [
      { kind: "attempt_skipped", ...key("a"), try_number: 1 },
      failed("b"),
    ];
    run.turn(flip ? events.toReversed() : events, 1);
    expect(state(run, "c")).toBe("upstream_failed");
  }
});

test("an event applied a second time changes nothing", () => {
  const run = started(line(3));
  begin(run, "t0");
  run.turn([succeeded("t0")], 1);
  const again = run.turn([succeeded("t0")], 2);
  expect(again).toEqual({ ...empty });
});

test("the answer of another try changes nothing", () => {
  const run = started(line(3));
  begin(run, "t0");
  for (const try_number of [0, 2, 99]) {
    expect(run.turn([{ ...succeeded("t0"), try_number }], 1)).toEqual(empty);
    expect(run.turn([{ ...failed("t0"), try_number }], 1)).toEqual(empty);
  }
  expect(state(run, "t0")).toBe("running");
});

test("only leaves decide how a run ends; a teardown does only if it is told to", () => {
  const of = (teardownFailsRun: boolean): string => {
    const run = started(
      dagSpec([
        { task_id: "setup", is_setup: true, downstream: ["work", "teardown"] },
        { task_id: "work", downstream: ["teardown"] },
        {
          task_id: "teardown",
          is_teardown: true,
          trigger_rule: "all_done_setup_success",
          on_failure_fail_dagrun: teardownFailsRun,
        },
      ]),
    );
    for (const name of ["setup", "work"]) finish(run, name);
    begin(run, "teardown");
    run.turn([failed("teardown")], 9);
    return run.run.state;
  };
  expect(of(false)).toBe("success");
  expect(of(true)).toBe("failed");
});

test("a setup further up that fails stops the work whatever its rule, and its teardown does not run", () => {
  const run = started(
    dagSpec([
      { task_id: "setup", is_setup: true, downstream: ["a", "teardown"] },
      { task_id: "a", trigger_rule: "all_done", downstream: ["b"] },
      { task_id: "b", trigger_rule: "all_done", downstream: ["teardown"] },
      { task_id: "teardown", is_teardown: true, trigger_rule: "all_done_setup_success" },
    ]),
  );
  begin(run, "setup");
  run.turn([failed("setup")], 1);
  // Airflow: `a` sees the setup through its own rule, `b` through the setup constraint.
  expect(state(run, "a")).toBe("scheduled");
  expect(state(run, "b")).toBe("upstream_failed");
  finish(run, "a");
  expect(state(run, "teardown")).toBe("upstream_failed");
});

test("fail_fast ends everything but teardowns, and stops what runs", () => {
  const run = started(
    dagSpec(
      [
        { task_id: "a", is_setup: true, downstream: ["t"] },
        { task_id: "b" },
        { task_id: "c", downstream: ["d"] },
        { task_id: "d" },
        { task_id: "t", is_teardown: true, trigger_rule: "all_done_setup_success" },
      ],
      { fail_fast: true },
    ),
  );
  finish(run, "a");
  begin(run, "t");
  begin(run, "b");
  begin(run, "c");
  const decisions = run.turn([failed("b")], 1);
  expect(state(run, "c")).toBe("failed");
  expect(state(run, "d")).toBe("skipped");
  expect(state(run, "t")).toBe("running");
  expect(decisions.states.find((s) => s.task_id === "c")?.stop).toBe(true);
});

test("a timed-out run is failed, its open instances skipped and stopped", () => {
  const run = started(line(3));
  begin(run, "t0");
  const decisions = run.turn([{ kind: "run_timed_out" }], 1);
  expect(decisions.run).toMatchObject({ state: "failed", ended: "timed_out", unfinished: 0 });
  expect(decisions.states.map((s) => `${s.task_id} ${s.to} ${s.stop}`)).toEqual([
    "t0 skipped true",
    "t1 skipped false",
    "t2 skipped false",
  ]);
  check(run);
});

test("marking a run failed leaves a pending teardown to run", () => {
  const spec = dagSpec([
    { task_id: "s", is_setup: true, downstream: ["w", "t"] },
    { task_id: "w", downstream: ["t"] },
    { task_id: "t", is_teardown: true, trigger_rule: "all_done_setup_success" },
  ]);
  const run = started(spec);
  finish(run, "s");
  begin(run, "w");
  run.turn([{ kind: "run_marked", state: "failed", reason: "stopped" }], 1);
  expect(run.run.state).toBe("running");
  expect([state(run, "w"), state(run, "t")]).toEqual(["failed", "scheduled"]);
  finish(run, "t");
  expect(run.run.state).toBe("failed");
  check(run);
});

test("marking a run success marks what failed as well", () => {
  const run = started(line(3));
  begin(run, "t0");
  run.turn([failed("t0")], 1);
  run.turn([{ kind: "run_marked", state: "success", reason: "marked" }], 2);
  expect(run.run.state).toBe("success");
  expect(run.instances().map((row) => row.state)).toEqual(["success", "success", "success"]);
  check(run);
});

test("a cleared running task restarts only once its old attempt has gone", () => {
  const run = started(dagSpec([{ task_id: "a", retries: 1 }]));
  begin(run, "a");
  const cleared = run.turn([{ kind: "instances_cleared", keys: [key("a")] }], 1);
  expect(cleared.states).toMatchObject([
    { to: "restarting", stop: true, cleared: true, max_tries: 2 },
  ]);
  run.turn([{ kind: "attempt_stopped", ...key("a"), try_number: 1 }], 2);
  expect(run.instance(key("a"))).toMatchObject({ state: "scheduled", try_number: 2, max_tries: 2 });
});

test("a clear of a finished run puts it back to queued, and its start looks at everything", () => {
  const run = started(line(3));
  for (const name of ["t0", "t1"]) finish(run, name);
  begin(run, "t2");
  run.turn([failed("t2")], 1);
  expect(run.run.state).toBe("failed");
  const decisions = run.turn([{ kind: "instances_cleared", keys: [key("t1"), key("t2")] }], 2);
  expect(decisions.run).toMatchObject({ from: "failed", state: "queued", restarted: true });
  run.turn([{ kind: "run_started" }], 3);
  expect([state(run, "t1"), state(run, "t2")]).toEqual(["scheduled", null]);
  check(run);
});

test("a cleared task that a branch did not follow is skipped again", () => {
  const run = started(
    dagSpec([
      { task_id: "b", decides: "branch", downstream: ["x", "y"] },
      { task_id: "x", downstream: ["j"] },
      { task_id: "y", downstream: ["j"] },
      { task_id: "j", trigger_rule: "none_failed_min_one_success" },
    ]),
  );
  begin(run, "b");
  run.turn([{ ...succeeded("b"), skip: { followed: ["x"] } }], 1);
  expect([state(run, "x"), state(run, "y"), state(run, "j")]).toEqual([
    "scheduled",
    "skipped",
    null,
  ]);
  run.turn([{ kind: "instances_cleared", keys: [key("y")] }], 2);
  expect(state(run, "y")).toBe("skipped");
  run.turn([{ kind: "instances_cleared", keys: [key("b"), key("y")] }], 3);
  expect(state(run, "y")).toBe(null);
});

test("a branch that follows the join itself does not skip it", () => {
  const run = started(
    dagSpec([
      { task_id: "b", decides: "branch", downstream: ["x", "j"] },
      { task_id: "x", downstream: ["j"] },
      { task_id: "j", trigger_rule: "none_failed" },
    ]),
  );
  begin(run, "b");
  run.turn([{ ...succeeded("b"), skip: { followed: ["x"] } }], 1);
  expect(state(run, "j")).toBe(null);
});

test("a branch may follow a group: its roots go on", () => {
  const run = started(
    dagSpec(
      [
        { task_id: "b", decides: "branch", downstream: ["g.x", "y"] },
        { task_id: "g.x", group: "g", downstream: ["g.z"] },
        { task_id: "g.z", group: "g" },
        { task_id: "y" },
      ],
      { groups: [groupSpec({ group_id: "g" })] },
    ),
  );
  begin(run, "b");
  run.turn([{ ...succeeded("b"), skip: { followed: ["g"] } }], 1);
  expect([state(run, "g.x"), state(run, "y")]).toEqual(["scheduled", "skipped"]);
});

test("a guest cannot skip what does not come after its task, nor a teardown", () => {
  const run = started(
    dagSpec([
      { task_id: "c", decides: "short_circuit", is_setup: true, downstream: ["x"] },
      { task_id: "x", downstream: ["t"] },
      { task_id: "t", is_teardown: true, trigger_rule: "all_done_setup_success" },
      { task_id: "other", downstream: ["later"] },
      { task_id: "later" },
    ]),
  );
  begin(run, "c");
  run.turn([{ ...succeeded("c"), skip: { skipped: ["x", "t", "later", "nowhere"] } }], 1);
  expect([state(run, "x"), state(run, "t"), state(run, "later")]).toEqual([
    "skipped",
    "scheduled",
    null,
  ]);
});

test("what it maps over decides how many; nothing is skipped, too much fails", () => {
  const spec = dagSpec([
    { task_id: "src", downstream: ["m"] },
    { task_id: "m", map: from("src"), downstream: ["after"] },
    { task_id: "after", trigger_rule: "all_done" },
  ]);
  const ofLength = (mapped_length: number) => {
    const run = started(spec);
    begin(run, "src");
    run.turn([{ ...succeeded("src"), mapped_length }], 1);
    check(run);
    return run.instances().filter((row) => row.task_id === "m");
  };
  expect(ofLength(3).map((row) => [row.map_index, row.state])).toEqual([
    [0, "scheduled"],
    [1, "scheduled"],
    [2, "scheduled"],
  ]);
  expect(ofLength(0)).toMatchObject([{ map_index: -1, state: "skipped" }]);
  expect(ofLength(10_001)).toMatchObject([{ map_index: -1, state: "failed" }]);
});

test("a source that pushes no length fails and says who maps over it", () => {
  const run = started(
    dagSpec([
      { task_id: "src", downstream: ["m"] },
      { task_id: "m", map: from("src") },
    ]),
  );
  begin(run, "src");
  const decisions = run.turn([succeeded("src")], 1);
  expect(decisions.states[0]?.to).toBe("failed");
  expect(decisions.states[0]?.reason).toContain("m maps over it");
});

test("each key of a source has a length of its own, and one that was not pushed fails it", () => {
  const over = (key: string) => ({
    ...from("src"),
    sources: [{ kind: "task" as const, task_id: known.task("src"), key }],
  });
  const spec = dagSpec([
    { task_id: "src", downstream: ["a", "b", "c"] },
    { task_id: "a", map: over("rows") },
    { task_id: "b", map: over("constructor") },
    { task_id: "c", map: over("return_value") },
  ]);
  expect(compileDag(spec).tasks.get(known.task("src"))).toMatchObject({
    pushesLength: true,
    pushesKeys: ["rows", "constructor"],
  });
  const run = started(spec);
  begin(run, "src");
  run.turn(
    [{ ...succeeded("src"), mapped_length: 2, mapped_lengths: { rows: 3, constructor: 1 } }],
    1,
  );
  check(run);
  const count = (id: string) => run.instances().filter((row) => row.task_id === id).length;
  expect([count("a"), count("b"), count("c")]).toEqual([3, 1, 2]);
  const failing = started(spec);
  begin(failing, "src");
  const [first] = failing.turn(
    [{ ...succeeded("src"), mapped_length: 2, mapped_lengths: { rows: 3 } }],
    1,
  ).states;
  expect(first?.to).toBe("failed");
  expect(first?.reason).toContain('under the key "constructor"');
});

test("what is mapped over by field alone need not have a length itself", () => {
  const source = { kind: "task" as const, task_id: known.task("src"), key: "rows" };
  const run = started(
    dagSpec([
      { task_id: "src", downstream: ["m"] },
      { task_id: "m", map: { kind: "product", sources: [source] } },
    ]),
  );
  begin(run, "src");
  run.turn([{ ...succeeded("src"), mapped_lengths: { rows: 2 } }], 1);
  check(run);
  expect(run.instances().filter((row) => row.task_id === "m")).toHaveLength(2);
});

test("a re-run source that answers with fewer elements removes the rest, with more adds them", () => {
  const run = started(
    dagSpec([
      { task_id: "src", downstream: ["m"] },
      { task_id: "m", map: from("src") },
    ]),
  );
  const again = (mapped_length: number): string[] => {
    const row = run.instance(key("src"));
    if (row?.state !== "scheduled") {
      run.turn(
        [{ kind: "instances_cleared", keys: run.instances().filter((r) => r.state !== "removed") }],
        1,
      );
      if (run.run.state === "queued") run.turn([{ kind: "run_started" }], 1);
    }
    begin(run, "src");
    const try_number = run.instance(key("src"))?.try_number ?? 0;
    run.turn([{ ...succeeded("src"), try_number, mapped_length }], 2);
    check(run);
    return run
      .instances()
      .filter((r) => r.task_id === "m")
      .map((r) => `${r.map_index} ${r.state}`)
      .toSorted();
  };
  expect(again(3)).toEqual(["0 scheduled", "1 scheduled", "2 scheduled"]);
  for (const i of [0, 1, 2]) {
    begin(run, "m", i);
    run.turn([succeeded("m", i)], 3);
  }
  expect(again(1)).toEqual(["0 scheduled", "1 removed", "2 removed"]);
  expect(again(2)).toEqual(["0 scheduled", "1 scheduled", "2 removed"]);
});

test("in a mapped group index i waits for index i only", () => {
  const run = started(
    dagSpec(
      [
        { task_id: "src", downstream: ["g.a"] },
        { task_id: "g.a", group: "g", downstream: ["g.b"] },
        { task_id: "g.b", group: "g", downstream: ["end"] },
        { task_id: "end" },
      ],
      { groups: [groupSpec({ group_id: "g", map: from("src") })] },
    ),
  );
  begin(run, "src");
  run.turn([{ ...succeeded("src"), mapped_length: 3 }], 1);
  begin(run, "g.a", 1);
  run.turn([succeeded("g.a", 1)], 2);
  expect(run.loads).toBe(1);
  const b = () =>
    run
      .instances()
      .filter((row) => row.task_id === "g.b")
      .map((row) => row.state);
  expect(b()).toEqual([null, "scheduled", null]);
  for (const i of [0, 2]) {
    begin(run, "g.a", i);
    run.turn([i === 0 ? failed("g.a", 0) : succeeded("g.a", 2)], 3);
  }
  expect(b()).toEqual(["upstream_failed", "scheduled", "scheduled"]);
  expect(state(run, "end")).toBe("upstream_failed");
  check(run);
});

test("a timer that is set and passed by in one batch is none", () => {
  const run = started(dagSpec([{ task_id: "a" }, { task_id: "b", retries: 1 }]));
  for (const name of ["a", "b"]) begin(run, name);
  const mark = (task_id: string): RunEvent => ({
    kind: "instances_marked",
    keys: [{ task_id: known.task(task_id), map_index: -1 }],
    state: "failed",
  });
  const ref = { map_index: -1, try_number: 1 };
  const { timers } = run.turn(
    [
      { kind: "attempt_rescheduled", task_id: known.task("a"), ...ref, at_ms: 5 },
      { kind: "attempt_failed", task_id: known.task("b"), ...ref, retryable: true, reason: "no" },
      mark("a"),
    ],
    1,
  );
  expect(timers.map((timer) => timer.task_id)).toEqual(["b"]);
});

test("depends_on_past waits for the run before, and is woken by it", () => {
  const spec = dagSpec([{ task_id: "a", depends_on_past: true }]);
  let past: PastRow = {
    task_id: known.task("a"),
    first: false,
    states: ["running"],
    downstream_states: [],
  };
  const run = opened(spec, () => past);
  run.turn([{ kind: "run_started" }], 1);
  expect(state(run, "a")).toBe(null);
  run.turn([{ kind: "deadlock_check" }], 2);
  expect(run.run.state).toBe("running");
  past = { ...past, states: ["success"] };
  run.turn([{ kind: "past_changed", task_ids: [known.task("a")] }], 3);
  expect(state(run, "a")).toBe("scheduled");
  begin(run, "a");
  expect(run.turn([succeeded("a")], 4).past_changed).toEqual(["a"]);
});

test("a new DAG version adds tasks, removes vanished ones and counts anew", () => {
  const run = started(line(3));
  finish(run, "t0");
  run.dag = compileDag(
    dagSpec([{ task_id: "t0", downstream: ["t2", "new"] }, { task_id: "t2" }, { task_id: "new" }]),
  );
  run.turn([{ kind: "dag_changed" }], 2);
  expect(["t0", "t1", "t2", "new"].map((name) => state(run, name))).toEqual([
    "success",
    "removed",
    "scheduled",
    "scheduled",
  ]);
  check(run);
});

test("a run in which nothing can go on is failed, after a recount", () => {
  const run = started(
    dagSpec([
      { task_id: "src", downstream: ["m"] },
      { task_id: "m", map: from("src"), downstream: ["after"] },
      { task_id: "after" },
    ]),
  );
  begin(run, "src");
  run.turn([{ ...succeeded("src"), mapped_length: 2 }], 1);
  expect(run.turn([{ kind: "deadlock_check" }], 2).run).toBeUndefined();
  run.turn([{ kind: "instances_cleared", keys: [key("src")] }], 3);
  for (const i of [0, 1]) {
    begin(run, "m", i);
    run.turn([succeeded("m", i)], 3);
  }
  expect(state(run, "after")).toBe("scheduled");
});

test("a wrong counter is found by the deadlock check, put right, and the run goes on", () => {
  const run = started(line(2));
  begin(run, "t0");
  const decisions = decided(run, [succeeded("t0")]);
  // As if the write of the successor's state had been lost with its counters.
  run.write(
    { ...decisions, counters: [], states: decisions.states.filter((s) => s.task_id === "t0") },
    1,
  );
  expect(state(run, "t1")).toBe(null);
  run.turn([{ kind: "deadlock_check" }], 2);
  expect(state(run, "t1")).toBe("scheduled");
  check(run);
});

test("a task outside its own dates is not part of the run", () => {
  const run = new RunInMemory(
    compileDag(
      dagSpec([
        { task_id: "old", end_date: "2020-01-01T00:00:00+00:00" },
        { task_id: "future", start_date: "2030-01-01T00:00:00+00:00" },
        { task_id: "now" },
      ]),
    ),
    { ...facts, logical_date_ms: Date.UTC(2026, 0, 1) },
  );
  run.turn([{ kind: "run_started" }], 1);
  expect(run.instances().map((row) => row.task_id)).toEqual(["now"]);
});

test("an empty run is a success", () => {
  const run = started(dagSpec([]));
  expect(run.run.state).toBe("success");
});

test("deciding again over the applied view answers nothing", () => {
  const run = started(line(3));
  begin(run, "t0");
  const events = [succeeded("t0")];
  const need = reach(run.dag, run.run, events);
  const view = seen(openView(run.run), need, run.load(need));
  const turn = decide(run.dag, view, events, 1);
  if (turn.kind !== "decided") throw new Error("one load was not enough");
  expect(decide(run.dag, apply(view, turn.decisions), events, 1)).toEqual({
    kind: "decided",
    decisions: empty,
  });
});

// ---- words of these tests ------------------------------------------------------------------------------

const facts: RunFacts = {
  dag_id: known.dag("d"),
  run_id: known.run("r"),
  run_type: "manual",
  state: "queued",
  has_instances: false,
  unfinished: 0,
  failed_leaves: 0,
};
const empty: RunDecisions = {
  expanded: [],
  created: [],
  states: [],
  counters: [],
  skips: [],
  skips_deleted: [],
  lengths: [],
  timers: [],
  past_changed: [],
};

const literal = (length: number) => ({
  kind: "product" as const,
  sources: [{ kind: "literal" as const, length }],
});
const from = (task: string) => ({
  kind: "product" as const,
  sources: [{ kind: "task" as const, task_id: known.task(task), key: "return_value" }],
});
const line = (size: number): DagSpec =>
  dagSpec(
    Array.from(
      { length: size },
      (_, i): TaskSketch => ({
        task_id: `t${i}`,
        downstream: i + 1 < size ? [`t${i + 1}`] : [],
      }),
    ),
  );

const opened = (spec: DagSpec, past?: () => PastRow): RunInMemory =>
  new RunInMemory(compileDag(spec), facts, past);
function started(spec: DagSpec): RunInMemory {
  const run = opened(spec);
  run.turn([{ kind: "run_started" }], 0);
  check(run);
  return run;
}

const key = (task: string, map_index = -1) => ({ task_id: known.task(task), map_index });
const state = (run: RunInMemory, task: string, index = -1) => run.instance(key(task, index))?.state;
const succeeded = (task: string, index = -1) =>
  ({ kind: "attempt_succeeded", ...key(task, index), try_number: 1 }) as const;
const failed = (task: string, index = -1) =>
  ({
    kind: "attempt_failed",
    ...key(task, index),
    try_number: 1,
    retryable: true,
    reason: "x",
  }) as const;

function begin(run: RunInMemory, task: string, index = -1): void {
  run.move(key(task, index), "scheduled", "queued");
  run.move(key(task, index), "queued", "running");
}
function finish(run: RunInMemory, task: string): void {
  begin(run, task);
  run.turn([succeeded(task)], 1);
}

const changes = (decisions: RunDecisions): string[] =>
  decisions.states.map((s) => `${s.task_id} ${s.from} > ${s.to} #${s.try_number}`);

function decided(run: RunInMemory, events: readonly RunEvent[]): RunDecisions {
  const need = reach(run.dag, run.run, events);
  const turn = decide(run.dag, seen(openView(run.run), need, run.load(need)), events, 1);
  if (turn.kind !== "decided") throw new Error("one load was not enough");
  return turn.decisions;
}

function check(run: RunInMemory): void {
  const found = recount(run.dag, run.instances());
  const counted = [...found.counters.values()].flatMap((scopes) => [...scopes.values()]);
  const isZero = (row: object): boolean =>
    Object.keys(noCounts).every((name) => (row as Record<string, unknown>)[name] === 0);
  const text = (rows: readonly object[]): string[] =>
    rows
      .filter((row) => !isZero(row))
      .map((row) => JSON.stringify(row, Object.keys(row).toSorted()))
      .toSorted();
  expect(text(run.counters())).toEqual(text(counted));
  expect(run.run).toMatchObject({
    unfinished: found.unfinished,
    failed_leaves: found.failedLeaves,
  });
}
