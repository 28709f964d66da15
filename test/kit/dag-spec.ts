/** Short ways to write specs down in tests: everything that is not said has Airflow's default. */
import type { DagSpec, GroupSpec, TaskSpec } from "../../platform/model/dag-spec.ts";
import { known } from "../../platform/model/ids.ts";

export type TaskSketch = Partial<Omit<TaskSpec, "task_id" | "downstream">> & {
  readonly task_id: string;
  readonly downstream?: readonly string[];
};

const taskSpec = (sketch: TaskSketch): TaskSpec => ({
  operator: "PythonOperator",
  trigger_rule: "all_success",
  retries: 0,
  retry_delay_s: 300,
  retry_exponential_backoff: 0,
  depends_on_past: false,
  wait_for_downstream: false,
  pool: "default_pool",
  pool_slots: 1,
  queue: "default",
  priority_weight: 1,
  weight_rule: "downstream",
  is_setup: false,
  is_teardown: false,
  on_failure_fail_dagrun: false,
  has_callbacks: false,
  multiple_outputs: false,
  runs_in: "python",
  template_fields: [],
  ...sketch,
  task_id: known.task(sketch.task_id),
  downstream: (sketch.downstream ?? []).map(known.task),
});

export const groupSpec = (
  sketch: Partial<GroupSpec> & { readonly group_id: string },
): GroupSpec => ({
  prefix_group_id: true,
  ...sketch,
});

export const dagSpec = (
  tasks: readonly TaskSketch[],
  sketch: Partial<Omit<DagSpec, "tasks">> = {},
): DagSpec => ({
  dag_id: known.dag("d"),
  tags: [],
  owners: [],
  level: "3",
  guest: "python",
  timetable: { kind: "none" },
  timezone: "UTC",
  catchup: false,
  max_active_runs: 16,
  max_active_tasks: 16,
  max_consecutive_failed_dag_runs: 0,
  fail_fast: false,
  params: {},
  render_template_as_native_obj: false,
  has_success_callback: false,
  has_failure_callback: false,
  groups: [],
  ...sketch,
  tasks: tasks.map(taskSpec),
});
