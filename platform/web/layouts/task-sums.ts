/** The state that stands for many instances: what a person should look at first. */
import type { ShownState } from "../parts/state-mark.tsx";

const order: readonly ShownState[] = [
  "failed",
  "upstream_failed",
  "up_for_retry",
  "running",
  "restarting",
  "queued",
  "scheduled",
  "deferred",
  "up_for_reschedule",
  "none",
  "success",
  "skipped",
  "removed",
];

export type States = Readonly<Partial<Record<ShownState, number>>>;

/** undefined: there are no instances at all. */
export const leadState = (states: States): ShownState | undefined =>
  order.find((state) => (states[state] ?? 0) > 0);

export const countOf = (states: States): number =>
  Object.values(states).reduce((sum, count) => sum + count, 0);

export function addStates(all: readonly States[]): States {
  const sum: Partial<Record<ShownState, number>> = {};
  for (const states of all)
    for (const state of order) {
      const count = states[state] ?? 0;
      if (count > 0) sum[state] = (sum[state] ?? 0) + count;
    }
  return sum;
}

/** In the order of what to look at first. */
export const listStates = (states: States): readonly (readonly [ShownState, number])[] =>
  order.flatMap((state) => {
    const count = states[state] ?? 0;
    return count > 0 ? [[state, count] as const] : [];
  });
