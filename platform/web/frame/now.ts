/** The present as the server sees it, in ticks: what shows an age or a growing bar reads it from here. */
import { useEffect, useSyncExternalStore } from "react";

let skewMs = 0;
let now = Date.now();
const listeners = new Map<() => void, number>();
let timer: ReturnType<typeof setInterval> | undefined;

/** From an answer's time: a machine whose clock is wrong must not show ages that are wrong. Small differences are the way. */
export function serverSaid(at: number): void {
  const difference = at - Date.now();
  skewMs = Math.abs(difference) > 2_000 ? difference : 0;
}

export const serverNow = (): number => Date.now() + skewMs;

/** Milliseconds since the epoch, renewed each second while somebody looks. */
export function useNow(active = true): number {
  const value = useSyncExternalStore(subscribe, () => now);
  useEffect(() => {
    if (active) now = serverNow();
  }, [active]);
  return active ? value : now;
}

function subscribe(hear: () => void): () => void {
  listeners.set(hear, 1);
  timer ??= setInterval(() => {
    now = serverNow();
    for (const listener of listeners.keys()) listener();
  }, 1_000);
  return () => {
    listeners.delete(hear);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}
