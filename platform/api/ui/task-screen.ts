/** One answer for the task instance's screen, and its mapped siblings in columns. Values of XComs come when they are opened. */
import { z } from "zod";
import type { DagSpec, TaskSpec } from "../../model/dag-spec.ts";
import {
  type AttemptRow,
  countSiblings,
  instancesMax,
  listAttempts,
  listInstanceArtifacts,
  listSameTask,
  listScreenInstances,
  listXComHeads,
  type RunPins,
  readRendered,
  readRunPins,
  xcomsMax,
} from "../../store/read-run-screen.ts";
import type { TaskInstanceRow } from "../../store/read-runs.ts";
import { whyAnswer, whyInstance } from "../airflow/read-why.ts";
import { runOf } from "../airflow/runs.ts";
import { specOf } from "../airflow/specs.ts";
import { instanceOf } from "../airflow/task-instances.ts";
import { iso } from "../airflow/to-airflow.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { whole } from "../fields.ts";
import { notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";

const tag = "Page";
const words = z.string();
const or = <T extends z.ZodType>(of: T): z.ZodNullable<T> => z.nullable(of);
const at = z.iso.datetime();
const one = `${ui}/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}`;
const indexMax = 2_147_483_647;

const attempt = z.object({
  try_number: z.int(),
  state: words,
  outcome: or(words),
  reason: or(words),
  admitted_at: at,
  started_at: or(at),
  ended_at: or(at),
  start_ms: or(z.number()),
  host: or(words),
  exit_code: or(z.int()),
  signal: or(words),
  limit_hit: or(words),
  cpu_s: or(z.number()),
  peak_memory: or(z.number()),
  log_bytes: z.number(),
  crashes: z.int(),
});
export type ScreenTry = z.output<typeof attempt>;

const xcomHead = z.object({
  task_id: words,
  map_index: z.int(),
  key: words,
  bytes: z.number(),
  at,
});
export type XComHead = z.output<typeof xcomHead>;

const taskScreen = z.object({
  now: at,
  run: z.object({
    dag_name: words,
    state: words,
    run_type: words,
    logical_date: or(at),
    run_after: at,
    version: z.int(),
    commit: words,
    repository: words,
    path: words,
    /** JSON text, as all values below: no number of it is rounded on its way. */
    conf: words,
  }),
  instance: z.object({
    id: words,
    name: words,
    state: or(words),
    try_number: z.int(),
    max_tries: z.int(),
    scheduled_at: or(at),
    queued_at: or(at),
    started_at: or(at),
    ended_at: or(at),
    label: or(words),
    note: or(words),
    reason: or(words),
  }),
  why: whyAnswer,
  attempts: z.array(attempt),
  /** Of the version that ran; null where the task or the version is gone. */
  task: or(
    z.object({
      operator: words,
      doc_md: or(words),
      owner: or(words),
      trigger_rule: words,
      retries: z.int(),
      retry_delay_s: z.number(),
      execution_timeout_s: or(z.number()),
      depends_on_past: z.boolean(),
      is_setup: z.boolean(),
      is_teardown: z.boolean(),
      group: or(words),
      mapped: z.boolean(),
      upstream: z.array(words),
      downstream: z.array(words),
    }),
  ),
  given: z.object({
    runs_in: or(words),
    level: or(words),
    queue: words,
    pool: words,
    pool_slots: z.int(),
    priority_weight: z.int(),
    environment: words,
    environments: z.record(words, words),
    limits: z.record(words, z.number()),
    egress: z.array(words),
  }),
  rendered: z.object({ try_number: z.int(), fields: or(words) }),
  /** null: not for the asker to see. */
  xcoms: or(
    z.object({
      out: z.array(xcomHead),
      in: z.array(xcomHead),
      truncated: z.boolean(),
    }),
  ),
  artifacts: or(
    z.array(
      z.object({
        try_number: z.int(),
        name: words,
        bytes: z.number(),
        content_type: words,
        at,
      }),
    ),
  ),
  siblings: z.array(z.object({ state: or(words), count: z.int() })),
  previous: or(z.object({ run_id: words, state: or(words), run_after: at })),
  next: or(z.object({ run_id: words, state: or(words), run_after: at })),
});
export type TaskScreen = z.output<typeof taskScreen>;

const siblings = z.object({
  base: z.number(),
  map: z.array(z.int()),
  state: z.array(or(words)),
  try: z.array(z.int()),
  started: z.array(or(z.number())),
  ended: z.array(or(z.number())),
  labels: z.array(z.tuple([z.int(), words])),
  truncated: z.boolean(),
});
export type Siblings = z.output<typeof siblings>;

export const taskScreenEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: one,
      tag,
      summary: "All that the screen of a task instance shows",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      query: {
        map_index: whole(-1, indexMax).default(-1),
        /** Whose rendered fields; left out: the last try's. */
        try_number: whole(0, indexMax).optional(),
      },
      answers: { 200: taskScreen },
    },
    async (ask) => {
      const run = await runOf(ask);
      const row = await instanceOf(ask, ask.query.map_index);
      const ref = { run: row.run, taskId: row.task_id, mapIndex: row.map_index };
      const tryNumber = ask.query.try_number ?? row.try_number;
      const seesXComs = ask.may("xcom.read", `dag:${row.dag_id}`);
      const [why, found] = await Promise.all([
        whyInstance(ask, row),
        ask.tx(async (tx) => {
          const spec = await specOf(tx, row);
          const upstream = upstreamOf(spec, row.task_id);
          const [pins, attempts, rendered, xcoms, artifacts, counts, same] = await Promise.all([
            readRunPins(tx, row.run),
            listAttempts(tx, ref),
            readRendered(tx, { ...ref, tryNumber }),
            seesXComs ? listXComHeads(tx, ref, upstream) : null,
            seesXComs ? listInstanceArtifacts(tx, ref) : null,
            countSiblings(tx, ref),
            listSameTask(tx, ref),
          ]);
          return { spec, upstream, pins, attempts, rendered, xcoms, artifacts, counts, same };
        }),
      ]);
      const { spec, pins } = found;
      const task = spec?.tasks.find(({ task_id }) => task_id === row.task_id);
      const same = (place: "previous" | "next"): TaskScreen["previous"] => {
        const other = found.same.find((each) => each.place === place);
        return other === undefined
          ? null
          : { run_id: other.run_id, state: other.state, run_after: other.run_after.toISOString() };
      };
      const answer: TaskScreen = {
        now: new Date().toISOString(),
        run: {
          dag_name: run.display_name,
          state: run.state,
          run_type: run.run_type,
          logical_date: iso(run.logical_date),
          run_after: run.run_after.toISOString(),
          version: run.version,
          commit: run.commit,
          repository: run.repository,
          path: pins?.path ?? "",
          conf: run.conf ?? "{}",
        },
        instance: {
          id: row.id,
          name: task?.display_name ?? row.task_id,
          state: row.state,
          try_number: row.try_number,
          max_tries: row.max_tries,
          scheduled_at: iso(row.scheduled_at),
          queued_at: iso(row.queued_at),
          started_at: iso(row.started_at),
          ended_at: iso(row.ended_at),
          label: row.rendered_map_index,
          note: row.note,
          reason: row.reason,
        },
        why,
        attempts: found.attempts.map(toTry),
        task: task === undefined ? null : toTask(task, spec, found.upstream),
        given: toGiven(row, task, spec, pins),
        rendered: {
          try_number: tryNumber,
          fields: found.rendered ?? null,
        },
        xcoms:
          found.xcoms === null
            ? null
            : {
                out: found.xcoms.filter(({ task_id }) => task_id === row.task_id).map(withTime),
                in: found.xcoms.filter(({ task_id }) => task_id !== row.task_id).map(withTime),
                truncated: found.xcoms.length >= xcomsMax,
              },
        artifacts: found.artifacts?.map(withTime) ?? null,
        siblings: found.counts.map(({ state, count }) => ({ state, count })),
        previous: same("previous"),
        next: same("next"),
      };
      return json(200, answer);
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${one}/siblings`,
      tag,
      summary: "All instances of a mapped task in a run, in columns",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      answers: { 200: siblings },
    },
    async (ask) => {
      const run = await runOf(ask);
      const rows = await ask.tx((tx) =>
        listScreenInstances(tx, run.run, ask.params["task_id"] ?? ""),
      );
      if (rows.length === 0) throw notFound("The run has no such task");
      const base = run.queued_at.getTime();
      const since = (time: number | null): number | null => (time === null ? null : time - base);
      return json(200, {
        base,
        map: rows.map(({ map_index }) => map_index),
        state: rows.map(({ state }) => state),
        try: rows.map(({ try_number }) => try_number),
        started: rows.map(({ started }) => since(started)),
        ended: rows.map(({ ended }) => since(ended)),
        labels: rows.flatMap(({ label }, i): [number, string][] =>
          label === null ? [] : [[i, label]],
        ),
        truncated: rows.length >= instancesMax,
      } satisfies Siblings);
    },
  ),
];

const upstreamOf = (spec: DagSpec | undefined, taskId: string): readonly string[] =>
  (spec?.tasks ?? [])
    .filter(({ downstream }) => downstream.some((id) => id === taskId))
    .map(({ task_id }) => task_id);

const withTime = <R extends { readonly at: Date }>(row: R): Omit<R, "at"> & { at: string } => ({
  ...row,
  at: row.at.toISOString(),
});

const toTry = (row: AttemptRow): ScreenTry => ({
  try_number: row.try_number,
  state: row.state,
  outcome: row.outcome,
  reason: row.reason,
  admitted_at: row.admitted_at.toISOString(),
  started_at: iso(row.started_at),
  ended_at: iso(row.ended_at),
  start_ms: row.start_ms,
  host: row.host,
  exit_code: row.exit_code,
  signal: row.signal,
  limit_hit: row.limit_hit,
  cpu_s: row.cpu_s,
  peak_memory: row.peak_memory,
  log_bytes: row.log_bytes,
  crashes: row.crashes,
});

const toTask = (
  task: TaskSpec,
  spec: DagSpec | undefined,
  upstream: readonly string[],
): NonNullable<TaskScreen["task"]> => ({
  operator: task.operator,
  doc_md: task.doc_md ?? null,
  owner: task.owner ?? spec?.owners[0] ?? null,
  trigger_rule: task.trigger_rule,
  retries: task.retries,
  retry_delay_s: task.retry_delay_s,
  execution_timeout_s: task.execution_timeout_s ?? null,
  depends_on_past: task.depends_on_past,
  is_setup: task.is_setup,
  is_teardown: task.is_teardown,
  group: task.group ?? null,
  mapped: task.map !== undefined,
  upstream: [...upstream],
  downstream: [...task.downstream],
});

/** What surrounds the task's code: names, hashes and numbers, never a place on the server's disk, never a value. */
function toGiven(
  row: TaskInstanceRow,
  task: TaskSpec | undefined,
  spec: DagSpec | undefined,
  pins: RunPins | undefined,
): TaskScreen["given"] {
  return {
    runs_in: task?.runs_in ?? null,
    level: spec?.level ?? null,
    queue: row.queue,
    pool: row.pool,
    pool_slots: row.pool_slots,
    priority_weight: row.priority_weight,
    environment: pins?.environment ?? "",
    environments: Object.fromEntries(
      Object.entries(pins?.environments ?? {}).flatMap(([guest, made]) => {
        const hash =
          typeof made === "object" && made !== null && "hash" in made ? made.hash : undefined;
        return typeof hash === "string" ? [[guest, hash] as const] : [];
      }),
    ),
    limits: Object.fromEntries(
      Object.entries(pins?.limits ?? {}).flatMap(([name, value]) =>
        typeof value === "number" ? [[name, value] as const] : [],
      ),
    ),
    egress: (pins?.egress ?? []).map(({ host, port }) => `${host}:${String(port)}`),
  };
}
