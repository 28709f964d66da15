/**
 * A run while it happens. On a terminal: a tree that is redrawn in place, log lines scrolling past above it.
 * Elsewhere: a line per change.
 */
import type { InstanceKey } from "../model/run.ts";
import { isFinished, type TaskState } from "../model/states.ts";
import { inkFor } from "./ink.ts";
import { oneLine } from "./print-answer.ts";

export type RunScreen = {
  state(at: InstanceKey, state: TaskState, tryNumber: number, reason?: string): void;
  /** `to`: where a task's own lines go. */
  log(at: InstanceKey, text: string): void;
  note(text: string): void;
  /** Leaves the last picture standing. */
  close(): void;
};

type Instance = {
  readonly at: InstanceKey;
  state: TaskState;
  tryNumber: number;
  since: number;
  ms: number | undefined;
  reason: string | undefined;
};

export function showRun(options: {
  readonly title: string;
  /** In the order in which they are drawn. */
  readonly tasks: readonly string[];
  readonly logsTo: NodeJS.WriteStream;
  readonly now?: () => number;
  readonly screen?: NodeJS.WriteStream;
}): RunScreen {
  const screen = options.screen ?? process.stderr;
  const now = options.now ?? Date.now;
  const ink = inkFor(screen);
  const instances = new Map<string, Map<number, Instance>>(
    options.tasks.map((task) => [task, new Map()]),
  );
  return screen.isTTY ? onTerminal() : inLines();

  function inLines(): RunScreen {
    const say = (line: string): void => {
      screen.write(`${line}\n`);
    };
    say(options.title);
    return {
      state(at, state, tryNumber, reason) {
        const ms = note(at, state, tryNumber, reason);
        if (state === null || state === "scheduled" || state === "queued") return;
        say(
          `${nameOf(at)} ${state}${tryNumber > 1 ? ` (try ${tryNumber})` : ""}${ms === undefined ? "" : ` in ${durationText(ms)}`}${reason === undefined ? "" : `: ${oneLine(reason)}`}`,
        );
      },
      log: (at, text) => void options.logsTo.write(`${nameOf(at)} | ${oneLine(text)}\n`),
      note: say,
      close: () => undefined,
    };
  }

  function onTerminal(): RunScreen {
    let drawn = 0;
    let timer: NodeJS.Timeout | undefined;
    const wipe = (): void => {
      if (drawn > 0) screen.write(`\x1b[${drawn}A\x1b[J`);
      drawn = 0;
    };
    const draw = (): void => {
      wipe();
      const rows = Math.max(5, (screen.rows || 24) - 2);
      const lines = fit(drawTree(instances, options.title, now(), ink), rows).map((line) =>
        cut(line, screen.columns || 80),
      );
      screen.write(lines.map((line) => `${line}\n`).join(""));
      drawn = lines.length;
    };
    const soon = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined;
        draw();
      }, 60);
    };
    // Durations of what runs go on while nothing happens.
    const tick = setInterval(draw, 500);
    tick.unref();
    const above = (stream: NodeJS.WriteStream, line: string): void => {
      wipe();
      stream.write(`${line}\n`);
      draw();
    };
    draw();
    return {
      state(at, state, tryNumber, reason) {
        note(at, state, tryNumber, reason);
        soon();
      },
      log: (at, text) => above(options.logsTo, `${ink.dim(`${nameOf(at)} │`)} ${oneLine(text)}`),
      note: (text) => above(screen, ink.yellow(text)),
      close() {
        clearInterval(tick);
        clearTimeout(timer);
        draw();
        drawn = 0;
      },
    };
  }

  function note(
    at: InstanceKey,
    state: TaskState,
    tryNumber: number,
    reason?: string,
  ): number | undefined {
    const of = instances.get(at.task_id) ?? new Map<number, Instance>();
    instances.set(at.task_id, of);
    // The placeholder of a mapped task goes when its first instance comes.
    if (at.map_index >= 0) of.delete(-1);
    const before = of.get(at.map_index);
    const started = state === "running" ? now() : (before?.since ?? now());
    const ms = before?.state === "running" && state !== "running" ? now() - started : undefined;
    of.set(at.map_index, {
      at,
      state,
      tryNumber,
      since: started,
      ms: ms ?? (state === "running" ? undefined : before?.ms),
      reason: reason ?? (state === "running" || state === "success" ? undefined : before?.reason),
    });
    return ms;
  }
}

