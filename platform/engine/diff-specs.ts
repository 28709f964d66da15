/** What changed between two versions of a DAG, task by task and edge by edge, in words for people. */
import type { DagSpec, MapSpec, TaskSpec, Timetable } from "../model/dag-spec.ts";

export type SpecDiff = {
  /** About the DAG itself, one sentence each. */
  readonly dag: readonly string[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly { readonly task_id: string; readonly what: readonly string[] }[];
  /** Edges between tasks, upstream first. Those of added and removed tasks are among them. */
  readonly edges_added: readonly (readonly [string, string])[];
  readonly edges_removed: readonly (readonly [string, string])[];
};

export function diffSpecs(before: DagSpec, after: DagSpec): SpecDiff {
  const old = new Map(before.tasks.map((task) => [task.task_id, task]));
  const now = new Map(after.tasks.map((task) => [task.task_id, task]));
  const oldEdges = edgesOf(before);
  const nowEdges = edgesOf(after);
  return {
    dag: changesOf(before, after, dagWords),
    added: after.tasks.filter(({ task_id }) => !old.has(task_id)).map(({ task_id }) => task_id),
    removed: before.tasks.filter(({ task_id }) => !now.has(task_id)).map(({ task_id }) => task_id),
    changed: after.tasks.flatMap((task) => {
      const was = old.get(task.task_id);
      const what = was === undefined ? [] : changesOf(was, task, taskWords);
      return what.length === 0 ? [] : [{ task_id: task.task_id, what }];
    }),
    edges_added: [...nowEdges].flatMap(([key, edge]) => (oldEdges.has(key) ? [] : [edge])),
    edges_removed: [...oldEdges].flatMap(([key, edge]) => (nowEdges.has(key) ? [] : [edge])),
  };
}

const edgesOf = ({ tasks }: DagSpec): ReadonlyMap<string, readonly [string, string]> =>
  new Map(
    tasks.flatMap(({ task_id, downstream }) =>
      downstream.map((below) => [`${task_id}\n${below}`, [task_id, below] as const] as const),
    ),
  );

/**
 * Per field how a change of it reads. A function tells the value itself; a sentence stands for values that are too
 * large to tell; undefined is told elsewhere. The types make a new field of a spec ask for its words here.
 */
type Words<T> = { readonly [N in keyof T]-?: readonly [string, Teller<T[N]>] | string | undefined };
type Teller<V> = (value: NonNullable<V>) => string;

function changesOf<T extends object>(before: T, after: T, words: Words<T>): readonly string[] {
  return (Object.keys(words) as (keyof T & string)[]).flatMap((field) => {
    const how = words[field];
    const [was, is] = [before[field], after[field]];
    if (how === undefined || sameText(was) === sameText(is)) return [];
    if (typeof how === "string") return [how];
    const [name, tell] = how;
    const told = (value: T[keyof T & string]): string =>
      value === undefined || value === null
        ? "none"
        : short((tell as (v: unknown) => string)(value));
    return [`${name}: ${told(was)} → ${told(is)}`];
  });
}

/** Equal values have equal texts, in whatever order their keys came. */
function sameText(value: unknown): string | undefined {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

const textMax = 120;
const short = (text: string): string =>
  text.length > textMax ? `${text.slice(0, textMax - 1)}…` : text;
const plain = (value: string | number | boolean): string =>
  typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
const seconds = (value: number): string => `${String(value)} s`;
const list = (values: readonly string[]): string =>
  values.length === 0 ? "none" : values.join(", ");

const mapped = ({ kind, sources }: MapSpec): string =>
  `mapped by ${kind} over ${sources
    .map((source) =>
      source.kind === "literal"
        ? `${String(source.length)} elements`
        : source.kind === "task"
          ? `what ${source.task_id} pushes`
          : `a ${source.kind} of ${String(source.of.length)} lists`,
    )
    .join(" and ")}`;

function timetable(value: Timetable): string {
  switch (value.kind) {
    case "none":
      return "only by hand";
    case "once":
    case "continuous":
      return value.kind;
    case "cron_interval":
    case "cron_trigger":
      return `${value.expression} (${value.timezone})`;
    case "delta":
      return `every ${seconds(value.seconds)}`;
  }
}

const taskWords: Words<TaskSpec> = {
  task_id: undefined,
  // Told as edges.
  downstream: undefined,
  operator: ["operator", plain],
  display_name: ["name", plain],
  group: ["group", plain],
  trigger_rule: ["trigger rule", plain],
  map: ["mapping", mapped],
  retries: ["retries", plain],
  retry_delay_s: ["retry delay", seconds],
  retry_exponential_backoff: ["retry backoff", plain],
  max_retry_delay_s: ["longest retry delay", seconds],
  execution_timeout_s: ["timeout", seconds],
  pool: ["pool", plain],
  pool_slots: ["pool slots", plain],
  queue: ["queue", plain],
  priority_weight: ["priority weight", plain],
  weight_rule: ["weight rule", plain],
  max_active_tis_per_dag: ["at once in the DAG", plain],
  max_active_tis_per_dagrun: ["at once in a run", plain],
  depends_on_past: ["depends on past", plain],
  wait_for_downstream: ["waits for downstream", plain],
  owner: ["owner", plain],
  start_date: ["start date", plain],
  end_date: ["end date", plain],
  is_setup: ["is setup", plain],
  is_teardown: ["is teardown", plain],
  on_failure_fail_dagrun: ["its failure fails the run", plain],
  decides: ["decides", plain],
  sensor: [
    "sensor",
    (value) =>
      `${value.mode}, each ${seconds(value.poke_interval_s)}, at most ${seconds(value.timeout_s)}${value.soft_fail ? ", then skipped" : ""}`,
  ],
  has_callbacks: ["has callbacks", plain],
  multiple_outputs: ["multiple outputs", plain],
  runs_in: ["runs in", plain],
  template_fields: ["template fields", list],
  doc_md: "documentation changed",
  // May hold what only those who read the code may see.
  payload: "what it runs changed",
};

const dagWords: Words<DagSpec> = {
  dag_id: undefined,
  tasks: undefined,
  display_name: ["name", plain],
  description: ["description", plain],
  timetable: ["schedule", timetable],
  timezone: ["time zone", plain],
  start_date: ["start date", plain],
  end_date: ["end date", plain],
  catchup: ["catchup", plain],
  max_active_runs: ["runs at once", plain],
  max_active_tasks: ["tasks at once", plain],
  max_consecutive_failed_dag_runs: ["failed runs until paused", plain],
  dagrun_timeout_s: ["timeout of a run", seconds],
  fail_fast: ["fail fast", plain],
  is_paused_upon_creation: ["paused when new", plain],
  tags: ["tags", list],
  owners: ["owners", list],
  level: ["Airflow semantics", plain],
  guest: ["runs in", plain],
  render_template_as_native_obj: ["templates give native objects", plain],
  has_success_callback: ["callback on success", plain],
  has_failure_callback: ["callback on failure", plain],
  params: ["params", (value) => list(Object.keys(value))],
  groups: ["groups", (value) => list(value.map(({ group_id }) => group_id))],
  doc_md: "documentation changed",
};
