/** The facts behind "why is it (not) running": read, said, with the rows that block it as far as the asker may see them. */
import { z } from "zod";
import type { RunRow, TaskInstanceRow } from "../../store/read-runs.ts";
import {
  countWorkers,
  listFailed,
  listHolders,
  listInstancesOf,
  listRunning,
  listSameTaskBefore,
  readRunWait,
  readWaitFacts,
} from "../../store/read-waits.ts";
import type { Ask } from "../endpoint.ts";
import { sayWhy, sayWhyRun, type Why } from "./say-why.ts";
import { specOf } from "./specs.ts";

/** A row that holds another one back, or that takes up what it waits for. */
export const blocker = z.object({
  kind: z.enum(["instance", "run", "pool", "dag"]),
  dag_id: z.string().nullable(),
  run_id: z.string().nullable(),
  task_id: z.string().nullable(),
  map_index: z.int(),
  pool: z.string().nullable(),
  state: z.string().nullable(),
});
export type Blocker = z.output<typeof blocker>;

export const whyAnswer = z.object({
  state: z.string().nullable(),
  why: z.string(),
  waits: z.boolean(),
  blocked_by: z.array(blocker),
  /** More of them: beyond the first twenty, or of DAGs that the asker may not see. */
  others: z.int(),
});
export type WhyAnswer = z.output<typeof whyAnswer>;

const shownMax = 20;

export async function readWhy(ask: Ask<unknown, unknown>, row: TaskInstanceRow): Promise<Why> {
  const facts = await ask.tx(async (tx) => {
    const spec = await specOf(tx, row);
    const task = spec?.tasks.find(({ task_id }) => task_id === row.task_id);
    const upstream = (spec?.tasks ?? [])
      .filter(({ downstream }) => downstream.some((id) => id === row.task_id))
      .map(({ task_id }) => task_id);
    const { run, task_id: taskId, map_index: mapIndex, dag_id: dagId, pool } = row;
    return {
      waits: await readWaitFacts(tx, { run, taskId, mapIndex, dagId, pool }),
      upstream:
        upstream.length > 0 && (row.state === null || row.state === "upstream_failed")
          ? await listInstancesOf(tx, run, upstream)
          : [],
      past:
        task?.depends_on_past === true && row.state === null
          ? await listSameTaskBefore(tx, run, taskId)
          : [],
      rule: task?.trigger_rule,
    };
  });
  const workers =
    row.state === "queued"
      ? await ask.deps.store.system((tx) => countWorkers(tx, row.queue))
      : undefined;
  return sayWhy(row, { ...facts, workers });
}

export async function whyInstance(
  ask: Ask<unknown, unknown>,
  row: TaskInstanceRow,
): Promise<WhyAnswer> {
  const why = await readWhy(ask, row);
  return { state: row.state, ...(await withBlockers(ask, why, row)) };
}

export async function whyRun(ask: Ask<unknown, unknown>, row: RunRow): Promise<WhyAnswer> {
  const { facts, failed } = await ask.tx(async (tx) => ({
    facts: await readRunWait(tx, row.run),
    failed: row.state === "failed" ? await listFailed(tx, row.run) : [],
  }));
  const why =
    facts === undefined
      ? { name: "State", sentence: "It is no longer there.", waits: false, by: noBinding }
      : sayWhyRun(row, facts, failed);
  return { state: row.state, ...(await withBlockers(ask, why, row)) };
}
const noBinding = { kind: "nothing" } as const;

async function withBlockers(
  ask: Ask<unknown, unknown>,
  { sentence, waits, by }: Why,
  at: { readonly dag_id: string; readonly run_id: string },
): Promise<Omit<WhyAnswer, "state">> {
  const all = await blockersOf(ask, by, at);
  // A pool or a quota is shared by DAGs of which the asker may see only some.
  const seen = all.filter(
    ({ dag_id }) => dag_id === null || dag_id === at.dag_id || ask.may("run.read", `dag:${dag_id}`),
  );
  return {
    why: sentence,
    waits,
    blocked_by: seen.slice(0, shownMax),
    others: all.length - Math.min(seen.length, shownMax),
  };
}

async function blockersOf(
  ask: Ask<unknown, unknown>,
  by: Why["by"],
  { dag_id, run_id }: { readonly dag_id: string; readonly run_id: string },
): Promise<readonly Blocker[]> {
  switch (by.kind) {
    case "nothing":
      return [];
    case "dag":
      return [{ ...nobody, kind: "dag", dag_id }];
    case "instances":
      return by.instances.map((instance) => ({
        ...nobody,
        kind: "instance",
        dag_id,
        run_id: by.run_id ?? run_id,
        task_id: instance.task_id,
        map_index: instance.map_index,
        state: instance.state,
      }));
    case "runs":
      return (await ask.tx((tx) => listRunning(tx, dag_id))).map((run) => ({
        ...nobody,
        kind: "run",
        dag_id,
        run_id: run.run_id,
        state: run.state,
      }));
    case "limit": {
      const { held } = by;
      const holders = await ask.tx((tx) => listHolders(tx, held));
      return [
        ...(held.kind === "pool" ? [{ ...nobody, kind: "pool" as const, pool: held.pool }] : []),
        ...holders.map((holder) => ({
          ...nobody,
          kind: "instance" as const,
          dag_id: holder.dag_id,
          run_id: holder.run_id,
          task_id: holder.task_id,
          map_index: holder.map_index,
          state: holder.state,
        })),
      ];
    }
  }
}

const nobody = {
  dag_id: null,
  run_id: null,
  task_id: null,
  map_index: -1,
  pool: null,
  state: null,
} as const;
