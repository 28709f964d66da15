import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import {
  ChevronLeft,
  ChevronRight,
  ChevronsDownUp,
  ChevronsUpDown,
  Maximize2,
  Trash2,
  ZoomIn,
  ZoomOut,
} from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import type { OtherRun, RunScreen, Structure } from "../../../api/ui/run-screen.ts";
import { ask, Problem, path, query } from "../../ask/ask-server.ts";
import { useMay } from "../../ask/session.ts";
import { useWasThere } from "../../ask/was-there.ts";
import { ClearDialog, MarkDialog, StopDialog, TriggerDialog } from "../../deeds/deed-dialogs.tsx";
import { useKeys } from "../../frame/keys.ts";
import { useNow } from "../../frame/now.ts";
import { type GanttRow, indexGantt, layoutGantt } from "../../layouts/gantt.ts";
import { useLive, useLiveQuery } from "../../live/use-live.ts";
import { placeIn, placeSearch } from "../../log/log-address.ts";
import { Button, IconButton } from "../../parts/button.tsx";
import { CopyAs } from "../../parts/copy-as.tsx";
import { Input, Select } from "../../parts/fields.tsx";
import { Menu } from "../../parts/overlay.tsx";
import { Empty, Failed, Loading, PageHead } from "../../parts/panels.tsx";
import { StateMark, shownState, stateWords } from "../../parts/state-mark.tsx";
import { Lasting, Time } from "../../parts/time.tsx";
import { useNarrow } from "../../parts/use-narrow.ts";
import { WhyLine } from "../../parts/why-line.tsx";
import { GanttChart, GanttLegend, type TimeWindow } from "./gantt-chart.tsx";
import {
  placeOfInstance,
  type RunData,
  taskIdOf,
  toGantt,
  triesOf,
  withChanges,
} from "./run-data.ts";
import { RunDetails } from "./run-details.tsx";
import { AgainDialog, DeleteDialog } from "./run-dialogs.tsx";
import { search as readRunSearch } from "./search.ts";
import { TaskPane } from "./task-pane.tsx";
import { paneMin, usePaneWidth } from "./use-pane-width.ts";

/** The order of a version's tasks never changes: asked for once, however often the run is. */
const structures = new Map<string, Structure>();

export function RunPage() {
  const { tenant, dag, run } = useParams({ from: "/t/$tenant/dags/$dag/runs/$run" });
  const client = useQueryClient();
  const key = ["run", tenant, dag, run];
  const answer = useQuery({
    queryKey: key,
    queryFn: async ({ signal }): Promise<RunData> => {
      const before = client.getQueryData<RunData>(key)?.version_id ?? undefined;
      const known = before !== undefined && structures.has(before) ? before : undefined;
      const screen = await ask<RunScreen>(
        `${path`/t/${tenant}/api/ui/dags/${dag}/dagRuns/${run}`}${query({ known })}`,
        { signal },
      );
      const { version_id: version } = screen;
      if (screen.structure !== null && version !== null) structures.set(version, screen.structure);
      const structure =
        screen.structure ?? (version === null ? undefined : structures.get(version));
      return { ...screen, structure };
    },
  });
  const isOfRun = (event: { dag_id: string; run_id?: string }): boolean =>
    event.dag_id === dag && (event.run_id === undefined || event.run_id === run);
  useLive([tenant], (event) => {
    if (event.kind === "changes")
      client.setQueryData<RunData>(key, (data) => data && withChanges(data, event.changes));
  });
  // States are there at once; times, attempts and new instances follow.
  useLiveQuery([tenant], key, {
    everyMs: 1_000,
    touches: (event) =>
      event.kind === "changes"
        ? event.changes.some(isOfRun)
        : event.kind === "notice" && event.about === "dag" && isOfRun(event),
  });
  const { data, error } = answer;
  const wasThere = useWasThere(`${tenant} ${dag} ${run}`, data);
  const isGone = error instanceof Problem && error.status === 404;
  if (wasThere && isGone) return <Gone tenant={tenant} dag={dag} run={run} />;
  if (data === undefined)
    return (
      <>
        <PageHead title={run} crumbs={crumbsOf(tenant, dag)} />
        {error === null ? (
          <Loading what="The run" />
        ) : (
          <Failed error={error} retry={() => void answer.refetch()} />
        )}
      </>
    );
  return <Run tenant={tenant} data={data} refresh={() => void answer.refetch()} />;
}

