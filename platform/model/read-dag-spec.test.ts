import fc from "fast-check";
import { expect, test } from "vitest";
import { dagSpecBounds, readDagSpec } from "./read-dag-spec.ts";

const dag = (tasks: unknown, more: object = {}) => ({ dag_id: "orders", tasks, ...more });
const problemsOf = (raw: unknown): string[] => {
  const answer = readDagSpec(raw);
  return answer.ok
    ? []
    : answer.problem.map(({ message, hint }) => (hint ? `${message} | ${hint}` : message));
};

test("what is not said has Airflow's default", () => {
  const answer = readDagSpec(dag([{ task_id: "a" }]));
  if (!answer.ok) throw new Error(JSON.stringify(answer.problem));
  expect(answer.value).toMatchObject({
    dag_id: "orders",
    level: "3",
    timetable: { kind: "none" },
    max_active_runs: 16,
    catchup: false,
  });
  expect(answer.value.tasks[0]).toMatchObject({
    trigger_rule: "all_success",
    retries: 0,
    retry_delay_s: 300,
    pool: "default_pool",
    weight_rule: "downstream",
    runs_in: "python",
  });
});

test("what Airflow settles itself is settled", () => {
  const answer = readDagSpec(
    dag(
      [
        { task_id: "s", is_setup: true, downstream: ["g.a", "t"] },
        { task_id: "src", downstream: [] },
        { task_id: "g.a", group: "g", downstream: ["g.b"] },
        {
          task_id: "g.b",
          group: "g",
          wait_for_downstream: true,
          trigger_rule: "none_failed_or_skipped",
        },
        { task_id: "t", is_teardown: true, trigger_rule: "all_success" },
        {
          task_id: "m",
          map: { kind: "product", sources: [{ kind: "task", task_id: "src" }] },
          trigger_rule: "dummy",
        },
      ],
      {
        groups: [
          { group_id: "g", map: { kind: "list", sources: [{ kind: "task", task_id: "src" }] } },
        ],
      },
    ),
  );
  if (!answer.ok) throw new Error(JSON.stringify(answer.problem));
  const task = (id: string) => answer.value.tasks.find((one) => one.task_id === id);
  expect(task("src")?.downstream).toEqual(["m", "g.a"]);
  expect(task("g.b")).toMatchObject({
    depends_on_past: true,
    trigger_rule: "none_failed_min_one_success",
  });
  expect(task("t")?.trigger_rule).toBe("all_done_setup_success");
  expect(task("m")?.trigger_rule).toBe("always");
});

const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
const map = (task_id: string) => ({ kind: "product", sources: [{ kind: "task", task_id }] });

test.each<[string, unknown, string]>([
  ["no object", 7, "a DAG must be an object"],
  [
    "a bad id",
    { dag_id: "../x", tasks: [] },
    'dag_id must be letters, digits, dash, dot and underscore, at most 250 characters, not "../x"',
  ],
  ["a duplicate", dag([{ task_id: "a" }, { task_id: "a" }]), "two tasks with the id a"],
  [
    "an unknown downstream",
    dag([{ task_id: "load", downstream: ["repot"] }, { task_id: "report" }]),
    "downstream repot does not exist | Did you mean report?",
  ],
  [
    "a wrong rule",
    dag([{ task_id: "a", trigger_rule: "all_sucess" }]),
    "Did you mean all_success?",
  ],
  [
    "a cycle",
    dag([
      { task_id: "a", downstream: ["b"] },
      { task_id: "b", downstream: ["c"] },
      { task_id: "c", downstream: ["b"] },
      { task_id: "d" },
    ]),
    "a cycle: ",
  ],
  ["a task after itself", dag([{ task_id: "a", downstream: ["a"] }]), "a cycle: a → a"],
  [
    "a cycle through a map",
    dag([{ task_id: "m", map: map("src"), downstream: ["src"] }, { task_id: "src" }]),
    "a cycle: ",
  ],
  ["a negative delay", dag([{ task_id: "a", retry_delay_s: -1 }]), "retry_delay_s must be seconds"],
  ["NaN", dag([{ task_id: "a", retry_delay_s: Number.NaN }]), "retry_delay_s must be seconds"],
  [
    "infinity",
    dag([{ task_id: "a", priority_weight: Number.POSITIVE_INFINITY }]),
    "priority_weight must be a number",
  ],
  ["half a retry", dag([{ task_id: "a", retries: 0.5 }]), "retries must be a whole number"],
  [
    "a naive date",
    dag([], { start_date: "2026-01-01" }),
    "start_date must be a date and time with offset",
  ],
  [
    "a payload too large",
    dag([{ task_id: "a", payload: "x".repeat(70_000) }]),
    "payload must be at most 65536 bytes of JSON",
  ],
  ["a payload too deep", dag([{ task_id: "a", payload: nested(99) }]), "nested at most 64 deep"],
  ["a function", dag([{ task_id: "a", payload: { f: () => 1 } }]), "payload must be JSON"],
  [
    "a group in a circle",
    dag([{ task_id: "a", group: "g" }], {
      groups: [
        { group_id: "g", parent: "h" },
        { group_id: "h", parent: "g" },
      ],
    }),
    "inside itself",
  ],
  ["an unknown group", dag([{ task_id: "a", group: "g" }]), 'its group "g" does not exist'],
  [
    "mapping in a mapped group",
    dag([{ task_id: "s" }, { task_id: "g.a", group: "g", map: map("s") }], {
      groups: [{ group_id: "g", map: map("s") }],
    }),
    "a mapped task inside a mapped group",
  ],
  ["mapping over oneself", dag([{ task_id: "a", map: map("a") }]), "maps over itself"],
  [
    "mapping over a member",
    dag([{ task_id: "g.a", group: "g" }], { groups: [{ group_id: "g", map: map("g.a") }] }),
    "maps over itself",
  ],
  [
    "mapping over nobody",
    dag([{ task_id: "a", map: map("x") }]),
    "maps over x, which does not exist",
  ],
  [
    "too many literal instances",
    dag(
      Array.from({ length: 20 }, (_, i) => ({
        task_id: `a${i}`,
        map: { kind: "product", sources: [{ kind: "literal", length: 9000 }] },
      })),
    ),
    "would begin with 180000 mapped instances",
  ],
  [
    "fail_fast with another rule",
    dag([{ task_id: "a", trigger_rule: "all_done" }], { fail_fast: true }),
    "with fail_fast every trigger_rule must be all_success",
  ],
  [
    "continuous with many runs",
    dag([], { timetable: { kind: "continuous" } }),
    "needs max_active_runs=1",
  ],
  [
    "a schedule of no time",
    dag([], { timetable: { kind: "delta", seconds: 0 } }),
    "at least 1 second",
  ],
  [
    "20,000 tasks",
    dag(Array.from({ length: 20_000 }, (_, i) => ({ task_id: `t${i}` }))),
    "has 20000 tasks; the limit is 10000 | Split the DAG",
  ],
  ["tasks that are no list", dag({ a: 1 }), "tasks must be a list, not an object"],
])("%s is refused, and the message says what", (_name, raw, message) => {
  expect(problemsOf(raw).join("\n")).toContain(message);
});

