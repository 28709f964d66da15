import { z } from "zod";
import {
  countRuns,
  type DagRow,
  dagOrders,
  getDag,
  getVersion,
  listDags,
  listTags,
  listVersions,
  versionOrders,
} from "../../store/read-dags.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { flag, many, manyTexts, orderOf, pageOf, paging, pattern, text, whole } from "../fields.ts";
import { mustReadFile } from "../must-read-file.ts";
import { badRequest, notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { api } from "./base.ts";
import { done } from "./deeds.ts";
import * as shapes from "./shapes.ts";
import { toDag, toDagDetails, toTask, toVersion } from "./to-airflow.ts";

const tag = "DAG";

export const dagEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${api}/dags`,
      tag,
      summary: "DAGs",
      policy: { deed: "dag.read", list: "dag" },
      query: {
        ...paging,
        tags: manyTexts,
        tags_match_mode: z.enum(["any", "all"]).optional(),
        owners: manyTexts,
        dag_id_pattern: pattern,
        dag_display_name_pattern: pattern,
        exclude_stale: flag.default(true),
        paused: flag.optional(),
        last_dag_run_state: z.enum(shapes.runStates).optional(),
        bundle_name: text(200).optional(),
      },
      answers: { 200: shapes.dagList },
    },
    async (ask) => {
      const { query } = ask;
      const found = await ask.tx((tx) =>
        listDags(tx, {
          seen: ask.seen(),
          idPattern: query.dag_id_pattern,
          displayPattern: query.dag_display_name_pattern,
          tags: query.tags,
          tagsMode: query.tags_match_mode,
          owners: query.owners,
          paused: query.paused,
          excludeStale: query.exclude_stale,
          lastRunStates:
            query.last_dag_run_state === undefined ? undefined : [query.last_dag_run_state],
          repository: query.bundle_name,
          order: orderOf(query, dagOrders),
          page: pageOf(query),
        }),
      );
      const broken = await brokenFiles(ask);
      return json(200, {
        dags: found.rows.map((row) => toDag(row, broken.has(fileOf(row)))),
        total_entries: found.total,
      });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/dags/{dag_id}`,
      tag,
      summary: "One DAG",
      policy: { deed: "dag.read", on: "dag:{dag_id}" },
      answers: { 200: shapes.dag },
    },
    async (ask) => json(200, await dagReply(ask)),
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/dags/{dag_id}/details`,
      tag,
      summary: "One DAG with all that its file says",
      policy: { deed: "dag.read", on: "dag:{dag_id}" },
      answers: { 200: shapes.dagDetails },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] ?? "";
      const [row, version, counts] = await ask.tx((tx) =>
        Promise.all([
          getDag(tx, dagId),
          getVersion(tx, dagId),
          countRuns(tx, { seen: all, dagIds: [dagId] }),
        ]),
      );
      if (!row || !version) throw noSuchDag(dagId);
      const active = counts
        .filter(({ state }) => state === "running" || state === "queued")
        .reduce((sum, { count }) => sum + count, 0);
      const broken = await brokenFiles(ask);
      return json(200, toDagDetails(row, version, active, broken.has(fileOf(row))));
    },
  ),
  endpoint(
    {
      method: "PATCH",
      path: `${api}/dags/{dag_id}`,
      tag,
      summary: "Pause or go on",
      policy: { deed: "dag.pause", on: "dag:{dag_id}" },
      query: { update_mask: manyTexts },
      body: { is_paused: z.boolean() },
      answers: { 200: shapes.dag },
    },
    async (ask) => {
      if (ask.query.update_mask?.some((field) => field !== "is_paused"))
        throw badRequest("Only `is_paused` field can be updated through the REST API");
      await dagReply(ask);
      const dag_id = ask.params["dag_id"] ?? "";
      const { is_paused } = ask.body;
      done(await ask.deps.runs.pauseDag(ask.tenant, { dag_id, is_paused, user: ask.asker.name }));
      await ask.tx((tx) => ask.audit(tx, "dag.pause", `dag:${dag_id}`, { is_paused }));
      return json(200, await dagReply(ask));
    },
  ),
  endpoint(
    {
      method: "DELETE",
      path: `${api}/dags/{dag_id}`,
      tag,
      summary: "Remove a DAG that no repository has any more, with its history",
      policy: { deed: "dag.delete", on: "dag:{dag_id}" },
      answers: { 200: undefined },
    },
    async (ask) => {
      await dagReply(ask);
      const dag_id = ask.params["dag_id"] ?? "";
      done(await ask.deps.runs.deleteDag(ask.tenant, { dag_id, user: ask.asker.name }));
      await ask.tx((tx) => ask.audit(tx, "dag.delete", `dag:${dag_id}`));
      return json(200, null);
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/dags/{dag_id}/tasks`,
      tag: "Task",
      summary: "The tasks of a DAG's live version",
      policy: { deed: "dag.read", on: "dag:{dag_id}" },
      query: { order_by: text(100).optional() },
      answers: { 200: shapes.taskList },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] ?? "";
      const version = await ask.tx((tx) => getVersion(tx, dagId));
      if (!version) throw noSuchDag(dagId);
      const asked = ask.query.order_by ?? "task_id";
      const key = asked.replace(/^-/, "");
      if (!isTaskKey(key)) throw badRequest(`Ordering with '${key.slice(0, 60)}' is disallowed`);
      const tasks = version.spec.tasks
        .map((task) => toTask(version.spec, task))
        .toSorted((a, b) => compare(a[key], b[key]) * (asked.startsWith("-") ? -1 : 1));
      return json(200, { tasks, total_entries: tasks.length });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/dags/{dag_id}/tasks/{task_id}`,
      tag: "Task",
      summary: "One task of a DAG's live version",
      policy: { deed: "dag.read", on: "dag:{dag_id}" },
      answers: { 200: shapes.task },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] ?? "";
      const taskId = ask.params["task_id"] ?? "";
      const version = await ask.tx((tx) => getVersion(tx, dagId));
      if (!version) throw noSuchDag(dagId);
      const task = version.spec.tasks.find((candidate) => candidate.task_id === taskId);
      if (!task) throw notFound(`Task with id ${taskId} was not found`);
      return json(200, toTask(version.spec, task));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/dagTags`,
      tag,
      summary: "Tags of the DAGs that one sees",
      policy: { deed: "dag.read", list: "dag" },
      query: { ...paging, tag_name_pattern: pattern },
      answers: { 200: shapes.dagTagList },
    },
    async (ask) => {
      const [order] = orderOf(ask.query, ["name"]);
      const found = await ask.tx((tx) =>
        listTags(tx, {
          seen: ask.seen(),
          pattern: ask.query.tag_name_pattern,
          descending: order?.descending ?? false,
          page: pageOf(ask.query),
        }),
      );
      return json(200, { tags: found.rows, total_entries: found.total });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/dagStats`,
      tag,
      summary: "How many runs are in which state",
      policy: { deed: "run.read", list: "dag" },
      query: { dag_ids: manyTexts },
      answers: { 200: shapes.dagStatsList },
    },
    async (ask) => {
      const counts = await ask.tx((tx) =>
        countRuns(tx, { seen: ask.seen(), dagIds: ask.query.dag_ids }),
      );
      const byDag = Map.groupBy(counts, (row) => row.dag_id);
      const dags = [...byDag].map(([dag_id, rows]) => ({
        dag_id,
        dag_display_name: rows[0]?.display_name ?? dag_id,
        stats: shapes.runStates.map((state) => ({
          state,
          count: rows.find((row) => row.state === state)?.count ?? 0,
        })),
      }));
      return json(200, { dags, total_entries: dags.length });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/dags/{dag_id}/dagVersions`,
      tag: "DagVersion",
      summary: "Versions of a DAG; `~`: of all",
      policy: { deed: "dag.read", list: "dag", in: "dag_id" },
      query: {
        ...paging,
        version_number: whole(0, 2_147_483_647).optional(),
        bundle_name: text(200).optional(),
        bundle_version: text(200).optional(),
      },
      answers: { 200: shapes.dagVersionList },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] === "~" ? undefined : ask.params["dag_id"];
      const found = await ask.tx(async (tx) => {
        if (dagId !== undefined && !(await getDag(tx, dagId))) throw noSuchDag(dagId);
        return listVersions(tx, {
          seen: ask.seen(),
          dagId,
          version: ask.query.version_number,
          repository: ask.query.bundle_name,
          commit: ask.query.bundle_version,
          order: orderOf(ask.query, versionOrders),
          page: pageOf(ask.query),
        });
      });
      return json(200, { dag_versions: found.rows.map(toVersion), total_entries: found.total });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/dags/{dag_id}/dagVersions/{version_number}`,
      tag: "DagVersion",
      summary: "One version of a DAG",
      policy: { deed: "dag.read", on: "dag:{dag_id}" },
      answers: { 200: shapes.dagVersion },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] ?? "";
      const number = versionNumber(ask.params["version_number"]);
      const version = await ask.tx((tx) => getVersion(tx, dagId, number));
      if (!version)
        throw notFound(
          `The DagVersion with dag_id: \`${dagId}\` and version_number: \`${number}\` was not found`,
        );
      return json(200, toVersion(version));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/dagSources/{dag_id}`,
      tag: "DagSource",
      summary: "The file of a DAG, as it was at that version",
      policy: { deed: "code.read", on: "dag:{dag_id}" },
      query: { version_number: many(whole(0, 2_147_483_647)) },
      answers: { 200: shapes.dagSource },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] ?? "";
      const version = await ask.tx((tx) => getVersion(tx, dagId, ask.query.version_number?.at(-1)));
      if (!version) throw noSuchDag(dagId);
      await mustReadFile(ask, version);
      const content = await ask.deps.sources.readSource(ask.tenant, {
        repository: version.repository,
        commit: version.commit,
        path: version.path,
      });
      if (content === undefined)
        throw notFound(`The source of ${dagId} at that version is no longer kept`);
      const wantsText = (ask.request.headers.get("accept") ?? "").startsWith("text/plain");
      if (wantsText)
        return new Response(content, { headers: { "content-type": "text/plain; charset=utf-8" } });
      return json(200, {
        content,
        dag_id: dagId,
        version_number: version.version,
        dag_display_name: version.display_name,
      });
    },
  ),
];

/** For a thing whose right was already asked: no filter beyond it. */
const all = { allow: { kind: "all" }, deny: { kind: "some", ids: [], ranges: [] } } as const;

async function dagReply(ask: Ask<unknown, unknown>): Promise<z.output<typeof shapes.dag>> {
  const dagId = ask.params["dag_id"] ?? "";
  const row = await ask.tx((tx) => getDag(tx, dagId));
  if (!row) throw noSuchDag(dagId);
  const broken = await brokenFiles(ask);
  return toDag(row, broken.has(fileOf(row)));
}

export const noSuchDag = (dagId: string): ReturnType<typeof notFound> =>
  notFound(`Dag with id ${dagId} was not found`);

async function brokenFiles(ask: Ask<unknown, unknown>): Promise<ReadonlySet<string>> {
  const errors = await ask.deps.sources.listImportErrors(ask.tenant);
  return new Set(errors.map((error) => fileOf(error)));
}
const fileOf = ({ repository, path }: Pick<DagRow, "repository" | "path">): string =>
  `${repository}\n${path}`;

function versionNumber(raw: string | undefined): number {
  if (raw === undefined || !/^\d{1,9}$/.test(raw))
    throw badRequest("version_number must be a whole number");
  return Number(raw);
}

const taskKeys = [
  "task_id",
  "task_display_name",
  "owner",
  "start_date",
  "operator_name",
  "pool",
  "trigger_rule",
  "priority_weight",
] as const;
const isTaskKey = (key: string): key is (typeof taskKeys)[number] =>
  (taskKeys as readonly string[]).includes(key);
const compare = (a: string | number | null, b: string | number | null): number =>
  a === b ? 0 : a === null ? -1 : b === null ? 1 : a < b ? -1 : 1;
