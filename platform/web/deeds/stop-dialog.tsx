import { useState } from "react";
import { ask, path } from "../ask/ask-server.ts";
import { Button } from "../parts/button.tsx";
import { CopyAs } from "../parts/copy-as.tsx";
import { countText } from "../parts/durations.ts";
import { Dialog } from "../parts/overlay.tsx";
import { Loading } from "../parts/panels.tsx";
import { say } from "../parts/toasts.tsx";
import { DeedProblem } from "./deed-parts.tsx";
import { CountsOfRun, isUnfinished, useRunCounts } from "./run-counts.tsx";

export default function StopDialog({
  tenant,
  dag,
  run,
  onClose,
}: {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
  readonly onClose: () => void;
}) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const counts = useRunCounts(tenant, dag, run);
  const api = path`/t/${tenant}/api/v2/dags/${dag}/dagRuns/${run}/stop`;
  const stop = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      await ask(api, { method: "POST" });
      say("The run is stopped");
      onClose();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const unfinished = (counts.data?.counts ?? [])
    .filter(({ state }) => isUnfinished(state))
    .reduce((sum, { count }) => sum + count, 0);
  const isOpen = counts.data?.state === "running" || counts.data?.state === "queued";
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Stop run ${run}`}
      describe="What runs is ended, and the run fails. It can be cleared later."
      foot={
        <>
          <CopyAs
            command={["stop", `${tenant}/${dag}/${run}`]}
            api={{ method: "POST", path: api }}
          />
          <Button onClick={onClose}>Cancel</Button>
          <Button look="danger" disabled={busy || !isOpen} onClick={() => void stop()}>
            {busy ? "Stopping …" : "Stop the run"}
          </Button>
        </>
      }
    >
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
            {isOpen
              ? `${countText(unfinished)} task instance${unfinished === 1 ? "" : "s"} that ${unfinished === 1 ? "has" : "have"} not finished would be ended.`
              : "The run has ended already: there is nothing to stop."}
          </p>
        </>
      )}
      <DeedProblem error={problem} />
    </Dialog>
  );
}
