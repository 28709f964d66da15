/** Our rows in Airflow's shapes. Typed by `shapes.ts`: a forgotten key does not compile. */
import type { z } from "zod";
import type { DagSpec, TaskSpec } from "../../model/dag-spec.ts";
import type { DagRow, VersionRow } from "../../store/read-dags.ts";
import type { PinnedVersion, RunRow, TaskInstanceRow, TryRow } from "../../store/read-runs.ts";
import { faithfulJson } from "../reply.ts";
import type * as shapes from "./shapes.ts";

export const iso = (at: Date | null | undefined): string | null => at?.toISOString() ?? null;

export function toDag(row: DagRow, hasImportErrors: boolean): z.output<typeof shapes.dag> {
  return {
    dag_id: row.dag_id,
    dag_display_name: row.display_name,
    is_paused: row.is_paused,
    is_stale: row.state !== "active",
    last_parsed_time: iso(row.last_parsed_at),
    last_parse_duration: null,
    last_expired: null,
    bundle_name: row.repository,
    bundle_version: row.commit,
    relative_fileloc: row.path,
    fileloc: `/${row.repository}/${row.path}`,
    description: row.description,
    timetable_summary: row.timetable_summary,
    timetable_description: describeTimetable(row.timetable),
    timetable_partitioned: false,
    tags: row.tags.map((name) => ({
      name,
      dag_id: row.dag_id,
      dag_display_name: row.display_name,
    })),
    max_active_tasks: row.max_active_tasks,
    max_active_runs: row.max_active_runs,
    max_consecutive_failed_dag_runs: row.max_consecutive_failed_dag_runs,
    has_task_concurrency_limits: row.has_task_concurrency_limits,
    has_import_errors: hasImportErrors,
    next_dagrun_logical_date: iso(row.next_logical_at),
    next_dagrun_data_interval_start: iso(row.next_interval_start),
    next_dagrun_data_interval_end: iso(row.next_interval_end),
    next_dagrun_run_after: iso(row.next_run_at),
    allowed_run_types: null,
    owners: [...row.owners],
    file_token: Buffer.from(`${row.repository}\n${row.path}`).toString("base64url"),
  };
}

export function toDagDetails(
  row: DagRow,
  version: VersionRow & { readonly spec: DagSpec },
  activeRuns: number,
  hasImportErrors: boolean,
): z.output<typeof shapes.dagDetails> {
  const { spec } = version;
  return {
    ...toDag(row, hasImportErrors),
    catchup: spec.catchup,
    dag_run_timeout: spec.dagrun_timeout_s === undefined ? null : `PT${spec.dagrun_timeout_s}S`,
    asset_expression: null,
    doc_md: spec.doc_md ?? null,
    start_date: spec.start_date ?? null,
    end_date: spec.end_date ?? null,
    is_paused_upon_creation: spec.is_paused_upon_creation ?? null,
    params: Object.fromEntries(
      Object.entries(spec.params).map(([name, { schema, description }]) => [
        name,
        { value: schema["default"] ?? null, schema, description: description ?? null },
      ]),
    ),
    render_template_as_native_obj: spec.render_template_as_native_obj,
    template_search_path: null,
    timezone: spec.timezone,
    last_parsed: iso(row.last_parsed_at),
    default_args: null,
    owner_links: {},
    is_favorite: false,
    active_runs_count: activeRuns,
    concurrency: row.max_active_tasks,
    latest_dag_version: toVersion(version),
  };
}

function describeTimetable(timetable: DagRow["timetable"]): string {
  switch (timetable.kind) {
    case "none":
      return "Never, external triggers only";
    case "once":
      return "Once, as soon as possible";
    case "continuous":
      return "As frequently as possible, but only one run at a time.";
    case "cron_interval":
    case "cron_trigger":
      return `${timetable.expression} (${timetable.timezone})`;
    case "delta":
      return `Every ${timetable.seconds} seconds`;
  }
}

export const toVersion = (row: VersionRow): z.output<typeof shapes.dagVersion> => ({
  id: row.id,
  version_number: row.version,
  dag_id: row.dag_id,
  bundle_name: row.repository,
  bundle_version: row.commit,
  bundle_url: null,
  created_at: row.created_at.toISOString(),
  dag_display_name: row.display_name,
});

/** A run whose version row is gone has none to show. */
function pinned(dagId: string, row: PinnedVersion): z.output<typeof shapes.dagVersion> | null {
  if (row.version_id === null || row.version_created_at === null) return null;
  return {
    id: row.version_id,
    version_number: row.version,
    dag_id: dagId,
    bundle_name: row.repository,
    bundle_version: row.commit,
    bundle_url: null,
    created_at: row.version_created_at.toISOString(),
    dag_display_name: row.display_name,
  };
}

export function toRun(row: RunRow): z.output<typeof shapes.dagRun> {
  const version = pinned(row.dag_id, row);
  return {
    dag_run_id: row.run_id,
    dag_id: row.dag_id,
    logical_date: iso(row.logical_date),
    queued_at: iso(row.queued_at),
    start_date: iso(row.started_at),
    end_date: iso(row.ended_at),
    duration: row.duration,
    data_interval_start: iso(row.interval_start),
    data_interval_end: iso(row.interval_end),
    run_after: row.run_after.toISOString(),
    last_scheduling_decision: iso(row.ended_at ?? row.started_at),
    run_type: row.run_type,
    state: row.state,
    triggered_by: toTriggeredBy(row.triggered_by),
    triggering_user_name: row.triggering_user,
    conf: row.conf === null ? {} : faithfulJson(row.conf),
    note: row.note,
    dag_versions: version ? [version] : [],
    bundle_version: row.commit,
    dag_display_name: row.display_name,
    partition_key: null,
  };
}

