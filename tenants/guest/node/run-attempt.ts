/** One attempt of one task: inputs in, the task's code, outputs out. What comes back is the terminal frame. */
import type { AttemptStart } from "../../../platform/model/guest.ts";
import { isObject, type Json } from "../../../platform/model/json.ts";
import type { Context } from "../sdk/author-types.ts";
import { isFail, isSkip } from "../sdk/outcome.ts";
import { withContext } from "../sdk/task-context.ts";
import { jsonOf, pullAll, pullItem, pullXCom, pushXCom } from "./attempt-context.ts";
import { type Explained, explainError } from "./explain-error.ts";
import type { Body, Line } from "./line.ts";

/** A task ready to run, whatever language its DAG was written in. */
export type Job = {
  readonly input: unknown;
  readonly over: readonly unknown[] | TaskRef | undefined;
  readonly work: JobWork;
  /** Fields of the output that a downstream maps over: pushed under their own keys with their lengths. */
  readonly pushFields: readonly string[];
  readonly outlets: readonly { readonly name: string; readonly uri: string }[];
  readonly isRef: (value: unknown) => TaskRef | undefined;
};

export type TaskRef = {
  readonly taskId: string;
  readonly path: readonly (string | number)[];
  readonly mapped: boolean;
};

export type Given = { readonly input: unknown; readonly item: unknown; readonly context: Context };
type Call = (given: Given) => unknown;
export type JobWork =
  | { readonly kind: "task"; readonly call: Call }
  | {
      readonly kind: "branch";
      readonly call: Call;
      /** Throws if it may not choose one of these. */
      readonly ends: (choices: readonly string[]) => {
        readonly followed: readonly string[];
        readonly skipped: readonly string[];
      };
    }
  | { readonly kind: "short_circuit"; readonly call: Call; readonly skipped: readonly string[] }
  | { readonly kind: "sensor"; readonly look: Call; readonly spec: SensorSpec };
export type SensorSpec = {
  readonly mode: "poke" | "reschedule";
  readonly poke_interval_s: number;
  readonly timeout_s: number;
  readonly soft_fail: boolean;
};

const { now } = Date;
const { setTimeout: startTimer, clearTimeout: stopTimer } = globalThis;

/** Never throws. `abort` is aborted when the execution timeout has passed. */
export async function runAttempt(
  job: Job,
  start: AttemptStart,
  context: Context,
  line: Line,
  abort: AbortController,
  root: string,
): Promise<Body> {
  try {
    const given = {
      input: await resolved(job, start, line),
      item: await element(job, start, line),
      context,
    };
    line.tell({ type: "TaskStarted" });
    return await withContext(context, () =>
      within(start, abort, () => work(job, start, given, line)),
    );
  } catch (thrown) {
    return ending(thrown, line, context, root);
  }
}

async function work(job: Job, start: AttemptStart, given: Given, line: Line): Promise<Body> {
  const { work: deed } = job;
  if (deed.kind === "sensor") return watch(job, deed, start, given, line);
  const value: unknown = await deed.call(given);
  if (deed.kind === "branch") {
    const choices = Array.isArray(value) ? value.map(String) : [String(value)];
    const skip = deed.ends(choices);
    await push(job, start, line, value);
    return succeeded(job, skip);
  }
  if (deed.kind === "short_circuit") {
    await push(job, start, line, Boolean(value));
    return succeeded(job, value ? undefined : { skipped: deed.skipped });
  }
  await push(job, start, line, value);
  return succeeded(job);
}

function succeeded(job: Job, skip?: object): Body {
  return {
    type: "SucceedTask",
    end_date: isoNow(),
    task_outlets: job.outlets.map(({ name, uri }) => ({ name, uri, type: "Asset" })),
    outlet_events: [],
    ...(skip === undefined ? {} : { skip }),
  };
}

const isoNow = (): string => new Date(now()).toISOString();

async function push(job: Job, start: AttemptStart, line: Line, value: unknown): Promise<void> {
  if (value === undefined && !start.push_length && job.pushFields.length === 0) return;
  const json = jsonOf(value ?? null, "what the task returned");
  const length = start.push_length ? lengthOf(json.value, "what this task returns") : undefined;
  // Fields first: when the return value is there, everything a downstream may ask for is.
  for (const field of job.pushFields) {
    const inner: Json | undefined = isObject(json.value) ? json.value[field] : undefined;
    const what = `the field "${field}" of what this task returns`;
    await pushXCom(start, line, field, jsonOf(inner ?? null, what), lengthOf(inner ?? null, what));
  }
  await pushXCom(start, line, "return_value", json, length);
}

function lengthOf(value: Json, what: string): number {
  if (Array.isArray(value)) return value.length;
  if (isObject(value)) return Object.keys(value).length;
  throw new TypeError(
    `a later task maps over ${what}, so it must be a list, not ${value === null ? "nothing" : `a ${typeof value}`}`,
  );
}

