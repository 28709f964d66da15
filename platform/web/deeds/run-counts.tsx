import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import type { InstanceCounts } from "../../api/ui/deed-previews.ts";
import { ask, path } from "../ask/ask-server.ts";
import { useLiveQuery } from "../live/use-live.ts";
import { countText } from "../parts/durations.ts";
import { StateMark } from "../parts/state-mark.tsx";

const finished = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);
export const isUnfinished = (state: string | null): boolean =>
  state === null || !finished.has(state);

/** Asked anew each time, and kept fresh while the dialog is open: a deed is on what is there now. */
export function useRunCounts(
  tenant: string,
  dag: string,
  run: string,
): UseQueryResult<InstanceCounts> {
  const key = ["run counts", tenant, dag, run];
  const counts = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      ask<InstanceCounts>(path`/t/${tenant}/api/ui/dags/${dag}/runs/${run}/instance-counts`, {
        signal,
      }),
    staleTime: 0,
  });
  useLiveQuery([tenant], key, {
    touches: (event) =>
      event.kind === "changes" && event.changes.some(({ run_id }) => run_id === run),
  });
  return counts;
}

/** How many task instances of the run are in which state. */
export function CountsOfRun({ counts }: { readonly counts: InstanceCounts }) {
  return (
    <p className="mt-3 flex flex-wrap items-center gap-x-3 gap-y-1 text-muted">
      <span>
        The run is <StateMark state={counts.state} withWord />, its task instances:
      </span>
      {counts.counts.length === 0 && <span>none yet</span>}
      {counts.counts.map(({ state, count }) => (
        <span key={state ?? ""} className="inline-flex items-center gap-1">
          <StateMark state={state} withWord /> {countText(count)}
        </span>
      ))}
    </p>
  );
}
