/**
 * What a child asks, read with bounds, asked of the house, and answered in Airflow's shapes. What does not
 * exist is an ErrorResponse in the body; what is refused or fails goes into the error slot (the child raises).
 */
import type {
  AttemptHost,
  AttemptStart,
  ConnectionValue,
  GuestLimits,
  ParseHost,
  XComRef,
} from "../../platform/model/guest.ts";
import { isObject, type Json, type JsonObject } from "../../platform/model/json.ts";
import { storable } from "../../platform/model/storable-text.ts";
import type { Mask } from "./mask-secrets.ts";

export type Body = { readonly [key: string]: unknown };
export type Reply = {
  readonly body?: Body;
  readonly error?: Body;
  /** A limit of the attempt was hit: named in its outcome if it fails. */
  readonly limit?: string;
  /** The value that was pushed is a list or map that a downstream maps over. */
  readonly mapped?: { readonly key: string; readonly length: number };
};

export async function answerRequest(
  message: Body,
  { host, start, limits, mask }: Asked,
): Promise<Reply> {
  switch (message["type"]) {
    case "GetConnection":
    case "GetVariable":
    case "MaskSecret":
      return answerLookup(message, host, mask);
    case "PutVariable":
      await host.putVariable(
        text(message, "key"),
        text(message, "value", 1 << 20),
        optionalText(message, "description", 4000),
      );
      return {};
    case "DeleteVariable":
      return { body: ok(await host.deleteVariable(text(message, "key"))) };
    case "GetXCom":
      return getXCom(message, host);
    case "GetXComCount":
    case "GetNumberXComs":
      return { body: { type: "XComLengthResponse", len: await host.countXComs(xcomOf(message)) } };
    case "GetXComSequenceItem":
      return getXComItem(message, host);
    case "GetXComSequenceSlice":
      return getXComSlice(message, host);
    case "SetXCom":
      return setXCom(message, host, start, limits);
    case "DeleteXCom":
      await host.deleteXCom(ownXCom(message, start));
      return {};
    case "SetRenderedFields":
      return setRenderedFields(message, host, limits, mask);
    case "SetRenderedMapIndex":
      await host.setRenderedMapIndex(
        mask.text(optionalText(message, "rendered_map_index", 4000) ?? "").slice(0, 250),
      );
      return { body: ok(true) };
    case "TriggerDagRun":
      return triggerDagRun(message, host);
    case "GetDagRunState":
      return getDagRunState(message, host);
    case "GetTaskStates":
      return {
        body: {
          type: "TaskStatesResult",
          task_states: await host.getTaskStates(statesQuery(message)),
        },
      };
    case "GetTICount":
      return countTasks(message, host);
    case "GetDRCount":
      return countRuns(message, host);
    case "GetTaskRescheduleStartDate":
      return {
        body: { type: "TaskRescheduleStartDate", start_date: start.first_reschedule_at ?? null },
      };
    default:
      return refusal(`${String(message["type"]).slice(0, 100)} is not available`);
  }
}

export type Asked = {
  readonly host: AttemptHost;
  readonly start: AttemptStart;
  readonly limits: GuestLimits;
  readonly mask: Mask;
};

/** The part that a parse may ask as well. */
export async function answerLookup(message: Body, host: ParseHost, mask: Mask): Promise<Reply> {
  switch (message["type"]) {
    case "GetConnection": {
      const id = text(message, "conn_id");
      const found = await host.getConnection(id);
      if (found === undefined) return missing("CONNECTION_NOT_FOUND", { conn_id: id });
      for (const secret of secretsOf(found)) mask.add(secret);
      return { body: connectionBody(found) };
    }
    case "GetVariable": {
      const key = text(message, "key");
      const value = await host.getVariable(key);
      if (value === undefined) return missing("VARIABLE_NOT_FOUND", { key });
      mask.add(value);
      for (const secret of sensitiveLeaves(value)) mask.add(secret);
      return { body: { type: "VariableResult", key, value } };
    }
    case "MaskSecret":
      for (const leaf of leavesOf(message["value"])) mask.add(leaf);
      return {};
    default:
      return refusal(
        `${String(message["type"]).slice(0, 100)} is not available while a file is parsed`,
      );
  }
}

