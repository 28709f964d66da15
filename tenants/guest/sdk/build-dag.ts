import type { DagSpec, GroupSpec, MapSpec } from "../../../platform/model/dag-spec.ts";
import { known } from "../../../platform/model/ids.ts";
import type { JsonObject } from "../../../platform/model/json.ts";
import type {
  AnyNode,
  Asset,
  Build,
  Context,
  Dag,
  DagOptions,
  GroupNode,
  Operator,
  Params,
  ParamsOf,
  Ref,
  TaskNode,
  TaskOptions,
} from "./author-types.ts";
import { durationRule, durationSeconds } from "./duration.ts";
import { readParams } from "./params.ts";
import { DagProblems, nearest, type Place, type Problem, placeOfCaller } from "./problem.ts";
import { sensorSpec, taskOptionNames, taskOptionProblems, taskSpec } from "./task-spec.ts";
import { instant, timetableOf } from "./timetable.ts";
import { firstTasks, type Thread, weave } from "./weave.ts";

/**
 * Declares a DAG. `build` runs once, now; what comes back is frozen data, and known to the guest whether
 * it is exported or not. Throws `DagProblems` with everything that is wrong, each at its place in the author's file.
 */
export function dag<const P extends Params = Record<never, never>>(options: DagOptions<P>): Dag {
  const at = placeOfCaller(dag);
  const problems: Problem[] = [];
  const wrong = (message: string, place = at, hint?: string): void => {
    problems.push({
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(place === undefined ? {} : { at: place }),
    });
  };
  if (!idPattern.test(options.id)) wrong(`the DAG's id "${String(options.id)}" ${idRule}`);
  const site = new Site(options.defaults ?? {}, wrong);
  // The author's types end here: inside, a run function is a function of whatever it gets.
  options.build(site.build(undefined, "") as unknown as Build<ParamsOf<P>>);
  const params = readParams(options.params);
  if (!params.ok) wrong(params.problem);
  const woven = site.weave();
  const timezone =
    typeof options.schedule === "object" && options.schedule.kind === "cron"
      ? (options.schedule.tz ?? "UTC")
      : "UTC";
  const timetable = timetableOf(options.schedule, timezone);
  if (timetable.kind === "wrong") wrong(`schedule: ${timetable.message}`);
  const dates = { start_date: options.startDate, end_date: options.endDate };
  for (const [name, date] of Object.entries(dates))
    if (date !== undefined && instant(date) === undefined)
      wrong(`${name}: "${date}" is no date, write for example "2026-01-31"`);
  const timeoutS = options.timeout === undefined ? undefined : durationSeconds(options.timeout);
  if (options.timeout !== undefined && timeoutS === undefined) wrong(`timeout: ${durationRule}`);
  for (const name of ["maxActiveRuns", "maxActiveTasks", "pauseAfterFailedRuns"] as const) {
    const count = options[name];
    if (count !== undefined && (!Number.isSafeInteger(count) || count < 0))
      wrong(`${name} must be a whole number`);
  }
  if (site.tasks.size > tasksMax)
    wrong(`the DAG has ${site.tasks.size} tasks, at most ${tasksMax} are allowed`);
  if (problems.length > 0 || timetable.kind === "wrong" || !params.ok)
    throw new DagProblems(problems);

  const startDate = options.startDate === undefined ? undefined : instant(options.startDate);
  const endDate = options.endDate === undefined ? undefined : instant(options.endDate);
  const catchup =
    options.catchup ??
    (typeof options.schedule === "object" ? options.schedule.catchup : undefined) ??
    false;
  const spec: DagSpec = {
    dag_id: known.dag(options.id),
    ...(options.displayName === undefined ? {} : { display_name: options.displayName }),
    ...(options.description === undefined ? {} : { description: options.description }),
    ...(options.doc === undefined ? {} : { doc_md: options.doc }),
    tags: [...(options.tags ?? [])],
    owners: [options.owner ?? "airflow"],
    level: "3",
    guest: "node",
    timetable,
    ...(startDate === undefined ? {} : { start_date: startDate }),
    ...(endDate === undefined ? {} : { end_date: endDate }),
    timezone,
    catchup,
    max_active_runs: options.maxActiveRuns ?? 16,
    max_active_tasks: options.maxActiveTasks ?? 16,
    max_consecutive_failed_dag_runs: options.pauseAfterFailedRuns ?? 0,
    ...(timeoutS === undefined ? {} : { dagrun_timeout_s: timeoutS }),
    fail_fast: options.failFast ?? false,
    ...(options.paused === undefined ? {} : { is_paused_upon_creation: options.paused }),
    params: params.value.specs,
    render_template_as_native_obj: false,
    has_success_callback: false,
    has_failure_callback: false,
    groups: site.groupSpecs(),
    tasks: [...site.tasks.values()].map((task) => site.spec(task, woven)),
  };
  const built: Dag = deepFreeze({ id: options.id, spec });
  inside.set(built, {
    tasks: site.tasks,
    downstream: woven,
    groupOf: site.groupOf,
    readParams: params.value.read,
    at,
  });
  registered.push(built);
  return built;
}

