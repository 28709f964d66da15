/**
 * The answers of Airflow's REST API v2, as its client 3.2.1 reads them: strictly. Nothing here is optional: a key
 * that has no value is null, since the server's own specification lists even nullable keys as required.
 */
import { z } from "zod";

const at = z.string().meta({ format: "date-time" });
const words = z.string();
const whole = z.int();
const json = z.unknown();
const or = <T extends z.ZodType>(of: T): z.ZodNullable<T> => of.nullable();
const list = <N extends string, T extends z.ZodType>(
  name: N,
  of: T,
): z.ZodObject<{ [K in N]: z.ZodArray<T> } & { total_entries: z.ZodInt }> =>
  z.object({ [name]: z.array(of), total_entries: whole } as { [K in N]: z.ZodArray<T> } & {
    total_entries: z.ZodInt;
  });

export const runStates = ["queued", "running", "success", "failed"] as const;
export const taskStates = [
  "removed",
  "scheduled",
  "queued",
  "running",
  "success",
  "restarting",
  "failed",
  "up_for_retry",
  "up_for_reschedule",
  "upstream_failed",
  "skipped",
  "deferred",
] as const;

const dagTag = z.object({ name: words, dag_id: words, dag_display_name: words });

export const dagVersion = z.object({
  id: z.uuid(),
  version_number: whole,
  dag_id: words,
  bundle_name: or(words),
  bundle_version: or(words),
  bundle_url: or(words),
  created_at: at,
  dag_display_name: words,
});
export const dagVersionList = list("dag_versions", dagVersion);

const dagFields = {
  dag_id: words,
  dag_display_name: words,
  is_paused: z.boolean(),
  is_stale: z.boolean(),
  last_parsed_time: or(at),
  last_parse_duration: or(z.number()),
  last_expired: or(at),
  bundle_name: or(words),
  bundle_version: or(words),
  relative_fileloc: or(words),
  fileloc: words,
  description: or(words),
  timetable_summary: or(words),
  timetable_description: or(words),
  timetable_partitioned: z.boolean(),
  tags: z.array(dagTag),
  max_active_tasks: whole,
  max_active_runs: or(whole),
  max_consecutive_failed_dag_runs: whole,
  has_task_concurrency_limits: z.boolean(),
  has_import_errors: z.boolean(),
  next_dagrun_logical_date: or(at),
  next_dagrun_data_interval_start: or(at),
  next_dagrun_data_interval_end: or(at),
  next_dagrun_run_after: or(at),
  allowed_run_types: or(z.array(words)),
  owners: z.array(words),
  file_token: words,
};
export const dag = z.object(dagFields);
export const dagList = list("dags", dag);
export const dagDetails = z.object({
  ...dagFields,
  catchup: z.boolean(),
  dag_run_timeout: or(words),
  asset_expression: or(z.record(z.string(), json)),
  doc_md: or(words),
  start_date: or(at),
  end_date: or(at),
  is_paused_upon_creation: or(z.boolean()),
  params: or(z.record(z.string(), json)),
  render_template_as_native_obj: z.boolean(),
  template_search_path: or(z.array(words)),
  timezone: or(words),
  last_parsed: or(at),
  default_args: or(z.record(z.string(), json)),
  owner_links: or(z.record(z.string(), words)),
  is_favorite: z.boolean(),
  active_runs_count: whole,
  concurrency: whole,
  latest_dag_version: or(dagVersion),
});
export const dagTagList = list("tags", words);
export const dagStatsList = list(
  "dags",
  z.object({
    dag_id: words,
    dag_display_name: words,
    stats: z.array(z.object({ state: z.enum(runStates), count: whole })),
  }),
);
export const dagSource = z.object({
  content: or(words),
  dag_id: words,
  version_number: or(whole),
  dag_display_name: words,
});

const timeDelta = z.object({
  __type: z.literal("TimeDelta"),
  days: whole,
  seconds: whole,
  microseconds: whole,
});
export const task = z.object({
  task_id: words,
  task_display_name: words,
  owner: or(words),
  start_date: or(at),
  end_date: or(at),
  trigger_rule: words,
  depends_on_past: z.boolean(),
  wait_for_downstream: z.boolean(),
  retries: z.number(),
  queue: words,
  pool: words,
  pool_slots: z.number(),
  execution_timeout: or(timeDelta),
  retry_delay: or(timeDelta),
  retry_exponential_backoff: z.number(),
  priority_weight: z.number(),
  weight_rule: words,
  ui_color: words,
  ui_fgcolor: words,
  template_fields: z.array(words),
  downstream_task_ids: z.array(words),
  doc_md: or(words),
  operator_name: words,
  params: or(z.record(z.string(), json)),
  class_ref: or(z.record(z.string(), json)),
  is_mapped: z.boolean(),
  extra_links: z.array(words),
});
export const taskList = list("tasks", task);