function connectionBody(found: ConnectionValue): Body {
  return {
    type: "ConnectionResult",
    conn_id: found.conn_id,
    conn_type: found.conn_type,
    host: found.host ?? null,
    schema: found.schema ?? null,
    login: found.login ?? null,
    password: found.password ?? null,
    port: found.port ?? null,
    extra: found.extra ?? null,
  };
}

function secretsOf({ password, extra }: ConnectionValue): readonly string[] {
  return [...(password === undefined ? [] : [password]), ...sensitiveLeaves(extra ?? "")];
}

/** Airflow's list of names whose values are secrets (`DEFAULT_SENSITIVE_FIELDS`). */
const sensitive =
  /access_token|api_key|apikey|authorization|passphrase|passwd|password|private_key|secret|token|keyfile_dict|service_account|credential/i;

function sensitiveLeaves(json: string): readonly string[] {
  if (!json.startsWith("{")) return [];
  try {
    const walk = (value: unknown, under: boolean): string[] =>
      isObject(value)
        ? Object.entries(value).flatMap(([name, item]) => walk(item, under || sensitive.test(name)))
        : under
          ? [...leavesOf(value)]
          : [];
    return walk(JSON.parse(json), false);
  } catch {
    return [];
  }
}

function leavesOf(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap((item) => leavesOf(item));
  if (isObject(value)) return Object.values(value).flatMap((item) => leavesOf(item));
  return [];
}

async function getXCom(message: Body, host: AttemptHost): Promise<Reply> {
  const ref = { ...xcomOf(message), map_index: mapIndex(message) };
  const value = await host.getXCom(ref);
  if (value === undefined) return missing("XCOM_NOT_FOUND", { key: ref.key, task_id: ref.task_id });
  return { body: { type: "XComResult", key: ref.key, value } };
}

async function getXComItem(message: Body, host: AttemptHost): Promise<Reply> {
  const ref = xcomOf(message);
  const offset = whole(message, "offset");
  const values = await host.listXComs(ref);
  const value = values.at(offset);
  if (value === undefined) return missing("XCOM_NOT_FOUND", { key: ref.key, offset });
  return { body: { type: "XComSequenceIndexResult", root: value } };
}

async function getXComSlice(message: Body, host: AttemptHost): Promise<Reply> {
  const values = await host.listXComs(xcomOf(message));
  return {
    body: {
      type: "XComSequenceSliceResult",
      root: sliceLikePython(
        values,
        optionalWhole(message, "start"),
        optionalWhole(message, "stop"),
        optionalWhole(message, "step"),
      ),
    },
  };
}

export function sliceLikePython<T>(
  values: readonly T[],
  start: number | undefined,
  stop: number | undefined,
  step = 1,
): readonly T[] {
  if (step === 0) throw new RequestProblem("step must not be 0");
  const n = values.length;
  const bound = (raw: number): number =>
    step > 0
      ? Math.min(Math.max(raw < 0 ? raw + n : raw, 0), n)
      : Math.min(Math.max(raw < 0 ? raw + n : raw, -1), n - 1);
  const from = start === undefined ? (step > 0 ? 0 : n - 1) : bound(start);
  const to = stop === undefined ? (step > 0 ? n : -1) : bound(stop);
  const out: T[] = [];
  for (let i = from; step > 0 ? i < to : i > to; i += step) out.push(values[i] as T);
  return out;
}

async function setXCom(
  message: Body,
  host: AttemptHost,
  start: AttemptStart,
  limits: GuestLimits,
): Promise<Reply> {
  const ref = ownXCom(message, start);
  const value = jsonOf(message["value"], ref.key);
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes > limits.xcomBytes) {
    return {
      limit: "xcom",
      ...refusal(
        `the XCom "${ref.key}" of ${String(bytes)} bytes is over the limit of ${String(limits.xcomBytes)} bytes: store large data elsewhere and return its address, or write it to $AIRLOCK_ARTIFACTS`,
      ),
    };
  }
  const mapped = optionalWhole(message, "mapped_length");
  // The house keeps it in 32 bits.
  if (mapped !== undefined && (mapped < 0 || mapped > 0x7fff_ffff))
    throw new RequestProblem("mapped_length must be from 0 to 2^31 − 1");
  await host.setXCom(ref, value, mapped);
  const isWanted = ref.key === "return_value" || start.push_length_keys?.includes(ref.key) === true;
  return isWanted && mapped !== undefined ? { mapped: { key: ref.key, length: mapped } } : {};
}

