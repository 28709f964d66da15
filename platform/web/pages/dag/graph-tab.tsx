/** The DAG's tasks and their order, as a graph: of one version, with the states of one run, or the difference of two. */
import { useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useCallback, useMemo, useRef } from "react";
import type { DagGraph, GraphDifference, GraphRun } from "../../../api/ui/graph.ts";
import { useMay } from "../../ask/session.ts";
import { useKeys } from "../../frame/keys.ts";
import { timeText, useZone } from "../../frame/zone.ts";
import { criticalPath } from "../../layouts/critical-path.ts";
import { readFolded, writeFolded } from "../../layouts/folded.ts";
import {
  foldedAtFirst,
  groupsAround,
  idOfNode,
  type Model,
  neighbourhood,
  type Shown,
  showGraph,
  taskNode,
  unite,
} from "../../layouts/graph-model.ts";
import { Button } from "../../parts/button.tsx";
import { CopyAs } from "../../parts/copy-as.tsx";
import { Select } from "../../parts/fields.tsx";
import { Empty, Failed, Loading } from "../../parts/panels.tsx";
import { useNarrow } from "../../parts/use-narrow.ts";
import { describeNodes } from "./graph/describe-nodes.ts";
import { FindTask } from "./graph/find-task.tsx";
import { ChangesPanel, CriticalPanel, TaskPanel } from "./graph/side-lists.tsx";
import { TaskList } from "./graph/task-list.tsx";
import {
  graphPath,
  useDifference,
  useGraph,
  useGraphRun,
  useRuns,
  useVersions,
} from "./graph/use-graph.ts";
import { useLayout } from "./graph/use-layout.ts";
import { VersionSelect } from "./graph/version-select.tsx";

const Flow = lazy(() => import("./graph/flow.tsx"));

/** More would neither be drawn quickly nor be read. */
const nodesMax = 1_500;
const stepsMax = 10;
const route = "/t/$tenant/dags/$dag";

export default function GraphTab({
  tenant,
  dag,
}: {
  readonly tenant: string;
  readonly dag: string;
}) {
  const search = useSearch({ from: route });
  const may = useMay(tenant);
  const runs = useRuns(tenant, dag, may("run.read"));
  const runId = search.run === "-" ? undefined : (search.run ?? runs.data?.dag_runs[0]?.dag_run_id);
  const run = useGraphRun(tenant, dag, runId);
  // A run that was chosen by its name is shown on the version that it ran.
  const version =
    whole(search.version) ?? (search.run === undefined ? undefined : run.data?.version);
  const waitsForRun =
    search.version === undefined &&
    search.run !== undefined &&
    run.isPending &&
    runId !== undefined;
  const graph = useGraph(tenant, dag, version, !waitsForRun);
  const against = whole(search.against);
  const before = useGraph(tenant, dag, against, against !== undefined);
  const difference = useDifference(tenant, dag, against, graph.data?.version);
  const failed = graph.error ?? (against === undefined ? null : (before.error ?? difference.error));
  if (failed) return <Failed error={failed} retry={() => void graph.refetch()} />;
  if (graph.data === undefined) return <Loading what="Reading the graph" />;
  const isCompared =
    against !== undefined && before.data !== undefined && difference.data !== undefined;
  return (
    <Loaded
      tenant={tenant}
      dag={dag}
      graph={graph.data}
      before={isCompared ? before.data : undefined}
      difference={isCompared ? difference.data : undefined}
      run={runId === undefined ? undefined : run.data}
      runId={runId}
      runProblem={search.run === undefined ? null : run.error}
      runs={runs.data?.dag_runs ?? []}
    />
  );
}

const whole = (number: number | undefined): number | undefined =>
  number !== undefined && Number.isInteger(number) && number >= 0 && number < 2 ** 31
    ? number
    : undefined;

function useChange() {
  const navigate = useNavigate({ from: route });
  return useCallback(
    (next: Record<string, string | number | boolean | undefined>) =>
      void navigate({ search: (old) => ({ ...old, ...next }) as never, replace: true }),
    [navigate],
  );
}

type Task = Omit<DagGraph["tasks"][number], "downstream"> & {
  readonly downstream: readonly string[];
};

const toModel = ({ tasks, groups }: DagGraph): Model<Task> => ({
  groups,
  tasks: tasks.map((task) => ({
    ...task,
    downstream: task.downstream.flatMap((place) => tasks[place]?.id ?? []),
  })),
});

