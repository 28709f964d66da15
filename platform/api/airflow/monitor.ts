import { type Endpoint, endpoint } from "../endpoint.ts";
import { json } from "../reply.ts";
import { api } from "./base.ts";
import { health, version } from "./shapes.ts";
import { iso } from "./to-airflow.ts";

/** A version that Airflow's tools can parse, and whose API this is. */
const airflowVersion = "3.2.1";

const beatSecondsMax = 60;

export const monitorEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${api}/version`,
      tag: "Version",
      summary: "The version of Airflow whose API this is",
      policy: {
        open: true,
        why: "Airflow's clients ask before they sign in; it says nothing of the tenant",
      },
      answers: { 200: version },
    },
    async () => json(200, { version: airflowVersion, git_version: null }),
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/monitor/health`,
      tag: "Monitor",
      summary: "Whether the platform's parts are alive",
      policy: {
        open: true,
        why: "Airflow answers it to load balancers; it says nothing of the tenant",
      },
      answers: { 200: health },
    },
    async (ask) => {
      const facts = await ask.deps.health();
      const alive = (beat: Date | null): string =>
        beat !== null && Date.now() - beat.getTime() < beatSecondsMax * 1_000
          ? "healthy"
          : "unhealthy";
      return json(200, {
        metadatabase: { status: facts.database ? "healthy" : "unhealthy" },
        scheduler: {
          status: alive(facts.scheduler_heartbeat),
          latest_scheduler_heartbeat: iso(facts.scheduler_heartbeat),
        },
        // Waits are rows here; a host for Python triggers exists only while something is deferred.
        triggerer: {
          status: facts.triggerer_heartbeat === null ? null : alive(facts.triggerer_heartbeat),
          latest_triggerer_heartbeat: iso(facts.triggerer_heartbeat),
        },
        dag_processor: {
          status: alive(facts.sync_heartbeat),
          latest_dag_processor_heartbeat: iso(facts.sync_heartbeat),
        },
      });
    },
  ),
];
