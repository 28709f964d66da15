/** What the API asks of the rest of the house: handed in by main, faked by tests. */
import type { Readable } from "node:stream";
import type { Authorizer } from "../../policies/authz/authorizer.ts";
import type { Answer } from "../model/answer.ts";
import type { TenantId } from "../model/ids.ts";
import type { JsonObject } from "../model/json.ts";
import type { ReachAnswer, ReachTarget } from "../model/reach.ts";
import type { Keyring } from "../secrets/keyring.ts";
import type { Store, Tx } from "../store/open.ts";

export type ApiDeps = {
  readonly store: Store;
  readonly keyring: Keyring;
  readonly authorizer: Authorizer;
  /** For the audit rows' HMAC: the first of `deriveKeys(keys, "audit")`. */
  readonly auditKey: Buffer;
  readonly runs: RunDeeds;
  readonly sources: SourceDeeds;
  /** A value too large for the database; undefined: it is gone. */
  /** The same as a stream, for artifacts. */
  readonly openObject: (key: string) => Promise<Readable | undefined>;
  readonly readObject: (key: string) => Promise<Buffer | undefined>;
  /** A piece of an archived log (lines as in `log_chunk`), from a byte on; `next` undefined: that was the end. */
  readonly readArchivedLog: (
    object: string,
    fromByte: number,
  ) => Promise<{ readonly text: string; readonly next: number | undefined }>;
  readonly health: () => Promise<HealthFacts>;
  /** Whether a tenant's tasks could reach an address, tried from inside its sandbox. */
  readonly tryToReach: (tenant: TenantId, target: ReachTarget) => Promise<ReachAnswer>;
  readonly version: string;
  /** AIRLOCK_PUBLIC_URL: decides the cookie's `Secure`, and which Origin is ours. */
  readonly publicUrl: string;
  /** A surprise: the person got an id, the log gets the rest. */
  readonly onSurprise: (
    error: unknown,
    where: { id: string; method: string; path: string },
  ) => void;
  /** One call per answer, for metrics. `route` is the template, never a path with names in it. */
  readonly onAnswer?: (answer: {
    route: string;
    method: string;
    status: number;
    ms: number;
  }) => void;
};

export type HealthFacts = {
  readonly database: boolean;
  readonly scheduler_heartbeat: Date | null;
  readonly sync_heartbeat: Date | null;
  readonly triggerer_heartbeat: Date | null;
  /** What works less well than it could on this machine (no cgroups …), one sentence each. */
  readonly warnings: readonly string[];
};

// ---- runs: the door

export type InstanceRef = {
  readonly run_id: string;
  readonly task_id: string;
  readonly map_index: number;
};

/** `not_found`, `exists` and `refused` become 404, 409 and 400; the message is for people. */
export type DeedProblem = {
  readonly kind: "not_found" | "exists" | "refused";
  readonly message: string;
};

/** How far a clear or a mark reaches from the tasks it names. */
type Reach = {
  readonly include_upstream: boolean;
  readonly include_downstream: boolean;
  readonly include_past: boolean;
  readonly include_future: boolean;
};

/**
 * Asked in the deed's own transaction, right before it is done: what it writes is written with the deed or not at
 * all. false: it is not to be done (any more).
 */
export type Once = (tx: Tx) => Promise<boolean>;

export type RunDeeds = {
  triggerRun(
    tenant: TenantId,
    run: {
      readonly dag_id: string;
      /** undefined: made from the time, as Airflow does. */
      readonly run_id: string | undefined;
      /** null: a run without a data interval. */
      readonly logical_date: Date | null;
      readonly data_interval_start: Date | undefined;
      readonly data_interval_end: Date | undefined;
      readonly run_after: Date | undefined;
      readonly conf: JsonObject;
      readonly note: string | undefined;
      readonly user: string;
      readonly triggered_by: "rest_api" | "ui" | "cli";
    },
  ): Promise<Answer<{ readonly run_id: string }, DeedProblem>>;
  /** Answers what was (or with `dry_run` would be) cleared. */
  clearInstances(
    tenant: TenantId,
    clear: Reach & {
      readonly dag_id: string;
      /** undefined: all runs between the dates. */
      readonly run_ids: readonly string[] | undefined;
      readonly start_date: Date | undefined;
      readonly end_date: Date | undefined;
      /** undefined: all tasks. `map_index` undefined: all instances of the task. */
      readonly tasks:
        | readonly { readonly task_id: string; readonly map_index: number | undefined }[]
        | undefined;
      readonly only_failed: boolean;
      readonly only_running: boolean;
      readonly reset_dag_runs: boolean;
      /** Refuse if an instance of them runs, rather than stop it. */
      readonly prevent_running_task: boolean;
      readonly run_on_latest_version: boolean;
      readonly dry_run: boolean;
      readonly user: string;
      readonly once?: Once;
    },
  ): Promise<Answer<readonly InstanceRef[], DeedProblem>>;
  markInstances(
    tenant: TenantId,
    mark: Reach & {
      readonly dag_id: string;
      readonly run_id: string;
      readonly task_id: string;
      /** undefined: all instances of the task. */
      readonly map_index: number | undefined;
      readonly state: "success" | "failed" | "skipped";
      readonly dry_run: boolean;
      readonly user: string;
    },
  ): Promise<Answer<readonly InstanceRef[], DeedProblem>>;
  /** `queued` clears the run, as in Airflow. */
  markRun(
    tenant: TenantId,
    mark: {
      readonly dag_id: string;
      readonly run_id: string;
      readonly state: "queued" | "success" | "failed";
      readonly user: string;
      readonly once?: Once;
    },
  ): Promise<Answer<undefined, DeedProblem>>;
  /** Ends what runs and fails the run. */
  stopRun(
    tenant: TenantId,
    stop: {
      readonly dag_id: string;
      readonly run_id: string;
      readonly user: string;
      readonly once?: Once;
    },
  ): Promise<Answer<undefined, DeedProblem>>;
  deleteRun(
    tenant: TenantId,
    run: {
      readonly dag_id: string;
      readonly run_id: string;
      readonly user: string;
      readonly once?: Once;
    },
  ): Promise<Answer<undefined, DeedProblem>>;
  noteRun(
    tenant: TenantId,
    note: { readonly dag_id: string; readonly run_id: string; readonly note: string | null },
  ): Promise<Answer<undefined, DeedProblem>>;
  noteInstance(
    tenant: TenantId,
    note: InstanceRef & { readonly dag_id: string; readonly note: string | null },
  ): Promise<Answer<undefined, DeedProblem>>;
  pauseDag(
    tenant: TenantId,
    dag: { readonly dag_id: string; readonly is_paused: boolean; readonly user: string },
  ): Promise<Answer<undefined, DeedProblem>>;
  /** A pool or the tenant may run more than before: what waited for that is admitted now. */
  limitGrew(tenant: TenantId): void;
  /** Removes the DAG with its history; refused while its file is live in a repository. */
  deleteDag(
    tenant: TenantId,
    dag: { readonly dag_id: string; readonly user: string },
  ): Promise<Answer<undefined, DeedProblem>>;
};

