/**
 * The metric catalogue: every series the platform has, as one typed source. Labels are bounded by
 * construction: tenant names (known ones only), states, results. Never a DAG, run or task id.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

export const registry = new Registry();
const registers = [registry];
const seconds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

export const metrics = {
  attempts: new Counter({
    name: "airlock_attempts_total",
    help: "Attempts that ended, by tenant and outcome.",
    labelNames: ["tenant", "outcome"] as const,
    registers,
  }),
  runs: new Counter({
    name: "airlock_dag_runs_total",
    help: "DAG runs that ended, by tenant and state.",
    labelNames: ["tenant", "state"] as const,
    registers,
  }),
  hopSeconds: new Histogram({
    name: "airlock_hop_seconds",
    help: "From a task being ready to the first line of its code.",
    labelNames: ["path"] as const, // continuation | doorbell
    buckets: seconds,
    registers,
  }),
  attemptSeconds: new Histogram({
    name: "airlock_attempt_seconds",
    help: "Wall time of an attempt's own code.",
    buckets: seconds,
    registers,
  }),
  doorSeconds: new Histogram({
    name: "airlock_door_seconds",
    help: "One transaction of the door.",
    buckets: seconds,
    registers,
  }),
  doorEvents: new Counter({
    name: "airlock_door_events_total",
    help: "Events that went through the door, by kind.",
    labelNames: ["kind"] as const,
    registers,
  }),
  repairs: new Counter({
    name: "airlock_repairs_total",
    help: "What recovery had to mend: 0 in calm weather.",
    labelNames: ["kind"] as const,
    registers,
  }),
  liveStreams: new Gauge({
    name: "airlock_live_streams",
    help: "Open streams of changes: a browser holds one, whatever its number of tabs.",
    registers,
  }),
  slotsUsed: new Gauge({
    name: "airlock_worker_slots_used",
    help: "Task slots of this worker in use.",
    registers,
  }),
  slots: new Gauge({ name: "airlock_worker_slots", help: "Task slots of this worker.", registers }),
  deploys: new Counter({
    name: "airlock_deploys_total",
    help: "Deploys of repositories, by tenant and result.",
    labelNames: ["tenant", "result"] as const,
    registers,
  }),
  deploySeconds: new Histogram({
    name: "airlock_deploy_seconds",
    help: "From the wake-up of a sync to its DAGs being live.",
    buckets: seconds,
    registers,
  }),
  importErrors: new Gauge({
    name: "airlock_import_errors",
    help: "Files whose newest version could not be loaded.",
    labelNames: ["tenant"] as const,
    registers,
  }),
  httpSeconds: new Histogram({
    name: "airlock_http_request_seconds",
    help: "HTTP requests by method and status class.",
    labelNames: ["method", "status"] as const,
    buckets: seconds,
    registers,
  }),
  guests: new Gauge({
    name: "airlock_guests",
    help: "Warm guest processes, by kind.",
    labelNames: ["kind"] as const,
    registers,
  }),
};

/** The text a Prometheus scrapes. */
export const renderMetrics = (): Promise<string> => registry.metrics();
