/** What waits for what in a tenant, who holds the places, and what its DAGs used. */
import { z } from "zod";
import {
  listWorkers,
  readDeferred,
  readHolding,
  readLanes,
  readPoolLimits,
  readUsage,
  readWaiting,
  waitingCountMax,
} from "../../store/capacity.ts";
import { getTenant } from "../../store/tenants.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { text, whole } from "../fields.ts";
import { invalid, notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";
import { whatBlocks } from "./what-blocks.ts";

const at = z.string().nullable();
const holder = z.object({
  /** null: of DAGs that one may not read. */
  dag_id: z.string().nullable(),
  running: z.int(),
  slots: z.int(),
});
const capacity = z.object({
  tenant: z.object({
    max_running: z.int(),
    weight: z.int(),
    state: z.enum(["active", "suspended"]),
    running: z.int(),
    admitted: z.int(),
    waiting: z.int(),
    /** As many were counted as are ever counted: there may be more. */
    waiting_is_at_least: z.boolean(),
    oldest_waiting_at: at,
  }),
  pools: z.array(
    z.object({
      pool: z.string(),
      description: z.string().nullable(),
      /** −1: no limit. */
      slots: z.int(),
      include_deferred: z.boolean(),
      taken_slots: z.int(),
      deferred_slots: z.int(),
      waiting: z.int(),
      waiting_slots: z.int(),
      oldest_waiting_at: at,
      holders: z.array(holder),
    }),
  ),
  queues: z.array(
    z.object({
      queue: z.string(),
      waiting: z.int(),
      admitted: z.int(),
      running: z.int(),
      oldest_admitted_at: at,
    }),
  ),
  blocked: z.array(
    z.object({
      dag_id: z.string(),
      run_id: z.string(),
      task_id: z.string(),
      map_index: z.int(),
      waiting: z.int(),
      since: at,
      pool: z.string(),
      queue: z.string(),
      by: z.object({
        kind: z.enum([
          "paused",
          "tenant",
          "run",
          "none",
          "pool",
          "dag_tasks",
          "run_tasks",
          "task",
          "task_in_run",
        ]),
        pool: z.string().optional(),
        max: z.int().optional(),
      }),
    }),
  ),
});
const usage = z.object({
  zone: z.string(),
  today: z.string(),
  rows: z.array(
    z.object({
      day: z.string(),
      dag_id: z.string(),
      tries: z.int(),
      unmeasured: z.int(),
      run_s: z.number(),
      cpu_s: z.number(),
      gb_s: z.number(),
    }),
  ),
});
const workers = z.object({
  workers: z.array(
    z.object({
      worker: z.string(),
      host: z.string(),
      pid: z.int(),
      queues: z.array(z.string()),
      slots: z.int(),
      running: z.int(),
      draining: z.boolean(),
      started_at: z.string(),
      beat_at: z.string(),
    }),
  ),
});
export type Capacity = z.output<typeof capacity>;
export type Usage = z.output<typeof usage>;
export type Workers = z.output<typeof workers>;

const blockedMax = 100;
const holdersMax = 10;

export const capacityEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/capacity`,
      tag: "Page",
      summary: "What waits for what: the tenant, its pools and queues, and who holds the places",
      policy: { deed: "pool.read", list: "pool" },
      answers: { 200: capacity },
    },
    async (ask) => {
      const dags = ask.seen("dag.read", "dag");
      const found = await ask.tx(async (tx) => ({
        tenant: await getTenant(tx, ask.tenant),
        pools: await readPoolLimits(tx, ask.seen()),
        waiting: await readWaiting(tx),
        holding: await readHolding(tx, dags),
        deferred: await readDeferred(tx),
        lanes: await readLanes(tx, dags),
      }));
      if (found.tenant === undefined) throw notFound();
      const { tenant, waiting, holding } = found;
      const taken = sum(holding, ({ count }) => count);
      const room = tenant.max_running - taken;
      const counted = sum(waiting, ({ count }) => count);
      return json(200, {
        tenant: {
          max_running: tenant.max_running,
          weight: tenant.weight,
          state: tenant.state,
          running: sum(
            holding.filter(({ state }) => state === "running"),
            ({ count }) => count,
          ),
          admitted: sum(
            holding.filter(({ state }) => state === "admitted"),
            ({ count }) => count,
          ),
          waiting: counted,
          waiting_is_at_least: counted >= waitingCountMax,
          oldest_waiting_at: oldest(waiting.map((row) => row.oldest_at)),
        },
        pools: found.pools.map((pool) => {
          const here = waiting.filter((row) => row.pool === pool.pool);
          const held = holding.filter((row) => row.pool === pool.pool);
          return {
            ...pool,
            taken_slots: sum(held, ({ slots }) => slots),
            deferred_slots: sum(
              found.deferred.filter((row) => row.pool === pool.pool),
              ({ slots }) => slots,
            ),
            waiting: sum(here, ({ count }) => count),
            waiting_slots: sum(here, ({ slots }) => slots),
            oldest_waiting_at: oldest(here.map((row) => row.oldest_at)),
            holders: [...Map.groupBy(held, (row) => row.dag_id)]
              .map(([dag_id, rows]) => ({
                dag_id,
                running: sum(rows, ({ count }) => count),
                slots: sum(rows, ({ slots }) => slots),
              }))
              .toSorted((a, b) => b.slots - a.slots)
              .slice(0, holdersMax),
          };
        }),
        queues: [...new Set([...waiting, ...holding].map(({ queue }) => queue))]
          .toSorted()
          .map((queue) => {
            const of = holding.filter((row) => row.queue === queue);
            const admitted = of.filter(({ state }) => state === "admitted");
            return {
              queue,
              waiting: sum(
                waiting.filter((row) => row.queue === queue),
                ({ count }) => count,
              ),
              admitted: sum(admitted, ({ count }) => count),
              running: sum(of, ({ count }) => count) - sum(admitted, ({ count }) => count),
              oldest_admitted_at: oldest(admitted.map((row) => row.oldest_at)),
            };
          }),
        blocked: found.lanes.slice(0, blockedMax).map((lane) => ({
          dag_id: lane.dag_id,
          run_id: lane.run_id,
          task_id: lane.task_id,
          map_index: lane.map_index,
          waiting: lane.waiting,
          since: lane.scheduled_at?.toISOString() ?? null,
          pool: lane.pool,
          queue: lane.queue,
          by: whatBlocks(lane, room),
        })),
      } satisfies Capacity);
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/capacity/usage`,
      tag: "Page",
      summary: "What DAGs used per day: CPU-seconds, and memory at its peak times the time it ran",
      policy: { deed: "dag.read", list: "dag" },
      query: { zone: text(64).default("UTC"), days: whole(1, 7).default(7) },
      answers: { 200: usage },
    },
    async (ask) => {
      const { zone, days } = ask.query;
      const today = dayIn(zone);
      if (today === undefined) throw invalid("zone", "is no time zone");
      const rows = await ask.tx((tx) => readUsage(tx, { dags: ask.seen(), zone, days }));
      return json(200, { zone, today, rows: [...rows] } satisfies Usage);
    },
  ),
  endpoint(
    {
      method: "GET",
      path: "/api/platform/workers",
      tag: "Platform",
      summary: "Workers, their slots and how many tries each runs",
      policy: { deed: "platform.read", on: "*" },
      answers: { 200: workers },
    },
    async (ask) => {
      const rows = await ask.deps.store.system(listWorkers);
      return json(200, {
        workers: rows.map((row) => ({
          ...row,
          queues: [...row.queues],
          started_at: row.started_at.toISOString(),
          beat_at: row.beat_at.toISOString(),
        })),
      } satisfies Workers);
    },
  ),
];

const sum = <T>(rows: readonly T[], of: (row: T) => number): number =>
  rows.reduce((total, row) => total + of(row), 0);

function oldest(times: readonly (Date | null)[]): string | null {
  const known = times.filter((time) => time !== null).map((time) => time.getTime());
  return known.length === 0 ? null : new Date(Math.min(...known)).toISOString();
}

/** Today there, or undefined if there is no such zone. Names alone: `+01:00` would mean another thing to Postgres. */
function dayIn(zone: string): string | undefined {
  if (!/^[A-Za-z][\w+/-]*$/.test(zone)) return undefined;
  try {
    return new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(new Date());
  } catch {
    return undefined;
  }
}
