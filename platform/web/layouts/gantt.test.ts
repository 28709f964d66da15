import { expect, test } from "vitest";
import { barsOf, criticalPath, type GanttData, indexGantt, layoutGantt, ticksOf } from "./gantt.ts";

type Instance = {
  task: number;
  map?: number;
  state?: string | null;
  try?: number;
  scheduled?: number | null;
  started?: number | null;
  ended?: number | null;
};
type Attempt = {
  instance: number;
  try?: number;
  admitted: number;
  started?: number | null;
  ended?: number | null;
  start_ms?: number | null;
  outcome?: string | null;
};

function data(
  tasks: readonly (readonly [id: string, downstream: readonly number[], group?: number])[],
  instances: readonly Instance[],
  attempts: readonly Attempt[] = [],
  groups: readonly (readonly [id: string, parent: number])[] = [],
): GanttData {
  const column = <T, K extends keyof T>(rows: readonly T[], key: K, otherwise: T[K]) =>
    rows.map((row) => row[key] ?? otherwise) as Exclude<T[K], undefined>[];
  return {
    tasks: tasks.map(([id]) => id),
    names: tasks.map(([id]) => id),
    downstream: tasks.map(([, downstream]) => downstream),
    group: tasks.map(([, , group]) => group ?? -1),
    groups: groups.map(([id]) => id),
    parent: groups.map(([, parent]) => parent),
    instances: {
      task: column(instances, "task", 0),
      map: column(instances, "map", -1),
      state: column(instances, "state", null),
      try: column(instances, "try", 1),
      scheduled: column(instances, "scheduled", null),
      started: column(instances, "started", null),
      ended: column(instances, "ended", null),
      labels: new Map(),
    },
    attempts: {
      instance: column(attempts, "instance", 0),
      try: column(attempts, "try", 1),
      admitted: column(attempts, "admitted", 0),
      started: column(attempts, "started", null),
      ended: column(attempts, "ended", null),
      start_ms: column(attempts, "start_ms", null),
      outcome: column(attempts, "outcome", null),
    },
  };
}
const everything = { open: "all", sort: "topology", states: new Set<string>(), text: "" } as const;
const folded = { ...everything, open: new Set<string>() };

test("waiting, queued, starting and running of a try stand side by side", () => {
  const index = indexGantt(
    data(
      [["a", []]],
      [{ task: 0, state: "success", scheduled: 10, started: 40, ended: 100 }],
      [{ instance: 0, admitted: 30, started: 40, start_ms: 15, ended: 100, outcome: "success" }],
    ),
  );
  expect(barsOf(index, 0, 5_000).map(({ kind, from, to }) => [kind, from, to])).toEqual([
    ["waiting", 10, 30],
    ["queued", 30, 40],
    ["starting", 40, 55],
    ["running", 55, 100],
  ]);
});

test("a running bar ends at the present it is asked for, and never before it began", () => {
  const index = indexGantt(
    data(
      [["a", []]],
      [{ task: 0, state: "running", started: 40 }],
      [{ instance: 0, admitted: 40, started: 40 }],
    ),
  );
  expect(barsOf(index, 0, 100)).toMatchObject([{ kind: "running", from: 40, to: 100, live: true }]);
  expect(barsOf(index, 0, 900)).toMatchObject([{ to: 900 }]);
  expect(barsOf(index, 0, 10)).toMatchObject([{ from: 40, to: 40 }]);
  expect(layoutGantt(index, everything, 900)).toMatchObject({ to: 900, isLive: true });
});

test("earlier tries are bars of the same row, coloured by how they ended", () => {
  const index = indexGantt(
    data(
      [["a", []]],
      [{ task: 0, state: "running", try: 2, scheduled: 50, started: 60 }],
      [
        { instance: 0, try: 1, admitted: 0, started: 10, ended: 20, outcome: "failed" },
        { instance: 0, try: 2, admitted: 60, started: 60 },
      ],
    ),
  );
  const bars = barsOf(index, 0, 100);
  expect(bars.map(({ kind, tryNumber, state }) => [kind, tryNumber, state])).toEqual([
    ["queued", 1, "failed"],
    ["running", 1, "failed"],
    ["retry", 1, "up_for_retry"],
    ["waiting", 2, "running"],
    ["running", 2, "running"],
  ]);
});

test("what waits for its slot or for its next try grows", () => {
  const index = indexGantt(
    data(
      [
        ["a", []],
        ["b", []],
        ["c", []],
      ],
      [
        { task: 0, state: "scheduled", scheduled: 5 },
        { task: 1, state: "up_for_retry", scheduled: 0, started: 1, ended: 9 },
        { task: 2 },
      ],
      [{ instance: 1, admitted: 1, started: 1, ended: 9, outcome: "failed" }],
    ),
  );
  expect(barsOf(index, 0, 70)).toMatchObject([{ kind: "waiting", from: 5, to: 70, live: true }]);
  expect(barsOf(index, 1, 70).at(-1)).toMatchObject({ kind: "retry", from: 9, to: 70 });
  expect(barsOf(index, 2, 70)).toEqual([]);
});

test("an attempt that was lost ends with its instance", () => {
  const index = indexGantt(
    data(
      [["a", []]],
      [{ task: 0, state: "failed", started: 1, ended: 30 }],
      [{ instance: 0, admitted: 1, started: 1, ended: null }],
    ),
  );
  expect(barsOf(index, 0, 10_000)).toMatchObject([{ kind: "running", to: 30, live: false }]);
});

