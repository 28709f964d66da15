import { type Answer, bad, good } from "./answer.ts";
import type {
  DagSpec,
  GroupSpec,
  GuestKind,
  MapSource,
  MapSpec,
  ParamSpec,
  TaskSpec,
  Timetable,
} from "./dag-spec.ts";
import type { FileProblem } from "./guest.ts";
import { known, readDagId, readTaskId, type TaskId } from "./ids.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import type { TriggerRule } from "./states.ts";

/** What a guest may send at most. A tenant's own limits may only be narrower. */
export type DagSpecBounds = {
  readonly tasks: number;
  readonly edges: number;
  readonly groups: number;
  /** Each setup is compared with everything after it. */
  readonly setups: number;
  readonly mapLength: number;
  /** Instances that literal maps make at the start of a run, all together. */
  readonly instances: number;
  readonly payloadBytes: number;
  /** Texts, payloads and parameters of one DAG together. */
  readonly totalBytes: number;
};

export const dagSpecBounds: DagSpecBounds = {
  tasks: 10_000,
  edges: 200_000,
  groups: 2_000,
  setups: 500,
  mapLength: 10_000,
  instances: 100_000,
  payloadBytes: 64 * 1024,
  totalBytes: 16 * 1024 * 1024,
};

/**
 * A DAG from a stranger's data, or what is wrong with it, each with the way out. What Airflow settles itself
 * is settled here: a teardown's trigger rule, depends_on_past under wait_for_downstream, and that a mapped
 * task comes after what it maps over. Cron expressions and zones are for `checkTimetable` of the engine.
 * Never throws; reports at most 20 problems.
 */
export function readDagSpec(
  raw: unknown,
  bounds: DagSpecBounds = dagSpecBounds,
): Answer<DagSpec, readonly FileProblem[]> {
  const problems = new Problems();
  if (!isObject(raw)) {
    problems.add("a DAG must be an object");
    return bad(problems.found);
  }
  const budget = { bytes: bounds.totalBytes };
  const read = new Fields(raw, "the DAG", problems, budget);
  const dag_id = read.id("dag_id", readDagId, known.dag("_"));
  const name = `DAG ${dag_id}`;
  const dag = new Fields(raw, name, problems, budget);
  const groups = readGroups(dag, bounds, problems);
  const tasks = readTasks(dag, bounds, problems);
  const spec: DagSpec = {
    dag_id,
    ...dag.optionalTexts("display_name", "description", "doc_md"),
    tags: dag.texts("tags", 100, 100),
    owners: dag.texts("owners", 100, 500),
    level: dag.oneOf("level", ["1.10", "2", "3"], "3"),
    guest: dag.oneOf<GuestKind>("guest", ["python", "node"], "python"),
    timetable: readTimetable(dag, problems),
    ...dag.optionalDates("start_date", "end_date"),
    timezone: dag.text("timezone", 100, "UTC"),
    catchup: dag.flag("catchup", false),
    max_active_runs: dag.whole("max_active_runs", 1, 1_000_000, 16),
    max_active_tasks: dag.whole("max_active_tasks", 1, 1_000_000, 16),
    max_consecutive_failed_dag_runs: dag.whole("max_consecutive_failed_dag_runs", 0, 1_000_000, 0),
    ...dag.optionalSeconds("dagrun_timeout_s"),
    fail_fast: dag.flag("fail_fast", false),
    ...dag.optionalFlag("is_paused_upon_creation"),
    params: readParams(dag, bounds, problems, budget),
    render_template_as_native_obj: dag.flag("render_template_as_native_obj", false),
    has_success_callback: dag.flag("has_success_callback", false),
    has_failure_callback: dag.flag("has_failure_callback", false),
    groups,
    tasks,
  };
  if (problems.isEmpty) checkGroups(spec, problems);
  if (problems.found.length > 0) return bad(problems.found);
  const linked = withMapEdges(spec);
  checkTogether(linked, bounds, problems);
  return problems.found.length === 0 ? good(linked) : bad(problems.found);
}

// ---- the parts ----------------------------------------------------------------------------------------

