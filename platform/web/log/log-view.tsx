/**
 * The log of one try, whatever its size: opened at a line, searched on the server, followed while it grows. What is
 * looked for and where one is belongs to the address of the page around it.
 */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import type { LogFacts, LogGroups, LogLine, LogWindow } from "../../api/ui/log.ts";
import { bareText, logLevels } from "../../model/log-text.ts";
import { ask } from "../ask/ask-server.ts";
import { useKeys } from "../frame/keys.ts";
import { useZone } from "../frame/zone.ts";
import { useLiveQuery } from "../live/use-live.ts";
import { Button } from "../parts/button.tsx";
import { countText } from "../parts/durations.ts";
import { Empty, Failed, Loading } from "../parts/panels.tsx";
import { copyLines, rangeOf } from "./copy-lines.ts";
import { foldsOf, type Group, groupsAround, lineAt, rowAt, rowsLeft } from "./folds.ts";
import { HitsList } from "./hits-list.tsx";
import { openLineCache } from "./line-cache.ts";
import { type LogPlace, type LogTarget, logPath, placeIn } from "./log-address.ts";
import { LogBar } from "./log-bar.tsx";
import { LogDiff } from "./log-diff.tsx";
import { gutterCells, LogRow, type TimeLook } from "./log-row.tsx";
import { LogRows, type RowsControl, rowHeight } from "./log-rows.tsx";
import { marksOf, readLine, rowsNeeded } from "./read-line.ts";
import { useLogSearch } from "./use-log-search.ts";
import { useSelectionCopy } from "./use-selection-copy.ts";
import { WholeLine } from "./whole-line.tsx";

export function LogView(props: {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
  readonly task: string;
  /** −1: not mapped. */
  readonly mapIndex: number;
  readonly tryNumber: number;
  readonly place: LogPlace;
  readonly onPlace: (place: LogPlace) => void;
}) {
  const { tenant, dag, run, task, mapIndex, tryNumber, place, onPlace } = props;
  const target = useMemo(
    () => ({ tenant, dag, run, task, mapIndex, tryNumber }),
    [tenant, dag, run, task, mapIndex, tryNumber],
  );
  const { data: facts, error, refetch } = useFacts(target);
  if (facts === undefined)
    return error === null ? (
      <Loading what="The log" />
    ) : (
      <Failed error={error} retry={() => void refetch()} />
    );
  return (
    // What was folded, read and scrolled belongs to one try.
    <OpenLog key={JSON.stringify(target)} {...{ target, facts, place, onPlace }} />
  );
}

const growthMs = 700;

/**
 * While it grows, and while somebody looks, the facts are asked for again by a clock. The live stream tells changes of
 * state, not lines: a notice per flush of every running task would load the way of all tasks for the few logs that
 * are open, and a stream per open log would hold one of the browser's six connections.
 */
function useFacts(target: LogTarget) {
  const queryKey = ["log", "facts", target];
  useLiveQuery([target.tenant], queryKey, {
    everyMs: 300,
    touches: (event) =>
      event.kind === "changes" &&
      event.changes.some(
        (change) =>
          change.dag_id === target.dag &&
          change.run_id === target.run &&
          change.task_id === target.task &&
          change.map_index === target.mapIndex,
      ),
  });
  return useQuery({
    queryKey,
    queryFn: async ({ signal }) => ask<LogFacts>(logPath(target, ""), { signal }),
    refetchInterval: ({ state }) => (state.data?.grows === true ? growthMs : false),
    staleTime: 0,
  });
}

