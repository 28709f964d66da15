import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { TouchedInstances } from "../../api/ui/deed-previews.ts";
import { ask, path } from "../ask/ask-server.ts";
import { useLiveQuery } from "../live/use-live.ts";
import { Button } from "../parts/button.tsx";
import { CopyAs } from "../parts/copy-as.tsx";
import { countText } from "../parts/durations.ts";
import { Checkbox, Field, Select } from "../parts/fields.tsx";
import { Dialog } from "../parts/overlay.tsx";
import { Loading } from "../parts/panels.tsx";
import { StateMark } from "../parts/state-mark.tsx";
import { say } from "../parts/toasts.tsx";
import { titleOf } from "./clear-dialog.tsx";
import type { OfTasks } from "./deed-dialogs.tsx";
import { DeedProblem, TouchedList } from "./deed-parts.tsx";
import { CountsOfRun, isUnfinished, useRunCounts } from "./run-counts.tsx";

export default function MarkDialog(props: OfTasks) {
  return props.tasks === undefined ? (
    <MarkRun {...props} />
  ) : (
    <MarkTasks {...props} tasks={props.tasks} />
  );
}

function MarkRun({ tenant, dag, run, onClose }: OfTasks) {
  const [chosen, setState] = useState<"success" | "failed">();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const counts = useRunCounts(tenant, dag, run);
  const api = path`/t/${tenant}/api/v2/dags/${dag}/dagRuns/${run}`;
  // What it is already is not what somebody came for.
  const state = chosen ?? (counts.data?.state === "success" ? "failed" : "success");
  const already = counts.data?.state === state;
  const mark = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      const before = await ask<{ state: string }>(api);
      if (before.state === state) {
        say(`The run is ${state} already: somebody was quicker`);
        onClose();
        return;
      }
      await ask(api, { method: "PATCH", body: { state } });
      say(`The run is marked ${state}`);
      onClose();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const of = (test: (state: string | null) => boolean): number =>
    (counts.data?.counts ?? [])
      .filter((one) => test(one.state))
      .reduce((sum, one) => sum + one.count, 0);
  const touched =
    state === "success" ? of((one) => one !== "success" && one !== "removed") : of(isUnfinished);
  return (
    <Dialog
      open
      onClose={onClose}
      title={titleOf("Mark", run, undefined)}
      describe={<span className="tenant-text">{dag}</span>}
      foot={
        <>
          <CopyAs
            command={["mark", `${tenant}/${dag}/${run}`, state]}
            api={{ method: "PATCH", path: api, body: { state } }}
          />
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="primary"
            disabled={busy || counts.data === undefined || already}
            onClick={() => void mark()}
          >
            {busy ? "Marking …" : `Mark ${state}`}
          </Button>
        </>
      }
    >
      <StateChoice value={state} choices={["success", "failed"]} onChange={setState} />
      {counts.data === undefined ? (
        counts.error === null ? (
          <Loading what="The run" />
        ) : (
          <DeedProblem error={counts.error} />
        )
      ) : (
        <>
          <CountsOfRun counts={counts.data} />
          <p className="mt-3">
            {already
              ? `The run is ${state} already.`
              : state === "success"
                ? `${countText(touched)} task instances that are not successful become so; what runs is ended.`
                : `${countText(touched)} task instances that have not finished are ended; what has finished stays as it is.`}
          </p>
        </>
      )}
      <DeedProblem error={problem} />
    </Dialog>
  );
}

function MarkTasks({
  tenant,
  dag,
  run,
  tasks,
  onClose,
}: OfTasks & { readonly tasks: NonNullable<OfTasks["tasks"]> }) {
  const [state, setState] = useState<"success" | "failed" | "skipped">("success");
  const [upstream, setUpstream] = useState(false);
  const [downstream, setDownstream] = useState(false);
  const [past, setPast] = useState(false);
  const [future, setFuture] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const api = path`/t/${tenant}/api/ui/dags/${dag}/runs/${run}/mark`;
  const body = {
    state,
    tasks: tasks.map(({ task_id, map_index }) =>
      map_index === undefined ? { task_id } : { task_id, map_index },
    ),
    include_upstream: upstream,
    include_downstream: downstream,
    include_past: past,
    include_future: future,
  };
  const key = ["mark preview", tenant, dag, run, body];
  const preview = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      ask<TouchedInstances>(api, { method: "POST", body: { ...body, dry_run: true }, signal }),
    staleTime: 0,
    placeholderData: keepPreviousData,
  });
  useLiveQuery([tenant], key, {
    touches: (event) =>
      event.kind === "changes" && event.changes.some(({ dag_id }) => dag_id === dag),
  });
  const mark = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      const done = await ask<TouchedInstances>(api, {
        method: "POST",
        body: { ...body, dry_run: false },
      });
      say(
        done.total === 0
          ? `Nothing was marked: somebody was quicker`
          : `Marked ${countText(done.total)} task instance${done.total === 1 ? "" : "s"} ${state}`,
      );
      onClose();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const total = preview.data?.total ?? 0;
  const one =
    tasks.length === 1 && !upstream && !downstream && !past && !future ? tasks[0] : undefined;
  return (
    <Dialog
      open
      onClose={onClose}
      title={titleOf("Mark", run, tasks)}
      describe={<span className="tenant-text">of run {run}</span>}
      foot={
        <>
          <CopyAs
            {...(one === undefined
              ? {}
              : {
                  command: [
                    "mark",
                    `${tenant}/${dag}/${run}/${one.task_id}${one.map_index === undefined || one.map_index < 0 ? "" : `[${one.map_index}]`}`,
                    state,
                  ],
                })}
            api={{ method: "POST", path: api, body: { ...body, dry_run: false } }}
          />
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="primary"
            disabled={busy || total === 0 || preview.isPlaceholderData}
            onClick={() => void mark()}
          >
            {busy ? "Marking …" : `Mark ${state}`}
          </Button>
        </>
      }
    >
      <StateChoice value={state} choices={["success", "failed", "skipped"]} onChange={setState} />
      <div className="mt-3 grid grid-cols-1 gap-x-4 gap-y-2 sm:grid-cols-2">
        <Checkbox
          label="And what comes before (upstream)"
          checked={upstream}
          onChange={setUpstream}
        />
        <Checkbox
          label="And what comes after (downstream)"
          checked={downstream}
          onChange={setDownstream}
        />
        <Checkbox label="In earlier runs too" checked={past} onChange={setPast} />
        <Checkbox label="In later runs too" checked={future} onChange={setFuture} />
      </div>
      {preview.data === undefined ? (
        preview.error === null ? (
          <Loading what="What would be marked" />
        ) : (
          <DeedProblem error={preview.error} />
        )
      ) : (
        <TouchedList
          touched={preview.data.instances}
          total={total}
          what={`would be marked ${state}`}
        />
      )}
      <DeedProblem error={problem} />
    </Dialog>
  );
}

function StateChoice<S extends string>({
  value,
  choices,
  onChange,
}: {
  readonly value: S;
  readonly choices: readonly S[];
  readonly onChange: (state: S) => void;
}) {
  return (
    <div className="flex items-end gap-2">
      <Field label="Mark as">
        <Select value={value} onChange={(event) => onChange(event.target.value as S)}>
          {choices.map((choice) => (
            <option key={choice} value={choice}>
              {choice}
            </option>
          ))}
        </Select>
      </Field>
      <span className="pb-1.5">
        <StateMark state={value} />
      </span>
    </div>
  );
}
