/** How a DAG does over time, what its file says, and which commits changed it. */
import { z } from "zod";
import type { DagSpec } from "../../model/dag-spec.ts";
import { getVersion } from "../../store/read-dags.ts";
import {
  type FailureRow,
  listChangesSince,
  listDeployedVersions,
  readFailures,
  readTrends,
  trendRunsMax,
} from "../../store/read-grid.ts";
import { noSuchDag } from "../airflow/dags.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { whole } from "../fields.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";
import { fingerprint } from "./fingerprint.ts";

const tag = "Page";
const seconds = z.number().nullable();

const dagTrends = z.object({
  since: z.string(),
  step_seconds: z.number(),
  /** No more than so many of the newest runs were looked at. */
  runs_max: z.number(),
  steps: z.array(
    z.object({
      at: z.string(),
      runs: z.number(),
      failed: z.number(),
      ran_median: seconds,
      ran_p95: seconds,
      waited_median: seconds,
      waited_p95: seconds,
      landed_median: seconds,
      landed_p95: seconds,
    }),
  ),
  deploys: z.array(z.object({ version: z.number(), commit: z.string(), at: z.string() })),
  causes: z.array(
    z.object({
      /** Reasons with all that differs from one to the next taken out; "" where none was given. */
      cause: z.string(),
      /** One of them as it was. */
      example: z.string(),
      count: z.number(),
      tasks: z.array(z.string()),
      last_at: z.string().nullable(),
      last_run_id: z.string(),
      last_task_id: z.string(),
    }),
  ),
});
export type DagTrends = z.output<typeof dagTrends>;

const dagFacts = z.object({
  version: z.number(),
  commit: z.string(),
  created_at: z.string(),
  doc_md: z.string().nullable(),
  description: z.string().nullable(),
  guest: z.string(),
  level: z.string(),
  timetable: z.record(z.string(), z.unknown()),
  timezone: z.string(),
  start_date: z.string().nullable(),
  end_date: z.string().nullable(),
  catchup: z.boolean(),
  max_active_runs: z.number(),
  max_active_tasks: z.number(),
  max_consecutive_failed_dag_runs: z.number(),
  dagrun_timeout_s: z.number().nullable(),
  fail_fast: z.boolean(),
  params: z.array(
    z.object({
      name: z.string(),
      description: z.string().nullable(),
      schema: z.record(z.string(), z.unknown()),
    }),
  ),
  tasks: z.number(),
  groups: z.number(),
  /** What most of its tasks have, and how many have something else. */
  usual: z.array(z.object({ name: z.string(), value: z.string(), others: z.number() })),
  operators: z.array(z.object({ name: z.string(), count: z.number() })),
});
export type DagFacts = z.output<typeof dagFacts>;

const dagVersions = z.object({
  versions: z.array(
    z.object({
      version: z.number(),
      commit: z.string(),
      repository: z.string(),
      path: z.string(),
      created_at: z.string(),
      runs: z.number(),
      first_run: z
        .object({ run_id: z.string(), state: z.string(), at: z.string().nullable() })
        .nullable(),
    }),
  ),
  runs_max: z.number(),
  /** For the next page; null: these were the last. */
  older: z.number().nullable(),
});
export type DagVersions = z.output<typeof dagVersions>;

const page = 50;

