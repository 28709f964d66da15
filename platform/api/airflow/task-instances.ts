import { z } from "zod";
import { getDag } from "../../store/read-dags.ts";
import {
  getTaskInstance,
  hasTask,
  listTaskInstances,
  listTries,
  type TaskInstanceQuery,
  type TaskInstanceRow,
  type TryRow,
  taskInstanceOrders,
} from "../../store/read-runs.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { many, manyTexts, orderOf, pageOf, paging, pattern, text, time, whole } from "../fields.ts";
import { isGiven } from "../is-given.ts";
import { badRequest, invalid, notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { api } from "./base.ts";
import { noSuchDag } from "./dags.ts";
import { done } from "./deeds.ts";
import { readInstances, showInstances } from "./read-instances.ts";
import { readWhy, whyAnswer, whyInstance } from "./read-why.ts";
import { bodyOrder, bodyPage, bodyRanges, masked, rangesOf, runOf, runRanges } from "./runs.ts";
import * as shapes from "./shapes.ts";
import { nameOf, specOf } from "./specs.ts";
import { toTry } from "./to-airflow.ts";

const tag = "Task Instance";
const instances = `${api}/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances`;
const stateWords = [...shapes.taskStates, "none", "no_status"] as const;
const mapIndex = whole(-1, 2_147_483_647).default(-1);

const filters = {
  ...runRanges,
  state: many(z.enum(stateWords)),
  pool: manyTexts,
  pool_name_pattern: pattern,
  queue: manyTexts,
  queue_name_pattern: pattern,
  executor: manyTexts,
  version_number: many(whole(0, 2_147_483_647)),
  try_number: many(whole(0, 2_147_483_647)),
  operator: manyTexts,
  operator_name_pattern: pattern,
  map_index: many(whole(-1, 2_147_483_647)),
};

const patchBody = {
  new_state: z.enum(["success", "failed", "skipped"]).nullish(),
  note: text(1_000).nullish(),
  include_upstream: z.boolean().default(false),
  include_downstream: z.boolean().default(false),
  include_past: z.boolean().default(false),
  include_future: z.boolean().default(false),
};

export const taskInstanceEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: instances,
      tag,
      summary: "Task instances of a run; `~` for DAG and run: of all",
      policy: { deed: "run.read", list: "dag", in: "dag_id" },
      query: {
        ...paging,
        ...filters,
        task_id: text(250).optional(),
        task_display_name_pattern: pattern,
        dag_id_pattern: pattern,
        run_id_pattern: pattern,
      },
      answers: { 200: shapes.taskInstanceList },
    },
    async (ask) => {
      const { query } = ask;
      return listReply(ask, {
        ...filtersOf(query),
        taskId: query.task_id,
        taskIdPattern: query.task_display_name_pattern,
        dagIdPattern: query.dag_id_pattern,
        runIdPattern: query.run_id_pattern,
        order: orderOf(query, taskInstanceOrders),
        page: pageOf(query),
      });
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${instances}/list`,
      tag,
      summary: "Task instances of several DAGs",
      policy: { deed: "run.read", list: "dag", in: "dag_id" },
      body: {
        dag_ids: z.array(text(250)).max(1_000).nullish(),
        dag_run_ids: z.array(text(250)).max(1_000).nullish(),
        task_ids: z.array(text(250)).max(1_000).nullish(),
        state: z.array(z.enum(shapes.taskStates).nullable()).max(20).nullish(),
        pool: z.array(text(256)).max(1_000).nullish(),
        queue: z.array(text(256)).max(1_000).nullish(),
        executor: z.array(text(256)).max(1_000).nullish(),
        order_by: text(100).nullish(),
        page_limit: z.int().min(0).max(2_147_483_647).nullish(),
        page_offset: z.int().min(0).max(2_147_483_647).nullish(),
        ...bodyRanges(["run_after", "logical_date", "start_date", "end_date"], time),
        ...bodyRanges(["duration"], z.number()),
      },
      answers: { 200: shapes.taskInstanceList },
    },
    async (ask) => {
      const { body } = ask;
      return listReply(ask, {
        dagIds: body.dag_ids ?? undefined,
        runIds: body.dag_run_ids ?? undefined,
        taskIds: body.task_ids ?? undefined,
        states: body.state ?? undefined,
        pools: body.pool ?? undefined,
        queues: body.queue ?? undefined,
        ...rangesOf(body),
        order: bodyOrder(body.order_by, taskInstanceOrders),
        page: bodyPage(body),
      });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${instances}/{task_id}`,
      tag,
      summary: "The instance of a task that is not mapped",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      answers: { 200: shapes.taskInstance },
    },
    async (ask) => json(200, await instanceReply(ask, -1)),
  ),
  endpoint(
    {
      method: "GET",
      path: `${instances}/{task_id}/listMapped`,
      tag,
      summary: "Instances of a mapped task",
      policy: { deed: "run.read", list: "dag", in: "dag_id" },
      query: { ...paging, ...filters },
      answers: { 200: shapes.taskInstanceList },
    },
    async (ask) => {
      await exactDag(ask);
      const run = await runOf(ask);
      const taskId = ask.params["task_id"] ?? "";
      const ref = { dagId: run.dag_id, runId: run.run_id, taskId };
      if (!(await ask.tx((tx) => hasTask(tx, ref)))) throw noInstance(ref);
      return listReply(ask, {
        ...filtersOf(ask.query),
        taskId,
        mappedOnly: true,
        order: orderOf(ask.query, taskInstanceOrders),
        page: pageOf(ask.query),
      });
    },
  ),
  ...(["", "/{map_index}"] as const).flatMap((index) => [
    endpoint(
      {
        method: "GET" as const,
        path: `${instances}/{task_id}${index}/tries`,
        tag,
        summary: "All tries of an instance",
        policy: { deed: "run.read", on: "dag:{dag_id}" } as const,
        query: { map_index: mapIndex },
        answers: { 200: shapes.taskInstanceTryList },
      },
      async (ask) => {
        const tries = await triesOf(ask, index === "" ? ask.query.map_index : pathIndex(ask));
        return json(200, { task_instances: tries, total_entries: tries.length });
      },
    ),
    endpoint(
      {
        method: "GET" as const,
        path: `${instances}/{task_id}${index}/tries/{try_number}`,
        tag,
        summary: "One try of an instance",
        policy: { deed: "run.read", on: "dag:{dag_id}" } as const,
        query: { map_index: mapIndex },
        answers: { 200: shapes.taskInstanceTry },
      },
      async (ask) => {
        const tries = await triesOf(ask, index === "" ? ask.query.map_index : pathIndex(ask));
        const wanted = tryNumber(ask);
        const found = tries.find((tried) => tried.try_number === wanted);
        if (!found) throw notFound(`Try ${wanted} of this task instance was not found`);
        return json(200, found);
      },
    ),
    endpoint(
      {
        method: "GET" as const,
        path: `${instances}/{task_id}${index}/dependencies`,
        tag,
        summary: "What an instance waits for",
        policy: { deed: "run.read", on: "dag:{dag_id}" } as const,
        query: { map_index: mapIndex },
        answers: { 200: shapes.taskDependencies },
      },
      async (ask) => {
        const row = await instanceOf(ask, index === "" ? ask.query.map_index : pathIndex(ask));
        const why = await readWhy(ask, row);
        return json(200, {
          dependencies: why.waits ? [{ name: why.name, reason: why.sentence }] : [],
        });
      },
    ),
    endpoint(
      {
        method: "GET" as const,
        path: `${instances}/{task_id}${index}/why`,
        tag,
        summary: "Why an instance is where it is, in one sentence (beyond Airflow's API)",
        policy: { deed: "run.read", on: "dag:{dag_id}" } as const,
        query: { map_index: mapIndex },
        answers: { 200: whyAnswer },
      },
      async (ask) => {
        const row = await instanceOf(ask, index === "" ? ask.query.map_index : pathIndex(ask));
        return json(200, await whyInstance(ask, row));
      },
    ),
    endpoint(
      {
        method: "PATCH" as const,
        path: `${instances}/{task_id}${index}`,
        tag,
        summary: "Mark an instance, or write its note",
        policy: { deed: "task.mark", on: "dag:{dag_id}" } as const,
        query: { map_index: whole(-1, 2_147_483_647).optional(), update_mask: manyTexts },
        body: patchBody,
        answers: { 200: shapes.taskInstanceList },
      },
      async (ask) => patchReply(ask, index === "" ? ask.query.map_index : pathIndex(ask), false),
    ),
    endpoint(
      {
        method: "PATCH" as const,
        path: `${instances}/{task_id}${index}/dry_run`,
        tag,
        summary: "What marking an instance would touch",
        policy: { deed: "task.mark", on: "dag:{dag_id}" } as const,
        query: { map_index: whole(-1, 2_147_483_647).optional(), update_mask: manyTexts },
        body: patchBody,
        answers: { 200: shapes.taskInstanceList },
      },
      async (ask) => patchReply(ask, index === "" ? ask.query.map_index : pathIndex(ask), true),
    ),
  ]),
  endpoint(
    {
      method: "GET",
      path: `${instances}/{task_id}/{map_index}`,
      tag,
      summary: "One instance of a mapped task",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      answers: { 200: shapes.taskInstance },
    },
    async (ask) => json(200, await instanceReply(ask, pathIndex(ask))),
  ),
  endpoint(
    {
      method: "POST",
      path: `${api}/dags/{dag_id}/clearTaskInstances`,
      tag,
      summary: "Clear task instances, so that they run again; by default only says which",
      policy: { deed: "run.clear", on: "dag:{dag_id}" },
      body: {
        dry_run: z.boolean().default(true),
        start_date: time.nullish(),
        end_date: time.nullish(),
        only_failed: z.boolean().default(true),
        only_running: z.boolean().default(false),
        reset_dag_runs: z.boolean().default(true),
        task_ids: z
          .array(z.union([text(250), z.tuple([text(250), z.int().min(-1)])]))
          .max(5_000)
          .nullish(),
        dag_run_id: text(250).nullish(),
        include_upstream: z.boolean().default(false),
        include_downstream: z.boolean().default(false),
        include_future: z.boolean().default(false),
        include_past: z.boolean().default(false),
        run_on_latest_version: z.boolean().default(false),
        prevent_running_task: z.boolean().default(false),
      },
      answers: { 200: shapes.taskInstanceList },
    },
    async (ask) => {
      const { body } = ask;
      const dag_id = ask.params["dag_id"] ?? "";
      if (!(await ask.tx((tx) => getDag(tx, dag_id)))) throw noSuchDag(dag_id);
      if (isGiven(body.dag_run_id)) await runOf(ask, body.dag_run_id);
      const reaches = body.include_future || body.include_past;
      if (!isGiven(body.dag_run_id) && reaches)
        throw invalid("dag_run_id", "Cannot use include_past or include_future without dag_run_id");
      if (isGiven(body.start_date) && isGiven(body.end_date) && body.start_date > body.end_date)
        throw invalid("end_date", "end_date must not be before start_date");
      const cleared = done(
        await ask.deps.runs.clearInstances(ask.tenant, {
          dag_id,
          run_ids: !isGiven(body.dag_run_id) ? undefined : [body.dag_run_id],
          start_date: body.start_date ?? undefined,
          end_date: body.end_date ?? undefined,
          tasks: body.task_ids?.map((raw) =>
            typeof raw === "string"
              ? { task_id: raw, map_index: undefined }
              : { task_id: raw[0], map_index: raw[1] },
          ),
          only_failed: body.only_failed,
          only_running: body.only_running,
          reset_dag_runs: body.reset_dag_runs,
          prevent_running_task: body.prevent_running_task,
          run_on_latest_version: body.run_on_latest_version,
          include_upstream: body.include_upstream,
          include_downstream: body.include_downstream,
          include_past: body.include_past,
          include_future: body.include_future,
          dry_run: body.dry_run,
          user: ask.asker.name,
        }),
      );
      if (!body.dry_run)
        await ask.tx((tx) =>
          ask.audit(tx, "run.clear", `dag:${dag_id}`, {
            run_id: body.dag_run_id ?? null,
            instances: cleared.length,
          }),
        );
      const rows = await readInstances(ask, dag_id, cleared);
      return json(200, { task_instances: rows, total_entries: cleared.length });
    },
  ),
];