test("mapped instances are one row with counts until they are opened", () => {
  const index = indexGantt(
    data(
      [["m", []]],
      [
        { task: 0, map: 0, state: "success", started: 0, ended: 10 },
        { task: 0, map: 1, state: "failed", started: 5, ended: 30 },
        { task: 0, map: 2 },
      ],
    ),
  );
  const [row, ...more] = layoutGantt(index, folded, 50).rows;
  expect(more).toEqual([]);
  expect(row).toMatchObject({
    kind: "mapped",
    label: "m [3]",
    state: "failed",
    counts: [
      ["failed", 1],
      [null, 1],
      ["success", 1],
    ],
    bars: [{ kind: "summary", from: 0, to: 30 }],
  });
  const opened = layoutGantt(index, { ...folded, open: new Set(["m m"]) }, 50).rows;
  expect(opened.map(({ label, depth }) => [label, depth])).toEqual([
    ["m [3]", 0],
    ["[0]", 1],
    ["[1]", 1],
    ["[2]", 1],
  ]);
});

test("groups fold with a summary, and a filter opens what it finds and hides the rest", () => {
  const index = indexGantt(
    data(
      [
        ["start", [1]],
        ["outer.inner.x", [2], 1],
        ["outer.y", [], 0],
      ],
      [
        { task: 0, state: "success", started: 0, ended: 10 },
        { task: 1, state: "failed", started: 10, ended: 40 },
        { task: 2, state: "upstream_failed", ended: 40 },
      ],
      [],
      [
        ["outer", -1],
        ["outer.inner", 0],
      ],
    ),
  );
  expect(layoutGantt(index, folded, 50).rows.map(({ key, state }) => [key, state])).toEqual([
    ["t start", "success"],
    ["g outer", "failed"],
  ]);
  expect(layoutGantt(index, everything, 50).rows.map(({ label, depth }) => [label, depth])).toEqual(
    [
      ["start", 0],
      ["outer", 0],
      ["inner", 1],
      ["outer.inner.x", 2],
      ["outer.y", 1],
    ],
  );
  const found = layoutGantt(index, { ...folded, states: new Set(["failed"]) }, 50).rows;
  expect(found.map(({ key }) => key)).toEqual(["g outer", "g outer.inner", "t outer.inner.x"]);
  expect(layoutGantt(index, { ...folded, text: "START" }, 50).rows.map(({ key }) => key)).toEqual([
    "t start",
  ]);
});

test("rows are in the order of their starts, or of what needs what", () => {
  const index = indexGantt(
    data(
      [
        ["late", []],
        ["early", [0]],
        ["never", []],
      ],
      [
        { task: 0, state: "success", started: 50, ended: 60 },
        { task: 1, state: "success", started: 0, ended: 60 },
        { task: 2 },
      ],
    ),
  );
  const keys = (sort: "start" | "topology") =>
    layoutGantt(index, { ...everything, sort }, 100).rows.map(({ label }) => label);
  expect(keys("start")).toEqual(["early", "late", "never"]);
  expect(keys("topology")).toEqual(["early", "never", "late"]);
});

test("the critical path goes back from the last end through whoever ended last before it", () => {
  const index = indexGantt(
    data(
      [
        ["a", [2]],
        ["b", [2]],
        ["c", []],
        ["skipped", []],
      ],
      [
        { task: 0, state: "success", started: 0, ended: 10 },
        { task: 1, map: 0, state: "success", started: 0, ended: 30 },
        { task: 1, map: 1, state: "success", started: 0, ended: 45 },
        { task: 2, state: "running", started: 45 },
        { task: 3, state: "skipped", ended: 999 },
      ],
    ),
  );
  expect(criticalPath(index, 80)).toEqual([3, 2]);
  expect(
    layoutGantt(index, folded, 80).rows.map(({ label, isCritical }) => [label, isCritical]),
  ).toEqual([
    ["a", false],
    ["b [2]", true],
    ["skipped", false],
    ["c", true],
  ]);
});

test("a circle in the data (there is none in a DAG) ends", () => {
  const index = indexGantt(
    data(
      [
        ["a", [1]],
        ["b", [0]],
      ],
      [
        { task: 0, state: "success", started: 0, ended: 10 },
        { task: 1, state: "success", started: 0, ended: 20 },
      ],
    ),
  );
  expect(criticalPath(index, 30).length).toBeLessThanOrEqual(3);
  expect(layoutGantt(index, everything, 30).rows).toHaveLength(2);
});

test("every instance of 5,000 tasks has its row", () => {
  const tasks = Array.from(
    { length: 5_000 },
    (_, i) => [`t${i}`, i + 1 < 5_000 ? [i + 1] : []] as const,
  );
  const index = indexGantt(
    data(
      tasks,
      tasks.map((_, i) => ({ task: i, state: "success", started: i, ended: i + 1 })),
    ),
  );
  const { rows, critical } = layoutGantt(index, { ...everything, sort: "start" }, 10_000);
  expect(rows).toHaveLength(5_000);
  expect(critical).toHaveLength(5_000);
});

test("ticks are round and few", () => {
  expect(ticksOf(0, 10_000, 10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((s) => s * 1000));
  expect(ticksOf(130, 460, 4)).toEqual([200, 300, 400]);
  expect(ticksOf(0, 0, 8)).toEqual([0]);
  expect(ticksOf(0, 400 * 86_400_000, 5).length).toBeLessThanOrEqual(6);
});
