/**
 * The lines in sight of a list of any length. The bar is the browser's own; what is drawn stays in place above it and
 * follows where the bar stands (`scroll-map.ts`), so that nothing depends on how tall a page may be.
 */
import {
  type KeyboardEvent,
  type ReactNode,
  type Ref,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { flushSync } from "react-dom";
import {
  type Field,
  heightOf,
  isScaled,
  moved,
  type Place,
  scrollAt,
  topFor,
  topMax,
  turned,
  walked,
} from "./scroll-map.ts";

export const rowHeight = 20;

export type RowsControl = {
  goTo(row: number): void;
  toEnd(): void;
  /** The first row that is wholly in sight. */
  top(): number;
  focus(): void;
};

export function LogRows({
  label,
  count,
  linesOf,
  cells,
  onCells,
  row,
  onSight,
  onScrolled,
  control,
}: {
  readonly label: string;
  readonly count: number;
  /** How many lines a row takes; undefined: each one, and long ones go on at the side. */
  readonly linesOf: ((row: number) => number) | undefined;
  /** The longest row, in signs, with what is before its text. */
  readonly cells: number;
  /** So many signs fit in the width. */
  readonly onCells: (cells: number) => void;
  readonly row: (row: number) => ReactNode;
  readonly onSight: (from: number, to: number) => void;
  /** A person moved; whether the end is in sight now. */
  readonly onScrolled: (isAtEnd: boolean) => void;
  readonly control: Ref<RowsControl>;
}) {
  const box = useRef<HTMLElement>(null);
  const ruler = useRef<HTMLSpanElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0, cell: 7.5 });
  const [place, setPlace] = useState<Place>({ top: 0, scroll: 0 });
  /** Where we put the bar: a scroll event that says this is our own echo. */
  const put = useRef(0);
  const field: Field = {
    rows: count,
    rowHeight,
    viewport: size.height,
    loose: linesOf !== undefined,
  };
  const latest = useRef({ field, place, linesOf });
  latest.current = { field, place, linesOf };

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const measure = (): void => {
      const cell = (ruler.current?.getBoundingClientRect().width ?? 750) / 100;
      const width = element.clientWidth;
      setSize({ width, height: element.clientHeight, cell });
      onCells(Math.floor(width / cell));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, [onCells]);

  /** As it is, also before the first measure was drawn. */
  const fieldNow = (): Field => ({
    ...latest.current.field,
    viewport: box.current?.clientHeight ?? latest.current.field.viewport,
  });
  const endOf = (): number => {
    const now = { ...latest.current, field: fieldNow() };
    return now.linesOf === undefined
      ? topMax(now.field)
      : walked(now.field.rows, -now.field.viewport, now.field, now.linesOf);
  };
  const moveTo = (top: number): void => {
    const next = { top, scroll: scrollAt(top, fieldNow()) };
    // At once: asked for while the address changes, it would wait for that to be drawn.
    queueMicrotask(() => flushSync(() => setPlace(next)));
  };
  const byPerson = (next: Place): void => {
    setPlace(next);
    onScrolled(next.top >= endOf() - 0.5);
  };
  const byPixels = (pixels: number): void => {
    const now = latest.current;
    if (now.linesOf === undefined) byPerson(turned(now.place, pixels, now.field));
    else {
      const top = Math.min(walked(now.place.top, pixels, now.field, now.linesOf), endOf());
      byPerson({ top, scroll: scrollAt(top, now.field) });
    }
  };
  useImperativeHandle(control, () => ({
    goTo: (to) => moveTo(topFor(to, latest.current.place.top, fieldNow())),
    toEnd: () => moveTo(endOf()),
    top: () => Math.ceil(latest.current.place.top),
    focus: () => box.current?.focus(),
  }));

  const height = heightOf(field);
  // After the height: a bar cannot be put where there is no room yet.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new height may have moved the bar
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null || Math.abs(element.scrollTop - place.scroll) < 1) return;
    put.current = place.scroll;
    element.scrollTop = place.scroll;
  }, [place, height]);

  const needsWheel = isScaled(field) || linesOf !== undefined;
  const turn = useRef(byPixels);
  turn.current = byPixels;
  useEffect(() => {
    const element = box.current;
    if (element === null || !needsWheel) return;
    const onWheel = (event: WheelEvent): void => {
      if (event.ctrlKey || event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
        return;
      event.preventDefault();
      turn.current(event.deltaY * (event.deltaMode === 1 ? rowHeight : 1));
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, [needsWheel]);

  const onScroll = (): void => {
    const scroll = box.current?.scrollTop ?? 0;
    if (Math.abs(scroll - put.current) < 1 || Math.abs(scroll - place.scroll) < 1) return;
    put.current = scroll;
    byPerson(moved(place, scroll, field));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== box.current) return;
    const page = Math.max(rowHeight, size.height - rowHeight * 2);
    const steps: Readonly<Record<string, () => void>> = {
      ArrowDown: () => byPixels(rowHeight),
      ArrowUp: () => byPixels(-rowHeight),
      PageDown: () => byPixels(page),
      " ": () => byPixels(event.shiftKey ? -page : page),
      PageUp: () => byPixels(-page),
      Home: () => byPerson({ top: 0, scroll: 0 }),
      End: () => byPerson({ top: endOf(), scroll: scrollAt(endOf(), field) }),
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    step();
  };

  const drawn = laid(place.top, field, linesOf);
  const from = drawn[0]?.row ?? 0;
  const to = drawn.at(-1)?.row ?? 0;
  useEffect(() => {
    if (size.height > 0) onSight(from, to);
  }, [from, to, size.height, onSight]);
  const width = linesOf === undefined ? Math.max(size.width, cells * size.cell) : size.width;
  return (
    <section
      ref={box}
      role="log"
      aria-label={label}
      aria-live="off"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
      tabIndex={0}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
      className="relative min-h-0 min-w-0 grow basis-0 overflow-auto bg-surface font-mono text-[12px] [overflow-anchor:none]"
    >
      <span ref={ruler} aria-hidden className="invisible absolute">
        {"0".repeat(100)}
      </span>
      <div style={{ height, width }}>
        <div className="sticky top-0 overflow-clip" style={{ height: size.height, width }}>
          {drawn.map(({ row: index, y }) => (
            <div
              key={index}
              className="absolute top-0 left-0 w-full"
              style={{ transform: `translateY(${String(Math.round(y))}px)` }}
            >
              {row(index)}
            </div>
          ))}
        </div>
      </div>
    </section>
  );
}

/** Rows from the upper edge until the window is full. */
function laid(
  top: number,
  { rows, viewport }: Field,
  linesOf: ((row: number) => number) | undefined,
): readonly { readonly row: number; readonly y: number }[] {
  const heightOfRow = (row: number): number => (linesOf?.(row) ?? 1) * rowHeight;
  const first = Math.min(Math.floor(top), Math.max(0, rows - 1));
  let y = -(top - first) * heightOfRow(first);
  const drawn: { row: number; y: number }[] = [];
  for (let row = first; row < rows && y < viewport; row++) {
    drawn.push({ row, y });
    y += heightOfRow(row);
  }
  return drawn;
}