/** Looks until it is true. Its timeout counts from the first look of this try, over reschedules. */
async function watch(
  job: Job,
  deed: Extract<JobWork, { kind: "sensor" }>,
  start: AttemptStart,
  given: Given,
  line: Line,
): Promise<Body> {
  const { spec } = deed;
  const firstLook =
    start.first_reschedule_at === undefined ? now() : Date.parse(start.first_reschedule_at);
  const deadline = firstLook + spec.timeout_s * 1000;
  for (;;) {
    const answer: unknown = await deed.look(given);
    if (isObject(answer) && answer["done"] === true) {
      await push(job, start, line, answer["value"]);
      return succeeded(job);
    }
    if (answer === true) {
      await push(job, start, line, undefined);
      return succeeded(job);
    }
    const next = now() + spec.poke_interval_s * 1000;
    if (now() >= deadline) {
      const reason = `the sensor's timeout of ${spec.timeout_s} s has passed`;
      return spec.soft_fail
        ? { type: "TaskState", state: "skipped", end_date: isoNow(), reason }
        : {
            type: "TaskState",
            state: "failed",
            end_date: isoNow(),
            reason: `SensorTimeout: ${reason}`,
          };
    }
    if (spec.mode === "reschedule")
      return {
        type: "RescheduleTask",
        reschedule_date: new Date(Math.min(next, deadline)).toISOString(),
        end_date: isoNow(),
      };
    await pause(Math.min(next, deadline) - now(), given.context.signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      stopTimer(timer);
      reject(signal.reason as Error);
    };
    const timer = startTimer(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

export class TaskTimeout extends Error {
  override readonly name = "TaskTimeout";
}

/** The execution timeout ends the attempt even if the code does not listen to its signal. */
async function within(
  start: AttemptStart,
  abort: AbortController,
  deed: () => Promise<Body>,
): Promise<Body> {
  const limit = start.execution_timeout_s;
  if (limit === undefined || limit <= 0) return deed();
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = startTimer(
      () => {
        const timeout = new TaskTimeout(`the task did not end within its timeout of ${limit} s`);
        abort.abort(timeout);
        reject(timeout);
      },
      Math.min(limit * 1000, 2 ** 31 - 1),
    );
    timer.unref();
  });
  try {
    return await Promise.race([deed(), over]);
  } finally {
    stopTimer(timer);
  }
}

/** What was thrown → how the attempt ends. */
export function ending(
  thrown: unknown,
  line: Line,
  context: Pick<Context, "log" | "signal">,
  root: string,
): Body {
  const end_date = isoNow();
  if (isSkip(thrown)) {
    context.log.info(`Skipped: ${thrown.message}`);
    return { type: "TaskState", state: "skipped", end_date, reason: thrown.message.slice(0, 4000) };
  }
  // Code that was told to stop throws whatever its libraries make of it; the cause is the stop.
  const cause: unknown =
    context.signal.aborted && !isFail(thrown) ? (context.signal.reason ?? thrown) : thrown;
  const explained: Explained = explainError(cause, root);
  if (!line.ended) context.log.error(explained.trace);
  return isFail(thrown) && !thrown.retry
    ? { type: "TaskState", state: "failed", end_date, reason: explained.reason }
    : { type: "RetryTask", end_date, reason: explained.reason };
}

/** The input with outputs of other tasks in the places of their references. */
async function resolved(job: Job, start: AttemptStart, line: Line): Promise<unknown> {
  const pulled = new Map<string, Promise<unknown>>();
  const pull = (ref: TaskRef): Promise<unknown> => {
    const already = pulled.get(ref.taskId);
    if (already !== undefined) return already;
    const value = ref.mapped
      ? pullAll(start, line, ref.taskId, "return_value")
      : pullXCom(start, line, ref.taskId, "return_value", undefined);
    pulled.set(ref.taskId, value);
    return value;
  };
  const walk = async (value: unknown, depth: number): Promise<unknown> => {
    const ref = job.isRef(value);
    if (ref !== undefined) return fieldOf(await pull(ref), ref);
    if (typeof value !== "object" || value === null || depth > 32) return value;
    if (Array.isArray(value)) return Promise.all(value.map((inner) => walk(inner, depth + 1)));
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    const entries = Object.entries(value).map(
      async ([key, inner]) => [key, await walk(inner, depth + 1)] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  };
  return walk(job.input, 0);
}

/** A missing field of a missing output is missing; of an output that is there, an error with its name. */
function fieldOf(value: unknown, ref: TaskRef): unknown {
  let at = value;
  for (const key of ref.path) {
    if (at === undefined) return undefined;
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key))
      throw new TypeError(
        `the output of "${ref.taskId}" has no "${ref.path.join(".")}" (it is ${shape(at)})`,
      );
    at = (at as Record<string | number, unknown>)[key];
  }
  return at;
}

const shape = (value: unknown): string =>
  value === null
    ? "null"
    : Array.isArray(value)
      ? `a list of ${value.length}`
      : typeof value === "object"
        ? `an object with ${Object.keys(value).slice(0, 10).join(", ") || "nothing in it"}`
        : `a ${typeof value}`;

/** What a mapped instance works on, by its index. */
async function element(job: Job, start: AttemptStart, line: Line): Promise<unknown> {
  const { over } = job;
  if (over === undefined) return undefined;
  const index = start.map_index;
  if (!("taskId" in over)) return over[index];
  if (over.mapped) return pullItem(start, line, over.taskId, index);
  const key = over.path[0] ?? "return_value";
  const list = await pullXCom(start, line, over.taskId, String(key), undefined);
  const items: readonly unknown[] = Array.isArray(list)
    ? list
    : isObject(list)
      ? Object.entries(list)
      : [];
  if (index < 0 || index >= items.length)
    throw new RangeError(
      `"${over.taskId}" left ${items.length} elements, there is none at index ${index}`,
    );
  return items[index];
}
