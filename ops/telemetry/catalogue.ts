/**
 * Every series that the platform has, as one typed source: what writes it, renders it, alerts on it and draws it is
 * checked against this table. Names follow Prometheus' rules: base units, `_total` on counters, no label in a name.
 *
 * Labels are bounded: words of ours, routes as templates, a tenant's name; a DAG's name only where a team alerts on
 * one DAG. Never a run, a task, an attempt, a person, a file. What is bounded by tenants alone is cut by `metrics.ts`.
 */

/** What a label may hold. `open`: as many values as tenants make; capped, then `_other`. */
export const labelBounds = {
  tenant: "open",
  dag: "open",
  pool: "open",
  queue: "open",
  // words of ours
  result: 8,
  state: 8,
  reason: 8,
  role: 4,
  cause: 2,
  kind: 4,
  method: 8,
  code: 6,
  route: 400,
  metric: 100,
  version: 1,
} as const;
export type Label = keyof typeof labelBounds;

export type MetricSpec = {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly Label[];
  /** Of a histogram: at most 12. */
  readonly buckets?: readonly number[];
  /** Observations point at the trace they were made in. */
  readonly exemplars?: true;
  /**
   * `process`: what this process did; add up over processes. `rows`: read from the database when somebody scrapes; every
   * process of the server role tells the same, so take the maximum over processes.
   */
  readonly from: "process" | "rows";
};

const short = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30];
const long = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200];

const define = <const T extends { readonly [key: string]: MetricSpec }>(specs: T): T => specs;