function readTimetable(dag: Fields, problems: Problems): Timetable {
  const raw = dag.object("timetable");
  if (!raw) return { kind: "none" };
  const kind = raw.oneOf(
    "kind",
    ["none", "once", "continuous", "cron_interval", "cron_trigger", "delta"],
    "none",
  );
  switch (kind) {
    case "none":
    case "once":
    case "continuous":
      return { kind };
    case "cron_interval":
      return {
        kind,
        expression: raw.text("expression", 250),
        timezone: raw.text("timezone", 100, "UTC"),
      };
    case "cron_trigger":
      return {
        kind,
        expression: raw.text("expression", 250),
        timezone: raw.text("timezone", 100, "UTC"),
        interval_s: raw.seconds("interval_s", 0),
      };
    case "delta": {
      const seconds = raw.seconds("seconds");
      if (seconds < 1)
        problems.add(
          `${raw.name}: a schedule every ${seconds} s is too often`,
          "Make it at least 1 second.",
        );
      return { kind, seconds, ...raw.optionalSeconds("interval_s") };
    }
  }
}

function readParams(
  dag: Fields,
  bounds: DagSpecBounds,
  problems: Problems,
  budget: { bytes: number },
): { readonly [name: string]: ParamSpec } {
  const raw = dag.raw["params"];
  if (raw === undefined) return {};
  if (!isObject(raw)) {
    problems.add(`${dag.name}: params must be an object`);
    return {};
  }
  const entries = Object.entries(raw);
  if (entries.length > 1000) {
    problems.add(`${dag.name} has ${entries.length} params; the limit is 1000`);
    return {};
  }
  return Object.fromEntries(
    entries.map(([key, value]) => {
      const param = new Fields(
        isObject(value) ? value : {},
        `${dag.name}, param ${shown(key)}`,
        problems,
        budget,
      );
      const schema = param.json("schema", bounds.payloadBytes) ?? {};
      const isSchema = (json: Json): json is JsonObject => isObject(json);
      if (!isSchema(schema)) problems.add(`${param.name}: schema must be an object`);
      return [
        key.slice(0, 250),
        { schema: isSchema(schema) ? schema : {}, ...param.optionalTexts("description") },
      ];
    }),
  );
}

function readGroups(dag: Fields, bounds: DagSpecBounds, problems: Problems): GroupSpec[] {
  return dag.list("groups", bounds.groups).map((raw, i) => {
    const first = new Fields(raw, `${dag.name}, group ${i + 1}`, problems, dag.budget);
    const group_id: string = first.id("group_id", readTaskId, known.task("_"));
    const group = new Fields(raw, `${dag.name}, group ${group_id}`, problems, dag.budget);
    const map = readMap(group, bounds, problems);
    return {
      group_id,
      ...group.optionalTexts("parent", "tooltip"),
      prefix_group_id: group.flag("prefix_group_id", true),
      ...(map ? { map } : {}),
    };
  });
}

const triggerRules: readonly TriggerRule[] = [
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
];
/** Names of generations 1.10 and 2. */
const oldRules: Readonly<Record<string, TriggerRule>> = {
  dummy: "always",
  none_failed_or_skipped: "none_failed_min_one_success",
};

