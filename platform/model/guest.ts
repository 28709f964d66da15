/**
 * What the house asks of a guest and what it may answer: the words between executor, sync and local on
 * one side and the supervisor on the other. The frames on the socket are the supervisor's own business.
 */
import type { GuestKind } from "./dag-spec.ts";
import type { AttemptId, CommitId, DagId, RepositoryId, RunId, TaskId, TenantId } from "./ids.ts";
import type { Json, JsonObject } from "./json.ts";
import type { RunType, SemanticsLevel } from "./states.ts";

/** Two attempts may share a warm guest only if all of this is equal: it is the isolation boundary. */
export type GuestKey = {
  readonly tenant: TenantId;
  /** uid on the host that this tenant's processes run as, where root can give one. */
  readonly uid: number;
  readonly kind: GuestKind;
  readonly repository: RepositoryId;
  readonly commit: CommitId;
  /** Absolute folder of the immutable checkout. */
  readonly bundleDir: string;
  /** The DAG folder inside it, where it is known from the deploy; else what a parse said, else a guess. */
  readonly dagsFolder?: string;
  readonly environment: EnvironmentRef;
  readonly level: SemanticsLevel;
  /** Connections and variables this DAG may ask for; `*` is all of the tenant's. */
  readonly grants: string;
  readonly egress: readonly EgressRule[];
  readonly limits: GuestLimits;
};

export type EnvironmentRef = {
  /** Content hash; `default` is the one that ships with the platform. */
  readonly hash: string;
  /** Absolute folder, or undefined for Node without dependencies. */
  readonly dir?: string;
  /** Absolute path of the interpreter inside it. */
  readonly interpreter: string;
};

export type EgressRule = { readonly host: string; readonly port: number };

export type GuestLimits = {
  readonly memoryBytes: number;
  /** Hundredths of a core. */
  readonly cpuPercent: number;
  readonly processes: number;
  readonly openFiles: number;
  readonly fileBytes: number;
  readonly logBytes: number;
  readonly logBytesPerSecond: number;
  readonly xcomBytes: number;
  readonly artifactBytes: number;
  readonly parseSeconds: number;
  /** 0 means none but the task's own execution_timeout. */
  readonly wallSeconds: number;
};

export type ParseRequest = {
  readonly key: GuestKey;
  /** Relative to bundleDir, `dags/…` included. */
  readonly files: readonly string[];
  /** The DAG folder inside the bundle (`dags`, or "" when the repository is itself the folder). */
  readonly dagsFolder: string;
  readonly levelOverride?: SemanticsLevel;
};

/** Parsing may ask for connections and variables (top-level `Variable.get`). */
export type ParseHost = Pick<AttemptHost, "getConnection" | "getVariable">;

export type ParsedFile = {
  readonly path: string;
  /** Still unknown: read with `readDagSpec` before use. */
  readonly dags: readonly unknown[];
  readonly errors: readonly FileProblem[];
  readonly warnings: readonly FileProblem[];
  /** Repository files that this parse read, itself first: the DAG version is a hash over them. */
  readonly inputs: readonly string[];
  /** Top-level packages of the environment that were imported; warm guests preload them. */
  readonly packages: readonly string[];
  readonly ms: number;
};

export type FileProblem = {
  readonly line?: number;
  readonly column?: number;
  /** One sentence: what is wrong. */
  readonly message: string;
  /** One sentence: the way out. */
  readonly hint?: string;
  readonly traceback?: string;
};

/** Everything an attempt is told at its start. Times are ISO 8601 in UTC. */
export type AttemptStart = {
  readonly attempt: AttemptId;
  readonly fence: number;
  readonly dag_id: DagId;
  readonly task_id: TaskId;
  readonly map_index: number;
  readonly try_number: number;
  readonly max_tries: number;
  /** Path of the DAG file relative to the bundle. */
  readonly dag_file: string;
  readonly queue: string;
  readonly pool: string;
  readonly priority_weight: number;
  readonly execution_timeout_s?: number;
  /** The first attempt of this sensor try, for its timeout across reschedules. */
  readonly first_reschedule_at?: string;
  readonly upstream_map_indexes?: { readonly [task: string]: number | readonly number[] };
  /** The run. */
  readonly run: {
    readonly run_id: RunId;
    readonly run_type: RunType;
    readonly logical_date?: string;
    readonly data_interval_start?: string;
    readonly data_interval_end?: string;
    readonly run_after: string;
    readonly start_date: string;
    readonly conf: Json;
    readonly params: JsonObject;
    readonly triggering_user?: string;
    readonly clear_number: number;
  };
  /** Length of what it returns must be pushed: a downstream maps over it. */
  readonly push_length: boolean;
  /** Other keys whose lengths must be pushed; absent is none. */
  readonly push_length_keys?: readonly string[];
  readonly next_method?: string;
  readonly next_kwargs?: Json;
  readonly payload?: Json;
  readonly traceparent?: string;
};