function Loaded({
  tenant,
  dag,
  graph,
  before,
  difference,
  run,
  runId,
  runProblem,
  runs,
}: {
  readonly tenant: string;
  readonly dag: string;
  readonly graph: DagGraph;
  readonly before: DagGraph | undefined;
  readonly difference: GraphDifference | undefined;
  readonly run: GraphRun | undefined;
  readonly runId: string | undefined;
  readonly runProblem: Error | null;
  readonly runs: readonly {
    readonly dag_run_id: string;
    readonly state: string;
    readonly run_after: string;
  }[];
}) {
  const search = useSearch({ from: route });
  const change = useChange();
  const zone = useZone();
  const versions = useVersions(tenant, dag);
  const find = useRef<HTMLInputElement>(null);
  const model = useMemo(
    () => (before === undefined ? toModel(graph) : unite(toModel(before), toModel(graph))),
    [graph, before],
  );
  const groupIds = useMemo(() => model.groups.map(({ id }) => id), [model]);
  const atFirst = useMemo(() => foldedAtFirst(model), [model]);
  const task = model.tasks.find(({ id }) => id === search.task);
  const steps =
    task === undefined || search.steps === undefined
      ? undefined
      : Math.min(Math.max(Math.trunc(search.steps), 1), stepsMax);
  const folded = useMemo(
    // Who asks for what is around one task wants to see the tasks.
    () => readFolded(search.folded, groupIds, steps === undefined ? atFirst : new Set()),
    [search.folded, groupIds, atFirst, steps],
  );
  const shown = useMemo(
    () =>
      show(
        model,
        folded,
        difference,
        steps === undefined || task === undefined
          ? undefined
          : neighbourhood(model, task.id, steps),
      ),
    [model, folded, difference, steps, task],
  );
  const isFinished = run !== undefined && run.ended_at !== null;
  const path = useMemo(
    () =>
      search.critical === true && isFinished
        ? criticalPath(
            model.tasks,
            run.tasks.map(({ id, started_at, ended_at }) => ({
              id,
              start: started_at === null ? null : Date.parse(started_at),
              end: ended_at === null ? null : Date.parse(ended_at),
            })),
            Date.parse(run.started_at ?? run.run_after),
          )
        : undefined,
    [search.critical, isFinished, run, model],
  );
  const facts = useMemo(
    () => describeNodes({ model, shown, run, difference, path }),
    [model, shown, run, difference, path],
  );
  const criticalEdges = useMemo(
    () => edgesAlong(shown, path?.map(({ id }) => id) ?? []),
    [shown, path],
  );

  const select = useCallback((id: string | undefined) => change({ task: id }), [change]);
  /** Shown wherever it is: the groups around it are unfolded. */
  const goTo = (id: string): void => {
    const around = new Set(
      groupsAround(model, model.tasks.find((one) => one.id === id)?.group ?? null),
    );
    const next = new Set([...folded].filter((group) => !around.has(group)));
    change({ task: id, folded: writeFolded(next, groupIds, atFirst) });
  };
  const fold = (node: string): void => {
    const next = new Set(folded);
    if (!next.delete(idOfNode(node))) next.add(idOfNode(node));
    change({ folded: writeFolded(next, groupIds, steps === undefined ? atFirst : new Set()) });
  };
  const isNarrow = useNarrow(640);
  // A phone is higher than wide.
  const isVertical = search.dir === undefined ? isNarrow : search.dir === "tb";
  const turn = (): void => change({ dir: isVertical ? "lr" : "tb" });
  const isList = search.view === "list";
  useKeys("Graph", {
    "/": { does: "Find a task", run: () => find.current?.focus() },
    v: {
      does: "Turn the graph: left to right, top to bottom",
      run: turn,
    },
    c: {
      does: "Show the critical path of the run",
      run: () => change({ critical: search.critical === true ? undefined : true }),
    },
    l: {
      does: "Show the tasks as a list, or as a graph",
      run: () => change({ view: isList ? undefined : "list" }),
    },
    "[": { does: "Fold all groups", run: () => change({ folded: "*" }) },
    "]": { does: "Unfold all groups", run: () => change({ folded: "-" }) },
  });
  const selectedNode = task === undefined ? undefined : standsFor(shown, task.id);
  return (
    <div className="flex h-full min-h-0 flex-col">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5 border-b border-line px-3 py-2">
        <FindTask tasks={graph.tasks} onFind={goTo} input={find} />
        <label className="flex items-center gap-1.5 text-sm">
          <span className="text-muted">Run</span>
          <Select
            className="!w-44"
            value={search.run ?? ""}
            onChange={({ target }) =>
              change({ run: target.value === "" ? undefined : target.value })
            }
          >
            <option value="">
              newest{search.run === undefined && run !== undefined ? ` (${run.run_id})` : ""}
            </option>
            <option value="-">none</option>
            {search.run !== undefined &&
              search.run !== "-" &&
              !runs.some((one) => one.dag_run_id === search.run) && (
                <option value={search.run}>{search.run}</option>
              )}
            {runs.map(({ dag_run_id, state, run_after }) => (
              <option key={dag_run_id} value={dag_run_id}>
                {timeText(run_after, zone)} · {state} · {dag_run_id}
              </option>
            ))}
          </Select>
        </label>
        <VersionSelect
          label="Version"
          none={search.run === undefined ? `live (v${String(graph.live_version)})` : "of the run"}
          versions={versions.data?.dag_versions ?? []}
          live={graph.live_version}
          chosen={search.version}
          onChoose={(version) => change({ version })}
        />
        <VersionSelect
          label="Compare to"
          none="nothing"
          versions={versions.data?.dag_versions ?? []}
          live={graph.live_version}
          chosen={search.against}
          onChoose={(version) => change({ against: version })}
        />
        <div className="ml-auto flex flex-wrap items-center gap-1">
          {isFinished && (
            <Button
              aria-pressed={search.critical === true}
              look={search.critical === true ? "primary" : "plain"}
              onClick={() => change({ critical: search.critical === true ? undefined : true })}
            >
              Critical path
            </Button>
          )}
          {groupIds.length > 0 && (
            <>
              <Button onClick={() => change({ folded: "*" })}>Fold all</Button>
              <Button onClick={() => change({ folded: "-" })}>Unfold all</Button>
            </>
          )}
          <Button onClick={turn}>{isVertical ? "Left to right" : "Top to bottom"}</Button>
          <Button
            aria-pressed={isList}
            onClick={() => change({ view: isList ? undefined : "list" })}
          >
            {isList ? "As a graph" : "As a list"}
          </Button>
          <CopyAs
            api={{
              path:
                graphPath(tenant, dag) +
                (search.version === undefined ? "" : `?version=${String(search.version)}`),
            }}
          />
        </div>
      </div>
      {runProblem !== null && (
        <p role="alert" className="tenant-text border-b border-line bg-warn-soft px-3 py-1 text-sm">
          The run {runId} cannot be shown: {runProblem.message}
        </p>
      )}
      {run !== undefined && run.version !== graph.version && (
        <p className="border-b border-line bg-warn-soft px-3 py-1 text-sm">
          The run ran version {run.version}, the graph is version {graph.version}: tasks that the
          other has not are without a state.
        </p>
      )}
      {search.task !== undefined && task === undefined && (
        <p
          role="status"
          className="tenant-text border-b border-line bg-warn-soft px-3 py-1 text-sm"
        >
          There is no task {search.task} in version {graph.version}.
        </p>
      )}
      {steps !== undefined && task !== undefined && (
        <p className="flex flex-wrap items-center gap-2 border-b border-line bg-accent-soft px-3 py-1 text-sm">
          <span className="tenant-text">Only what is around {task.id}:</span>
          <label className="flex items-center gap-1">
            steps
            <Select
              className="!w-16"
              value={steps}
              onChange={({ target }) => change({ steps: Number(target.value) })}
            >
              {Array.from({ length: stepsMax }, (_, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: numbers from one to ten
                <option key={at} value={at + 1}>
                  {at + 1}
                </option>
              ))}
            </Select>
          </label>
          <Button onClick={() => change({ steps: undefined })}>Show all</Button>
        </p>
      )}
      <div className="flex min-h-0 grow flex-col lg:flex-row">
        <div className="relative min-h-[55vh] min-w-0 grow lg:min-h-96">
          {graph.tasks.length === 0 && before === undefined ? (
            <Empty title="This DAG has no tasks.">
              <p>Tasks that its file declares appear here with the next push.</p>
            </Empty>
          ) : isList ? (
            <div className="absolute inset-0">
              <TaskList tasks={model.tasks} facts={facts} selected={task?.id} onSelect={select} />
            </div>
          ) : shown.nodes.length > nodesMax ? (
            <Empty
              title={`${shown.nodes.length.toLocaleString("en")} tasks and groups are more than a picture can show.`}
            >
              <p>
                Find a task above and look at what is around it
                {groupIds.length > 0 ? ", fold the groups," : ""} or read the tasks as a list.
              </p>
              <div className="flex flex-wrap justify-center gap-2">
                <Button onClick={() => find.current?.focus()}>Find a task</Button>
                {groupIds.length > 0 && (
                  <Button onClick={() => change({ folded: "*" })}>Fold all groups</Button>
                )}
                {task !== undefined && (
                  <Button onClick={() => change({ steps: 1, folded: undefined })}>
                    Around {task.id}
                  </Button>
                )}
                <Button onClick={() => change({ view: "list" })}>As a list</Button>
              </div>
            </Empty>
          ) : (
            <Picture
              shown={shown}
              facts={facts}
              isVertical={isVertical}
              selected={selectedNode}
              criticalEdges={criticalEdges}
              onFold={fold}
              onSelect={(node) => {
                const isTask = node === undefined || node.startsWith("t:");
                if (isTask) select(node === undefined ? undefined : idOfNode(node));
                else {
                  const inside = shown.nodes.find(({ id }) => id === node);
                  if (inside?.kind === "folded") select(inside.tasks[0]);
                }
              }}
            />
          )}
        </div>
        {(task !== undefined || difference !== undefined || path !== undefined) && (
          <aside
            aria-label="About the graph"
            className="flex w-full shrink-0 flex-col gap-3 overflow-auto border-line bg-page p-3 lg:w-88 lg:border-l"
          >
            {task !== undefined && (
              <TaskPanel
                tenant={tenant}
                dag={dag}
                task={graph.tasks.find(({ id }) => id === task.id) ?? { ...task, downstream: [] }}
                run={runId}
                instance={run?.tasks.find(({ id }) => id === task.id)}
                what={difference?.changed.find(({ task_id }) => task_id === task.id)?.what}
                onClose={() => change({ task: undefined, steps: undefined })}
                onAround={() => change({ steps: 1, folded: undefined, view: undefined })}
              />
            )}
            {path !== undefined && <CriticalPanel steps={path} onTask={goTo} />}
            {difference !== undefined && <ChangesPanel difference={difference} onTask={goTo} />}
          </aside>
        )}
      </div>
    </div>
  );
}

