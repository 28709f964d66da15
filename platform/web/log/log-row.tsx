/** One line: its number (a link to it), time, level and text. */
import { type MouseEvent, memo } from "react";
import type { LogLine } from "../../api/ui/log.ts";
import { timeText } from "../frame/zone.ts";
import { countText } from "../parts/durations.ts";
import type { Group } from "./folds.ts";
import { rowHeight } from "./log-rows.tsx";
import { type Piece, wrapped } from "./read-line.ts";

export type TimeLook = "clock" | "since" | "none";

const grounds: Readonly<Record<string, string>> = {
  warning: "bg-warn-soft",
  error: "bg-danger-soft",
  critical: "bg-danger-soft",
};
const levelLooks: Readonly<Record<string, readonly [word: string, colour: string]>> = {
  debug: ["DBG", "text-muted"],
  info: ["", "text-muted"],
  warning: ["WRN", "text-warn"],
  error: ["ERR", "text-danger font-bold"],
  critical: ["CRT", "text-danger font-bold underline"],
};

/** Signs before the text: number, time, level. */
export const gutterCells = (lines: number, times: TimeLook): number =>
  numberCells(lines) + timeCells[times] + 6;
const numberCells = (lines: number): number => Math.max(4, countText(lines).length) + 2;
const timeCells: Readonly<Record<TimeLook, number>> = { clock: 13, since: 11, none: 0 };

export const LogRow = memo(function LogRow({
  line,
  lines,
  pieces,
  cells,
  times,
  zone,
  since,
  look,
  begins,
  group,
  isFolded,
  onFold,
  onNumber,
  onWhole,
}: {
  readonly line: LogLine;
  /** How many there are, for the width of the number. */
  readonly lines: number;
  readonly pieces: readonly Piece[];
  /** Wrapped into rows of so many signs; undefined: not wrapped. */
  readonly cells: number | undefined;
  readonly times: TimeLook;
  readonly zone: string;
  /** Epoch ms from which `since` counts. */
  readonly since: number;
  readonly look: "plain" | "chosen";
  /** It is the first line of the try's attempt of this number, of several. */
  readonly begins: number | undefined;
  readonly group: Group | undefined;
  readonly isFolded: boolean;
  readonly onFold: (line: number) => void;
  readonly onNumber: (line: number, isRange: boolean) => void;
  readonly onWhole: (line: number) => void;
}) {
  const [number, at, level, , , length] = line;
  const [word, colour] = levelLooks[level] ?? ["", "text-muted"];
  const ground = look === "chosen" ? "bg-accent-soft" : (grounds[level] ?? "bg-surface");
  const rows = cells === undefined ? [pieces] : wrapped(pieces, cells);
  return (
    <div
      data-line={number}
      data-level={level}
      className={`flex w-full ${ground} ${begins === undefined ? "" : "shadow-[inset_0_1px_0_var(--accent)]"}`}
      style={{ height: rowHeight * rows.length, lineHeight: `${String(rowHeight)}px` }}
    >
      <div className={`sticky left-0 z-10 flex shrink-0 select-none ${ground}`}>
        <button
          type="button"
          tabIndex={-1}
          aria-label={`Line ${String(number)}`}
          aria-pressed={look === "chosen"}
          title="Link to this line; with Shift, to the lines up to here"
          className="block h-5 pr-[1ch] text-right text-muted tabular-nums hover:text-accent hover:underline"
          style={{ width: `${String(numberCells(lines))}ch` }}
          onMouseDown={(event: MouseEvent) => event.shiftKey && event.preventDefault()}
          onClick={(event) => onNumber(number, event.shiftKey)}
        >
          {countText(number)}
        </button>
        {times !== "none" && (
          <span
            className="block h-5 overflow-hidden whitespace-pre text-muted tabular-nums"
            style={{ width: `${String(timeCells[times])}ch` }}
            title={at === null ? undefined : `${timeText(at, zone, true)} ${zone}`}
          >
            {at === null
              ? ""
              : times === "clock"
                ? timeText(at, zone, true).slice(11)
                : sinceText(at - since)}
          </span>
        )}
        <span className={`block h-5 w-[4ch] ${colour}`}>{word}</span>
        <span className="block h-5 w-[2ch]">
          {group !== undefined && (
            <button
              type="button"
              aria-label={`${isFolded ? "Open" : "Fold"} the group ${group.title}`}
              aria-expanded={!isFolded}
              className="block h-5 w-[2ch] text-muted hover:text-text"
              onClick={() => onFold(number)}
            >
              {isFolded ? "▸" : "▾"}
            </button>
          )}
        </span>
      </div>
      <div
        className={`tenant-text min-w-0 whitespace-pre [tab-size:4] ${group === undefined ? "" : "font-bold"}`}
      >
        {rows.map((row, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts of one unchanging line
          <div key={i} className="flex h-5">
            <Pieces pieces={row} />
            {i === rows.length - 1 && <RowEnd group={group} isFolded={isFolded} />}
            {i === rows.length - 1 && length !== null && (
              <button
                type="button"
                className="ml-[1ch] text-accent underline select-none"
                onClick={() => onWhole(number)}
              >
                … whole line ({countText(length)} characters)
              </button>
            )}
          </div>
        ))}
      </div>
    </div>
  );
});

function RowEnd({
  group,
  isFolded,
}: {
  readonly group: Group | undefined;
  readonly isFolded: boolean;
}) {
  if (group === undefined || !isFolded) return null;
  return (
    <span className="ml-[1ch] font-normal text-muted select-none">
      {group.to === null ? "… not ended yet" : `… ${countText(group.to - group.from)} lines`}
    </span>
  );
}

export function Pieces({ pieces }: { readonly pieces: readonly Piece[] }) {
  return (
    <span>
      {pieces.map((piece, i) =>
        isPlain(piece) ? (
          piece.text
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts of one unchanging line
          <Styled key={i} piece={piece} />
        ),
      )}
    </span>
  );
}

const isPlain = (piece: Piece): boolean => Object.keys(piece).length === 1;

function Styled({ piece }: { readonly piece: Piece }) {
  const { text, colour, ground, bold, italic, underline, marked } = piece;
  const look = `${bold === true ? "font-bold" : ""} ${italic === true ? "italic" : ""} ${underline === true ? "underline" : ""}`;
  if (marked === true)
    return <mark className={`rounded-[2px] bg-accent text-accent-text ${look}`}>{text}</mark>;
  return (
    <span
      className={look}
      style={{
        ...(colour === undefined ? {} : { color: colour }),
        ...(ground === undefined ? {} : { background: ground }),
      }}
    >
      {text}
    </span>
  );
}

/** "+12.345", "+1:02:03.456": since the try began. */
export function sinceText(ms: number): string {
  const sign = ms < 0 ? "−" : "+";
  const size = Math.abs(Math.round(ms));
  const part = (value: number, digits = 2): string => String(value).padStart(digits, "0");
  const rest = `${part(Math.floor(size / 1000) % 60)}.${part(size % 1000, 3)}`;
  const minutes = Math.floor(size / 60_000);
  if (minutes === 0) return `${sign}${rest}`;
  if (minutes < 60) return `${sign}${part(minutes)}:${rest}`;
  return `${sign}${String(Math.floor(minutes / 60))}:${part(minutes % 60)}:${rest.slice(0, 2)}`;
}
