import { z } from "zod";
import {
  listXComs,
  readXCom,
  removeXCom,
  writeXCom,
  type XComKey,
  type XComRow,
} from "../../store/read-xcoms.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { flag, many, pageOf, paging, pattern, range, text, time, whole } from "../fields.ts";
import { conflict, HttpProblem, notFound } from "../problem.ts";
import { faithfulJson, json, nothing } from "../reply.ts";
import { api } from "./base.ts";
import { rangesOf } from "./runs.ts";
import * as shapes from "./shapes.ts";
import { iso } from "./to-airflow.ts";

const tag = "XCom";
const entries = `${api}/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/xcomEntries`;
const mapIndex = whole(-1, 2_147_483_647).default(-1);
const valueBytesMax = 64 * 1024;

export const xcomEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: entries,
      tag,
      summary: "XComs, without their values; `~` for DAG, run and task: of all",
      policy: { deed: "xcom.read", list: "dag", in: "dag_id" },
      query: {
        ...paging,
        xcom_key: text(512).optional(),
        map_index: many(whole(-1, 2_147_483_647)),
        xcom_key_pattern: pattern,
        run_id_pattern: pattern,
        task_id_pattern: pattern,
        dag_display_name_pattern: pattern,
        ...range("logical_date", time),
        ...range("run_after", time),
      },
      answers: { 200: shapes.xcomList },
    },
    async (ask) => {
      const { query } = ask;
      const given = (name: string): string | undefined =>
        ask.params[name] === "~" ? undefined : ask.params[name];
      const { logicalDate, runAfter } = rangesOf(query);
      const found = await ask.tx((tx) =>
        listXComs(tx, {
          seen: ask.seen(),
          dagId: given("dag_id"),
          runId: given("dag_run_id"),
          taskId: given("task_id"),
          key: query.xcom_key,
          mapIndexes: query.map_index,
          keyPattern: query.xcom_key_pattern,
          runIdPattern: query.run_id_pattern,
          taskIdPattern: query.task_id_pattern,
          dagPattern: query.dag_display_name_pattern,
          logicalDate,
          runAfter,
          page: pageOf(query),
        }),
      );
      return json(200, { xcom_entries: found.rows.map(toXCom), total_entries: found.total });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${entries}/{xcom_key*}`,
      tag,
      summary: "One XCom with its value",
      policy: { deed: "xcom.read", on: "dag:{dag_id}" },
      query: {
        map_index: mapIndex,
        deserialize: flag.default(false),
        stringify: flag.default(false),
      },
      answers: { 200: shapes.xcom },
    },
    async (ask) => {
      const row = await ask.tx((tx) => readXCom(tx, keyOf(ask, ask.query.map_index)));
      if (!row) throw noXCom(ask.params["xcom_key"]);
      // Always inert JSON: nothing is ever made into an object of a class, whatever `deserialize` says.
      const stored = row.value ?? (await largeValue(ask, row.object));
      return json(200, {
        ...toXCom(row),
        value: ask.query.stringify ? stored : faithfulJson(stored),
      });
    },
  ),
  endpoint(
    {
      method: "POST",
      path: entries,
      tag,
      summary: "Write an XCom",
      policy: { deed: "xcom.write", on: "dag:{dag_id}" },
      body: { key: text(512).min(1), value: z.unknown(), map_index: z.int().min(-1).default(-1) },
      answers: { 201: shapes.xcom },
    },
    async (ask) => {
      const { key, map_index } = ask.body;
      const ref = { ...keyOf(ask, map_index), key };
      return write(ask, ref, ask.body.value, "add");
    },
  ),
  endpoint(
    {
      method: "PATCH",
      path: `${entries}/{xcom_key*}`,
      tag,
      summary: "Change an XCom",
      policy: { deed: "xcom.write", on: "dag:{dag_id}" },
      body: { value: z.unknown(), map_index: z.int().min(-1).default(-1) },
      answers: { 200: shapes.xcom },
    },
    async (ask) => write(ask, keyOf(ask, ask.body.map_index), ask.body.value, "change"),
  ),
  endpoint(
    {
      method: "DELETE",
      path: `${entries}/{xcom_key*}`,
      tag,
      summary: "Remove an XCom",
      policy: { deed: "xcom.write", on: "dag:{dag_id}" },
      query: { map_index: mapIndex },
      answers: { 204: undefined },
    },
    async (ask) => {
      const ref = keyOf(ask, ask.query.map_index);
      const removed = await ask.tx(async (tx) => {
        const gone = await removeXCom(tx, ref);
        if (gone) await ask.audit(tx, "xcom.write", thingOf(ref), { removed: true });
        return gone;
      });
      if (!removed) throw noXCom(ref.key);
      return nothing();
    },
  ),
];

const keyOf = (ask: Ask<unknown, unknown>, index: number): XComKey => ({
  dagId: ask.params["dag_id"] ?? "",
  runId: ask.params["dag_run_id"] ?? "",
  taskId: ask.params["task_id"] ?? "",
  mapIndex: index,
  key: ask.params["xcom_key"] ?? "",
});

async function write(
  ask: Ask<unknown, unknown>,
  ref: XComKey,
  value: unknown,
  mode: "add" | "change",
): Promise<Response> {
  const text_ = JSON.stringify(value ?? null);
  if (Buffer.byteLength(text_) > valueBytesMax)
    throw new HttpProblem(413, `value must be at most ${valueBytesMax} bytes of JSON`);
  const row = await ask.tx(async (tx) => {
    const before = await readXCom(tx, ref);
    if (mode === "add" && before)
      throw conflict(
        `The XCom with key: \`${ref.key}\` with mentioned task instance already exists.`,
      );
    if (!(await writeXCom(tx, ref, text_, mode)))
      throw mode === "add" ? notFound("The task instance was not found") : noXCom(ref.key);
    await ask.audit(tx, "xcom.write", thingOf(ref), {});
    return readXCom(tx, ref);
  });
  if (!row) throw noXCom(ref.key);
  return json(mode === "add" ? 201 : 200, { ...toXCom(row), value: faithfulJson(text_) });
}

const thingOf = (ref: XComKey): string => `dag:${ref.dagId}/${ref.runId}/${ref.taskId}/${ref.key}`;

async function largeValue(ask: Ask<unknown, unknown>, object: string | null): Promise<string> {
  const found = object === null ? undefined : await ask.deps.readObject(object);
  if (!found) throw notFound("The value of this XCom is no longer kept");
  return found.toString("utf8");
}

const noXCom = (key: string | undefined): ReturnType<typeof notFound> =>
  notFound(`XCom entry with key: \`${key ?? ""}\` not found`);

const toXCom = (row: XComRow): z.output<typeof shapes.xcomList>["xcom_entries"][number] => ({
  key: row.key,
  timestamp: row.at.toISOString(),
  logical_date: iso(row.logical_date),
  map_index: row.map_index,
  task_id: row.task_id,
  dag_id: row.dag_id,
  run_id: row.run_id,
  dag_display_name: row.display_name,
  task_display_name: row.task_id,
  run_after: row.run_after.toISOString(),
});
