/** Beside the grid: the task instance or the run that was clicked, what can be done with it, and the ways on. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Eraser, Square, Tag, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { GridRun } from "../../../api/ui/grid.ts";
import { stateOfCode } from "../../../model/grid-matrix.ts";
import { ask, path } from "../../ask/ask-server.ts";
import { useMay } from "../../ask/session.ts";
import { ClearDialog, MarkDialog, StopDialog } from "../../deeds/deed-dialogs.tsx";
import { type Cells, countsAt } from "../../layouts/grid-cells.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { Button, IconButton } from "../../parts/button.tsx";
import { countOf, countText } from "../../parts/durations.ts";
import { Facts, Failed, Loading } from "../../parts/panels.tsx";
import { StateMark } from "../../parts/state-mark.tsx";
import { Lasting, Time } from "../../parts/time.tsx";

type Instance = {
  readonly task_id: string;
  readonly map_index: number;
  readonly state: string | null;
  readonly try_number: number;
  readonly max_tries: number;
  readonly operator: string;
  readonly queued_when: string | null;
  readonly start_date: string | null;
  readonly end_date: string | null;
  readonly pool: string;
  readonly hostname: string | null;
  readonly note: string | null;
  readonly rendered_map_index: string | null;
};

type Props = {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
  readonly task: string | undefined;
  readonly cells: Cells<GridRun>;
  readonly edition: number;
  readonly onClose: () => void;
  readonly onTask: (task: string | undefined) => void;
};

export function GridDock(props: Props) {
  const { tenant, dag, run, task, cells, onClose, onTask } = props;
  const may = useMay(tenant);
  const [deed, setDeed] = useState<"clear" | "mark" | "stop" | undefined>();
  const runPlace = cells.runPlaces.get(run);
  const found = runPlace === undefined ? undefined : cells.runs[runPlace];
  const taskPlace = task === undefined ? undefined : cells.taskPlaces.get(task);
  const mapped = taskPlace === undefined ? false : (cells.shape.tasks[taskPlace]?.mapped ?? false);
  const tasks = task === undefined ? undefined : [{ task_id: task }];
  const close = (): void => setDeed(undefined);
  const isOpen = found?.state === "running" || found?.state === "queued";
  return (
    <aside
      aria-label={task === undefined ? `Run ${run}` : `Task ${task} of run ${run}`}
      className="flex max-h-[45vh] w-full shrink-0 flex-col overflow-auto border-t border-line bg-surface lg:max-h-none lg:w-96 lg:border-t-0 lg:border-l"
    >
      <div className="flex items-start gap-2 px-3 pt-2">
        <div className="min-w-0 grow">
          <h2 className="tenant-text line-clamp-3 font-semibold">{task ?? run}</h2>
          {task !== undefined && (
            <button
              type="button"
              className="tenant-text text-left text-sm text-accent hover:underline"
              onClick={() => onTask(undefined)}
            >
              {run}
            </button>
          )}
        </div>
        <IconButton name="Close" onClick={onClose}>
          <X size={16} />
        </IconButton>
      </div>
      <div className="flex flex-wrap gap-2 px-3 py-2">
        <Link
          to="/t/$tenant/dags/$dag/runs/$run"
          params={{ tenant, dag, run }}
          search={(task === undefined ? {} : { task }) as never}
          className="inline-flex h-8 items-center rounded-md border border-transparent bg-accent px-2.5 text-sm font-medium text-accent-text"
        >
          {task === undefined ? "Open the run" : "Log, in its run"}
        </Link>
        {task !== undefined && (
          <Link
            to="/t/$tenant/dags/$dag/runs/$run/tasks/$task"
            params={{ tenant, dag, run, task }}
            className="inline-flex h-8 items-center rounded-md border border-line-strong bg-raised px-2.5 text-sm font-medium hover:bg-sunken"
          >
            Task page
          </Link>
        )}
        {may("run.clear") && (
          <Button icon={<Eraser size={14} />} onClick={() => setDeed("clear")}>
            Clear
          </Button>
        )}
        {may("task.mark") && (
          <Button icon={<Tag size={14} />} onClick={() => setDeed("mark")}>
            Mark
          </Button>
        )}
        {task === undefined && isOpen && may("task.mark") && (
          <Button look="danger" icon={<Square size={14} />} onClick={() => setDeed("stop")}>
            Stop
          </Button>
        )}
      </div>
      {task === undefined ? (
        <RunFacts run={found} cells={cells} place={runPlace} />
      ) : (
        <TaskFacts {...props} task={task} mapped={mapped} />
      )}
      {deed === "clear" && <ClearDialog {...{ tenant, dag, run, tasks }} onClose={close} />}
      {deed === "mark" && <MarkDialog {...{ tenant, dag, run, tasks }} onClose={close} />}
      {deed === "stop" && <StopDialog {...{ tenant, dag, run }} onClose={close} />}
    </aside>
  );
}

function RunFacts({
  run,
  cells,
  place,
}: {
  readonly run: GridRun | undefined;
  readonly cells: Cells<GridRun>;
  readonly place: number | undefined;
}) {
  if (run === undefined || place === undefined)
    return (
      <p className="px-3 py-2 text-muted">
        This run is not among those shown: it is older, or a filter leaves it out.
      </p>
    );
  return (
    <Facts
      rows={[
        ["State", <StateMark key="state" state={run.state} withWord />],
        ["Type", run.type.replace("_", " ")],
        ["Logical date", <Time key="logical" at={run.logical_date} />],
        ["Began", <Time key="began" at={run.started_at} />],
        ["Took", <Lasting key="took" from={run.started_at} to={run.ended_at} />],
        ["Commit", <code key="commit">{run.commit.slice(0, 12)}</code>],
        ["Version", String(run.version)],
        [
          "Task instances",
          <StateCounts
            key="counts"
            counts={[...countsAt(cells, [0, cells.shape.tasks.length], place)]}
          />,
        ],
      ]}
    />
  );
}

const StateCounts = ({
  counts,
}: {
  readonly counts: readonly (readonly [number, number])[];
}): ReactNode => (
  <span className="flex flex-wrap gap-x-3">
    {counts.length === 0
      ? "none yet"
      : counts.map(([code, count]) => (
          <span key={code} className="inline-flex items-center gap-1">
            {countText(count)} <StateMark state={stateOfCode(code)} withWord size={12} />
          </span>
        ))}
  </span>
);

function TaskFacts({
  tenant,
  dag,
  run,
  task,
  mapped,
}: Props & { readonly task: string; readonly mapped: boolean }) {
  const base = path`/t/${tenant}/api/v2/dags/${dag}/dagRuns/${run}/taskInstances/${task}`;
  const key = ["dock", tenant, dag, run, task, mapped] as const;
  const { data, error } = useQuery({
    queryKey: key,
    queryFn: async ({ signal }) => {
      if (mapped) {
        const list = await ask<{ task_instances: readonly Instance[]; total_entries: number }>(
          `${base}/listMapped?limit=100&order_by=map_index`,
          { signal },
        );
        return { list };
      }
      const [instance, why] = await Promise.all([
        ask<Instance>(base, { signal }),
        ask<{ why: string }>(`${base}/why`, { signal }),
      ]);
      return { instance, why: why.why };
    },
  });
  useLiveQuery([tenant], key, {
    touches: (event) =>
      event.kind === "changes" &&
      event.changes.some((change) => change.run_id === run && change.task_id === task),
  });
  if (error !== null && data === undefined) return <Failed error={error} />;
  if (data === undefined) return <Loading what="The task instance" />;
  if (data.list !== undefined)
    return (
      <div className="px-3 pb-3">
        <p className="text-sm text-muted">
          {countOf(data.list.total_entries, "mapped instance")}
          {data.list.total_entries > data.list.task_instances.length && ", the first 100:"}
        </p>
        <ul className="mt-1">
          {data.list.task_instances.map((one) => (
            <li key={one.map_index} className="border-b border-line/60 py-1 text-sm">
              <Link
                to="/t/$tenant/dags/$dag/runs/$run"
                params={{ tenant, dag, run }}
                search={{ task, map: one.map_index } as never}
                className="flex items-center gap-2 hover:underline"
              >
                <span className="w-8 text-right tabular-nums">{one.map_index}</span>
                <StateMark state={one.state} withWord />
                <span className="tenant-text min-w-0 grow truncate text-muted">
                  {one.rendered_map_index}
                </span>
                <Lasting from={one.start_date} to={one.end_date} />
              </Link>
            </li>
          ))}
        </ul>
      </div>
    );
  const { instance, why } = data;
  return (
    <Facts
      rows={[
        ["State", <StateMark key="state" state={instance.state} withWord />],
        ["Why", why],
        ["Try", `${instance.try_number} of ${instance.max_tries + 1}`],
        ["Queued", <Time key="queued" at={instance.queued_when} />],
        [
          "Waited",
          <Lasting
            key="waited"
            from={instance.queued_when}
            to={instance.start_date ?? instance.end_date}
          />,
        ],
        ["Began", <Time key="began" at={instance.start_date} />],
        ["Took", <Lasting key="took" from={instance.start_date} to={instance.end_date} />],
        ["Operator", instance.operator],
        ["Pool", instance.pool],
        ...(instance.note === null ? [] : [["Note", instance.note] as const]),
      ]}
    />
  );
}
