import { useNavigate } from "@tanstack/react-router";
import { memo, type PointerEvent } from "react";
import type { StripRun } from "../../../model/run-strip.ts";
import { serverNow } from "../../frame/now.ts";
import { timeText, zoneNow } from "../../frame/zone.ts";
import { durationText } from "../../parts/durations.ts";
import { barsInWords, barWidth, layBars, outlines, runAt, secondsOf } from "./run-bars-layout.ts";

const places = 25;
const height = 24;

/** The last runs of a DAG; a click on a bar opens its run. By keyboard the row's own links lead there. */
export const RunBars = memo(function RunBars({
  tenant,
  dag,
  runs,
}: {
  readonly tenant: string;
  readonly dag: string;
  readonly runs: readonly StripRun[];
}) {
  const navigate = useNavigate();
  const nowS = serverNow() / 1_000;
  const bars = layBars(runs, { nowS, height, places });
  const under = (event: { readonly clientX: number; readonly currentTarget: Element }) =>
    runAt(bars, event.clientX - event.currentTarget.getBoundingClientRect().left);
  const onPointerMove = (event: PointerEvent<HTMLButtonElement>): void => {
    const run = under(event);
    event.currentTarget.title = run === undefined ? "" : describe(run, nowS);
  };
  return (
    <button
      type="button"
      tabIndex={-1}
      aria-label={barsInWords(runs)}
      disabled={runs.length === 0}
      onPointerMove={onPointerMove}
      onClick={(event) => {
        const run = under(event) ?? runs[0];
        if (run !== undefined)
          void navigate({
            to: "/t/$tenant/dags/$dag/runs/$run",
            params: { tenant, dag, run: run.run_id },
          });
      }}
      className="block shrink-0"
    >
      <svg
        width={places * barWidth}
        height={height}
        aria-hidden
        className="block overflow-visible"
        fillRule="evenodd"
      >
        <path d={`M0 ${height + 0.5}H${places * barWidth}`} stroke="var(--line)" strokeWidth="1" />
        {outlines(bars).map(([state, outline]) => (
          <path key={state} d={outline} fill={`var(--state-${state})`} />
        ))}
      </svg>
    </button>
  );
});

const describe = (run: StripRun, nowS: number): string =>
  `${run.state}, ${durationText(secondsOf(run, nowS))}\n${timeText(run.after * 1_000, zoneNow())}\n${run.run_id}`;
