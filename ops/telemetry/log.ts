/** Structured logs of the house. One line is one record; a tenant's text never becomes a field name or a line of its own. */
import pino, { type Logger as PinoLogger } from "pino";
import { activeTraceIds } from "./trace.ts";

export type Logger = PinoLogger;

export type LogOptions = {
  /** `pretty` for people, `json` for collectors; default by terminal. */
  readonly format?: "pretty" | "json" | undefined;
  readonly level?: string | undefined;
};

export function openLog(options: LogOptions = {}): Logger {
  const format = options.format ?? (process.stderr.isTTY ? "pretty" : "json");
  const level = options.level ?? "info";
  const settings = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: ["password", "token", "authorization", "*.password", "*.token", "*.authorization"],
    mixin: activeTraceIds,
  };
  if (format === "json") return pino(settings, pino.destination({ fd: 2, sync: false }));
  return pino(settings, prettyLines());
}

/** `12:03:44.120 INFO  sync  deployed tenant=acme commit=1f2e…`: small enough not to need a library in the server. */
function prettyLines(): { write(line: string): void } {
  return {
    write(line) {
      const { time, level, msg, room, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
      const fields = Object.entries(rest)
        .map(
          ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
        )
        .join(" ");
      const stack =
        typeof err === "object" && err !== null && "stack" in err ? `\n${String(err.stack)}` : "";
      process.stderr.write(
        `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${textOf(room).padEnd(9)} ${textOf(msg)} ${fields}${stack}\n`,
      );
    },
  };
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
