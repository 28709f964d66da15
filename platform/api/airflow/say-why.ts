/** Why a run or a task instance is where it is: the first thing that holds it back, in the order in which they bind. */
import type { TriggerRule } from "../../model/states.ts";
import type { TaskInstanceRow } from "../../store/read-runs.ts";
import type {
  HeldBy,
  QueueWorkers,
  RunWait,
  UpstreamInstance,
  WaitFacts,
} from "../../store/read-waits.ts";

export type Why = {
  /** A short name of what binds, as Airflow's dependencies have. */
  readonly name: string;
  readonly sentence: string;
  /** false: it does not wait, the sentence tells where it is or how it ended. */
  readonly waits: boolean;
  /** What holds it, for the reader to go there. */
  readonly by: Binding;
};

export type Binding =
  | { readonly kind: "nothing" }
  /** These instances, of the same run (or of `run_id`). */
  | {
      readonly kind: "instances";
      readonly run_id?: string;
      readonly instances: readonly UpstreamInstance[];
    }
  /** A limit, which others take up. */
  | { readonly kind: "limit"; readonly held: HeldBy }
  /** As many runs of the DAG as it may have. */
  | { readonly kind: "runs" }
  /** The DAG itself: it is paused. */
  | { readonly kind: "dag" };

type Instance = Pick<
  TaskInstanceRow,
  | "run"
  | "dag_id"
  | "task_id"
  | "map_index"
  | "state"
  | "reason"
  | "try_number"
  | "max_tries"
  | "pool"
  | "pool_slots"
  | "queue"
  | "host"
>;

export type WhyFacts = {
  readonly waits: WaitFacts | undefined;
  readonly upstream: readonly UpstreamInstance[];
  /** The same task in the run before, as far as it is not done; only where it depends on the past. */
  readonly past: readonly (UpstreamInstance & { readonly run_id: string })[];
  readonly rule: TriggerRule | undefined;
  /** Of its queue; only where it is queued. */
  readonly workers: QueueWorkers | undefined;
};

export function sayWhy(instance: Instance, facts: WhyFacts): Why {
  const { waits: facts_, upstream } = facts;
  switch (instance.state) {
    case null:
      return beforeScheduling(facts);
    case "scheduled":
      return beforeAdmission(instance, facts_);
    case "queued":
      return beforeClaim(instance, facts.workers);
    case "up_for_retry":
      return waits(
        "Retry",
        `Try ${instance.try_number} of ${instance.max_tries + 1} failed${because(instance.reason)}; the next one begins ${when(facts_)}.`,
      );
    case "up_for_reschedule":
      return waits("Reschedule", `The sensor looks again ${when(facts_)}.`);
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
    case "upstream_failed": {
      const failed = upstream.filter(
        ({ state }) => state === "failed" || state === "upstream_failed",
      );
      return is(`It did not run, because ${names(failed) || "something before it"} failed.`, {
        kind: "instances",
        instances: failed,
      });
    }
    case "removed":
      return is("Its task is no longer in the DAG.");
  }
}

function beforeScheduling({ waits: facts, upstream, past, rule }: WhyFacts): Why {
  if (facts?.run_state === "queued")
    return facts.is_paused
      ? waits("Dagrun Running", "Its run waits, because the DAG is paused.", { kind: "dag" })
      : waits("Dagrun Running", "Its run waits until the DAG has fewer active runs.", {
          kind: "runs",
        });
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
      { kind: "instances", instances: open },
    );
  const [before] = past;
  if (before !== undefined)
    return waits(
      "Previous Dagrun State",
      `It depends on its past, and in the run before (${before.run_id}) it is ${before.state ?? "not yet started"}.`,
      { kind: "instances", run_id: before.run_id, instances: past },
    );
  return waits(
    "Trigger Rule",
    `Its trigger rule ${rule ?? "all_success"} is about to be looked at.`,
  );
}

