import type { LogLine } from "../model/guest.ts";
import type { LogChunk } from "../store/attempt-data.ts";

/**
 * The log of one attempt on its way to rows. Lines gather for a moment; what is left when the attempt ends
 * travels in the door's own transaction, so a short task costs no transaction for its log.
 */
export type AttemptLog = {
  /** Resolves once the lines are safe to forget, which pauses a flood at its pipe. */
  add(lines: readonly LogLine[]): Promise<void>;
  /** The chunk that was not yet written. */
  takeRest(): LogChunk | undefined;
  readonly bytes: () => number;
  close(): void;
};

const flushMs = 200;
const flushBytes = 64 * 1024;

export function openAttemptLog(
  first: { readonly seq: number; readonly bytes: number },
  write: (chunk: LogChunk) => Promise<void>,
): AttemptLog {
  let seq = first.seq;
  let total = first.bytes;
  let waiting: string[] = [];
  let size = 0;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  const take = (): LogChunk | undefined => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length === 0) return undefined;
    const chunk = { seq, lines: waiting.length, text: waiting.join("\n") };
    seq += 1;
    waiting = [];
    size = 0;
    return chunk;
  };
  const flush = (): Promise<void> => {
    const chunk = take();
    if (chunk !== undefined) writing = writing.then(() => write(chunk));
    return writing;
  };
  return {
    async add(lines) {
      for (const line of lines) {
        const row = JSON.stringify([line.at, line.level, line.source, line.text]);
        waiting.push(row);
        size += row.length;
        total += row.length;
      }
      if (size >= flushBytes) await flush();
      else timer ??= setTimeout(() => void flush().catch(() => undefined), flushMs);
    },
    takeRest: take,
    bytes: () => total,
    close() {
      clearTimeout(timer);
    },
  };
}
