/** One button per try, with how it ended. */
import { StateMark } from "../../parts/state-mark.tsx";
import type { Try } from "./run-data.ts";

export function TryPicker({
  tries,
  chosen,
  onChoose,
}: {
  readonly tries: readonly Try[];
  readonly chosen: number;
  readonly onChoose: (tryNumber: number) => void;
}) {
  if (tries.length < 2) return null;
  return (
    <div role="group" aria-label="Try" className="flex max-w-full flex-wrap gap-1">
      {tries.slice(-30).map(({ number, outcome, ended }) => (
        <button
          key={number}
          type="button"
          aria-pressed={number === chosen}
          onClick={() => onChoose(number)}
          className={`inline-flex h-7 items-center gap-1 rounded-md border px-2 text-sm ${number === chosen ? "border-accent bg-accent-soft font-semibold" : "border-line hover:bg-sunken"}`}
        >
          <StateMark state={stateOfTry(outcome, ended !== null)} size={12} />
          {`Try ${number}`}
        </button>
      ))}
    </div>
  );
}

/** How an attempt ended, in the words of states. */
export function stateOfTry(outcome: string | null, isOver: boolean): string | null {
  if (outcome === null) return isOver ? "failed" : "running";
  if (outcome === "success" || outcome === "skipped" || outcome === "deferred") return outcome;
  return outcome === "reschedule" ? "up_for_reschedule" : "failed";
}
