/** Beside the picture: the task that is looked at, what changed, the critical path. */
import { Link } from "@tanstack/react-router";
import type { DagGraph, GraphDifference, GraphRun } from "../../../../api/ui/graph.ts";
import type { PathStep } from "../../../layouts/critical-path.ts";
import { listStates } from "../../../layouts/task-sums.ts";
import { Button } from "../../../parts/button.tsx";
import { durationText } from "../../../parts/durations.ts";
import { Facts, Panel } from "../../../parts/panels.tsx";
import { StateMark } from "../../../parts/state-mark.tsx";
import { Lasting, Time } from "../../../parts/time.tsx";

type Task = DagGraph["tasks"][number];

export function TaskPanel({
  tenant,
  dag,
  task,
  run,
  instance,
  what,
  onClose,
  onAround,
}: {
  readonly tenant: string;
  readonly dag: string;
  readonly task: Task;
  readonly run: string | undefined;
  readonly instance: GraphRun["tasks"][number] | undefined;
  /** What changed of it, if two versions are compared. */
  readonly what: readonly string[] | undefined;
  readonly onClose: () => void;
  readonly onAround: () => void;
}) {
  const states = instance === undefined ? [] : listStates(instance.states);
  const params = { tenant, dag, run: run ?? "", task: task.id };
  return (
    <Panel
      title={<span className="tenant-text line-clamp-2">{task.name}</span>}
      actions={
        <Button look="quiet" onClick={onClose} aria-label="Close the task">
          ✕
        </Button>
      }
    >
      {what !== undefined && what.length > 0 && (
        <ul aria-label="What changed of it" className="border-b border-line bg-warn-soft px-3 py-2">
          {what.map((one) => (
            <li key={one} className="tenant-text text-sm">
              {one}
            </li>
          ))}
        </ul>
      )}
      <Facts
        rows={[
          ...(task.name === task.id ? [] : [["Task", task.id] as const]),
          ["Operator", task.operator],
          ...(task.group === null ? [] : [["Group", task.group] as const]),
          ["Trigger rule", task.trigger_rule],
          [
            "Retries",
            task.retries === 0
              ? "none"
              : `${String(task.retries)}, ${durationText(task.retry_delay_s)} apart`,
          ],
          ...(task.timeout_s === null ? [] : [["Timeout", durationText(task.timeout_s)] as const]),
          [
            "Pool",
            `${task.pool} (${String(task.pool_slots)} ${task.pool_slots === 1 ? "slot" : "slots"})`,
          ],
          ["Queue", task.queue],
          ...(task.mapped
            ? [
                [
                  "Mapped",
                  task.map_length === null
                    ? "as long as its input"
                    : `${String(task.map_length)} times`,
                ] as const,
              ]
            : []),
          ...(instance === undefined
            ? []
            : [
                [
                  "State",
                  <span key="states" className="flex flex-wrap gap-x-3">
                    {states.map(([state, count]) => (
                      <span key={state} className="inline-flex items-center gap-1">
                        <StateMark state={state} withWord />
                        {(count > 1 || states.length > 1) && <span>× {count}</span>}
                      </span>
                    ))}
                  </span>,
                ] as const,
                ["Started", <Time key="start" at={instance.started_at} />] as const,
                [
                  "Took",
                  <Lasting key="took" from={instance.started_at} to={instance.ended_at} />,
                ] as const,
                ["Try", instance.try_number] as const,
              ]),
        ]}
      />
      <div className="flex flex-wrap gap-2 border-t border-line px-3 py-2">
        {run !== undefined && instance !== undefined && (
          <>
            <Link
              to="/t/$tenant/dags/$dag/runs/$run/tasks/$task"
              params={params}
              className="inline-flex h-8 items-center rounded-md border border-line-strong bg-raised px-2.5 text-sm font-medium hover:bg-sunken"
            >
              Open task
            </Link>
            <Link
              to="/t/$tenant/dags/$dag/runs/$run/tasks/$task"
              params={params}
              search={{
                tab: "log",
                ...(instance.first_index < 0 ? {} : { map: instance.first_index }),
              }}
              className="inline-flex h-8 items-center rounded-md border border-line-strong bg-raised px-2.5 text-sm font-medium hover:bg-sunken"
            >
              Its log
            </Link>
          </>
        )}
        <Button onClick={onAround}>Only around it</Button>
      </div>
    </Panel>
  );
}

