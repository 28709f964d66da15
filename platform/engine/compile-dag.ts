import type { DagSpec, MapSource, MapSpec, TaskSpec } from "../model/dag-spec.ts";
import type { DagId, TaskId } from "../model/ids.ts";
import { pushedName } from "../model/run.ts";
import type { SemanticsLevel } from "../model/states.ts";

/** A DAG version made ready for deciding: never changed, so a process keeps it per version. */
export type CompiledDag = {
  readonly dag_id: DagId;
  readonly level: SemanticsLevel;
  readonly fail_fast: boolean;
  readonly spec: DagSpec;
  readonly tasks: ReadonlyMap<TaskId, CompiledTask>;
  /** Upstreams before downstreams; `CompiledTask.position` is the place in here. */
  readonly order: readonly CompiledTask[];
  readonly roots: readonly TaskId[];
  /** Their states decide how a run ends (Airflow's meaning: teardowns are ignored). */
  readonly leaves: readonly TaskId[];
  readonly mappedGroups: ReadonlyMap<string, MappedGroup>;
  /** Task ids by group id, nested groups included. */
  readonly groups: ReadonlyMap<string, readonly TaskId[]>;
  /** A mapped task or group longer than this fails instead of flooding the run. */
  readonly mapLengthMax: number;
};

export type CompiledTask = {
  readonly id: TaskId;
  readonly spec: TaskSpec;
  readonly position: number;
  readonly upstream: readonly Edge[];
  readonly downstream: readonly Edge[];
  readonly isLeaf: boolean;
  readonly isInline: boolean;
  /** weight_rule applied, clamped to int32. */
  readonly priorityWeight: number;
  /** The mapped task group it is in. */
  readonly mappedGroup?: string;
  /** Its own map, or its group's: what its instances are counted by. */
  readonly map?: MapSpec;
  /** Tasks whose results that map takes. */
  readonly mapSources: readonly TaskId[];
  /** Tasks and groups (by id) that map over its result. */
  readonly mappedBy: readonly { readonly kind: "task" | "group"; readonly id: string }[];
  /** All tasks that map over its result, every member of a mapped group included. */
  readonly feedsMapsOf: readonly TaskId[];
  /** It is mapped and others map over it: a counter of its own instances says when all have ended. */
  readonly countsItself: boolean;
  /** Its guest must push the length of what it returns. */
  readonly pushesLength: boolean;
  /** Other keys whose lengths its guest must push. */
  readonly pushesKeys: readonly string[];
  /** Upstream setups without a teardown, or with one that comes after this task. */
  readonly relevantSetups: readonly TaskId[];
  /** Relevant setups that are not direct upstreams: each must have succeeded (Airflow's setup constraint). */
  readonly gates: readonly TaskId[];
  /** The tasks it is such a gate of. */
  readonly gateOf: readonly TaskId[];
  /** Direct upstreams that are branches or short circuits. */
  readonly deciders: readonly TaskId[];
  /** Tasks of the next run that wait for how it ends here (depends_on_past, wait_for_downstream). */
  readonly wakesPast: readonly TaskId[];
  /** Upstream and downstream are in one mapped group: it waits for its own index only. */
  readonly hasScopedUpstream: boolean;
};

/** `scoped`: both ends are in the same mapped group, and index i waits for index i. */
export type Edge = { readonly id: TaskId; readonly scoped: boolean };

type MappedGroup = {
  readonly id: string;
  readonly map: MapSpec;
  readonly tasks: readonly TaskId[];
  readonly sources: readonly TaskId[];
};

/**
 * Once per DAG version. The spec must have passed `readDagSpec`: ids exist, there is no cycle, no mapping
 * inside a mapped group.
 */