function readTasks(dag: Fields, bounds: DagSpecBounds, problems: Problems): TaskSpec[] {
  const guest = dag.raw["guest"] === "node" ? "node" : "python";
  return dag.list("tasks", bounds.tasks).map((raw, i) => {
    const first = new Fields(raw, `${dag.name}, task ${i + 1}`, problems, dag.budget);
    const task_id = first.id("task_id", readTaskId, known.task("_"));
    const task = new Fields(raw, `${dag.name}, task ${task_id}`, problems, dag.budget);
    const is_teardown = task.flag("is_teardown", false);
    const wait_for_downstream = task.flag("wait_for_downstream", false);
    const map = readMap(task, bounds, problems);
    const decides = task.raw["decides"] ?? undefined;
    const payload = task.json("payload", bounds.payloadBytes);
    return {
      task_id,
      ...task.optionalTexts("display_name", "doc_md", "owner", "group"),
      operator: task.text("operator", 250, "task"),
      downstream: task.ids("downstream", bounds.edges),
      trigger_rule: is_teardown ? "all_done_setup_success" : readRule(task),
      retries: task.whole("retries", 0, 100_000, 0),
      retry_delay_s: task.seconds("retry_delay_s", 300),
      retry_exponential_backoff: task.number("retry_exponential_backoff", 0, 1000, 0),
      ...task.optionalSeconds("max_retry_delay_s", "execution_timeout_s"),
      // Airflow: who waits for the downstream depends on the past as well.
      depends_on_past: task.flag("depends_on_past", false) || wait_for_downstream,
      wait_for_downstream,
      pool: task.text("pool", 250, "default_pool"),
      pool_slots: task.whole("pool_slots", 1, 1_000_000, 1),
      queue: task.text("queue", 250, "default"),
      priority_weight: task.number("priority_weight", -(2 ** 31), 2 ** 31 - 1, 1),
      weight_rule: task.oneOf("weight_rule", ["downstream", "upstream", "absolute"], "downstream"),
      ...task.optionalWholes("max_active_tis_per_dag", "max_active_tis_per_dagrun"),
      ...task.optionalDates("start_date", "end_date"),
      is_setup: task.flag("is_setup", false),
      is_teardown,
      on_failure_fail_dagrun: task.flag("on_failure_fail_dagrun", false),
      ...(map ? { map } : {}),
      ...(decides === undefined
        ? {}
        : { decides: task.oneOf("decides", ["branch", "short_circuit"], "branch") }),
      ...readSensor(task),
      has_callbacks: task.flag("has_callbacks", false),
      multiple_outputs: task.flag("multiple_outputs", false),
      runs_in: task.oneOf<GuestKind | "inline">("runs_in", ["python", "node", "inline"], guest),
      template_fields: task.texts("template_fields", 200, 250),
      ...(payload === undefined ? {} : { payload }),
    };
  });
}

function readRule(task: Fields): TriggerRule {
  const raw = task.raw["trigger_rule"];
  const old = typeof raw === "string" && Object.hasOwn(oldRules, raw) ? oldRules[raw] : undefined;
  return old ?? task.oneOf("trigger_rule", triggerRules, "all_success");
}

function readSensor(task: Fields): Pick<TaskSpec, "sensor"> {
  const sensor = task.object("sensor");
  if (!sensor) return {};
  return {
    sensor: {
      mode: sensor.oneOf("mode", ["poke", "reschedule"], "poke"),
      poke_interval_s: sensor.seconds("poke_interval_s", 60),
      timeout_s: sensor.seconds("timeout_s", 7 * 24 * 60 * 60),
      soft_fail: sensor.flag("soft_fail", false),
    },
  };
}

function readMap(owner: Fields, bounds: DagSpecBounds, problems: Problems): MapSpec | undefined {
  const map = owner.object("map");
  if (!map) return undefined;
  const sources = map.list("sources", 20).map((raw) => readSource(map, raw, bounds, problems, 0));
  if (sources.length === 0)
    problems.add(`${owner.name} maps over nothing`, "Give expand() at least one argument.");
  // Each is an edge to each first task of a group.
  if (sources.flatMap(sourceTasks).length > 100)
    problems.add(`${owner.name} maps over more than 100 results`, "Join them in a task before.");
  return { kind: map.oneOf("kind", ["product", "list"], "product"), sources };
}

function readSource(
  map: Fields,
  raw: { readonly [key: string]: unknown },
  bounds: DagSpecBounds,
  problems: Problems,
  depth: number,
): MapSource {
  const source = new Fields(raw, map.name, problems, map.budget);
  if (depth > 8) {
    problems.add(`${map.name}: zip and concat are nested more than 8 deep`);
    return { kind: "literal", length: 0 };
  }
  const inner = (): MapSource[] =>
    source.list("of", 20).map((one) => readSource(map, one, bounds, problems, depth + 1));
  const kind = source.oneOf("kind", ["literal", "task", "zip", "concat"], "literal");
  switch (kind) {
    case "literal":
      return { kind, length: source.whole("length", 0, bounds.mapLength) };
    case "task":
      return {
        kind,
        task_id: source.id("task_id", readTaskId, known.task("_")),
        key: source.text("key", 250, "return_value"),
      };
    case "zip":
      return { kind, longest: source.flag("longest", false), of: inner() };
    case "concat":
      return { kind, of: inner() };
  }
}

