import { useCallback, useSyncExternalStore } from "react";

/** Whether the window is narrower than so many pixels; follows it. */
export function useNarrow(pixels: number): boolean {
  const question = `(width < ${pixels}px)`;
  const follow = useCallback(
    (hear: () => void) => {
      const narrow = window.matchMedia(question);
      narrow.addEventListener("change", hear);
      return () => narrow.removeEventListener("change", hear);
    },
    [question],
  );
  return useSyncExternalStore(follow, () => window.matchMedia(question).matches);
}
