/** The first frame that a child gets: Airflow's shapes, and our own words under `airlock`. */
import { hostname } from "node:os";
import type { AttemptStart, GuestKey } from "../../platform/model/guest.ts";
import type { SemanticsLevel } from "../../platform/model/states.ts";

export function startupDetails(
  key: GuestKey,
  start: AttemptStart,
): { readonly [k: string]: unknown } {
  const { run } = start;
  return {
    type: "StartupDetails",
    ti: {
      id: start.attempt,
      task_id: start.task_id,
      dag_id: start.dag_id,
      run_id: run.run_id,
      try_number: start.try_number,
      // Airflow asks for a UUID here; which version it is does not matter to the runner.
      dag_version_id: start.attempt,
      map_index: start.map_index,
      hostname: hostname(),
      queue: start.queue,
      priority_weight: start.priority_weight,
    },
    dag_rel_path: start.dag_file,
    bundle_info: { name: key.repository, version: key.commit },
    start_date: new Date().toISOString(),
    ti_context: {
      dag_run: {
        dag_id: start.dag_id,
        run_id: run.run_id,
        logical_date: run.logical_date ?? null,
        data_interval_start: run.data_interval_start ?? null,
        data_interval_end: run.data_interval_end ?? null,
        run_after: run.run_after,
        start_date: run.start_date,
        end_date: null,
        clear_number: run.clear_number,
        run_type: run.run_type,
        state: "running",
        conf: run.conf ?? {},
        triggering_user_name: run.triggering_user ?? null,
        consumed_asset_events: [],
      },
      task_reschedule_count: start.first_reschedule_at === undefined ? 0 : 1,
      max_tries: start.max_tries,
      variables: [],
      connections: [],
      upstream_map_indexes: start.upstream_map_indexes ?? null,
      next_method: start.next_method ?? null,
      next_kwargs: start.next_kwargs ?? null,
      xcom_keys_to_clear: [],
      should_retry: start.try_number <= start.max_tries,
    },
    sentry_integration: "",
    airlock: { ...start, level: key.level, xcom_bytes: key.limits.xcomBytes },
  };
}

export function parseRequest(
  key: GuestKey,
  bundle: string,
  file: string,
  dagsFolder: string,
  levelOverride: SemanticsLevel | undefined,
): { readonly [k: string]: unknown } {
  return {
    type: "DagFileParseRequest",
    file: `${bundle}/${file}`,
    bundle_path: bundle,
    bundle_name: key.repository,
    callback_requests: [],
    airlock: { dags_folder: dagsFolder, level_override: levelOverride ?? null },
  };
}
