import { useEffect, useState } from "react";
import { ask, path } from "../ask/ask-server.ts";
import { useMay } from "../ask/session.ts";
import { say, sayFailed } from "../parts/toasts.tsx";

/** Runs no more by its schedule, or does again. Shows what it will be at once, and takes it back if it could not be. */
export function PauseSwitch({
  tenant,
  dag,
  isPaused,
}: {
  readonly tenant: string;
  readonly dag: string;
  readonly isPaused: boolean;
}) {
  const may = useMay(tenant);
  // What was asked for, until the list says the same (or says otherwise: another tab was later).
  const [asked, setAsked] = useState<boolean>();
  const [busy, setBusy] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is true now ends what was asked for
  useEffect(() => setAsked(undefined), [isPaused]);
  const paused = asked ?? isPaused;
  const change = async (next: boolean): Promise<void> => {
    setAsked(next);
    setBusy(true);
    try {
      await ask(path`/t/${tenant}/api/v2/dags/${dag}`, {
        method: "PATCH",
        body: { is_paused: next },
      });
      say(next ? `${dag} is paused` : `${dag} runs by its schedule`);
    } catch (error) {
      setAsked(undefined);
      sayFailed(next ? `${dag} could not be paused` : `${dag} could not be unpaused`, error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <button
      type="button"
      role="switch"
      aria-checked={!paused}
      aria-label={`${dag} runs by its schedule`}
      title={paused ? "Paused: plans no runs. Press to unpause." : "Active. Press to pause."}
      disabled={busy || !may("dag.pause")}
      onClick={(event) => {
        event.stopPropagation();
        void change(!paused);
      }}
      className={`relative inline-flex h-5 w-9 shrink-0 items-center rounded-full border disabled:cursor-not-allowed disabled:opacity-60 ${paused ? "border-line-strong bg-sunken" : "border-transparent bg-accent"}`}
    >
      <span
        aria-hidden
        className={`inline-block size-3.5 rounded-full transition-transform ${paused ? "translate-x-0.5 bg-muted" : "translate-x-[1.1rem] bg-accent-text"}`}
      />
    </button>
  );
}