// ---- what only shows between the parts ----------------------------------------------------------------

/** What a map takes must come before it: Airflow adds these edges, to a group's first tasks. */
function withMapEdges(spec: DagSpec): DagSpec {
  const added = new Map<TaskId, Set<TaskId>>();
  const link = (source: TaskId, target: TaskId): void => {
    const targets = added.get(source) ?? new Set();
    added.set(source, targets.add(target));
  };
  for (const task of spec.tasks)
    for (const source of task.map?.sources.flatMap(sourceTasks) ?? []) link(source, task.task_id);
  const members = mappedMembers(spec);
  for (const group of spec.groups) {
    const inside = members.get(group.group_id);
    if (!group.map || !inside) continue;
    const hasInner = new Set(inside.flatMap((task) => task.downstream));
    for (const source of group.map.sources.flatMap(sourceTasks))
      for (const { task_id } of inside) if (!hasInner.has(task_id)) link(source, task_id);
  }
  if (added.size === 0) return spec;
  const tasks = spec.tasks.map((task) => {
    const more = added.get(task.task_id);
    return more ? { ...task, downstream: [...new Set([...task.downstream, ...more])] } : task;
  });
  return { ...spec, tasks };
}

const sourceTasks = (source: MapSource): TaskId[] => {
  switch (source.kind) {
    case "literal":
      return [];
    case "task":
      return [source.task_id];
    case "zip":
    case "concat":
      return source.of.flatMap(sourceTasks);
  }
};

/** The tasks of each mapped group; a task has at most one (`checkGroups`). */
function mappedMembers(spec: DagSpec): Map<string, TaskSpec[]> {
  const groups = new Map(spec.groups.map((group) => [group.group_id, group]));
  const members = new Map<string, TaskSpec[]>();
  for (const task of spec.tasks) {
    const mapped = ancestors(task.group, groups).find((group) => group.map);
    if (!mapped) continue;
    const tasks = members.get(mapped.group_id);
    if (tasks) tasks.push(task);
    else members.set(mapped.group_id, [task]);
  }
  return members;
}

const nestingMax = 50;

/** The group and those around it, at most one more than may be nested: a stranger's may go round in a circle. */
function ancestors(id: string | undefined, groups: ReadonlyMap<string, GroupSpec>): GroupSpec[] {
  const found: GroupSpec[] = [];
  let at = id === undefined ? undefined : groups.get(id);
  while (at && found.length <= nestingMax) {
    found.push(at);
    at = at.parent === undefined ? undefined : groups.get(at.parent);
  }
  return found;
}

function checkTogether(spec: DagSpec, bounds: DagSpecBounds, problems: Problems): void {
  const name = `DAG ${spec.dag_id}`;
  const tasks = new Map<string, TaskSpec>();
  for (const task of spec.tasks) {
    if (tasks.has(task.task_id))
      problems.add(
        `${name} has two tasks with the id ${task.task_id}`,
        "Give one of them another task_id.",
      );
    tasks.set(task.task_id, task);
  }
  checkEdges(spec, tasks, bounds, problems);
  checkMaps(spec, tasks, bounds, problems);
  const setups = spec.tasks.filter((task) => task.is_setup).length;
  if (setups > bounds.setups)
    problems.add(`${name} has ${setups} setup tasks; the limit is ${bounds.setups}`);
  for (const task of spec.tasks) {
    if (task.trigger_rule === "all_done_setup_success" && !task.is_teardown)
      problems.add(
        `${name}, task ${task.task_id}: trigger_rule all_done_setup_success is for teardowns`,
        "Use all_done, or make the task a teardown with .as_teardown().",
      );
    if (task.is_setup && task.is_teardown)
      problems.add(
        `${name}, task ${task.task_id} is both a setup and a teardown`,
        "Make it one of the two.",
      );
    if (spec.fail_fast && task.trigger_rule !== "all_success" && !task.is_teardown)
      problems.add(
        `${name}, task ${task.task_id}: with fail_fast every trigger_rule must be all_success, not ${task.trigger_rule}`,
        "Take the rule or fail_fast away.",
      );
  }
  if (spec.timetable.kind === "continuous" && spec.max_active_runs !== 1)
    problems.add(`${name}: @continuous needs max_active_runs=1`, "Set max_active_runs=1.");
  if (problems.isEmpty) checkCycle(spec, tasks, problems);
}

