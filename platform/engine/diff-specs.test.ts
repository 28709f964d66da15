import { expect, test } from "vitest";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { diffSpecs } from "./diff-specs.ts";

test("equal specs differ in nothing, also when their keys come in another order", () => {
  const spec = dagSpec([
    { task_id: "a", downstream: ["b"], payload: { x: 1, y: 2 } },
    { task_id: "b" },
  ]);
  const again = dagSpec([
    { payload: { y: 2, x: 1 }, downstream: ["b"], task_id: "a" },
    { task_id: "b" },
  ]);
  expect(diffSpecs(spec, again)).toEqual({
    dag: [],
    added: [],
    removed: [],
    changed: [],
    edges_added: [],
    edges_removed: [],
  });
});

test("tasks and edges that came and went, and each change of a task in words", () => {
  const before = dagSpec([
    { task_id: "a", downstream: ["b"], retries: 1, doc_md: "old" },
    { task_id: "b" },
    { task_id: "gone" },
  ]);
  const after = dagSpec(
    [
      {
        task_id: "a",
        downstream: ["new"],
        retries: 3,
        doc_md: "new",
        trigger_rule: "all_done",
        execution_timeout_s: 60,
        payload: { secret: "not told" },
        map: { kind: "product", sources: [{ kind: "literal", length: 4 }] },
      },
      { task_id: "b" },
      { task_id: "new", downstream: ["b"] },
    ],
    { catchup: true, timetable: { kind: "delta", seconds: 60 } },
  );
  const diff = diffSpecs(before, after);
  expect(diff).toMatchObject({
    added: ["new"],
    removed: ["gone"],
    edges_added: [
      ["a", "new"],
      ["new", "b"],
    ],
    edges_removed: [["a", "b"]],
  });
  expect(diff.changed).toEqual([
    {
      task_id: "a",
      what: [
        `trigger rule: all_success → all_done`,
        "mapping: none → mapped by product over 4 elements",
        "retries: 1 → 3",
        "timeout: none → 60 s",
        "documentation changed",
        "what it runs changed",
      ],
    },
  ]);
  expect(diff.dag).toContain("catchup: no → yes");
  expect(diff.dag.join()).toContain("→ every 60 s");
});

test("a long value is cut", () => {
  const named = (display_name: string) => dagSpec([{ task_id: "a", display_name }]);
  const [change] = diffSpecs(named("x"), named("y".repeat(5_000))).changed;
  expect(change?.what.join().length).toBeLessThan(200);
});