// ---- sources: repositories and what became of their commits

export type Repository = {
  readonly name: string;
  /** null: on the built-in host. Never with credentials. */
  readonly url: string | null;
  readonly branch: string;
  readonly path: string;
  readonly state: string;
  /** The live commit. */
  readonly commit: string | null;
  readonly checked_at: Date | null;
  readonly created_at: Date;
  /** Of the built-in host: where to push. */
  readonly clone_url: string | null;
  readonly webhook_url: string | null;
  readonly has_credentials: boolean;
  /** What somebody went back to, in place of the branch's newest commit. */
  readonly rollback: {
    readonly commit: string;
    readonly instead_of: string;
    readonly at: Date;
    readonly by: string;
  } | null;
};

/** The contract's JSON of a deploy. */
export type Deploy = {
  readonly repository: string;
  readonly commit: string;
  readonly state: "live" | "failed" | "syncing";
  readonly dags: {
    readonly new: number;
    readonly changed: number;
    readonly unchanged: number;
    readonly removed: number;
  };
  readonly errors: readonly {
    readonly path: string;
    readonly line: number | null;
    readonly message: string;
  }[];
  readonly ms: number | null;
  readonly at: Date;
};

export type ImportError = {
  readonly id: number;
  readonly repository: string;
  readonly path: string;
  readonly line: number | null;
  readonly message: string;
  readonly traceback: string | null;
  readonly at: Date;
  /** DAGs whose live version comes from this file: who may read one of them may read the error. */
  readonly dag_ids: readonly string[];
};

export type CommitFacts = {
  readonly author: string;
  readonly at: Date;
  /** The first line of its message. */
  readonly subject: string;
  /** null: on the built-in host. Never with credentials. */
  readonly url: string | null;
  /** Subdirectory of the repository that paths are relative to; "" is all of it. */
  readonly folder: string;
};

export type SourceDeeds = {
  listRepositories(tenant: TenantId): Promise<readonly Repository[]>;
  createRepository(
    tenant: TenantId,
    repository: {
      readonly name: string;
      readonly url: string | undefined;
      readonly branch: string | undefined;
      readonly path: string | undefined;
      /** HTTPS user and token, or an SSH private key with pinned host keys; kept sealed. */
      readonly credentials:
        | { readonly username?: string; readonly token: string }
        | { readonly private_key: string; readonly known_hosts: string }
        | undefined;
    },
  ): Promise<Answer<Repository, DeedProblem & { readonly field?: string }>>;
  deleteRepository(tenant: TenantId, name: string): Promise<Answer<undefined, DeedProblem>>;
  /** A fresh secret for the git host's webhook; shown this once. */
  renewWebhookSecret(
    tenant: TenantId,
    name: string,
  ): Promise<Answer<{ readonly secret: string; readonly url: string }, DeedProblem>>;
  /** Looks for new commits now, without waiting for the answer. */
  syncNow(tenant: TenantId, name: string, by: string): Promise<Answer<undefined, DeedProblem>>;
  /** Back to a commit that was live (a prefix of 7 or more will do), until the branch moves on or it is taken back. */
  rollBack(
    tenant: TenantId,
    name: string,
    back: { readonly commit: string; readonly by: string },
  ): Promise<Answer<{ readonly commit: string }, DeedProblem>>;
  takeRollbackBack(
    tenant: TenantId,
    name: string,
    by: string,
  ): Promise<Answer<undefined, DeedProblem>>;
  /** Newest first. */
  listDeploys(
    tenant: TenantId,
    query: {
      readonly repository: string | undefined;
      readonly limit: number;
      readonly offset: number;
    },
  ): Promise<{ readonly deploys: readonly Deploy[]; readonly total: number }>;
  listImportErrors(tenant: TenantId): Promise<readonly ImportError[]>;
  /** Who made a commit, and why; undefined: it is not on this machine any more. */
  describeCommit(
    tenant: TenantId,
    commit: { readonly repository: string; readonly commit: string },
  ): Promise<CommitFacts | undefined>;
  /** Text of a repository file at a commit that is or was live; undefined: no such file any more. */
  readSource(
    tenant: TenantId,
    file: { readonly repository: string; readonly commit: string; readonly path: string },
  ): Promise<string | undefined>;
};