type Painter = ReturnType<typeof inkFor>;
type Line = { readonly text: string; readonly urgent: boolean };

/** One row per task; the instances of a mapped task are counted, those that failed are named. */
function drawTree(
  instances: ReadonlyMap<string, ReadonlyMap<number, Instance>>,
  title: string,
  now: number,
  ink: Painter,
): Line[] {
  const wide = Math.min(40, Math.max(...[...instances.keys()].map((id) => id.length), 1) + 6);
  const lines: Line[] = [{ text: ink.bold(title), urgent: true }];
  for (const [task, of] of instances) {
    const all = [...of.values()];
    const [only] = all;
    if (all.length === 0) lines.push({ text: `  ${ink.dim(`○ ${task}`)}`, urgent: false });
    else if (all.length === 1 && only !== undefined && only.at.map_index < 0)
      lines.push(rowOf(task, only));
    else {
      const done = all.filter(({ state }) => isFinished(state)).length;
      const name = `${task} [${done}/${all.length}]`;
      lines.push({ text: `  ${mark(worst(all), ink)} ${name}`, urgent: done < all.length });
      for (const one of all)
        if (one.state === "failed" || one.state === "up_for_retry")
          lines.push(rowOf(`  [${one.at.map_index}]`, one));
    }
  }
  return lines;

  function rowOf(name: string, one: Instance): Line {
    const ms = one.state === "running" ? now - one.since : one.ms;
    const facts = [
      one.state ?? "",
      one.tryNumber > 1 ? `try ${one.tryNumber}` : "",
      ms === undefined ? "" : durationText(ms),
    ].filter((fact) => fact !== "");
    const text = `  ${mark(one.state, ink)} ${name.padEnd(wide)} ${ink.dim(facts.join(" · "))}`;
    return {
      text: one.reason === undefined ? text : `${text}  ${ink.red(oneLine(one.reason))}`,
      urgent: one.state !== null && one.state !== "success" && one.state !== "skipped",
    };
  }
}

const order: readonly TaskState[] = [
  "failed",
  "upstream_failed",
  "running",
  "up_for_retry",
  "queued",
  "scheduled",
  null,
];
const worst = (all: readonly Instance[]): TaskState =>
  order.find((state) => all.some((one) => one.state === state)) ?? all[0]?.state ?? null;

function mark(state: TaskState, ink: Painter): string {
  switch (state) {
    case "success":
      return ink.green("✓");
    case "failed":
    case "upstream_failed":
      return ink.red("✗");
    case "skipped":
    case "removed":
      return ink.dim("–");
    case "running":
    case "restarting":
      return ink.cyan("●");
    case "up_for_retry":
    case "up_for_reschedule":
    case "deferred":
      return ink.yellow("↻");
    case "queued":
    case "scheduled":
      return ink.yellow("○");
    case null:
      return ink.dim("○");
  }
}

/** A tree taller than the terminal cannot be redrawn in place: rows that need nobody are left out first. */
function fit(lines: readonly Line[], rows: number): string[] {
  if (lines.length <= rows) return lines.map(({ text }) => text);
  const urgent = lines.filter((line) => line.urgent);
  const shown = (urgent.length > 0 ? urgent : lines).slice(0, rows - 1);
  return [...shown.map(({ text }) => text), `  … and ${lines.length - shown.length} more`];
}

function cut(line: string, columns: number): string {
  // oxlint-disable-next-line no-control-regex -- escape sequences take no room on the screen
  const parts = line.split(/(\x1b\[[0-9;]*m)/);
  let room = columns - 1;
  const kept: string[] = [];
  for (const [at, part] of parts.entries()) {
    if (at % 2 === 1) kept.push(part);
    else {
      kept.push(part.slice(0, Math.max(0, room)));
      room -= part.length;
    }
  }
  return kept.join("");
}

export const nameOf = ({ task_id, map_index }: InstanceKey): string =>
  map_index < 0 ? task_id : `${task_id}[${map_index}]`;

export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} m ${Math.round(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
}
