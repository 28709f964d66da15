import type { DagSpec, TaskSpec } from "../model/dag-spec.ts";
import type { AttemptStart } from "../model/guest.ts";
import type { JsonObject } from "../model/json.ts";
import { isObject, type Json } from "../model/json.ts";
import type { Claimed } from "../store/claim.ts";

/** What the guest is told about one attempt. Pure. */
export function describeStart(
  claimed: Claimed,
  spec: DagSpec,
  task: TaskSpec,
  more: {
    readonly priorityWeight: number;
    readonly pushesLength: boolean;
    readonly pushesKeys: readonly string[];
    /** Upstreams in the same mapped group: their index is ours. */
    readonly scopedUpstreams: readonly string[];
    readonly traceparent?: string | undefined;
  },
): AttemptStart {
  const { at } = claimed;
  return {
    attempt: claimed.attempt,
    fence: claimed.fence,
    dag_id: at.dag_id,
    task_id: claimed.task_id,
    map_index: claimed.map_index,
    try_number: claimed.try_number,
    max_tries: claimed.max_tries,
    dag_file: at.path,
    queue: task.queue,
    pool: task.pool,
    priority_weight: more.priorityWeight,
    ...(task.execution_timeout_s === undefined
      ? {}
      : { execution_timeout_s: task.execution_timeout_s }),
    ...optional("first_reschedule_at", claimed.first_reschedule_at),
    ...(more.scopedUpstreams.length === 0 || claimed.map_index < 0
      ? {}
      : {
          upstream_map_indexes: Object.fromEntries(
            more.scopedUpstreams.map((id) => [id, claimed.map_index]),
          ),
        }),
    run: {
      run_id: at.run_id,
      run_type: at.run_type,
      ...optional("logical_date", at.logical_date),
      ...optional("data_interval_start", at.interval_start),
      ...optional("data_interval_end", at.interval_end),
      run_after: at.run_after.toISOString(),
      start_date: at.started_at.toISOString(),
      conf: at.conf ?? {},
      params: paramsOf(spec, at.conf),
      ...(at.triggering_user === null ? {} : { triggering_user: at.triggering_user }),
      clear_number: at.clear_number,
    },
    push_length: more.pushesLength,
    ...(more.pushesKeys.length === 0 ? {} : { push_length_keys: more.pushesKeys }),
    ...(claimed.next_method === null
      ? {}
      : { next_method: claimed.next_method, next_kwargs: claimed.next_kwargs }),
    ...(task.payload === undefined ? {} : { payload: task.payload }),
    ...(more.traceparent === undefined ? {} : { traceparent: more.traceparent }),
  };
}

const optional = <K extends string>(key: K, date: Date | null): { readonly [P in K]?: string } =>
  date === null ? {} : ({ [key]: date.toISOString() } as { readonly [P in K]: string });

/** The DAG's params with their defaults, overridden by what the run was triggered with (Airflow: dag_run.conf wins by name). */
export function paramsOf(spec: DagSpec, conf: Json): JsonObject {
  const params: Record<string, Json> = {};
  for (const [name, param] of Object.entries(spec.params))
    params[name] = param.schema["default"] ?? null;
  if (isObject(conf))
    for (const [name, value] of Object.entries(conf)) params[name] = value as Json;
  return params;
}