function show(
  model: Model<Task>,
  folded: ReadonlySet<string>,
  difference: GraphDifference | undefined,
  only: ReadonlySet<string> | undefined,
): Shown {
  if (difference === undefined) return showGraph(model, folded, { only });
  const key = (edge: readonly [string, string]): string => edge.join("\n");
  const [added, removed] = [
    new Set(difference.edges_added.map(key)),
    new Set(difference.edges_removed.map(key)),
  ];
  return showGraph(model, folded, {
    only,
    edgeChange: (from, to) => {
      const edge = key([from, to]);
      return added.has(edge) ? "added" : removed.has(edge) ? "removed" : "same";
    },
  });
}

/** The node in whose place a task is. */
const standsFor = (shown: Shown, task: string): string | undefined =>
  shown.nodes.find((node) =>
    node.kind === "folded" ? node.tasks.includes(task) : node.id === taskNode(task),
  )?.id;

function edgesAlong(shown: Shown, path: readonly string[]): ReadonlySet<string> {
  const places = path.map((id) => standsFor(shown, id));
  return new Set(places.slice(1).map((to, at) => `${places[at] ?? ""}\n${to ?? ""}`));
}

const sizes = {
  task: { width: 196, height: 44 },
  folded: { width: 216, height: 48 },
  box: { width: 0, height: 0 },
} as const;

