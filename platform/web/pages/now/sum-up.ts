import type { Now } from "../../../api/ui/now.ts";

const longWaitMs = 600_000;

/** Pools for which something has waited for longer than ten minutes. */
export const slowPools = (now: Now, nowMs: number): Now["pools"] =>
  now.pools.filter(
    ({ oldest_wait_at }) =>
      oldest_wait_at !== null && nowMs - Date.parse(oldest_wait_at) > longWaitMs,
  );

/** What there is to do per tenant: causes that still fail, and everything else that needs somebody. */
export function countByTenant(now: Now, nowMs: number): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const items = [
    ...now.failures.filter(({ still_failing }) => still_failing > 0),
    ...now.stuck,
    ...slowPools(now, nowMs),
    ...now.late,
    ...now.import_errors,
    ...now.sync_errors,
  ];
  for (const { tenant } of items) counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
  return counts;
}