export function compileDag(spec: DagSpec, mapLengthMax = 10_000): CompiledDag {
  const specs = new Map(spec.tasks.map((task) => [task.task_id, task] as const));
  const upstreamIds = upstreamsOf(spec);
  const sorted = sortUpstreamsFirst(spec, upstreamIds);
  const groups = tasksByGroup(spec);
  const mappedGroups = mappedGroupsOf(spec, groups);
  const groupOf = new Map<TaskId, MappedGroup>();
  for (const group of mappedGroups.values())
    for (const task of group.tasks) groupOf.set(task, group);
  const weights = priorityWeights(sorted, upstreamIds);
  const gates = setupGates(spec, specs, upstreamIds);
  const mappedBy = new Map<TaskId, { kind: "task" | "group"; id: string }[]>();
  for (const task of spec.tasks)
    for (const source of task.map ? sourcesOf(task.map) : [])
      push(mappedBy, source, { kind: "task", id: task.task_id });
  for (const group of mappedGroups.values())
    for (const source of group.sources) push(mappedBy, source, { kind: "group", id: group.id });
  const keysMapped = mappedKeysOf(spec);
  const wakesPast = pastWaiters(spec, upstreamIds);

  const edge = (from: TaskId, to: TaskId, other: TaskId): Edge => ({
    id: other,
    scoped: isScoped(specs, groupOf, from, to),
  });
  const order = sorted.map((task, position): CompiledTask => {
    const id = task.task_id;
    const group = groupOf.get(id);
    const map = task.map ?? group?.map;
    const upstream = (upstreamIds.get(id) ?? []).map((up) => edge(up, id, up));
    return {
      id,
      spec: task,
      position,
      upstream,
      downstream: unique(task.downstream).map((down) => edge(id, down, down)),
      isLeaf: isLeaf(task, specs),
      isInline: task.runs_in === "inline",
      priorityWeight: weights.get(id) ?? 1,
      ...(group ? { mappedGroup: group.id } : {}),
      ...(map ? { map } : {}),
      mapSources: map ? sourcesOf(map) : [],
      mappedBy: mappedBy.get(id) ?? [],
      feedsMapsOf: (mappedBy.get(id) ?? []).flatMap((by) =>
        by.kind === "task" ? [by.id as TaskId] : (mappedGroups.get(by.id)?.tasks ?? []),
      ),
      countsItself: map !== undefined && mappedBy.has(id),
      pushesLength: map === undefined && keysMapped.get(id)?.has("return_value") === true,
      pushesKeys:
        map === undefined
          ? [...(keysMapped.get(id) ?? [])].filter((key) => key !== "return_value")
          : [],
      relevantSetups: gates.relevant.get(id) ?? [],
      gates: gates.gates.get(id) ?? [],
      gateOf: gates.gateOf.get(id) ?? [],
      deciders: (upstreamIds.get(id) ?? []).filter((up) => specs.get(up)?.decides !== undefined),
      wakesPast: wakesPast.get(id) ?? [],
      hasScopedUpstream: upstream.some((up) => up.scoped),
    };
  });
  return {
    dag_id: spec.dag_id,
    level: spec.level,
    fail_fast: spec.fail_fast,
    spec,
    tasks: new Map(order.map((task) => [task.id, task])),
    order,
    roots: order.filter((task) => task.upstream.length === 0).map((task) => task.id),
    leaves: order.filter((task) => task.isLeaf).map((task) => task.id),
    mappedGroups,
    groups,
    mapLengthMax,
  };
}

function upstreamsOf(spec: DagSpec): ReadonlyMap<TaskId, readonly TaskId[]> {
  const upstreams = new Map<TaskId, TaskId[]>();
  for (const task of spec.tasks)
    for (const down of new Set(task.downstream)) push(upstreams, down, task.task_id);
  return upstreams;
}

/** Kahn's algorithm, stable in the order of the file. */
function sortUpstreamsFirst(
  spec: DagSpec,
  upstreams: ReadonlyMap<TaskId, readonly TaskId[]>,
): TaskSpec[] {
  const specs = new Map(spec.tasks.map((task) => [task.task_id, task] as const));
  const open = new Map(
    spec.tasks.map((task) => [task.task_id, upstreams.get(task.task_id)?.length ?? 0] as const),
  );
  const sorted = spec.tasks.filter((task) => open.get(task.task_id) === 0);
  for (let next = 0; next < sorted.length; next++) {
    for (const down of new Set(sorted[next]?.downstream)) {
      const left = (open.get(down) ?? 0) - 1;
      open.set(down, left);
      const task = specs.get(down);
      if (left === 0 && task) sorted.push(task);
    }
  }
  if (sorted.length !== spec.tasks.length)
    throw new Error(`DAG ${spec.dag_id} has a cycle or an unknown downstream: read it first`);
  return sorted;
}

