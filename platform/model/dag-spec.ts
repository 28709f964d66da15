/**
 * What a DAG is, after its file was parsed: plain data, no code. A guest writes it, the house reads it
 * with bounds (`read-dag-spec.ts`), stores it as JSON under its hash, and schedules from it alone.
 */
import type { DagId, TaskId } from "./ids.ts";
import type { Json, JsonObject } from "./json.ts";
import type { SemanticsLevel, TriggerRule } from "./states.ts";

export type DagSpec = {
  readonly dag_id: DagId;
  readonly display_name?: string;
  readonly description?: string;
  readonly doc_md?: string;
  readonly tags: readonly string[];
  readonly owners: readonly string[];
  readonly level: SemanticsLevel;
  /** Which guest runs its tasks by default. A task may name another (YAML DAGs mix them). */
  readonly guest: GuestKind;
  readonly timetable: Timetable;
  /** ISO 8601 with offset. */
  readonly start_date?: string;
  readonly end_date?: string;
  /** IANA name; of start_date, else the default. */
  readonly timezone: string;
  readonly catchup: boolean;
  readonly max_active_runs: number;
  readonly max_active_tasks: number;
  readonly max_consecutive_failed_dag_runs: number;
  readonly dagrun_timeout_s?: number;
  readonly fail_fast: boolean;
  readonly is_paused_upon_creation?: boolean;
  /** JSON Schema per param, its default under `default`. */
  readonly params: { readonly [name: string]: ParamSpec };
  readonly render_template_as_native_obj: boolean;
  readonly has_success_callback: boolean;
  readonly has_failure_callback: boolean;
  readonly groups: readonly GroupSpec[];
  readonly tasks: readonly TaskSpec[];
};

export type GuestKind = "python" | "node";

export type ParamSpec = {
  readonly schema: JsonObject;
  readonly description?: string;
};

/** When runs come into being. `cron_trigger` and `cron_interval` are Airflow's two meanings of one cron string. */
export type Timetable =
  | { readonly kind: "none" }
  | { readonly kind: "once" }
  | { readonly kind: "continuous" }
  | { readonly kind: "cron_interval"; readonly expression: string; readonly timezone: string }
  | {
      readonly kind: "cron_trigger";
      readonly expression: string;
      readonly timezone: string;
      /** Seconds; the data interval is [fire − interval, fire]. */
      readonly interval_s: number;
    }
  | {
      readonly kind: "delta";
      readonly seconds: number;
      /** Absent: each run is about the delta before it (1.10 and 2). Given: as with `cron_trigger` (3 gives 0). */
      readonly interval_s?: number;
    };

export type GroupSpec = {
  /** Full id, dots between the levels. */
  readonly group_id: string;
  readonly parent?: string;
  readonly tooltip?: string;
  readonly prefix_group_id: boolean;
  /** A mapped task group: its tasks exist once per index. */
  readonly map?: MapSpec;
};

export type TaskSpec = {
  readonly task_id: TaskId;
  readonly display_name?: string;
  /** The class name people know, e.g. `PythonOperator`, `@task`, `sql`. */
  readonly operator: string;
  readonly doc_md?: string;
  readonly owner?: string;
  readonly downstream: readonly TaskId[];
  readonly group?: string;
  readonly trigger_rule: TriggerRule;
  readonly retries: number;
  readonly retry_delay_s: number;
  /** 0: constant delay; else the multiplier (Airflow's True is 2). */
  readonly retry_exponential_backoff: number;
  readonly max_retry_delay_s?: number;
  readonly depends_on_past: boolean;
  readonly wait_for_downstream: boolean;
  readonly pool: string;
  readonly pool_slots: number;
  readonly queue: string;
  readonly priority_weight: number;
  readonly weight_rule: "downstream" | "upstream" | "absolute";
  readonly execution_timeout_s?: number;
  readonly max_active_tis_per_dag?: number;
  readonly max_active_tis_per_dagrun?: number;
  readonly start_date?: string;
  readonly end_date?: string;
  readonly is_setup: boolean;
  readonly is_teardown: boolean;
  readonly on_failure_fail_dagrun: boolean;
  /** A mapped task: one instance per element. */
  readonly map?: MapSpec;
  /** A task that decides which of its downstreams go on; its decision arrives as a skip row. */
  readonly decides?: "branch" | "short_circuit";
  readonly sensor?: {
    readonly mode: "poke" | "reschedule";
    readonly poke_interval_s: number;
    readonly timeout_s: number;
    readonly soft_fail: boolean;
  };
  readonly has_callbacks: boolean;
  readonly multiple_outputs: boolean;
  /** `inline`: the engine itself ends it at once (Airflow's EmptyOperator without callbacks and outlets). */
  readonly runs_in: GuestKind | "inline";
  /** Names of fields that are templates, for the rendered view. */
  readonly template_fields: readonly string[];
  /** What the guest needs to run it and the house does not look into (YAML tasks). At most 64 KiB. */
  readonly payload?: Json;
};

/** How long a mapped task or group becomes. `product`: cross product of all sources; `list`: one element per index. */
export type MapSpec = {
  readonly kind: "product" | "list";
  readonly sources: readonly MapSource[];
};

export type MapSource =
  /** A list or dict written in the file. */
  | { readonly kind: "literal"; readonly length: number }
  /** What a task pushed under `key` (its pushed length), or, if that task is mapped, the count of its instances. */
  | { readonly kind: "task"; readonly task_id: TaskId; readonly key: string }
  /** `.zip` (shortest, or longest with a fill value) and `.concat` (sum) of other sources. */
  | { readonly kind: "zip"; readonly longest: boolean; readonly of: readonly MapSource[] }
  | { readonly kind: "concat"; readonly of: readonly MapSource[] };
