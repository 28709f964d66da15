/**
 * The log of one try for the page: facts, windows of lines by number, groups, a search of all of it, and the text.
 * Nothing here reads a log as a whole: sums run over its chunks' rows, and text is read a slice at a time.
 */
import { z } from "zod";
import {
  bareText,
  type LogLevel,
  logLevels,
  rankOf,
  readStoredLine,
  rowsOf,
  terminalText,
} from "../../model/log-text.ts";
import {
  type AttemptLogFacts,
  type LogRef,
  listLoggedTries,
  type PlacedChunk,
  readGroupChunks,
  readLogFacts,
  readPlacedChunks,
  readSearchChunks,
} from "../../store/read-logs.ts";
import { instanceOf, tryNumber } from "../airflow/task-instances.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { flag, text, whole } from "../fields.ts";
import { invalid, notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";
import {
  checkExpression,
  type Matcher,
  needleOf,
  openMatcher,
  type Sought,
} from "./match-lines.ts";

const tag = "Log";
const base = `${ui}/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/tries/{try_number}/log`;
const policy = { deed: "log.read", on: "dag:{dag_id}" } as const;
const mapIndex = whole(-1, 2_147_483_647).default(-1);
const lineNumber = whole(1, 2_147_483_647);
const level = z.enum(logLevels).default("debug");

const windowMax = 2_000;
/** Of a line in a window; the whole one is behind `log/line`. */
const lineTextMax = 4_000;
const windowBytesMax = 8_000_000;
const groupsMax = 5_000;
const hitsMax = 10_000;
const searchMsMax = 120_000;

const levelCounts = z.object({
  debug: z.int(),
  info: z.int(),
  warning: z.int(),
  error: z.int(),
  critical: z.int(),
});
const logAttempt = z.object({
  /** Its first line's number in the try. */
  from: z.int(),
  lines: z.int(),
  state: z.enum(["admitted", "running", "ended"]),
  outcome: z.string().nullable(),
  reason: z.string().nullable(),
  host: z.string().nullable(),
  started_at: z.date().nullable(),
  ended_at: z.date().nullable(),
  /** Its lines lie in an archive: they are in the text, not in windows and searches. */
  archived: z.boolean(),
});
const logFacts = z.object({
  /** Of the task instance, now. */
  state: z.string().nullable(),
  try_number: z.int(),
  lines: z.int(),
  bytes: z.int(),
  levels: levelCounts,
  first_error: z.int().nullable(),
  /** Rises when a group begins or ends in what came. */
  group_chunks: z.int(),
  /** More may come. */
  grows: z.boolean(),
  attempts: z.array(logAttempt),
  /** Tries that have an attempt, newest first. */
  tries: z.array(z.int()),
});
export type LogFacts = z.output<typeof logFacts>;

/** [line number, epoch ms, level, source, text, length of the whole text if it was cut]. */
const logLine = z.tuple([
  z.int(),
  z.number().nullable(),
  z.enum(logLevels),
  z.string(),
  z.string(),
  z.int().nullable(),
]);
const logWindow = z.object({
  /** Row of the first one among those at or above the level, from 0. */
  from: z.int(),
  lines: z.array(logLine),
});
export type LogLine = z.output<typeof logLine>;
export type LogWindow = z.output<typeof logWindow>;

const lineText = z.object({
  line: z.int(),
  from: z.int(),
  length: z.int(),
  text: z.string(),
});
export type LineText = z.output<typeof lineText>;

const logGroups = z.object({
  /** `to`: the line of its end, or null while it is open. */
  groups: z.array(
    z.object({ from: z.int(), to: z.int().nullable(), depth: z.int(), title: z.string() }),
  ),
  /** Where to go on; null: these were all. */
  more: z.int().nullable(),
});
export type LogGroups = z.output<typeof logGroups>;

const searchEvent = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("hit"),
    line: z.int(),
    at: z.number().nullable(),
    level: z.enum(logLevels),
    text: z.string(),
    from: z.int(),
    marks: z.array(z.tuple([z.int(), z.int()]).readonly()).readonly(),
  }),
  /** Searched up to this line. */
  z.object({ kind: z.literal("progress"), line: z.int() }),
  /** `more`: the line after which to go on; null: all was searched. */
  z.object({ kind: z.literal("end"), hits: z.int(), more: z.int().nullable() }),
  /** It could not be searched further than to line `more`. */
  z.object({ kind: z.literal("problem"), message: z.string(), more: z.int() }),
]);
export type SearchEvent = z.output<typeof searchEvent>;

