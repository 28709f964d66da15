/**
 * Finds what was asked for in chunks of a log. Plain text is looked for here, a slice at a time; a regular expression
 * in a thread, by an engine without backtracking: it is linear in the text, but a person may write one that is slow
 * all the same, and a thread can be ended in the middle of it.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { RE2JS } from "re2js";
import { type Answer, bad, good } from "../../model/answer.ts";
import {
  bareText,
  type LogLevel,
  logLevels,
  rankOf,
  readStoredLine,
  rowsOf,
} from "../../model/log-text.ts";

export type Sought = {
  readonly find: string;
  readonly regexp: boolean;
  /** Whether capitals matter. */
  readonly caps: boolean;
  readonly level: LogLevel;
};

/** `start`: how many lines are before it. */
export type MatchChunk = { readonly start: number; readonly text: string };

export type Hit = {
  /** Of the line, from 1. */
  readonly line: number;
  readonly at: number | null;
  readonly level: LogLevel;
  /** Around the first match, without colours; `from` is its place in the line. */
  readonly text: string;
  readonly from: number;
  /** Places in the line: [from, to). */
  readonly marks: readonly (readonly [number, number])[];
};

export type Matcher = {
  /** Hits of lines after `afterLine`, at most `limit`; a problem in words: this search goes no further. */
  match(
    chunks: readonly MatchChunk[],
    afterLine: number,
    limit: number,
  ): Promise<Answer<readonly Hit[], string>>;
  /** At any time, also in the middle of a match. */
  close(): void;
};

const marksMax = 20;
const excerptBefore = 60;
const excerptLength = 300;
const programMax = 10_000;

/** Says in words why an expression cannot be searched for. */
export function checkExpression(find: string): Answer<undefined, string> {
  try {
    const size = RE2JS.compile(find, RE2JS.CASE_INSENSITIVE).programSize();
    if (size > programMax)
      return bad("The expression is too large: repeat less, or search for a shorter one.");
    return good(undefined);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return bad(
      `The expression cannot be read: ${said.replace(/^error parsing regexp: /, "").replace("(?i)", "")}. Lookahead, lookbehind and backreferences (\\1) are not in this search: its engine never backtracks.`,
    );
  }
}

export function openMatcher(sought: Sought): Matcher {
  if (sought.regexp) return openThread(sought);
  const marksOf = plainMarks(sought);
  const inChunk = chunkTest(sought);
  return {
    match: async (chunks, afterLine, limit) =>
      good(
        scan(
          chunks.filter(({ text }) => inChunk(text)),
          { marksOf, level: sought.level, afterLine, limit },
        ),
      ),
    close: () => undefined,
  };
}

type MarksOf = (text: string) => readonly (readonly [number, number])[];

function plainMarks({ find, caps }: Sought): MarksOf {
  const needle = caps ? find : find.toLowerCase();
  return (text) => {
    const hay = caps ? text : lowered(text);
    const marks: (readonly [number, number])[] = [];
    for (
      let at = hay.indexOf(needle);
      at >= 0 && marks.length < marksMax;
      at = hay.indexOf(needle, at + needle.length)
    )
      marks.push([at, at + needle.length]);
    return marks;
  };
}

/** Lower case of the same length, so that places in it are places in the text: a few letters (İ) grow. */
function lowered(text: string): string {
  const low = text.toLowerCase();
  return low.length === text.length
    ? low
    : Array.from({ length: text.length }, (_, i) => {
        const one = text.charAt(i).toLowerCase();
        return one.length === 1 ? one : text.charAt(i);
      }).join("");
}

/** As JSON spells it inside of a chunk. */
export const needleOf = (find: string): string => JSON.stringify(find).slice(1, -1);

/** A whole chunk at once, before any of its lines is read. */
function chunkTest({ find, caps }: Sought): (chunk: string) => boolean {
  const needle = caps ? needleOf(find) : needleOf(find).toLowerCase();
  // What holds colours may hold the needle in pieces; letters beyond ASCII may change as they are lowered.
  const isSimple = /^[\x20-\x7e]*$/.test(find);
  return (chunk) =>
    !isSimple || chunk.includes("1b[") || (caps ? chunk : chunk.toLowerCase()).includes(needle);
}