/** What the guest needs beyond the spec to run a task of this DAG. */
export type DagInside = {
  readonly tasks: ReadonlyMap<string, BuiltTask>;
  readonly downstream: ReadonlyMap<string, readonly string[]>;
  readonly groupOf: ReadonlyMap<string, string>;
  /** The run's params as the author's schema hands them out; throws what is wrong with them. */
  readonly readParams: (params: JsonObject) => unknown;
  readonly at: Place | undefined;
};

export type BuiltTask = {
  readonly id: string;
  readonly group: string | undefined;
  readonly at: Place | undefined;
  readonly options: TaskOptions & { readonly concurrency?: number };
  readonly input: { readonly value: unknown } | undefined;
  readonly over: readonly unknown[] | RefValue | undefined;
  readonly work: Work;
  /** Fields of its output that a downstream maps over: they are pushed under their own keys too. */
  readonly pushFields: Set<string>;
  readonly outlets: readonly Asset[];
};

type Run = (...args: unknown[]) => unknown;
export type Work =
  | { readonly kind: "task"; readonly run: Run }
  | { readonly kind: "branch"; readonly run: Run; readonly to: readonly string[] }
  | { readonly kind: "short_circuit"; readonly run: Run; readonly respectTriggerRules: boolean }
  | { readonly kind: "sensor"; readonly poke: Run; readonly spec: ReturnType<typeof sensorSpec> }
  | {
      readonly kind: "operator";
      readonly type: string;
      readonly sensor?: ReturnType<typeof sensorSpec>;
    };

const inside = new WeakMap<Dag, DagInside>();
const registered: Dag[] = [];

export const insideOf = (built: Dag): DagInside | undefined => inside.get(built);
/** Every DAG built since the last call. */
export const takeRegistered = (): Dag[] => registered.splice(0);

const idPattern = /^(?!\.{1,2}$)[\w.-]{1,250}$/;
const idRule = "must be letters, digits, dash, dot and underscore, at most 250 characters";
export const tasksMax = 10_000;

/** What a `Ref` is at run time. */
export class RefValue implements Ref<unknown> {
  readonly taskId: string;
  readonly path: readonly string[];
  readonly site: unknown;
  constructor(taskId: string, path: readonly string[], site: unknown) {
    this.taskId = taskId;
    this.path = path;
    this.site = site;
  }
  get(key: string): Ref<never> {
    return new RefValue(this.taskId, [...this.path, key], this.site);
  }
}

/* oxlint-disable typescript/unbound-method -- they are named to find their caller, not called */
class TaskHandle extends RefValue {
  after(...upstream: readonly AnyNode[]): this {
    (this.site as Site).order(upstream, this.taskId, placeOfCaller(TaskHandle.prototype.after));
    return this;
  }
  before(...downstream: readonly AnyNode[]): this {
    const at = placeOfCaller(TaskHandle.prototype.before);
    for (const node of downstream) (this.site as Site).orderBefore(this.taskId, node, at);
    return this;
  }
}

class GroupHandle implements GroupNode<unknown> {
  readonly groupId: string;
  readonly out: unknown;
  readonly site: unknown;
  constructor(groupId: string, out: unknown, site: unknown) {
    this.groupId = groupId;
    this.out = out;
    this.site = site;
  }
  after(...upstream: readonly AnyNode[]): this {
    (this.site as Site).order(upstream, this.groupId, placeOfCaller(GroupHandle.prototype.after));
    return this;
  }
  before(...downstream: readonly AnyNode[]): this {
    const at = placeOfCaller(GroupHandle.prototype.before);
    for (const node of downstream) (this.site as Site).orderBefore(this.groupId, node, at);
    return this;
  }
}

