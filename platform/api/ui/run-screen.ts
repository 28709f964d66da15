/**
 * One answer for the run's screen: its head, its tasks' order, and the times of all instances and attempts in
 * columns, so that 5,000 tasks are a few hundred kilobytes and not as many objects.
 */
import { z } from "zod";
import type { DagSpec } from "../../model/dag-spec.ts";
import {
  instancesMax,
  listNeighbourRuns,
  listScreenAttempts,
  listScreenInstances,
  type NeighbourRun,
  readRunPins,
} from "../../store/read-run-screen.ts";
import type { RunRow } from "../../store/read-runs.ts";
import { whyAnswer, whyRun } from "../airflow/read-why.ts";
import { runOf } from "../airflow/runs.ts";
import { specOf } from "../airflow/specs.ts";
import { iso } from "../airflow/to-airflow.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { text } from "../fields.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";

const tag = "Page";
const words = z.string();
const or = <T extends z.ZodType>(of: T): z.ZodNullable<T> => z.nullable(of);
const at = z.iso.datetime();

const otherRun = z.object({
  dag_id: words,
  run_id: words,
  state: words,
  run_after: at,
  task_id: or(words),
  map_index: z.int(),
});
export type OtherRun = z.output<typeof otherRun>;

/** The tasks' order, in columns; indexes are places in `tasks` and `groups`. */
const structure = z.object({
  tasks: z.array(words),
  names: z.array(words),
  operators: z.array(words),
  downstream: z.array(z.array(z.int())),
  /** −1: in none. */
  group: z.array(z.int()),
  mapped: z.array(z.boolean()),
  groups: z.array(words),
  /** −1: at the top. */
  parent: z.array(z.int()),
});
export type Structure = z.output<typeof structure>;

const times = z.array(or(z.number()));
const runScreen = z.object({
  now: at,
  run: z.object({
    dag_id: words,
    dag_name: words,
    run_id: words,
    run_type: words,
    state: words,
    logical_date: or(at),
    interval_start: or(at),
    interval_end: or(at),
    run_after: at,
    queued_at: at,
    started_at: or(at),
    ended_at: or(at),
    version: z.int(),
    commit: words,
    repository: words,
    path: words,
    clear_number: z.int(),
    triggered_by: words,
    triggering_user: or(words),
    /** JSON text, so that no number of it is rounded on its way. */
    conf: words,
    note: or(words),
    reason: or(words),
  }),
  why: whyAnswer,
  origin: or(otherRun),
  triggered: z.array(otherRun),
  previous: or(otherRun),
  next: or(otherRun),
  /** Of the version; null where it is gone. */
  version_id: or(words),
  /** null: it is the one that was named as known. */
  structure: or(structure),
  /** Names of tasks that the version does not have; they come after its own in `instances.task`. */
  more_tasks: z.array(words),
  /** Epoch milliseconds that all times below count from. */
  base: z.number(),
  /** The words that `instances.state` counts. */
  states: z.array(or(words)),
  instances: z.object({
    task: z.array(z.int()),
    map: z.array(z.int()),
    state: z.array(z.int()),
    try: z.array(z.int()),
    max_tries: z.array(z.int()),
    scheduled: times,
    queued: times,
    started: times,
    ended: times,
    /** What mapped instances call themselves: place and text. */
    labels: z.array(z.tuple([z.int(), words])),
  }),
  /** There are more instances than are told. */
  truncated: z.boolean(),
  attempts: z.object({
    /** Place in `instances`. */
    instance: z.array(z.int()),
    try: z.array(z.int()),
    admitted: z.array(z.number()),
    started: times,
    ended: times,
    /** From the claim until the task's own code ran, milliseconds. */
    start_ms: times,
    outcome: z.array(or(words)),
  }),
});
export type RunScreen = z.output<typeof runScreen>;

export const runScreenEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/dagRuns/{dag_run_id}`,
      tag,
      summary: "All that the screen of a run shows",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      query: { known: text(60).optional() },
      answers: { 200: runScreen },
    },
    async (ask) => {
      const row = await runOf(ask);
      return json(200, await readScreen(ask, row, ask.query.known));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/dagRuns/{dag_run_id}/why`,
      tag,
      summary: "Why a run is where it is, and what blocks it",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      answers: { 200: whyAnswer },
    },
    async (ask) => json(200, await whyRun(ask, await runOf(ask))),
  ),
];