function scan(
  chunks: readonly MatchChunk[],
  {
    marksOf,
    level,
    afterLine,
    limit,
  }: {
    readonly marksOf: MarksOf;
    readonly level: LogLevel;
    readonly afterLine: number;
    readonly limit: number;
  },
): readonly Hit[] {
  const hits: Hit[] = [];
  const least = rankOf(level);
  for (const { start, text } of chunks) {
    let line = start;
    for (const row of rowsOf(text)) {
      line += 1;
      if (line <= afterLine) continue;
      const read = readStoredLine(row);
      if (rankOf(read.level) < least) continue;
      const bare = bareText(read.text);
      const marks = marksOf(bare);
      const [first] = marks;
      if (first === undefined) continue;
      const from = Math.max(0, first[0] - excerptBefore);
      hits.push({
        line,
        at: read.at,
        level: read.level,
        text: bare.slice(from, from + excerptLength),
        from,
        marks,
      });
      if (hits.length >= limit) return hits;
    }
  }
  return hits;
}

// ---- the thread

type Task = { readonly chunks: readonly MatchChunk[]; afterLine: number; limit: number };
type Words = { readonly sought: Sought } | { readonly task: Task };

const threadMark = "airlock-match-lines";
/** Ready for the next search, so that its first hits do not wait for a start. */
let spare: Worker | undefined;
let open = 0;
/** Of one process. Who comes later waits. */
const threadsMax = 3;
const waiting: (() => void)[] = [];

const givenUp = bad("The search was given up.");
const tooSlow = bad(
  "The expression is too slow for the long lines here. Begin it with a word that the line must hold, or repeat less.",
);
const matchMsMax = 15_000;

function openThread(sought: Sought): Matcher {
  let thread: Worker | undefined;
  let isClosed = false;
  let end: ((answer: Answer<readonly Hit[], string>) => void) | undefined;
  const take = async (): Promise<Worker | undefined> => {
    if (open >= threadsMax) await new Promise<void>((go) => waiting.push(go));
    if (isClosed) {
      waiting.shift()?.();
      return undefined;
    }
    open += 1;
    const taken = spare ?? startThread();
    spare = undefined;
    taken.postMessage({ sought } satisfies Words);
    return taken;
  };
  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    if (thread === undefined) return;
    open -= 1;
    // One in the middle of a slow expression has no end that could be waited for.
    if (end !== undefined || spare !== undefined) void thread.terminate();
    else spare = thread;
    end?.(givenUp);
    waiting.shift()?.();
  };
  return {
    close,
    async match(chunks, afterLine, limit) {
      thread ??= await take();
      const mine = thread;
      if (mine === undefined || isClosed) return givenUp;
      const answer = Promise.withResolvers<Answer<readonly Hit[], string>>();
      const onHits = (hits: readonly Hit[]): void => answer.resolve(good(hits));
      const onError = (error: Error): void => answer.reject(error);
      const timer = setTimeout(() => {
        answer.resolve(tooSlow);
        close();
      }, matchMsMax);
      end = answer.resolve;
      mine.on("message", onHits);
      mine.on("error", onError);
      mine.postMessage({ task: { chunks, afterLine, limit } } satisfies Words);
      try {
        return await answer.promise;
      } finally {
        clearTimeout(timer);
        end = undefined;
        mine.off("message", onHits);
        mine.off("error", onError);
      }
    },
  };
}

function startThread(): Worker {
  const thread = new Worker(new URL(import.meta.url), { workerData: threadMark, name: threadMark });
  thread.unref();
  // Also of one that waits for its next search: an error that nobody hears would end the process.
  thread.on("error", () => {
    if (spare === thread) spare = undefined;
  });
  return thread;
}

if (!isMainThread && workerData === threadMark) {
  let ready: { readonly marksOf: MarksOf; readonly level: LogLevel } | undefined;
  parentPort?.on("message", (words: Words) => {
    if ("sought" in words) {
      ready = { marksOf: expressionMarks(words.sought), level: words.sought.level };
      return;
    }
    const { chunks, ...bounds } = words.task;
    const found = scan(chunks, { marksOf: () => [], level: logLevels[0], ...ready, ...bounds });
    parentPort?.postMessage(found);
  });
}

function expressionMarks({ find, caps }: Sought): MarksOf {
  const expression = RE2JS.compile(find, caps ? 0 : RE2JS.CASE_INSENSITIVE);
  return (text) => {
    // The quick question first: where a match lies costs ten times as much.
    if (!expression.test(text)) return [];
    const matcher = expression.matcher(text);
    const marks: (readonly [number, number])[] = [];
    while (marks.length < marksMax && matcher.find()) marks.push([matcher.start(), matcher.end()]);
    return marks;
  };
}
