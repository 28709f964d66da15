/** Text of a file with its lines numbered and coloured; lines to mark by number from 1, each with what to say there. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef } from "react";
import { linesOf } from "./line-diff.ts";
import { Pieces } from "./pieces.tsx";
import { cutBoth } from "./tokens.ts";
import { usePaint } from "./use-paint.ts";

const rowHeight = 20;

export function CodeView({
  text,
  path,
  firstLine = 1,
  marks,
  line,
  onLine,
  className = "max-h-[70vh]",
}: {
  readonly text: string;
  /** Of the file: decides the language. */
  readonly path: string;
  readonly firstLine?: number;
  readonly marks?: ReadonlyMap<number, string>;
  /** Scrolled to and marked. */
  readonly line?: number | undefined;
  /** Makes the numbers links. */
  readonly onLine?: (line: number) => void;
  readonly className?: string;
}) {
  const lines = useMemo(() => linesOf(text), [text]);
  const painted = usePaint(lines, path);
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 20,
  });
  const place = line === undefined ? -1 : line - firstLine;
  useEffect(() => {
    if (place >= 0 && place < lines.length) virtual.scrollToIndex(place, { align: "center" });
  }, [place, lines.length, virtual]);
  const longest = useMemo(() => lines.reduce((max, one) => Math.max(max, one.length), 0), [lines]);
  const digits = String(firstLine + lines.length).length;
  return (
    <div
      ref={box}
      role="region"
      aria-label={`Code of ${path}`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
      tabIndex={0}
      className={`overflow-auto bg-surface font-mono text-[0.85rem] ${className}`}
      dir="ltr"
    >
      <div
        className="relative"
        style={{
          height: virtual.getTotalSize(),
          minWidth: `calc(${String(longest + digits)}ch + 4rem)`,
        }}
      >
        {virtual.getVirtualItems().map(({ index, start }) => {
          const number = firstLine + index;
          const mark = marks?.get(number);
          return (
            <div
              key={number}
              data-line={number}
              className={`absolute inset-x-0 flex whitespace-pre ${index === place ? "bg-accent-soft" : mark === undefined ? "" : "bg-danger-soft"}`}
              style={{ height: rowHeight, lineHeight: `${String(rowHeight)}px`, top: start }}
              {...(index === place ? { "aria-current": "location" as const } : {})}
            >
              <LineNumber number={number} digits={digits} onLine={onLine} />
              <code className="[tab-size:4]">
                <Pieces
                  pieces={cutBoth(painted?.[index], [{ text: lines[index] ?? "", changed: false }])}
                />
              </code>
              {mark !== undefined && (
                <span className="tenant-text ml-4 truncate font-sans text-danger" title={mark}>
                  ▲ {mark}
                </span>
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function LineNumber({
  number,
  digits,
  onLine,
}: {
  readonly number: number;
  readonly digits: number;
  readonly onLine: ((line: number) => void) | undefined;
}) {
  const look =
    "sticky left-0 mr-3 shrink-0 border-r border-line bg-surface px-2 text-right text-muted select-none";
  const style = { minWidth: `calc(${String(digits)}ch + 1rem + 1px)` };
  if (onLine === undefined)
    return (
      <span aria-hidden className={look} style={style}>
        {number}
      </span>
    );
  return (
    // Thousands of stops on the way of Tab would be a trap: by keys one goes to a line by its number.
    <button
      type="button"
      tabIndex={-1}
      aria-label={`Line ${String(number)}`}
      onClick={() => onLine(number)}
      className={`${look} hover:text-text hover:underline`}
      style={style}
    >
      {number}
    </button>
  );
}