async function readScreen(
  ask: Ask<unknown, unknown>,
  row: RunRow,
  known: string | undefined,
): Promise<RunScreen> {
  const { run } = row;
  const [why, found] = await Promise.all([
    whyRun(ask, row),
    ask.tx(async (tx) => {
      const [pins, instances, attempts, neighbours, spec] = await Promise.all([
        readRunPins(tx, run),
        listScreenInstances(tx, run),
        listScreenAttempts(tx, run),
        listNeighbourRuns(tx, run),
        specOf(tx, row),
      ]);
      return { pins, instances, attempts, neighbours, spec };
    }),
  ]);
  const { pins, instances, attempts, neighbours, spec } = found;
  const order = new Map<string, number>((spec?.tasks ?? []).map(({ task_id }, i) => [task_id, i]));
  const more: string[] = [];
  const base = row.queued_at.getTime();
  const since = (time: number | null): number | null => (time === null ? null : time - base);
  const states: (string | null)[] = [null];
  const columns: RunScreen["instances"] = {
    task: [],
    map: [],
    state: [],
    try: [],
    max_tries: [],
    scheduled: [],
    queued: [],
    started: [],
    ended: [],
    labels: [],
  };
  const places = new Map<string, number>();
  for (const [place, one] of instances.entries()) {
    let task = order.get(one.task_id);
    if (task === undefined) {
      task = order.size;
      order.set(one.task_id, task);
      more.push(one.task_id);
    }
    let state = states.indexOf(one.state);
    if (state < 0) state = states.push(one.state) - 1;
    columns.task.push(task);
    columns.map.push(one.map_index);
    columns.state.push(state);
    columns.try.push(one.try_number);
    columns.max_tries.push(one.max_tries);
    columns.scheduled.push(since(one.scheduled));
    columns.queued.push(since(one.queued));
    columns.started.push(since(one.started));
    columns.ended.push(since(one.ended));
    if (one.label !== null) columns.labels.push([place, one.label]);
    places.set(`${one.map_index} ${one.task_id}`, place);
  }
  const tries: RunScreen["attempts"] = {
    instance: [],
    try: [],
    admitted: [],
    started: [],
    ended: [],
    start_ms: [],
    outcome: [],
  };
  for (const one of attempts) {
    const place = places.get(`${one.map_index} ${one.task_id}`);
    if (place === undefined) continue;
    tries.instance.push(place);
    tries.try.push(one.try_number);
    tries.admitted.push(one.admitted - base);
    tries.started.push(since(one.started));
    tries.ended.push(since(one.ended));
    tries.start_ms.push(one.start_ms === null ? null : Math.round(one.start_ms));
    tries.outcome.push(one.outcome);
  }
  // A run of another DAG is told only to those who may see that DAG.
  const seen = neighbours
    .filter(({ dag_id }) => dag_id === row.dag_id || ask.may("run.read", `dag:${dag_id}`))
    .map((other) => ({ place: other.place, run: toOther(other) }));
  const one = (place: NeighbourRun["place"]): OtherRun | null =>
    seen.find((other) => other.place === place)?.run ?? null;
  return {
    now: new Date().toISOString(),
    run: {
      dag_id: row.dag_id,
      dag_name: row.display_name,
      run_id: row.run_id,
      run_type: row.run_type,
      state: row.state,
      logical_date: iso(row.logical_date),
      interval_start: iso(row.interval_start),
      interval_end: iso(row.interval_end),
      run_after: row.run_after.toISOString(),
      queued_at: row.queued_at.toISOString(),
      started_at: iso(row.started_at),
      ended_at: iso(row.ended_at),
      version: row.version,
      commit: row.commit,
      repository: row.repository,
      path: pins?.path ?? "",
      clear_number: pins?.clear_number ?? 0,
      triggered_by: row.triggered_by,
      triggering_user: row.triggering_user,
      conf: row.conf ?? "{}",
      note: row.note,
      reason: row.reason,
    },
    why,
    origin: one("origin"),
    triggered: seen.filter(({ place }) => place === "triggered").map((other) => other.run),
    previous: one("previous"),
    next: one("next"),
    version_id: row.version_id,
    structure:
      spec === undefined || (known !== undefined && known === row.version_id)
        ? null
        : structureOf(spec),
    more_tasks: more,
    base,
    states,
    instances: columns,
    truncated: instances.length >= instancesMax,
    attempts: tries,
  };
}

const toOther = (row: NeighbourRun): OtherRun => ({
  dag_id: row.dag_id,
  run_id: row.run_id,
  state: row.state,
  run_after: row.run_after.toISOString(),
  task_id: row.task_id,
  map_index: row.map_index ?? -1,
});

function structureOf(spec: DagSpec): Structure {
  const tasks = new Map<string, number>(spec.tasks.map(({ task_id }, i) => [task_id, i]));
  const groups = new Map<string, number>(spec.groups.map(({ group_id }, i) => [group_id, i]));
  const mappedGroups = new Set(spec.groups.flatMap((group) => (group.map ? [group.group_id] : [])));
  const inMapped = (group: string | undefined): boolean => {
    for (let at = group, steps = 0; at !== undefined && steps < 100; steps += 1) {
      if (mappedGroups.has(at)) return true;
      const here = at;
      at = spec.groups.find(({ group_id }) => group_id === here)?.parent;
    }
    return false;
  };
  const mappedBy = new Map<string | undefined, boolean>();
  const mapped = (group: string | undefined): boolean => {
    const kept = mappedBy.get(group);
    if (kept !== undefined) return kept;
    const made = inMapped(group);
    mappedBy.set(group, made);
    return made;
  };
  const groupPlace = (id: string | undefined): number =>
    id === undefined ? -1 : (groups.get(id) ?? -1);
  return {
    tasks: spec.tasks.map(({ task_id }) => task_id),
    names: spec.tasks.map((task) => task.display_name ?? task.task_id),
    operators: spec.tasks.map(({ operator }) => operator),
    downstream: spec.tasks.map(({ downstream }) =>
      downstream.flatMap((id) => {
        const place = tasks.get(id);
        return place === undefined ? [] : [place];
      }),
    ),
    group: spec.tasks.map(({ group }) => groupPlace(group)),
    mapped: spec.tasks.map((task) => task.map !== undefined || mapped(task.group)),
    groups: spec.groups.map(({ group_id }) => group_id),
    parent: spec.groups.map(({ parent }) => groupPlace(parent)),
  };
}