test("a cycle is named in the direction of the dependencies", () => {
  const edges: Record<string, string[]> = { a: ["b"], b: ["c"], c: ["d"], d: ["b"] };
  const [message = ""] = problemsOf(
    dag(Object.entries(edges).map(([task_id, downstream]) => ({ task_id, downstream }))),
  );
  const named = (/a cycle: ([^|]*)/.exec(message)?.[1] ?? "").trim().split(" → ");
  expect(named.length).toBe(4);
  expect(named.at(0)).toBe(named.at(-1));
  named.slice(1).forEach((to, i) => expect(edges[named[i] ?? ""]).toContain(to));
});

test("at most 20 problems are told", () => {
  expect(problemsOf(dag(Array.from({ length: 500 }, () => ({ task_id: "!" }))))).toHaveLength(20);
});

test("large hostile DAGs are answered quickly", () => {
  const n = dagSpecBounds.tasks;
  const id = (i: number) => `t${String(i).padStart(59, "0")}`;
  const hostile: Record<string, unknown> = {
    "unknown downstreams": dag(
      Array.from({ length: n }, (_, i) => ({
        task_id: id(i),
        downstream: Array.from({ length: 20 }, (_x, j) => `x${id(i + j)}`),
      })),
    ),
    "a ring": dag(
      Array.from({ length: n }, (_, i) => ({ task_id: id(i), downstream: [id((i + 1) % n)] })),
    ),
    "nested groups": dag(
      Array.from({ length: n }, (_, i) => ({ task_id: id(i), group: "g1999" })),
      {
        groups: Array.from({ length: 2000 }, (_, i) => ({
          group_id: `g${i}`,
          ...(i > 0 ? { parent: `g${i - 1}` } : {}),
          map: { kind: "product", sources: [{ kind: "literal", length: 2 }] },
        })),
      },
    ),
  };
  for (const [name, raw] of Object.entries(hostile)) {
    const before = performance.now();
    expect([name, problemsOf(raw).length]).not.toEqual([name, 0]);
    expect(performance.now() - before).toBeLessThan(5000);
  }
});

test("a key named __proto__ is a key like any other", () => {
  const raw = JSON.parse(
    '{"dag_id":"d","tasks":[],"params":{"__proto__":{"schema":{"polluted":1}}}}',
  ) as unknown;
  const answer = readDagSpec(raw);
  expect(answer.ok && Object.hasOwn(answer.value.params, "__proto__")).toBe(true);
  expect(({} as { schema?: unknown }).schema).toBeUndefined();
});

const field = fc.constantFrom(
  "dag_id",
  "tasks",
  "groups",
  "task_id",
  "downstream",
  "map",
  "sources",
  "kind",
  "of",
  "length",
  "payload",
  "timetable",
  "trigger_rule",
  "group",
  "group_id",
  "parent",
  "sensor",
  "params",
  "schema",
  "retries",
  "start_date",
  "level",
);
const anything = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    fc.constantFrom(
      "a",
      "b",
      "g",
      "task",
      "literal",
      "zip",
      "product",
      "all_done",
      "2026-01-01T00:00:00Z",
      "",
      "\u0000",
    ),
    fc.anything(),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(field, tie("value"), { maxKeys: 8 }),
  ),
})).value;

test("whatever arrives, it never throws, and a spec that passes passes again as it is", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        anything,
        fc.record({
          dag_id: fc.constant("d"),
          tasks: fc.array(fc.dictionary(field, anything)),
          groups: fc.array(fc.dictionary(field, anything)),
        }),
      ),
      (raw) => {
        const answer = readDagSpec(raw);
        if (!answer.ok) {
          expect(answer.problem.length).toBeGreaterThan(0);
          for (const { message } of answer.problem) expect(message.length).toBeLessThan(1000);
          return;
        }
        expect(readDagSpec(answer.value)).toEqual(answer);
      },
    ),
    { numRuns: 800 },
  );
});