const kinds = {
  added: { sign: "+", look: "text-(--state-success)", word: "added" },
  removed: { sign: "−", look: "text-danger", word: "removed" },
  changed: { sign: "~", look: "text-warn", word: "changed" },
} as const;

export function ChangesPanel({
  difference,
  onTask,
}: {
  readonly difference: GraphDifference;
  readonly onTask: (id: string) => void;
}) {
  const { added, removed, changed } = difference;
  const ends = new Set([...added, ...removed]);
  // An edge of a task that came or went is told by it.
  const apart = (edges: GraphDifference["edges_added"]) =>
    edges.filter(([from, to]) => !ends.has(from) && !ends.has(to));
  const edges = [
    ...apart(difference.edges_added).map((edge) => ["added", edge] as const),
    ...apart(difference.edges_removed).map((edge) => ["removed", edge] as const),
  ];
  const row = (kind: keyof typeof kinds, id: string, what: readonly string[] = []) => (
    <li key={`${kind} ${id}`} className="border-b border-line/60 px-3 py-1.5">
      <button
        type="button"
        onClick={() => onTask(id)}
        className="flex w-full gap-2 text-left hover:underline"
      >
        <span className={`font-bold ${kinds[kind].look}`} aria-label={kinds[kind].word}>
          {kinds[kind].sign}
        </span>
        <span className="tenant-text">{id}</span>
      </button>
      {what.map((one) => (
        <p key={one} className="tenant-text pl-5 text-sm text-muted">
          {one}
        </p>
      ))}
    </li>
  );
  return (
    <Panel title={`From v${String(difference.from)} to v${String(difference.to)}`}>
      <p className="border-b border-line px-3 py-1.5 text-sm">
        {difference.same_structure
          ? "The tasks and their order are the same: only the code of the files differs."
          : `${String(added.length)} added, ${String(removed.length)} removed, ${String(changed.length)} changed`}
      </p>
      <ul aria-label="Changes" className="max-h-96 overflow-auto">
        {difference.dag.map((one) => (
          <li key={one} className="tenant-text border-b border-line/60 px-3 py-1.5 text-sm">
            The DAG: {one}
          </li>
        ))}
        {added.slice(0, listMax).map((id) => row("added", id))}
        {removed.slice(0, listMax).map((id) => row("removed", id))}
        {changed.slice(0, listMax).map(({ task_id, what }) => row("changed", task_id, what))}
        {edges.slice(0, listMax).map(([kind, [from, to]]) => (
          <li
            key={`${kind} ${from}\n${to}`}
            className="tenant-text border-b border-line/60 px-3 py-1.5 text-sm"
          >
            <span className={`font-bold ${kinds[kind].look}`} aria-label={kinds[kind].word}>
              {kinds[kind].sign}
            </span>{" "}
            edge {from} → {to}
          </li>
        ))}
      </ul>
      {Math.max(added.length, removed.length, changed.length, edges.length) > listMax && (
        <p className="px-3 py-1 text-sm text-muted">Of each kind the first {listMax} are listed.</p>
      )}
    </Panel>
  );
}

const listMax = 300;

export function CriticalPanel({
  steps,
  onTask,
}: {
  readonly steps: readonly PathStep[];
  readonly onTask: (id: string) => void;
}) {
  const total = steps.reduce((sum, { wait, run }) => sum + wait + run, 0);
  const seconds = (ms: number): string => durationText(ms / 1_000);
  return (
    <Panel title={`Critical path, ${seconds(total)}`}>
      {steps.length === 0 ? (
        <p className="px-3 py-2 text-muted">No task of this run has run.</p>
      ) : (
        <ol aria-label="Critical path" className="max-h-80 overflow-auto">
          {steps.map(({ id, wait, run }, at) => (
            <li key={id} className="border-b border-line/60 px-3 py-1.5">
              <button
                type="button"
                onClick={() => onTask(id)}
                className="flex w-full gap-2 text-left hover:underline"
              >
                <span className="min-w-5 text-muted tabular-nums">{at + 1}.</span>
                <span className="tenant-text grow">{id}</span>
                <span className="tabular-nums">{seconds(run)}</span>
              </button>
              <p className="pl-7 text-sm text-muted">
                waited {seconds(wait)} before,{" "}
                {total === 0 ? 0 : Math.round(((wait + run) / total) * 100)} % of the run
              </p>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}