const crumbsOf = (tenant: string, dag: string) => [
  { text: dag, to: "/t/$tenant/dags/$dag" as const, params: { tenant, dag } },
];

function Gone({
  tenant,
  dag,
  run,
}: {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
}) {
  return (
    <>
      <PageHead title={run} crumbs={crumbsOf(tenant, dag)} />
      <Empty title="This run was deleted while you looked at it, or is no longer yours to see.">
        <p>Its logs and XComs went with it. Other runs of its DAG are on the DAG’s own page.</p>
      </Empty>
    </>
  );
}

type DialogName = "clear" | "mark" | "stop" | "again" | "trigger" | "delete";

function Run({
  tenant,
  data,
  refresh,
}: {
  readonly tenant: string;
  readonly data: RunData;
  readonly refresh: () => void;
}) {
  const search = useSearch({ from: "/t/$tenant/dags/$dag/runs/$run" });
  const navigate = useNavigate({ from: "/t/$tenant/dags/$dag/runs/$run" });
  const set: Set_ = (change) =>
    void navigate({
      search: (old) => ({ ...old, ...change }) as Search,
      replace: true,
      resetScroll: false,
    });
  const may = useMay(tenant);
  const { run } = data;
  const isOpen = run.state === "running" || run.state === "queued";
  const [dialog, setDialog] = useState<DialogName>();
  const closeDialog = (): void => {
    setDialog(undefined);
    refresh();
  };
  const goTo = (other: OtherRun | null): void => {
    if (other !== null)
      void navigate({
        to: "/t/$tenant/dags/$dag/runs/$run",
        params: { tenant, dag: other.dag_id, run: other.run_id },
        search: ({ q, state, sort, open }) => ({ q, state, sort, open }) as Search,
      });
  };
  const filter = useRef<HTMLInputElement>(null);
  useKeys("Run", {
    "[": { does: "Go to the run before", run: () => goTo(data.previous) },
    "]": { does: "Go to the run after", run: () => goTo(data.next) },
    "/": { does: "Filter the tasks", run: () => filter.current?.focus() },
    ...(may("run.clear") ? { c: { does: "Clear the run", run: () => setDialog("clear") } } : {}),
    ...(may("task.mark") ? { m: { does: "Mark the run", run: () => setDialog("mark") } } : {}),
    ...(may("run.trigger")
      ? { a: { does: "Trigger again with the same conf", run: () => setDialog("again") } }
      : {}),
    Escape: {
      does: "Close the pane",
      run: () => set({ task: undefined, map: undefined, try: undefined, ...placeSearch({}) }),
    },
  });

  const place =
    search.task === undefined ? -1 : placeOfInstance(data, search.task, search.map ?? -1);
  const common = { tenant, dag: run.dag_id, run: run.run_id };
  return (
    <div className="flex min-h-full flex-col lg:h-full">
      <PageHead
        title={run.run_id}
        crumbs={crumbsOf(tenant, run.dag_id)}
        mark={<StateMark state={run.state} size={16} />}
      >
        <IconButton
          name="The run before"
          disabled={data.previous === null}
          onClick={() => goTo(data.previous)}
        >
          <ChevronLeft size={16} />
        </IconButton>
        <IconButton
          name="The run after"
          disabled={data.next === null}
          onClick={() => goTo(data.next)}
        >
          <ChevronRight size={16} />
        </IconButton>
        {isOpen && may("task.mark") && (
          <Button look="danger" onClick={() => setDialog("stop")}>
            Stop
          </Button>
        )}
        {may("run.clear") && <Button onClick={() => setDialog("clear")}>Clear</Button>}
        {may("task.mark") && <Button onClick={() => setDialog("mark")}>Mark</Button>}
        <Menu
          label="More deeds"
          button={<Button>More ▾</Button>}
          items={[
            {
              text: "Trigger again with the same conf",
              disabled: !may("run.trigger"),
              onSelect: () => setDialog("again"),
            },
            {
              text: "Trigger with other values …",
              disabled: !may("run.trigger"),
              onSelect: () => setDialog("trigger"),
            },
            "line",
            {
              text: "Delete the run …",
              icon: <Trash2 size={14} />,
              danger: true,
              disabled: !may("run.delete"),
              onSelect: () => setDialog("delete"),
            },
          ]}
        />
        <CopyAs
          command={["dagrun", "get", `${tenant}/${run.dag_id}/${run.run_id}`]}
          api={{ path: path`/t/${tenant}/api/v2/dags/${run.dag_id}/dagRuns/${run.run_id}` }}
          more={[{ text: "Run id", value: run.run_id }]}
        />
      </PageHead>
      <Strip tenant={tenant} data={data} />
      <Split
        chosen={search.task === undefined ? undefined : `${search.task}[${search.map ?? -1}]`}
        left={
          <Timeline
            data={data}
            selected={place}
            search={search}
            set={set}
            filter={filter}
            onSelect={(row, tryNumber) =>
              set({
                task: taskIdOf(data, row.instance),
                map: nonNegative(data.instances.map[row.instance]),
                try: tryNumber,
                ...placeSearch({}),
              })
            }
          />
        }
        right={
          search.task === undefined ? (
            <RunDetails tenant={tenant} data={data} onChanged={refresh} />
          ) : place < 0 ? (
            <Empty title="This run has no such task instance.">
              <p className="tenant-text">{search.task}</p>
            </Empty>
          ) : (
            <ChosenTask common={common} data={data} place={place} search={search} set={set} />
          )
        }
      />
      {dialog === "clear" && <ClearDialog {...common} tasks={undefined} onClose={closeDialog} />}
      {dialog === "mark" && <MarkDialog {...common} tasks={undefined} onClose={closeDialog} />}
      {dialog === "stop" && <StopDialog {...common} onClose={closeDialog} />}
      {dialog === "trigger" && (
        <TriggerDialog tenant={tenant} dag={run.dag_id} onClose={closeDialog} />
      )}
      {dialog === "again" && (
        <AgainDialog tenant={tenant} run={run} onClose={() => setDialog(undefined)} />
      )}
      {dialog === "delete" && (
        <DeleteDialog tenant={tenant} run={run} onClose={() => setDialog(undefined)} />
      )}
    </div>
  );
}

