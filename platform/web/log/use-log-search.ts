/** Hits as the server finds them. A search goes on by itself when the log has grown, and ends when nobody looks. */
import { useEffect, useRef, useState } from "react";
import type { SearchEvent } from "../../api/ui/log.ts";
import { askRaw } from "../ask/ask-server.ts";
import { type LogPlace, type LogTarget, logPath } from "./log-address.ts";

export type Hit = Extract<SearchEvent, { kind: "hit" }>;
export type LogSearch = {
  readonly state: "none" | "searching" | "done" | "failed";
  readonly hits: readonly Hit[];
  readonly byLine: ReadonlyMap<number, Hit>;
  /** How far it has searched. */
  readonly line: number;
  /** There are more after this line than are kept. */
  readonly more: number | null;
  readonly problem?: string;
};

const none: LogSearch = { state: "none", hits: [], byLine: new Map(), line: 0, more: null };
const hitsPerRun = 10_000;

export function useLogSearch(
  target: LogTarget,
  { find = "", regexp = false, caps = false, level }: LogPlace,
  lines: number,
): LogSearch & { readonly goOn: () => void } {
  const [search, setSearch] = useState(none);
  const giveUp = useRef<AbortController | undefined>(undefined);
  const key = JSON.stringify([target, find, regexp, caps, level]);

  const run = (after: number, before: LogSearch): void => {
    giveUp.current?.abort();
    const mine = new AbortController();
    giveUp.current = mine;
    const path = logPath(target, "/search", {
      find,
      regexp: regexp || undefined,
      caps: caps || undefined,
      level,
      after: after === 0 ? undefined : after,
      limit: hitsPerRun,
    });
    const hits = [...before.hits];
    const byLine = new Map(before.byLine);
    let now: LogSearch = { state: "searching", hits, byLine, line: after, more: null };
    let frame: number | undefined;
    // What comes between two frames is shown at once: thousands of hits are not thousands of drawings.
    const show = (): void => {
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        if (!mine.signal.aborted) setSearch({ ...now, hits: hits.slice() });
      });
    };
    const hear = (event: SearchEvent): void => {
      if (event.kind === "hit") {
        hits.push(event);
        byLine.set(event.line, event);
        now = { ...now, line: event.line };
      } else if (event.kind === "progress") now = { ...now, line: event.line };
      else if (event.kind === "end")
        now = {
          ...now,
          state: "done",
          line: event.more ?? Math.max(lines, now.line),
          more: event.more,
        };
      else now = { ...now, state: "failed", problem: event.message, more: event.more };
      show();
    };
    show();
    readEvents(path, mine.signal, hear).catch((error: unknown) => {
      if (mine.signal.aborted) return;
      const problem = error instanceof Error ? error.message : String(error);
      now = { ...now, state: "failed", problem };
      show();
    });
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` is what is searched for
  useEffect(() => {
    if (find === "") setSearch(none);
    else {
      setSearch({ ...none, state: "searching" });
      run(0, none);
    }
    return () => giveUp.current?.abort();
  }, [key]);
  const isOver = search.state === "done" && search.more === null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: only new lines are a reason
  useEffect(() => {
    if (find !== "" && isOver && lines > search.line) run(search.line, search);
  }, [lines, isOver]);
  return {
    ...search,
    goOn: () => {
      if (search.more !== null) run(search.more, search);
    },
  };
}

async function readEvents(
  path: string,
  signal: AbortSignal,
  hear: (event: SearchEvent) => void,
): Promise<void> {
  const response = await askRaw(path, { signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const piece = await reader?.read();
    if (piece === undefined || piece.done) break;
    const rows = (rest + piece.value).split("\n");
    rest = rows.pop() ?? "";
    for (const row of rows) hear(JSON.parse(row) as SearchEvent);
  }
}