function tasksByGroup(spec: DagSpec): Map<string, TaskId[]> {
  const parents = new Map(spec.groups.map((group) => [group.group_id, group.parent]));
  const members = new Map<string, TaskId[]>(spec.groups.map((group) => [group.group_id, []]));
  for (const task of spec.tasks)
    for (let group = task.group; group !== undefined; group = parents.get(group))
      members.get(group)?.push(task.task_id);
  return members;
}

function mappedGroupsOf(
  spec: DagSpec,
  groups: ReadonlyMap<string, readonly TaskId[]>,
): Map<string, MappedGroup> {
  const mapped = new Map<string, MappedGroup>();
  for (const { group_id, map } of spec.groups) {
    if (!map) continue;
    const tasks = groups.get(group_id) ?? [];
    mapped.set(group_id, { id: group_id, map, tasks, sources: sourcesOf(map) });
  }
  return mapped;
}

/**
 * In a mapped group, index i waits for index i. Airflow makes one exception: the rules that fire early
 * (one_success, one_failed, one_done), on a task directly in the group, look at all indexes.
 */
function isScoped(
  specs: ReadonlyMap<TaskId, TaskSpec>,
  groupOf: ReadonlyMap<TaskId, MappedGroup>,
  from: TaskId,
  to: TaskId,
): boolean {
  const group = groupOf.get(to);
  const task = specs.get(to);
  if (!group || !task || groupOf.get(from) !== group) return false;
  return !(task.group === group.id && firesEarly.has(task.trigger_rule));
}
const firesEarly: ReadonlySet<string> = new Set(["one_success", "one_failed", "one_done"]);

function isLeaf(task: TaskSpec, specs: ReadonlyMap<TaskId, TaskSpec>): boolean {
  const ignorable = (one: TaskSpec | undefined): boolean =>
    one !== undefined && one.is_teardown && !one.on_failure_fail_dagrun;
  return !ignorable(task) && task.downstream.every((down) => ignorable(specs.get(down)));
}

/** own, own + all transitive downstreams (the default), or own + all transitive upstreams; as int32. */
function priorityWeights(
  sorted: readonly TaskSpec[],
  upstreams: ReadonlyMap<TaskId, readonly TaskId[]>,
): Map<TaskId, number> {
  const places = new Map(sorted.map((task, place) => [task.task_id, place] as const));
  const clamp = (weight: number): number =>
    Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(weight)));
  const sums = (
    rule: TaskSpec["weight_rule"],
    walk: readonly TaskSpec[],
    next: (task: TaskSpec) => readonly TaskId[],
  ): void => {
    if (!sorted.some((task) => task.weight_rule === rule)) return;
    const words = Math.ceil(sorted.length / 32);
    const reached: Uint32Array[] = [];
    for (const task of walk) {
      const place = places.get(task.task_id) ?? 0;
      const bits = new Uint32Array(words);
      for (const id of next(task)) {
        const to = places.get(id) ?? 0;
        const further = reached[to];
        for (let w = 0; further && w < words; w++) bits[w] = (bits[w] ?? 0) | (further[w] ?? 0);
        bits[to >>> 5] = (bits[to >>> 5] ?? 0) | (1 << (to & 31));
      }
      reached[place] = bits;
      if (task.weight_rule !== rule) continue;
      let sum = task.priority_weight;
      for (let w = 0; w < words; w++)
        for (let left = bits[w] ?? 0; left !== 0; left &= left - 1)
          sum += sorted[w * 32 + 31 - Math.clz32(left & -left)]?.priority_weight ?? 0;
      weights.set(task.task_id, clamp(sum));
    }
  };
  const weights = new Map(sorted.map((task) => [task.task_id, clamp(task.priority_weight)]));
  sums("downstream", sorted.toReversed(), (task) => task.downstream);
  sums("upstream", sorted, (task) => upstreams.get(task.task_id) ?? []);
  return weights;
}