function OpenLog({
  target,
  facts,
  place,
  onPlace,
}: {
  readonly target: LogTarget;
  readonly facts: LogFacts;
  readonly place: LogPlace;
  readonly onPlace: (place: LogPlace) => void;
}) {
  const zone = useZone();
  const client = useQueryClient();
  const [times, setTimes] = useTimes();
  const [cells, setCells] = useState(120);
  const [whole, setWhole] = useState<number | undefined>(undefined);
  const [follow, setFollow] = useState(facts.grows && place.line === undefined);
  const [folded, setFolded] = useState<ReadonlySet<number>>(new Set());
  const [aim, setAim] = useState<number | undefined>(place.line);
  const rows = useRef<RowsControl>(null);
  const findBox = useRef<HTMLInputElement>(null);
  const body = useRef<HTMLDivElement>(null);
  /** At the upper edge. */
  const lastLine = useRef(1);

  const change = (changed: Partial<Record<keyof LogPlace, unknown>>): void =>
    onPlace(placeIn({ ...place, ...changed }));

  const { lines } = facts;
  const filtered = place.level !== undefined && place.level !== "debug";
  const kept = filtered
    ? logLevels
        .slice(logLevels.indexOf(place.level ?? "debug"))
        .reduce((sum, level) => sum + facts.levels[level], 0)
    : lines;
  const groups = useGroups(target, facts);
  const folds = useMemo(
    () => (filtered ? [] : foldsOf(groups, folded, lines)),
    [filtered, groups, folded, lines],
  );
  const count = rowsLeft(folds, kept);
  const cache = useLines(target, filtered ? place.level : undefined);
  const lineOf = (row: number): LogLine | undefined => cache.get(lineAt(folds, row) - 1);

  const search = useLogSearch(target, place, lines);
  const current = search.hits.findIndex(({ line }) => line === place.line);
  const groupAt = useMemo(() => new Map(groups.map((group) => [group.from, group])), [groups]);
  const starts = useMemo(
    () =>
      new Map(
        facts.attempts.length < 2 ? [] : facts.attempts.map(({ from }, nth) => [from, nth + 1]),
      ),
    [facts.attempts],
  );
  const chosen =
    place.line === undefined ? undefined : rangeOf(place.line, place.lineTo ?? place.line, lines);

  // ---- where one is

  const onSight = useCallback(
    (from: number, to: number) => {
      lastLine.current = cache.get(lineAt(folds, from) - 1)?.[0] ?? lastLine.current;
      cache.want(lineAt(folds, from) - 1, lineAt(folds, to) - 1, kept);
    },
    [cache, folds, kept],
  );
  useEffect(() => {
    if (follow && count > 0) rows.current?.toEnd();
  }, [follow, count, place.wrap, cache.version]);
  const told = useRef(place.line);
  useEffect(() => {
    if (place.line !== told.current && place.line !== undefined) setAim(place.line);
    told.current = place.line;
  }, [place.line]);
  const level = useRef(place.level);
  useEffect(() => {
    // Other rows now: one stays where one was in the log.
    if (level.current !== place.level && !follow) setAim(place.line ?? lastLine.current);
    level.current = place.level;
  }, [place.level, place.line, follow]);
  useEffect(() => {
    if (aim === undefined || count === 0) return;
    const around = filtered ? [] : groupsAround(groups, aim).filter(({ from }) => folded.has(from));
    if (around.length > 0) {
      const opened = new Set(folded);
      for (const { from } of around) opened.delete(from);
      setFolded(opened);
      return;
    }
    setAim(undefined);
    if (!filtered) rows.current?.goTo(rowAt(folds, Math.min(aim, lines)));
    else
      void client
        .fetchQuery({
          queryKey: ["log", "row", target, place.level, aim],
          queryFn: async ({ signal }) =>
            ask<LogWindow>(logPath(target, "/lines", { level: place.level, line: aim, count: 1 }), {
              signal,
            }),
        })
        .then((at) => rows.current?.goTo(at.from))
        .catch(() => undefined);
  }, [aim, count, filtered, folds, folded, groups, lines, target, place.level, client]);

  const goTo = (line: number): void => {
    setFollow(false);
    setAim(line);
    told.current = line;
    change({ line, lineTo: undefined });
  };
  const onStep = (by: 1 | -1): void => {
    const { hits } = search;
    if (hits.length === 0) return;
    const from = place.line ?? lineOf(rows.current?.top() ?? 0)?.[0] ?? 1;
    const next =
      by === 1
        ? hits.findIndex(({ line }) => (current < 0 ? line >= from : line > from))
        : hits.findLastIndex(({ line }) => line < from);
    const hit = hits[next >= 0 ? next : by === 1 ? 0 : hits.length - 1];
    if (hit !== undefined) goTo(hit.line);
  };
  const onFirstError = (): void => {
    if (facts.first_error !== null) goTo(facts.first_error);
  };
  const onFollow = (): void => setFollow(!follow);
  const onNumber = useRef((_line: number, _isRange: boolean): void => undefined);
  onNumber.current = (line, isRange) => {
    setFollow(false);
    told.current = isRange ? (place.line ?? line) : line;
    if (isRange && place.line !== undefined) {
      const range = rangeOf(place.line, line, lines);
      told.current = range.from;
      change({ line: range.from, lineTo: range.to === range.from ? undefined : range.to });
    } else if (place.line === line && place.lineTo === undefined) change({ line: undefined });
    else change({ line, lineTo: undefined });
  };
  const onFold = useRef((_line: number): void => undefined);
  onFold.current = (line) => {
    const next = new Set(folded);
    if (!next.delete(line)) next.add(line);
    setFolded(next);
  };
  const isAllFolded = groups.length > 0 && groups.every(({ from }) => folded.has(from));
  const onFoldAll = (): void =>
    setFolded(isAllFolded ? new Set() : new Set(groups.map(({ from }) => from)));

  useKeys("Log", {
    "/": { does: "Find in the whole log", run: () => findBox.current?.select() },
    n: { does: "Next hit", run: () => onStep(1) },
    N: { does: "Previous hit", run: () => onStep(-1) },
    e: { does: "First error", run: onFirstError },
    f: { does: "Follow the end, or stay", run: onFollow },
    w: { does: "Wrap long lines, or not", run: () => change({ wrap: place.wrap !== true }) },
    // One g alone would take the frame's "g d", "g r" … away.
    "g g": {
      does: "Top of the log",
      run: () => {
        setFollow(false);
        rows.current?.goTo(0);
      },
    },
    G: { does: "End of the log", run: () => rows.current?.toEnd() },
  });
  useSelectionCopy(body, lines, (range) => void copyLines(target, range));

  // ---- what is drawn

  const gutter = gutterCells(lines, times);
  const textCells = Math.max(20, cells - gutter - 2);
  const linesOfRow = (row: number): number => {
    const line = lineOf(row);
    return line === undefined ? 1 : rowsNeeded(bareText(line[4]), textCells);
  };
  const widest = useRef(0);
  const since = facts.attempts[0]?.started_at;
  const draw = (row: number) => {
    const line = lineOf(row);
    if (line === undefined)
      return (
        <div className="flex px-2 text-muted" style={{ height: rowHeight }}>
          …
        </div>
      );
    const [number] = line;
    const bare = bareText(line[4]);
    widest.current = Math.max(widest.current, bare.length + (line[5] === null ? 2 : 40));
    const find = place.find ?? "";
    const marks =
      search.byLine.get(number)?.marks ??
      (find === "" || place.regexp === true ? [] : marksOf(bare, find, place.caps === true));
    const group = filtered ? undefined : groupAt.get(number);
    return (
      <LogRow
        line={line}
        lines={lines}
        pieces={
          group === undefined || marks.length > 0
            ? readLine(line[4], marks)
            : [{ text: group.title }]
        }
        cells={place.wrap === true ? textCells : undefined}
        times={times}
        zone={zone}
        since={since === null || since === undefined ? (line[1] ?? 0) : Date.parse(String(since))}
        look={
          chosen !== undefined && number >= chosen.from && number <= chosen.to ? "chosen" : "plain"
        }
        begins={starts.get(number)}
        group={group}
        isFolded={folded.has(number)}
        onFold={(at) => onFold.current(at)}
        onNumber={(at, isRange) => onNumber.current(at, isRange)}
        onWhole={setWhole}
      />
    );
  };

  const problem = cache.problem();
  return (
    <div ref={body} className="@container flex min-h-64 min-w-0 grow basis-0 flex-col">
      <LogBar
        {...{
          target,
          facts,
          place,
          change,
          search,
          current,
          findBox,
          onStep,
          onFirstError,
          follow,
          onFollow,
        }}
        {...{ times, onTimes: setTimes, groups: groups.length, onFoldAll, isAllFolded }}
      />
      <Attempts facts={facts} onGo={goTo} />
      {chosen !== undefined && chosen.to > chosen.from && (
        <div className="flex items-center gap-2 border-b border-line bg-accent-soft px-3 py-1 text-sm">
          Lines {countText(chosen.from)} to {countText(chosen.to)} are selected.
          <Button className="h-6" onClick={() => void copyLines(target, chosen)}>
            Copy {countText(chosen.to - chosen.from + 1)} lines
          </Button>
          <Button
            className="h-6"
            look="quiet"
            onClick={() => change({ line: undefined, lineTo: undefined })}
          >
            Clear
          </Button>
        </div>
      )}
      {search.problem !== undefined && (
        <p
          role="alert"
          className="border-b border-line bg-danger-soft px-3 py-1 text-sm text-danger"
        >
          {search.problem}
        </p>
      )}
      {problem !== undefined && (
        <p
          role="alert"
          className="border-b border-line bg-danger-soft px-3 py-1 text-sm text-danger"
        >
          These lines could not be read:{" "}
          {problem instanceof Error ? problem.message : "the server did not answer"}
        </p>
      )}
      {place.against !== undefined && place.against !== target.tryNumber ? (
        <LogDiff
          target={target}
          against={place.against}
          onLine={(line) => change({ line, lineTo: undefined, against: undefined })}
        />
      ) : lines === 0 ? (
        <NoLines facts={facts} tryNumber={target.tryNumber} />
      ) : (
        <div className="flex min-h-0 min-w-0 grow basis-0 flex-col-reverse @3xl:flex-row">
          {count === 0 ? (
            <div className="grow">
              <Empty
                title={`No line is ${place.level ?? ""}${place.level === "critical" ? "" : " or worse"}.`}
              >
                <Button onClick={() => change({ level: undefined })}>Show all levels</Button>
              </Empty>
            </div>
          ) : (
            <LogRows
              label={`Log of ${target.task}, try ${String(target.tryNumber)}`}
              count={count}
              linesOf={place.wrap === true ? linesOfRow : undefined}
              cells={gutter + widest.current}
              onCells={setCells}
              row={draw}
              onSight={onSight}
              onScrolled={(isAtEnd) => setFollow(isAtEnd && facts.grows)}
              control={rows}
            />
          )}
          {search.hits.length > 0 && (
            <HitsList
              search={search}
              current={current}
              onGo={(hit) => goTo(hit.line)}
              onMore={search.goOn}
            />
          )}
        </div>
      )}
      <Announced follow={follow} facts={facts} search={search} />
      {whole !== undefined && (
        <WholeLine target={target} line={whole} onClose={() => setWhole(undefined)} />
      )}
    </div>
  );
}