export const catalogue = define({
  // ---- the process itself
  buildInfo: {
    name: "airlock_build_info",
    type: "gauge",
    help: "1, with the version of this process.",
    labels: ["version"],
    from: "process",
  },
  processCpu: {
    name: "process_cpu_seconds_total",
    type: "counter",
    help: "CPU time of this process.",
    labels: [],
    from: "process",
  },
  processMemory: {
    name: "process_resident_memory_bytes",
    type: "gauge",
    help: "Memory of this process.",
    labels: [],
    from: "process",
  },
  processStart: {
    name: "process_start_time_seconds",
    type: "gauge",
    help: "When this process started.",
    labels: [],
    from: "process",
  },
  eventLoopBusy: {
    name: "airlock_event_loop_utilization_ratio",
    type: "gauge",
    help: "How much of the time since the scrape before the event loop was busy; near 1 everything waits.",
    labels: [],
    from: "process",
  },
  diskFree: {
    name: "airlock_home_disk_free_ratio",
    type: "gauge",
    help: "Free part of the disk that AIRLOCK_HOME lies on.",
    labels: [],
    from: "process",
  },
  databaseConnections: {
    name: "airlock_db_pool_connections",
    type: "gauge",
    help: "Connections of this process' pool; `waiting` is work that waits for one.",
    labels: ["state"],
    from: "process",
  },
  droppedSeries: {
    name: "airlock_metrics_dropped_series_total",
    type: "counter",
    help: "Observations that went to `_other`, since their own series would have been one too many.",
    labels: ["metric"],
    from: "process",
  },

  // ---- the clock
  schedulerTick: {
    name: "airlock_scheduler_last_tick_timestamp_seconds",
    type: "gauge",
    help: "When the scheduler last looked at what is due. It sleeps for at most 30 s.",
    labels: [],
    from: "process",
  },
  schedulerTickSeconds: {
    name: "airlock_scheduler_tick_duration_seconds",
    type: "histogram",
    help: "One look of the scheduler: timers, plans, due runs.",
    labels: [],
    buckets: short,
    from: "process",
  },
  schedulerWakeups: {
    name: "airlock_scheduler_wakeups_total",
    type: "counter",
    help: "Why the scheduler looked: something was due, or it was told.",
    labels: ["cause"],
    from: "process",
  },
  scheduleDelay: {
    name: "airlock_dagrun_schedule_delay_seconds",
    type: "histogram",
    help: "From the time a scheduled run is due to its creation.",
    labels: ["tenant"],
    buckets: short,
    from: "process",
  },
  repairs: {
    name: "airlock_repairs_total",
    type: "counter",
    help: "Wake-ups that recovery had to mend, and continuations whose commit was not heard: 0 in calm weather.",
    labels: ["reason"],
    from: "process",
  },
  tasksLost: {
    name: "airlock_task_lost_total",
    type: "counter",
    help: "Attempts that were taken from a dead or silent worker and run again elsewhere.",
    labels: ["reason"],
    from: "process",
  },

  // ---- runs
  dagRuns: {
    name: "airlock_dag_runs_total",
    type: "counter",
    help: "DAG runs that ended.",
    labels: ["tenant", "dag", "result"],
    from: "process",
  },
  dagRunSeconds: {
    name: "airlock_dagrun_duration_seconds",
    type: "histogram",
    help: "From a run's start to its end.",
    labels: ["tenant", "result"],
    buckets: long,
    from: "process",
  },
  deadlineMissed: {
    name: "airlock_dag_deadline_missed_total",
    type: "counter",
    help: "DAG runs that were ended by their dagrun_timeout.",
    labels: ["tenant", "dag"],
    from: "process",
  },
  lastSuccess: {
    name: "airlock_dag_last_success_timestamp_seconds",
    type: "gauge",
    help: "When a run of the DAG last succeeded; 0: none of its last thirty runs did. Active DAGs only.",
    labels: ["tenant", "dag"],
    from: "rows",
  },
  doorSeconds: {
    name: "airlock_door_transaction_seconds",
    type: "histogram",
    help: "One transaction of the door: lock the run, decide, write, commit.",
    labels: [],
    buckets: short,
    from: "process",
  },

  // ---- attempts
  attempts: {
    name: "airlock_task_attempts_total",
    type: "counter",
    help: "Attempts that ended. `failure` is the author's code, `error` the platform's fault.",
    labels: ["tenant", "result"],
    from: "process",
  },
  queueDelay: {
    name: "airlock_task_queue_delay_seconds",
    type: "histogram",
    help: "From admission (every limit has room) to the first line of the task's own code.",
    labels: ["tenant"],
    buckets: short,
    exemplars: true,
    from: "process",
  },
  attemptSeconds: {
    name: "airlock_task_attempt_duration_seconds",
    type: "histogram",
    help: "Wall time of an attempt.",
    labels: ["tenant", "result"],
    buckets: long,
    exemplars: true,
    from: "process",
  },
  slots: {
    name: "airlock_worker_slots",
    type: "gauge",
    help: "Task slots of this worker.",
    labels: ["state"],
    from: "process",
  },
  guests: {
    name: "airlock_guests",
    type: "gauge",
    help: "Sandboxed guest processes of this process.",
    labels: ["state"],
    from: "process",
  },

  // ---- what waits, from the rows
  databaseUp: {
    name: "airlock_database_up",
    type: "gauge",
    help: "1 if the database answered this process at the scrape; without it the gauges from rows are missing.",
    labels: [],
    from: "process",
  },
  tasks: {
    name: "airlock_tasks",
    type: "gauge",
    help: "Task instances that are open. Of those that are ready at most 10,000 a tenant are counted.",
    labels: ["tenant", "state"],
    from: "rows",
  },
  oldestReady: {
    name: "airlock_queue_oldest_ready_age_seconds",
    type: "gauge",
    help: "How long the oldest ready task instance has waited for a place in its limits, or to be admitted.",
    labels: ["tenant", "queue"],
    from: "rows",
  },
  queueDepth: {
    name: "airlock_queue_admitted_tasks",
    type: "gauge",
    help: "Attempts that have a place in every limit and wait for a worker.",
    labels: ["queue"],
    from: "rows",
  },
  oldestAdmitted: {
    name: "airlock_queue_oldest_admitted_age_seconds",
    type: "gauge",
    help: "How long the oldest admitted attempt has waited for a worker.",
    labels: ["queue"],
    from: "rows",
  },
  poolSlots: {
    name: "airlock_pool_slots",
    type: "gauge",
    help: "Slots of a pool by what they are used for; `open` is left out for a pool without limit.",
    labels: ["tenant", "pool", "state"],
    from: "rows",
  },
  workers: {
    name: "airlock_workers",
    type: "gauge",
    help: "Workers by what the last heartbeat says; `silent` ones have missed theirs for 30 s.",
    labels: ["state"],
    from: "rows",
  },
  roleSeen: {
    name: "airlock_role_last_seen_timestamp_seconds",
    type: "gauge",
    help: "When any process of the role last said that it lives.",
    labels: ["role"],
    from: "rows",
  },

  // ---- repositories
  syncs: {
    name: "airlock_gitsync_total",
    type: "counter",
    help: "Syncs of repositories by how they ended; `nothing_new` is a poll without news.",
    labels: ["tenant", "result"],
    from: "process",
  },
  syncSeconds: {
    name: "airlock_gitsync_duration_seconds",
    type: "histogram",
    help: "A sync that deployed something, or failed.",
    labels: ["tenant"],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300],
    from: "process",
  },
  pushToLive: {
    name: "airlock_git_push_to_live_seconds",
    type: "histogram",
    help: "From the sync of a push to its DAGs being live.",
    labels: ["tenant"],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300],
    from: "process",
  },
  syncLastSuccess: {
    name: "airlock_gitsync_last_success_timestamp_seconds",
    type: "gauge",
    help: "When the external repository of the tenant that was reached longest ago was last reached.",
    labels: ["tenant"],
    from: "rows",
  },
  syncFailing: {
    name: "airlock_gitsync_failing_repositories",
    type: "gauge",
    help: "Repositories whose last sync could not reach or read them.",
    labels: ["tenant"],
    from: "rows",
  },
  importErrors: {
    name: "airlock_dag_import_errors",
    type: "gauge",
    help: "Files whose newest version could not be loaded; the last good one stays live.",
    labels: ["tenant"],
    from: "rows",
  },
  dags: {
    name: "airlock_dags",
    type: "gauge",
    help: "Live DAGs.",
    labels: ["tenant"],
    from: "rows",
  },

  // ---- people and programs
  httpSeconds: {
    name: "airlock_http_request_duration_seconds",
    type: "histogram",
    help: "Answers of the API.",
    labels: ["method", "code"],
    buckets: short,
    from: "process",
  },
  httpRequests: {
    name: "airlock_http_requests_total",
    type: "counter",
    help: "Answers of the API by route.",
    labels: ["route", "method", "code"],
    from: "process",
  },
  liveStreams: {
    name: "airlock_sse_clients",
    type: "gauge",
    help: "Open streams of changes: a browser holds one, whatever its number of tabs.",
    labels: [],
    from: "process",
  },

  // ---- the canary
  canary: {
    name: "airlock_canary_last_expected_timestamp_seconds",
    type: "gauge",
    help: "When a canary DAG last ended as it must: must_succeed with success, must_fail with failure.",
    labels: ["dag"],
    from: "rows",
  },
});

export type MetricKey = keyof typeof catalogue;
/** The labels of one metric. */
export type LabelsOf<K extends MetricKey> = {
  readonly [L in (typeof catalogue)[K]["labels"][number]]: string;
};