async function setRenderedFields(
  message: Body,
  host: AttemptHost,
  limits: GuestLimits,
  mask: Mask,
): Promise<Reply> {
  const raw = message["rendered_fields"];
  if (!isObject(raw)) throw new RequestProblem("rendered_fields must be a map");
  const fields = maskJson(shown(raw), mask) as JsonObject;
  const bytes = Buffer.byteLength(JSON.stringify(fields));
  // They are for people to look at: what is too large is said, and the task goes on.
  await host.setRenderedFields(
    bytes <= limits.xcomBytes
      ? fields
      : {
          truncated: `rendered fields of ${String(bytes)} bytes are over the limit of ${String(limits.xcomBytes)}`,
        },
  );
  return { body: ok(true) };
}

function maskJson(value: Json, mask: Mask): Json {
  if (typeof value === "string") return mask.text(value);
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => maskJson(item, mask));
  if (isObject(value))
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [mask.text(name), maskJson(item, mask)]),
    );
  return value;
}

async function triggerDagRun(message: Body, host: AttemptHost): Promise<Reply> {
  const runId = optionalText(message, "run_id");
  const logicalDate = optionalText(message, "logical_date");
  const answer = await host.triggerDagRun({
    dag_id: text(message, "dag_id"),
    ...(runId === undefined ? {} : { run_id: runId }),
    ...(logicalDate === undefined ? {} : { logical_date: logicalDate }),
    ...(message["conf"] === undefined || message["conf"] === null
      ? {}
      : { conf: jsonOf(message["conf"], "conf") }),
    ...(message["reset_dag_run"] === true ? { reset_dag_run: true } : {}),
  });
  if (answer.ok) return { body: { ...ok(true), run_id: answer.run_id ?? null } };
  const why = answer.message ?? "the DAG run was refused";
  return /exist/i.test(why) ? missing("DAGRUN_ALREADY_EXISTS", { message: why }) : refusal(why);
}

async function getDagRunState(message: Body, host: AttemptHost): Promise<Reply> {
  const dag = text(message, "dag_id");
  const run = text(message, "run_id");
  const state = await host.getDagRunState(dag, run);
  return state === undefined
    ? refusal(`DAG ${dag} has no run ${run}`)
    : { body: { type: "DagRunStateResult", state } };
}

async function countTasks(message: Body, host: AttemptHost): Promise<Reply> {
  const wanted = texts(message, "states");
  const runs = Object.values(await host.getTaskStates(statesQuery(message)));
  const count = runs
    .flatMap((tasks) => Object.values(tasks))
    .filter((state) => wanted === undefined || wanted.includes(state ?? "none")).length;
  return { body: { type: "TICount", count } };
}

async function countRuns(message: Body, host: AttemptHost): Promise<Reply> {
  const dag = text(message, "dag_id");
  const wanted = texts(message, "states");
  const runs =
    texts(message, "run_ids") ?? Object.keys(await host.getTaskStates(statesQuery(message)));
  const states = await Promise.all(runs.map((run) => host.getDagRunState(dag, run)));
  const count = states.filter(
    (state) => state !== undefined && (wanted === undefined || wanted.includes(state)),
  ).length;
  return { body: { type: "DRCount", count } };
}

function statesQuery(message: Body): Parameters<AttemptHost["getTaskStates"]>[0] {
  const runs = texts(message, "run_ids");
  const dates = texts(message, "logical_dates");
  const tasks = texts(message, "task_ids");
  return {
    dag_id: text(message, "dag_id"),
    ...(runs === undefined ? {} : { run_ids: runs }),
    ...(dates === undefined ? {} : { logical_dates: dates }),
    ...(tasks === undefined ? {} : { task_ids: tasks }),
  };
}

