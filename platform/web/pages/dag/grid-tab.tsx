/** Runs × tasks: asked for once, then kept by single cells as the live stream tells them. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ChevronsDownUp, ChevronsUpDown, Search } from "lucide-react";
import { useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { useKeys } from "../../frame/keys.ts";
import { applyChanges, type By, putRun } from "../../layouts/grid-cells.ts";
import { readFolded, rowsOf, writeFolded } from "../../layouts/grid-rows.ts";
import { useLive } from "../../live/use-live.ts";
import { Button, IconButton } from "../../parts/button.tsx";
import { CopyAs } from "../../parts/copy-as.tsx";
import { countOf, countText } from "../../parts/durations.ts";
import { Input, Select } from "../../parts/fields.tsx";
import { Empty, Failed, Loading } from "../../parts/panels.tsx";
import { askGrid, askRun, type Grid, type GridQuery, gridPath } from "./ask-grid.ts";
import { changed, type SearchChange } from "./change-search.ts";
import { GridCanvas } from "./grid-canvas.tsx";
import { GridDock } from "./grid-dock.tsx";
import { GridLegend } from "./grid-legend.tsx";

const counts = [25, 50, 100] as const;
/** Runs that changed in a way that a single cell does not tell are asked for again, not more often than this. */
const againMs = 1_000;

export default function GridTab({
  tenant,
  dag,
}: {
  readonly tenant: string;
  readonly dag: string;
}) {
  const search = useSearch({ from: "/t/$tenant/dags/$dag" });
  const navigate = useNavigate({ from: "/t/$tenant/dags/$dag" });
  const set = (next: SearchChange<typeof search>): void =>
    void navigate({ search: (old) => changed(old, next), replace: true });
  const by: By = search.by ?? "state";
  const limit = counts.find((count) => count === search.n) ?? 25;
  const asked: GridQuery = {
    tenant,
    dag,
    limit,
    before: search.before,
    runType: search.runType,
    runState: search.runState,
    times: by !== "state",
  };
  const key = ["grid", asked] as const;
  const { data, error, refetch, isPlaceholderData } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => askGrid(asked, signal),
    placeholderData: (old, query) =>
      // Of another DAG nothing may stay on the screen.
      (query?.queryKey[1] as GridQuery | undefined)?.dag === dag ? old : undefined,
    // Cells are changed in place: the same answer must not be compared with itself.
    structuralSharing: false,
  });
  const edition = useLiveGrid(asked, key, isPlaceholderData ? undefined : data);

  const shape = data?.cells.shape;
  const groups = useMemo(() => shape?.groups.map(({ id }) => id) ?? [], [shape]);
  const folded = useMemo(() => readFolded(search.fold, groups), [search.fold, groups]);
  const words = useDeferredValue(search.q ?? "");
  const rows = useMemo(
    () => (shape === undefined ? [] : rowsOf(shape, folded, words)),
    [shape, folded, words],
  );
  const find = useRef<HTMLInputElement>(null);
  useKeys("Grid", {
    "/": { does: "Find a task", run: () => find.current?.focus() },
    "[": {
      does: "Fold all groups",
      run: () => set({ fold: writeFolded(new Set(groups), groups) }),
    },
    "]": { does: "Unfold all groups", run: () => set({ fold: undefined }) },
  });

  if (error !== null && data === undefined)
    return <Failed error={error} retry={() => void refetch()} />;
  if (data === undefined) return <Loading what="The grid" />;
  const filtered = search.runType !== undefined || search.runState !== undefined;
  return (
    <div className="flex min-h-0 grow flex-col">
      <div className="flex flex-wrap items-center gap-2 px-4 py-2">
        <label className="relative w-52 max-sm:grow">
          <span className="sr-only">Find a task</span>
          <Search size={14} className="absolute top-2 left-2 text-muted" aria-hidden />
          <Input
            ref={find}
            type="search"
            placeholder="Find a task …"
            className="pl-7"
            value={search.q ?? ""}
            onChange={({ target }) => set({ q: target.value === "" ? undefined : target.value })}
          />
        </label>
        <Choice
          label="Colour by"
          value={search.by ?? ""}
          options={[
            ["", "State"],
            ["duration", "Duration"],
            ["wait", "Wait"],
          ]}
          onChange={(value) => set({ by: value === "" ? undefined : (value as "duration") })}
        />
        <Choice
          label="Type of run"
          value={search.runType ?? ""}
          options={[
            ["", "All types"],
            ["scheduled", "Scheduled"],
            ["manual", "Manual"],
            ["backfill", "Backfill"],
            ["asset_triggered", "By asset"],
          ]}
          onChange={(value) =>
            set({ runType: value === "" ? undefined : (value as "manual"), before: undefined })
          }
        />
        <Choice
          label="State of run"
          value={search.runState ?? ""}
          options={[
            ["", "All states"],
            ["failed", "Failed"],
            ["success", "Success"],
            ["running", "Running"],
            ["queued", "Queued"],
          ]}
          onChange={(value) =>
            set({ runState: value === "" ? undefined : (value as "failed"), before: undefined })
          }
        />
        <Choice
          label="Number of runs"
          value={String(limit)}
          options={counts.map((count) => [String(count), `${count} runs`])}
          onChange={(value) => set({ n: value === "25" ? undefined : Number(value) })}
        />
        {groups.length > 0 && (
          <span className="flex">
            <IconButton
              name="Fold all groups"
              onClick={() => set({ fold: writeFolded(new Set(groups), groups) })}
            >
              <ChevronsDownUp size={16} />
            </IconButton>
            <IconButton name="Unfold all groups" onClick={() => set({ fold: undefined })}>
              <ChevronsUpDown size={16} />
            </IconButton>
          </span>
        )}
        <span className="ml-auto flex items-center gap-2">
          {search.before !== undefined && (
            <Button onClick={() => set({ before: undefined })}>Newest runs</Button>
          )}
          <Button
            disabled={data.older === null}
            onClick={() => data.older !== null && set({ before: data.older })}
          >
            Older runs
          </Button>
          <CopyAs
            command={["dagrun", "list", `${tenant}/${dag}`]}
            api={{ path: gridPath(asked) }}
          />
        </span>
      </div>
      {data.cells.runs.length === 0 && (
        <Empty title={filtered ? "No run is like this." : "This DAG has not run yet."}>
          <p>
            {filtered
              ? "Take a filter back to see the others."
              : "Each run becomes a column here, each task a row. Trigger one above, or wait for the schedule."}
          </p>
        </Empty>
      )}
      <div className="flex min-h-0 grow flex-col border-t border-line lg:flex-row">
        <div className="flex min-h-64 min-w-0 grow flex-col">
          <GridCanvas
            grid={data}
            rows={rows}
            by={by}
            edition={edition}
            dag={dag}
            picked={{ run: search.run, task: search.task }}
            onToggle={(id) => {
              const next = new Set(folded);
              if (!next.delete(id)) next.add(id);
              set({ fold: writeFolded(next, groups) });
            }}
            onPick={(picked) => set(picked)}
          />
          <div className="flex flex-wrap items-center gap-x-4 border-t border-line px-4 py-1 text-xs text-muted">
            <span>
              {countOf(data.cells.shape.tasks.length, "task")},{" "}
              {countOf(data.cells.runs.length, "run")}
              {words !== "" &&
                `, ${countText(rows.filter(({ kind }) => kind === "task").length)} found`}
            </span>
            <GridLegend by={by} />
          </div>
        </div>
        {search.run !== undefined && (
          <GridDock
            tenant={tenant}
            dag={dag}
            run={search.run}
            task={search.task}
            cells={data.cells}
            edition={edition}
            onClose={() => set({ run: undefined, task: undefined })}
            onTask={(task) => set({ task })}
          />
        )}
      </div>
    </div>
  );
}

