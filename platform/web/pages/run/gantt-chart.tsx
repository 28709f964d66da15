/** The Gantt on the screen: rows that exist while they are in sight, bars as light SVG, an axis to zoom by. */
import { ChevronDown, ChevronRight } from "lucide-react";
import {
  type KeyboardEvent,
  type MouseEvent,
  type PointerEvent,
  useEffect,
  useRef,
  useState,
} from "react";
import { type Bar, type GanttLayout, type GanttRow, ticksOf } from "../../layouts/gantt.ts";
import { durationText } from "../../parts/durations.ts";
import { StateMark, shownState, stateWords } from "../../parts/state-mark.tsx";
import { VirtualRows } from "../../parts/virtual-rows.tsx";

const rowHeight = 26;
/** Of the place for the bars: a mark at its edge must not be cut. */
const edge = 6;

export type TimeWindow = { readonly from: number; readonly to: number };

export function GanttChart({
  layout,
  window,
  selected,
  selectedTask,
  onSelect,
  onToggle,
  onWindow,
}: {
  readonly layout: GanttLayout;
  readonly window: TimeWindow;
  /** Place of an instance; −1: none. */
  readonly selected: number;
  /** Place of its task: where it is folded, the row that stands for it. */
  readonly selectedTask: number;
  readonly onSelect: (row: GanttRow, tryNumber: number | undefined) => void;
  readonly onToggle: (row: GanttRow, open: boolean) => void;
  readonly onWindow: (window: TimeWindow | undefined) => void;
}) {
  const { rows } = layout;
  const [focused, setFocused] = useState<string>();
  const axis = useRef<HTMLDivElement>(null);
  const width = useWidth(axis);
  const focusedAt = rows.findIndex(({ key, instance }) =>
    focused === undefined ? selected >= 0 && instance === selected : key === focused,
  );
  const open = (row: GanttRow): void => {
    if (row.kind === "instance") onSelect(row, undefined);
    else onToggle(row, !row.isOpen);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const row = rows[focusedAt];
    if (row === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const wants = event.key === "ArrowRight" ? true : event.key === "ArrowLeft" ? false : undefined;
    if (wants === undefined) return;
    event.preventDefault();
    if (row.kind !== "instance" && row.isOpen !== wants) onToggle(row, wants);
    else if (!wants) {
      // To the row that it is folded under.
      for (let at = focusedAt - 1; at >= 0; at -= 1)
        if ((rows[at]?.depth ?? 0) < row.depth) {
          setFocused(rows[at]?.key);
          break;
        }
    }
  };
  const x = (time: number): number =>
    edge +
    ((time - window.from) / Math.max(window.to - window.from, 1)) * Math.max(width - 2 * edge, 1);
  return (
    <div className="flex min-h-0 grow flex-col" onKeyDown={onKeyDown}>
      <Hatches />
      <VirtualRows
        label="Task instances over time"
        count={rows.length}
        rowHeight={rowHeight}
        focused={focusedAt}
        onFocus={(at) => setFocused(rows[at]?.key)}
        onOpen={(at) => {
          const row = rows[at];
          if (row !== undefined) open(row);
        }}
        className="min-h-0 grow"
        head={
          <div className="flex h-7 border-b border-line text-xs text-muted">
            <div className={`${labelWidth} shrink-0 border-r border-line px-2 py-1`}>Task</div>
            <Axis box={axis} window={window} width={width} x={x} onWindow={onWindow} />
            <div className={`${endWidth} shrink-0 px-2 py-1 text-right`}>Lasted</div>
          </div>
        }
        row={(at) => {
          const row = rows[at];
          return row === undefined ? null : (
            <Row
              row={row}
              x={x}
              width={width}
              isSelected={
                row.kind === "mapped"
                  ? !row.isOpen && row.task === selectedTask
                  : row.instance >= 0 && row.instance === selected
              }
              onOpen={() => open(row)}
              onBar={(bar) =>
                row.kind === "instance" ? onSelect(row, bar.tryNumber) : onToggle(row, !row.isOpen)
              }
            />
          );
        }}
      />
    </div>
  );
}

const labelWidth = "w-40 sm:w-64 2xl:w-96";
const endWidth = "hidden w-24 sm:block";

function Row({
  row,
  x,
  width,
  isSelected,
  onOpen,
  onBar,
}: {
  readonly row: GanttRow;
  readonly x: (time: number) => number;
  readonly width: number;
  readonly isSelected: boolean;
  readonly onOpen: () => void;
  readonly onBar: (bar: Bar) => void;
}) {
  const folds = row.kind !== "instance";
  return (
    <div className={`flex h-full items-center ${isSelected ? "bg-accent-soft" : ""}`}>
      <div
        role="gridcell"
        {...(folds ? { "aria-expanded": row.isOpen } : {})}
        onClick={onOpen}
        className={`${labelWidth} flex h-full shrink-0 cursor-pointer items-center gap-1 border-r border-line pr-1`}
        style={{ paddingLeft: `${String(4 + Math.min(row.depth, 8) * 14)}px` }}
        title={`${row.label}: ${stateWords[shownState(row.state)]}${row.isCritical ? ", on the critical path" : ""}`}
      >
        <span className="w-3.5 shrink-0 text-muted">
          {folds &&
            (row.isOpen ? (
              <ChevronDown size={13} aria-hidden />
            ) : (
              <ChevronRight size={13} aria-hidden />
            ))}
        </span>
        <StateMark state={row.state} size={13} />
        <span className={`tenant-text truncate ${row.kind === "group" ? "font-semibold" : ""}`}>
          {row.label}
        </span>
        {folds && !row.isOpen && row.counts.length > 1 && (
          <span className="ml-auto flex shrink-0 gap-1.5 pl-1 text-xs text-muted">
            {row.counts.slice(0, 3).map(([state, count]) => (
              <span key={state ?? "none"} className="inline-flex items-center gap-0.5">
                <StateMark state={state} size={10} />
                {count}
              </span>
            ))}
          </span>
        )}
      </div>
      <div
        role="gridcell"
        className="relative h-full min-w-0 grow cursor-pointer overflow-hidden"
        onClick={onOpen}
      >
        <svg
          width={width}
          height={rowHeight - 1}
          role="img"
          aria-label={barsText(row)}
          className="absolute inset-0"
        >
          {row.bars.map((bar) => {
            const left = Math.max(x(bar.from), -20);
            const right = Math.min(x(bar.to), width + 20);
            if (right < 0 || left > width) return null;
            return (
              <BarShape
                key={`${bar.kind} ${String(bar.from)} ${String(bar.tryNumber)}`}
                bar={bar}
                left={left}
                width={Math.max(
                  right - left,
                  bar.kind === "running" || bar.kind === "summary" ? 2.5 : 0.75,
                )}
                onClick={(event) => {
                  // Or the row behind it would choose its last try.
                  event.stopPropagation();
                  onBar(bar);
                }}
              />
            );
          })}
          {row.isCritical && row.from !== null && row.to !== null && (
            <rect
              x={x(row.from)}
              y={rowHeight - 5}
              width={Math.max(x(row.to) - x(row.from), 2.5)}
              height={2}
              fill="var(--text)"
            />
          )}
        </svg>
      </div>
      <div
        role="gridcell"
        className={`${endWidth} shrink-0 px-2 text-right text-xs text-muted tabular-nums`}
      >
        {row.from === null || row.to === null ? "" : durationText(ranMs(row) / 1000)}
      </div>
    </div>
  );
}

/** Of the last try; of several: from the first to the last. */
function ranMs(row: GanttRow): number {
  if (row.kind !== "instance") return (row.to ?? 0) - (row.from ?? 0);
  const last = row.bars.at(-1)?.tryNumber;
  return row.bars
    .filter(
      ({ kind, tryNumber }) => tryNumber === last && (kind === "running" || kind === "starting"),
    )
    .reduce((sum, { from, to }) => sum + to - from, 0);
}

const kindWords = {
  waiting: "waited for a slot",
  queued: "waited for a worker",
  starting: "started",
  running: "ran",
  retry: "waits for its next try",
  summary: "from first to last",
} as const;

const barText = (bar: Bar): string =>
  `${bar.tryNumber > 1 ? `try ${String(bar.tryNumber)}: ` : ""}${kindWords[bar.kind]} ${durationText((bar.to - bar.from) / 1000)}`;

const barsText = (row: GanttRow): string =>
  row.bars.length === 0 ? "has not begun" : row.bars.slice(-12).map(barText).join(", ");

function BarShape({
  bar,
  left,
  width,
  onClick,
}: {
  readonly bar: Bar;
  readonly left: number;
  readonly width: number;
  readonly onClick: (event: MouseEvent) => void;
}) {
  const colour = `var(--state-${shownState(bar.state)})`;
  const common = { x: left, width, onClick, className: "cursor-pointer" };
  switch (bar.kind) {
    case "waiting":
      return (
        <rect
          {...common}
          y={9}
          height={8}
          fill="url(#wait-hatch)"
          stroke="var(--state-scheduled)"
          strokeWidth={0.5}
        >
          <title>{barText(bar)}</title>
        </rect>
      );
    case "queued":
      return (
        <rect
          {...common}
          y={6}
          height={14}
          fill="url(#queue-hatch)"
          stroke="var(--state-queued)"
          strokeWidth={0.5}
        >
          <title>{barText(bar)}</title>
        </rect>
      );
    case "retry":
      return (
        <rect {...common} y={11} height={4} fill="url(#retry-hatch)">
          <title>{barText(bar)}</title>
        </rect>
      );
    case "summary":
      return (
        <rect {...common} y={9} height={8} rx={2} fill={colour} opacity={0.75}>
          <title>{barText(bar)}</title>
        </rect>
      );
    case "starting":
      return (
        <rect {...common} y={5} height={16} fill={colour} opacity={0.4}>
          <title>{barText(bar)}</title>
        </rect>
      );
    case "running":
      return (
        <rect {...common} y={5} height={16} rx={1.5} fill={colour}>
          <title>{barText(bar)}</title>
        </rect>
      );
  }
}

/** Patterns that all rows paint with. Not hidden by `display`: then nothing could be painted with them. */
function Hatches() {
  const hatch = (id: string, colour: string, size: number) => (
    <pattern
      id={id}
      width={size}
      height={size}
      patternUnits="userSpaceOnUse"
      patternTransform="rotate(45)"
    >
      <rect width={size / 2.5} height={size} fill={colour} />
    </pattern>
  );
  return (
    <svg width={0} height={0} aria-hidden className="absolute">
      <defs>
        {hatch("wait-hatch", "var(--state-scheduled)", 5)}
        {hatch("queue-hatch", "var(--state-queued)", 5)}
        {hatch("retry-hatch", "var(--state-up_for_retry)", 6)}
      </defs>
    </svg>
  );
}

export function GanttLegend() {
  const sample = (words: string, shape: React.ReactNode) => (
    <span className="inline-flex items-center gap-1">
      <svg width={18} height={12} aria-hidden>
        {shape}
      </svg>
      {words}
    </span>
  );
  return (
    <p className="flex flex-wrap gap-x-4 gap-y-0.5 border-t border-line px-3 py-1 text-xs text-muted">
      {sample(
        "waits for a slot",
        <rect
          y={3}
          width={18}
          height={7}
          fill="url(#wait-hatch)"
          stroke="var(--state-scheduled)"
          strokeWidth={0.5}
        />,
      )}
      {sample(
        "waits for a worker",
        <rect
          y={0}
          width={18}
          height={12}
          fill="url(#queue-hatch)"
          stroke="var(--state-queued)"
          strokeWidth={0.5}
        />,
      )}
      {sample("starts", <rect width={18} height={12} fill="var(--state-running)" opacity={0.4} />)}
      {sample("runs", <rect width={18} height={12} fill="var(--state-running)" />)}
      {sample(
        "waits for its next try",
        <rect y={4} width={18} height={4} fill="url(#retry-hatch)" />,
      )}
      {sample("critical path", <rect y={9} width={18} height={2} fill="var(--text)" />)}
    </p>
  );
}

/** Drawn over, it zooms; a double click shows all again. */
function Axis({
  box,
  window,
  width,
  x,
  onWindow,
}: {
  readonly box: React.RefObject<HTMLDivElement | null>;
  readonly window: TimeWindow;
  readonly width: number;
  readonly x: (time: number) => number;
  readonly onWindow: (window: TimeWindow | undefined) => void;
}) {
  const [drag, setDrag] = useState<{ readonly from: number; readonly to: number }>();
  const at = (event: PointerEvent): number =>
    event.clientX - (box.current?.getBoundingClientRect().left ?? 0);
  const timeAt = (px: number): number =>
    window.from + ((px - edge) / Math.max(width - 2 * edge, 1)) * (window.to - window.from);
  return (
    <div
      ref={box}
      className="relative min-w-0 grow cursor-col-resize overflow-hidden select-none"
      title="Draw over a part to look closer; double-click to see all"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setDrag({ from: at(event), to: at(event) });
      }}
      onPointerMove={(event) => {
        if (drag !== undefined) setDrag({ ...drag, to: at(event) });
      }}
      onPointerUp={() => {
        if (drag !== undefined && Math.abs(drag.to - drag.from) > 5)
          onWindow({
            from: Math.round(timeAt(Math.min(drag.from, drag.to))),
            to: Math.round(timeAt(Math.max(drag.from, drag.to))),
          });
        setDrag(undefined);
      }}
      onDoubleClick={() => onWindow(undefined)}
    >
      {ticksOf(window.from, window.to, Math.max(2, Math.floor(width / 80))).map((tick) => (
        <span
          key={tick}
          className="absolute top-0 h-full border-l border-line pt-1 pl-1 whitespace-nowrap"
          style={{ left: x(tick) }}
        >
          {tick === 0 ? "0" : durationText(tick / 1000)}
        </span>
      ))}
      {drag !== undefined && (
        <span
          className="absolute inset-y-0 bg-accent/25"
          style={{ left: Math.min(drag.from, drag.to), width: Math.abs(drag.to - drag.from) }}
        />
      )}
    </div>
  );
}

function useWidth(box: React.RefObject<HTMLDivElement | null>): number {
  const [width, setWidth] = useState(600);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setWidth(entry.contentRect.width);
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [box]);
  return width;
}
