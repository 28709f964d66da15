/** The options of a task, in the words of authors → the words of the spec. One place for TypeScript and YAML. */
import type { TaskSpec } from "../../../platform/model/dag-spec.ts";
import { known } from "../../../platform/model/ids.ts";
import type { TriggerRule } from "../../../platform/model/states.ts";
import { durationRule, durationSeconds } from "./duration.ts";

/** Also holds what came from a file that nobody type-checked; the deeds below say what is wrong with it. */
export type LooseTaskOptions = {
  readonly displayName?: string | undefined;
  readonly doc?: string | undefined;
  readonly owner?: string | undefined;
  readonly retries?: number | undefined;
  readonly retryDelay?: string | undefined;
  readonly maxRetryDelay?: string | undefined;
  readonly backoff?: "fixed" | "exponential" | undefined;
  readonly timeout?: string | undefined;
  readonly pool?: string | undefined;
  readonly poolSlots?: number | undefined;
  readonly queue?: string | undefined;
  readonly priority?: number | undefined;
  readonly triggerRule?: TriggerRule | undefined;
  readonly maxActive?: number | undefined;
  readonly concurrency?: number | undefined;
  readonly dependsOnPast?: boolean | undefined;
  readonly waitForDownstream?: boolean | undefined;
};

export type TaskShape = {
  readonly id: string;
  readonly operator: string;
  readonly group?: string | undefined;
  readonly downstream: readonly string[];
  readonly runsIn: TaskSpec["runs_in"];
  readonly map?: TaskSpec["map"];
  readonly decides?: TaskSpec["decides"];
  readonly sensor?: TaskSpec["sensor"];
  readonly templateFields?: readonly string[];
  readonly payload?: TaskSpec["payload"];
  readonly multipleOutputs: boolean;
};

const triggerRules: ReadonlySet<string> = new Set<TriggerRule>([
  "all_success",
  "all_failed",
  "all_done",
  "all_done_min_one_success",
  "all_done_setup_success",
  "one_success",
  "one_failed",
  "one_done",
  "none_failed",
  "none_failed_min_one_success",
  "none_skipped",
  "all_skipped",
  "always",
]);

export function taskSpec(shape: TaskShape, options: LooseTaskOptions): TaskSpec {
  const seconds = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : durationSeconds(text);
  const maxRetryDelay = seconds(options.maxRetryDelay);
  // The sensor's own timeout is no execution timeout: it counts over all its looks.
  const timeout = shape.sensor === undefined ? seconds(options.timeout) : undefined;
  return {
    task_id: known.task(shape.id),
    ...defined("display_name", options.displayName),
    operator: shape.operator,
    ...defined("doc_md", options.doc),
    ...defined("owner", options.owner),
    downstream: shape.downstream.map(known.task),
    ...defined("group", shape.group),
    trigger_rule: options.triggerRule ?? "all_success",
    retries: options.retries ?? 0,
    retry_delay_s: seconds(options.retryDelay) ?? 300,
    retry_exponential_backoff: options.backoff === "exponential" ? 2 : 0,
    ...defined("max_retry_delay_s", maxRetryDelay),
    depends_on_past: options.dependsOnPast ?? false,
    wait_for_downstream: options.waitForDownstream ?? false,
    pool: options.pool ?? "default_pool",
    pool_slots: options.poolSlots ?? 1,
    queue: options.queue ?? "default",
    priority_weight: options.priority ?? 1,
    weight_rule: "downstream",
    ...defined("execution_timeout_s", timeout),
    ...defined("max_active_tis_per_dag", options.maxActive),
    ...defined("max_active_tis_per_dagrun", options.concurrency),
    is_setup: false,
    is_teardown: false,
    on_failure_fail_dagrun: false,
    ...defined("map", shape.map),
    ...defined("decides", shape.decides),
    ...defined("sensor", shape.sensor),
    has_callbacks: false,
    multiple_outputs: shape.multipleOutputs,
    runs_in: shape.runsIn,
    template_fields: shape.templateFields ?? [],
    ...defined("payload", shape.payload),
  };
}

const defined = <K extends string, V>(key: K, value: V | undefined): { readonly [k in K]?: V } =>
  // The type says what the expression is: the key with its value, or nothing.
  (value === undefined ? {} : { [key]: value }) as { readonly [k in K]?: V };

/** Sentences about what is wrong, for files without types. */
export function taskOptionProblems(options: LooseTaskOptions): string[] {
  const problems: string[] = [];
  for (const name of ["retryDelay", "maxRetryDelay", "timeout"] as const) {
    const text = options[name];
    if (text !== undefined && (typeof text !== "string" || durationSeconds(text) === undefined))
      problems.push(`${name}: ${durationRule}`);
  }
  for (const [name, min] of [
    ["retries", 0],
    ["poolSlots", 1],
    ["maxActive", 1],
    ["concurrency", 1],
  ] as const) {
    const count = options[name];
    if (count !== undefined && (!Number.isSafeInteger(count) || count < min))
      problems.push(`${name} must be a whole number from ${min}`);
  }
  if (options.priority !== undefined && !Number.isSafeInteger(options.priority))
    problems.push("priority must be a whole number");
  if (options.triggerRule !== undefined && !triggerRules.has(options.triggerRule))
    problems.push(`triggerRule must be one of ${[...triggerRules].join(", ")}`);
  return problems;
}

/** Options that belong to every task, to tell them from an operator's own arguments. */
export const taskOptionNames: ReadonlySet<string> = new Set([
  "displayName",
  "doc",
  "owner",
  "retries",
  "retryDelay",
  "maxRetryDelay",
  "backoff",
  "timeout",
  "pool",
  "poolSlots",
  "queue",
  "priority",
  "triggerRule",
  "maxActive",
  "concurrency",
  "dependsOnPast",
  "waitForDownstream",
  "outlets",
]);

export function sensorSpec(options: {
  readonly every?: string | undefined;
  readonly timeout?: string | undefined;
  readonly mode?: "poke" | "reschedule" | undefined;
  readonly softFail?: boolean | undefined;
}): NonNullable<TaskSpec["sensor"]> {
  const everyS = durationSeconds(options.every ?? "60s") ?? 60;
  return {
    mode: options.mode ?? (everyS >= 60 ? "reschedule" : "poke"),
    poke_interval_s: everyS,
    timeout_s: durationSeconds(options.timeout ?? "7d") ?? 7 * 86_400,
    soft_fail: options.softFail ?? false,
  };
}
