/** The last runs as bars: where each stands, how high it is, and its outline. Pure: the time comes in. */
import type { StripRun } from "../../../model/run-strip.ts";
import type { RunState } from "../../../model/states.ts";

export const barWidth = 6;
const gap = 1;
const leastHeight = 4;

export type Bar = {
  readonly run: StripRun;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
};

export const secondsOf = (run: StripRun, nowS: number): number | null =>
  run.started === null ? null : Math.max(0, (run.ended ?? nowS) - run.started);

/** `runs` come newest first; the newest stands at the right of `places` places. */
export function layBars(
  runs: readonly StripRun[],
  {
    nowS,
    height,
    places,
  }: { readonly nowS: number; readonly height: number; readonly places: number },
): readonly Bar[] {
  const longest = Math.max(1e-9, ...runs.map((run) => secondsOf(run, nowS) ?? 0));
  return runs.slice(0, places).map((run, i) => {
    const seconds = secondsOf(run, nowS);
    const tall =
      seconds === null
        ? leastHeight
        : leastHeight + Math.round((height - leastHeight) * Math.min(1, seconds / longest));
    return {
      run,
      x: (places - 1 - i) * barWidth,
      y: height - tall,
      width: barWidth - gap,
      height: tall,
    };
  });
}

/** Told apart without colour: a failed one is pointed, one that runs is hollow, one that waits is a low frame. */
export function outlineOf({ run, x, y, width, height }: Bar): string {
  const right = x + width;
  const foot = y + height;
  switch (run.state) {
    case "success":
      return `M${x} ${y}H${right}V${foot}H${x}Z`;
    case "failed":
      return `M${x} ${y}L${x + width / 2} ${y + 4}L${right} ${y}V${foot}H${x}Z`;
    case "running":
    case "queued": {
      const inner = `M${x + 1.5} ${y + 1.5}V${foot - 1.5}H${right - 1.5}V${y + 1.5}Z`;
      return `M${x} ${y}H${right}V${foot}H${x}Z${height > 3 ? inner : ""}`;
    }
  }
}

/** One outline per state: a list of thousands of bars is few elements. */
export function outlines(bars: readonly Bar[]): readonly (readonly [RunState, string])[] {
  const byState = Map.groupBy(bars, ({ run }) => run.state);
  return [...byState].map(([state, some]) => [state, some.map(outlineOf).join("")]);
}

/** The run at a place from the left edge; undefined: there is none. */
export const runAt = (bars: readonly Bar[], x: number): StripRun | undefined =>
  bars.find((bar) => x >= bar.x && x < bar.x + barWidth)?.run;

/** "last 25 runs: 23 success, 1 failed, 1 running". */
export function barsInWords(runs: readonly StripRun[]): string {
  if (runs.length === 0) return "no runs yet";
  const counts = (["success", "failed", "running", "queued"] as const).flatMap((state) => {
    const count = runs.filter((run) => run.state === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  return `last ${runs.length === 1 ? "run" : `${runs.length} runs`}: ${counts.join(", ")}`;
}
