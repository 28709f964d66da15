/** How wide the pane at the right is, in pixels: kept on this machine. */
import { useState } from "react";

const key = "airlock.pane";
export const paneMin = 320;
const paneMax = 1_600;

export function usePaneWidth(): readonly [number, (width: number) => void] {
  const [width, setWidth] = useState(() => bounded(Number(localStorage.getItem(key) ?? "520")));
  return [
    width,
    (next) => {
      const kept = bounded(next);
      localStorage.setItem(key, String(kept));
      setWidth(kept);
    },
  ];
}

const bounded = (width: number): number =>
  Number.isFinite(width) ? Math.round(Math.min(Math.max(width, paneMin), paneMax)) : 520;
