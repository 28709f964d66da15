/**
 * A list of rows of one height, of which only those in sight exist: as quick for 100,000 as for ten. Moves by
 * arrow keys, Home, End, Page; Enter opens. (Rows of measured heights are what broke other viewers.)
 */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactNode, useEffect, useRef } from "react";

export function VirtualRows({
  label,
  count,
  rowHeight,
  row,
  focused,
  onFocus,
  onOpen,
  head,
  className = "",
}: {
  readonly label: string;
  readonly count: number;
  /** Pixels. */
  readonly rowHeight: number;
  readonly row: (index: number) => ReactNode;
  /** The row that the keys are on. */
  readonly focused: number;
  readonly onFocus: (index: number) => void;
  readonly onOpen: (index: number) => void;
  /** Stays at the top. */
  readonly head?: ReactNode;
  readonly className?: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  });
  useEffect(() => {
    if (focused >= 0 && focused < count) virtual.scrollToIndex(focused, { align: "auto" });
  }, [focused, count, virtual]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(
      1,
      Math.floor((box.current?.clientHeight ?? rowHeight * 10) / rowHeight) - 1,
    );
    const to = stepOf(event.key, focused, count, page);
    if (to !== undefined) onFocus(to);
    else if (event.key === "Enter" && event.target === box.current && focused >= 0) onOpen(focused);
    else return;
    event.preventDefault();
  };
  return (
    <div
      ref={box}
      role="grid"
      aria-label={label}
      aria-rowcount={count}
      tabIndex={0}
      onKeyDown={onKeyDown}
      className={`relative overflow-auto ${className}`}
    >
      {head !== undefined && <div className="sticky top-0 z-10 bg-surface">{head}</div>}
      <div role="presentation" style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {virtual.getVirtualItems().map((item) => (
          <div
            key={item.key}
            role="row"
            aria-rowindex={item.index + 1}
            aria-selected={item.index === focused}
            className={`absolute inset-x-0 border-b border-line/60 ${item.index === focused ? "bg-accent-soft" : "hover:bg-sunken"}`}
            style={{ height: rowHeight, transform: `translateY(${String(item.start)}px)` }}
            onMouseDown={() => onFocus(item.index)}
          >
            {row(item.index)}
          </div>
        ))}
      </div>
    </div>
  );
}

/** Where a key leads from a row; undefined: it is no key of moving. */
export function stepOf(key: string, at: number, count: number, page: number): number | undefined {
  const bounded = (to: number): number => Math.min(Math.max(to, 0), count - 1);
  if (count === 0) return undefined;
  switch (key) {
    case "ArrowDown":
    case "j":
      return bounded(at + 1);
    case "ArrowUp":
    case "k":
      return bounded(at - 1);
    case "PageDown":
      return bounded(at + page);
    case "PageUp":
      return bounded(at - page);
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return undefined;
  }
}
