import type { TaskState } from "../model/states.ts";
import { byTurn, type Turn } from "./admission.ts";

/** Everything two attempts must share to run one after the other in the same warm guest. */
export type ContinuationKey = {
  readonly tenant: string;
  readonly environment: string;
  readonly bundle: string;
  readonly guest: string;
  readonly level: string;
  readonly resource_class: string;
  readonly grants: string;
  readonly queue: string;
};

type Permits = {
  readonly pool: string;
  readonly pool_slots: number;
  /** Names of further limits it holds a place in (its DAG's, its run's). */
  readonly limits: readonly string[];
};

/** Read under the run's lock, after the fence of the ended attempt held. */
export type ContinuationFacts = {
  readonly worker: { readonly draining: boolean; readonly lock_session_alive: boolean };
  readonly ended: { readonly key: ContinuationKey; readonly permits: Permits };
  readonly next: Turn & {
    readonly state: TaskState;
    readonly dag_paused: boolean;
    readonly tenant_active: boolean;
    readonly key: ContinuationKey;
    readonly permits: Permits;
    /** max_active_tis_per_dag or _per_dagrun. */
    readonly has_own_limit: boolean;
  };
  /** A pool or limit in `permits` holds more than it may. */
  readonly over_committed: boolean;
  /** The first of the other ready instances for that pool or one of those limits. */
  readonly first_ready?: Turn | undefined;
  readonly own: { readonly in_flight_with_next: number; readonly weight: number };
  /** Other tenants that have an admitted attempt waiting on this queue. */
  readonly others: readonly { readonly in_flight: number; readonly weight: number }[];
  readonly own_waiting: boolean;
  /** Since this slot's last doorbell. */
  readonly hops: number;
  readonly ms: number;
};

export type ContinuationRefusal =
  | "worker"
  | "not_scheduled"
  | "paused"
  | "tenant_inactive"
  | "another_guest"
  | "other_permits"
  | "own_limit"
  | "over_committed"
  | "somebody_comes_first"
  | "another_tenants_turn"
  | "own_tasks_wait";

const hopsMax = 8;
const hopMsMax = 20;

/**
 * Whether the worker that ended an attempt may start the next one itself, with no job and no admission; or
 * the first reason why not, and it goes the ordinary way.
 */
export function mayContinue(facts: ContinuationFacts): ContinuationRefusal | undefined {
  const { worker, ended, next } = facts;
  if (worker.draining || !worker.lock_session_alive) return "worker";
  if (next.state !== "scheduled") return "not_scheduled";
  if (next.dag_paused) return "paused";
  if (!next.tenant_active) return "tenant_inactive";
  if (!sameKey(ended.key, next.key)) return "another_guest";
  if (!samePermits(ended.permits, next.permits)) return "other_permits";
  if (next.has_own_limit) return "own_limit";
  if (facts.over_committed) return "over_committed";
  if (facts.first_ready && byTurn(facts.first_ready, next) < 0) return "somebody_comes_first";
  const mine = facts.own.in_flight_with_next / facts.own.weight;
  // A tie goes to the one who waits.
  if (facts.others.some((one) => (one.in_flight + 1) / one.weight <= mine))
    return "another_tenants_turn";
  if (facts.own_waiting && (facts.hops >= hopsMax || facts.ms >= hopMsMax)) return "own_tasks_wait";
  return undefined;
}

const sameKey = (a: ContinuationKey, b: ContinuationKey): boolean =>
  a.tenant === b.tenant &&
  a.environment === b.environment &&
  a.bundle === b.bundle &&
  a.guest === b.guest &&
  a.level === b.level &&
  a.resource_class === b.resource_class &&
  a.grants === b.grants &&
  a.queue === b.queue;

const samePermits = (a: Permits, b: Permits): boolean =>
  a.pool === b.pool &&
  a.pool_slots === b.pool_slots &&
  a.limits.length === b.limits.length &&
  a.limits.every((limit) => b.limits.includes(limit));
