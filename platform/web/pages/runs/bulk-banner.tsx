/** One's deeds on many runs that wait, run or have just ended: kept by the server, so every tab shows them. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { BulkDeed, BulkDeedDetail, BulkDeeds } from "../../../api/ui/runs-explorer.ts";
import { ask, path } from "../../ask/ask-server.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { Button } from "../../parts/button.tsx";
import { countText } from "../../parts/durations.ts";
import { Dialog } from "../../parts/overlay.tsx";
import { Failed, Loading } from "../../parts/panels.tsx";
import { say, sayFailed } from "../../parts/toasts.tsx";
import { deedWords } from "./bulk-dialog.tsx";

export function BulkBanner({ tenant }: { readonly tenant: string }) {
  const client = useQueryClient();
  const [dropped, setDropped] = useState<ReadonlySet<string>>(new Set());
  const [looked, setLooked] = useState<string>();
  const key = ["bulk deeds", tenant];
  const { data, dataUpdatedAt } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      ask<BulkDeeds>(path`/t/${tenant}/api/ui/runs/deeds?limit=10`, { signal }),
    staleTime: 0,
  });
  useLiveQuery([tenant], key, {
    everyMs: 300,
    touches: (event) => event.kind === "notice" && event.about === "bulk",
  });
  const shown = (data?.deeds ?? []).filter(
    ({ id, state, ended_at }) =>
      !dropped.has(id) &&
      (state === "waiting" ||
        state === "running" ||
        (state === "done" && ended_at !== null && dataUpdatedAt - Date.parse(ended_at) < 600_000)),
  );
  const takeBack = async (deed: BulkDeed): Promise<void> => {
    try {
      await ask(path`/t/${tenant}/api/ui/runs/deeds/${deed.id}/take-back`, { method: "POST" });
      say(`Taken back: ${deedWords[deed.deed].deed} of ${countText(deed.total)} runs`);
    } catch (error) {
      sayFailed("It could not be taken back", error);
    } finally {
      await client.invalidateQueries({ queryKey: key });
    }
  };
  return (
    <>
      {shown.map((deed) => (
        <div
          key={deed.id}
          role="status"
          className="mx-4 mb-2 flex flex-wrap items-center gap-3 rounded-lg border border-line-strong bg-raised px-3 py-1.5"
        >
          <strong>{deedWords[deed.deed].deed}</strong>
          {deed.state === "waiting" ? (
            <>
              <span>
                {countText(deed.total)} runs in <CountDown dueAt={dataUpdatedAt + deed.due_in_ms} />
              </span>
              <Button look="primary" onClick={() => void takeBack(deed)}>
                Undo
              </Button>
            </>
          ) : (
            <>
              <progress
                aria-label="How far it is"
                className="h-2 w-40 accent-(--accent)"
                max={deed.total}
                value={deed.done + deed.failed}
              />
              <span>
                {countText(deed.done)} of {countText(deed.total)} done
                {deed.failed > 0 ? `, ${countText(deed.failed)} not` : ""}
              </span>
              {deed.failed > 0 && <Button onClick={() => setLooked(deed.id)}>Why not</Button>}
              {deed.state === "done" && (
                <Button look="quiet" onClick={() => setDropped(new Set(dropped).add(deed.id))}>
                  Dismiss
                </Button>
              )}
            </>
          )}
        </div>
      ))}
      {looked !== undefined && (
        <WhyNot tenant={tenant} id={looked} onClose={() => setLooked(undefined)} />
      )}
    </>
  );
}

function CountDown({ dueAt }: { readonly dueAt: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 200);
    return () => clearInterval(timer);
  }, []);
  return <span className="tabular-nums">{Math.max(0, Math.ceil((dueAt - now) / 1000))} s</span>;
}

function WhyNot({
  tenant,
  id,
  onClose,
}: {
  readonly tenant: string;
  readonly id: string;
  readonly onClose: () => void;
}) {
  const detail = useQuery({
    queryKey: ["bulk deed", tenant, id],
    queryFn: ({ signal }) =>
      ask<BulkDeedDetail>(path`/t/${tenant}/api/ui/runs/deeds/${id}`, { signal }),
    staleTime: 0,
  });
  return (
    <Dialog open onClose={onClose} title="On which runs it was not done" wide>
      {detail.data === undefined ? (
        detail.error === null ? (
          <Loading what="The reasons" />
        ) : (
          <Failed error={detail.error} />
        )
      ) : (
        <ul className="flex flex-col gap-1">
          {detail.data.failures.map(({ dag_id, run_id, reason }) => (
            <li key={`${dag_id}/${run_id}`}>
              <span className="tenant-text font-medium">
                {dag_id}/{run_id}
              </span>
              : <span className="tenant-text text-muted">{reason}</span>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
