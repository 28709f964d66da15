/** Follows a run to its end: by server-sent events, with a slow look at the API beside them; by that look alone where there are none. */
import { setTimeout as pause } from "node:timers/promises";
import { isObject } from "../model/json.ts";
import type { TaskState } from "../model/states.ts";
import type { Server } from "./ask-server.ts";
import { apiPath } from "./ask-server.ts";
import type { RunScreen } from "./show-run.ts";
import { type Row, type RunRef, runPath, text } from "./verbs/find-run.ts";

/** Answers the run's row as it ended. */
export async function watchRun(
  server: Server,
  ref: RunRef,
  screen: Pick<RunScreen, "state">,
  signal: AbortSignal,
  everyMs: { readonly beside: number; readonly alone: number } = { beside: 3_000, alone: 700 },
): Promise<Row> {
  const seen = new Map<string, string>();
  const show = (taskId: string, mapIndex: number, state: TaskState, tryNumber: number): void => {
    const name = `${taskId} ${mapIndex}`;
    const now = `${String(state)} ${tryNumber}`;
    if (seen.get(name) === now) return;
    seen.set(name, now);
    screen.state({ task_id: taskId as never, map_index: mapIndex }, state, tryNumber);
  };
  let wake = (): void => undefined;
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const feed = { alive: false };
  const following = followFeed(server, ref, both, {
    onOpen: () => {
      feed.alive = true;
    },
    onChange: (change) => {
      if (change.task_id === null || change.task_id === "") {
        if (change.to_state === "success" || change.to_state === "failed") wake();
        return;
      }
      show(change.task_id, change.map_index, change.to_state as TaskState, change.try_number);
    },
  }).finally(() => {
    feed.alive = false;
  });
  try {
    for (;;) {
      const run = await server.get(runPath(ref));
      const state = text(run, "state");
      const ended = state === "success" || state === "failed";
      for (const row of await server.list(runPath(ref, "taskInstances"), "task_instances"))
        show(
          text(row, "task_id"),
          Number(row["map_index"]),
          (row["state"] ?? null) as TaskState,
          Number(row["try_number"]),
        );
      if (ended) return run as Row;
      await new Promise<void>((resolve) => {
        wake = resolve;
        void pause(feed.alive ? everyMs.beside : everyMs.alone, undefined, { signal: both }).then(
          () => resolve(),
          () => resolve(),
        );
      });
      if (signal.aborted) throw signal.reason;
    }
  } finally {
    over.abort();
    await following;
  }
}

type Change = {
  readonly task_id: string | null;
  readonly map_index: number;
  readonly try_number: number;
  readonly to_state: string | null;
};

async function followFeed(
  server: Server,
  ref: RunRef,
  signal: AbortSignal,
  on: { readonly onOpen: () => void; readonly onChange: (change: Change) => void },
): Promise<void> {
  try {
    const path = apiPath(ref.tenant).replace(/\/v2$/, "/live");
    const response = await server.open(path, "text/event-stream", {}, signal);
    if (
      response.body === null ||
      !response.headers.get("content-type")?.startsWith("text/event-stream")
    )
      return;
    on.onOpen();
    for await (const data of eventsOf(response.body)) {
      const change: unknown = JSON.parse(data);
      if (isObject(change) && change["dag_id"] === ref.dag && change["run_id"] === ref.run)
        on.onChange(change as unknown as Change);
    }
  } catch {
    // No feed, or it broke off: the look at the API goes on, faster.
  }
}

/** The data of each server-sent event. */
export async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield data.join("\n");
        data = [];
      } else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
    if (rest.length > 1024 * 1024) throw new Error("an event of more than 1 MiB");
  }
}

/** Ctrl-C ends the watching, not the run. */
export function untilInterrupted(): { readonly signal: AbortSignal; close(): void } {
  const abort = new AbortController();
  const stop = (): void => abort.abort(new Interrupted());
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return {
    signal: abort.signal,
    close: () => {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
    },
  };
}

export class Interrupted extends Error {
  constructor() {
    super("interrupted");
    this.name = "Interrupted";
  }
}
