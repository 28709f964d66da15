import { expect, test } from "vitest";
import type { LaneRow } from "../../store/capacity.ts";
import { whatBlocks } from "./what-blocks.ts";

const lane: LaneRow = {
  dag_id: "d",
  run_id: "r",
  task_id: "t",
  map_index: -1,
  scheduled_at: null,
  pool: "db",
  pool_slots: 2,
  queue: "default",
  waiting: 1,
  is_paused: false,
  run_state: "running",
  pool_open: 2,
  active_max: 16,
  active_open: 1,
  active_of: "run",
  task_max: null,
  task_open: null,
  run_max: null,
  run_open: null,
};

test("the first limit that is closed is what blocks", () => {
  const kinds = (
    [
      [{}, 1],
      [{ is_paused: true, pool_open: 0 }, 0],
      [{ run_state: "queued" }, 0],
      [{}, 0],
      [{ pool_open: 1 }, 1],
      [{ pool_open: null, active_open: 0 }, 1],
      [{ active_open: -1, active_of: "dag" }, 1],
      [{ task_max: 3, task_open: 0 }, 1],
      [{ run_max: 2, run_open: 0 }, 1],
    ] as const
  ).map(([more, room]) => whatBlocks({ ...lane, ...more }, room));
  expect(kinds).toEqual([
    { kind: "none" },
    { kind: "paused" },
    { kind: "run" },
    { kind: "tenant" },
    { kind: "pool", pool: "db" },
    { kind: "run_tasks", max: 16 },
    { kind: "dag_tasks", max: 16 },
    { kind: "task", max: 3 },
    { kind: "task_in_run", max: 2 },
  ]);
});