type Search = ReturnType<typeof readRunSearch>;
/** undefined takes a field out of the address. */
type Change = { readonly [K in keyof Search]?: Search[K] | undefined };
type Set_ = (change: Change) => void;
const nonNegative = (map: number | undefined): number | undefined =>
  map === undefined || map < 0 ? undefined : map;

function Strip({ tenant, data }: { readonly tenant: string; readonly data: RunData }) {
  const { run, why } = data;
  return (
    <div className="flex flex-wrap items-baseline gap-x-5 gap-y-1 px-4 pb-2">
      <StateMark state={run.state} withWord />
      <span className="text-muted">{run.run_type.replaceAll("_", " ")}</span>
      {run.started_at === null ? null : (
        <span>
          <Time at={run.started_at} />
          <span className="text-muted"> for </span>
          <Lasting from={run.started_at} to={run.ended_at} />
        </span>
      )}
      {run.logical_date !== null && (
        <span>
          <span className="text-muted">about </span>
          <Time at={run.logical_date} />
        </span>
      )}
      {(run.state === "failed" || run.state === "queued") && (
        <div className={`min-w-0 basis-full ${run.state === "failed" ? "text-danger" : ""}`}>
          <WhyLine tenant={tenant} why={why} />
        </div>
      )}
    </div>
  );
}

function ChosenTask({
  common,
  data,
  place,
  search,
  set,
}: {
  readonly common: { readonly tenant: string; readonly dag: string; readonly run: string };
  readonly data: RunData;
  readonly place: number;
  readonly search: Search;
  readonly set: Set_;
}) {
  const tries = useMemo(() => triesOf(data, place), [data, place]);
  const task = taskIdOf(data, place);
  const map = data.instances.map[place] ?? -1;
  const last = tries.at(-1)?.number ?? Math.max(data.instances.try[place] ?? 1, 1);
  const wanted = search.try;
  const tryNumber =
    wanted !== undefined && tries.some(({ number }) => number === wanted) ? wanted : last;
  return (
    <TaskPane
      chosen={{ ...common, task, map }}
      state={data.states[data.instances.state[place] ?? 0] ?? null}
      label={map < 0 ? task : `${task}[${String(map)}]`}
      tries={tries}
      tryNumber={tryNumber}
      place={placeIn(search)}
      onTry={(next) => set({ try: next, ...placeSearch({}) })}
      onPlace={(next) => set(placeSearch(next))}
      onClose={() => set({ task: undefined, map: undefined, try: undefined, ...placeSearch({}) })}
    />
  );
}

