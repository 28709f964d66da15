/**
 * The grid itself: a box that scrolls over an empty space of the grid's size, and a canvas that stays in it and is
 * painted anew for each frame in which something moved. Beside it, for those who do not see it, the rows in sight as
 * an ARIA grid, made when scrolling has come to rest.
 */
import {
  type KeyboardEvent,
  type MouseEvent,
  startTransition,
  useCallback,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
} from "react";
import { stateOfCode } from "../../../model/grid-matrix.ts";
import { serverNow, useNow } from "../../frame/now.ts";
import { useTheme } from "../../frame/theme.ts";
import { type By, barsOf, codeAt, commitMarks, groupCodeAt } from "../../layouts/grid-cells.ts";
import {
  type Geometry,
  hitTest,
  moveOf,
  type Place,
  type Row,
  scrollTo,
  type View,
  type Window,
  windowOf,
} from "../../layouts/grid-rows.ts";
import { shownState, stateWords } from "../../parts/state-mark.tsx";
import type { Grid } from "./ask-grid.ts";
import { GridTip } from "./grid-tip.tsx";
import { drawSprites, paintGrid, readInk, runOfColumn, type Scene } from "./paint-grid.ts";

export type Picked = { readonly run?: string | undefined; readonly task?: string | undefined };

const restMs = 150;