async function listReply(
  ask: Ask<unknown, unknown>,
  query: Omit<TaskInstanceQuery, "seen" | "dagId" | "runId">,
): Promise<Response> {
  const dagId = ask.params["dag_id"] === "~" ? undefined : ask.params["dag_id"];
  const runId = ask.params["dag_run_id"] === "~" ? undefined : ask.params["dag_run_id"];
  if (dagId !== undefined && runId !== undefined) await runOf(ask);
  const found = await ask.tx(async (tx) => {
    if (dagId !== undefined && !(await getDag(tx, dagId))) throw noSuchDag(dagId);
    return listTaskInstances(tx, { seen: ask.seen(), dagId, runId, ...query });
  });
  return json(200, {
    task_instances: await showInstances(ask, found.rows),
    total_entries: found.total,
  });
}

type Filters = z.output<z.ZodObject<typeof filters>>;
const filtersOf = (
  query: Filters,
): Pick<
  TaskInstanceQuery,
  | "states"
  | "pools"
  | "poolPattern"
  | "queues"
  | "queuePattern"
  | "operators"
  | "operatorPattern"
  | "versions"
  | "tryNumbers"
  | "mapIndexes"
> &
  ReturnType<typeof rangesOf> => ({
  ...rangesOf(query),
  states: query.state?.map((state) => (state === "none" || state === "no_status" ? null : state)),
  pools: query.pool,
  poolPattern: query.pool_name_pattern,
  queues: query.queue,
  queuePattern: query.queue_name_pattern,
  operators: query.operator,
  operatorPattern: query.operator_name_pattern,
  versions: query.version_number,
  tryNumbers: query.try_number,
  mapIndexes: query.map_index,
});

