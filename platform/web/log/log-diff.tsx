/** This try's log beside another's: what is the same but for times and ids is folded away. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { LogWindow } from "../../api/ui/log.ts";
import { bareText } from "../../model/log-text.ts";
import { ask } from "../ask/ask-server.ts";
import { countText } from "../parts/durations.ts";
import { Empty, Failed, Loading } from "../parts/panels.tsx";
import { VirtualRows } from "../parts/virtual-rows.tsx";
import { diffLines, withGaps } from "./diff-lines.ts";
import { type LogTarget, logPath } from "./log-address.ts";
import { Pieces } from "./log-row.tsx";
import { readLine } from "./read-line.ts";

const linesMax = 6_000;
const linesPerAsk = 2_000;

export function LogDiff({
  target,
  against,
  onLine,
}: {
  readonly target: LogTarget;
  readonly against: number;
  /** A line of this try. */
  readonly onLine: (line: number) => void;
}) {
  const before = useLines({ ...target, tryNumber: against });
  const after = useLines(target);
  const [focused, setFocused] = useState(-1);
  const rows = useMemo(() => {
    if (before.data === undefined || after.data === undefined) return undefined;
    const texts = (lines: LogWindow["lines"]) => lines.map((line) => bareText(line[4]));
    return withGaps(diffLines(texts(before.data), texts(after.data)), 3);
  }, [before.data, after.data]);
  const error = before.error ?? after.error;
  if (error !== null) return <Failed error={error} />;
  if (rows === undefined || before.data === undefined || after.data === undefined)
    return <Loading what={`Comparing with try ${String(against)}`} />;
  const [old, young] = [before.data, after.data];
  const count = (kind: string): number => rows.filter((row) => row.kind === kind).length;
  const isCut = old.length >= linesMax || young.length >= linesMax;
  return (
    <div className="flex min-h-0 min-w-0 grow basis-0 flex-col">
      <p role="status" className="border-b border-line px-3 py-1.5 text-sm text-muted">
        {count("removed")} lines are only in try {against}, {count("added")} only in try{" "}
        {target.tryNumber}. Times, ids and durations do not count as different.
        {isCut && ` The first ${countText(linesMax)} lines of each are compared.`}
      </p>
      {count("removed") + count("added") === 0 ? (
        <Empty title="Both tries said the same.">
          <p>They differ at most in times, ids and durations.</p>
        </Empty>
      ) : (
        <VirtualRows
          label={`Difference between try ${String(against)} and try ${String(target.tryNumber)}`}
          count={rows.length}
          rowHeight={20}
          focused={focused}
          onFocus={setFocused}
          onOpen={(index) => {
            const row = rows[index];
            if (row !== undefined && "after" in row) onLine(young[row.after]?.[0] ?? 1);
          }}
          className="min-h-0 grow basis-0 font-mono text-[12px]"
          row={(index) => {
            const row = rows[index];
            if (row === undefined) return null;
            if (row.kind === "gap")
              return (
                <div role="gridcell" className="bg-sunken px-3 leading-5 text-muted">
                  ⋯ {countText(row.lines)} {row.lines === 1 ? "line is" : "lines are"} the same
                </div>
              );
            const left = row.kind === "added" ? undefined : old[row.before];
            const right = row.kind === "removed" ? undefined : young[row.after];
            const look =
              row.kind === "same" ? "" : row.kind === "added" ? "bg-accent-soft" : "bg-danger-soft";
            return (
              <div role="gridcell" className={`flex h-full leading-5 ${look}`}>
                <span className="w-[8ch] shrink-0 pr-[1ch] text-right text-muted select-none">
                  {left?.[0]}
                </span>
                <span className="w-[8ch] shrink-0 pr-[1ch] text-right text-muted select-none">
                  {right?.[0]}
                </span>
                <span aria-hidden className="w-[2ch] shrink-0 font-bold select-none">
                  {row.kind === "same" ? "" : row.kind === "added" ? "+" : "−"}
                </span>
                <span className="sr-only">
                  {row.kind === "same" ? "" : row.kind === "added" ? "added: " : "removed: "}
                </span>
                <span className="tenant-text truncate whitespace-pre">
                  <Pieces pieces={readLine((right ?? left)?.[4] ?? "")} />
                </span>
              </div>
            );
          }}
        />
      )}
    </div>
  );
}

function useLines(target: LogTarget) {
  return useQuery({
    queryKey: ["log", "first-lines", target],
    queryFn: async ({ signal }) => {
      const lines: LogWindow["lines"] = [];
      while (lines.length < linesMax) {
        const piece = await ask<LogWindow>(
          logPath(target, "/lines", { from: lines.length, count: linesPerAsk }),
          { signal },
        );
        if (piece.lines.length === 0) break;
        lines.push(...piece.lines);
      }
      return lines;
    },
  });
}
