/** Why a task instance is where it is: the first thing that holds it back, in the order in which they bind. */
import type { TriggerRule } from "../../model/states.ts";
import type { TaskInstanceRow, WaitFacts } from "../../store/read-runs.ts";

export type Why = {
  /** A short name of what binds, as Airflow's dependencies have. */
  readonly name: string;
  readonly sentence: string;
  /** false: it does not wait, the sentence tells where it is or how it ended. */
  readonly waits: boolean;
};

type Instance = Pick<
  TaskInstanceRow,
  | "task_id"
  | "map_index"
  | "state"
  | "reason"
  | "try_number"
  | "max_tries"
  | "pool"
  | "pool_slots"
  | "host"
  | "note"
>;

export function sayWhy(
  instance: Instance,
  facts: WaitFacts | undefined,
  upstream: readonly Pick<TaskInstanceRow, "task_id" | "map_index" | "state">[],
  rule: TriggerRule | undefined,
): Why {
  switch (instance.state) {
    case null:
      return beforeScheduling(facts, upstream, rule);
    case "scheduled":
      return beforeAdmission(instance, facts);
    case "queued":
      return waits("Worker", "It has a slot and waits for a free worker.");
    case "up_for_retry":
      return waits(
        "Retry",
        `Try ${instance.try_number} of ${instance.max_tries + 1} failed${because(instance.reason)}; the next one begins ${when(facts)}.`,
      );
    case "up_for_reschedule":
      return waits("Reschedule", `The sensor looks again ${when(facts)}.`);
    case "deferred":
      return waits("Trigger", "It is deferred and waits for its trigger.");
    case "running":
      return is(
        `It runs (try ${instance.try_number})${instance.host === null ? "" : ` on ${instance.host}`}.`,
      );
    case "restarting":
      return is("It was cleared while it ran and is being stopped; then it starts again.");
    case "success":
      return is("It succeeded.");
    case "failed":
      return is(`It failed${because(instance.reason)}.`);
    case "skipped":
      return is(`It was skipped${because(instance.reason)}.`);
    case "upstream_failed":
      return is(
        `It did not run, because ${names(upstream.filter(({ state }) => state === "failed" || state === "upstream_failed")) || "something before it"} failed.`,
      );
    case "removed":
      return is("Its task is no longer in the DAG.");
  }
}

function beforeScheduling(
  facts: WaitFacts | undefined,
  upstream: readonly Pick<TaskInstanceRow, "task_id" | "map_index" | "state">[],
  rule: TriggerRule | undefined,
): Why {
  if (facts?.run_state === "queued")
    return waits(
      "Dagrun Running",
      facts.is_paused
        ? "Its run waits, because the DAG is paused."
        : "Its run waits until the DAG has fewer active runs.",
    );
  if (facts?.run_state === "success" || facts?.run_state === "failed")
    return is(`Its run ended (${facts.run_state}) before it could start.`);
  const open = upstream.filter(
    ({ state }) =>
      state === null ||
      !["success", "failed", "skipped", "upstream_failed", "removed"].includes(state),
  );
  if (open.length > 0)
    return waits(
      "Trigger Rule",
      `It waits for ${names(open)} (trigger rule ${rule ?? "all_success"}).`,
    );
  return waits(
    "Trigger Rule",
    `Its trigger rule ${rule ?? "all_success"} is about to be looked at.`,
  );
}

function beforeAdmission(instance: Instance, facts: WaitFacts | undefined): Why {
  if (!facts) return waits("Unknown", "It is ready and waits for a slot.");
  if (facts.tenant_state !== "active") return waits("Tenant", "The tenant is suspended.");
  if (facts.is_paused) return waits("Dag Not Paused", "The DAG is paused.");
  const slots = facts.pool_slots_total;
  if (slots === null)
    return waits(
      "Pool Slots Available",
      `The pool ${instance.pool} does not exist: make it, or name another.`,
    );
  if (slots >= 0 && instance.pool_slots > slots)
    return waits(
      "Pool Slots Available",
      `It needs ${instance.pool_slots} slots of the pool ${instance.pool}, which has ${slots} in all: it can never start.`,
    );
  if (slots >= 0 && facts.pool_slots_used + instance.pool_slots > slots)
    return waits(
      "Pool Slots Available",
      `It waits for the pool ${instance.pool}: ${facts.pool_slots_used} of ${slots} slots are taken.`,
    );
  if (facts.dag_running >= facts.max_active_tasks)
    return waits(
      "Task Concurrency",
      `It waits for its DAG: ${facts.dag_running} of at most ${facts.max_active_tasks} tasks are running.`,
    );
  if (facts.tenant_running >= facts.max_running)
    return waits(
      "Tenant Quota",
      `It waits for the tenant: ${facts.tenant_running} of at most ${facts.max_running} tasks are running.`,
    );
  return waits("Admission", "It is ready and next in turn.");
}

const waits = (name: string, sentence: string): Why => ({ name, sentence, waits: true });
const is = (sentence: string): Why => ({ name: "State", sentence, waits: false });

const because = (reason: string | null): string =>
  reason === null || reason === "" ? "" : `: ${reason.replace(/\.$/, "")}`;

const when = (facts: WaitFacts | undefined): string =>
  facts?.timer_due_at ? `at ${facts.timer_due_at.toISOString()}` : "soon";

function names(instances: readonly Pick<TaskInstanceRow, "task_id" | "map_index">[]): string {
  const shown = instances
    .slice(0, 3)
    .map(({ task_id, map_index }) => (map_index < 0 ? task_id : `${task_id}[${map_index}]`));
  const more = instances.length - shown.length;
  return more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(" and ");
}