const readKeys = (text: string | undefined): ReadonlySet<string> | "all" =>
  text === "all"
    ? "all"
    : new Set(
        (text ?? "").split(",").flatMap((word) => {
          try {
            return word === "" ? [] : [decodeURIComponent(word)];
          } catch {
            return [];
          }
        }),
      );

function Timeline({
  data,
  selected,
  search,
  set,
  filter,
  onSelect,
}: {
  readonly data: RunData;
  readonly selected: number;
  readonly search: Search;
  readonly set: Set_;
  readonly filter: React.RefObject<HTMLInputElement | null>;
  readonly onSelect: (row: GanttRow, tryNumber: number | undefined) => void;
}) {
  const index = useMemo(() => indexGantt(toGantt(data)), [data]);
  const isOver = data.run.state === "success" || data.run.state === "failed";
  const now = useNow(!isOver) - data.base;
  const view = useMemo(
    () => ({
      open: readKeys(search.open),
      sort: search.sort ?? ("start" as const),
      states: new Set((search.state ?? "").split(",").filter((word) => word !== "")),
      text: search.q ?? "",
    }),
    [search.open, search.sort, search.state, search.q],
  );
  // What is over stays as it is, whatever the time.
  const at = isOver && data.run.ended_at !== null ? Date.parse(data.run.ended_at) - data.base : now;
  const layout = useMemo(() => layoutGantt(index, view, at), [index, view, at]);
  const window: TimeWindow =
    search.from !== undefined && search.to !== undefined && search.to > search.from
      ? { from: search.from, to: search.to }
      : { from: layout.from, to: layout.to };
  const zoom = (factor: number): void => {
    const middle = (window.from + window.to) / 2;
    const half = Math.max(((window.to - window.from) / 2) * factor, 1);
    const next = { from: Math.round(middle - half), to: Math.round(middle + half) };
    const isAll = next.from <= layout.from && next.to >= layout.to;
    set(isAll ? { from: undefined, to: undefined } : next);
  };
  const all = (): void => set({ from: undefined, to: undefined });
  useKeys("Gantt", {
    "+": { does: "Look closer", run: () => zoom(0.5) },
    "-": { does: "Look from farther away", run: () => zoom(2) },
    "0": { does: "Show the whole run", run: all },
  });
  const counts = useMemo(() => {
    const found = new Map<string, number>();
    for (const state of index.data.instances.state)
      found.set(state ?? "none", (found.get(state ?? "none") ?? 0) + 1);
    return [...found];
  }, [index]);
  const toggleState = (state: string): void => {
    const next = new Set(view.states);
    if (!next.delete(state)) next.add(state);
    set({ state: next.size === 0 ? undefined : [...next].join(",") });
  };
  const toggle = (row: GanttRow, open: boolean): void => {
    const keys = new Set(
      view.open === "all"
        ? layout.rows.flatMap(({ key, kind }) => (kind === "instance" ? [] : [key]))
        : view.open,
    );
    if (open) keys.add(row.key);
    else keys.delete(row.key);
    set({
      open: keys.size === 0 ? undefined : [...keys].map(encodeURIComponent).join(","),
    });
  };
  const folds =
    data.structure !== undefined &&
    (data.structure.groups.length > 0 || index.data.instances.map.some((map) => map >= 0));
  return (
    <>
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-1.5">
        <Input
          ref={filter}
          aria-label="Filter the tasks"
          placeholder="Filter the tasks"
          className="!w-40"
          value={search.q ?? ""}
          onChange={(event) => set({ q: event.target.value || undefined })}
        />
        <div role="group" aria-label="States to show" className="flex flex-wrap gap-1">
          {counts.map(([state, count]) => (
            <button
              key={state}
              type="button"
              aria-pressed={view.states.has(state)}
              onClick={() => toggleState(state)}
              className={`inline-flex h-7 items-center gap-1 rounded-md border px-1.5 text-sm ${view.states.has(state) ? "border-accent bg-accent-soft" : "border-line hover:bg-sunken"}`}
            >
              <StateMark state={state} size={12} />
              <span className="sr-only">{stateWords[shownState(state)]}</span>
              {count}
            </button>
          ))}
        </div>
        <div className="ml-auto flex items-center gap-1">
          <Select
            aria-label="Order"
            className="!w-auto"
            value={view.sort}
            onChange={(event) =>
              set({ sort: event.target.value === "topology" ? "topology" : undefined })
            }
          >
            <option value="start">by start</option>
            <option value="topology">by dependency</option>
          </Select>
          {folds && (
            <IconButton
              name={view.open === "all" ? "Fold all" : "Unfold all"}
              onClick={() => set({ open: view.open === "all" ? undefined : "all" })}
            >
              {view.open === "all" ? <ChevronsDownUp size={15} /> : <ChevronsUpDown size={15} />}
            </IconButton>
          )}
          <IconButton name="Look closer" onClick={() => zoom(0.5)}>
            <ZoomIn size={15} />
          </IconButton>
          <IconButton name="Look from farther away" onClick={() => zoom(2)}>
            <ZoomOut size={15} />
          </IconButton>
          <IconButton name="Show the whole run" disabled={search.from === undefined} onClick={all}>
            <Maximize2 size={15} />
          </IconButton>
        </div>
      </div>
      {data.truncated && (
        <p className="border-b border-line bg-warn-soft px-3 py-1 text-sm text-warn">
          The run has more task instances than are shown here.
        </p>
      )}
      {data.instances.task.length === 0 ? (
        <Empty title="No task has begun.">
          <p>
            As soon as the run starts, each of its tasks has a row here: what it waited, started and
            ran.
          </p>
        </Empty>
      ) : layout.rows.length === 0 ? (
        <Empty title="No task instance is like that.">
          <Button onClick={() => set({ q: undefined, state: undefined })}>Show all of them</Button>
        </Empty>
      ) : (
        <GanttChart
          layout={layout}
          window={window}
          selected={selected}
          selectedTask={selected < 0 ? -2 : (data.instances.task[selected] ?? -2)}
          onSelect={onSelect}
          onToggle={toggle}
          onWindow={(next) => set(next ?? { from: undefined, to: undefined })}
        />
      )}
      <GanttLegend />
    </>
  );
}