function xcomOf(message: Body): Omit<XComRef, "map_index"> {
  return {
    dag_id: text(message, "dag_id"),
    run_id: text(message, "run_id"),
    task_id: text(message, "task_id"),
    key: text(message, "key", 512),
    ...(message["include_prior_dates"] === true ? { include_prior_dates: true } : {}),
  };
}

const mapIndex = (message: Body): number => optionalWhole(message, "map_index") ?? -1;

/** A task writes its own XComs and no other's, whatever its frames say. */
function ownXCom(message: Body, start: AttemptStart): XComRef {
  const ref = { ...xcomOf(message), map_index: mapIndex(message) };
  if (
    ref.dag_id !== start.dag_id ||
    ref.run_id !== start.run.run_id ||
    ref.task_id !== start.task_id ||
    ref.map_index !== start.map_index
  )
    throw new RequestProblem("a task may only write and delete XComs of its own");
  return ref;
}

/** A request that is wrong in itself. Its message goes to the child. */
export class RequestProblem extends Error {}

/** What comes out of a frame, as JSON: an integer that JavaScript would round is refused, not rounded. */
export function jsonOf(value: unknown, name: string): Json {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    throw new RequestProblem(`${name} holds ${String(value)}, which JSON cannot say`);
  }
  if (typeof value === "bigint")
    throw new RequestProblem(`${name} holds an integer beyond 2^53: pass it as text`);
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) throw new RequestProblem(`${name} holds bytes: encode them as text`);
  if (Array.isArray(value)) return value.map((item) => jsonOf(item, name));
  if (isObject(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, jsonOf(item, name)]),
    );
  throw new RequestProblem(`${name} holds a value that JSON cannot say`);
}

/** The same for what people only look at: what JSON cannot say is shown as text, so that the task goes on. */
export function shown(value: unknown): Json {
  if (typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value)))
    return String(value);
  if (Buffer.isBuffer(value)) return `${String(value.length)} bytes`;
  if (Array.isArray(value)) return value.map(shown);
  if (isObject(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shown(item)]));
  return jsonOf(value, "a rendered field");
}

function text(message: Body, field: string, lengthMax = 512): string {
  const raw = message[field];
  if (typeof raw !== "string" || raw.length === 0 || raw.length > lengthMax)
    throw new RequestProblem(`${field} must be a text of 1 to ${String(lengthMax)} characters`);
  if (raw !== storable(raw))
    throw new RequestProblem(`${field} must not hold NUL or half a character`);
  return raw;
}

function optionalText(message: Body, field: string, lengthMax = 512): string | undefined {
  const raw = message[field];
  if (raw === null || raw === undefined) return undefined;
  if (typeof raw !== "string" || raw.length > lengthMax)
    throw new RequestProblem(`${field} must be a text of at most ${String(lengthMax)} characters`);
  return raw;
}

function whole(message: Body, field: string): number {
  const raw = message[field];
  if (typeof raw !== "number" || !Number.isSafeInteger(raw))
    throw new RequestProblem(`${field} must be an integer`);
  return raw;
}

const optionalWhole = (message: Body, field: string): number | undefined =>
  message[field] === null || message[field] === undefined ? undefined : whole(message, field);

function texts(message: Body, field: string): readonly string[] | undefined {
  const raw = message[field];
  if (raw === null || raw === undefined) return undefined;
  if (!Array.isArray(raw) || raw.length > 10_000 || raw.some((item) => typeof item !== "string"))
    throw new RequestProblem(`${field} must be a list of texts`);
  return raw as readonly string[];
}

const ok = (value: boolean): Body => ({ type: "OKResponse", ok: value });
const missing = (error: string, detail: Body): Reply => ({
  body: { type: "ErrorResponse", error, detail },
});
export const refusal = (message: string): Reply => ({
  error: { type: "ErrorResponse", error: "GENERIC_ERROR", detail: { message } },
});