/** Said aloud: not each line, but what one waits for. */
function Announced({
  follow,
  facts,
  search,
}: {
  readonly follow: boolean;
  readonly facts: LogFacts;
  readonly search: { readonly state: string; readonly hits: readonly unknown[] };
}) {
  const words = [
    follow ? "Following the end of the log." : "",
    !facts.grows && facts.lines > 0 ? "The log has ended." : "",
    search.state === "done" ? `Found in ${countText(search.hits.length)} lines.` : "",
  ];
  return (
    <p role="status" className="sr-only">
      {words.join(" ")}
    </p>
  );
}

/** A try whose worker died went on in another attempt: where each begins, and why it ended. */
function Attempts({
  facts,
  onGo,
}: {
  readonly facts: LogFacts;
  readonly onGo: (line: number) => void;
}) {
  if (facts.attempts.length < 2 && facts.attempts[0]?.archived !== true) return null;
  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-1 text-sm text-muted">
      {facts.attempts.map((attempt, nth) => (
        <span key={attempt.from + nth * 1e10} className="flex items-center gap-1">
          {attempt.archived || attempt.lines === 0 ? (
            <span>Attempt {nth + 1}</span>
          ) : (
            <button
              type="button"
              className="text-accent underline"
              onClick={() => onGo(attempt.from)}
            >
              Attempt {nth + 1}
            </button>
          )}
          <span>
            {attempt.archived
              ? "is archived: “Download” has it"
              : `${countText(attempt.lines)} lines${attempt.outcome === null ? "" : `, ${attempt.outcome.replaceAll("_", " ")}`}`}
          </span>
          {attempt.reason !== null && (
            <span className="tenant-text max-w-96 truncate" title={attempt.reason}>
              ({attempt.reason})
            </span>
          )}
        </span>
      ))}
    </div>
  );
}