/* oxlint-enable typescript/unbound-method */

type Wrong = (message: string, at?: Place, hint?: string) => void;

/** Where one DAG is being built. */
class Site {
  readonly tasks = new Map<string, BuiltTask>();
  readonly groups = new Map<
    string,
    {
      id: string;
      parent: string | undefined;
      tooltip: string | undefined;
      prefix: boolean;
      at: Place | undefined;
    }
  >();
  readonly groupOf = new Map<string, string>();
  readonly #after = new Map<string, { id: string; at?: Place }[]>();
  readonly #defaults: TaskOptions;
  readonly #wrong: Wrong;

  constructor(defaults: TaskOptions, wrong: Wrong) {
    this.#defaults = defaults;
    this.#wrong = wrong;
    for (const problem of taskOptionProblems(defaults)) wrong(`defaults: ${problem}`);
  }

  /** The deeds an author gets, for the whole DAG or inside a group. */
  build(group: string | undefined, prefix: string): LooseBuild {
    const task = (id: string, options: RunOptions): TaskNode<unknown> =>
      this.#add(
        prefix,
        group,
        id,
        options,
        { kind: "task", run: options.run },
        placeOfCaller(task),
      );
    const map = (id: string, over: unknown, options: RunOptions): TaskNode<unknown> =>
      this.#add(
        prefix,
        group,
        id,
        options,
        { kind: "task", run: options.run },
        placeOfCaller(map),
        over,
      );
    const branch = (
      id: string,
      options: RunOptions & { readonly to: readonly string[] },
    ): TaskNode<unknown> =>
      this.#add(
        prefix,
        group,
        id,
        options,
        { kind: "branch", run: options.run, to: [...options.to] },
        placeOfCaller(branch),
      );
    const shortCircuit = (
      id: string,
      options: RunOptions & { readonly respectTriggerRules?: boolean },
    ): TaskNode<unknown> =>
      this.#add(
        prefix,
        group,
        id,
        options,
        {
          kind: "short_circuit",
          run: options.run,
          respectTriggerRules: options.respectTriggerRules ?? false,
        },
        placeOfCaller(shortCircuit),
      );
    const sensor = (id: string, options: TaskOptions & { readonly poke: Run }): TaskNode<unknown> =>
      this.#add(
        prefix,
        group,
        id,
        options,
        { kind: "sensor", poke: options.poke, spec: sensorSpec(options) },
        placeOfCaller(sensor),
      );
    const op = (
      operator: Operator<unknown, unknown>,
      id: string,
      args: TaskOptions & { readonly [name: string]: unknown },
    ): TaskNode<unknown> => {
      const own = Object.entries(args).filter(([name]) => !taskOptionNames.has(name));
      return this.#add(
        prefix,
        group,
        id,
        { ...args, in: Object.fromEntries(own) },
        {
          kind: "operator",
          type: operator.type,
          ...(operator.sensor ? { sensor: sensorSpec(args) } : {}),
        },
        placeOfCaller(op),
      );
    };
    const groupDeed = (
      id: string,
      build: (inside: LooseBuild) => unknown,
      options: { readonly tooltip?: string; readonly prefixIds?: boolean } = {},
    ): GroupNode<unknown> => {
      const at = placeOfCaller(groupDeed);
      const full = prefix + id;
      this.#claim(full, "group", at);
      const prefixed = options.prefixIds ?? true;
      this.groups.set(full, {
        id: full,
        parent: group,
        tooltip: options.tooltip,
        prefix: prefixed,
        at,
      });
      if (group !== undefined) this.groupOf.set(full, group);
      return new GroupHandle(full, build(this.build(full, prefixed ? `${full}.` : prefix)), this);
    };
    return { task, map, branch, shortCircuit, sensor, op, group: groupDeed };
  }

  order(upstream: readonly AnyNode[], to: string, at: Place | undefined): void {
    const list = this.#after.get(to) ?? [];
    this.#after.set(to, list);
    for (const node of upstream) {
      const id = this.#idOf(node, at);
      if (id !== undefined) list.push({ id, ...(at === undefined ? {} : { at }) });
    }
  }

  orderBefore(from: string, node: AnyNode, at: Place | undefined): void {
    const to = this.#idOf(node, at);
    if (to === undefined) return;
    const list = this.#after.get(to) ?? [];
    this.#after.set(to, list);
    list.push({ id: from, ...(at === undefined ? {} : { at }) });
  }

  weave(): ReadonlyMap<string, readonly string[]> {
    const targetEdges: { to: string; id: string; at: Place | undefined }[] = [];
    for (const task of this.tasks.values())
      if (task.work.kind === "branch")
        for (const choice of task.work.to) {
          const target = this.target(task, choice);
          if (target === undefined)
            this.#wrong(
              `"${task.id}" may choose "${choice}", but there is no such task or group`,
              task.at,
              `Known: ${[...this.tasks.keys()]
                .filter((id) => id !== task.id)
                .slice(0, 20)
                .join(", ")}.`,
            );
          else targetEdges.push({ to: target, id: task.id, at: task.at });
        }
    const after = (id: string): Thread["after"] => [
      ...(this.#after.get(id) ?? []),
      ...targetEdges
        .filter((edge) => edge.to === id)
        .map((edge) => ({ id: edge.id, ...(edge.at === undefined ? {} : { at: edge.at }) })),
    ];
    const thread = (one: { id: string; at: Place | undefined }): Thread => ({
      id: one.id,
      after: after(one.id),
      ...(one.at === undefined ? {} : { at: one.at }),
    });
    const woven = weave(
      [...this.tasks.values()].map(thread),
      [...this.groups.values()].map(thread),
      this.groupOf,
    );
    for (const { message, at, hint } of woven.problems) this.#wrong(message, at, hint);
    return woven.downstream;
  }

  /** A branch names its targets as they are called where it stands, or by their full id. */
  target(task: BuiltTask, choice: string): string | undefined {
    return [`${task.group ?? ""}.${choice}`, choice].find(
      (id) => this.tasks.has(id) || this.groups.has(id),
    );
  }

  groupSpecs(): GroupSpec[] {
    return [...this.groups.values()].map(({ id, parent, tooltip, prefix }) => ({
      group_id: id,
      ...(parent === undefined ? {} : { parent }),
      ...(tooltip === undefined ? {} : { tooltip }),
      prefix_group_id: prefix,
    }));
  }

  spec(
    task: BuiltTask,
    downstream: ReadonlyMap<string, readonly string[]>,
  ): DagSpec["tasks"][number] {
    const { work } = task;
    const sensor =
      work.kind === "sensor" ? work.spec : work.kind === "operator" ? work.sensor : undefined;
    const map = mapOf(task.over);
    return taskSpec(
      {
        id: task.id,
        operator: work.kind === "operator" ? work.type : work.kind,
        group: task.group,
        downstream: downstream.get(task.id) ?? [],
        runsIn: work.kind === "operator" && work.type === "empty" ? "inline" : "node",
        ...(map === undefined ? {} : { map }),
        ...(work.kind === "branch" || work.kind === "short_circuit" ? { decides: work.kind } : {}),
        ...(sensor === undefined ? {} : { sensor }),
        multipleOutputs: task.pushFields.size > 0,
      },
      task.options,
    );
  }

  #add(
    prefix: string,
    group: string | undefined,
    id: string,
    own: TaskOptions & { readonly in?: unknown },
    work: Work,
    at: Place | undefined,
    over?: unknown,
  ): TaskNode<unknown> {
    const full = prefix + id;
    this.#claim(full, "task", at);
    for (const problem of taskOptionProblems(own)) this.#wrong(`"${full}": ${problem}`, at);
    const run = work.kind === "sensor" ? work.poke : "run" in work ? work.run : undefined;
    if (work.kind !== "operator" && typeof run !== "function")
      this.#wrong(`"${full}" has no ${work.kind === "sensor" ? "poke" : "run"} function`, at);
    const task: BuiltTask = {
      id: full,
      group,
      at,
      options: { ...this.#defaults, ...own },
      input: "in" in own ? { value: own.in } : undefined,
      over: over === undefined ? undefined : this.#over(full, over, at),
      work,
      pushFields: new Set(),
      outlets: own.outlets ?? this.#defaults.outlets ?? [],
    };
    this.tasks.set(full, task);
    if (group !== undefined) this.groupOf.set(full, group);
    const refs = [...refsIn(own.in), ...(over instanceof RefValue ? [over] : [])];
    const list = this.#after.get(full) ?? [];
    this.#after.set(full, list);
    for (const ref of refs) {
      if (ref.site !== this)
        this.#wrong(`"${full}" takes the output of "${ref.taskId}", which is in another DAG`, at);
      else list.push({ id: ref.taskId, ...(at === undefined ? {} : { at }) });
    }
    // A handle is a node of whatever output; its types exist in the author's editor only.
    return new TaskHandle(full, [], this);
  }

  #over(full: string, over: unknown, at: Place | undefined): readonly unknown[] | RefValue {
    if (over instanceof RefValue) {
      const [field, ...deeper] = over.path;
      if (deeper.length > 0)
        this.#wrong(
          `"${full}" maps over ${over.taskId}.${over.path.join(".")}: only a whole output or one field of it can be mapped over`,
          at,
          "Put a task between that returns the list.",
        );
      const source = this.tasks.get(over.taskId);
      if (field !== undefined && source?.over !== undefined)
        this.#wrong(`"${full}" maps over a field of "${over.taskId}", which is itself mapped`, at);
      if (field !== undefined) source?.pushFields.add(field);
      return over;
    }
    if (Array.isArray(over)) return over as readonly unknown[];
    this.#wrong(
      `"${full}" maps over something that is neither a list nor the output of a task`,
      at,
    );
    return [];
  }

  #claim(id: string, kind: string, at: Place | undefined): void {
    if (!idPattern.test(id)) this.#wrong(`the ${kind} id "${id}" ${idRule}`, at);
    if (this.tasks.has(id) || this.groups.has(id))
      this.#wrong(`the id "${id}" is used twice in this DAG`, at);
  }

  #idOf(node: unknown, at: Place | undefined): string | undefined {
    if (node instanceof GroupHandle && node.site === this) return node.groupId;
    if (node instanceof RefValue && node.site === this) return node.taskId;
    const meant = typeof node === "string" ? nearest(node, [...this.tasks.keys()]) : undefined;
    this.#wrong(
      typeof node === "string"
        ? `order is given between tasks and groups, not between names ("${node}")`
        : "order is given between tasks and groups of the same DAG, this is something else",
      at,
      meant === undefined ? undefined : `Keep what task("${meant}", …) returns in a variable.`,
    );
    return undefined;
  }
}