function Picture({
  shown,
  isVertical,
  ...rest
}: {
  readonly shown: Shown;
  readonly facts: ReturnType<typeof describeNodes>;
  readonly isVertical: boolean;
  readonly selected: string | undefined;
  readonly criticalEdges: ReadonlySet<string>;
  readonly onFold: (node: string) => void;
  readonly onSelect: (node: string | undefined) => void;
}) {
  const { laid, busy } = useLayout({
    direction: isVertical ? "TB" : "LR",
    nodes: shown.nodes.map(({ id, parent, kind }) => ({
      id,
      parent,
      isBox: kind === "box",
      ...sizes[kind],
    })),
    edges: shown.edges.map(({ from, to }) => ({ from, to })),
  });
  if (laid?.kind === "failed")
    return (
      <Failed
        error={new Error("The graph could not be laid out. Its tasks can be read as a list.")}
      />
    );
  if (laid === undefined) return <Loading what="Laying out the graph" />;
  return (
    <div className="absolute inset-0" aria-busy={busy}>
      <Suspense fallback={<Loading what="Drawing the graph" />}>
        <Flow
          shown={shown}
          isVertical={isVertical}
          layout={laid.layout}
          layoutKey={laid.key}
          {...rest}
        />
      </Suspense>
      {busy && (
        <p
          role="status"
          className="absolute top-2 left-2 rounded border border-line bg-raised px-2 py-1 text-sm"
        >
          Laying out …
        </p>
      )}
    </div>
  );
}
