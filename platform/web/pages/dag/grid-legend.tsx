/** What the colours of the grid mean. */

import { useTheme } from "../../frame/theme.ts";
import type { By } from "../../layouts/grid-cells.ts";
import { type ShownState, StateMark } from "../../parts/state-mark.tsx";
import { readInk } from "./paint-grid.ts";

const states: readonly ShownState[] = [
  "success",
  "running",
  "failed",
  "upstream_failed",
  "up_for_retry",
  "queued",
  "scheduled",
  "skipped",
  "none",
];
const steps = {
  duration: ["well below its median", "as usual", "× 1.25", "× 1.6", "× 2.5", "× 5 and more"],
  wait: ["below 1 s", "1 s", "10 s", "1 min", "10 min", "1 h and more"],
} as const;

export function GridLegend({ by }: { readonly by: By }) {
  const theme = useTheme();
  if (by === "state")
    return (
      <span className="flex flex-wrap gap-x-3 max-md:hidden">
        {states.map((state) => (
          <StateMark key={state} state={state} withWord size={11} />
        ))}
      </span>
    );
  const { shades } = readInk(theme === "dark");
  return (
    <span className="flex flex-wrap gap-x-3">
      {steps[by].map((text, step) => (
        <span key={text} className="inline-flex items-center gap-1">
          <svg width="12" height="12" aria-hidden>
            <rect
              x={3 - step * 0.6}
              y={3 - step * 0.6}
              width={6 + step * 1.2}
              height={6 + step * 1.2}
              fill={shades[step]}
            />
          </svg>
          {text}
        </span>
      ))}
    </span>
  );
}
