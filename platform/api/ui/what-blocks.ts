/** Which limit a waiting lane is stopped by: the first that is closed, in the order in which admission looks. */
import type { LaneRow } from "../../store/capacity.ts";

export type Block =
  | { readonly kind: "paused" | "tenant" | "run" | "none" }
  | { readonly kind: "pool"; readonly pool: string }
  | { readonly kind: "dag_tasks" | "run_tasks" | "task" | "task_in_run"; readonly max: number };

export function whatBlocks(lane: LaneRow, tenantRoom: number): Block {
  if (lane.is_paused) return { kind: "paused" };
  if (lane.run_state !== "running") return { kind: "run" };
  if (tenantRoom <= 0) return { kind: "tenant" };
  if (lane.pool_open !== null && lane.pool_open < lane.pool_slots)
    return { kind: "pool", pool: lane.pool };
  if (lane.active_open <= 0)
    return { kind: lane.active_of === "run" ? "run_tasks" : "dag_tasks", max: lane.active_max };
  if (lane.task_open !== null && lane.task_open <= 0)
    return { kind: "task", max: lane.task_max ?? 0 };
  if (lane.run_open !== null && lane.run_open <= 0)
    return { kind: "task_in_run", max: lane.run_max ?? 0 };
  return { kind: "none" };
}