function checkEdges(
  spec: DagSpec,
  tasks: ReadonlyMap<string, TaskSpec>,
  bounds: DagSpecBounds,
  problems: Problems,
): void {
  const edges = spec.tasks.reduce((sum, task) => sum + task.downstream.length, 0);
  if (edges > bounds.edges) {
    problems.add(
      `DAG ${spec.dag_id} has ${edges} dependencies; the limit is ${bounds.edges}`,
      "Put an EmptyOperator between two wide layers.",
    );
    return;
  }
  for (const task of spec.tasks)
    for (const down of task.downstream)
      if (!tasks.has(down)) {
        if (problems.isFull) return;
        const near = nearest(down, tasks.keys());
        problems.add(
          `DAG ${spec.dag_id}, task ${task.task_id}: downstream ${down} does not exist`,
          near ? `Did you mean ${near}?` : "Add that task or take the dependency away.",
        );
      }
}

function checkGroups(spec: DagSpec, problems: Problems): void {
  const name = `DAG ${spec.dag_id}`;
  const ids = new Set<string>(spec.tasks.map((task) => task.task_id));
  const groups = new Map<string, GroupSpec>();
  for (const group of spec.groups) {
    if (ids.has(group.group_id))
      problems.add(
        `${name}: the id ${group.group_id} is given twice`,
        "Groups and tasks share their ids: give one of them another.",
      );
    ids.add(group.group_id);
    groups.set(group.group_id, group);
  }
  for (const group of spec.groups) {
    if (group.parent !== undefined && !groups.has(group.parent))
      problems.add(
        `${name}, group ${group.group_id}: its parent ${shown(group.parent)} does not exist`,
      );
    const around = ancestors(group.group_id, groups);
    if (around.length > nestingMax)
      problems.add(
        `${name}, group ${group.group_id} is inside itself, or nested more than ${nestingMax} deep`,
      );
    const outer = around.slice(1).find((one) => one.map);
    if (group.map && outer)
      problems.add(
        `${name}, group ${group.group_id}: a mapped group inside the mapped group ${outer.group_id} is not supported`,
        "Expand the outer group over all combinations instead.",
      );
  }
  for (const task of spec.tasks) {
    if (task.group !== undefined && !groups.has(task.group))
      problems.add(`${name}, task ${task.task_id}: its group ${shown(task.group)} does not exist`);
    if (task.map && ancestors(task.group, groups).some((group) => group.map))
      problems.add(
        `${name}, task ${task.task_id}: a mapped task inside a mapped group is not supported`,
        "Airflow refuses it as well: expand the group over all combinations.",
      );
  }
}

function checkMaps(
  spec: DagSpec,
  tasks: ReadonlyMap<string, TaskSpec>,
  bounds: DagSpecBounds,
  problems: Problems,
): void {
  const name = `DAG ${spec.dag_id}`;
  const members = mappedMembers(spec);
  let instances = 0;
  for (const owner of [...spec.tasks, ...spec.groups]) {
    const { map } = owner;
    if (!map) continue;
    const id = "task_id" in owner ? owner.task_id : owner.group_id;
    const sources = map.sources.flatMap(sourceTasks);
    for (const source of sources) {
      const task = tasks.get(source);
      if (!task) problems.add(`${name}, ${id} maps over ${source}, which does not exist`);
      else if (source === id || members.get(id)?.includes(task))
        problems.add(`${name}, ${id} maps over itself`, "Map over a task that comes before it.");
    }
    const lengths = map.sources.map((source) => (source.kind === "literal" ? source.length : 1));
    const size = "task_id" in owner ? 1 : (members.get(id)?.length ?? 0);
    if (sources.length === 0) instances += size * lengths.reduce((all, one) => all * one, 1);
  }
  if (instances > bounds.instances)
    problems.add(
      `${name} would begin with ${instances} mapped instances; the limit is ${bounds.instances}`,
      "Let each instance do more of the work.",
    );
}