export const dagRun = z.object({
  dag_run_id: words,
  dag_id: words,
  logical_date: or(at),
  queued_at: or(at),
  start_date: or(at),
  end_date: or(at),
  duration: or(z.number()),
  data_interval_start: or(at),
  data_interval_end: or(at),
  run_after: at,
  last_scheduling_decision: or(at),
  run_type: z.enum(["backfill", "scheduled", "manual", "asset_triggered", "asset_materialization"]),
  state: z.enum(runStates),
  triggered_by: or(
    z.enum(["cli", "operator", "rest_api", "ui", "test", "timetable", "asset", "backfill"]),
  ),
  triggering_user_name: or(words),
  conf: or(json),
  note: or(words),
  dag_versions: z.array(dagVersion),
  bundle_version: or(words),
  dag_display_name: words,
  partition_key: or(words),
});
export const dagRunList = list("dag_runs", dagRun);

const instanceFields = {
  task_id: words,
  dag_id: words,
  dag_run_id: words,
  map_index: whole,
  start_date: or(at),
  end_date: or(at),
  duration: or(z.number()),
  state: or(z.enum(taskStates)),
  try_number: whole,
  max_tries: whole,
  task_display_name: words,
  dag_display_name: words,
  hostname: or(words),
  unixname: or(words),
  pool: words,
  pool_slots: whole,
  queue: or(words),
  priority_weight: or(whole),
  operator: or(words),
  operator_name: or(words),
  queued_when: or(at),
  scheduled_when: or(at),
  pid: or(whole),
  executor: or(words),
  executor_config: words,
  dag_version: or(dagVersion),
};
export const taskInstance = z.object({
  id: z.uuid(),
  ...instanceFields,
  logical_date: or(at),
  run_after: at,
  note: or(words),
  rendered_map_index: or(words),
  rendered_fields: z.record(z.string(), json),
  trigger: or(json),
  triggerer_job: or(json),
});
export const taskInstanceList = list("task_instances", taskInstance);
export const taskInstanceTry = z.object(instanceFields);
export const taskInstanceTryList = list("task_instances", taskInstanceTry);
export const taskDependencies = z.object({
  dependencies: z.array(z.object({ name: words, reason: words })),
});

export const taskLog = z.object({
  content: z.array(z.object({ timestamp: or(at), event: words, level: words, source: words })),
  continuation_token: or(words),
});

const xcomFields = {
  key: words,
  timestamp: at,
  logical_date: or(at),
  map_index: whole,
  task_id: words,
  dag_id: words,
  run_id: words,
  dag_display_name: words,
  task_display_name: words,
  run_after: at,
};
export const xcom = z.object({ ...xcomFields, value: json });
export const xcomList = list("xcom_entries", z.object(xcomFields));

export const connection = z.object({
  connection_id: words,
  conn_type: words,
  description: or(words),
  host: or(words),
  login: or(words),
  schema: or(words),
  port: or(whole),
  password: or(words),
  extra: or(words),
  team_name: or(words),
});
export const connectionList = list("connections", connection);
export const variable = z.object({
  key: words,
  value: words,
  description: or(words),
  is_encrypted: z.boolean(),
  team_name: or(words),
});
export const variableList = list("variables", variable);
export const pool = z.object({
  name: words,
  slots: whole,
  description: or(words),
  include_deferred: z.boolean(),
  occupied_slots: whole,
  running_slots: whole,
  queued_slots: whole,
  scheduled_slots: whole,
  open_slots: whole,
  deferred_slots: whole,
  team_name: or(words),
});
export const poolList = list("pools", pool);
const bulkPart = z.object({
  success: z.array(words),
  errors: z.array(z.object({ error: words, status_code: whole })),
});
export const bulk = z.object({ create: or(bulkPart), update: or(bulkPart), delete: or(bulkPart) });

export const importError = z.object({
  import_error_id: whole,
  timestamp: at,
  filename: words,
  bundle_name: or(words),
  stack_trace: words,
});
export const importErrorList = list("import_errors", importError);

export const eventLog = z.object({
  event_log_id: whole,
  when: at,
  dag_id: or(words),
  task_id: or(words),
  run_id: or(words),
  map_index: or(whole),
  try_number: or(whole),
  event: words,
  logical_date: or(at),
  owner: or(words),
  extra: or(words),
  dag_display_name: or(words),
  task_display_name: or(words),
});
export const eventLogList = list("event_logs", eventLog);
export const dagWarningList = list("dag_warnings", z.never());
export const providerList = list("providers", z.never());
export const pluginList = list("plugins", z.never());

export const health = z.object({
  metadatabase: z.object({ status: or(words) }),
  scheduler: z.object({ status: or(words), latest_scheduler_heartbeat: or(at) }),
  triggerer: z.object({ status: or(words), latest_triggerer_heartbeat: or(at) }),
  dag_processor: z.object({ status: or(words), latest_dag_processor_heartbeat: or(at) }),
});
export const version = z.object({ version: words, git_version: or(words) });
export const accessToken = z.object({ access_token: words });
