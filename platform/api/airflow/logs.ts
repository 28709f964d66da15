import { isObject } from "../../model/json.ts";
import { type LoggedAttempt, listLoggedAttempts, readLogChunks } from "../../store/read-logs.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { flag, text, whole } from "../fields.ts";
import { badRequest } from "../problem.ts";
import { json } from "../reply.ts";
import { api } from "./base.ts";
import { taskLog } from "./shapes.ts";
import { instanceOf, tryNumber } from "./task-instances.ts";

/** Where a reader is: in which attempt of the try, after which chunk, or from which byte of its archive on. */
type Cursor = { readonly attempt: number; readonly seq: number; readonly byte: number };
const start: Cursor = { attempt: 0, seq: -1, byte: 0 };

type Line = { timestamp: string | null; event: string; level: string; source: string };
type Piece = { readonly lines: readonly Line[]; readonly next: Cursor; readonly more: boolean };

const chunksPerPage = 100;
const pageBytes = 1_000_000;

export const logEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${api}/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/logs/{try_number}`,
      tag: "Task Instance",
      summary:
        "The log of one try: JSON in pages, or as a stream (application/x-ndjson, text/plain)",
      policy: { deed: "log.read", on: "dag:{dag_id}" },
      query: {
        map_index: whole(-1, 2_147_483_647).default(-1),
        full_content: flag.default(false),
        token: text(500).optional(),
      },
      answers: { 200: taskLog },
    },
    async (ask) => {
      const row = await instanceOf(ask, ask.query.map_index);
      const reading = {
        ask,
        ref: {
          run: row.run,
          taskId: row.task_id,
          mapIndex: row.map_index,
          tryNumber: tryNumber(ask),
        },
      };
      const cursor = ask.query.token === undefined ? start : readToken(ask.query.token);
      const accept = ask.request.headers.get("accept") ?? "";
      if (accept.startsWith("application/x-ndjson"))
        return streamed(reading, cursor, "application/x-ndjson", (line) => JSON.stringify(line));
      if (accept.startsWith("text/plain"))
        return streamed(reading, cursor, "text/plain; charset=utf-8", asText);
      return json(200, await paged(reading, cursor, ask.query.full_content));
    },
  ),
];

type Reading = {
  readonly ask: Ask<unknown, unknown>;
  readonly ref: { run: string; taskId: string; mapIndex: number; tryNumber: number };
};

async function paged(
  reading: Reading,
  from: Cursor,
  whole_: boolean,
): Promise<{ content: readonly Line[]; continuation_token: string | null }> {
  const content: Line[] = [];
  let cursor = from;
  // The whole log, at once: bounded all the same, since it is held in memory; the rest is behind the token.
  for (let pieces = 0; pieces < (whole_ ? 20 : 1); pieces++) {
    const piece = await readPiece(reading, cursor);
    content.push(...piece.lines);
    cursor = piece.next;
    if (!piece.more) return { content, continuation_token: null };
    if (piece.lines.length === 0) break;
  }
  return { content, continuation_token: writeToken(cursor) };
}

/** To the end that the log has now, a piece at a time, as fast as the reader takes it. */
function streamed(
  reading: Reading,
  from: Cursor,
  contentType: string,
  write: (line: Line) => string,
): Response {
  let cursor = from;
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const piece = await readPiece(reading, cursor);
      if (piece.lines.length > 0)
        controller.enqueue(encoder.encode(piece.lines.map((line) => `${write(line)}\n`).join("")));
      cursor = piece.next;
      if (!piece.more || piece.lines.length === 0) controller.close();
    },
  });
  return new Response(body, {
    headers: { "content-type": contentType, "content-disposition": "inline" },
  });
}

/** `more`: there is, or there may come, something after it. */
async function readPiece({ ask, ref }: Reading, cursor: Cursor): Promise<Piece> {
  const attempts = await ask.tx((tx) => listLoggedAttempts(tx, ref));
  for (let at = cursor; ; at = { attempt: at.attempt + 1, seq: -1, byte: 0 }) {
    const attempt = attempts[at.attempt];
    if (!attempt) return { lines: [], next: at, more: false };
    const piece = await readAttempt(ask, attempt, at);
    const isLast = at.attempt >= attempts.length - 1;
    if (piece.lines.length > 0)
      return { ...piece, more: piece.more || !isLast || attempt.state !== "ended" };
    if (isLast) return { lines: [], next: piece.next, more: attempt.state !== "ended" };
  }
}

async function readAttempt(
  ask: Ask<unknown, unknown>,
  attempt: LoggedAttempt,
  at: Cursor,
): Promise<Piece> {
  if (attempt.log_object !== null) {
    const { text: archived, next } = await ask.deps.readArchivedLog(attempt.log_object, at.byte);
    return next === undefined
      ? {
          lines: readLines(archived),
          next: { attempt: at.attempt + 1, seq: -1, byte: 0 },
          more: false,
        }
      : { lines: readLines(archived), next: { ...at, byte: next }, more: true };
  }
  const chunks = await ask.tx((tx) => readLogChunks(tx, attempt.attempt, at.seq, chunksPerPage));
  const lines: Line[] = [];
  let seq = at.seq;
  let bytes = 0;
  for (const chunk of chunks) {
    lines.push(...readLines(chunk.text));
    seq = chunk.seq;
    bytes += chunk.text.length;
    if (bytes > pageBytes) break;
  }
  return {
    lines,
    next: { ...at, seq },
    more: seq !== (chunks.at(-1)?.seq ?? at.seq) || chunks.length === chunksPerPage,
  };
}

function readLines(chunk: string): Line[] {
  return chunk.split("\n").flatMap((line) => {
    if (line === "") return [];
    const raw = tryJson(line);
    if (!Array.isArray(raw)) return [];
    const [at, level, source, event] = raw as unknown[];
    return [
      {
        timestamp: typeof at === "number" ? new Date(at).toISOString() : null,
        event: typeof event === "string" ? event : "",
        level: typeof level === "string" ? level : "info",
        source: typeof source === "string" ? source : "task",
      },
    ];
  });
}

const asText = (line: Line): string =>
  `[${line.timestamp ?? ""}] {${line.source}} ${line.level.toUpperCase()} - ${line.event}`;

const writeToken = (cursor: Cursor): string =>
  Buffer.from(JSON.stringify(cursor)).toString("base64url");

/** A token is only a place: a forged one reads the same log from elsewhere, nothing more. */
function readToken(token: string): Cursor {
  const raw = tryJson(Buffer.from(token, "base64url").toString("utf8"));
  const index = (value: unknown, min: number): number => {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > 2 ** 52)
      throw badRequest("token is not one that this log gave");
    return value;
  };
  if (!isObject(raw)) throw badRequest("token is not one that this log gave");
  return {
    attempt: index(raw["attempt"], 0),
    seq: Math.min(index(raw["seq"], -1), 2_147_483_647),
    byte: index(raw["byte"], 0),
  };
}

function tryJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