export function GridCanvas({
  grid,
  rows,
  by,
  edition,
  dag,
  picked,
  onToggle,
  onPick,
}: {
  readonly grid: Grid;
  readonly rows: readonly Row[];
  readonly by: By;
  readonly edition: number;
  readonly dag: string;
  readonly picked: Picked;
  readonly onToggle: (group: string) => void;
  readonly onPick: (picked: Picked) => void;
}) {
  const { cells } = grid;
  const columns = cells.runs.length;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useTheme();
  const id = useId();
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [hover, setHover] = useState<{ place: Place; x: number; y: number } | undefined>();
  const [cursor, setCursor] = useState<Place>({ row: 0, column: -1 });
  const [focused, setFocused] = useState(false);
  const [rest, setRest] = useState<Window>({
    firstRow: 0,
    endRow: 0,
    firstColumn: 0,
    endColumn: 0,
  });
  // A bar that grows needs the time; one that does not must not make a second pass.
  const now = useNow(cells.runs.some(({ state }) => state === "running"));

  const narrow = size.width < 600;
  const geometry: Geometry = useMemo(
    () => ({
      labels: narrow ? 150 : Math.round(Math.min(320, Math.max(200, size.width * 0.22))),
      head: 78,
      row: 20,
      column: 18,
    }),
    [narrow, size.width],
  );
  const scale = window.devicePixelRatio;
  const looks = useMemo(() => {
    const ink = readInk(theme === "dark");
    return { ink, sprites: drawSprites(ink, scale) };
  }, [theme, scale]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the cells are changed in place, `edition` says when
  const summed = useMemo(
    () => ({
      bars: barsOf(cells.runs, now === 0 ? serverNow() : now),
      marks: commitMarks(cells.runs),
      groupShades: new Int8Array(cells.shape.groups.length * columns).fill(-2),
    }),
    [cells, columns, edition, now, by],
  );
  const pickedPlace = useMemo((): Place | undefined => {
    if (picked.run === undefined) return undefined;
    const run = cells.runPlaces.get(picked.run);
    if (run === undefined) return undefined;
    return {
      row: rows.findIndex((row) => row.kind === "task" && row.id === picked.task),
      column: columns - 1 - run,
    };
  }, [picked.run, picked.task, cells, rows, columns]);

  const bounded: Place = {
    row: Math.min(cursor.row, rows.length - 1),
    column: Math.min(cursor.column, columns - 1),
  };
  const scene: Scene = {
    cells,
    rows,
    by,
    geometry,
    ...summed,
    ...looks,
    hover: hover?.place,
    cursor: bounded,
    focused,
    picked: pickedPlace,
  };
  const latest = useRef(scene);
  latest.current = scene;
  const frame = useRef(0);
  const restTimer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  const viewNow = useCallback((): View => {
    const at = box.current;
    return {
      width: at?.clientWidth ?? 0,
      height: at?.clientHeight ?? 0,
      left: at?.scrollLeft ?? 0,
      top: at?.scrollTop ?? 0,
    };
  }, []);
  const paint = useCallback((): void => {
    frame.current = 0;
    const context = canvas.current?.getContext("2d", { alpha: false });
    if (context === null || context === undefined) return;
    const view = viewNow();
    const { rows: shown, cells: there, geometry: places } = latest.current;
    const seen = windowOf(places, view, shown.length, there.runs.length);
    paintGrid(context, latest.current, view, seen, window.devicePixelRatio);
    clearTimeout(restTimer.current);
    restTimer.current = setTimeout(
      () =>
        startTransition(() =>
          setRest((old) =>
            old.firstRow === seen.firstRow &&
            old.endRow === seen.endRow &&
            old.firstColumn === seen.firstColumn &&
            old.endColumn === seen.endColumn
              ? old
              : seen,
          ),
        ),
      restMs,
    );
  }, [viewNow]);
  const repaint = useCallback((): void => {
    if (frame.current === 0) frame.current = requestAnimationFrame(paint);
  }, [paint]);
  useEffect(() => repaint());
  useEffect(
    () => () => {
      cancelAnimationFrame(frame.current);
      frame.current = 0;
      clearTimeout(restTimer.current);
    },
    [],
  );
  useEffect(() => {
    const at = box.current;
    if (at === null) return undefined;
    const watch = new ResizeObserver(() =>
      setSize({ width: at.clientWidth, height: at.clientHeight }),
    );
    watch.observe(at);
    return () => watch.disconnect();
  }, []);
  // The newest runs are at the right: that is where one begins to look.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once per grid and width
  useEffect(() => {
    if (box.current !== null) box.current.scrollLeft = columns * geometry.column;
  }, [grid.cells.structureKey, columns, geometry]);

  const placeAt = (event: MouseEvent): { place: Place; x: number; y: number } | undefined => {
    const at = box.current?.getBoundingClientRect();
    if (at === undefined) return undefined;
    const x = event.clientX - at.left;
    const y = event.clientY - at.top;
    const place = hitTest(geometry, viewNow(), rows.length, columns, x, y);
    return place === undefined ? undefined : { place, x, y };
  };
  const open = (place: Place): void => {
    const row = rows[place.row];
    const run = cells.runs[runOfColumn(place.column, columns)];
    if (place.column < 0) {
      if (row?.kind === "group") onToggle(row.id);
      return;
    }
    if (run === undefined) return;
    if (place.row < 0) onPick({ run: run.run_id, task: undefined });
    else if (row?.kind === "group") onToggle(row.id);
    else if (row !== undefined) onPick({ run: run.run_id, task: row.id });
  };
  const moveTo = (place: Place): void => {
    setCursor(place);
    const to = scrollTo(geometry, viewNow(), place);
    box.current?.scrollTo({ left: to.left, top: to.top, behavior: "instant" });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.altKey || event.metaKey) return;
    const row = rows[bounded.row];
    const page = Math.max(1, Math.floor((size.height - geometry.head) / geometry.row) - 1);
    if (
      row?.kind === "group" &&
      bounded.column < 0 &&
      ((event.key === "ArrowRight" && row.folded) || (event.key === "ArrowLeft" && !row.folded))
    )
      onToggle(row.id);
    else if (event.key === "Enter" || event.key === " ") open(bounded);
    else {
      const to = moveOf(event.key, event.ctrlKey, bounded, rows.length, columns, page);
      if (to === undefined) return;
      moveTo(to);
    }
    event.preventDefault();
  };
  const cellId = (place: Place): string => `${id}-${place.row}-${place.column}`;
  return (
    <div className="relative flex min-h-0 min-w-0 grow">
      <div
        ref={box}
        role="grid"
        aria-label={`Grid of ${dag}: tasks by runs`}
        aria-rowcount={rows.length + 1}
        aria-colcount={columns + 1}
        aria-activedescendant={cellId(bounded)}
        tabIndex={0}
        className="absolute inset-0 overflow-auto outline-none focus-visible:outline-2"
        onScroll={() => {
          repaint();
          if (hover !== undefined) setHover(undefined);
        }}
        onKeyDown={onKeyDown}
        onFocus={() => setFocused(true)}
        onBlur={() => setFocused(false)}
        onMouseMove={(event) => {
          const found = placeAt(event);
          setHover((old) =>
            old?.place.row === found?.place.row && old?.place.column === found?.place.column
              ? old
              : found,
          );
        }}
        onMouseLeave={() => setHover(undefined)}
        onClick={(event) => {
          const found = placeAt(event);
          if (found === undefined) return;
          setCursor(found.place);
          open(found.place);
        }}
      >
        <canvas
          ref={canvas}
          aria-hidden
          width={Math.round(size.width * scale)}
          height={Math.round(size.height * scale)}
          className="sticky top-0 left-0 block"
          style={{
            width: size.width,
            height: size.height,
            cursor: hover === undefined ? "default" : "pointer",
          }}
        />
        <div
          role="presentation"
          style={{
            width: geometry.labels + columns * geometry.column + 8,
            height: geometry.head + rows.length * geometry.row,
            marginTop: -size.height,
          }}
        />
        <SpokenGrid
          grid={grid}
          rows={rows}
          seen={rest}
          cursor={bounded}
          edition={edition}
          cellId={cellId}
        />
      </div>
      {hover !== undefined && (
        <GridTip
          cells={cells}
          row={rows[hover.place.row]}
          run={cells.runs[runOfColumn(hover.place.column, columns)]}
          runPlace={runOfColumn(hover.place.column, columns)}
          x={hover.x}
          y={hover.y}
          width={size.width}
          height={size.height}
        />
      )}
    </div>
  );
}