type RunOptions = TaskOptions & { readonly in?: unknown; readonly run: Run };
type LooseBuild = {
  readonly [deed in keyof Build<unknown>]: (...args: never[]) => unknown;
};

export type AnyContext = Context<unknown>;

function mapOf(over: BuiltTask["over"]): MapSpec | undefined {
  if (over === undefined) return undefined;
  return {
    kind: "product",
    sources: [
      over instanceof RefValue
        ? {
            kind: "task",
            task_id: known.task(over.taskId),
            key: over.path[0] ?? "return_value",
          }
        : { kind: "literal", length: over.length },
    ],
  };
}

/** Every reference inside a value, bounded in depth: an input may be any object of the author's. */
export function refsIn(value: unknown, depth = 0): RefValue[] {
  if (value instanceof RefValue) return [value];
  if (typeof value !== "object" || value === null || depth > 32) return [];
  return Object.values(value).flatMap((inner) => refsIn(inner, depth + 1));
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

/** Ids to go on with and to skip, when a branch chose. Airflow's rule: what a chosen task leads to is not skipped. */
export function branchEnds(
  dagInside: Pick<DagInside, "downstream" | "groupOf">,
  taskId: string,
  targets: readonly string[],
  reach: (from: string) => ReadonlySet<string>,
): { readonly followed: string[]; readonly skipped: string[] } {
  const followed = targets.flatMap((target) =>
    firstTasks(target, dagInside.downstream, dagInside.groupOf),
  );
  const keep = new Set(followed.flatMap((id) => [id, ...reach(id)]));
  return {
    followed,
    skipped: (dagInside.downstream.get(taskId) ?? []).filter((id) => !keep.has(id)),
  };
}
