import { expect, test } from "vitest";
import { bash, cron, dag, empty, every } from "./airlock.ts";
import type { Build, Dag } from "./author-types.ts";
import { DagProblems, type Problem } from "./problem.ts";

const problemsOf = (deed: () => unknown): readonly Problem[] => {
  try {
    deed();
  } catch (error) {
    if (error instanceof DagProblems) return error.problems;
    throw error;
  }
  return [];
};
const built = (build: (b: Build<Record<never, never>>) => void): Dag => dag({ id: "d", build });
const edges = (of: Dag): Record<string, readonly string[]> =>
  Object.fromEntries(of.spec.tasks.map((task) => [task.task_id, task.downstream]));

test("data makes edges, after and before make edges, groups stand for their ends", () => {
  const of = built(({ task, group }) => {
    const a = task("a", { run: () => ({ n: 1 }) });
    const g = group("g", (inside) => {
      const first = inside.task("first", {
        in: { deep: [a.get("n")] },
        run: ({ deep }) => deep[0],
      });
      const last = inside.task("last", { in: first, run: () => 2 });
      return { last };
    });
    const z = task("z", { run: () => 3 }).after(g);
    task("y", { run: () => 4 }).before(g, z);
  });
  expect(edges(of)).toEqual({
    a: ["g.first"],
    "g.first": ["g.last"],
    "g.last": ["z"],
    z: [],
    y: ["z", "g.first"],
  });
  expect(of.spec.groups).toEqual([{ group_id: "g", prefix_group_id: true }]);
});

test("options become the words of the spec, defaults give way to the task's own", () => {
  const of = dag({
    id: "options",
    schedule: cron("*/5 * * * *", { tz: "Europe/Zurich", intervals: true }),
    startDate: "2026-01-01",
    defaults: { retries: 3, pool: "small", retryDelay: "30s" },
    build({ task, op, sensor, map }) {
      task("a", { retries: 0, timeout: "1h", backoff: "exponential", maxActive: 2, run: () => 1 });
      op(empty, "nothing", {});
      op(bash, "b", { command: "ls", queue: "big" });
      sensor("s", { every: "5m", timeout: "2h", softFail: true, poke: () => true });
      map("m", [1, 2, 3], { concurrency: 2, run: (n) => n * 2 });
    },
  });
  const [a, nothing, b, s, m] = of.spec.tasks;
  expect(of.spec.timetable).toEqual({
    kind: "cron_interval",
    expression: "*/5 * * * *",
    timezone: "Europe/Zurich",
  });
  expect(of.spec.start_date).toBe("2026-01-01T00:00:00.000Z");
  expect(a).toMatchObject({
    retries: 0,
    retry_delay_s: 30,
    pool: "small",
    execution_timeout_s: 3600,
    retry_exponential_backoff: 2,
    max_active_tis_per_dag: 2,
  });
  expect(nothing?.runs_in).toBe("inline");
  expect(b).toMatchObject({ operator: "bash", queue: "big", retries: 3 });
  expect(s?.sensor).toEqual({
    mode: "reschedule",
    poke_interval_s: 300,
    timeout_s: 7200,
    soft_fail: true,
  });
  expect(s?.execution_timeout_s).toBeUndefined();
  expect(m).toMatchObject({
    map: { kind: "product", sources: [{ kind: "literal", length: 3 }] },
    max_active_tis_per_dagrun: 2,
  });
  expect(Object.isFrozen(of.spec.tasks[0])).toBe(true);
});

test("every mistake is told at once, each with the line where it was made", () => {
  const here = new Error("here").stack?.match(/build-dag\.test\.ts:(\d+)/)?.[1];
  const problems = problemsOf(() =>
    dag({
      id: "bad id",
      schedule: cron("61 * * * *"),
      build({ task, branch }) {
        const a = task("a", { run: () => 1 });
        task("a", { run: () => 2 });
        task("c", { in: a, retryDelay: "soon" as "1s", run: () => 1 }).before(a);
        branch("b", { to: ["a", "nowhere"], run: () => "a" });
      },
    }),
  );
  expect(problems.map(({ message }) => message)).toEqual([
    expect.stringContaining(`the DAG's id "bad id" must be`),
    `the id "a" is used twice in this DAG`,
    expect.stringContaining(`"c": retryDelay: a duration is`),
    `"b" may choose "nowhere", but there is no such task or group`,
    "the tasks go round in a circle: a → c → a",
    expect.stringContaining(`the minute of the cron expression, "61"`),
  ]);
  const first = Number(here);
  expect(problems.map(({ at }) => (at?.line ?? 0) - first)).toEqual([2, 7, 8, 9, 7, 2]);
  expect(problems.every(({ at }) => at?.file === import.meta.filename)).toBe(true);
});

test("a task of another DAG, an unknown zone, a duration that is none are no DAG", () => {
  let stranger: Parameters<Build<unknown>["task"]>[1] | undefined;
  built(({ task }) => {
    stranger = { in: task("x", { run: () => 1 }), run: () => 1 } as never;
  });
  expect(
    problemsOf(() =>
      built(({ task }) => {
        task("y", stranger as never);
      }),
    ).map(({ message }) => message),
  ).toEqual(['"y" takes the output of "x", which is in another DAG']);
  expect(
    problemsOf(() =>
      dag({ id: "d", schedule: cron("0 0 * * *", { tz: "Mars/Base" }), build() {} }),
    ),
  ).toHaveLength(1);
  expect(problemsOf(() => dag({ id: "d", schedule: every("0s"), build() {} }))).toHaveLength(1);
});

test("a field that is mapped over is pushed under its own key, a deeper one is refused", () => {
  const of = built(({ task, map }) => {
    const a = task("a", { run: () => ({ rows: [1], deep: { rows: [1] } }) });
    map("b", a.get("rows"), { run: (row) => row });
  });
  expect(of.spec.tasks[0]?.multiple_outputs).toBe(true);
  expect(of.spec.tasks[1]?.map?.sources).toEqual([{ kind: "task", task_id: "a", key: "rows" }]);
  expect(
    problemsOf(() =>
      built(({ task, map }) => {
        const a = task("a", { run: () => ({ deep: { rows: [1] } }) });
        map("b", a.get("deep").get("rows"), { run: (row) => row });
      }),
    )[0]?.message,
  ).toContain("only a whole output or one field");
});

test("ten thousand tasks in a line are built and checked within seconds, one more is refused", () => {
  const line = (length: number): Dag =>
    built(({ task }) => {
      let last = task("t0", { run: () => 0 });
      for (let index = 1; index < length; index++)
        last = task(`t${index}`, { in: last, run: (n) => n });
    });
  expect(line(10_000).spec.tasks).toHaveLength(10_000);
  expect(problemsOf(() => line(10_001))[0]?.message).toContain("at most 10000");
});