/** The instance that a path names, or 404. */
export async function instanceOf(
  ask: Ask<unknown, unknown>,
  mapIndexOf: number,
): Promise<TaskInstanceRow> {
  const ref = {
    dagId: ask.params["dag_id"] ?? "",
    runId: ask.params["dag_run_id"] ?? "",
    taskId: ask.params["task_id"] ?? "",
  };
  const row = await ask.tx((tx) => getTaskInstance(tx, { ...ref, mapIndex: mapIndexOf }));
  if (row) return row;
  if (mapIndexOf === -1 && (await ask.tx((tx) => hasTask(tx, ref))))
    throw notFound("Task instance is mapped, add the map_index value to the URL");
  throw noInstance(ref);
}

const noInstance = (ref: {
  dagId: string;
  runId: string;
  taskId: string;
}): ReturnType<typeof notFound> =>
  notFound(
    `The Task Instance with dag_id: \`${ref.dagId}\`, run_id: \`${ref.runId}\` and task_id: \`${ref.taskId}\` was not found`,
  );

async function instanceReply(ask: Ask<unknown, unknown>, mapIndexOf: number): Promise<unknown> {
  const [shown] = await showInstances(ask, [await instanceOf(ask, mapIndexOf)]);
  return shown;
}

async function triesOf(
  ask: Ask<unknown, unknown>,
  mapIndexOf: number,
): Promise<readonly z.output<typeof shapes.taskInstanceTry>[]> {
  const row = await instanceOf(ask, mapIndexOf);
  return ask.tx(async (tx) => {
    const tries = await listTries(tx, { run: row.run, taskId: row.task_id, mapIndex: mapIndexOf });
    const name = nameOf(await specOf(tx, row), row.task_id);
    const shown = tries.map((tried) => toTry(row, name, tried));
    // Ended without an attempt (inline, skipped, marked): the instance itself is its only try.
    const current = tries.some((tried) => tried.try_number === row.try_number);
    return current || row.state === null ? shown : [...shown, toTry(row, name, present(row))];
  });
}

