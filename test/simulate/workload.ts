/** What runs: tenants, pools and DAGs, drawn by the dice. Small, so that they get in each other's way. */
import type { DagSpec } from "../../platform/model/dag-spec.ts";
import { known } from "../../platform/model/ids.ts";
import type { SemanticsLevel } from "../../platform/model/states.ts";
import { dagSpec, type TaskSketch } from "../kit/dag-spec.ts";
import type { Server } from "./database/server.ts";
import type { Tenant } from "./database/tables.ts";
import type { Dice } from "./dice.ts";
import type { Habits } from "./guests.ts";
import { epochMs } from "./world.ts";

export type Workload = {
  readonly tenants: readonly Tenant[];
  readonly dags: readonly { readonly tenant: string; readonly spec: DagSpec }[];
  readonly habits: Habits;
};

export function drawWorkload(dice: Dice): Workload {
  const tenants = ["acme", "globex"].slice(0, dice.between(1, 2)).map(
    (tenant): Tenant => ({
      tenant,
      state: "active",
      max_running: dice.between(2, 8),
      weight: dice.between(1, 3),
    }),
  );
  return {
    tenants,
    dags: tenants.flatMap(({ tenant }) =>
      Array.from({ length: dice.between(1, 2) }, (_, n) => ({ tenant, spec: drawDag(dice, n) })),
    ),
    habits: {
      failure: dice.pick([0, 0.05, 0.2]),
      reschedule: 0.6,
      long: dice.pick([0, 0.05, 0.3]),
    },
  };
}

const everySeconds = 7;

function drawDag(dice: Dice, n: number): DagSpec {
  const isScheduled = dice.chance(0.5);
  const length = dice.between(1, 6);
  const drawn = Array.from({ length }, (_, i) => drawTask(dice, i, length));
  // Now and then one that maps over what the one before it pushed.
  const tasks = drawn.map((task, i): TaskSketch => {
    const source = drawn[i - 1];
    const isFed =
      source?.downstream?.includes(task.task_id) === true && source.runs_in === undefined;
    return isFed && dice.chance(0.12)
      ? {
          ...task,
          map: {
            kind: "product",
            sources: [{ kind: "task", task_id: known.task(source.task_id), key: "return_value" }],
          },
        }
      : task;
  });
  const level = dice.pick<SemanticsLevel>(["1.10", "2", "3"]);
  return dagSpec(tasks, {
    dag_id: known.dag(`dag${n}`),
    level,
    max_active_runs: dice.between(1, 3),
    max_active_tasks: dice.between(1, 4),
    fail_fast: dice.chance(0.05),
    catchup: dice.chance(0.6),
    ...(dice.chance(0.1) ? { dagrun_timeout_s: dice.between(5, 30) } : {}),
    ...(isScheduled
      ? {
          timetable: { kind: "delta", seconds: everySeconds },
          start_date: new Date(epochMs - everySeconds * 1000 * dice.between(1, 3)).toISOString(),
          end_date: new Date(epochMs + everySeconds * 1000 * dice.between(0, 2)).toISOString(),
        }
      : {}),
  });
}

function drawTask(dice: Dice, i: number, length: number): TaskSketch {
  const downstream = Array.from({ length: length - i - 1 }, (_, k) => i + k + 1)
    .filter((down) => (down === i + 1 ? dice.chance(0.75) : dice.chance(0.2)))
    .map((down) => `t${down}`);
  const own = dice.chance(0.1);
  return {
    task_id: `t${i}`,
    downstream,
    retries: dice.between(0, 2),
    retry_delay_s: dice.between(0, 4),
    trigger_rule: dice.chance(0.8)
      ? "all_success"
      : dice.pick(["all_done", "none_failed", "one_success", "one_failed", "all_skipped"]),
    pool: dice.chance(0.25) ? "small" : "default_pool",
    pool_slots: dice.chance(0.1) ? 2 : 1,
    priority_weight: dice.between(1, 3),
    weight_rule: dice.pick(["downstream", "absolute"]),
    depends_on_past: dice.chance(0.1),
    wait_for_downstream: dice.chance(0.03),
    ...(own ? { max_active_tis_per_dag: dice.between(1, 2) } : {}),
    ...(dice.chance(0.05) ? { max_active_tis_per_dagrun: 1 } : {}),
    ...(dice.chance(0.1) ? { decides: "branch" as const } : {}),
    ...(dice.chance(0.1) ? { runs_in: "inline" as const, operator: "EmptyOperator" } : {}),
    ...(dice.chance(0.12)
      ? {
          sensor: {
            mode: "reschedule" as const,
            poke_interval_s: 2,
            timeout_s: 600,
            soft_fail: false,
          },
        }
      : {}),
    ...(dice.chance(0.12)
      ? {
          map: {
            kind: "product" as const,
            sources: [{ kind: "literal" as const, length: dice.between(1, 3) }],
          },
        }
      : {}),
  };
}

export function arrange(server: Server, { tenants, dags }: Workload, dice: Dice): void {
  server.arrange((s) => {
    for (const tenant of tenants) {
      s.put(s.tables.tenant, tenant);
      s.put(s.tables.pool, {
        tenant: tenant.tenant,
        pool: "default_pool",
        slots: dice.between(2, 6),
        include_deferred: false,
      });
      s.put(s.tables.pool, {
        tenant: tenant.tenant,
        pool: "small",
        slots: 2,
        include_deferred: false,
      });
    }
    for (const { tenant, spec } of dags) {
      s.put(s.tables.dag, {
        tenant,
        dag_id: spec.dag_id,
        state: "active",
        is_paused: false,
        version: 1,
        level: spec.level,
        max_active_runs: spec.max_active_runs,
        max_active_tasks: spec.max_active_tasks,
        next_logical_at: null,
        next_interval_start: null,
        next_interval_end: null,
        next_run_at: null,
        plan_needed: true,
      });
      s.put(s.tables.version, { tenant, dag_id: spec.dag_id, version: 1, spec });
    }
  });
}