export const trendsEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/trends`,
      tag,
      summary: "Durations, waits, landing times and failures of a DAG's last days",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      query: { days: whole(1, 366).default(30) },
      answers: { 200: dagTrends },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] ?? "";
      const { since, stepSeconds } = stepsOf(ask.query.days, Date.now());
      const [version, steps, failures, deploys] = await ask.tx((tx) =>
        Promise.all([
          listDeployedVersions(tx, { dagId, limit: 1 }),
          readTrends(tx, { dagId, since, stepSeconds }),
          readFailures(tx, { dagId, since }),
          listChangesSince(tx, { dagId, since }),
        ]),
      );
      if (version.length === 0) throw noSuchDag(dagId);
      return json(200, {
        since: since.toISOString(),
        step_seconds: stepSeconds,
        runs_max: trendRunsMax,
        steps: steps.map(({ at, ...rest }) => ({ at: at.toISOString(), ...rest })),
        deploys: deploys.map(({ at, ...rest }) => ({ at: at.toISOString(), ...rest })),
        causes: causesOf(failures),
      } satisfies DagTrends);
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/facts`,
      tag,
      summary: "What a DAG's file says of it",
      policy: { deed: "dag.read", on: "dag:{dag_id}" },
      answers: { 200: dagFacts },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] ?? "";
      const found = await ask.tx((tx) => getVersion(tx, dagId));
      if (!found) throw noSuchDag(dagId);
      const { spec } = found;
      return json(200, {
        version: found.version,
        commit: found.commit,
        created_at: found.created_at.toISOString(),
        doc_md: spec.doc_md ?? null,
        description: spec.description ?? null,
        guest: spec.guest,
        level: spec.level,
        timetable: spec.timetable,
        timezone: spec.timezone,
        start_date: spec.start_date ?? null,
        end_date: spec.end_date ?? null,
        catchup: spec.catchup,
        max_active_runs: spec.max_active_runs,
        max_active_tasks: spec.max_active_tasks,
        max_consecutive_failed_dag_runs: spec.max_consecutive_failed_dag_runs,
        dagrun_timeout_s: spec.dagrun_timeout_s ?? null,
        fail_fast: spec.fail_fast,
        params: Object.entries(spec.params).map(([name, { schema, description }]) => ({
          name,
          description: description ?? null,
          schema,
        })),
        tasks: spec.tasks.length,
        groups: spec.groups.length,
        usual: usualOf(spec),
        operators: mostOf(spec.tasks.map(({ operator }) => operator)).slice(0, 30),
      } satisfies DagFacts);
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/versions`,
      tag,
      summary: "Commits that changed a DAG, newest first, and what ran on them",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      query: { before: whole(1, 2_147_483_647).optional() },
      answers: { 200: dagVersions },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] ?? "";
      const rows = await ask.tx((tx) =>
        listDeployedVersions(tx, { dagId, before: ask.query.before, limit: page + 1 }),
      );
      if (rows.length === 0 && ask.query.before === undefined) throw noSuchDag(dagId);
      const shown = rows.slice(0, page);
      return json(200, {
        versions: shown.map((row) => ({
          version: row.version,
          commit: row.commit,
          repository: row.repository,
          path: row.path,
          created_at: row.created_at.toISOString(),
          runs: row.runs,
          first_run:
            row.first_run_id === null
              ? null
              : {
                  run_id: row.first_run_id,
                  state: row.first_run_state ?? "queued",
                  at: row.first_run_at?.toISOString() ?? null,
                },
        })),
        runs_max: trendRunsMax,
        older: rows.length > page ? (shown.at(-1)?.version ?? null) : null,
      } satisfies DagVersions);
    },
  ),
];

/** Some sixty steps, of a length that people say; they begin at a whole one. */
function stepsOf(
  days: number,
  nowMs: number,
): { readonly since: Date; readonly stepSeconds: number } {
  const sizes = [900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800];
  const stepSeconds = sizes.find((size) => (days * 86_400) / size <= 100) ?? 604_800;
  const from = nowMs / 1000 - days * 86_400;
  return { since: new Date(Math.floor(from / stepSeconds) * stepSeconds * 1000), stepSeconds };
}

function causesOf(failures: readonly FailureRow[]): DagTrends["causes"] {
  const causes = new Map<string, DagTrends["causes"][number] & { tasks: string[] }>();
  for (const row of failures) {
    const cause = fingerprint(row.reason);
    const last_at = row.last_at?.toISOString() ?? null;
    const found = causes.get(cause);
    if (found === undefined) {
      causes.set(cause, {
        cause,
        example: row.reason ?? "",
        count: row.count,
        tasks: [row.task_id],
        last_at,
        last_run_id: row.last_run_id,
        last_task_id: row.task_id,
      });
      continue;
    }
    found.count += row.count;
    if (found.tasks.length < 20 && !found.tasks.includes(row.task_id))
      found.tasks.push(row.task_id);
    if ((last_at ?? "") > (found.last_at ?? ""))
      Object.assign(found, {
        last_at,
        last_run_id: row.last_run_id,
        last_task_id: row.task_id,
        example: row.reason ?? "",
      });
  }
  return [...causes.values()].toSorted((a, b) => b.count - a.count).slice(0, 50);
}

function mostOf(values: readonly string[]): { readonly name: string; readonly count: number }[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts]
    .map(([name, count]) => ({ name, count }))
    .toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
}

function usualOf({ tasks }: DagSpec): DagFacts["usual"] {
  const kinds: readonly (readonly [string, (task: DagSpec["tasks"][number]) => string])[] = [
    ["Retries", (task) => String(task.retries)],
    [
      "Delay before a retry",
      (task) =>
        `${task.retry_delay_s} s${task.retry_exponential_backoff === 0 ? "" : `, × ${task.retry_exponential_backoff} each time`}`,
    ],
    [
      "Timeout of a try",
      (task) => (task.execution_timeout_s === undefined ? "none" : `${task.execution_timeout_s} s`),
    ],
    ["Trigger rule", (task) => task.trigger_rule],
    ["Pool", (task) => task.pool],
    ["Queue", (task) => task.queue],
    ["Runs in", (task) => task.runs_in],
  ];
  return tasks.length === 0
    ? []
    : kinds.map(([name, of]) => {
        const [most] = mostOf(tasks.map(of));
        return { name, value: most?.name ?? "", others: tasks.length - (most?.count ?? 0) };
      });
}
