/** What the dialogs of deeds on one run look at before, and marks on several tasks at once. */
import { z } from "zod";
import { countInstances } from "../../store/explore-runs.ts";
import { done } from "../airflow/deeds.ts";
import { runOf } from "../airflow/runs.ts";
import type { InstanceRef } from "../deps.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { text } from "../fields.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";

const instanceCounts = z.object({
  state: z.string(),
  version: z.int(),
  commit: z.string(),
  counts: z.array(z.object({ state: z.string().nullable(), count: z.int() })),
});
export type InstanceCounts = z.output<typeof instanceCounts>;

const shownMax = 2_000;
const touchedInstances = z.object({
  total: z.int(),
  /** The first 2,000 of them. */
  instances: z.array(z.object({ run_id: z.string(), task_id: z.string(), map_index: z.int() })),
});
export type TouchedInstances = z.output<typeof touchedInstances>;

export const deedPreviewEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/runs/{dag_run_id}/instance-counts`,
      tag: "Page",
      summary: "How many task instances of a run are in which state",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      answers: { 200: instanceCounts },
    },
    async (ask) => {
      const run = await runOf(ask);
      const counts = await ask.tx((tx) => countInstances(tx, run.run));
      const answer: InstanceCounts = {
        state: run.state,
        version: run.version,
        commit: run.commit,
        counts: counts.map(({ state, count }) => ({ state: state === "" ? null : state, count })),
      };
      return json(200, answer);
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${ui}/dags/{dag_id}/runs/{dag_run_id}/mark`,
      tag: "Page",
      summary: "Mark task instances of several tasks; by default only says which",
      policy: { deed: "task.mark", on: "dag:{dag_id}" },
      body: {
        dry_run: z.boolean().default(true),
        state: z.enum(["success", "failed", "skipped"]),
        tasks: z
          .array(z.object({ task_id: text(250), map_index: z.int().min(-1).nullish() }))
          .min(1)
          .max(1_000),
        include_upstream: z.boolean().default(false),
        include_downstream: z.boolean().default(false),
        include_past: z.boolean().default(false),
        include_future: z.boolean().default(false),
      },
      answers: { 200: touchedInstances },
    },
    async (ask) => {
      const { run_id } = await runOf(ask);
      const dag_id = ask.params["dag_id"] ?? "";
      const { tasks, ...how } = ask.body;
      const touched = new Map<string, InstanceRef>();
      for (const { task_id, map_index } of tasks) {
        const refs = done(
          await ask.deps.runs.markInstances(ask.tenant, {
            dag_id,
            run_id,
            task_id,
            map_index: map_index ?? undefined,
            ...how,
            user: ask.asker.name,
          }),
        );
        for (const ref of refs)
          touched.set(JSON.stringify([ref.run_id, ref.task_id, ref.map_index]), ref);
      }
      if (!how.dry_run)
        await ask.tx((tx) =>
          ask.audit(tx, "task.mark", `dag:${dag_id}`, {
            run_id,
            state: how.state,
            instances: touched.size,
          }),
        );
      const answer: TouchedInstances = {
        total: touched.size,
        instances: [...touched.values()].slice(0, shownMax),
      };
      return json(200, answer);
    },
  ),
];