/** The rows in sight, for screen readers. Where the cursor is there is always a cell. */
function SpokenGrid({
  grid,
  rows,
  seen,
  cursor,
  cellId,
}: {
  readonly grid: Grid;
  readonly rows: readonly Row[];
  readonly seen: Window;
  readonly cursor: Place;
  readonly edition: number;
  readonly cellId: (place: Place) => string;
}) {
  const { cells } = grid;
  const columns = cells.runs.length;
  const places = range(seen.firstRow, Math.min(seen.endRow, rows.length));
  if (cursor.row >= 0 && !places.includes(cursor.row)) places.push(cursor.row);
  const across = range(seen.firstColumn, Math.min(seen.endColumn, columns));
  if (cursor.column >= 0 && !across.includes(cursor.column)) across.push(cursor.column);
  return (
    <div role="rowgroup" className="sr-only">
      <div role="row" aria-rowindex={1}>
        <span role="columnheader" aria-colindex={1}>
          Task
        </span>
        {across.map((column) => {
          const run = cells.runs[runOfColumn(column, columns)];
          return (
            <span
              key={run?.run_id ?? column}
              id={cellId({ row: -1, column })}
              role="columnheader"
              aria-colindex={column + 2}
            >
              {run?.run_id}: {stateWords[shownState(run?.state)]}
            </span>
          );
        })}
      </div>
      {places.map((place) => {
        const row = rows[place];
        if (row === undefined) return null;
        return (
          <div key={`${row.kind} ${row.id}`} role="row" aria-rowindex={place + 2}>
            <span
              id={cellId({ row: place, column: -1 })}
              role="rowheader"
              aria-colindex={1}
              {...(row.kind === "group" ? { "aria-expanded": !row.folded } : {})}
            >
              {row.kind === "group" ? `Group ${row.id}` : row.id}
            </span>
            {across.map((column) => {
              const run = runOfColumn(column, columns);
              const code =
                row.kind === "task"
                  ? codeAt(cells, row.index, run)
                  : groupCodeAt(cells, row.index, [row.from, row.to], run);
              const state = stateOfCode(code);
              return (
                <span
                  key={column}
                  id={cellId({ row: place, column })}
                  role="gridcell"
                  aria-colindex={column + 2}
                >
                  {state === undefined ? "not in this run" : stateWords[shownState(state)]}
                </span>
              );
            })}
          </div>
        );
      })}
    </div>
  );
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