export const logEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: base,
      tag,
      summary: "How long the log of a try is, of what levels, and whether it grows",
      policy,
      query: { map_index: mapIndex },
      answers: { 200: logFacts },
    },
    async (ask) => json(200, await factsOf(ask, ask.query.map_index)),
  ),
  endpoint(
    {
      method: "GET",
      path: `${base}/lines`,
      tag,
      summary: "A window of the log's lines, counted among those at or above a level",
      policy,
      query: {
        map_index: mapIndex,
        level,
        from: whole(0, 2_147_483_647).default(0),
        count: whole(1, windowMax).default(500),
        /** Instead of `from`: the first one at or after this line. */
        line: lineNumber.optional(),
      },
      answers: { 200: logWindow },
    },
    async (ask) => {
      const { ref } = await refOf(ask, ask.query.map_index);
      return json(200, await windowOf(ask, ref, ask.query));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${base}/line`,
      tag,
      summary: "The text of one line, however long, in pieces",
      policy,
      query: {
        map_index: mapIndex,
        line: lineNumber,
        from: whole(0, 2_147_483_647).default(0),
        count: whole(1, 100_000).default(100_000),
      },
      answers: { 200: lineText },
    },
    async (ask) => {
      const { ref } = await refOf(ask, ask.query.map_index);
      const { line, from, count } = ask.query;
      const [chunk] = await ask.tx((tx) =>
        readPlacedChunks(tx, ref, {
          level: "debug",
          by: "line",
          from: line - 1,
          to: line,
          bytesMax: 1,
        }),
      );
      const row = chunk === undefined ? undefined : rowsOf(chunk.text)[line - 1 - chunk.start];
      if (row === undefined) throw notFound("The log has no such line");
      const all = readStoredLine(row).text;
      return json(200, { line, from, length: all.length, text: all.slice(from, from + count) });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${base}/groups`,
      tag,
      summary: "Where the log's ::group:: and ::endgroup:: are",
      policy,
      query: { map_index: mapIndex, from: lineNumber.default(1) },
      answers: { 200: logGroups },
    },
    async (ask) => {
      const { ref } = await refOf(ask, ask.query.map_index);
      const chunks = await ask.tx((tx) =>
        readGroupChunks(tx, ref, { fromLine: ask.query.from - 1, bytesMax: 4 * windowBytesMax }),
      );
      return json(200, groupsOf(chunks, ask.query.from));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${base}/search`,
      tag,
      summary: "Searches all of a try's log; hits come as they are found, one JSON a line",
      policy,
      query: {
        map_index: mapIndex,
        find: text(300).min(1),
        regexp: flag.default(false),
        caps: flag.default(false),
        level,
        after: whole(0, 2_147_483_647).default(0),
        limit: whole(1, hitsMax).default(hitsMax),
      },
      answers: { 200: searchEvent },
    },
    async (ask) => {
      const { find, regexp, caps, after, limit } = ask.query;
      if (regexp) {
        const checked = checkExpression(find);
        if (!checked.ok) throw invalid("find", checked.problem, "query");
      }
      const { ref } = await refOf(ask, ask.query.map_index);
      const sought: Sought = { find, regexp, caps, level: ask.query.level };
      const matcher = openMatcher(sought);
      return streamed(
        "application/x-ndjson",
        searchEvents(ask, ref, sought, matcher, { after, limit }),
        (events) => events.map((event) => `${JSON.stringify(event)}\n`).join(""),
        // Not only after the next slice: a slow expression has no next one.
        { onGone: () => matcher.close() },
      );
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${base}/text`,
      tag,
      summary: "The log's text, with the colours of a terminal; all of it, or a range of lines",
      policy,
      query: {
        map_index: mapIndex,
        from: lineNumber.default(1),
        to: lineNumber.optional(),
        /** Each line begins with its time and level. */
        times: flag.default(false),
        colours: flag.default(true),
        /** To be saved, not shown. */
        save: flag.default(false),
      },
      answers: { 200: z.string() },
    },
    async (ask) => {
      const { ref } = await refOf(ask, ask.query.map_index);
      const { from, to = 2_147_483_647, times, colours, save } = ask.query;
      const named = `${ask.params["dag_id"] ?? ""}.${ref.taskId}.${ref.tryNumber}.log`;
      const safe = named.replace(/[^\w.+-]/g, "_").slice(-150);
      return streamed(
        "text/plain; charset=utf-8",
        textPieces(ask, ref, { from, to, times, colours }),
        (piece) => piece,
        { headers: save ? { "content-disposition": `attachment; filename="${safe}"` } : {} },
      );
    },
  ),
];

