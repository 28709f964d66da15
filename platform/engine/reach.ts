import type { RunEvent, RunFacts, RunNeed } from "../model/run.ts";
import type { CompiledDag } from "./compile-dag.ts";
import { Wish } from "./wish.ts";

/**
 * What to load before `decide`. For the ordinary success this is all it takes; where an event turns out to
 * reach further (a failure that travels, an expansion), `decide` says what is missing.
 */
export function reach(dag: CompiledDag, run: RunFacts, events: readonly RunEvent[]): RunNeed {
  const wish = new Wish(dag);
  for (const event of events) wishFor(dag, run, event, wish);
  return wish.need();
}

function wishFor(dag: CompiledDag, run: RunFacts, event: RunEvent, wish: Wish): void {
  switch (event.kind) {
    case "run_started":
      // The first start creates everything and reads nothing but the past.
      if (run.has_instances) wish.everything = true;
      for (const task of dag.order)
        if (task.spec.depends_on_past || task.spec.wait_for_downstream) wish.past(task.id);
      return;
    case "run_marked":
    case "run_timed_out":
    case "dag_changed":
    case "deadlock_check":
      wish.everything = true;
      for (const task of dag.order)
        if (task.spec.depends_on_past || task.spec.wait_for_downstream) wish.past(task.id);
      return;
    case "past_changed":
      for (const id of event.task_ids) {
        const task = dag.tasks.get(id);
        if (task) wish.evaluation(task, -1);
        wish.allOf(id);
      }
      return;
    case "instances_cleared":
    case "instances_marked":
      for (const key of event.keys) {
        const task = dag.tasks.get(key.task_id);
        if (!task) continue;
        wish.evaluation(task, key.map_index);
        wish.downstreamOf(task, key.map_index);
        for (const gated of task.gateOf) wish.allOf(gated);
      }
      return;
    case "attempt_rescheduled":
    case "attempt_deferred":
      wish.instance(event.task_id, event.map_index);
      return;
    case "attempt_stopped":
    case "timer_fired": {
      const task = dag.tasks.get(event.task_id);
      if (task) wish.evaluation(task, event.map_index);
      return;
    }
    case "attempt_succeeded":
    case "attempt_failed":
    case "attempt_skipped": {
      const task = dag.tasks.get(event.task_id);
      if (!task) return;
      wish.instance(task.id, event.map_index);
      wish.downstreamOf(task, event.map_index);
      for (const gated of task.gateOf) wish.allOf(gated);
      return;
    }
  }
}
