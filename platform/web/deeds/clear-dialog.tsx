import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask, path } from "../ask/ask-server.ts";
import { useLiveQuery } from "../live/use-live.ts";
import { Button } from "../parts/button.tsx";
import { CopyAs } from "../parts/copy-as.tsx";
import { countText } from "../parts/durations.ts";
import { Checkbox } from "../parts/fields.tsx";
import { Dialog } from "../parts/overlay.tsx";
import { Loading } from "../parts/panels.tsx";
import { say } from "../parts/toasts.tsx";
import type { OfTasks, TaskRef } from "./deed-dialogs.tsx";
import { DeedProblem, Heed, instanceName, type Touched, TouchedList } from "./deed-parts.tsx";

type Cleared = { readonly task_instances: readonly RawInstance[]; readonly total_entries: number };
type RawInstance = Touched & { readonly dag_run_id: string };

export default function ClearDialog({ tenant, dag, run, tasks, onClose }: OfTasks) {
  const client = useQueryClient();
  const [onlyFailed, setOnlyFailed] = useState(tasks === undefined);
  const [upstream, setUpstream] = useState(false);
  const [downstream, setDownstream] = useState(tasks !== undefined);
  const [past, setPast] = useState(false);
  const [future, setFuture] = useState(false);
  const [latest, setLatest] = useState(true);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const [changed, setChanged] = useState(false);

  const api = path`/t/${tenant}/api/v2/dags/${dag}/clearTaskInstances`;
  const body = {
    dag_run_id: run,
    only_failed: onlyFailed,
    include_upstream: upstream,
    include_downstream: downstream,
    include_past: past,
    include_future: future,
    run_on_latest_version: latest,
    reset_dag_runs: true,
    ...(tasks === undefined ? {} : { task_ids: tasks.map(taskIdOf) }),
  };
  const key = ["clear preview", tenant, dag, body];
  const look = () => ask<Cleared>(api, { method: "POST", body: { ...body, dry_run: true } });
  const preview = useQuery({
    queryKey: key,
    queryFn: look,
    staleTime: 0,
    placeholderData: keepPreviousData,
  });
  // Another tab, or another person: what would be touched is shown as it is now.
  useLiveQuery([tenant], key, {
    touches: (event) =>
      event.kind === "changes" && event.changes.some(({ dag_id }) => dag_id === dag),
  });

  const clear = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    setChanged(false);
    try {
      const now = await look();
      if (textOf(now) !== textOf(preview.data)) {
        client.setQueryData(key, now);
        setChanged(true);
        return;
      }
      const done = await ask<Cleared>(api, { method: "POST", body: { ...body, dry_run: false } });
      say(
        done.total_entries === 0
          ? "Nothing was cleared: it has changed meanwhile"
          : `Cleared ${countText(done.total_entries)} task instance${done.total_entries === 1 ? "" : "s"}: they run again`,
      );
      onClose();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };

  const total = preview.data?.total_entries ?? 0;
  const one = tasks?.length === 1 ? tasks[0] : undefined;
  return (
    <Dialog
      open
      onClose={onClose}
      title={titleOf("Clear", run, tasks)}
      describe="What is cleared runs again, and with it what comes after it, once it can."
      foot={
        <>
          <CopyAs
            {...(past || future || (tasks !== undefined && one === undefined)
              ? {}
              : {
                  command: [
                    "clear",
                    `${tenant}/${dag}/${run}${one === undefined ? "" : `/${one.task_id}${one.map_index === undefined || one.map_index < 0 ? "" : `[${one.map_index}]`}`}`,
                    ...(onlyFailed ? ["--failed"] : []),
                    ...(upstream ? ["--upstream"] : []),
                    ...(downstream ? ["--downstream"] : []),
                    ...(latest ? [] : ["--same-version"]),
                  ],
                })}
            api={{ method: "POST", path: api, body: { ...body, dry_run: false } }}
          />
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="primary"
            disabled={busy || total === 0 || preview.isPlaceholderData}
            onClick={() => void clear()}
          >
            {busy ? "Clearing …" : `Clear ${total === 0 ? "" : countText(total)}`}
          </Button>
        </>
      }
    >
      <div className="grid grid-cols-1 gap-x-4 gap-y-2 sm:grid-cols-2">
        <Checkbox label="Only what failed" checked={onlyFailed} onChange={setOnlyFailed} />
        <Checkbox label="On the newest version" checked={latest} onChange={setLatest} />
        <Checkbox
          label="And what comes before (upstream)"
          checked={upstream}
          onChange={setUpstream}
          disabled={tasks === undefined}
        />
        <Checkbox
          label="And what comes after (downstream)"
          checked={downstream}
          onChange={setDownstream}
          disabled={tasks === undefined}
        />
        <Checkbox label="In earlier runs too" checked={past} onChange={setPast} />
        <Checkbox label="In later runs too" checked={future} onChange={setFuture} />
      </div>
      {preview.data === undefined ? (
        preview.error === null ? (
          <Loading what="What would be cleared" />
        ) : (
          <DeedProblem error={preview.error} />
        )
      ) : (
        <TouchedList
          touched={preview.data.task_instances.map(toTouched)}
          total={total}
          what="would be cleared"
        />
      )}
      {changed && (
        <Heed>
          It changed since you looked, by another hand. This is how it is now; clear it all the
          same?
        </Heed>
      )}
      <DeedProblem error={problem} />
    </Dialog>
  );
}

const taskIdOf = ({ task_id, map_index }: TaskRef): string | [string, number] =>
  map_index === undefined || map_index < 0 ? task_id : [task_id, map_index];

const toTouched = (row: RawInstance): Touched => ({
  run_id: row.dag_run_id,
  task_id: row.task_id,
  map_index: row.map_index,
  state: row.state ?? null,
});

const textOf = (cleared: Cleared | undefined): string =>
  JSON.stringify([
    cleared?.total_entries,
    cleared?.task_instances.map((row) => [row.dag_run_id, row.task_id, row.map_index, row.state]),
  ]);

export function titleOf(deed: string, run: string, tasks: readonly TaskRef[] | undefined): string {
  if (tasks === undefined) return `${deed} run ${run}`;
  const [first] = tasks;
  if (tasks.length === 1 && first !== undefined)
    return `${deed} ${instanceName({ task_id: first.task_id, map_index: first.map_index ?? -1 })}`;
  return `${deed} ${countText(tasks.length)} tasks`;
}