/** Takes tasks away that nothing unfinished comes before; what is left holds a cycle, and it is named. */
function checkCycle(spec: DagSpec, tasks: ReadonlyMap<string, TaskSpec>, problems: Problems): void {
  const open = new Map<string, number>(spec.tasks.map((task) => [task.task_id, 0]));
  for (const task of spec.tasks)
    for (const down of new Set(task.downstream)) open.set(down, (open.get(down) ?? 0) + 1);
  const free = [...open].filter(([, ups]) => ups === 0).map(([id]) => id);
  for (let id = free.pop(); id !== undefined; id = free.pop()) {
    open.delete(id);
    for (const down of new Set(tasks.get(id)?.downstream)) {
      const left = (open.get(down) ?? 0) - 1;
      open.set(down, left);
      if (left === 0) free.push(down);
    }
  }
  const start = open.keys().next().value;
  if (start === undefined) return;
  // Going up from any task that is left never ends, so it meets a task twice.
  const upstream = new Map<string, string>();
  for (const id of open.keys())
    for (const down of tasks.get(id)?.downstream ?? []) if (open.has(down)) upstream.set(down, id);
  const path: string[] = [];
  let at = start;
  while (!path.includes(at)) {
    path.push(at);
    at = upstream.get(at) ?? at;
    if (path.length > 1000) break;
  }
  const cycle = [...path.slice(path.indexOf(at)), at].toReversed();
  const named =
    cycle.length > 12 ? [...cycle.slice(0, 6), "…", ...cycle.slice(cycle.length - 5)] : cycle;
  problems.add(
    `DAG ${spec.dag_id} has a cycle: ${named.join(" → ")}`,
    "Take one of these dependencies away.",
  );
}

// ---- reading one field --------------------------------------------------------------------------------

class Problems {
  readonly found: FileProblem[] = [];
  add(message: string, hint?: string): void {
    if (this.found.length < 20)
      this.found.push({ message, ...(hint === undefined ? {} : { hint }) });
  }
  get isFull(): boolean {
    return this.found.length >= 20;
  }
  get isEmpty(): boolean {
    return this.found.length === 0;
  }
}

const dayMax = 36_500;
const secondsMax = dayMax * 24 * 60 * 60;

/** The fields of one object. A field that is wrong is reported and read as its default. */
class Fields {
  readonly raw: { readonly [key: string]: unknown };
  readonly name: string;
  readonly budget: { bytes: number };
  readonly #problems: Problems;

  constructor(
    raw: { readonly [key: string]: unknown },
    name: string,
    problems: Problems,
    budget: { bytes: number },
  ) {
    this.raw = raw;
    this.name = name;
    this.#problems = problems;
    this.budget = budget;
  }