/**
 * A setup is relevant to a task downstream of it if it has no teardown, or one of its teardowns comes after
 * the task. Direct upstreams are left out: the trigger rule sees them.
 */
function setupGates(
  spec: DagSpec,
  specs: ReadonlyMap<TaskId, TaskSpec>,
  upstreams: ReadonlyMap<TaskId, readonly TaskId[]>,
): {
  gates: Map<TaskId, TaskId[]>;
  gateOf: Map<TaskId, TaskId[]>;
  relevant: Map<TaskId, TaskId[]>;
} {
  const relevant = new Map<TaskId, TaskId[]>();
  const gates = new Map<TaskId, TaskId[]>();
  const gateOf = new Map<TaskId, TaskId[]>();
  const downstream = (id: TaskId): readonly TaskId[] => specs.get(id)?.downstream ?? [];
  const upstream = (id: TaskId): readonly TaskId[] => upstreams.get(id) ?? [];
  for (const setup of spec.tasks.filter((task) => task.is_setup)) {
    const teardowns = setup.downstream.filter((down) => specs.get(down)?.is_teardown);
    const before = teardowns.length > 0 ? reachable(teardowns, upstream) : undefined;
    for (const id of reachable([setup.task_id], downstream)) {
      if (specs.get(id)?.is_teardown || (before && !before.has(id))) continue;
      push(relevant, id, setup.task_id);
      if (setup.downstream.includes(id)) continue;
      push(gates, id, setup.task_id);
      push(gateOf, setup.task_id, id);
    }
  }
  return { gates, gateOf, relevant };
}

/** Everything that can be reached from `from` by `next`, `from` itself left out. */
export function reachable(
  from: readonly TaskId[],
  next: (id: TaskId) => readonly TaskId[],
): Set<TaskId> {
  const found = new Set<TaskId>();
  const open = from.flatMap(next);
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    open.push(...next(id));
  }
  return found;
}

function pastWaiters(
  spec: DagSpec,
  upstreams: ReadonlyMap<TaskId, readonly TaskId[]>,
): Map<TaskId, TaskId[]> {
  const waiters = new Map<TaskId, TaskId[]>();
  const waitsDownstream = new Set(
    spec.tasks.filter((task) => task.wait_for_downstream).map((task) => task.task_id),
  );
  for (const task of spec.tasks) {
    if (task.depends_on_past || task.wait_for_downstream) push(waiters, task.task_id, task.task_id);
    for (const up of upstreams.get(task.task_id) ?? [])
      if (waitsDownstream.has(up)) push(waiters, task.task_id, up);
  }
  return waiters;
}

/** By task: the keys of what it pushes that something maps over. */
function mappedKeysOf(spec: DagSpec): ReadonlyMap<TaskId, ReadonlySet<string>> {
  const keys = new Map<TaskId, Set<string>>();
  for (const { map } of [...spec.tasks, ...spec.groups])
    for (const { task_id, key } of map?.sources.flatMap(leavesOf) ?? []) {
      const known = keys.get(task_id);
      if (known) known.add(key);
      else keys.set(task_id, new Set([key]));
    }
  return keys;
}

/** The tasks whose results a map takes, each once. */
const sourcesOf = (map: MapSpec): TaskId[] =>
  unique(map.sources.flatMap(leavesOf).map((leaf) => leaf.task_id));

/** The names under which the lengths are kept that a map is made of. */
export const lengthNamesOf = (map: MapSpec): string[] =>
  unique(map.sources.flatMap(leavesOf).map((leaf) => pushedName(leaf.task_id, leaf.key)));

type Leaf = Extract<MapSource, { kind: "task" }>;
const leavesOf = (source: MapSource): Leaf[] => {
  switch (source.kind) {
    case "literal":
      return [];
    case "task":
      return [source];
    case "zip":
    case "concat":
      return source.of.flatMap(leavesOf);
  }
};

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