/** The Gantt, and beside it (on a phone: below) what was chosen; the line between them can be moved. */
function Split({
  left,
  right,
  chosen,
}: {
  /** What the right side is about; undefined: nothing that was chosen. */
  readonly chosen: string | undefined;
  readonly left: React.ReactNode;
  readonly right: React.ReactNode;
}) {
  const [width, setWidth] = usePaneWidth();
  const box = useRef<HTMLDivElement>(null);
  const isWide = !useNarrow(1_024);
  const aside = useRef<HTMLElement>(null);
  // Below the fold nobody would see that a tap on a bar brought its log.
  useEffect(() => {
    if (chosen !== undefined && !isWide) aside.current?.scrollIntoView({ block: "start" });
  }, [chosen, isWide]);
  return (
    <div ref={box} className="flex min-h-0 grow flex-col border-t border-line lg:flex-row">
      <section
        aria-label="Tasks over time"
        className="flex h-[60vh] min-w-0 flex-col bg-surface lg:h-auto lg:min-h-0 lg:grow lg:basis-0"
      >
        {left}
      </section>
      {isWide && (
        <div
          role="separator"
          aria-label="Width of the pane"
          aria-orientation="vertical"
          aria-valuenow={width}
          aria-valuemin={paneMin}
          aria-valuemax={1600}
          tabIndex={0}
          className="w-1.5 shrink-0 cursor-col-resize border-x border-line bg-sunken hover:bg-accent-soft"
          onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
          onPointerMove={(event) => {
            if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
            const right_ = box.current?.getBoundingClientRect().right ?? 0;
            setWidth(right_ - event.clientX);
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowLeft") setWidth(width + 40);
            else if (event.key === "ArrowRight") setWidth(width - 40);
          }}
        />
      )}
      <aside
        ref={aside}
        aria-label="Beside the tasks"
        className="flex h-[75vh] min-w-0 flex-col border-t border-line bg-surface lg:h-auto lg:min-h-0 lg:border-t-0"
        style={isWide ? { width: `min(${String(width)}px, 70%)` } : {}}
      >
        {right}
      </aside>
    </div>
  );
}
