/** A state told by shape and colour, with its word for those who see neither. */
import type { ReactNode } from "react";
import type { TaskState } from "../../model/states.ts";

export type ShownState = NonNullable<TaskState> | "none";

/** One shape per state in a 16 × 16 box: told apart without colour. */
const shapes: Record<ShownState, ReactNode> = {
  none: <circle cx="8" cy="8" r="5" fill="none" strokeWidth="1.6" strokeDasharray="2.4 2.2" />,
  scheduled: (
    <path
      d="M8 3v5l3 2M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2Z"
      fill="none"
      strokeWidth="1.6"
    />
  ),
  queued: <path d="M3 4.5h10M3 8h10M3 11.5h10" fill="none" strokeWidth="2" />,
  running: <path d="M4.5 2.8v10.4L13 8Z" strokeWidth="1" />,
  success: <path d="M3 8.5 6.5 12 13 4.6" fill="none" strokeWidth="2.4" />,
  failed: <path d="m4 4 8 8m0-8-8 8" fill="none" strokeWidth="2.4" />,
  upstream_failed: <path d="M8 13V4M4 8l4-4.4L12 8" fill="none" strokeWidth="2.2" />,
  skipped: <path d="m3 4 5 4-5 4Zm6 0 4.5 4L9 12Z" strokeWidth="1" />,
  removed: <path d="M3 8h10" fill="none" strokeWidth="2.4" />,
  up_for_retry: <path d="M12.6 6.2A5 5 0 1 0 13 9.5M13 3v3.6H9.4" fill="none" strokeWidth="1.8" />,
  up_for_reschedule: (
    <path d="M3 13V3m0 10h10M6 10l2.5-3 2 1.6L13 5" fill="none" strokeWidth="1.7" />
  ),
  deferred: <path d="M5.4 3v10M10.6 3v10" fill="none" strokeWidth="2.4" />,
  restarting: <path d="M13 8A5 5 0 1 1 8 3l2.6 2.2M8 3l2.2-2" fill="none" strokeWidth="1.8" />,
};

export const stateWords: Record<ShownState, string> = {
  none: "no state",
  scheduled: "scheduled",
  queued: "queued",
  running: "running",
  success: "success",
  failed: "failed",
  upstream_failed: "upstream failed",
  skipped: "skipped",
  removed: "removed",
  up_for_retry: "up for retry",
  up_for_reschedule: "up for reschedule",
  deferred: "deferred",
  restarting: "restarting",
};

export const shownState = (state: string | null | undefined): ShownState =>
  state !== null && state !== undefined && state in stateWords ? (state as ShownState) : "none";

export function StateMark({
  state,
  withWord = false,
  size = 14,
}: {
  readonly state: string | null | undefined;
  readonly withWord?: boolean;
  readonly size?: number;
}) {
  const shown = shownState(state);
  return (
    <span className="inline-flex items-center gap-1 whitespace-nowrap" title={stateWords[shown]}>
      <svg
        width={size}
        height={size}
        viewBox="0 0 16 16"
        role={withWord ? "presentation" : "img"}
        aria-label={withWord ? undefined : stateWords[shown]}
        style={{ color: `var(--state-${shown})` }}
        stroke="currentColor"
        fill="currentColor"
        strokeLinecap="round"
        strokeLinejoin="round"
        className="shrink-0"
      >
        {shapes[shown]}
      </svg>
      {withWord && <span>{stateWords[shown]}</span>}
    </span>
  );
}
