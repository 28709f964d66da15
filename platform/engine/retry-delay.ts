import type { TaskSpec } from "../model/dag-spec.ts";
import type { SemanticsLevel } from "../model/states.ts";
import { isoOf } from "./run-id.ts";
import { sha1Hex } from "./sha1.ts";

const retryDelaySecondsMax = 24 * 60 * 60;

/**
 * Milliseconds from the end of try `tryNumber` to the next one, by Airflow's `next_retry_datetime`: constant,
 * or exponential with a jitter that is a hash of the names, so that it is the same whoever computes it.
 */
export function retryDelayMs(
  task: Pick<
    TaskSpec,
    "task_id" | "retry_delay_s" | "retry_exponential_backoff" | "max_retry_delay_s"
  >,
  of: {
    readonly dag_id: string;
    readonly level: SemanticsLevel;
    readonly logical_date_ms?: number | undefined;
    readonly try_number: number;
  },
): number {
  if (task.retry_exponential_backoff === 0) return task.retry_delay_s * 1000;
  const legacy = of.level === "1.10";
  // 1.10 counted a try that had ended as the next one already; only the hash shows it.
  const hashedTry = legacy ? of.try_number + 1 : of.try_number;
  const grown = task.retry_delay_s * task.retry_exponential_backoff ** (of.try_number - 1);
  const seconds = Math.min(Math.max(1, Math.ceil(grown)), Number.MAX_SAFE_INTEGER);
  const hash = sha1Hex(
    `${of.dag_id}#${task.task_id}#${pythonDate(of.logical_date_ms)}#${hashedTry}`,
  );
  const jittered = seconds + Number(BigInt(`0x${hash}`) % BigInt(seconds));
  const capped = legacy ? jittered : Math.min(jittered, retryDelaySecondsMax);
  return Math.min(capped, task.max_retry_delay_s ?? Number.MAX_SAFE_INTEGER / 1000) * 1000;
}

/** `str(datetime)` in UTC: `2026-01-01 00:00:00+00:00`. */
const pythonDate = (ms: number | undefined): string =>
  ms === undefined ? "None" : isoOf(ms).replace("T", " ");