  id<T extends string>(
    key: string,
    read: (raw: unknown) => Answer<T, { readonly message: string }>,
    instead: T,
  ): T {
    const answer = read(this.raw[key]);
    if (answer.ok) return answer.value;
    const value = this.raw[key];
    this.#problems.add(
      `${this.name}: ${answer.problem.message}${typeof value === "string" ? `, not ${shown(value)}` : ""}`,
    );
    return instead;
  }

  ids(key: string, max: number): TaskId[] {
    return this.#array(key, max).flatMap((value) => {
      const answer = readTaskId(value);
      if (answer.ok) return [answer.value];
      this.#problems.add(`${this.name}: ${key} holds ${shown(value)}, which is no task id`);
      return [];
    });
  }

  text(key: string, max: number, instead?: string): string {
    const value = this.raw[key] ?? instead;
    if (typeof value !== "string" || value === "") return this.#wrong(key, "a text", instead ?? "");
    if (value.length > max) return this.#wrong(key, `at most ${max} characters`, instead ?? "");
    this.#spend(value.length);
    return value;
  }

  optionalTexts<K extends string>(...keys: readonly K[]): { readonly [k in K]?: string } {
    const found: { [k in K]?: string } = {};
    for (const key of keys) {
      const value = this.raw[key] ?? undefined;
      if (value === undefined) continue;
      const max = key === "doc_md" || key === "description" ? 64 * 1024 : 250;
      if (typeof value !== "string") this.#wrong(key, "a text", "");
      else if (value.length > max) this.#wrong(key, `at most ${max} characters`, "");
      else {
        this.#spend(value.length);
        found[key] = value;
      }
    }
    return found;
  }

  texts(key: string, max: number, lengthMax: number): string[] {
    const values = this.#array(key, max);
    const texts = values.filter((value) => typeof value === "string" && value.length <= lengthMax);
    if (texts.length < values.length)
      this.#wrong(key, `a list of texts of at most ${lengthMax} characters`, "");
    return texts as string[];
  }

  flag(key: string, instead: boolean): boolean {
    const value = this.raw[key] ?? instead;
    return typeof value === "boolean" ? value : this.#wrong(key, "true or false", instead);
  }

  optionalFlag<K extends string>(key: K): { readonly [k in K]?: boolean } {
    const value = this.raw[key] ?? undefined;
    if (value === undefined) return {};
    return { [key]: this.flag(key, false) } as { [k in K]?: boolean };
  }

  number(key: string, min: number, max: number, instead?: number): number {
    const value = this.raw[key] ?? instead;
    if (typeof value === "number" && value >= min && value <= max) return value;
    return this.#wrong(key, `a number from ${min} to ${max}`, instead ?? min);
  }

  whole(key: string, min: number, max: number, instead?: number): number {
    const value = this.raw[key] ?? instead;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max)
      return value;
    return this.#wrong(key, `a whole number from ${min} to ${max}`, instead ?? min);
  }

  optionalWholes<K extends string>(...keys: readonly K[]): { readonly [k in K]?: number } {
    const found: { [k in K]?: number } = {};
    for (const key of keys)
      if ((this.raw[key] ?? undefined) !== undefined) found[key] = this.whole(key, 1, 1_000_000);
    return found;
  }

  seconds(key: string, instead?: number): number {
    const value = this.raw[key] ?? instead;
    if (typeof value === "number" && value >= 0 && value <= secondsMax) return value;
    return this.#wrong(key, `seconds, from 0 to ${dayMax} days`, instead ?? 1);
  }

  optionalSeconds<K extends string>(...keys: readonly K[]): { readonly [k in K]?: number } {
    const found: { [k in K]?: number } = {};
    for (const key of keys)
      if ((this.raw[key] ?? undefined) !== undefined) found[key] = this.seconds(key);
    return found;
  }

  optionalDates<K extends string>(...keys: readonly K[]): { readonly [k in K]?: string } {
    const found: { [k in K]?: string } = {};
    for (const key of keys) {
      const value = this.raw[key] ?? undefined;
      if (value === undefined) continue;
      const isDate =
        typeof value === "string" &&
        /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d(?::\d\d)?)$/.test(
          value,
        ) &&
        !Number.isNaN(Date.parse(value));
      if (isDate) found[key] = value;
      else this.#wrong(key, "a date and time with offset, like 2026-01-01T00:00:00+00:00", "");
    }
    return found;
  }

  oneOf<T extends string>(key: string, allowed: readonly T[], instead: T): T {
    const value = this.raw[key] ?? instead;
    const found = allowed.find((one) => one === value);
    if (found !== undefined) return found;
    const near = typeof value === "string" ? nearest(value, allowed) : undefined;
    this.#problems.add(
      `${this.name}: ${key} ${shown(value)} is not one of ${allowed.join(", ")}`,
      near ? `Did you mean ${near}?` : undefined,
    );
    return instead;
  }

  object(key: string): Fields | undefined {
    const value = this.raw[key] ?? undefined;
    if (value === undefined) return undefined;
    if (isObject(value))
      return new Fields(value, `${this.name}, ${key}`, this.#problems, this.budget);
    this.#wrong(key, "an object", "");
    return undefined;
  }

  list(key: string, max: number): { readonly [key: string]: unknown }[] {
    const values = this.#array(key, max);
    const objects = values.filter(isObject);
    if (objects.length < values.length) this.#wrong(key, "a list of objects", "");
    return objects;
  }

  json(key: string, bytesMax: number): Json | undefined {
    const value = this.raw[key];
    if (value === undefined) return undefined;
    const bytes = jsonBytes(value, bytesMax);
    if (typeof bytes === "string") return this.#wrong(key, bytes, undefined);
    this.#spend(bytes);
    return value as Json;
  }

  #array(key: string, max: number): readonly unknown[] {
    const value = this.raw[key] ?? [];
    if (!Array.isArray(value)) return this.#wrong(key, "a list", []);
    if (value.length > max) {
      this.#problems.add(
        `${this.name} has ${value.length} ${key}; the limit is ${max}`,
        key === "tasks" ? "Split the DAG, or map one task over a list." : undefined,
      );
      return [];
    }
    return value;
  }

  #spend(bytes: number): void {
    const before = this.budget.bytes;
    this.budget.bytes -= bytes;
    if (before >= 0 && this.budget.bytes < 0)
      this.#problems.add(
        "the texts and payloads of this DAG are too large together",
        "Keep data in files of the repository and read them in the task.",
      );
  }

  #wrong<T>(key: string, rule: string, instead: T): T {
    this.#problems.add(`${this.name}: ${key} must be ${rule}, not ${shown(this.raw[key])}`);
    return instead;
  }
}

