/** Lines over time by uPlot, in the theme's colours, with marks where a commit changed the DAG. */
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import { useTheme } from "../../frame/theme.ts";
import { timeText, useZone } from "../../frame/zone.ts";
import { axisTimes } from "../../layouts/time-axis.ts";
import { countOf, countText, durationText } from "../../parts/durations.ts";

export type Line = {
  readonly name: string;
  readonly values: readonly (number | null)[];
  readonly colour: "accent" | "warn" | "danger" | "focus" | "muted";
  readonly look?: "line" | "band" | "bars";
};

const height = 190;
/** Steps of the upright axis that people count in: a half of a run is none, and 5 h 33 min is no round time. */
const counts = [0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));
const steps = {
  count: counts,
  seconds: [
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    30,
    ...[1, 2, 5, 10, 30].map((minutes) => minutes * 60),
    ...[1, 2, 3, 6, 12].map((hours) => hours * 3_600),
    ...[1, 2, 5, 10, 30, 100, 300].map((days) => days * 86_400),
  ],
};

export function Chart({
  label,
  at,
  lines,
  marks = [],
  unit = "seconds",
  from,
  to,
}: {
  /** What the chart covers, whether or not there is a value: seconds since the epoch. */
  readonly from: number;
  readonly to: number;
  readonly label: string;
  /** Seconds since the epoch. */
  readonly at: readonly number[];
  readonly lines: readonly Line[];
  readonly marks?: readonly { readonly at: number; readonly text: string }[];
  readonly unit?: "seconds" | "count";
}) {
  const box = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  const zone = useZone();
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const here = box.current;
    if (here === null) return undefined;
    const watch = new ResizeObserver(() => setWidth(here.clientWidth));
    watch.observe(here);
    return () => watch.disconnect();
  }, []);
  // What is drawn, as one text: an answer that says the same again draws nothing anew.
  const said = JSON.stringify([at, lines, marks, from, to]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `said` stands for at, lines and marks; the theme changes what the colours are
  useEffect(() => {
    const here = box.current;
    if (here === null || width < 50) return undefined;
    const style = getComputedStyle(document.documentElement);
    const ink = (name: string): string => style.getPropertyValue(`--${name}`).trim();
    const text = (value: number | null | undefined): string =>
      value === null || value === undefined
        ? "–"
        : unit === "seconds"
          ? durationText(value)
          : countText(value);
    const axis = {
      stroke: ink("muted"),
      grid: { stroke: ink("line"), width: 1 },
      ticks: { show: false },
    };
    const plot = new uPlot(
      {
        width,
        height,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
        scales: {
          x: { range: () => [from, to] },
          y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] },
        },
        axes: [
          {
            ...axis,
            space: 84,
            values: (_, ticks) => [...axisTimes(ticks, (ms) => timeText(ms, zone))],
          },
          {
            ...axis,
            size: 76,
            incrs: steps[unit],
            values: (_, ticks) => ticks.map((tick) => text(tick)),
          },
        ],
        series: [
          {
            label: "time",
            value: (_, value) => (Number.isFinite(value) ? timeText(value * 1000, zone) : "–"),
          },
          ...lines.map((line): uPlot.Series => {
            const colour = ink(line.colour);
            return {
              label: line.name,
              stroke: colour,
              width: line.look === "band" ? 1 : 2,
              ...(line.look === "band"
                ? { fill: `color-mix(in srgb, ${colour} 16%, transparent)`, dash: [4, 3] }
                : {}),
              ...(line.look === "bars"
                ? {
                    fill: `color-mix(in srgb, ${colour} 70%, transparent)`,
                    width: 0,
                    ...(uPlot.paths.bars === undefined
                      ? {}
                      : { paths: uPlot.paths.bars({ size: [0.7, 24] }) }),
                  }
                : {}),
              // A step without a run must not cut the line in two.
              spanGaps: true,
              points: { size: 5, show: at.length < 40 && line.look !== "bars" },
              value: (_, value) => text(value),
            };
          }),
        ],
        hooks: {
          draw: [
            (chart) => {
              const { ctx, bbox } = chart;
              ctx.save();
              ctx.strokeStyle = ink("warn");
              ctx.fillStyle = ink("warn");
              ctx.setLineDash([3, 3]);
              for (const mark of marks) {
                const x = chart.valToPos(mark.at, "x", true);
                if (x < bbox.left || x > bbox.left + bbox.width) continue;
                ctx.beginPath();
                ctx.moveTo(x, bbox.top);
                ctx.lineTo(x, bbox.top + bbox.height);
                ctx.stroke();
                ctx.beginPath();
                ctx.moveTo(x - 4, bbox.top);
                ctx.lineTo(x + 4, bbox.top);
                ctx.lineTo(x, bbox.top + 6);
                ctx.fill();
              }
              ctx.restore();
            },
          ],
        },
      },
      [[...at], ...lines.map(({ values }) => [...values])],
      here,
    );
    return () => plot.destroy();
  }, [said, width, theme, zone, unit]);
  const last = lines.map((line) => {
    const value = line.values.findLast((one) => one !== null);
    return `${line.name} ${unit === "seconds" ? durationText(value) : countText(value ?? 0)}`;
  });
  return (
    <figure className="px-2 py-2">
      <div ref={box} aria-hidden className="min-h-56 [&_.u-legend]:text-xs" />
      <figcaption className="sr-only">
        {label}, {countOf(at.length, "step")}; at the end: {last.join(", ")}.
      </figcaption>
    </figure>
  );
}
