/** A line too long for its row, in pieces that a page can hold. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { LineText } from "../../api/ui/log.ts";
import { ask } from "../ask/ask-server.ts";
import { Button } from "../parts/button.tsx";
import { countText } from "../parts/durations.ts";
import { Dialog } from "../parts/overlay.tsx";
import { Failed, Loading } from "../parts/panels.tsx";
import { copyLines } from "./copy-lines.ts";
import { type LogTarget, logPath } from "./log-address.ts";
import { Pieces } from "./log-row.tsx";
import { readLine } from "./read-line.ts";

const pieceLength = 20_000;

export function WholeLine({
  target,
  line,
  onClose,
}: {
  readonly target: LogTarget;
  readonly line: number;
  readonly onClose: () => void;
}) {
  const [from, setFrom] = useState(0);
  const { data, error } = useQuery({
    queryKey: ["log", "line", target, line, from],
    queryFn: async ({ signal }) =>
      ask<LineText>(logPath(target, "/line", { line, from, count: pieceLength }), { signal }),
  });
  const until = Math.min(from + pieceLength, data?.length ?? 0);
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={`Line ${countText(line)}`}
      describe={
        data === undefined
          ? undefined
          : `Characters ${countText(from + 1)} to ${countText(until)} of ${countText(data.length)}`
      }
      foot={
        <>
          <Button disabled={from === 0} onClick={() => setFrom(Math.max(0, from - pieceLength))}>
            Earlier piece
          </Button>
          <Button
            disabled={data === undefined || until >= data.length}
            onClick={() => setFrom(from + pieceLength)}
          >
            Next piece
          </Button>
          <Button look="primary" onClick={() => void copyLines(target, { from: line, to: line })}>
            Copy the whole line
          </Button>
        </>
      }
    >
      {error !== null ? (
        <Failed error={error} />
      ) : data === undefined ? (
        <Loading what="The line" />
      ) : (
        <p className="tenant-text font-mono text-[12px] whitespace-pre-wrap [word-break:break-all]">
          <Pieces pieces={readLine(data.text)} />
        </p>
      )}
    </Dialog>
  );
}