async function refOf(
  ask: Ask<unknown, unknown>,
  index: number,
): Promise<{ ref: LogRef; state: string | null; current: number }> {
  const row = await instanceOf(ask, index);
  return {
    ref: { run: row.run, taskId: row.task_id, mapIndex: row.map_index, tryNumber: tryNumber(ask) },
    state: row.state,
    current: row.try_number,
  };
}

// ---- facts

/** States in which the current try may still write, or gets another attempt. */
const mayWrite = new Set([
  "scheduled",
  "queued",
  "running",
  "restarting",
  "deferred",
  "up_for_reschedule",
]);

async function factsOf(ask: Ask<unknown, unknown>, index: number): Promise<LogFacts> {
  const { ref, state, current } = await refOf(ask, index);
  const { attempts, tries, firstError } = await ask.tx(async (tx) => {
    const [facts, others] = await Promise.all([readLogFacts(tx, ref), listLoggedTries(tx, ref)]);
    const hasError = facts.some(({ errors, criticals }) => errors + criticals > 0);
    const [chunk] = hasError
      ? await readPlacedChunks(tx, ref, { level: "error", by: "kept", from: 0, to: 1, bytesMax: 1 })
      : [];
    return { attempts: facts, tries: others, firstError: chunk };
  });
  const shown: z.output<typeof logAttempt>[] = [];
  let lines = 0;
  for (const one of attempts) {
    const kept = one.log_object === null ? one.lines : 0;
    shown.push({
      from: lines + 1,
      lines: kept,
      state: one.state,
      outcome: one.outcome,
      reason: one.reason,
      host: one.host,
      started_at: one.started_at,
      ended_at: one.ended_at,
      archived: one.log_object !== null,
    });
    lines += kept;
  }
  return {
    state,
    try_number: current,
    lines,
    bytes: sumOf(attempts, "bytes"),
    levels: levelsOf(attempts, lines),
    first_error: firstError === undefined ? null : firstKept(firstError, "error"),
    group_chunks: sumOf(attempts, "group_chunks"),
    grows:
      attempts.some((one) => one.state !== "ended") ||
      (ref.tryNumber >= current && state !== null && mayWrite.has(state)),
    attempts: shown,
    tries: tries.map((one) => one.try_number),
  };
}

type Counted = "bytes" | "debugs" | "warnings" | "errors" | "criticals" | "group_chunks";
const sumOf = (attempts: readonly AttemptLogFacts[], field: Counted): number =>
  attempts.reduce((sum, one) => sum + (one.log_object === null ? one[field] : 0), 0);

function levelsOf(attempts: readonly AttemptLogFacts[], lines: number): LogFacts["levels"] {
  const [debug, warning, error, critical] = (
    ["debugs", "warnings", "errors", "criticals"] as const
  ).map((field) => sumOf(attempts, field)) as [number, number, number, number];
  return { debug, info: lines - debug - warning - error - critical, warning, error, critical };
}

function firstKept({ text: chunk, start }: PlacedChunk, least: LogLevel): number | null {
  const at = rowsOf(chunk).findIndex((row) => rankOf(readStoredLine(row).level) >= rankOf(least));
  return at < 0 ? null : start + at + 1;
}

// ---- windows

