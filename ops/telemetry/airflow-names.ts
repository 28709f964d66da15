/**
 * Airflow's metric names, for dashboards that people bring along: as Airflow's own StatsD names come out of the
 * statsd-exporter. Made from our series at the scrape, never counted twice. Where Airflow names a DAG or a task, the
 * tenant stands here: one series a task is what fills a Prometheus. Airflow's timers are milliseconds, so are these.
 */
import type { Family, Sample } from "./render-metrics.ts";

type Alias = {
  readonly name: string;
  readonly of: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Only samples with these labels, which are then left out. */
  readonly where?: Readonly<Record<string, string>>;
  /** Left of the labels; the values of those that go are added up. */
  readonly keep: readonly string[];
  readonly rename?: Readonly<Record<string, string>>;
  readonly milliseconds?: true;
};

export const airflowAliases: readonly Alias[] = [
  {
    name: "airflow_ti_successes",
    of: "airlock_task_attempts_total",
    type: "counter",
    where: { result: "success" },
    keep: ["tenant"],
  },
  {
    name: "airflow_ti_failures",
    of: "airlock_task_attempts_total",
    type: "counter",
    where: { result: "failure" },
    keep: ["tenant"],
  },
  {
    name: "airflow_scheduler_tasks_killed_externally",
    of: "airlock_task_lost_total",
    type: "counter",
    keep: [],
  },
  {
    name: "airflow_task_instances_without_heartbeats_killed",
    of: "airlock_task_lost_total",
    type: "counter",
    where: { reason: "lease" },
    keep: [],
  },
  {
    name: "airflow_scheduler_heartbeat",
    of: "airlock_scheduler_wakeups_total",
    type: "counter",
    keep: [],
  },
  {
    name: "airflow_scheduler_scheduler_loop_duration",
    of: "airlock_scheduler_tick_duration_seconds",
    type: "histogram",
    keep: [],
    milliseconds: true,
  },
  {
    name: "airflow_scheduler_tasks_starving",
    of: "airlock_tasks",
    type: "gauge",
    where: { state: "ready" },
    keep: [],
  },
  {
    name: "airflow_executor_queued_tasks",
    of: "airlock_tasks",
    type: "gauge",
    where: { state: "queued" },
    keep: [],
  },
  {
    name: "airflow_executor_running_tasks",
    of: "airlock_tasks",
    type: "gauge",
    where: { state: "running" },
    keep: [],
  },
  {
    name: "airflow_executor_open_slots",
    of: "airlock_worker_slots",
    type: "gauge",
    where: { state: "free" },
    keep: [],
  },
  ...["open", "running", "queued", "deferred"].map((state) => ({
    name: `airflow_pool_${state}_slots`,
    of: "airlock_pool_slots",
    type: "gauge" as const,
    where: { state },
    keep: ["tenant", "pool"],
    rename: { pool: "pool_name" },
  })),
  {
    name: "airflow_dagrun_duration_success",
    of: "airlock_dagrun_duration_seconds",
    type: "histogram",
    where: { result: "success" },
    keep: ["tenant"],
    milliseconds: true,
  },
  {
    name: "airflow_dagrun_duration_failed",
    of: "airlock_dagrun_duration_seconds",
    type: "histogram",
    where: { result: "failure" },
    keep: ["tenant"],
    milliseconds: true,
  },
  {
    name: "airflow_dagrun_schedule_delay",
    of: "airlock_dagrun_schedule_delay_seconds",
    type: "histogram",
    keep: ["tenant"],
    milliseconds: true,
  },
  {
    name: "airflow_task_duration",
    of: "airlock_task_attempt_duration_seconds",
    type: "histogram",
    keep: ["tenant"],
    milliseconds: true,
  },
  {
    name: "airflow_task_queued_duration",
    of: "airlock_task_queue_delay_seconds",
    type: "histogram",
    keep: ["tenant"],
    milliseconds: true,
  },
  {
    name: "airflow_dag_processing_import_errors",
    of: "airlock_dag_import_errors",
    type: "gauge",
    keep: [],
  },
  { name: "airflow_dagbag_size", of: "airlock_dags", type: "gauge", keep: [] },
  {
    name: "airflow_deadline_alerts_deadline_missed",
    of: "airlock_dag_deadline_missed_total",
    type: "counter",
    keep: ["tenant"],
  },
];

export const airflowNames = (families: readonly Family[]): Family[] =>
  airflowAliases.map((alias) => {
    const source = families.find(({ name }) => name === alias.of);
    const sums = new Map<string, Sample>();
    for (const sample of source?.samples ?? []) {
      if (
        Object.entries(alias.where ?? {}).some(([label, value]) => sample.labels[label] !== value)
      )
        continue;
      const suffix = sample.name.slice(alias.of.length);
      const scale = alias.milliseconds === true ? 1000 : 1;
      const labels = Object.fromEntries(
        Object.entries(sample.labels).flatMap(([label, value]) =>
          label === "le"
            ? [[label, typeof value === "number" ? value * scale : value]]
            : alias.keep.includes(label)
              ? [[alias.rename?.[label] ?? label, value]]
              : [],
        ),
      );
      const name = `${alias.name}${suffix}${alias.type === "counter" ? "_total" : ""}`;
      const value = suffix === "_sum" ? sample.value * scale : sample.value;
      const key = JSON.stringify([name, labels]);
      const before = sums.get(key)?.value ?? 0;
      sums.set(key, { name, labels, value: before + value });
    }
    return {
      name: alias.type === "counter" ? `${alias.name}_total` : alias.name,
      type: alias.type,
      help: `Airflow's name for ${alias.of}${alias.milliseconds === true ? ", in milliseconds" : ""}.`,
      samples: [...sums.values()],
    };
  });
