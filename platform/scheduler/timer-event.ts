import type { TaskId } from "../model/ids.ts";
import type { RunEvent, TimerKind } from "../model/run.ts";

/** What a timer that was taken means to its run. */
export function timerEvent(timer: {
  readonly task_id: TaskId;
  readonly map_index: number;
  readonly try_number: number;
  readonly kind: string;
}): RunEvent {
  const { task_id, map_index, try_number } = timer;
  switch (timer.kind) {
    case "run_timeout":
      return { kind: "run_timed_out" };
    case "past":
      return { kind: "past_changed", task_ids: [task_id] };
    default:
      return {
        kind: "timer_fired",
        task_id,
        map_index,
        try_number,
        timer: timer.kind as TimerKind | "deferral",
      };
  }
}
