import { expect, test } from "vitest";
import type { StripRun } from "../../../model/run-strip.ts";
import { barsInWords, barWidth, layBars, outlineOf, outlines, runAt } from "./run-bars-layout.ts";

const run = (
  run_id: string,
  state: StripRun["state"],
  started: number | null,
  ended: number | null,
): StripRun => ({
  run_id,
  state,
  after: 0,
  started,
  ended,
});
const runs = [
  run("waits", "queued", null, null),
  run("runs", "running", 50, null),
  run("failed", "failed", 0, 25),
  run("good", "success", 0, 50),
];
const lay = (nowS = 100) => layBars(runs, { nowS, height: 24, places: 25 });

test("the newest stands at the right, and each is as high as it took long", () => {
  const bars = lay();
  expect(bars.map(({ x }) => x)).toEqual([24, 23, 22, 21].map((place) => place * barWidth));
  expect(bars.map(({ height }) => height)).toEqual([4, 24, 14, 24]);
  expect(bars.every(({ y, height }) => y + height === 24)).toBe(true);
});

test("one that runs grows with the time", () => {
  expect(lay(60)[1]?.height).toBe(8);
  expect(lay(150)[3]?.height).toBe(14);
});

test("nothing, and runs of no length, have their place", () => {
  expect(layBars([], { nowS: 0, height: 24, places: 25 })).toEqual([]);
  const [bar] = layBars([run("x", "success", 5, 5)], { nowS: 9, height: 24, places: 25 });
  expect(bar?.height).toBe(4);
});

test("each state has an outline of its own", () => {
  const shapes = lay().map((bar) => outlineOf({ ...bar, x: 0, y: 0, width: 5, height: 10 }));
  expect(new Set(shapes.slice(1)).size).toBe(3);
  expect(outlines(lay()).map(([state]) => state)).toEqual([
    "queued",
    "running",
    "failed",
    "success",
  ]);
});

test("a place leads to its run", () => {
  const bars = lay();
  expect(runAt(bars, 24 * barWidth + 1)?.run_id).toBe("waits");
  expect(runAt(bars, 21 * barWidth)?.run_id).toBe("good");
  expect(runAt(bars, 3)).toBeUndefined();
});

test("in words", () => {
  expect(barsInWords(runs)).toBe("last 4 runs: 1 success, 1 failed, 1 running, 1 queued");
  expect(barsInWords([])).toBe("no runs yet");
});
