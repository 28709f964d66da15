/** Two texts side by side, or one below the other: equal parts folded, words that differ marked. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";
import {
  type DiffRow,
  diffTexts,
  foldRows,
  linesOf,
  type Part,
  type Side,
  type UnifiedRow,
  unify,
} from "./line-diff.ts";
import { Pieces } from "./pieces.tsx";
import { cutBoth, type Token } from "./tokens.ts";
import { usePaint } from "./use-paint.ts";

const rowHeight = 20;
type Paint = readonly (readonly Token[])[] | undefined;
type Tone = "same" | "removed" | "added" | "absent";
const tones: Record<Tone, string> = {
  same: "",
  removed: "bg-danger-soft",
  added: "bg-accent-soft",
  absent: "bg-sunken",
};
const signs: Record<Tone, string> = { same: " ", removed: "−", added: "+", absent: " " };

export function DiffView({
  before,
  after,
  path,
  unified,
  className = "max-h-[70vh]",
}: {
  readonly before: { readonly text: string; readonly name: string };
  readonly after: { readonly text: string; readonly name: string };
  readonly path: string;
  readonly unified: boolean;
  readonly className?: string;
}) {
  const [opened, setOpened] = useState<ReadonlySet<number>>(new Set());
  const diff = useMemo(() => diffTexts(before.text, after.text), [before.text, after.text]);
  const [oldLines, newLines] = useMemo(
    () => [linesOf(before.text), linesOf(after.text)],
    [before.text, after.text],
  );
  const oldPaint = usePaint(oldLines, path);
  const newPaint = usePaint(newLines, path);
  const folded = useMemo(() => foldRows(diff.rows, opened), [diff, opened]);
  const rows: readonly (DiffRow | UnifiedRow)[] = useMemo(
    () => (unified ? unify(folded) : folded),
    [folded, unified],
  );
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 20,
  });
  const longest = useMemo(
    () => [...oldLines, ...newLines].reduce((max, line) => Math.max(max, line.length), 0),
    [oldLines, newLines],
  );
  if (diff.added + diff.removed === 0)
    return (
      <p className="px-4 py-6 text-muted">
        The file is the same, line by line, at {before.name} and at {after.name}.
      </p>
    );
  const width = `calc(${String(unified ? longest : longest * 2)}ch + ${unified ? "8" : "12"}rem)`;
  return (
    <>
      <p className="border-b border-line px-3 py-1 text-sm">
        <span className="font-semibold">
          {diff.added} {diff.added === 1 ? "line" : "lines"} added, {diff.removed} removed
        </span>{" "}
        <span className="text-muted">
          from {before.name} to {after.name}
        </span>
      </p>
      <div
        ref={box}
        role="region"
        aria-label={`Difference of ${path} between ${before.name} and ${after.name}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        tabIndex={0}
        dir="ltr"
        className={`overflow-auto bg-surface font-mono text-[0.85rem] ${className}`}
      >
        <div className="relative" style={{ height: virtual.getTotalSize(), minWidth: width }}>
          {virtual.getVirtualItems().map(({ index, start }) => {
            const row = rows[index];
            if (row === undefined) return null;
            return (
              <div
                key={index}
                className="absolute inset-x-0 whitespace-pre"
                style={{ height: rowHeight, lineHeight: `${String(rowHeight)}px`, top: start }}
              >
                {row.kind === "fold" ? (
                  <button
                    type="button"
                    onClick={() => setOpened(new Set([...opened, row.at]))}
                    className="sticky left-0 block h-full w-full bg-sunken px-3 text-left font-sans text-xs text-muted hover:text-text"
                  >
                    ⋯ {row.count} equal lines; show them
                  </button>
                ) : "parts" in row ? (
                  <Unified row={row} oldPaint={oldPaint} newPaint={newPaint} />
                ) : (
                  <SideBySide row={row} oldPaint={oldPaint} newPaint={newPaint} />
                )}
              </div>
            );
          })}
        </div>
      </div>
    </>
  );
}

function SideBySide({
  row,
  oldPaint,
  newPaint,
}: {
  readonly row: Exclude<DiffRow, { kind: "fold" }>;
  readonly oldPaint: Paint;
  readonly newPaint: Paint;
}) {
  const same = row.kind === "same";
  return (
    <div className="grid h-full grid-cols-2">
      <Half side={row.before} paint={oldPaint} tone={same ? "same" : "removed"} />
      <Half side={row.after} paint={newPaint} tone={same ? "same" : "added"} />
    </div>
  );
}

function Half({
  side,
  paint,
  tone,
}: {
  readonly side: Side | undefined;
  readonly paint: Paint;
  readonly tone: Tone;
}) {
  if (side === undefined) return <div className={`border-r border-line ${tones.absent}`} />;
  return (
    <div className={`flex min-w-0 overflow-hidden border-r border-line ${tones[tone]}`}>
      <Gutter numbers={[side.line]} tone={tone} />
      <Line parts={side.parts} tokens={paint?.[side.line - 1]} tone={tone} />
    </div>
  );
}

function Unified({
  row,
  oldPaint,
  newPaint,
}: {
  readonly row: Exclude<UnifiedRow, { kind: "fold" }>;
  readonly oldPaint: Paint;
  readonly newPaint: Paint;
}) {
  const tokens =
    row.after === undefined ? oldPaint?.[(row.before ?? 0) - 1] : newPaint?.[row.after - 1];
  return (
    <div className={`flex h-full ${tones[row.kind]}`}>
      <Gutter numbers={[row.before, row.after]} tone={row.kind} />
      <Line parts={row.parts} tokens={tokens} tone={row.kind} />
    </div>
  );
}

const Gutter = ({
  numbers,
  tone,
}: {
  readonly numbers: readonly (number | undefined)[];
  readonly tone: Tone;
}) => (
  <span aria-hidden className="mr-2 flex shrink-0 text-muted select-none">
    {numbers.map((number, at) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: before and after, always in this order
      <span key={at} className="min-w-[5ch] px-1 text-right">
        {number}
      </span>
    ))}
    <span className="w-[2ch] text-center text-text">{signs[tone]}</span>
  </span>
);

function Line({
  parts,
  tokens,
  tone,
}: {
  readonly parts: readonly Part[];
  readonly tokens: readonly Token[] | undefined;
  readonly tone: Tone;
}) {
  const code = (
    <code className="[tab-size:4]">
      <Pieces pieces={cutBoth(tokens, parts)} />
    </code>
  );
  if (tone === "added") return <ins className="no-underline">{code}</ins>;
  if (tone === "removed") return <del className="no-underline">{code}</del>;
  return code;
}
