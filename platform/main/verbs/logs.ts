import { setTimeout as pause } from "node:timers/promises";
import { isObject } from "../../model/json.ts";
import { askServer, type Server } from "../ask-server.ts";
import { inkFor } from "../ink.ts";
import { oneLine, printAnswer, write } from "../print-answer.ts";
import { CommandProblem, wrongUse } from "../problem.ts";
import { readWhole } from "../read-option.ts";
import type { Shared } from "../verb-options.ts";
import { Interrupted, untilInterrupted } from "../watch-run.ts";
import {
  instanceName,
  instancesOf,
  number,
  type Row,
  type RunRef,
  runPath,
  runRefOf,
  text,
} from "./find-run.ts";

type Line = {
  readonly timestamp: string | null;
  readonly level: string;
  readonly source: string;
  readonly event: string;
};
type Told = Line & { readonly task: string; readonly try_number: number };

const everyMs = 400;

export async function logs(
  name: string,
  options: Shared & { readonly follow?: true; readonly try?: string; readonly grep?: string },
): Promise<void> {
  const grep = options.grep === undefined ? undefined : readPattern(options.grep);
  const onlyTry =
    options.try === undefined ? undefined : readWhole("--try", options.try, 1, 10_000);
  const server = askServer(options);
  const run = await runRefOf(server, name);
  const told: Told[] = [];
  const prefixed = run.task === undefined || run.map_index === undefined;
  const ink = inkFor(process.stdout);
  const say = async (task: string, tryNumber: number, lines: readonly Line[]): Promise<void> => {
    const wanted = grep === undefined ? lines : lines.filter(({ event }) => grep.test(event));
    if (wanted.length === 0) return;
    if (options.output !== "table") {
      told.push(...wanted.map((line) => ({ task, try_number: tryNumber, ...line })));
      return;
    }
    await write(
      wanted
        .map((line) => {
          const event = oneLine(line.event);
          const painted =
            line.level === "error" || line.level === "critical"
              ? ink.red(event)
              : line.level === "warning"
                ? ink.yellow(event)
                : event;
          return `${ink.dim(clock(line.timestamp))} ${prefixed ? `${ink.cyan(task)} ` : ""}${painted}\n`;
        })
        .join(""),
    );
  };

  const interrupted = untilInterrupted();
  try {
    // Per instance and try, how far its log has been read.
    const read = new Map<string, string | undefined>();
    const finished = new Set<string>();
    for (;;) {
      const runRow = await server.get(runPath(run));
      const isOver = ["success", "failed"].includes(text(runRow, "state"));
      const rows = await instancesOf(server, run);
      for (const row of rows.toSorted(byStart)) {
        const last = number(row, "try_number");
        const from =
          options.follow === true && read.has(`${instanceName(row)} 0`)
            ? Math.max(1, last - 1)
            : last;
        for (let tryNumber = onlyTry ?? from; tryNumber <= (onlyTry ?? last); tryNumber++) {
          if (tryNumber < 1) continue;
          const key = `${instanceName(row)} ${tryNumber}`;
          if (finished.has(key)) continue;
          const next = await readOn(server, run, row, tryNumber, read.get(key), (lines) =>
            say(instanceName(row), tryNumber, lines),
          );
          if (next === undefined) finished.add(key);
          else read.set(key, next);
        }
        read.set(`${instanceName(row)} 0`, undefined);
      }
      const watched =
        run.task === undefined ? isOver : isOver || rows.every((row) => isEnd(row["state"]));
      if (options.follow !== true || watched) break;
      await pause(everyMs, undefined, { signal: interrupted.signal }).catch(() => undefined);
      if (interrupted.signal.aborted) throw new Interrupted();
    }
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    process.exitCode = 130;
  } finally {
    interrupted.close();
  }
  if (options.output !== "table") await printAnswer(told, options.output, []);
}

const isEnd = (state: unknown): boolean =>
  ["success", "failed", "skipped", "upstream_failed", "removed"].includes(String(state));

/** All there is from the token on; answers the token for what may come, undefined when nothing can. */
async function readOn(
  server: Server,
  run: RunRef,
  row: Row,
  tryNumber: number,
  token: string | undefined,
  onLines: (lines: readonly Line[]) => Promise<void>,
): Promise<string | undefined> {
  let at = token;
  for (;;) {
    let page: unknown;
    try {
      page = await server.get(
        runPath(run, "taskInstances", text(row, "task_id"), "logs", tryNumber),
        {
          map_index: number(row, "map_index"),
          ...(at === undefined || at === "" ? {} : { token: at }),
        },
      );
    } catch (error) {
      // It has not begun, or began a moment ago on another node.
      if (
        error instanceof CommandProblem &&
        error.exitCode === 1 &&
        /not found/i.test(error.message)
      )
        return at ?? "";
      throw error;
    }
    const content =
      isObject(page) && Array.isArray(page["content"]) ? (page["content"] as unknown[]) : [];
    const lines = content.map(readLine);
    await onLines(lines);
    const next = isObject(page) ? page["continuation_token"] : undefined;
    if (typeof next !== "string") return undefined;
    if (lines.length === 0) return next;
    at = next;
  }
}

const readLine = (raw: unknown): Line =>
  isObject(raw)
    ? {
        timestamp: typeof raw["timestamp"] === "string" ? raw["timestamp"] : null,
        level: text(raw, "level"),
        source: text(raw, "source"),
        event: text(raw, "event"),
      }
    : { timestamp: null, level: "info", source: "task", event: String(raw) };

const byStart = (a: Row, b: Row): number =>
  (text(a, "start_date") || "9").localeCompare(text(b, "start_date") || "9");

const clock = (at: string | null): string => (at === null ? "        " : at.slice(11, 19));

function readPattern(text_: string): RegExp {
  try {
    return new RegExp(text_);
  } catch (error) {
    throw wrongUse(
      `--grep: ${error instanceof Error ? error.message : "is no regular expression"}`,
    );
  }
}
