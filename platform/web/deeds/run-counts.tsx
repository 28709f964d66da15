import type { InstanceCounts } from "../../api/ui/deed-previews.ts";
import { countText } from "../parts/durations.ts";
import { StateMark } from "../parts/state-mark.tsx";

const finished = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);
export const isUnfinished = (state: string | null): boolean =>
  state === null || !finished.has(state);

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
