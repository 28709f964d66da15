/** The Grafana dashboards, as data. `node ops/dashboards/write.ts` writes the JSON beside this file; a test holds the two together. */

type Unit = "short" | "s" | "percentunit" | "reqps" | "dateTimeAsIso" | "bytes";
type Panel = {
  readonly title: string;
  readonly about: string;
  readonly unit: Unit;
  readonly kind?: "timeseries" | "stat" | "table";
  /** Legend → expression. */
  readonly ask: Readonly<Record<string, string>>;
  readonly exemplars?: true;
};
type Row = { readonly title: string; readonly panels: readonly Panel[] };
type Dashboard = {
  readonly uid: string;
  readonly title: string;
  readonly about: string;
  readonly byTenant: boolean;
  readonly rows: readonly Row[];
};

const quantile = (q: number, name: string, by: string, where = ""): string =>
  `histogram_quantile(${q}, sum by (${by === "" ? "le" : `le, ${by}`}) (rate(${name}_bucket${where}[$__rate_interval])))`;
const rate = (name: string, by: string, where = ""): string =>
  `sum by (${by}) (rate(${name}${where}[$__rate_interval]))`;
const mine = '{tenant="$tenant"}';

export const dashboards: readonly Dashboard[] = [
  {
    uid: "airlock-platform",
    title: "Airlock: platform",
    about: "Does it keep what it promises, for whom does it not, and is everybody there?",
    byTenant: false,
    rows: [
      {
        title: "Promises",
        panels: [
          {
            title: "Tasks that start late",
            about: "Share that took more than a second from admission to code; 1 % is the budget.",
            unit: "percentunit",
            ask: {
              "{{tenant}}": `1 - sum by (tenant) (rate(airlock_task_queue_delay_seconds_bucket{le="1"}[$__rate_interval])) / sum by (tenant) (rate(airlock_task_queue_delay_seconds_count[$__rate_interval]))`,
            },
          },
          {
            title: "Attempts that end by the platform's fault",
            about: "What an author's code does is not in it.",
            unit: "percentunit",
            ask: {
              "{{tenant}}": `sum by (tenant) (rate(airlock_task_attempts_total{result="error"}[$__rate_interval])) / sum by (tenant) (rate(airlock_task_attempts_total[$__rate_interval]))`,
            },
          },
          {
            title: "Scheduled runs: due to created",
            about: "Median and the slowest one in a hundred.",
            unit: "s",
            ask: {
              p50: quantile(0.5, "airlock_dagrun_schedule_delay_seconds", ""),
              p99: quantile(0.99, "airlock_dagrun_schedule_delay_seconds", ""),
            },
          },
          {
            title: "Canary: time since it ended as it must",
            about: "Empty: nobody turned it on (AIRLOCK_CANARY=1).",
            unit: "s",
            kind: "stat",
            ask: {
              "{{dag}}": "time() - max by (dag) (airlock_canary_last_expected_timestamp_seconds)",
            },
          },
        ],
      },
      {
        title: "Work",
        panels: [
          {
            title: "Attempts that end, by result",
            about: "failure: the author's code; error: the platform.",
            unit: "reqps",
            ask: { "{{result}}": rate("airlock_task_attempts_total", "result") },
          },
          {
            title: "Runs that end, by result",
            about: "All tenants.",
            unit: "reqps",
            ask: { "{{result}}": rate("airlock_dag_runs_total", "result") },
          },
          {
            title: "Open task instances",
            about: "What waits, and for what.",
            unit: "short",
            ask: { "{{state}}": "sum by (state) (max by (tenant, state) (airlock_tasks))" },
          },
          {
            title: "Admission to first line of code",
            about: "Points lead to the traces of single attempts.",
            unit: "s",
            exemplars: true,
            ask: {
              p50: quantile(0.5, "airlock_task_queue_delay_seconds", ""),
              p99: quantile(0.99, "airlock_task_queue_delay_seconds", ""),
            },
          },
        ],
      },
      {
        title: "Control plane",
        panels: [
          {
            title: "Roles: time since last sign of life",
            about: "From the database, whoever is scraped.",
            unit: "s",
            kind: "stat",
            ask: {
              "{{role}}": "time() - max by (role) (airlock_role_last_seen_timestamp_seconds)",
            },
          },
          {
            title: "Scheduler: one look",
            about: "Timers, plans, due runs.",
            unit: "s",
            ask: {
              p50: quantile(0.5, "airlock_scheduler_tick_duration_seconds", ""),
              p99: quantile(0.99, "airlock_scheduler_tick_duration_seconds", ""),
            },
          },
          {
            title: "Door: one transaction",
            about: "Lock the run, decide, write, commit.",
            unit: "s",
            ask: {
              p50: quantile(0.5, "airlock_door_transaction_seconds", ""),
              p99: quantile(0.99, "airlock_door_transaction_seconds", ""),
            },
          },
          {
            title: "Time since the scheduler looked",
            about: "It sleeps for 30 s at most.",
            unit: "s",
            kind: "stat",
            ask: { since: "time() - max(airlock_scheduler_last_tick_timestamp_seconds)" },
          },
          {
            title: "Why the scheduler woke",
            about: "An idle house wakes twice a minute.",
            unit: "reqps",
            ask: { "{{cause}}": rate("airlock_scheduler_wakeups_total", "cause") },
          },
          {
            title: "API: answers by class",
            about: "5xx are the platform's fault.",
            unit: "reqps",
            ask: { "{{code}}": rate("airlock_http_requests_total", "code") },
          },
          {
            title: "API: routes with most answers",
            about: "Templates, never names.",
            unit: "reqps",
            ask: {
              "{{method}} {{route}}": `topk(10, ${rate("airlock_http_requests_total", "route, method")})`,
            },
          },
          {
            title: "API: time to answer",
            about: "All routes.",
            unit: "s",
            ask: {
              p50: quantile(0.5, "airlock_http_request_duration_seconds", ""),
              p99: quantile(0.99, "airlock_http_request_duration_seconds", ""),
            },
          },
          {
            title: "Database connections",
            about: "`waiting` above 0 for long: see DatabaseConnectionsExhausted.",
            unit: "short",
            ask: { "{{instance}} {{state}}": "airlock_db_pool_connections" },
          },
          {
            title: "Event loop",
            about: "Near 1 everything waits.",
            unit: "percentunit",
            ask: { "{{instance}}": "airlock_event_loop_utilization_ratio" },
          },
          {
            title: "Memory of processes",
            about: "Ours; guests are beside it.",
            unit: "bytes",
            ask: { "{{instance}}": "process_resident_memory_bytes" },
          },
          {
            title: "CPU of processes",
            about: "1 is a core.",
            unit: "percentunit",
            ask: { "{{instance}}": "rate(process_cpu_seconds_total[$__rate_interval])" },
          },
          {
            title: "Streams to browsers",
            about: "One per browser.",
            unit: "short",
            ask: { streams: "sum(airlock_sse_clients)" },
          },
          {
            title: "Versions that run",
            about: "More than one only while an upgrade is under way.",
            unit: "short",
            kind: "stat",
            ask: { "{{version}}": "count by (version) (airlock_build_info)" },
          },
          {
            title: "Database answers",
            about: "1: the process read its gauges at the last scrape.",
            unit: "short",
            kind: "stat",
            ask: { "{{instance}}": "airlock_database_up" },
          },
        ],
      },
    ],
  },
  {
    uid: "airlock-tenant",
    title: "Airlock: tenant",
    about: "One team's runs: how many go well, what waits, which DAGs fail.",
    byTenant: true,
    rows: [
      {
        title: "How it goes",
        panels: [
          {
            title: "Success ratio without authors' failures",
            about: "Of the attempts that the platform answers for.",
            unit: "percentunit",
            kind: "stat",
            ask: {
              ratio: `sum(rate(airlock_task_attempts_total{tenant="$tenant",result=~"success|skip|reschedule"}[1h])) / sum(rate(airlock_task_attempts_total{tenant="$tenant",result=~"success|skip|reschedule|error"}[1h]))`,
            },
          },
          {
            title: "Success ratio of runs",
            about: "With everything that fails.",
            unit: "percentunit",
            kind: "stat",
            ask: {
              ratio: `sum(rate(airlock_dag_runs_total{tenant="$tenant",result="success"}[1h])) / sum(rate(airlock_dag_runs_total${mine}[1h]))`,
            },
          },
          {
            title: "Live DAGs",
            about: "Not retired.",
            unit: "short",
            kind: "stat",
            ask: { dags: `max(airlock_dags${mine})` },
          },
          {
            title: "Files that cannot be loaded",
            about: "Their last good version stays live.",
            unit: "short",
            kind: "stat",
            ask: { files: `max(airlock_dag_import_errors${mine})` },
          },
          {
            title: "Runs that end",
            about: "By result.",
            unit: "reqps",
            ask: { "{{result}}": rate("airlock_dag_runs_total", "result", mine) },
          },
          {
            title: "Length of runs",
            about: "From start to end.",
            unit: "s",
            ask: {
              p50: quantile(0.5, "airlock_dagrun_duration_seconds", "", mine),
              p95: quantile(0.95, "airlock_dagrun_duration_seconds", "", mine),
            },
          },
          {
            title: "Length of attempts",
            about: "Points lead to traces.",
            unit: "s",
            exemplars: true,
            ask: {
              p50: quantile(0.5, "airlock_task_attempt_duration_seconds", "", mine),
              p95: quantile(0.95, "airlock_task_attempt_duration_seconds", "", mine),
            },
          },
          {
            title: "Admission to first line of code",
            about: "What the platform adds.",
            unit: "s",
            exemplars: true,
            ask: {
              p50: quantile(0.5, "airlock_task_queue_delay_seconds", "", mine),
              p99: quantile(0.99, "airlock_task_queue_delay_seconds", "", mine),
            },
          },
        ],
      },
      {
        title: "What waits",
        panels: [
          {
            title: "Open task instances",
            about: "By state.",
            unit: "short",
            ask: { "{{state}}": `max by (state) (airlock_tasks${mine})` },
          },
          {
            title: "Oldest that is ready",
            about: "It waits for a place in its limits.",
            unit: "s",
            ask: { "{{queue}}": `max by (queue) (airlock_queue_oldest_ready_age_seconds${mine})` },
          },
          {
            title: "Pools",
            about: "Slots by what they are used for.",
            unit: "short",
            ask: { "{{pool}} {{state}}": `max by (pool, state) (airlock_pool_slots${mine})` },
          },
        ],
      },
      {
        title: "DAGs",
        panels: [
          {
            title: "Fail most",
            about: "Runs that did not succeed, last day.",
            unit: "short",
            kind: "table",
            ask: {
              "{{dag}}": `topk(10, sum by (dag) (increase(airlock_dag_runs_total{tenant="$tenant",result!="success"}[1d])))`,
            },
          },
          {
            title: "Time since last success",
            about: "The one alert that every team wants.",
            unit: "s",
            kind: "table",
            ask: {
              "{{dag}}": `topk(20, time() - max by (dag) (airlock_dag_last_success_timestamp_seconds${mine}))`,
            },
          },
          {
            title: "Deadlines missed",
            about: "Ended by dagrun_timeout, last day.",
            unit: "short",
            kind: "table",
            ask: {
              "{{dag}}": `sum by (dag) (increase(airlock_dag_deadline_missed_total${mine}[1d])) > 0`,
            },
          },
        ],
      },
    ],
  },
  {
    uid: "airlock-workers",
    title: "Airlock: workers and queue",
    about: "Who works, what waits for them, what was lost.",
    byTenant: false,
    rows: [
      {
        title: "Queue",
        panels: [
          {
            title: "Admitted, waiting for a worker",
            about: "By queue.",
            unit: "short",
            ask: { "{{queue}}": "max by (queue) (airlock_queue_admitted_tasks)" },
          },
          {
            title: "Oldest admitted",
            about: "How long it has waited for a worker.",
            unit: "s",
            ask: { "{{queue}}": "max by (queue) (airlock_queue_oldest_admitted_age_seconds)" },
          },
          {
            title: "Oldest ready",
            about: "It waits for limits, per tenant.",
            unit: "s",
            ask: { "{{tenant}}": "max by (tenant) (airlock_queue_oldest_ready_age_seconds)" },
          },
        ],
      },
      {
        title: "Workers",
        panels: [
          {
            title: "Slots",
            about: "All workers together.",
            unit: "short",
            ask: { "{{state}}": "sum by (state) (airlock_worker_slots)" },
          },
          {
            title: "Workers",
            about: "By their last heartbeat.",
            unit: "short",
            ask: { "{{state}}": "max by (state) (airlock_workers)" },
          },
          {
            title: "Guests",
            about: "Sandboxed processes.",
            unit: "short",
            ask: { "{{state}}": "sum by (state) (airlock_guests)" },
          },
          {
            title: "Free disk",
            about: "Below 5 % no task starts.",
            unit: "percentunit",
            ask: { "{{instance}}": "airlock_home_disk_free_ratio" },
          },
        ],
      },
      {
        title: "What was lost",
        panels: [
          {
            title: "Attempts taken from dead workers",
            about: "They ran again elsewhere.",
            unit: "short",
            ask: {
              "{{reason}}": "sum by (reason) (increase(airlock_task_lost_total[$__rate_interval]))",
            },
          },
          {
            title: "Repairs",
            about: "0 in calm weather.",
            unit: "short",
            ask: {
              "{{reason}}": "sum by (reason) (increase(airlock_repairs_total[$__rate_interval]))",
            },
          },
          {
            title: "Series that did not fit",
            about: "Counted as _other.",
            unit: "short",
            ask: {
              "{{metric}}":
                "sum by (metric) (increase(airlock_metrics_dropped_series_total[$__rate_interval]))",
            },
          },
        ],
      },
    ],
  },
  {
    uid: "airlock-sync",
    title: "Airlock: repositories",
    about: "From a push to live DAGs.",
    byTenant: false,
    rows: [
      {
        title: "Syncs",
        panels: [
          {
            title: "Push to live",
            about: "From the sync of a push to its DAGs being live.",
            unit: "s",
            ask: {
              p50: quantile(0.5, "airlock_git_push_to_live_seconds", ""),
              p99: quantile(0.99, "airlock_git_push_to_live_seconds", ""),
            },
          },
          {
            title: "Syncs by how they ended",
            about: "nothing_new is a poll without news.",
            unit: "reqps",
            ask: { "{{result}}": rate("airlock_gitsync_total", "result") },
          },
          {
            title: "Length of syncs",
            about: "Slowest one in twenty, by tenant.",
            unit: "s",
            ask: { "{{tenant}}": quantile(0.95, "airlock_gitsync_duration_seconds", "tenant") },
          },
          {
            title: "Repositories that cannot be fetched",
            about: "By tenant.",
            unit: "short",
            ask: { "{{tenant}}": "max by (tenant) (airlock_gitsync_failing_repositories) > 0" },
          },
          {
            title: "Longest not reached",
            about: "Of a tenant's external repositories.",
            unit: "s",
            ask: {
              "{{tenant}}":
                "time() - min by (tenant) (airlock_gitsync_last_success_timestamp_seconds)",
            },
          },
          {
            title: "Files that cannot be loaded",
            about: "By tenant.",
            unit: "short",
            ask: { "{{tenant}}": "max by (tenant) (airlock_dag_import_errors) > 0" },
          },
        ],
      },
    ],
  },
];

