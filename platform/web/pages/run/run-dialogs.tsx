/** Deeds that are this screen's own: the same again, and delete. */
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ask, path } from "../../ask/ask-server.ts";
import { Button } from "../../parts/button.tsx";
import { readJson } from "../../parts/json-rows.ts";
import { JsonView } from "../../parts/json-view.tsx";
import { Dialog } from "../../parts/overlay.tsx";
import { say, sayFailed } from "../../parts/toasts.tsx";
import type { RunData } from "./run-data.ts";

type Props = {
  readonly tenant: string;
  readonly run: RunData["run"];
  readonly onClose: () => void;
};

export function AgainDialog({ tenant, run, onClose }: Props) {
  const navigate = useNavigate();
  const [isBusy, setBusy] = useState(false);
  const trigger = async (): Promise<void> => {
    setBusy(true);
    try {
      const made = await ask<{ dag_run_id: string }>(
        path`/t/${tenant}/api/v2/dags/${run.dag_id}/dagRuns`,
        {
          method: "POST",
          body: { conf: readJson(run.conf) },
        },
      );
      say(`Started ${made.dag_run_id}`);
      onClose();
      await navigate({
        to: "/t/$tenant/dags/$dag/runs/$run",
        params: { tenant, dag: run.dag_id, run: made.dag_run_id },
        search: {},
      });
    } catch (error) {
      setBusy(false);
      sayFailed("It was not started", error);
    }
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Trigger ${run.dag_id} again`}
      describe="A new run of the newest version, with the conf of this one."
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" disabled={isBusy} onClick={() => void trigger()}>
            Trigger
          </Button>
        </>
      }
    >
      {run.conf.trim() === "{}" ? (
        <p>This run was given no conf: the params will have their defaults.</p>
      ) : (
        <JsonView text={run.conf} label="Conf" />
      )}
    </Dialog>
  );
}

export function DeleteDialog({ tenant, run, onClose }: Props) {
  const navigate = useNavigate();
  const [isBusy, setBusy] = useState(false);
  const isOver = run.state !== "running";
  const remove = async (): Promise<void> => {
    setBusy(true);
    try {
      await ask(path`/t/${tenant}/api/v2/dags/${run.dag_id}/dagRuns/${run.run_id}`, {
        method: "DELETE",
      });
      onClose();
      await navigate({ to: "/t/$tenant/dags/$dag", params: { tenant, dag: run.dag_id } });
      say(`Deleted the run ${run.run_id}`);
    } catch (error) {
      setBusy(false);
      sayFailed("It was not deleted", error);
    }
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title="Delete this run?"
      describe={<span className="tenant-text">{run.run_id}</span>}
      foot={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button look="danger" disabled={isBusy || !isOver} onClick={() => void remove()}>
            Delete the run
          </Button>
        </>
      }
    >
      <p>
        {isOver
          ? "Its task instances, logs and XComs go with it. That cannot be taken back."
          : "It is running: stop it first, then it can be deleted."}
      </p>
    </Dialog>
  );
}
