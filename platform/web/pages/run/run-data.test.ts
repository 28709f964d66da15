import { expect, test } from "vitest";
import type { Change } from "../../live/stream.ts";
import {
  placeOfInstance,
  type RunData,
  taskIdOf,
  toGantt,
  triesOf,
  withChanges,
} from "./run-data.ts";

const base = Date.parse("2026-01-01T00:00:00Z");
const data = {
  run: {
    dag_id: "etl",
    run_id: "r",
    state: "running",
    started_at: "2026-01-01T00:00:00Z",
    ended_at: null,
  },
  base,
  structure: {
    tasks: ["a", "b"],
    names: ["A", "B"],
    operators: ["x", "x"],
    downstream: [[1], []],
    group: [-1, -1],
    mapped: [false, true],
    groups: [],
    parent: [],
  },
  more_tasks: ["gone"],
  states: [null, "running", "success"],
  instances: {
    task: [0, 1, 1, 2],
    map: [-1, 0, 1, -1],
    state: [1, 0, 0, 2],
    try: [1, 0, 0, 1],
    max_tries: [0, 0, 0, 0],
    scheduled: [0, null, null, 0],
    queued: [1, null, null, 1],
    started: [2, null, null, 2],
    ended: [null, null, null, 9],
    labels: [[1, "one"]],
  },
  attempts: {
    instance: [0, 3, 3],
    try: [1, 1, 2],
    admitted: [1, 1, 5],
    started: [2, 2, 6],
    ended: [null, 4, 9],
    start_ms: [null, 1, 1],
    outcome: [null, "failed", "success"],
  },
} as unknown as RunData;

const change = (more: Partial<Change>): Change => ({
  tenant: "acme",
  seq: "1",
  at: "2026-01-01T00:00:05.000Z",
  dag_id: "etl",
  run_id: "r",
  task_id: "a",
  map_index: -1,
  try_number: 1,
  from_state: "running",
  to_state: "success",
  ...more,
});

test("instances are found by name and index, those of tasks that are gone as well", () => {
  expect(placeOfInstance(data, "b", 1)).toBe(2);
  expect(placeOfInstance(data, "gone", -1)).toBe(3);
  expect(placeOfInstance(data, "b", 7)).toBe(-1);
  expect(placeOfInstance(data, "constructor", -1)).toBe(-1);
  expect([0, 1, 3].map((place) => taskIdOf(data, place))).toEqual(["a", "b", "gone"]);
  expect(toGantt(data)).toMatchObject({
    tasks: ["a", "b", "gone"],
    instances: { state: ["running", null, null, "success"] },
  });
});

test("a change shows at once: state, end, and the end of its attempt", () => {
  const next = withChanges(data, [change({})]);
  expect(toGantt(next).instances.state[0]).toBe("success");
  expect(next.instances.ended[0]).toBe(5_000);
  expect(next.attempts.ended[0]).toBe(5_000);
  // What was there before is not touched: a render may still read it.
  expect(data.instances.ended[0]).toBeNull();
});

test("a state that the answer had no word for gets one", () => {
  const next = withChanges(data, [change({ to_state: "up_for_retry" })]);
  expect(toGantt(next).instances.state[0]).toBe("up_for_retry");
  expect(next.instances.ended[0]).toBeNull();
});

test("changes of other runs, of what is not there, and of an earlier try are left alone", () => {
  expect(withChanges(data, [change({ run_id: "other" })])).toBe(data);
  expect(toGantt(withChanges(data, [change({ task_id: "new" })]))).toEqual(toGantt(data));
  expect(toGantt(withChanges(data, [change({ try_number: 0, to_state: "scheduled" })]))).toEqual(
    toGantt(data),
  );
});

test("the run's own end", () => {
  expect(withChanges(data, [change({ task_id: "", to_state: "failed" })]).run).toMatchObject({
    state: "failed",
    ended_at: "2026-01-01T00:00:05.000Z",
  });
});

test("tries of an instance", () => {
  expect(triesOf(data, 3)).toEqual([
    { number: 1, outcome: "failed", started: 2, ended: 4 },
    { number: 2, outcome: "success", started: 6, ended: 9 },
  ]);
  expect(triesOf(data, 1)).toEqual([]);
});