const columns = 4;
const width = 24 / columns;
const height = 8;
const source = { type: "prometheus", uid: "${datasource}" };

/** As Grafana 10 and newer import it. */
export function toGrafana(dashboard: Dashboard): object {
  let id = 0;
  let y = 0;
  const panels: object[] = [];
  for (const row of dashboard.rows) {
    id += 1;
    panels.push({
      id,
      type: "row",
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: [],
    });
    y += 1;
    for (const [i, panel] of row.panels.entries()) {
      id += 1;
      const at = {
        x: (i % columns) * width,
        y: y + Math.floor(i / columns) * height,
        w: width,
        h: height,
      };
      panels.push(toPanel(panel, id, at));
    }
    y += Math.ceil(row.panels.length / columns) * height;
  }
  return {
    uid: dashboard.uid,
    title: dashboard.title,
    description: dashboard.about,
    tags: ["airlock"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: "30s",
    time: { from: "now-6h", to: "now" },
    timezone: "utc",
    templating: {
      list: [
        { name: "datasource", label: "Prometheus", type: "datasource", query: "prometheus" },
        ...(dashboard.byTenant
          ? [
              {
                name: "tenant",
                label: "Tenant",
                type: "query",
                datasource: source,
                query: { query: "label_values(airlock_dags, tenant)", refId: "tenant" },
                refresh: 2,
                sort: 1,
              },
            ]
          : []),
      ],
    },
    panels,
  };
}

const toPanel = (panel: Panel, id: number, gridPos: object): object => ({
  id,
  type: panel.kind ?? "timeseries",
  title: panel.title,
  description: panel.about,
  datasource: source,
  gridPos,
  fieldConfig: { defaults: { unit: panel.unit, min: 0 }, overrides: [] },
  options: panel.kind === "table" ? {} : { legend: { displayMode: "list", placement: "bottom" } },
  targets: Object.entries(panel.ask).map(([legend, expr], n) => ({
    refId: String.fromCodePoint(65 + n),
    datasource: source,
    expr,
    legendFormat: legend,
    ...(panel.kind === "table" ? { instant: true, format: "table" } : {}),
    ...(panel.exemplars === true ? { exemplar: true } : {}),
  })),
});
