import { z } from "zod";
import { type Endpoint, endpoint } from "../endpoint.ts";
import type { SignIn } from "../identify.ts";
import { json } from "../reply.ts";
import { grantEndpoints } from "./grants.ts";
import { peopleEndpoints } from "./people.ts";
import { repositoryEndpoints } from "./repositories.ts";
import { sessionEndpoints } from "./session.ts";
import { tenantEndpoints } from "./tenants.ts";
import { tokenEndpoints } from "./tokens.ts";

/** The platform's own API, health for machines, and what describes it all. */
export const adminEndpoints = (signIn: SignIn, description: () => object): readonly Endpoint[] => [
  ...healthEndpoints,
  endpoint(
    {
      method: "GET",
      path: "/api/platform/openapi.json",
      tag: "Platform",
      summary: "This description",
      policy: { open: true, why: "it holds names of routes, none of things" },
      answers: { 200: z.unknown() },
    },
    async () => json(200, description()),
  ),
  ...sessionEndpoints(signIn),
  ...tenantEndpoints,
  ...repositoryEndpoints,
  ...peopleEndpoints(signIn),
  ...grantEndpoints,
  ...tokenEndpoints(signIn),
];

const healthEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: "/livez",
      tag: "Health",
      summary: "This process answers",
      policy: { open: true, why: "for the machine that restarts it" },
      answers: { 200: z.object({ status: z.string() }) },
    },
    async () => json(200, { status: "ok" }),
  ),
  endpoint(
    {
      method: "GET",
      path: "/readyz",
      tag: "Health",
      summary: "This process can do its work",
      policy: { open: true, why: "for the machine that routes to it" },
      answers: { 200: z.object({ status: z.string() }), 503: z.object({ status: z.string() }) },
    },
    async (ask) => {
      const { database } = await ask.deps.health();
      return database ? json(200, { status: "ok" }) : json(503, { status: "no database" });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: "/api/platform/version",
      tag: "Platform",
      summary: "The version of the platform",
      policy: { open: true, why: "the command asks it before it signs in" },
      answers: { 200: z.object({ version: z.string() }) },
    },
    async (ask) => json(200, { version: ask.deps.version }),
  ),
  endpoint(
    {
      method: "GET",
      path: "/api/platform/health",
      tag: "Platform",
      summary: "How the platform's parts are, and what works less well than it could",
      policy: { signedIn: true, why: "heartbeats and warnings name no tenant" },
      answers: {
        200: z.object({
          database: z.boolean(),
          scheduler_heartbeat: z.string().nullable(),
          sync_heartbeat: z.string().nullable(),
          triggerer_heartbeat: z.string().nullable(),
          warnings: z.array(z.string()),
        }),
      },
    },
    async (ask) => json(200, await ask.deps.health()),
  ),
];
