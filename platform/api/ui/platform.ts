/** The platform as a whole, for who may read it. */
import { z } from "zod";
import { listTenantOverviews } from "../../store/overview.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { json } from "../reply.ts";

const overview = z.object({
  version: z.string(),
  node: z.string(),
  public_url: z.string(),
  health: z.object({
    database: z.boolean(),
    scheduler_heartbeat: z.string().nullable(),
    sync_heartbeat: z.string().nullable(),
    warnings: z.array(z.string()),
  }),
  is_partial: z.boolean(),
  tenants: z.array(
    z.object({
      tenant: z.string(),
      display_name: z.string(),
      state: z.enum(["active", "suspended"]),
      uid: z.int(),
      max_running: z.int(),
      weight: z.int(),
      limits: z.record(z.string(), z.unknown()),
      egress: z.array(z.object({ host: z.string(), port: z.int() })),
      allow_sources: z.array(z.string()),
      created_at: z.string(),
      running: z.int(),
      dags: z.int(),
      repositories: z.array(
        z.object({
          repository: z.string(),
          url: z.string().nullable(),
          branch: z.string(),
          commit: z.string().nullable(),
          held: z.boolean(),
          problem: z.string().nullable(),
        }),
      ),
    }),
  ),
});
export type Overview = z.output<typeof overview>;

const tenantsMax = 2_000;

export const platformEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: "/api/platform/overview",
      tag: "Platform",
      summary: "Tenants, their repositories, health and versions, in one answer",
      policy: { deed: "platform.read", on: "*" },
      answers: { 200: overview },
    },
    async (ask) => {
      const [health, tenants] = await Promise.all([
        ask.deps.health(),
        ask.deps.store.system((tx) => listTenantOverviews(tx, tenantsMax + 1)),
      ]);
      return json(200, {
        version: ask.deps.version,
        node: process.version,
        public_url: ask.deps.publicUrl,
        health: {
          database: health.database,
          scheduler_heartbeat: health.scheduler_heartbeat?.toISOString() ?? null,
          sync_heartbeat: health.sync_heartbeat?.toISOString() ?? null,
          warnings: [...health.warnings],
        },
        is_partial: tenants.length > tenantsMax,
        tenants: tenants.slice(0, tenantsMax).map((row) => ({
          ...row,
          egress: row.egress.map(({ host, port }) => ({ host, port })),
          allow_sources: [...row.allow_sources],
          repositories: [...row.repositories],
          created_at: row.created_at.toISOString(),
        })),
      } satisfies Overview);
    },
  ),
];