function beforeAdmission(instance: Instance, facts: WaitFacts | undefined): Why {
  if (!facts) return waits("Unknown", "It is ready and waits for a slot.");
  if (facts.tenant_state !== "active") return waits("Tenant", "The tenant is suspended.");
  if (facts.is_paused) return waits("Dag Not Paused", "The DAG is paused.", { kind: "dag" });
  const slots = facts.pool_slots_total;
  const pool: Binding = { kind: "limit", held: { kind: "pool", pool: instance.pool } };
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
      pool,
    );
  if (facts.dag_running >= facts.max_active_tasks)
    return waits(
      "Task Concurrency",
      `It waits for its ${facts.limit_is_per_run ? "run" : "DAG"}: ${facts.dag_running} of at most ${facts.max_active_tasks} tasks are running.`,
      {
        kind: "limit",
        held: facts.limit_is_per_run
          ? { kind: "run", run: instance.run }
          : { kind: "dag", dag_id: instance.dag_id },
      },
    );
  const { dag_id, run, task_id } = instance;
  if (facts.max_per_dag !== null && facts.task_running >= facts.max_per_dag)
    return waits(
      "Task Concurrency",
      `It waits for others of its task: ${facts.task_running} of at most ${facts.max_per_dag} instances are running.`,
      { kind: "limit", held: { kind: "task", dag_id, task_id } },
    );
  if (facts.max_per_run !== null && facts.task_running_in_run >= facts.max_per_run)
    return waits(
      "Task Concurrency",
      `It waits for others of its task in this run: ${facts.task_running_in_run} of at most ${facts.max_per_run} instances are running.`,
      { kind: "limit", held: { kind: "task_in_run", run, task_id } },
    );
  if (facts.tenant_running >= facts.max_running)
    return waits(
      "Tenant Quota",
      `It waits for the tenant: ${facts.tenant_running} of at most ${facts.max_running} tasks are running.`,
      { kind: "limit", held: { kind: "tenant" } },
    );
  return waits("Admission", "It is ready and next in turn.");
}

/** What other tenants do is theirs: a full queue is told, not by whom. */
function beforeClaim({ queue }: Instance, workers: QueueWorkers | undefined): Why {
  if (workers?.workers === 0)
    return waits("Worker", `It has a slot, but no worker takes tasks of the queue ${queue}.`);
  if (workers !== undefined && workers.busy >= workers.slots)
    return waits(
      "Worker",
      `It has a slot and waits for a free worker: all that take from the queue ${queue} are busy.`,
    );
  return waits("Worker", "It has a slot and waits for a free worker.");
}

/** Of a run as a whole. */
export function sayWhyRun(
  { reason }: { readonly reason: string | null },
  facts: RunWait,
  /** Of a failed run: what failed by itself. */
  failed: readonly (UpstreamInstance & { readonly reason: string | null })[],
): Why {
  switch (facts.state) {
    case "running":
      return is("It runs.");
    case "success":
      return is("It succeeded.");
    case "failed": {
      const [first] = failed;
      if (reason === "timed_out") return is("It failed: it took longer than its DAG allows a run.");
      if (reason === "all_tasks_deadlocked")
        return is("It failed: what was left of it could never have started.");
      return first === undefined
        ? is(`It failed${because(reason)}.`)
        : is(
            `It failed, because ${names(failed)} failed${failed.length === 1 ? because(first.reason) : ""}.`,
            { kind: "instances", instances: failed },
          );
    }
    case "queued":
      break;
  }
  if (facts.tenant_state !== "active") return waits("Tenant", "The tenant is suspended.");
  if (facts.dag_state === "retired")
    return waits("Dag", "Its DAG is no longer in the repository: it will not start.");
  if (facts.is_paused)
    return waits("Dag Not Paused", "It waits, because the DAG is paused.", { kind: "dag" });
  if (facts.is_early)
    return waits("Run After", `It is not due before ${facts.run_after.toISOString()}.`);
  if (facts.running >= facts.max_active_runs)
    return waits(
      "Max Active Runs",
      `It waits for other runs of its DAG: ${facts.running} of at most ${facts.max_active_runs} are running.`,
      { kind: "runs" },
    );
  return waits("Dagrun Running", "It is ready and about to start.");
}

const nothing: Binding = { kind: "nothing" };
const waits = (name: string, sentence: string, by: Binding = nothing): Why => ({
  name,
  sentence,
  waits: true,
  by,
});
const is = (sentence: string, by: Binding = nothing): Why => ({
  name: "State",
  sentence,
  waits: false,
  by,
});

const because = (reason: string | null): string =>
  reason === null || reason === "" ? "" : `: ${reason.replace(/\.$/, "")}`;

const when = (facts: WaitFacts | undefined): string =>
  facts?.timer_due_at ? `at ${facts.timer_due_at.toISOString()}` : "soon";

function names(instances: readonly Pick<UpstreamInstance, "task_id" | "map_index">[]): string {
  const shown = instances
    .slice(0, 3)
    .map(({ task_id, map_index }) => (map_index < 0 ? task_id : `${task_id}[${map_index}]`));
  const more = instances.length - shown.length;
  return more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(" and ");
}