const present = (row: TaskInstanceRow): TryRow => ({
  try_number: row.try_number,
  attempt: row.id,
  outcome: null,
  attempt_state: "ended",
  reason: row.reason,
  admitted_at: row.run_after,
  started_at: row.started_at,
  ended_at: row.ended_at,
  duration: row.duration,
  host: row.host,
  pid: row.pid,
  cpu_s: null,
  peak_memory: null,
});

async function patchReply(
  ask: Ask<
    { update_mask?: readonly string[] | undefined },
    z.output<z.ZodObject<typeof patchBody>>
  >,
  mapIndexOf: number | undefined,
  dryRun: boolean,
): Promise<Response> {
  const run = await runOf(ask);
  const dag_id = run.dag_id;
  const task_id = ask.params["task_id"] ?? "";
  const ref = { dagId: dag_id, runId: run.run_id, taskId: task_id };
  if (!(await ask.tx((tx) => hasTask(tx, ref)))) throw noInstance(ref);
  const { include_downstream, include_future, include_past, include_upstream } = ask.body;
  const changes = masked(ask.body, ask.query.update_mask, ["new_state", "note"]);
  let touched = [{ run_id: run.run_id, task_id, map_index: mapIndexOf ?? -1 }];
  if (isGiven(changes.new_state))
    touched = [
      ...done(
        await ask.deps.runs.markInstances(ask.tenant, {
          dag_id,
          run_id: run.run_id,
          task_id,
          map_index: mapIndexOf,
          state: changes.new_state,
          include_upstream,
          include_downstream,
          include_past,
          include_future,
          dry_run: dryRun,
          user: ask.asker.name,
        }),
      ),
    ];
  else if (mapIndexOf !== undefined) await instanceOf(ask, mapIndexOf);
  if (changes.note !== undefined && !dryRun)
    for (const instance of touched)
      done(
        await ask.deps.runs.noteInstance(ask.tenant, { dag_id, ...instance, note: changes.note }),
      );
  if (!dryRun)
    await ask.tx((tx) =>
      ask.audit(tx, "task.mark", `dag:${dag_id}`, {
        run_id: run.run_id,
        task_id,
        map_index: mapIndexOf ?? null,
        new_state: changes.new_state ?? null,
      }),
    );
  const rows = await readInstances(ask, dag_id, touched);
  return json(200, { task_instances: rows, total_entries: touched.length });
}

/** `listMapped` is about one task of one run: no wildcard there. */
async function exactDag(ask: Ask<unknown, unknown>): Promise<void> {
  if (ask.params["dag_id"] === "~" || ask.params["dag_run_id"] === "~") throw notFound();
}

function pathIndex(ask: Ask<unknown, unknown>): number {
  const raw = ask.params["map_index"] ?? "";
  if (!/^-?\d{1,9}$/.test(raw)) throw badRequest("map_index must be a whole number");
  return Number(raw);
}

export function tryNumber(ask: Ask<unknown, unknown>): number {
  const raw = ask.params["try_number"] ?? "";
  if (!/^\d{1,9}$/.test(raw)) throw badRequest("try_number must be a whole number");
  return Number(raw);
}