async function windowOf(
  ask: Ask<unknown, unknown>,
  ref: LogRef,
  query: { level: LogLevel; from: number; count: number; line?: number | undefined },
): Promise<LogWindow> {
  const byLine = query.line !== undefined;
  const from = byLine ? (query.line ?? 1) - 1 : query.from;
  const least = rankOf(query.level);
  const lines: LogLine[] = [];
  let first: number | undefined;
  const chunks = await ask.tx((tx) =>
    readPlacedChunks(tx, ref, {
      level: query.level,
      by: byLine ? "line" : "kept",
      from,
      // By line nobody knows how far the next kept one is: the bytes are the bound.
      to: byLine
        ? query.level === "debug"
          ? from + query.count
          : 2_147_483_647
        : from + query.count,
      bytesMax: windowBytesMax,
    }),
  );
  for (const chunk of chunks) {
    let line = chunk.start;
    let kept = chunk.kept_start;
    for (const row of rowsOf(chunk.text)) {
      line += 1;
      const read = readStoredLine(row);
      if (rankOf(read.level) < least) continue;
      kept += 1;
      if ((byLine ? line : kept) <= from) continue;
      first ??= kept - 1;
      lines.push([
        line,
        read.at,
        read.level,
        read.source,
        read.text.slice(0, lineTextMax),
        read.text.length > lineTextMax ? read.text.length : null,
      ]);
      if (lines.length >= query.count) return { from: first, lines };
    }
  }
  return { from: first ?? (byLine ? 0 : query.from), lines };
}

// ---- groups

function groupsOf(
  chunks: readonly { start: number; lines: number; text: string }[],
  from: number,
): LogGroups {
  const groups: { from: number; to: number | null; depth: number; title: string }[] = [];
  const open: number[] = [];
  for (const chunk of chunks) {
    let line = chunk.start;
    for (const row of rowsOf(chunk.text)) {
      line += 1;
      if (line < from || !row.includes("group::")) continue;
      const bare = bareText(readStoredLine(row).text).trimStart();
      if (bare.startsWith("::group::")) {
        if (groups.length >= groupsMax) return { groups, more: line };
        open.push(groups.length);
        const title = bare.slice("::group::".length).trim().slice(0, 300);
        groups.push({ from: line, to: null, depth: open.length - 1, title });
      } else if (bare.startsWith("::endgroup::")) {
        const ended = groups[open.pop() ?? -1];
        if (ended !== undefined) ended.to = line;
      }
    }
  }
  return { groups, more: null };
}

// ---- search

/** Chunks come in slices that grow: the first hits at once, then as much as is quick to match. */
const firstSlice = 4;
const sliceBytes = 2_000_000;

async function* searchEvents(
  ask: Ask<unknown, unknown>,
  ref: LogRef,
  sought: Sought,
  matcher: Matcher,
  { after, limit }: { after: number; limit: number },
): AsyncGenerator<readonly SearchEvent[]> {
  const until = performance.now() + searchMsMax;
  // Where capitals do not matter, or colours and letters beyond ASCII may stand between, the database cannot say no.
  const isExact = !sought.regexp && (sought.caps || !/[a-z]/i.test(sought.find));
  const needle = isExact ? needleOf(sought.find) : null;
  let found = 0;
  let told = performance.now();
  let start = 0;
  try {
    for (const attempt of await ask.tx((tx) => readLogFacts(tx, ref))) {
      if (attempt.log_object !== null) continue;
      const end = start + attempt.lines;
      if (end <= after) {
        start = end;
        continue;
      }
      let place = { seq: -1, start };
      if (after > start) {
        const [chunk] = await ask.tx((tx) =>
          readPlacedChunks(tx, ref, {
            level: "debug",
            by: "line",
            from: after,
            to: after + 1,
            bytesMax: 1,
          }),
        );
        if (chunk?.attempt === attempt.attempt) place = { seq: chunk.seq - 1, start: chunk.start };
      }
      const read = async (afterSeq: number, slice: number) =>
        ask.tx((tx) =>
          readSearchChunks(tx, {
            attempt: attempt.attempt,
            afterSeq,
            limit: slice,
            level: sought.level,
            needle,
          }),
        );
      let slice = firstSlice;
      let next = read(place.seq, slice);
      // Unhandled, a failure of the slice read ahead would end the process while this one is still matched.
      next.catch(() => undefined);
      for (;;) {
        const rows = await next;
        const last = rows.at(-1);
        if (last === undefined) break;
        slice = sliceAfter(rows, slice);
        next = read(last.seq, slice);
        next.catch(() => undefined);
        const chunks: { start: number; text: string }[] = [];
        let line = place.start;
        for (const { lines, text: chunk } of rows) {
          if (chunk !== null) chunks.push({ start: line, text: chunk });
          line += lines;
        }
        const matched = await matcher.match(chunks, after, limit - found);
        if (!matched.ok) {
          yield [{ kind: "problem", message: matched.problem, more: place.start }];
          return;
        }
        found += matched.value.length;
        if (matched.value.length > 0) yield matched.value.map((hit) => ({ kind: "hit", ...hit }));
        if (found >= limit) {
          yield [{ kind: "end", hits: found, more: matched.value.at(-1)?.line ?? line }];
          return;
        }
        place = { seq: last.seq, start: line };
        if (performance.now() > until) {
          yield [{ kind: "end", hits: found, more: line }];
          return;
        }
        if (performance.now() - told > 200) {
          told = performance.now();
          yield [{ kind: "progress", line }];
        }
      }
      start = place.start;
    }
    yield [{ kind: "end", hits: found, more: null }];
  } finally {
    matcher.close();
  }
}