/** Clients refuse a word that Airflow does not have. */
function toTriggeredBy(raw: string): z.output<typeof shapes.dagRun>["triggered_by"] {
  switch (raw) {
    case "cli":
    case "operator":
    case "rest_api":
    case "ui":
    case "test":
    case "timetable":
    case "asset":
    case "backfill":
      return raw;
    default:
      return null;
  }
}

export function toTaskInstance(
  row: TaskInstanceRow,
  displayName: string,
): z.output<typeof shapes.taskInstance> {
  return {
    id: row.id,
    task_id: row.task_id,
    dag_id: row.dag_id,
    dag_run_id: row.run_id,
    map_index: row.map_index,
    logical_date: iso(row.logical_date),
    run_after: row.run_after.toISOString(),
    start_date: iso(row.started_at),
    end_date: iso(row.ended_at),
    duration: row.duration,
    state: row.state,
    try_number: row.try_number,
    max_tries: row.max_tries,
    task_display_name: displayName,
    dag_display_name: row.display_name,
    hostname: row.host,
    unixname: null,
    pool: row.pool,
    pool_slots: row.pool_slots,
    queue: row.queue,
    priority_weight: row.priority_weight,
    operator: row.operator,
    operator_name: row.operator,
    queued_when: iso(row.queued_at),
    scheduled_when: iso(row.scheduled_at),
    pid: row.pid,
    executor: null,
    executor_config: "{}",
    note: row.note,
    rendered_map_index: row.rendered_map_index,
    rendered_fields: row.rendered_fields ?? {},
    trigger: null,
    triggerer_job: null,
    dag_version: pinned(row.dag_id, row),
  };
}

/** A try that is over, or the present one (its state is then the instance's). */
export function toTry(
  instance: TaskInstanceRow,
  displayName: string,
  tried: TryRow,
): z.output<typeof shapes.taskInstanceTry> {
  const current = toTaskInstance(instance, displayName);
  const {
    id: _id,
    logical_date: _logical,
    run_after: _after,
    note: _note,
    rendered_map_index: _index,
    rendered_fields: _fields,
    trigger: _trigger,
    triggerer_job: _job,
    ...common
  } = current;
  if (tried.try_number === instance.try_number) return common;
  return {
    ...common,
    try_number: tried.try_number,
    state: stateOfOutcome(tried.outcome),
    start_date: iso(tried.started_at),
    end_date: iso(tried.ended_at),
    duration: tried.duration,
    hostname: tried.host,
    pid: tried.pid,
    queued_when: iso(tried.admitted_at),
    scheduled_when: null,
  };
}

function stateOfOutcome(outcome: string | null): z.output<typeof shapes.taskInstanceTry>["state"] {
  switch (outcome) {
    case "success":
    case "skipped":
    case "deferred":
      return outcome;
    case "reschedule":
      return "up_for_reschedule";
    case null:
      return "running";
    default:
      // failed, stopped, lost: an earlier try that did not succeed.
      return "failed";
  }
}

export function toTask(spec: DagSpec, task: TaskSpec): z.output<typeof shapes.task> {
  return {
    task_id: task.task_id,
    task_display_name: task.display_name ?? task.task_id,
    owner: task.owner ?? spec.owners[0] ?? null,
    start_date: task.start_date ?? spec.start_date ?? null,
    end_date: task.end_date ?? null,
    trigger_rule: task.trigger_rule,
    depends_on_past: task.depends_on_past,
    wait_for_downstream: task.wait_for_downstream,
    retries: task.retries,
    queue: task.queue,
    pool: task.pool,
    pool_slots: task.pool_slots,
    execution_timeout:
      task.execution_timeout_s === undefined ? null : delta(task.execution_timeout_s),
    retry_delay: delta(task.retry_delay_s),
    retry_exponential_backoff: task.retry_exponential_backoff,
    priority_weight: task.priority_weight,
    weight_rule: task.weight_rule,
    ui_color: "#fff",
    ui_fgcolor: "#000",
    template_fields: [...task.template_fields],
    downstream_task_ids: [...task.downstream].toSorted(),
    doc_md: task.doc_md ?? null,
    operator_name: task.operator,
    params: {},
    class_ref: { class_name: task.operator, module_path: null },
    is_mapped: task.map !== undefined || isInMappedGroup(spec, task.group),
    extra_links: [],
  };
}

function isInMappedGroup(spec: DagSpec, groupId: string | undefined): boolean {
  for (let id = groupId; id !== undefined; ) {
    const group = spec.groups.find((candidate) => candidate.group_id === id);
    if (group?.map) return true;
    id = group?.parent;
  }
  return false;
}

function delta(seconds: number): z.output<typeof shapes.task>["retry_delay"] {
  const days = Math.floor(seconds / 86_400);
  const rest = seconds - days * 86_400;
  return {
    __type: "TimeDelta",
    days,
    seconds: Math.floor(rest),
    microseconds: Math.round((rest % 1) * 1e6),
  };
}
