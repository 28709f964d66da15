import { z } from "zod";
import { readRunId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import { getDag } from "../../store/read-dags.ts";
import { getRun, listRuns, type RunQuery, type RunRow, runOrders } from "../../store/read-runs.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import {
  many,
  manyTexts,
  number,
  orderOf,
  pageOf,
  paging,
  pattern,
  range,
  rangeOf,
  text,
  time,
  whole,
} from "../fields.ts";
import { isGiven } from "../is-given.ts";
import { badRequest, invalid, notFound } from "../problem.ts";
import { json, nothing } from "../reply.ts";
import { api } from "./base.ts";
import { noSuchDag } from "./dags.ts";
import { done } from "./deeds.ts";
import { readInstances } from "./read-instances.ts";
import * as shapes from "./shapes.ts";
import { toRun } from "./to-airflow.ts";

const tag = "DagRun";
const one = `${api}/dags/{dag_id}/dagRuns/{dag_run_id}`;

export const runRanges = {
  ...range("run_after", time),
  ...range("logical_date", time),
  ...range("start_date", time),
  ...range("end_date", time),
  ...range("duration", number),
};

export const runEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${api}/dags/{dag_id}/dagRuns`,
      tag,
      summary: "Runs of a DAG; `~`: of all",
      policy: { deed: "run.read", list: "dag", in: "dag_id" },
      query: {
        ...paging,
        ...runRanges,
        ...range("updated_at", time),
        conf_contains: text(500).optional(),
        run_type: many(
          z.enum(["backfill", "scheduled", "manual", "asset_triggered", "asset_materialization"]),
        ),
        state: many(z.enum(shapes.runStates)),
        dag_version: many(whole(0, 2_147_483_647)),
        bundle_version: text(200).optional(),
        run_id_pattern: pattern,
        dag_id_pattern: pattern,
        triggering_user_name_pattern: pattern,
      },
      answers: { 200: shapes.dagRunList },
    },
    async (ask) => {
      const { query } = ask;
      const dagId = ask.params["dag_id"] === "~" ? undefined : ask.params["dag_id"];
      return listReply(ask, dagId, {
        states: query.state,
        runTypes: query.run_type,
        versions: query.dag_version,
        commit: query.bundle_version,
        runIdPattern: query.run_id_pattern,
        dagIdPattern: query.dag_id_pattern,
        userPattern: query.triggering_user_name_pattern,
        confContains: query.conf_contains,
        ...rangesOf(query),
        order: orderOf(query, runOrders),
        page: pageOf(query),
      });
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${api}/dags/{dag_id}/dagRuns/list`,
      tag,
      summary: "Runs of several DAGs",
      policy: { deed: "run.read", list: "dag", in: "dag_id" },
      body: {
        dag_ids: z.array(text(250)).max(1_000).nullish(),
        states: z.array(z.enum(shapes.runStates)).max(10).nullish(),
        order_by: text(100).nullish(),
        page_limit: z.int().min(0).max(2_147_483_647).nullish(),
        page_offset: z.int().min(0).max(2_147_483_647).nullish(),
        conf_contains: text(500).nullish(),
        ...bodyRanges(["run_after", "logical_date", "start_date", "end_date"], time),
        ...bodyRanges(["duration"], z.number()),
      },
      answers: { 200: shapes.dagRunList },
    },
    async (ask) => {
      const { body } = ask;
      const dagId = ask.params["dag_id"] === "~" ? undefined : ask.params["dag_id"];
      return listReply(ask, dagId, {
        dagIds: body.dag_ids ?? undefined,
        states: body.states ?? undefined,
        confContains: body.conf_contains ?? undefined,
        ...rangesOf(body),
        order: bodyOrder(body.order_by, runOrders),
        page: bodyPage(body),
      });
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${api}/dags/{dag_id}/dagRuns`,
      tag,
      summary: "Trigger a run",
      policy: { deed: "run.trigger", on: "dag:{dag_id}" },
      body: {
        dag_run_id: text(250).nullish(),
        logical_date: time.nullish(),
        data_interval_start: time.nullish(),
        data_interval_end: time.nullish(),
        run_after: time.nullish(),
        conf: z.record(z.string(), z.unknown()).nullish(),
        note: text(1_000).nullish(),
        partition_key: z.null().optional(),
      },
      answers: { 200: shapes.dagRun },
    },
    async (ask) => {
      const { body } = ask;
      const dag_id = ask.params["dag_id"] ?? "";
      if (!isGiven(body.data_interval_start) !== !isGiven(body.data_interval_end))
        throw invalid(
          "data_interval_start",
          "Either both data_interval_start and data_interval_end must be provided or both must be None",
        );
      if (isGiven(body.dag_run_id)) {
        const read = readRunId(body.dag_run_id);
        if (!read.ok) throw invalid("dag_run_id", read.problem.message);
      }
      if (!(await ask.tx((tx) => getDag(tx, dag_id)))) throw noSuchDag(dag_id);
      const made = done(
        await ask.deps.runs.triggerRun(ask.tenant, {
          dag_id,
          run_id: body.dag_run_id ?? undefined,
          logical_date: body.logical_date ?? null,
          data_interval_start: body.data_interval_start ?? undefined,
          data_interval_end: body.data_interval_end ?? undefined,
          run_after: body.run_after ?? undefined,
          conf: (body.conf ?? {}) as JsonObject,
          note: body.note ?? undefined,
          user: ask.asker.name,
          triggered_by: triggeredBy(ask.request),
        }),
      );
      const row = await ask.tx(async (tx) => {
        await ask.audit(tx, "run.trigger", `dag:${dag_id}`, { run_id: made.run_id });
        return getRun(tx, dag_id, made.run_id);
      });
      if (!row) throw noSuchRun(dag_id, made.run_id);
      return json(200, toRun(row));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: one,
      tag,
      summary: "One run",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      answers: { 200: shapes.dagRun },
    },
    async (ask) => json(200, toRun(await runOf(ask))),
  ),
  endpoint(
    {
      method: "PATCH",
      path: one,
      tag,
      summary: "Mark a run, or write its note",
      policy: { deed: "task.mark", on: "dag:{dag_id}" },
      query: { update_mask: manyTexts },
      body: {
        state: z.enum(["queued", "success", "failed"]).nullish(),
        note: text(1_000).nullish(),
      },
      answers: { 200: shapes.dagRun },
    },
    async (ask) => {
      const { run_id } = await runOf(ask);
      const dag_id = ask.params["dag_id"] ?? "";
      const { tenant } = ask;
      const changes = masked(ask.body, ask.query.update_mask, ["state", "note"]);
      if (isGiven(changes.state)) {
        if (changes.state === "queued") ask.must("run.clear", `dag:${dag_id}`);
        done(
          await ask.deps.runs.markRun(tenant, {
            dag_id,
            run_id,
            state: changes.state,
            user: ask.asker.name,
          }),
        );
      }
      if (changes.note !== undefined)
        done(await ask.deps.runs.noteRun(tenant, { dag_id, run_id, note: changes.note }));
      await ask.tx((tx) =>
        ask.audit(tx, "task.mark", `dag:${dag_id}`, { run_id, state: changes.state ?? null }),
      );
      return json(200, toRun(await runOf(ask)));
    },
  ),
  endpoint(
    {
      method: "DELETE",
      path: one,
      tag,
      summary: "Remove a run with its history",
      policy: { deed: "run.delete", on: "dag:{dag_id}" },
      answers: { 204: undefined },
    },
    async (ask) => {
      const { run_id } = await runOf(ask);
      const dag_id = ask.params["dag_id"] ?? "";
      done(await ask.deps.runs.deleteRun(ask.tenant, { dag_id, run_id, user: ask.asker.name }));
      await ask.tx((tx) => ask.audit(tx, "run.delete", `dag:${dag_id}`, { run_id }));
      return nothing();
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${one}/clear`,
      tag,
      summary: "Run it again, or only what failed of it",
      policy: { deed: "run.clear", on: "dag:{dag_id}" },
      body: {
        dry_run: z.boolean().default(true),
        only_failed: z.boolean().default(false),
        run_on_latest_version: z.boolean().default(false),
      },
      answers: { 200: z.union([shapes.taskInstanceList, shapes.dagRun]) },
    },
    async (ask) => {
      const { run_id } = await runOf(ask);
      const dag_id = ask.params["dag_id"] ?? "";
      const cleared = done(
        await ask.deps.runs.clearInstances(ask.tenant, {
          dag_id,
          run_ids: [run_id],
          start_date: undefined,
          end_date: undefined,
          tasks: undefined,
          ...nowhereElse,
          ...ask.body,
          only_running: false,
          reset_dag_runs: true,
          prevent_running_task: false,
          user: ask.asker.name,
        }),
      );
      if (ask.body.dry_run) {
        const rows = await readInstances(ask, dag_id, cleared);
        return json(200, { task_instances: rows, total_entries: cleared.length });
      }
      await ask.tx((tx) => ask.audit(tx, "run.clear", `dag:${dag_id}`, { run_id }));
      return json(200, toRun(await runOf(ask)));
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${one}/stop`,
      tag,
      summary: "End what runs and fail the run (beyond Airflow's API)",
      policy: { deed: "task.mark", on: "dag:{dag_id}" },
      answers: { 200: shapes.dagRun },
    },
    async (ask) => {
      const { run_id } = await runOf(ask);
      const dag_id = ask.params["dag_id"] ?? "";
      done(await ask.deps.runs.stopRun(ask.tenant, { dag_id, run_id, user: ask.asker.name }));
      await ask.tx((tx) => ask.audit(tx, "task.mark", `dag:${dag_id}`, { run_id, stopped: true }));
      return json(200, toRun(await runOf(ask)));
    },
  ),
];

const nowhereElse = {
  include_upstream: false,
  include_downstream: false,
  include_past: false,
  include_future: false,
} as const;

async function listReply(
  ask: Ask<unknown, unknown>,
  dagId: string | undefined,
  query: Omit<RunQuery, "seen" | "dagId">,
): Promise<Response> {
  const found = await ask.tx(async (tx) => {
    if (dagId !== undefined && !(await getDag(tx, dagId))) throw noSuchDag(dagId);
    return listRuns(tx, { seen: ask.seen(), dagId, ...query });
  });
  return json(200, { dag_runs: found.rows.map(toRun), total_entries: found.total });
}

/** The run of the path (or another one of its DAG), or 404. */
export async function runOf(ask: Ask<unknown, unknown>, runId?: string): Promise<RunRow> {
  const dagId = ask.params["dag_id"] ?? "";
  const wanted = runId ?? ask.params["dag_run_id"] ?? "";
  const row = await ask.tx((tx) => getRun(tx, dagId, wanted));
  if (!row) throw noSuchRun(dagId, wanted);
  return row;
}

const noSuchRun = (dagId: string, runId: string) =>
  notFound(`The DagRun with dag_id: \`${dagId}\` and run_id: \`${runId}\` was not found`);