function sliceAfter(rows: readonly { text: string | null }[], slice: number): number {
  const bytes = rows.reduce((sum, { text: chunk }) => sum + (chunk?.length ?? 0), 0);
  if (bytes === 0) return Math.min(slice * 2, 256);
  return Math.max(4, Math.min(2_000, slice * 4, Math.ceil((sliceBytes * rows.length) / bytes)));
}

// ---- text

async function* textPieces(
  ask: Ask<unknown, unknown>,
  ref: LogRef,
  query: { from: number; to: number; times: boolean; colours: boolean },
): AsyncGenerator<string> {
  const write = (row: string): string => {
    const { at, level: of, text: said } = readStoredLine(row);
    const words = query.colours ? terminalText(said) : bareText(said);
    if (!query.times) return `${words}\n`;
    return `${at === null ? "-" : timeOf(at)} ${of.toUpperCase()} ${words}\n`;
  };
  let start = 0;
  for (const attempt of await ask.tx((tx) => readLogFacts(tx, ref))) {
    if (attempt.log_object !== null) {
      // Its lines have no numbers in windows, so only a text of everything holds them.
      if (query.from > 1 || query.to < 2_147_483_647) continue;
      let byte: number | undefined = 0;
      while (byte !== undefined) {
        const piece = await ask.deps.readArchivedLog(attempt.log_object, byte);
        yield rowsOf(piece.text).map(write).join("");
        byte = piece.next;
      }
      continue;
    }
    let place = { seq: -1, start };
    if (query.from - 1 > start) {
      if (query.from - 1 >= start + attempt.lines) {
        start += attempt.lines;
        continue;
      }
      const [chunk] = await ask.tx((tx) =>
        readPlacedChunks(tx, ref, {
          level: "debug",
          by: "line",
          from: query.from - 1,
          to: query.from,
          bytesMax: 1,
        }),
      );
      if (chunk?.attempt === attempt.attempt) place = { seq: chunk.seq - 1, start: chunk.start };
    }
    for (let slice = firstSlice; place.start < query.to; ) {
      const rows = await ask.tx((tx) =>
        readSearchChunks(tx, {
          attempt: attempt.attempt,
          afterSeq: place.seq,
          limit: slice,
          level: "debug",
          needle: null,
        }),
      );
      const last = rows.at(-1);
      if (last === undefined) break;
      slice = sliceAfter(rows, slice);
      let line = place.start;
      let piece = "";
      for (const { lines, text: chunk } of rows) {
        const first = Math.max(0, query.from - 1 - line);
        piece += rowsOf(chunk ?? "")
          .slice(first, Math.max(first, query.to - line))
          .map(write)
          .join("");
        line += lines;
      }
      place = { seq: last.seq, start: line };
      if (piece !== "") yield piece;
    }
    start = place.start;
  }
}

/** A line's time is what the task said: one that no date can hold must not end the download. */
const timeOf = (at: number): string =>
  Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : String(at);

// ---- streams

/** As fast as it is taken; when the reader goes, the generator ends at its next step, and with it its work. */
function streamed<T>(
  contentType: string,
  events: AsyncGenerator<T>,
  write: (event: T) => string,
  {
    headers = {},
    onGone = () => undefined,
  }: { readonly headers?: Readonly<Record<string, string>>; readonly onGone?: () => void } = {},
): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await events.next();
      if (next.done === true) controller.close();
      else controller.enqueue(encoder.encode(write(next.value)));
    },
    async cancel() {
      onGone();
      await events.return(undefined);
    },
  });
  return new Response(body, { headers: { "content-type": contentType, ...headers } });
}
