import type { TaskId } from "../model/ids.ts";
import type { CounterRow, Counts, InstanceRow } from "../model/run.ts";
import { isFinished, type TaskState } from "../model/states.ts";
import type { CompiledDag, CompiledTask } from "./compile-dag.ts";
import { noCounts } from "./trigger-rule.ts";
import { ownScope, scopeOf } from "./wish.ts";

export type Recount = {
  /** By downstream task and scope. */
  readonly counters: Map<TaskId, Map<number, CounterRow>>;
  readonly unfinished: number;
  readonly failedLeaves: number;
};

/** All counters of a run, counted anew from its instances: what the kept ones must equal at any time. */
export function recount(dag: CompiledDag, instances: Iterable<InstanceRow>): Recount {
  const counters = new Map<TaskId, Map<number, CounterRow>>();
  let unfinished = 0;
  let failedLeaves = 0;
  for (const row of instances) {
    const task = dag.tasks.get(row.task_id);
    if (!isFinished(row.state)) unfinished++;
    if (!task) continue;
    if (task.isLeaf && isFailed(row.state)) failedLeaves++;
    const share = shareOf(task, row.state);
    if (task.countsItself) add(counters, task.id, ownScope, share);
    for (const edge of task.downstream) add(counters, edge.id, scopeOf(edge, row.map_index), share);
  }
  return { counters, unfinished, failedLeaves };
}

function add(
  counters: Map<TaskId, Map<number, CounterRow>>,
  task_id: TaskId,
  scope: number,
  share: Counts,
): void {
  const scopes = counters.get(task_id) ?? new Map<number, CounterRow>();
  counters.set(task_id, scopes);
  scopes.set(scope, { ...plus(scopes.get(scope) ?? noCounts, share, 1), task_id, scope });
}

/** What one instance in this state counts for at its downstreams. */
export function shareOf(task: CompiledTask, state: TaskState): Counts {
  const one = (is: boolean): number => (is ? 1 : 0);
  const setup = task.spec.is_setup;
  return {
    total: 1,
    success: one(state === "success"),
    failed: one(state === "failed"),
    upstream_failed: one(state === "upstream_failed"),
    skipped: one(state === "skipped"),
    removed: one(state === "removed"),
    setups: one(setup),
    setups_success: one(setup && state === "success"),
    setups_skipped: one(setup && state === "skipped"),
  };
}

export const plus = (a: Counts, b: Counts, times: number): Counts => ({
  total: a.total + times * b.total,
  success: a.success + times * b.success,
  failed: a.failed + times * b.failed,
  upstream_failed: a.upstream_failed + times * b.upstream_failed,
  skipped: a.skipped + times * b.skipped,
  removed: a.removed + times * b.removed,
  setups: a.setups + times * b.setups,
  setups_success: a.setups_success + times * b.setups_success,
  setups_skipped: a.setups_skipped + times * b.setups_skipped,
});

export const isFailed = (state: TaskState): boolean =>
  state === "failed" || state === "upstream_failed";
