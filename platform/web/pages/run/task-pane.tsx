/** Beside the Gantt: the chosen task instance's log, its tries, and why it is where it is. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ExternalLink, X } from "lucide-react";
import { useState } from "react";
import type { WhyAnswer } from "../../../api/airflow/read-why.ts";
import { ask, path, query } from "../../ask/ask-server.ts";
import { useMay } from "../../ask/session.ts";
import { ClearDialog, MarkDialog } from "../../deeds/deed-dialogs.tsx";
import { useLiveQuery } from "../../live/use-live.ts";
import type { LogPlace } from "../../log/log-address.ts";
import { LogView } from "../../log/log-view.tsx";
import { Button, IconButton } from "../../parts/button.tsx";
import { StateMark } from "../../parts/state-mark.tsx";
import { WhyLine } from "../../parts/why-line.tsx";
import type { Try } from "./run-data.ts";
import { TryPicker } from "./try-picker.tsx";

export type Chosen = {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
  readonly task: string;
  readonly map: number;
};

export function TaskPane({
  chosen,
  state,
  label,
  tries,
  tryNumber,
  place,
  onTry,
  onPlace,
  onClose,
}: {
  readonly chosen: Chosen;
  readonly state: string | null;
  readonly label: string;
  readonly tries: readonly Try[];
  readonly tryNumber: number;
  readonly place: LogPlace;
  readonly onTry: (tryNumber: number) => void;
  readonly onPlace: (place: LogPlace) => void;
  readonly onClose: () => void;
}) {
  const { tenant, dag, run, task, map } = chosen;
  const may = useMay(tenant);
  const [dialog, setDialog] = useState<"clear" | "mark">();
  const refs = [map < 0 ? { task_id: task } : { task_id: task, map_index: map }];
  return (
    <div className="flex min-h-0 grow flex-col">
      <div className="flex flex-wrap items-center gap-x-2 gap-y-1 border-b border-line px-3 py-1.5">
        <StateMark state={state} withWord />
        <h2 className="tenant-text min-w-0 truncate font-semibold" title={label}>
          {label}
        </h2>
        <div className="ml-auto flex items-center gap-1">
          {may("run.clear") && <Button onClick={() => setDialog("clear")}>Clear</Button>}
          {may("task.mark") && <Button onClick={() => setDialog("mark")}>Mark</Button>}
          <Link
            to="/t/$tenant/dags/$dag/runs/$run/tasks/$task"
            params={{ tenant, dag, run, task }}
            search={{ ...(map < 0 ? {} : { map }), try: tryNumber }}
            aria-label="All about this task instance"
            title="All about this task instance"
            className="inline-flex size-8 items-center justify-center rounded-md hover:bg-sunken"
          >
            <ExternalLink size={15} />
          </Link>
          <IconButton name="Close the pane" onClick={onClose}>
            <X size={16} />
          </IconButton>
        </div>
        <div className="basis-full text-sm text-muted">
          <Why chosen={chosen} state={state} />
        </div>
        <TryPicker tries={tries} chosen={tryNumber} onChoose={onTry} />
      </div>
      {tries.length === 0 ? (
        <p className="p-4 text-muted">
          It has not run yet, so there is no log. It shows here as soon as its code begins.
        </p>
      ) : (
        <div className="flex min-h-0 grow flex-col">
          <LogView
            key={`${task} ${String(map)} ${String(tryNumber)}`}
            tenant={tenant}
            dag={dag}
            run={run}
            task={task}
            mapIndex={map}
            tryNumber={tryNumber}
            place={place}
            onPlace={onPlace}
          />
        </div>
      )}
      {dialog === "clear" && (
        <ClearDialog {...{ tenant, dag, run }} tasks={refs} onClose={() => setDialog(undefined)} />
      )}
      {dialog === "mark" && (
        <MarkDialog {...{ tenant, dag, run }} tasks={refs} onClose={() => setDialog(undefined)} />
      )}
    </div>
  );
}

function Why({ chosen, state }: { readonly chosen: Chosen; readonly state: string | null }) {
  const { tenant, dag, run, task, map } = chosen;
  const key = ["why", tenant, dag, run, task, map];
  const { data } = useQuery({
    // With the state: another one has another reason.
    queryKey: [...key, state],
    queryFn: ({ signal }) =>
      ask<WhyAnswer>(
        `${path`/t/${tenant}/api/v2/dags/${dag}/dagRuns/${run}/taskInstances/${task}/why`}${query({ map_index: map })}`,
        { signal },
      ),
    placeholderData: (before) => before,
  });
  // What it waits for is often another DAG's: any change in the tenant may be the one, but only while it waits.
  useLiveQuery(data?.waits === true ? [tenant] : [], key, { everyMs: 2_000 });
  return data === undefined ? <p>…</p> : <WhyLine tenant={tenant} why={data} />;
}
