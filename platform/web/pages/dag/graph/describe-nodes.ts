/** What is said of each node: its name, what it is, its states, what changed of it. */
import type { DagGraph, GraphDifference, GraphRun } from "../../../../api/ui/graph.ts";
import type { PathStep } from "../../../layouts/critical-path.ts";
import {
  type Change,
  idOfNode,
  type Model,
  type ModelTask,
  type Shown,
  taskNode,
} from "../../../layouts/graph-model.ts";
import { addStates, countOf, listStates, type States } from "../../../layouts/task-sums.ts";
import { stateWords } from "../../../parts/state-mark.tsx";
import type { NodeFacts } from "./flow.tsx";

type Task = ModelTask &
  Pick<DagGraph["tasks"][number], "operator" | "mapped" | "map_length" | "kind">;

export function describeNodes({
  model,
  shown,
  run,
  difference,
  path,
}: {
  readonly model: Model<Task>;
  readonly shown: Shown;
  readonly run: GraphRun | undefined;
  readonly difference: GraphDifference | undefined;
  readonly path: readonly PathStep[] | undefined;
}): ReadonlyMap<string, NodeFacts> {
  const states = new Map<string, States>(run?.tasks.map((task) => [task.id, task.states]));
  const places = new Map(path?.map(({ id }, at) => [id, at + 1]));
  const changes = new Map<string, Change>([
    ...(difference?.added.map((id) => [id, "added"] as const) ?? []),
    ...(difference?.removed.map((id) => [id, "removed"] as const) ?? []),
    ...(difference?.changed.map(({ task_id }) => [task_id, "changed"] as const) ?? []),
  ]);
  const facts = new Map<string, NodeFacts>();
  // Every task, also those within folded groups: the list tells them all.
  for (const task of model.tasks) {
    const own = states.get(task.id);
    facts.set(taskNode(task.id), {
      kind: "task",
      name: task.name,
      detail: [task.operator, kindWords[task.kind], mapWords(task, own)]
        .filter(Boolean)
        .join(" · "),
      states: run === undefined ? undefined : (own ?? {}),
      change: changes.get(task.id) ?? "same",
      critical: places.get(task.id),
      mapped: task.mapped,
    });
  }
  const labels = new Map(model.groups.map(({ id, label }) => [id, label]));
  for (const node of shown.nodes) {
    if (node.kind === "task") continue;
    const name = labels.get(idOfNode(node.id)) ?? idOfNode(node.id);
    const tasks = node.kind === "folded" ? node.tasks : [];
    const kinds = new Set(tasks.map((id) => changes.get(id) ?? "same"));
    const [only] = kinds;
    const sum = addStates(tasks.map((id) => states.get(id) ?? {}));
    const steps = tasks.flatMap((id) => places.get(id) ?? []);
    facts.set(node.id, {
      kind: node.kind,
      name,
      detail: `${String(tasks.length)} ${tasks.length === 1 ? "task" : "tasks"}${run === undefined ? "" : sumWords(sum)}`,
      states: run === undefined ? undefined : sum,
      change: kinds.size === 1 && only !== undefined ? only : kinds.size > 1 ? "changed" : "same",
      critical: steps.length === 0 ? undefined : Math.min(...steps),
      mapped: false,
    });
  }
  return facts;
}

const kindWords: Record<Task["kind"], string> = {
  task: "",
  setup: "setup",
  teardown: "teardown",
  branch: "branch",
  short_circuit: "short circuit",
  sensor: "sensor",
};

function mapWords(task: Task, states: States | undefined): string {
  const count = states === undefined ? 0 : countOf(states);
  if (!task.mapped && count <= 1) return "";
  if (count <= 1 && task.map_length === null) return count === 1 ? "mapped" : "mapped × ?";
  if (states === undefined || count === 0) return `mapped × ${String(task.map_length)}`;
  return `× ${String(count)}${count > 1 ? sumWords(states) : ""}`;
}

const sumWords = (states: States): string => {
  const parts = listStates(states).map(([state, count]) => `${String(count)} ${stateWords[state]}`);
  return parts.length === 0 ? "" : ` · ${parts.slice(0, 3).join(", ")}`;
};
