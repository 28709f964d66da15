import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import type { AttemptHost, ConnectionValue, LogLine, XComRef } from "../model/guest.ts";
import { isObject, type Json } from "../model/json.ts";
import type { InstanceKey } from "../model/run.ts";
import type { TaskState } from "../model/states.ts";

/** XComs of one run, in memory; they can be handed to the next run, for `--task` and `--from`. */
export class Results {
  readonly #values = new Map<string, Map<number, Json>>();

  get(task: string, index: number, key: string): Json | undefined {
    return this.#values.get(nameOf(task, key))?.get(index);
  }
  /** By map index. */
  list(task: string, key: string): readonly Json[] {
    return [...(this.#values.get(nameOf(task, key)) ?? [])]
      .toSorted(([a], [b]) => a - b)
      .map(([, value]) => value);
  }
  set(task: string, index: number, key: string, value: Json): void {
    const name = nameOf(task, key);
    const values = this.#values.get(name) ?? new Map<number, Json>();
    values.set(index, value);
    this.#values.set(name, values);
  }
  delete(task: string, index: number, key: string): void {
    this.#values.get(nameOf(task, key))?.delete(index);
  }
  /** A try begins without what the try before it left (Airflow clears XComs at the start). */
  clear({ task_id, map_index }: InstanceKey): void {
    for (const [name, values] of this.#values)
      if (name.startsWith(nameOf(task_id, ""))) values.delete(map_index);
  }
  /** Results of tasks that are not run this time. */
  takeFrom(other: Results, wanted: (task: string) => boolean): void {
    for (const [name, values] of other.#values)
      if (wanted(JSON.parse(name.slice(0, name.indexOf("\n"))) as string))
        this.#values.set(name, new Map(values));
  }
  toJson(): Json {
    return [...this.#values].flatMap(([name, values]) =>
      [...values].map(([index, value]) => [name, index, value]),
    );
  }
  static fromJson(raw: unknown): Results {
    const results = new Results();
    if (!Array.isArray(raw)) return results;
    for (const row of raw as unknown[]) {
      if (!Array.isArray(row)) continue;
      const [name, index, value] = row as [unknown, unknown, Json];
      const cut = typeof name === "string" ? name.indexOf("\n") : -1;
      if (typeof name !== "string" || typeof index !== "number" || cut < 0) continue;
      results.set(JSON.parse(name.slice(0, cut)) as string, index, name.slice(cut + 1), value);
    }
    return results;
  }
}

const nameOf = (task: string, key: string): string => `${JSON.stringify(task)}\n${key}`;

export type LocalThings = {
  readonly connections: ReadonlyMap<string, ConnectionValue>;
  /** Tasks may write to it; nothing is kept beyond the run. */
  readonly variables: Map<string, string>;
};

/** What an attempt on a laptop may ask: answered from memory. */
export function hostLocally(options: {
  readonly dag_id: string;
  readonly run_id: string;
  readonly at: InstanceKey;
  readonly results: Results;
  readonly things: LocalThings;
  /** Absolute folder of this instance's artifacts. */
  readonly artifactsDir: string;
  readonly states: () => readonly (InstanceKey & { readonly state: TaskState })[];
  readonly runState: () => string;
  readonly onLog: (lines: readonly LogLine[]) => void;
  readonly onArtifact: (path: string) => void;
  readonly onLabel: (text: string) => void;
}): AttemptHost {
  const { dag_id, run_id, at, results, things } = options;
  const isOwnRun = (ref: Omit<XComRef, "map_index" | "key">): boolean =>
    ref.dag_id === dag_id && ref.run_id === run_id;
  const isOwn = (ref: XComRef): boolean => isOwnRun(ref) && ref.task_id === at.task_id;
  return {
    getConnection: async (id) => things.connections.get(id),
    getVariable: async (key) => things.variables.get(key),
    putVariable: async (key, value) => {
      things.variables.set(key, value);
    },
    deleteVariable: async (key) => things.variables.delete(key),
    getXCom: async (ref) =>
      isOwnRun(ref) ? results.get(ref.task_id, ref.map_index, ref.key) : undefined,
    listXComs: async (ref) => (isOwnRun(ref) ? results.list(ref.task_id, ref.key) : []),
    countXComs: async (ref) => (isOwnRun(ref) ? results.list(ref.task_id, ref.key).length : 0),
    setXCom: async (ref, value) => {
      if (!isOwn(ref)) throw new Error("a task writes its own XComs only");
      results.set(ref.task_id, ref.map_index, ref.key, value);
    },
    deleteXCom: async (ref) => {
      if (!isOwn(ref)) throw new Error("a task deletes its own XComs only");
      results.delete(ref.task_id, ref.map_index, ref.key);
    },
    setRenderedFields: async () => undefined,
    setRenderedMapIndex: async (text) => options.onLabel(text),
    triggerDagRun: async ({ dag_id: other }) => ({
      ok: false,
      message: `DAG ${other} is not started: a local run has no other DAGs`,
    }),
    getDagRunState: async (dagId, runId) =>
      dagId === dag_id && runId === run_id ? options.runState() : undefined,
    getTaskStates: async (query) => {
      if (query.dag_id !== dag_id) return {};
      const wanted = query.task_ids === undefined ? undefined : new Set(query.task_ids);
      const mine = options
        .states()
        .filter(({ task_id }) => wanted === undefined || wanted.has(task_id))
        .map(({ task_id, map_index, state }) => [
          map_index < 0 ? task_id : `${task_id}[${map_index}]`,
          state,
        ]);
      return { [run_id]: Object.fromEntries(mine) as { [task: string]: string | null } };
    },
    log: async (lines) => options.onLog(lines),
    artifact: async ({ name, path }) => {
      const target = resolve(options.artifactsDir, name);
      // The name is the task's: it must not lead anywhere else.
      if (!target.startsWith(options.artifactsDir + sep))
        throw new Error("an artifact's name leaves its folder");
      mkdirSync(dirname(target), { recursive: true });
      copyFileSync(path, target);
      options.onArtifact(target);
    },
  };
}

/** How long a mapped task's source was in the run before: the length of a list or dict. */
export function lengthOf(value: Json | undefined): number | undefined {
  if (Array.isArray(value)) return value.length;
  return isObject(value) ? Object.keys(value).length : undefined;
}

export const artifactsFolder = (base: string, { task_id, map_index }: InstanceKey): string =>
  join(base, map_index < 0 ? task_id : `${task_id}[${map_index}]`);
