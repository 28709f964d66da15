/** What was found, beside the log: a click leads there. */

import { Button } from "../parts/button.tsx";
import { countText } from "../parts/durations.ts";
import { VirtualRows } from "../parts/virtual-rows.tsx";
import { Pieces } from "./log-row.tsx";
import { readLine } from "./read-line.ts";
import type { Hit, LogSearch } from "./use-log-search.ts";

export function HitsList({
  search,
  current,
  onGo,
  onMore,
}: {
  readonly search: LogSearch;
  /** Index of the hit that one is at; −1: none. */
  readonly current: number;
  readonly onGo: (hit: Hit) => void;
  readonly onMore: () => void;
}) {
  const { hits } = search;
  const go = (index: number): void => {
    const hit = hits[index];
    if (hit !== undefined) onGo(hit);
  };
  return (
    <aside
      aria-label="Hits"
      className="flex max-h-48 min-h-0 w-full shrink-0 flex-col border-line @max-3xl:border-b @3xl:max-h-none @3xl:w-80 @3xl:border-l"
    >
      <VirtualRows
        label="Lines that were found"
        count={hits.length}
        rowHeight={26}
        focused={current}
        onFocus={go}
        onOpen={go}
        className="min-h-0 grow basis-24"
        row={(index) => {
          const hit = hits[index];
          if (hit === undefined) return null;
          return (
            <div role="gridcell" className="flex h-full items-center gap-2 px-2 text-[12px]">
              <span
                className={`w-[9ch] shrink-0 text-right font-mono tabular-nums ${levelColour(hit.level)}`}
              >
                {countText(hit.line)}
              </span>
              <span className="tenant-text truncate font-mono whitespace-pre">
                <Excerpt hit={hit} />
              </span>
            </div>
          );
        }}
      />
      {search.more !== null && (
        <div className="border-t border-line p-2 text-sm text-muted">
          There are more after line {countText(search.more)}.{" "}
          <Button className="ml-1" onClick={onMore}>
            Go on searching
          </Button>
        </div>
      )}
    </aside>
  );
}

/** A narrow column must show what was found: little of what is before it. */
const before = 12;

function Excerpt({ hit }: { readonly hit: Hit }) {
  const from = Math.max(0, (hit.marks[0]?.[0] ?? 0) - hit.from - before);
  const text = hit.text.slice(from);
  const marks = hit.marks.map(
    ([start, end]) => [start - hit.from - from, end - hit.from - from] as const,
  );
  return (
    <>
      {hit.from + from > 0 && "…"}
      <Pieces pieces={readLine(text, marks)} />
    </>
  );
}

const levelColour = (level: Hit["level"]): string =>
  level === "error" || level === "critical"
    ? "text-danger"
    : level === "warning"
      ? "text-warn"
      : "text-muted";
