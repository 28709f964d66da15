/**
 * What a scrape is answered with. The gauges from rows are read then, at most once in a few seconds whoever asks, and
 * only by the server role; a house that nobody scrapes reads nothing.
 */
import { statfs } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { catalogue, type MetricKey } from "../../ops/telemetry/catalogue.ts";
import { metrics } from "../../ops/telemetry/metrics.ts";
import { renderMetrics } from "../../ops/telemetry/render-metrics.ts";
import { canaryDags, canaryTenant } from "../../tenants/examples/canary.ts";
import { type Gauges, type LastSuccess, readGauges, readLastSuccesses } from "../store/gauges.ts";
import type { Store } from "../store/open.ts";

export type Scrape = {
  /** Answers the request with all series, or with those of one tenant. */
  serve(request: IncomingMessage, response: ServerResponse, tenant?: string): Promise<void>;
};

/** A reading serves for so long, and ten times as long as it took: at most a tenth of a connection goes to gauges. */
const keptMsMin = 5_000;
const keptTimes = 10;
const dagsMax = 20_000;

export function openScrape(deps: {
  readonly store: Store;
  readonly home: string;
  /** Of the server role: reads the rows. */
  readonly rows: boolean;
  /** Airflow's names beside ours. */
  readonly airflow: boolean;
  readonly guests: () => { readonly warm: number; readonly running: number };
}): Scrape {
  const { store } = deps;
  const gauges = keep(async () => writeGauges(await store.system(readGauges)));
  const successes = keep(async () =>
    writeSuccesses(await store.system((tx) => readLastSuccesses(tx, dagsMax))),
  );

  const look = async (): Promise<void> => {
    const { open, idle, waiting } = store.connections();
    metrics.databaseConnections.replace([
      [{ state: "busy" }, open - idle],
      [{ state: "idle" }, idle],
      [{ state: "waiting" }, waiting],
    ]);
    const { warm, running } = deps.guests();
    metrics.guests.replace([
      [{ state: "warm" }, warm],
      [{ state: "running" }, running],
    ]);
    const disk = await statfs(deps.home);
    metrics.diskFree.set({}, disk.bavail / disk.blocks);
    if (!deps.rows) return;
    try {
      await Promise.all([gauges(), successes()]);
      metrics.databaseUp.set({}, 1);
    } catch {
      // Yesterday's truth as today's would be worse than none.
      metrics.databaseUp.set({}, 0);
      for (const key of rowGauges) metrics[key].replace([]);
    }
  };

  return {
    async serve(request, response, tenant) {
      await look();
      const { contentType, text } = await renderMetrics({
        accept: request.headers.accept,
        airflow: deps.airflow,
        ...(tenant === undefined ? {} : { tenant }),
      });
      response.writeHead(200, {
        "content-type": contentType,
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
      });
      response.end(text);
    },
  };
}

/** One reading for all who ask at once or soon after; one that failed is not kept. */
function keep(read: () => Promise<void>): () => Promise<void> {
  let last: { until: number; readonly done: Promise<void> } | undefined;
  return () => {
    if (last !== undefined && performance.now() < last.until) return last.done;
    const begun = performance.now();
    const done = read();
    // Until it is there it is everybody's.
    const entry = { until: Number.POSITIVE_INFINITY, done };
    last = entry;
    done.then(
      () => {
        const now = performance.now();
        entry.until = now + Math.max(keptMsMin, (now - begun) * keptTimes);
      },
      () => {
        if (last === entry) last = undefined;
      },
    );
    return done;
  };
}

const rowGauges = (Object.keys(catalogue) as MetricKey[]).filter(
  (key) => catalogue[key].from === "rows",
);

function writeGauges(read: Gauges): void {
  metrics.tasks.replace(read.tasks.map(({ tenant, state, n }) => [{ tenant, state }, n]));
  metrics.oldestReady.replace(
    read.ready.map(({ tenant, queue, age_s }) => [{ tenant, queue }, age_s]),
  );
  metrics.queueDepth.replace(read.admitted.map(({ queue, n }) => [{ queue }, n]));
  metrics.oldestAdmitted.replace(read.admitted.map(({ queue, age_s }) => [{ queue }, age_s]));
  metrics.poolSlots.replace(
    read.pools.flatMap(({ tenant, pool, slots, include_deferred, running, queued, deferred }) => {
      const taken = running + queued + (include_deferred ? deferred : 0);
      const states = { running, queued, deferred, ...(slots < 0 ? {} : { open: slots - taken }) };
      return Object.entries(states).map(([state, n]) => [{ tenant, pool, state }, n] as const);
    }),
  );
  metrics.workers.replace(
    ["alive", "draining", "silent"].map((state) => [
      { state },
      read.workers.find((row) => row.state === state)?.n ?? 0,
    ]),
  );
  metrics.roleSeen.replace(read.roles.map(({ role, at_s }) => [{ role }, at_s]));
  metrics.syncFailing.replace(
    read.repositories.map(({ tenant, failing }) => [{ tenant }, failing]),
  );
  metrics.syncLastSuccess.replace(
    read.repositories.flatMap(({ tenant, synced_s: at }) =>
      at === null ? [] : [[{ tenant }, at] as const],
    ),
  );
  // 0 where there is none, so that a rise shows.
  const none = read.dags.map(({ tenant }) => [tenant, 0] as const);
  const errors = new Map([
    ...none,
    ...read.import_errors.map(({ tenant, n }) => [tenant, n] as const),
  ]);
  metrics.importErrors.replace([...errors].map(([tenant, n]) => [{ tenant }, n]));
  metrics.dags.replace(read.dags.map(({ tenant, n }) => [{ tenant }, n]));
}

function writeSuccesses(read: readonly LastSuccess[]): void {
  metrics.lastSuccess.replace(
    read.map(({ tenant, dag_id: dag, success_s }) => [{ tenant, dag }, success_s ?? 0]),
  );
  metrics.canary.replace(
    read.flatMap(({ tenant, dag_id: dag, success_s, failure_s }) => {
      if (tenant !== canaryTenant) return [];
      const at = dag === canaryDags.mustFail ? failure_s : success_s;
      return [[{ dag }, at ?? 0] as const];
    }),
  );
}
