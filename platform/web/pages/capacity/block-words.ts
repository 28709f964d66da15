/** Why a waiting task instance waits, in a sentence, and for whom. */
import type { Capacity } from "../../../api/ui/capacity.ts";

type Blocked = Capacity["blocked"][number];

export function blockWords(
  { by, dag_id }: Pick<Blocked, "by" | "dag_id">,
  { tenant, pools }: Pick<Capacity, "tenant" | "pools">,
): string {
  switch (by.kind) {
    case "paused":
      return `${dag_id} is paused: it goes on when somebody unpauses it`;
    case "run":
      return "its run is not running yet";
    case "tenant":
      return `the tenant runs as many as it may (${tenant.max_running})`;
    case "pool": {
      const pool = pools.find((one) => one.pool === by.pool);
      return pool === undefined
        ? `the pool ${by.pool ?? ""} has too few free slots`
        : `the pool ${pool.pool} has ${Math.max(0, free(pool))} of ${pool.slots} slots free`;
    }
    case "run_tasks":
      return `its run has ${by.max ?? 0} running, as many as max_active_tasks lets it`;
    case "dag_tasks":
      return `${dag_id} has ${by.max ?? 0} running, as many as max_active_tasks lets it`;
    case "task":
      return `${by.max ?? 0} of this task run, as many as max_active_tis_per_dag lets it`;
    case "task_in_run":
      return `${by.max ?? 0} of this task run in its run, as many as max_active_tis_per_dagrun lets it`;
    case "none":
      return "nothing: it is admitted at the next look";
  }
}

/** Who holds what it waits for: "orders_etl 12, stock 4". */
export function holderWords(
  { by, dag_id }: Pick<Blocked, "by" | "dag_id">,
  { pools }: Pick<Capacity, "pools">,
): string {
  const holders = (
    by.kind === "pool"
      ? pools.filter(({ pool }) => pool === by.pool)
      : by.kind === "tenant"
        ? pools
        : []
  ).flatMap((pool) => pool.holders);
  if (by.kind === "pool" || by.kind === "tenant")
    return holders
      .slice(0, 5)
      .map((one) => `${one.dag_id ?? "others"} ${one.slots}`)
      .join(", ");
  return by.kind === "paused" || by.kind === "none" || by.kind === "run" ? "" : dag_id;
}

type Pool = Capacity["pools"][number];
/** Negative where a pool was made smaller than what it holds. */
export const free = (pool: Pool): number =>
  pool.slots - pool.taken_slots - (pool.include_deferred ? pool.deferred_slots : 0);
