/** What is under the pointer, in words. */
import type { GridRun } from "../../../api/ui/grid.ts";
import { stateOfCode } from "../../../model/grid-matrix.ts";
import { type Cells, countsAt } from "../../layouts/grid-cells.ts";
import type { Row } from "../../layouts/grid-rows.ts";
import { countOf, countText, durationText } from "../../parts/durations.ts";
import { StateMark } from "../../parts/state-mark.tsx";
import { Lasting, Time } from "../../parts/time.tsx";

export function GridTip({
  cells,
  row,
  run,
  runPlace,
  x,
  y,
  width,
  height,
}: {
  readonly cells: Cells<GridRun>;
  readonly row: Row | undefined;
  readonly run: GridRun | undefined;
  readonly runPlace: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}) {
  const right = x > width / 2;
  const below = y < height / 2;
  return (
    <div
      className="pointer-events-none absolute z-20 max-w-80 rounded-md border border-line bg-raised px-2.5 py-1.5 text-xs shadow-lg"
      style={{
        ...(right ? { right: width - x + 12 } : { left: x + 14 }),
        ...(below ? { top: y + 14 } : { bottom: height - y + 12 }),
      }}
    >
      {row !== undefined && <p className="tenant-text font-semibold">{row.id}</p>}
      {row !== undefined && run === undefined && <RowWords cells={cells} row={row} />}
      {row !== undefined && run !== undefined && (
        <CellWords cells={cells} row={row} run={runPlace} />
      )}
      {run !== undefined && <RunWords run={run} full={row === undefined} />}
      {run !== undefined && row === undefined && (
        <CommitWords run={run} before={cells.runs[runPlace + 1]} />
      )}
    </div>
  );
}

function RowWords({ cells, row }: { readonly cells: Cells<GridRun>; readonly row: Row }) {
  const task = row.kind === "task" ? cells.shape.tasks[row.index] : undefined;
  const group = row.kind === "group" ? cells.shape.groups[row.index] : undefined;
  const median = row.kind === "task" ? (cells.medians?.[row.index] ?? Number.NaN) : Number.NaN;
  return (
    <div className="text-muted">
      {task !== undefined && (
        <p className="tenant-text">
          {task.operator}
          {task.mapped && ", mapped"}
          {task.gone && ", no longer in the live version"}
        </p>
      )}
      {group !== undefined && (
        <p>
          Group of {countOf(row.to - row.from, "task")}
          {group.mapped && ", mapped"}
        </p>
      )}
      {group !== undefined && group.tooltip !== null && group.tooltip !== "" && (
        <p className="tenant-text line-clamp-4">{group.tooltip}</p>
      )}
      {median >= 0 && <p>median {durationText(median)}</p>}
    </div>
  );
}

function CellWords({
  cells,
  row,
  run,
}: {
  readonly cells: Cells<GridRun>;
  readonly row: Row;
  readonly run: number;
}) {
  const counts = [...countsAt(cells, [row.from, row.to], run)];
  const at = run * cells.shape.tasks.length + row.from;
  const ran = cells.ran?.[at] ?? Number.NaN;
  const waited = cells.waited?.[at] ?? Number.NaN;
  const single = row.kind === "task" && counts.length === 1 && counts[0]?.[1] === 1;
  return (
    <div className="flex flex-col">
      {counts.length === 0 && <span className="text-muted">not in this run</span>}
      {counts.map(([code, count]) => (
        <span key={code} className="flex items-center gap-1.5">
          {!single && <span className="min-w-6 text-right tabular-nums">{countText(count)}</span>}
          <StateMark state={stateOfCode(code)} withWord size={12} />
        </span>
      ))}
      {row.kind === "task" && ran >= 0 && (
        <span>
          ran {durationText(ran)}
          {(cells.medians?.[row.index] ?? -1) >= 0 &&
            ` (median ${durationText(cells.medians?.[row.index])})`}
        </span>
      )}
      {row.kind === "task" && waited >= 0 && <span>waited {durationText(waited)}</span>}
    </div>
  );
}

function RunWords({ run, full }: { readonly run: GridRun; readonly full: boolean }) {
  return (
    <div className={full ? "" : "mt-1 border-t border-line pt-1 text-muted"}>
      <p className={`tenant-text ${full ? "font-semibold" : ""}`}>{run.run_id}</p>
      {full && (
        <>
          <p className="flex items-center gap-1.5">
            <StateMark state={run.state} withWord size={12} /> {run.type.replace("_", " ")}
          </p>
          <p>
            began <Time at={run.started_at} />
          </p>
          <p>
            took <Lasting from={run.started_at} to={run.ended_at} />
          </p>
        </>
      )}
    </div>
  );
}

function CommitWords({
  run,
  before,
}: {
  readonly run: GridRun;
  readonly before: GridRun | undefined;
}) {
  const changed = before !== undefined && before.commit !== run.commit;
  return (
    <p className={changed ? "text-warn" : "text-muted"}>
      commit <code>{run.commit.slice(0, 8)}</code>, version {run.version}
      {changed && (
        <>
          {" "}
          (was <code>{before.commit.slice(0, 8)}</code>)
        </>
      )}
    </p>
  );
}
