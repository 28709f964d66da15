/** The graph told as a list: every task with what is above and below it. */
import { useMemo, useState } from "react";
import type { DagGraph } from "../../../../api/ui/graph.ts";
import { taskNode } from "../../../layouts/graph-model.ts";
import { leadState } from "../../../layouts/task-sums.ts";
import { StateMark } from "../../../parts/state-mark.tsx";
import { VirtualRows } from "../../../parts/virtual-rows.tsx";
import type { NodeFacts } from "./flow.tsx";

type Task = { readonly id: string; readonly name: string; readonly downstream: readonly string[] };

export function TaskList({
  tasks,
  facts,
  selected,
  onSelect,
}: {
  readonly tasks: readonly (Task & Pick<DagGraph["tasks"][number], "operator" | "group">)[];
  readonly facts: ReadonlyMap<string, NodeFacts>;
  readonly selected: string | undefined;
  readonly onSelect: (id: string) => void;
}) {
  const above = useMemo(() => {
    const map = new Map<string, string[]>();
    for (const { id, downstream } of tasks)
      for (const to of downstream) map.set(to, [...(map.get(to) ?? []), id]);
    return map;
  }, [tasks]);
  const chosen = tasks.findIndex(({ id }) => id === selected);
  const [focused, setFocused] = useState(Math.max(chosen, 0));
  const columns =
    "grid grid-cols-[minmax(9rem,2fr)_minmax(7rem,1fr)_minmax(8rem,2fr)_minmax(8rem,2fr)] gap-3 px-3";
  return (
    <VirtualRows
      label="Tasks"
      count={tasks.length}
      rowHeight={34}
      focused={focused}
      onFocus={setFocused}
      onOpen={(at) => {
        const task = tasks[at];
        if (task !== undefined) onSelect(task.id);
      }}
      className="h-full"
      head={
        <div
          role="row"
          className={`${columns} min-w-160 border-b border-line py-1.5 text-sm text-muted`}
        >
          {["Task", "Operator", "After", "Before"].map((name) => (
            <span key={name} role="columnheader">
              {name}
            </span>
          ))}
        </div>
      }
      row={(at) => {
        const task = tasks[at];
        if (task === undefined) return null;
        const about = facts.get(taskNode(task.id));
        const cell = "truncate";
        return (
          <div role="presentation" className={`${columns} h-full min-w-160 items-center text-sm`}>
            <span role="gridcell" className="flex min-w-0 items-center gap-2">
              {about?.states !== undefined && <StateMark state={leadState(about.states)} />}
              <button
                type="button"
                onClick={() => onSelect(task.id)}
                title={task.id}
                className="truncate text-left font-medium hover:underline"
                dir="auto"
              >
                {task.name}
              </button>
              {about !== undefined && about.change !== "same" && (
                <span className="rounded bg-warn-soft px-1 text-xs text-warn">{about.change}</span>
              )}
            </span>
            <span role="gridcell" className={cell} dir="auto">
              {task.operator}
            </span>
            <span role="gridcell" className={cell} dir="auto">
              {(above.get(task.id) ?? []).join(", ") || "–"}
            </span>
            <span role="gridcell" className={cell} dir="auto">
              {task.downstream.join(", ") || "–"}
            </span>
          </div>
        );
      }}
    />
  );
}
