/** All instances of a mapped task, however many. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type ReactNode, useMemo, useState } from "react";
import type { Siblings } from "../../../api/ui/task-screen.ts";
import { ask, path } from "../../ask/ask-server.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { durationText } from "../../parts/durations.ts";
import { Input, Select } from "../../parts/fields.tsx";
import { Failed, Loading } from "../../parts/panels.tsx";
import { StateMark, shownState, stateWords } from "../../parts/state-mark.tsx";
import { VirtualRows } from "../../parts/virtual-rows.tsx";
import type { Place } from "./place.ts";

const from = "/t/$tenant/dags/$dag/runs/$run/tasks/$task";

export function MappedList({
  place,
  otherwise,
}: {
  readonly place: Place;
  /** Where there is no such task. */
  readonly otherwise?: ReactNode;
}) {
  const { tenant, dag, run, task } = place;
  const search = useSearch({ from });
  const navigate = useNavigate({ from });
  const [focused, setFocused] = useState(-1);
  const key = ["siblings", tenant, dag, run, task];
  const { data, error } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      ask<Siblings>(
        path`/t/${tenant}/api/ui/dags/${dag}/dagRuns/${run}/taskInstances/${task}/siblings`,
        { signal },
      ),
  });
  useLiveQuery([tenant], key, {
    everyMs: 1_000,
    touches: (event) =>
      event.kind === "changes" &&
      event.changes.some(
        (change) => change.dag_id === dag && change.run_id === run && change.task_id === task,
      ),
  });
  const { q = "", state: wanted = "" } = search;
  const rows = useMemo(
    () => (data === undefined ? [] : rowsOf(data, q, wanted)),
    [data, q, wanted],
  );
  const states = useMemo(
    () => [...new Set((data?.state ?? []).map((state) => state ?? "none"))],
    [data],
  );
  if (error !== null) return <>{otherwise ?? <Failed error={error} />}</>;
  if (data === undefined) return <Loading what="Its instances" />;
  const set = (change: {
    readonly q?: string | undefined;
    readonly state?: string | undefined;
  }): void =>
    void navigate({ search: (old) => ({ ...old, ...change }) as typeof search, replace: true });
  const open = (at: number): void => {
    const row = rows[at];
    if (row !== undefined)
      void navigate({
        to: from,
        params: { tenant, dag, run, task },
        search: row.map < 0 ? {} : { map: row.map },
      });
  };
  return (
    <div className="flex min-h-[50vh] grow flex-col bg-surface">
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-1.5">
        <Input
          aria-label="Filter the instances"
          placeholder="Index or name"
          className="!w-48"
          value={q}
          onChange={(event) => set({ q: event.target.value || undefined })}
        />
        <Select
          aria-label="State"
          className="!w-auto"
          value={wanted}
          onChange={(event) => set({ state: event.target.value || undefined })}
        >
          <option value="">every state</option>
          {states.map((state) => (
            <option key={state} value={state}>
              {stateWords[shownState(state)]}
            </option>
          ))}
        </Select>
        <span className="text-sm text-muted">{`${rows.length} of ${data.map.length}`}</span>
      </div>
      <VirtualRows
        label="Mapped instances"
        count={rows.length}
        rowHeight={28}
        focused={focused}
        onFocus={setFocused}
        onOpen={open}
        className="min-h-0 grow basis-64"
        row={(at) => {
          const row = rows[at];
          return row === undefined ? null : (
            <div
              role="gridcell"
              className="flex h-full cursor-pointer items-center gap-3 px-3"
              onClick={() => open(at)}
            >
              <span className="w-14 shrink-0 text-right tabular-nums">{row.map}</span>
              <StateMark state={row.state} />
              <span className="tenant-text min-w-0 grow truncate">{row.label ?? ""}</span>
              <span className="text-sm text-muted tabular-nums">{row.lasted}</span>
            </div>
          );
        }}
      />
    </div>
  );
}

type MappedRow = {
  readonly map: number;
  readonly state: string | null;
  readonly label: string | undefined;
  readonly lasted: string;
};

function rowsOf(data: Siblings, text: string, wanted: string): readonly MappedRow[] {
  const labels = new Map(data.labels);
  const words = text.toLowerCase();
  return data.map.flatMap((map, at): MappedRow[] => {
    const state = data.state[at] ?? null;
    const label = labels.get(at);
    if (wanted !== "" && (state ?? "none") !== wanted) return [];
    if (
      words !== "" &&
      !String(map).includes(words) &&
      label?.toLowerCase().includes(words) !== true
    )
      return [];
    const started = data.started[at] ?? null;
    const ended = data.ended[at] ?? null;
    const lasted = started === null || ended === null ? "" : durationText((ended - started) / 1000);
    return [{ map, state, label, lasted }];
  });
}
