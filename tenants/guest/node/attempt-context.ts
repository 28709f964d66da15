/** The context of an attempt: what the author's code gets, and the same facts under Airflow's names for templates. */

import type { AttemptStart } from "../../../platform/model/guest.ts";
import { isObject, type Json, type JsonObject } from "../../../platform/model/json.ts";
import type { Connection, Context, Log, LogLevel } from "../sdk/author-types.ts";
import { type Line, SupervisorError } from "./line.ts";

const { stringify, parse } = JSON;
const { now } = Date;

export function attemptContext(
  start: AttemptStart,
  params: unknown,
  line: Line,
  signal: AbortSignal,
): Context {
  const { run } = start;
  const logical = run.logical_date ?? run.run_after;
  const xcom = xcomOf(start, line);
  return {
    // What the author's own schema made of them, or JSON as it came.
    params: params as JsonObject,
    logicalDate: new Date(logical),
    dataInterval: {
      start: new Date(run.data_interval_start ?? logical),
      end: new Date(run.data_interval_end ?? logical),
    },
    dagId: start.dag_id,
    taskId: start.task_id,
    mapIndex: start.map_index,
    run: {
      id: run.run_id,
      type: run.run_type,
      conf: run.conf,
      startDate: new Date(run.start_date),
      ...(run.triggering_user === undefined ? {} : { triggeredBy: run.triggering_user }),
    },
    attempt: start.try_number,
    log: logTo(line, start.task_id),
    signal,
    conn: (id) => connection(line, id),
    variable: (key) => variable(line, key),
    artifacts: process.env["AIRLOCK_ARTIFACTS"] ?? `${process.cwd()}/artifacts`,
    xcom,
  };
}

export function logTo(line: Line, logger: string): Log {
  const at =
    (level: LogLevel) =>
    (message: string, fields?: object): void => {
      const event = `${message}${fields === undefined ? "" : fieldsText(fields)}`;
      line.tell({ type: "Log", records: [{ at: now(), level, logger, event }] });
    };
  return { debug: at("debug"), info: at("info"), warning: at("warning"), error: at("error") };
}