/** About how many bytes of JSON, or what is wrong. A list instead of recursion: depth is the stranger's choice. */
function jsonBytes(raw: unknown, max: number): number | string {
  let bytes = 0;
  const open: [unknown, number][] = [[raw, 0]];
  for (let next = open.pop(); next; next = open.pop()) {
    const [value, depth] = next;
    if (depth > 64) return "nested at most 64 deep";
    if (value === null || typeof value === "boolean") bytes += 5;
    else if (typeof value === "number") {
      if (!Number.isFinite(value)) return "JSON, where every number is finite";
      bytes += 8;
    } else if (typeof value === "string") bytes += value.length + 2;
    else if (Array.isArray(value)) {
      bytes += 2 + value.length;
      if (bytes <= max) for (const one of value) open.push([one, depth + 1]);
    } else if (isObject(value)) {
      for (const [key, one] of Object.entries(value)) {
        bytes += key.length + 4;
        open.push([one, depth + 1]);
      }
    } else return "JSON";
    if (bytes > max) return `at most ${max} bytes of JSON`;
  }
  return bytes;
}

/** A stranger's value in a message: short, on one line. */
function shown(value: unknown): string {
  if (typeof value === "string")
    return `"${value.slice(0, 60).replace(/[^\x20-\x7e\u00a0-\ud7ff]/g, "�")}${value.length > 60 ? "…" : ""}"`;
  if (Array.isArray(value)) return "a list";
  if (value === null || typeof value === "number" || typeof value === "boolean") return `${value}`;
  return value === undefined ? "missing" : "an object";
}

/** The one that differs by at most two letters, for "did you mean". */
function nearest(text: string, from: Iterable<string>): string | undefined {
  if (text.length > 60) return undefined;
  let best: string | undefined;
  let bestDistance = 3;
  let looked = 0;
  for (const one of from) {
    if (++looked > 500) break;
    if (Math.abs(one.length - text.length) > 2) continue;
    const distance = editDistance(text, one);
    if (distance < bestDistance) [best, bestDistance] = [one, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(
          (next[j - 1] ?? 0) + 1,
          (row[j] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}
