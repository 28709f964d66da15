/** One's deeds on many runs that wait, run or have just ended: kept by the server, so every tab and every page of the tenant shows them. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { BulkDeed, BulkDeedDetail, BulkDeeds } from "../../api/ui/runs-explorer.ts";
import { ask, path } from "../ask/ask-server.ts";
import { useNow } from "../frame/now.ts";
import { useLiveQuery } from "../live/use-live.ts";
import { Button } from "../parts/button.tsx";
import { countOf, countText } from "../parts/durations.ts";
import { Dialog } from "../parts/overlay.tsx";
import { Failed, Loading } from "../parts/panels.tsx";
import { say, sayFailed } from "../parts/toasts.tsx";
import { deedWords } from "./bulk-words.ts";

export function BulkBanner({ tenant }: { readonly tenant: string }) {
  const client = useQueryClient();
  const [dropped, setDropped] = useState(readDropped);
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
  const deeds = data?.deeds ?? [];
  // What has ended goes by itself after a while: only then, somebody has to look at the clock.
  const now = useNow(deeds.some(({ state }) => state === "done"));
  const shown = deeds.filter((deed) => !dropped.has(deed.id) && isShown(deed, now));
  const drop = (id: string): void => {
    const next = new Set(dropped).add(id);
    setDropped(next);
    writeDropped(next);
  };
  const takeBack = async (deed: BulkDeed): Promise<void> => {
    try {
      await ask(path`/t/${tenant}/api/ui/runs/deeds/${deed.id}/take-back`, { method: "POST" });
      say(`Taken back: ${deedWords[deed.deed].deed} of ${countOf(deed.total, "run")}`);
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
          role="group"
          aria-label={`${deedWords[deed.deed].deed}: ${countOf(deed.total, "run")}`}
          className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-accent-soft px-4 py-1.5 text-sm"
        >
          <span role="status" className="sr-only">
            {saidOf(deed)}
          </span>
          <strong>{deedWords[deed.deed].deed}</strong>
          {deed.state === "waiting" ? (
            <>
              <span aria-hidden>
                {countOf(deed.total, "run")} in <CountDown dueAt={dataUpdatedAt + deed.due_in_ms} />
              </span>
              <Button look="primary" onClick={() => void takeBack(deed)}>
                Undo
              </Button>
            </>
          ) : (
            <>
              <progress
                aria-label="How far it is"
                className="h-2 w-40 max-sm:w-24 accent-(--accent)"
                max={deed.total}
                value={deed.done + deed.failed}
              />
              <span>
                {countText(deed.done)} of {countText(deed.total)} done
                {deed.failed > 0 ? `, ${countText(deed.failed)} not` : ""}
              </span>
              {deed.failed > 0 && <Button onClick={() => setLooked(deed.id)}>Why not</Button>}
              {deed.state === "done" && (
                <Button look="quiet" onClick={() => drop(deed.id)}>
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

/** Read aloud when it changes; the count-down itself would be read each second. */
const saidOf = ({ deed, state, total, done, failed }: BulkDeed): string => {
  const what = `${deedWords[deed].deed}: ${countOf(total, "run")}`;
  if (state === "waiting") return `${what}, in a few seconds. Undo takes it back.`;
  if (state === "running") return `${what}, begun.`;
  return `${what}: ${countText(done)} done${failed > 0 ? `, ${countText(failed)} not` : ""}.`;
};

/** What went well needs no more than a look; what could not be done is to be read. */
const isShown = ({ state, ended_at, failed }: BulkDeed, nowMs: number): boolean =>
  state === "waiting" ||
  state === "running" ||
  (state === "done" &&
    ended_at !== null &&
    nowMs - Date.parse(ended_at) < (failed > 0 ? 600_000 : 60_000));

const droppedKey = "airlock.bulk.dismissed";

/** A browser may refuse its storage: then a dismissed one is back after a reload, no more. */
function readDropped(): ReadonlySet<string> {
  try {
    return new Set((sessionStorage.getItem(droppedKey) ?? "").split(","));
  } catch {
    return new Set();
  }
}

function writeDropped(dropped: ReadonlySet<string>): void {
  try {
    sessionStorage.setItem(droppedKey, [...dropped].slice(-50).join(","));
  } catch {
    // see above
  }
}

/** `dueAt` by this machine's clock, counted from what the database said is left: whatever the clocks show, it is right. */
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
