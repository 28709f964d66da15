import { expect, test } from "vitest";
import { dagSpec, groupSpec } from "../../test/kit/dag-spec.ts";
import { known } from "../model/ids.ts";
import type { InstanceKey, InstanceRow } from "../model/run.ts";
import type { TaskState } from "../model/states.ts";
import { compileDag } from "./compile-dag.ts";
import { planClear, planMark } from "./plan-clear.ts";

const dag = compileDag(
  dagSpec(
    [
      { task_id: "setup", is_setup: true, downstream: ["work", "teardown"] },
      { task_id: "work", downstream: ["more", "teardown"] },
      { task_id: "more", downstream: ["teardown", "report"] },
      { task_id: "teardown", is_teardown: true, trigger_rule: "all_done_setup_success" },
      { task_id: "report", downstream: ["g.a"] },
      { task_id: "g.a", group: "g", downstream: ["g.b"] },
      { task_id: "g.b", group: "g", downstream: ["end"] },
      { task_id: "end" },
    ],
    {
      groups: [
        groupSpec({
          group_id: "g",
          map: { kind: "product", sources: [{ kind: "literal", length: 3 }] },
        }),
      ],
    },
  ),
);

const rows = (states: Readonly<Record<string, TaskState>> = {}): InstanceRow[] =>
  dag.order.flatMap(({ id, mappedGroup }) =>
    (mappedGroup ? [0, 1, 2] : [-1]).map((map_index) => ({
      task_id: id,
      map_index,
      state: states[`${id}[${map_index}]`] ?? states[id] ?? "success",
      try_number: 1,
      max_tries: 0,
    })),
  );
const names = (keys: readonly InstanceKey[]): string[] =>
  keys
    .map((key) => (key.map_index < 0 ? key.task_id : `${key.task_id}[${key.map_index}]`))
    .toSorted();
const clear = (
  tasks: readonly (string | readonly [string, number])[] | undefined,
  how: {
    upstream?: boolean;
    downstream?: boolean;
    only_failed?: boolean;
    only_running?: boolean;
  } = {},
  states?: Readonly<Record<string, TaskState>>,
): string[] =>
  names(
    planClear(dag, rows(states), {
      ...(tasks
        ? {
            tasks: tasks.map((one) =>
              typeof one === "string"
                ? known.task(one)
                : { task_id: known.task(one[0]), map_index: one[1] },
            ),
          }
        : {}),
      upstream: how.upstream ?? false,
      downstream: how.downstream ?? false,
      only_failed: how.only_failed ?? false,
      only_running: how.only_running ?? false,
    }),
  );

test("a cleared task takes its setups and their teardowns along", () => {
  expect(clear(["work"])).toEqual(["setup", "teardown", "work"]);
  expect(clear(["more"])).toEqual(["more", "setup", "teardown"]);
});

test("a cleared setup takes its teardowns along, a teardown nothing", () => {
  expect(clear(["setup"])).toEqual(["setup", "teardown"]);
  expect(clear(["teardown"])).toEqual(["teardown"]);
});

test("downstream and upstream are transitive", () => {
  expect(clear(["report"], { downstream: true })).toEqual([
    "end",
    "g.a[0]",
    "g.a[1]",
    "g.a[2]",
    "g.b[0]",
    "g.b[1]",
    "g.b[2]",
    "report",
  ]);
  expect(clear(["report"], { upstream: true })).toEqual([
    "more",
    "report",
    "setup",
    "teardown",
    "work",
  ]);
});

test("one index of a mapped group means the same index of its relatives inside, and all outside", () => {
  expect(clear([["g.a", 1]], { downstream: true })).toEqual(["end", "g.a[1]", "g.b[1]"]);
});

test("only failed and only running narrow what was chosen", () => {
  const states = { "g.b[1]": "failed", end: "upstream_failed", report: "running" } as const;
  expect(clear(undefined, { only_failed: true }, states)).toEqual(["end", "g.b[1]"]);
  expect(clear(undefined, { only_running: true }, states)).toEqual(["report"]);
  expect(clear(undefined, {}, { "g.b[2]": "removed" })).not.toContain("g.b[2]");
});

test("a mark clears what failed because of the marked task, and not the task itself", () => {
  const states = {
    work: "failed",
    more: "upstream_failed",
    report: "upstream_failed",
    end: "skipped",
  } as const;
  const plan = planMark(dag, rows(states), {
    tasks: [known.task("work")],
    upstream: false,
    downstream: false,
    state: "success",
  });
  expect(names(plan.mark)).toEqual(["work"]);
  expect(names(plan.clear)).toEqual(["more", "report"]);
});

test("a mark of one index leaves the others alone", () => {
  const plan = planMark(
    dag,
    rows({ "g.a[1]": "failed", "g.b[1]": "upstream_failed", end: "upstream_failed" }),
    {
      tasks: [{ task_id: known.task("g.a"), map_index: 1 }],
      upstream: false,
      downstream: false,
      state: "success",
    },
  );
  expect(names(plan.mark)).toEqual(["g.a[1]"]);
  expect(names(plan.clear)).toEqual(["end", "g.b[1]"]);
});

test("clearing every task of a large DAG with its downstream is one walk", () => {
  const size = 10_000;
  const line = compileDag(
    dagSpec(
      Array.from({ length: size }, (_, i) => ({
        task_id: `t${i}`,
        downstream: i + 1 < size ? [`t${i + 1}`] : [],
      })),
    ),
  );
  const before = performance.now();
  const keys = planClear(
    line,
    line.order.map(({ id }) => ({
      task_id: id,
      map_index: -1,
      state: "failed",
      try_number: 1,
      max_tries: 0,
    })),
    {
      tasks: line.order.map(({ id }) => id),
      upstream: true,
      downstream: true,
      only_failed: true,
      only_running: false,
    },
  );
  expect(keys).toHaveLength(size);
  expect(performance.now() - before).toBeLessThan(1000);
});