const fieldsText = (fields: object): string =>
  Object.entries(fields)
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? value : text(value)}`)
    .join("");

function text(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  try {
    return value === undefined ? "undefined" : stringify(value);
  } catch {
    return "[cannot be shown]";
  }
}

export async function connection(line: Line, id: string): Promise<Connection> {
  const answer = await line.ask({ type: "GetConnection", conn_id: id }).catch((error: unknown) => {
    if (error instanceof SupervisorError && error.code === "CONNECTION_NOT_FOUND")
      throw new Error(`the connection "${id}" does not exist, or this DAG may not use it`);
    throw error;
  });
  const optional = (field: string): string | undefined =>
    typeof answer[field] === "string" ? answer[field] : undefined;
  const [host, schema, login, password] = ["host", "schema", "login", "password"].map(optional);
  const port = answer["port"];
  return {
    id,
    type: optional("conn_type") ?? "",
    ...(host === undefined ? {} : { host }),
    ...(schema === undefined ? {} : { schema }),
    ...(login === undefined ? {} : { login }),
    ...(password === undefined ? {} : { password }),
    ...(typeof port === "number" ? { port } : {}),
    extra: extraOf(answer["extra"]),
  };
}

function extraOf(raw: unknown): JsonObject {
  if (typeof raw !== "string" || raw === "") return {};
  try {
    const extra: unknown = parse(raw);
    return isObject(extra) ? (extra as JsonObject) : {};
  } catch {
    return {};
  }
}

export async function variable(line: Line, key: string): Promise<string | undefined> {
  try {
    const { value } = await line.ask({ type: "GetVariable", key });
    return typeof value === "string" ? value : undefined;
  } catch (error) {
    if (error instanceof SupervisorError && error.code === "VARIABLE_NOT_FOUND") return undefined;
    throw error;
  }
}

function xcomOf(start: AttemptStart, line: Line): Context["xcom"] {
  return {
    async pull(taskId, { key = "return_value", mapIndex } = {}) {
      return pullXCom(start, line, taskId, key, mapIndex);
    },
    async push(key, value) {
      await pushXCom(start, line, key, jsonOf(value, `the XCom "${key}"`));
    },
  };
}

/** Undefined when the task left nothing (it was skipped, or returned nothing). */
export async function pullXCom(
  start: AttemptStart,
  line: Line,
  taskId: string,
  key: string,
  mapIndex: number | undefined,
): Promise<Json | undefined> {
  try {
    const { value } = await line.ask({
      type: "GetXCom",
      key,
      dag_id: start.dag_id,
      run_id: start.run.run_id,
      task_id: taskId,
      map_index: mapIndex ?? -1,
      include_prior_dates: false,
    });
    // It was JSON when it was pushed.
    return value as Json | undefined;
  } catch (error) {
    if (error instanceof SupervisorError && error.code === "XCOM_NOT_FOUND") return undefined;
    throw error;
  }
}

/** All values of a mapped task, by map index. */
export async function pullAll(
  start: AttemptStart,
  line: Line,
  taskId: string,
  key: string,
): Promise<readonly Json[]> {
  const { root } = await line.ask({
    type: "GetXComSequenceSlice",
    key,
    dag_id: start.dag_id,
    run_id: start.run.run_id,
    task_id: taskId,
    start: null,
    stop: null,
    step: null,
    include_prior_dates: false,
  });
  return Array.isArray(root) ? (root as Json[]) : [];
}

export async function pullItem(
  start: AttemptStart,
  line: Line,
  taskId: string,
  offset: number,
): Promise<Json> {
  const { root } = await line.ask({
    type: "GetXComSequenceItem",
    key: "return_value",
    dag_id: start.dag_id,
    run_id: start.run.run_id,
    task_id: taskId,
    offset,
  });
  return (root ?? null) as Json;
}

export async function pushXCom(
  start: AttemptStart,
  line: Line,
  key: string,
  { value, bytes }: JsonValue,
  mappedLength?: number,
): Promise<void> {
  const max = xcomBytesMax(start);
  if (bytes > max)
    throw new RangeError(
      `the value for "${key}" is ${mebibytes(bytes)} as JSON, more than the ${mebibytes(max)} an XCom may have: write it to a file or a store and hand on where it is`,
    );
  await line.ask({
    type: "SetXCom",
    key,
    value,
    dag_id: start.dag_id,
    run_id: start.run.run_id,
    task_id: start.task_id,
    map_index: start.map_index,
    mapped_length: mappedLength ?? null,
  });
}

const mebibytes = (bytes: number): string =>
  bytes < 1024 * 1024
    ? `${Math.ceil(bytes / 1024)} KiB`
    : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** The supervisor ends a guest whose frame is too long, so the guest keeps to the limit it is told. */
function xcomBytesMax(start: AttemptStart): number {
  const told: unknown = (start as { readonly xcom_bytes?: unknown }).xcom_bytes;
  return typeof told === "number" && told > 0 ? Math.min(told, frameMax) : frameMax;
}
const frameMax = 15 * 1024 * 1024;

export type JsonValue = { readonly value: Json; readonly bytes: number };

/** The value as JSON would carry it: dates are text, functions an error. */
export function jsonOf(value: unknown, what: string): JsonValue {
  let json: string | undefined;
  try {
    // Its type does not say so, but of a function or a symbol it makes nothing.
    json = stringify(value) as string | undefined;
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : "";
    throw new TypeError(`${what} is no JSON: ${why}`, { cause: error });
  }
  if (json === undefined)
    throw new TypeError(`${what} is a ${typeof value}, which JSON cannot carry`);
  const plain: Json = parse(json) as Json;
  return { value: plain, bytes: Buffer.byteLength(json) };
}
