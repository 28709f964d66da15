/** The graph of a DAG: the structure of one version, the difference of two, and how far one run has come. */
import { z } from "zod";
import { diffSpecs } from "../../engine/diff-specs.ts";
import type { DagSpec, MapSource, MapSpec } from "../../model/dag-spec.ts";
import { readGraphVersion, readRunPin, sumInstances } from "../../store/read-graph.ts";
import { noSuchDag } from "../airflow/dags.ts";
import { runStates, taskStates } from "../airflow/shapes.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { whole } from "../fields.ts";
import { notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";

const tag = "Page";
const version = whole(0, 2_147_483_647);
const date = z.string().meta({ format: "date-time" });

const graphTask = z.object({
  id: z.string(),
  name: z.string(),
  operator: z.string(),
  group: z.string().nullable(),
  /** Places in this list. */
  downstream: z.array(z.int()),
  trigger_rule: z.string(),
  retries: z.int(),
  retry_delay_s: z.number(),
  timeout_s: z.number().nullable(),
  pool: z.string(),
  pool_slots: z.int(),
  queue: z.string(),
  mapped: z.boolean(),
  /** Of a mapped task: how often, if the file alone tells. */
  map_length: z.int().nullable(),
  kind: z.enum(["task", "setup", "teardown", "branch", "short_circuit", "sensor"]),
});
const graphGroup = z.object({
  id: z.string(),
  label: z.string(),
  parent: z.string().nullable(),
  tooltip: z.string().nullable(),
  mapped: z.boolean(),
});
const dagGraph = z.object({
  dag_id: z.string(),
  /** Names this version for ever, also when the DAG is deleted and pushed anew. */
  id: z.string(),
  version: z.int(),
  live_version: z.int(),
  repository: z.string(),
  commit: z.string(),
  created_at: date,
  groups: z.array(graphGroup),
  tasks: z.array(graphTask),
});
export type DagGraph = z.output<typeof dagGraph>;

const graphDifference = z.object({
  from: z.int(),
  to: z.int(),
  /** Equal specs: only the code of the files differs. */
  same_structure: z.boolean(),
  dag: z.array(z.string()),
  added: z.array(z.string()),
  removed: z.array(z.string()),
  changed: z.array(z.object({ task_id: z.string(), what: z.array(z.string()) })),
  edges_added: z.array(z.tuple([z.string(), z.string()])),
  edges_removed: z.array(z.tuple([z.string(), z.string()])),
});
export type GraphDifference = z.output<typeof graphDifference>;

const graphRun = z.object({
  run_id: z.string(),
  state: z.enum(runStates),
  version: z.int(),
  commit: z.string(),
  run_after: date,
  started_at: date.nullable(),
  ended_at: date.nullable(),
  tasks: z.array(
    z.object({
      id: z.string(),
      /** How many instances are in which state; "none": no state yet. */
      states: z.partialRecord(z.enum([...taskStates, "none"]), z.int()),
      started_at: date.nullable(),
      /** null while one of them is not over. */
      ended_at: date.nullable(),
      try_number: z.int(),
      /** −1: not mapped. */
      first_index: z.int(),
    }),
  ),
});
export type GraphRun = z.output<typeof graphRun>;

export const graphEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/graph`,
      tag,
      summary: "Tasks, groups and edges of one version",
      policy: { deed: "dag.read", on: "dag:{dag_id}" },
      query: { version: version.optional() },
      answers: { 200: dagGraph },
    },
    async (ask) =>
      json(200, toGraph(ask.params["dag_id"] ?? "", await read(ask, ask.query.version))),
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/graph/difference`,
      tag,
      summary: "What changed between two versions of a DAG, task by task",
      policy: { deed: "dag.read", on: "dag:{dag_id}" },
      query: { from: version, to: version },
      answers: { 200: graphDifference },
    },
    async (ask) => {
      const from = await read(ask, ask.query.from);
      const to = await read(ask, ask.query.to);
      const diff = diffSpecs(from.spec, to.spec);
      const answer: GraphDifference = {
        from: from.version,
        to: to.version,
        same_structure: Object.values(diff).every((part) => part.length === 0),
        dag: [...diff.dag],
        added: [...diff.added],
        removed: [...diff.removed],
        changed: diff.changed.map(({ task_id, what }) => ({ task_id, what: [...what] })),
        edges_added: diff.edges_added.map(([above, below]) => [above, below]),
        edges_removed: diff.edges_removed.map(([above, below]) => [above, below]),
      };
      return json(200, answer);
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/graph/runs/{dag_run_id}`,
      tag,
      summary: "The states of one run, summed by task",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      answers: { 200: graphRun },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] ?? "";
      const runId = ask.params["dag_run_id"] ?? "";
      const [run, sums] = await ask.tx((tx) =>
        Promise.all([readRunPin(tx, dagId, runId), sumInstances(tx, dagId, runId)]),
      );
      if (!run) throw notFound(`There is no run ${runId} of ${dagId}`);
      const tasks = [...Map.groupBy(sums, ({ task_id }) => task_id)].map(([id, parts]) => {
        const starts = parts.flatMap(({ started_at }) => started_at ?? []);
        const ends = parts.flatMap(({ ended_at }) => ended_at ?? []);
        return {
          id,
          states: Object.fromEntries(parts.map(({ state, count }) => [state ?? "none", count])),
          started_at: starts.length === 0 ? null : new Date(Math.min(...starts.map(Number))),
          ended_at: ends.length < parts.length ? null : new Date(Math.max(...ends.map(Number))),
          try_number: Math.max(...parts.map(({ try_number }) => try_number)),
          first_index: Math.min(...parts.map(({ first_index }) => first_index)),
        };
      });
      return json(200, {
        run_id: run.run_id,
        state: run.state,
        version: run.version,
        commit: run.commit,
        run_after: run.run_after,
        started_at: run.started_at,
        ended_at: run.ended_at,
        tasks,
      });
    },
  ),
];

type Version = NonNullable<Awaited<ReturnType<typeof readGraphVersion>>>;

async function read(ask: Ask<unknown, unknown>, number: number | undefined): Promise<Version> {
  const dagId = ask.params["dag_id"] ?? "";
  const found = await ask.tx((tx) => readGraphVersion(tx, dagId, number));
  if (found) return found;
  throw number === undefined
    ? noSuchDag(dagId)
    : notFound(`There is no version ${String(number)} of ${dagId}`);
}

function toGraph(dagId: string, row: Version): DagGraph {
  const { spec } = row;
  const places = new Map(spec.tasks.map(({ task_id }, at) => [task_id, at]));
  return {
    dag_id: dagId,
    id: row.id,
    version: row.version,
    live_version: row.live_version,
    repository: row.repository,
    commit: row.commit,
    created_at: row.created_at.toISOString(),
    groups: spec.groups.map((group) => ({
      id: group.group_id,
      label:
        group.parent !== undefined && group.group_id.startsWith(`${group.parent}.`)
          ? group.group_id.slice(group.parent.length + 1)
          : group.group_id,
      parent: group.parent ?? null,
      tooltip: group.tooltip ?? null,
      mapped: group.map !== undefined,
    })),
    tasks: spec.tasks.map((task) => ({
      id: task.task_id,
      name: task.display_name ?? task.task_id,
      operator: task.operator,
      group: task.group ?? null,
      downstream: task.downstream.flatMap((below) => places.get(below) ?? []),
      trigger_rule: task.trigger_rule,
      retries: task.retries,
      retry_delay_s: task.retry_delay_s,
      timeout_s: task.execution_timeout_s ?? null,
      pool: task.pool,
      pool_slots: task.pool_slots,
      queue: task.queue,
      mapped: task.map !== undefined,
      map_length: task.map === undefined ? null : lengthOf(task.map),
      kind: kindOf(task),
    })),
  };
}

function kindOf(task: DagSpec["tasks"][number]): DagGraph["tasks"][number]["kind"] {
  if (task.is_setup) return "setup";
  if (task.is_teardown) return "teardown";
  if (task.sensor !== undefined) return "sensor";
  return task.decides ?? "task";
}

/** null: a task decides it. */
function lengthOf({ kind, sources }: MapSpec): number | null {
  const lengths = sources.map(sourceLength);
  if (lengths.length === 0 || lengths.includes(null)) return null;
  const known = lengths.filter((length) => length !== null);
  return kind === "product" ? known.reduce((all, length) => all * length, 1) : (known[0] ?? null);
}

function sourceLength(source: MapSource): number | null {
  if (source.kind === "literal") return source.length;
  if (source.kind === "task") return null;
  const lengths = source.of.map(sourceLength);
  if (lengths.includes(null)) return null;
  const known = lengths.filter((length) => length !== null);
  if (source.kind === "concat") return known.reduce((all, length) => all + length, 0);
  return known.length === 0 ? 0 : source.longest ? Math.max(...known) : Math.min(...known);
}
