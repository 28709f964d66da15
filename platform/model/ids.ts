/**
 * Ids are strings at run time and strangers to each other at compile time. The readers below are the
 * only way from a stranger's string to an id; every bound here is part of the contract.
 */
import { type Answer, bad, good } from "./answer.ts";

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

/** A tenant's name: a DNS label, because it appears in URLs, host names and Kubernetes namespaces. */
export type TenantId = Id<"tenant">;
export type RepositoryId = Id<"repository">;
/** Airflow's dag_id: `[A-Za-z0-9_.-]`, at most 250 characters. */
export type DagId = Id<"dag">;
/** Airflow's task_id, group prefix included. */
export type TaskId = Id<"task">;
/** Airflow's dag_run_id, for example `scheduled__2026-01-01T00:00:00+00:00`. */
export type RunId = Id<"run">;
/** A full git commit, 40 or 64 hexadecimal digits. */
export type CommitId = Id<"commit">;
/** One try of a task instance; a UUID, and what Airflow's API calls the task instance's `id`. */
export type AttemptId = Id<"attempt">;
/** The key of a run inside the database (bigint as text). */
export type RunKey = Id<"run-key">;

const tenantPattern = /^[a-z][a-z0-9-]{0,61}[a-z0-9]$|^[a-z]$/;
const keyPattern = /^[\w.-]{1,250}$/;
/** Airflow allows more in run ids (colon, plus, at, tilde) since they carry ISO dates. */
const runIdPattern = /^[A-Za-z0-9_.~:+@-]{1,250}$/;

export type IdProblem = { readonly field: string; readonly message: string };

function read<T extends string>(
  field: string,
  raw: unknown,
  pattern: RegExp,
  rule: string,
): Answer<T, IdProblem> {
  if (typeof raw !== "string") return bad({ field, message: `${field} must be a string` });
  if (!pattern.test(raw) || raw === "." || raw === "..")
    return bad({ field, message: `${field} ${rule}` });
  return good(raw as T);
}

export const readTenantId = (raw: unknown): Answer<TenantId, IdProblem> =>
  read(
    "tenant",
    raw,
    tenantPattern,
    "must be lower-case letters, digits and dashes, begin with a letter, at most 63 characters",
  );
export const readRepositoryId = (raw: unknown): Answer<RepositoryId, IdProblem> =>
  read(
    "repository",
    raw,
    /^[a-z0-9][a-z0-9._-]{0,99}$/,
    "must be lower-case letters, digits, dot, dash and underscore, at most 100 characters",
  );
export const readDagId = (raw: unknown): Answer<DagId, IdProblem> =>
  read(
    "dag_id",
    raw,
    keyPattern,
    "must be letters, digits, dash, dot and underscore, at most 250 characters",
  );
export const readTaskId = (raw: unknown): Answer<TaskId, IdProblem> =>
  read(
    "task_id",
    raw,
    keyPattern,
    "must be letters, digits, dash, dot and underscore, at most 250 characters",
  );
export const readRunId = (raw: unknown): Answer<RunId, IdProblem> =>
  read(
    "dag_run_id",
    raw,
    runIdPattern,
    "must be letters, digits and any of _.~:+@-, at most 250 characters",
  );
export const readCommitId = (raw: unknown): Answer<CommitId, IdProblem> =>
  read("commit", raw, /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, "must be a full commit id");

/** For values that come from our own database or were read before: no check is repeated. */
export const known = {
  tenant: (raw: string): TenantId => raw as TenantId,
  repository: (raw: string): RepositoryId => raw as RepositoryId,
  dag: (raw: string): DagId => raw as DagId,
  task: (raw: string): TaskId => raw as TaskId,
  run: (raw: string): RunId => raw as RunId,
  runKey: (raw: string): RunKey => raw as RunKey,
  commit: (raw: string): CommitId => raw as CommitId,
  attempt: (raw: string): AttemptId => raw as AttemptId,
};