/** The page and the command say who they are; what else comes is the API. */
function triggeredBy(request: Request): "rest_api" | "ui" | "cli" {
  const by = request.headers.get("x-airlock-client");
  return by === "ui" || by === "cli" ? by : "rest_api";
}

type Ranges = Pick<RunQuery, "runAfter" | "logicalDate" | "startDate" | "endDate" | "duration">;
export const rangesOf = (query: { readonly [key: string]: unknown }): Ranges => ({
  runAfter: rangeOf<Date>(query, "run_after"),
  logicalDate: rangeOf<Date>(query, "logical_date"),
  startDate: rangeOf<Date>(query, "start_date"),
  endDate: rangeOf<Date>(query, "end_date"),
  duration: rangeOf<number>(query, "duration"),
});

/** The same ranges in a body, where an unset one may be null. */
export function bodyRanges<T extends z.ZodType>(
  names: readonly string[],
  of: T,
): Record<string, z.ZodOptional<z.ZodNullable<T>>> {
  return Object.fromEntries(
    names.flatMap((name) =>
      ["gte", "gt", "lte", "lt"].map((bound) => [`${name}_${bound}`, of.nullish()] as const),
    ),
  );
}

export const bodyPage = (body: {
  page_limit?: number | null | undefined;
  page_offset?: number | null | undefined;
}): { limit: number; offset: number } => ({
  limit: Math.min(!isGiven(body.page_limit) || body.page_limit === 0 ? 100 : body.page_limit, 100),
  offset: body.page_offset ?? 0,
});

export const bodyOrder = (
  raw: string | null | undefined,
  keys: readonly string[],
): readonly { by: string; descending: boolean }[] =>
  !isGiven(raw) ? [] : orderOf({ limit: 0, offset: 0, order_by: [raw] }, keys);

/** Of the fields that were sent, those that `update_mask` names (without one: all). */
export function masked<B extends Record<string, unknown>>(
  body: B,
  mask: readonly string[] | undefined,
  fields: readonly (keyof B & string)[],
): Partial<B> {
  for (const field of mask ?? [])
    if (!fields.includes(field))
      throw badRequest(`'${field.slice(0, 60)}' in update_mask is not a field that can be updated`);
  const chosen = fields.filter(
    (field) => Object.hasOwn(body, field) && (mask === undefined || mask.includes(field)),
  );
  return Object.fromEntries(chosen.map((field) => [field, body[field]])) as Partial<B>;
}