function Choice({
  label,
  value,
  options,
  onChange,
}: {
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [string, string])[];
  readonly onChange: (value: string) => void;
}) {
  return (
    <Select
      aria-label={label}
      className="!w-auto"
      value={value}
      onChange={({ target }) => onChange(target.value)}
    >
      {options.map(([word, text]) => (
        <option key={word} value={word}>
          {text}
        </option>
      ))}
    </Select>
  );
}

/** Counts up with each change that was put into the cells. */
function useLiveGrid(asked: GridQuery, key: readonly unknown[], grid: Grid | undefined): number {
  const client = useQueryClient();
  const [edition, setEdition] = useState(0);
  const wanted = useRef(new Set<string>());
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const current = useRef({ asked, key, grid });
  current.current = { asked, key, grid };
  useEffect(() => () => clearTimeout(timer.current), []);

  const askAgain = async (): Promise<void> => {
    timer.current = undefined;
    const { asked: now, key: nowKey, grid: there } = current.current;
    const runs = [...wanted.current];
    wanted.current.clear();
    if (there === undefined) return;
    // A run that is not here belongs at the top, or is not shown at all: the order is the server's.
    const isNew = runs.some((run) => !there.cells.runPlaces.has(run));
    if (isNew || runs.length > 5) {
      if (!isNew || now.before === undefined) await client.invalidateQueries({ queryKey: nowKey });
      return;
    }
    const found = await Promise.all(
      runs.map((run) => askRun(now, there, run).catch(() => undefined)),
    );
    if (current.current.grid !== there) return;
    const fits = found.every(
      (one) => one !== undefined && putRun(there.cells, one.run, one.planes),
    );
    if (!fits) await client.invalidateQueries({ queryKey: nowKey });
    else setEdition((old) => old + 1);
  };
  useLive([asked.tenant], (event) => {
    const { grid: there, asked: now } = current.current;
    if (event.kind === "reset" || there === undefined) return;
    if (event.kind === "notice") {
      // A new version has other tasks.
      if (event.about === "deploy" && now.before === undefined)
        void client.invalidateQueries({ queryKey: current.current.key });
      return;
    }
    const changes = event.changes.filter(({ dag_id }) => dag_id === now.dag);
    if (changes.length === 0) return;
    const left = applyChanges(there.cells, changes);
    setEdition((old) => old + 1);
    for (const run of left.unsure) wanted.current.add(run);
    if (now.before === undefined) for (const run of left.unknown) wanted.current.add(run);
    // Times are not in what is told: those of a run that moved are asked for.
    if (now.times) for (const { run_id } of changes) wanted.current.add(run_id);
    if (wanted.current.size > 0) timer.current ??= setTimeout(() => void askAgain(), againMs);
  });
  return edition;
}
