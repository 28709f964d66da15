/** The states, in Airflow's words (`airflow/utils/state.py`). */

export type RunState = "queued" | "running" | "success" | "failed";

/** `null` is Airflow's "no status": created, waiting for its upstreams. */
export type TaskState =
  | null
  | "scheduled"
  | "queued"
  | "running"
  | "success"
  | "failed"
  | "skipped"
  | "upstream_failed"
  | "removed"
  | "up_for_retry"
  | "up_for_reschedule"
  | "deferred"
  | "restarting";

export type FinishedState = "success" | "failed" | "skipped" | "upstream_failed" | "removed";

const finished: ReadonlySet<TaskState> = new Set<TaskState>([
  "success",
  "failed",
  "skipped",
  "upstream_failed",
  "removed",
]);
export const isFinished = (state: TaskState): state is FinishedState => finished.has(state);

export type RunType = "scheduled" | "manual" | "backfill" | "asset_triggered";

export type TriggerRule =
  | "all_success"
  | "all_failed"
  | "all_done"
  | "all_done_min_one_success"
  | "all_done_setup_success"
  | "one_success"
  | "one_failed"
  | "one_done"
  | "none_failed"
  | "none_failed_min_one_success"
  | "none_skipped"
  | "all_skipped"
  | "always";

/** Which generation's meaning a DAG has: 1.10, 2 or 3 (facts: Airflow changed cron intervals, catchup, trigger rules). */
export type SemanticsLevel = "1.10" | "2" | "3";
