/** A task of a TypeScript DAG, made ready to run. */
import type { AttemptStart } from "../../../platform/model/guest.ts";
import { type BuiltTask, branchEnds, type DagInside, RefValue } from "../sdk/build-dag.ts";
import { allDownstream } from "../sdk/weave.ts";
import type { OperatorTools } from "./operators/catalogue.ts";
import { operators } from "./operators/catalogue.ts";
import type { Given, Job, JobWork, TaskRef } from "./run-attempt.ts";

export function typescriptJob(
  inside: DagInside,
  task: BuiltTask,
  start: AttemptStart,
  tools: OperatorTools,
): Job {
  const ref = (value: unknown): TaskRef | undefined =>
    value instanceof RefValue
      ? {
          taskId: value.taskId,
          path: value.path,
          mapped: inside.tasks.get(value.taskId)?.over !== undefined,
        }
      : undefined;
  return {
    input: task.input?.value,
    over: task.over instanceof RefValue ? ref(task.over) : task.over,
    work: workOf(inside, task, start, tools),
    pushFields: [...task.pushFields],
    outlets: task.outlets,
    isRef: ref,
  };
}

function workOf(
  inside: DagInside,
  task: BuiltTask,
  start: AttemptStart,
  tools: OperatorTools,
): JobWork {
  const { work } = task;
  const reach = (from: string): Set<string> => allDownstream(inside.downstream, from);
  const call =
    (run: (...args: unknown[]) => unknown) =>
    ({ input, item, context }: Given): unknown =>
      run(
        ...(task.over === undefined ? [] : [item]),
        ...(task.input === undefined ? [] : [input]),
        context,
      );
  switch (work.kind) {
    case "task":
      return { kind: "task", call: call(work.run) };
    case "branch": {
      const full = (choice: string): string => {
        const target = [`${task.group ?? ""}.${choice}`, choice].find(
          (id) => inside.tasks.has(id) || [...inside.groupOf.values()].includes(id),
        );
        if (target === undefined || !work.to.includes(choice))
          throw new TypeError(
            `"${task.id}" chose "${choice}", which is not one of ${work.to.join(", ")}`,
          );
        return target;
      };
      return {
        kind: "branch",
        call: call(work.run),
        ends: (choices) => branchEnds(inside, task.id, choices.map(full), reach),
      };
    }
    case "short_circuit":
      return {
        kind: "short_circuit",
        call: call(work.run),
        skipped: work.respectTriggerRules
          ? (inside.downstream.get(task.id) ?? [])
          : [...reach(task.id)],
      };
    case "sensor":
      return { kind: "sensor", look: call(work.poke), spec: work.spec };
    case "operator": {
      const operate = operators.get(work.type);
      if (operate === undefined) throw new TypeError(`there is no operator "${work.type}"`);
      const run = ({ input, item, context }: Given): unknown =>
        operate(input, { ...tools, context, item, start });
      return work.sensor === undefined
        ? { kind: "task", call: run }
        : { kind: "sensor", look: run, spec: work.sensor };
    }
  }
}