function NoLines({ facts, tryNumber }: { readonly facts: LogFacts; readonly tryNumber: number }) {
  const last = facts.attempts.at(-1);
  if (last?.archived === true)
    return (
      <Empty title="This log is archived.">
        <p>“Download” has all of it; it is no longer shown here line by line.</p>
      </Empty>
    );
  if (last === undefined || last.state === "admitted")
    return (
      <Empty
        title={
          facts.grows || facts.state === null
            ? "It has not started yet."
            : `Try ${String(tryNumber)} never ran.`
        }
      >
        <p>
          {facts.grows || facts.state === null
            ? "What the task prints and logs is shown here line by line, as soon as it runs."
            : "It ended without being started: it was skipped, marked by a person, or an upstream task failed. There is nothing to show."}
        </p>
      </Empty>
    );
  if (last.state === "running")
    return (
      <Empty title="It runs, and has not said anything yet.">
        <p>What it prints to stdout or stderr, or logs, appears here within a second.</p>
      </Empty>
    );
  return (
    <Empty
      title={
        last.outcome === "lost" ? "Its worker died before it said anything." : "It said nothing."
      }
    >
      {last.reason !== null && <p className="tenant-text">{last.reason}</p>}
      <p>
        The task ended without a line. Whatever it prints to stdout or stderr, or logs, would be
        here.
      </p>
    </Empty>
  );
}

