import { expect, test } from "vitest";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { known } from "../model/ids.ts";
import { compileDag } from "./compile-dag.ts";

test("priority weights follow their rule over the whole graph, each task once", () => {
  const weightOf = (rule: "downstream" | "upstream" | "absolute") =>
    compileDag(
      dagSpec(
        [
          { task_id: "a", priority_weight: 1, downstream: ["b", "c"] },
          { task_id: "b", priority_weight: 2, downstream: ["d"] },
          { task_id: "c", priority_weight: 3, downstream: ["d"] },
          { task_id: "d", priority_weight: 4 },
        ].map((task) => ({ ...task, weight_rule: rule })),
      ),
    ).order.map((task) => task.priorityWeight);
  expect(weightOf("downstream")).toEqual([10, 6, 7, 4]);
  expect(weightOf("upstream")).toEqual([1, 3, 4, 10]);
  expect(weightOf("absolute")).toEqual([1, 2, 3, 4]);
});

test("weights are clamped to an int32, and words of 32 tasks are no border", () => {
  const size = 100;
  const line = dagSpec(
    Array.from({ length: size }, (_, i) => ({
      task_id: `t${i}`,
      priority_weight: i === size - 1 ? 2 ** 31 - 1 : 1,
      downstream: i + 1 < size ? [`t${i + 1}`] : [],
    })),
  );
  const weights = compileDag(line).order.map((task) => task.priorityWeight);
  expect(weights[0]).toBe(2 ** 31 - 1);
  const ones = dagSpec(line.tasks.map((task) => ({ ...task, priority_weight: 1 })));
  expect(compileDag(ones).order.map((task) => task.priorityWeight)).toEqual(
    Array.from({ length: size }, (_, i) => size - i),
  );
});

test("a setup gates what lies between it and its teardown, and nothing behind", () => {
  const dag = compileDag(
    dagSpec([
      { task_id: "s", is_setup: true, downstream: ["a", "t"] },
      { task_id: "a", downstream: ["b"] },
      { task_id: "b", downstream: ["t", "after"] },
      { task_id: "t", is_teardown: true, trigger_rule: "all_done_setup_success" },
      { task_id: "after" },
    ]),
  );
  const gates = (id: string) => dag.tasks.get(known.task(id))?.gates;
  expect([gates("a"), gates("b"), gates("t"), gates("after")]).toEqual([[], ["s"], [], []]);
  expect(dag.tasks.get(known.task("a"))?.relevantSetups).toEqual(["s"]);
  expect(dag.leaves).toEqual(["after"]);
});

test("a DAG of 10,000 tasks in a line compiles within a second", () => {
  const size = 10_000;
  const spec = dagSpec(
    Array.from({ length: size }, (_, i) => ({
      task_id: `t${i}`,
      downstream: i + 1 < size ? [`t${i + 1}`] : [],
    })),
  );
  const before = performance.now();
  expect(compileDag(spec).order).toHaveLength(size);
  expect(performance.now() - before).toBeLessThan(2000);
});

test("an unread spec with a cycle is a surprise, not an endless loop", () => {
  expect(() => compileDag(dagSpec([{ task_id: "a", downstream: ["a"] }]))).toThrow("cycle");
});
