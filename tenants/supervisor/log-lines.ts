/**
 * The way of a task's words to the house: bytes → text → masked → lines without control characters, at most
 * 16 KiB each → batches, no faster than the limit says. Who writes faster finds its pipe full.
 */
import { StringDecoder } from "node:string_decoder";
import type { GuestLimits, LogLine } from "../../platform/model/guest.ts";
import { lineBytesMax, plain } from "../sandbox/plain-text.ts";
import type { Mask } from "./mask-secrets.ts";

const queuedBytesMax = 1 << 20;

export type LogWay = {
  /** Raw output; call `end` of the source at its end. */
  source(source: "stdout" | "stderr"): { push(chunk: Buffer): void; end(): void };
  record(line: LogLine): void;
  /** A word of the platform itself: not counted against the limits. */
  say(level: LogLine["level"], text: string): void;
  /** What is whole goes now; resolves when the house has written it all. */
  flushed(): Promise<void>;
};

export type LogWayOptions = {
  readonly mask: Mask;
  readonly limits: Pick<GuestLimits, "logBytes" | "logBytesPerSecond">;
  readonly write: (lines: readonly LogLine[]) => Promise<void>;
  /** The sources must be paused (true) or may go on (false). */
  readonly onPressure: (pause: boolean) => void;
  /** Once, when all of logBytes are used; what comes later is dropped. */
  readonly onFull: () => void;
  /** The house refuses our lines: the attempt is no longer ours. */
  readonly onRefused: (error: unknown) => void;
};

export function openLogWay(options: LogWayOptions): LogWay {
  const { mask, limits, write, onPressure, onFull, onRefused } = options;
  let queue: LogLine[] = [];
  let queuedBytes = 0;
  let writing: Promise<void> | undefined;
  let used = 0;
  let full = false;
  let refused = false;
  let tokens = limits.logBytesPerSecond;
  let refilledAt = performance.now();
  let dry: NodeJS.Timeout | undefined;
  let pressed = false;

  const press = (): void => {
    const should = dry !== undefined || queuedBytes > queuedBytesMax;
    if (should === pressed) return;
    pressed = should;
    onPressure(should);
  };
  const pay = (bytes: number): boolean => {
    if (full) return false;
    used += bytes;
    if (used > limits.logBytes) {
      full = true;
      onFull();
      return false;
    }
    const now = performance.now();
    tokens = Math.min(
      limits.logBytesPerSecond,
      tokens + ((now - refilledAt) / 1000) * limits.logBytesPerSecond,
    );
    refilledAt = now;
    tokens -= bytes;
    if (tokens < 0 && dry === undefined) {
      dry = setTimeout(
        () => {
          dry = undefined;
          press();
        },
        Math.ceil((-tokens / limits.logBytesPerSecond) * 1000) + 1,
      );
      press();
    }
    return true;
  };
  const drain = async (): Promise<void> => {
    while (queue.length > 0 && !refused) {
      const batch = queue;
      queue = [];
      queuedBytes = 0;
      try {
        await write(batch);
      } catch (error) {
        refused = true;
        queue = [];
        onRefused(error);
      }
      press();
    }
    writing = undefined;
  };
  const put = (line: LogLine): void => {
    if (refused) return;
    queue.push(line);
    queuedBytes += line.text.length + 64;
    writing ??= Promise.resolve().then(drain);
    press();
  };
  return {
    source: (source) => {
      const decoder = new StringDecoder("utf8");
      const masked = mask.stream();
      const level = source === "stdout" ? "info" : "error";
      let rest = "";
      const emit = (text: string): void =>
        put({ at: Date.now(), level, source, text: plain(text) });
      const cut = (text: string): void => {
        const lines = (rest + text).split(/\r?\n/);
        rest = lines.pop() ?? "";
        for (const line of lines) emit(line);
        // An endless line must not be kept for ever; it goes on as the next one.
        while (rest.length > lineBytesMax) {
          emit(rest.slice(0, lineBytesMax));
          rest = rest.slice(lineBytesMax);
        }
      };
      return {
        push: (chunk) => {
          if (pay(chunk.length)) cut(masked.push(decoder.write(chunk)));
        },
        end: () => {
          cut(masked.push(decoder.end()) + masked.end());
          if (rest !== "") emit(rest);
          rest = "";
        },
      };
    },
    record: (line) => {
      if (!pay(Buffer.byteLength(line.text) + 32)) return;
      for (const text of mask.text(line.text).split(/\r?\n/)) put({ ...line, text: plain(text) });
    },
    say: (level, text) => {
      put({ at: Date.now(), level, source: "platform", text: plain(mask.text(text)) });
    },
    flushed: async () => {
      while (writing !== undefined) await writing;
    },
  };
}
