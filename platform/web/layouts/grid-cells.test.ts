import { expect, test } from "vitest";
import { codeOfState } from "../../model/grid-matrix.ts";
import {
  applyChanges,
  barsOf,
  type CellRun,
  codeAt,
  commitMarks,
  countsAt,
  durationShade,
  groupCodeAt,
  openCells,
  putRun,
  waitShade,
} from "./grid-cells.ts";

const run = (run_id: string, more: Partial<CellRun> = {}): CellRun => ({
  run_id,
  state: "running",
  run_after: "2026-01-01T00:00:00Z",
  queued_at: "2026-01-01T00:00:00Z",
  started_at: "2026-01-01T00:00:00Z",
  ended_at: null,
  version: 1,
  commit: "a",
  ...more,
});
const code = codeOfState;
const task = (id: string, group: number, mapped = false) => ({
  id,
  name: null,
  operator: "X",
  group,
  mapped,
  gone: false,
});
const open = () =>
  openCells(
    {
      tasks: [task("a", 0), task("b", 0), task("m", -1, true)],
      groups: [{ id: "g", parent: -1, tooltip: null, mapped: false }],
      tree: [-1, 0, 1, 2],
    },
    "key",
    [run("new"), run("old", { state: "success", ended_at: "2026-01-01T00:01:00Z", commit: "b" })],
    {
      states: Uint8Array.from([code("success"), code("running"), code("running"), 1, 1, 1]),
      counts: new Map([
        [
          2,
          new Map([
            [code("running"), 2],
            [code("success"), 1],
          ]),
        ],
      ]),
      ran: undefined,
      waited: undefined,
    },
  );
const change = (
  task_id: string,
  from_state: string | null,
  to_state: string | null,
  map_index = -1,
  run_id = "new",
) => ({
  at: "2026-01-01T00:02:00Z",
  run_id,
  task_id,
  map_index,
  from_state,
  to_state,
});

test("a change moves one cell and the sum of its group", () => {
  const cells = open();
  expect(groupCodeAt(cells, 0, [0, 2], 0)).toBe(code("running"));
  expect(applyChanges(cells, [change("b", "running", "failed")])).toEqual({
    unknown: [],
    unsure: [],
  });
  expect(codeAt(cells, 1, 0)).toBe(code("failed"));
  expect(groupCodeAt(cells, 0, [0, 2], 0)).toBe(code("failed"));
  expect(cells.edition).toBe(1);
});

test("of a mapped task the counts move and the worst stands for all; the run is looked at again", () => {
  const cells = open();
  const left = applyChanges(cells, [change("m", "running", "failed", 0)]);
  expect(left.unsure).toEqual(["new"]);
  expect(codeAt(cells, 2, 0)).toBe(code("failed"));
  expect([...countsAt(cells, [2, 3], 0)]).toEqual([
    [code("failed"), 1],
    [code("running"), 1],
    [code("success"), 1],
  ]);
});

test("a run that is not here, a task or state that there is not: said, never guessed", () => {
  const cells = open();
  const left = applyChanges(cells, [
    change("a", null, "queued", -1, "other"),
    change("stranger", null, "queued"),
    change("a", null, "__proto__"),
  ]);
  expect(left).toEqual({ unknown: ["other"], unsure: ["new"] });
  expect(codeAt(cells, 0, 0)).toBe(code("success"));
});

test("a run's own change moves its head", () => {
  const cells = open();
  applyChanges(cells, [change("", "running", "success")]);
  expect(cells.runs[0]).toMatchObject({ state: "success", ended_at: "2026-01-01T00:02:00Z" });
});

test("a run that comes anew replaces its column alone; one that does not fit is refused", () => {
  const cells = open();
  const planes = {
    states: Uint8Array.from([5, 6, 7]),
    counts: new Map(),
    ran: undefined,
    waited: undefined,
  };
  expect(putRun(cells, run("new"), planes)).toBe(true);
  expect([...cells.states]).toEqual([5, 6, 7, 1, 1, 1]);
  expect(cells.counts.size).toBe(0);
  expect(putRun(cells, run("other"), planes)).toBe(false);
  expect(putRun(cells, run("new"), { ...planes, states: new Uint8Array(2) })).toBe(false);
});

test("bars, commit marks and shades", () => {
  const runs = open().runs;
  expect(barsOf(runs, Date.parse("2026-01-01T00:02:00Z"))).toEqual([1, 0.5]);
  expect(commitMarks(runs)).toEqual([true, false]);
  expect(durationShade(10, 10)).toBe(1);
  expect(durationShade(100, 10)).toBe(5);
  expect(durationShade(0.4, 0.1)).toBeLessThan(3);
  expect(durationShade(Number.NaN, 1)).toBe(-1);
  expect([0, 5, 30, 300, 1_000, 9_999, Number.NaN].map(waitShade)).toEqual([0, 1, 2, 3, 4, 5, -1]);
});