/** What a running attempt may ask the house. Every method checks the tenant and the fence; a stale fence throws `StaleFence`. */
export type AttemptHost = {
  getConnection(connId: string): Promise<ConnectionValue | undefined>;
  getVariable(key: string): Promise<string | undefined>;
  putVariable(key: string, value: string, description?: string): Promise<void>;
  deleteVariable(key: string): Promise<boolean>;
  getXCom(ref: XComRef): Promise<Json | undefined>;
  /** All values of a mapped task, ordered by map index. */
  listXComs(ref: Omit<XComRef, "map_index">): Promise<readonly Json[]>;
  countXComs(ref: Omit<XComRef, "map_index">): Promise<number>;
  setXCom(ref: XComRef, value: Json, mappedLength?: number): Promise<void>;
  deleteXCom(ref: XComRef): Promise<void>;
  setRenderedFields(fields: JsonObject): Promise<void>;
  setRenderedMapIndex(text: string): Promise<void>;
  triggerDagRun(request: {
    readonly dag_id: string;
    readonly run_id?: string;
    readonly logical_date?: string;
    readonly conf?: Json;
    readonly reset_dag_run?: boolean;
  }): Promise<{ readonly ok: boolean; readonly run_id?: string; readonly message?: string }>;
  getDagRunState(dagId: string, runId: string): Promise<string | undefined>;
  /** States by task id (mapped: task_id[index]) of another or the own run. */
  getTaskStates(query: {
    readonly dag_id: string;
    readonly run_ids?: readonly string[];
    readonly logical_dates?: readonly string[];
    readonly task_ids?: readonly string[];
  }): Promise<{ readonly [runId: string]: { readonly [task: string]: string | null } }>;
  /** Already masked, bounded lines. Resolves when written, so that a flood pauses the pipe. */
  log(lines: readonly LogLine[]): Promise<void>;
  artifact(file: {
    readonly name: string;
    readonly path: string;
    readonly bytes: number;
  }): Promise<void>;
};

export type XComRef = {
  readonly dag_id: string;
  readonly run_id: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly key: string;
  readonly include_prior_dates?: boolean;
};

export type ConnectionValue = {
  readonly conn_id: string;
  readonly conn_type: string;
  readonly host?: string;
  readonly schema?: string;
  readonly login?: string;
  readonly password?: string;
  readonly port?: number;
  readonly extra?: string;
};

export type LogLine = {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly level: "debug" | "info" | "warning" | "error" | "critical";
  readonly source: "task" | "stdout" | "stderr" | "platform";
  readonly text: string;
};

/** How an attempt ended, as facts. `usage` was read from the cgroup, else from wait4. */
export type AttemptOutcome = AttemptEnd & { readonly usage: Usage };

export type AttemptEnd =
  | {
      readonly kind: "success";
      /** A branch or short circuit: task ids that must be skipped, and those followed (for the record). */
      readonly skip?: {
        readonly followed?: readonly string[];
        readonly skipped?: readonly string[];
      };
      /** Length of the return value, when a downstream maps over it. */
      readonly mapped_length?: number;
      /** Lengths of the keys that `push_length_keys` asked for, as far as they were pushed. */
      readonly mapped_lengths?: { readonly [key: string]: number };
    }
  | { readonly kind: "skipped"; readonly reason?: string }
  | {
      readonly kind: "failed";
      /** false: AirflowFailException, sensor timeout and the like end it whatever tries are left. */
      readonly retryable: boolean;
      /** One sentence for people, names the limit if one was hit. At most 4,000 characters. */
      readonly reason: string;
      readonly exit_code?: number;
      readonly signal?: string;
      /** Which limit: memory, wall, log, xcom, processes … */
      readonly limit?: string;
    }
  | { readonly kind: "reschedule"; readonly at: string }
  | {
      readonly kind: "deferred";
      readonly trigger: { readonly classpath: string; readonly kwargs: Json };
      readonly timeout_s?: number;
      readonly next_method: string;
      readonly next_kwargs?: Json;
    }
  /** Asked to stop (stop, clear, lost lease): the state was or will be set by who asked. */
  | { readonly kind: "stopped"; readonly reason: string };

export type Usage = {
  readonly cpu_s: number;
  readonly peak_memory_bytes: number;
  /** From the fork (or claim of a spare) to the first line of the task's own code, milliseconds. */
  readonly start_ms: number;
  readonly wall_ms: number;
};

/** What the supervisor offers the house. `signal` aborts: SIGTERM, five seconds, SIGKILL, for the attempt's whole group. */
export type Guests = {
  run(
    key: GuestKey,
    start: AttemptStart,
    host: AttemptHost,
    signal: AbortSignal,
  ): Promise<AttemptOutcome>;
  /** One answer per file, in any order as they become ready; a file that crashes or hangs its guest gets its own error. */
  parse(request: ParseRequest, host: ParseHost, signal: AbortSignal): AsyncIterable<ParsedFile>;
};