function useGroups(target: LogTarget, facts: LogFacts): readonly Group[] {
  const { data } = useQuery({
    // Asked for again when a group began or ended, not with each line.
    queryKey: ["log", "groups", target, facts.group_chunks],
    queryFn: async ({ signal }) => ask<LogGroups>(logPath(target, "/groups"), { signal }),
    enabled: facts.group_chunks > 0,
    placeholderData: (before) => before,
  });
  return data?.groups ?? noGroups;
}
const noGroups: readonly Group[] = [];

function useLines(target: LogTarget, level: LogPlace["level"]) {
  const [version, changed] = useReducer((n: number) => n + 1, 0);
  const cache = useMemo(
    () =>
      openLineCache<LogLine>({
        read: async (from, count, signal) =>
          (await ask<LogWindow>(logPath(target, "/lines", { from, count, level }), { signal }))
            .lines,
        onChange: changed,
      }),
    [target, level],
  );
  useEffect(() => () => cache.close(), [cache]);
  return useMemo(() => ({ ...cache, version }), [cache, version]);
}

const timesKey = "airlock.log.times";
function useTimes(): readonly [TimeLook, (times: TimeLook) => void] {
  const [times, setTimes] = useState<TimeLook>(() => {
    const kept = localStorage.getItem(timesKey);
    return kept === "since" || kept === "none" ? kept : "clock";
  });
  return [
    times,
    (chosen) => {
      localStorage.setItem(timesKey, chosen);
      setTimes(chosen);
    },
  ];
}
