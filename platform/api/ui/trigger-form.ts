/** What the form for starting a run is made from: the params of the live version, and what the last run was given. */
import { z } from "zod";
import { lastRunOf } from "../../store/explore-runs.ts";
import { getDag, getVersion } from "../../store/read-dags.ts";
import { noSuchDag } from "../airflow/dags.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";

const triggerForm = z.object({
  dag_id: z.string(),
  display_name: z.string(),
  is_paused: z.boolean(),
  is_active: z.boolean(),
  version: z.int(),
  max_active_runs: z.int(),
  running: z.int(),
  params: z.array(
    z.object({
      name: z.string(),
      schema: z.record(z.string(), z.unknown()),
      description: z.string().nullable(),
    }),
  ),
  /** The newest run that a person or a program started; its conf as JSON text, so that no number is rounded. */
  last: z
    .object({ run_id: z.string(), at: z.string(), conf: z.string(), user: z.string().nullable() })
    .nullable(),
});
export type TriggerForm = z.output<typeof triggerForm>;

export const triggerFormEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/trigger-form`,
      tag: "Page",
      summary: "What a form for starting a run is made from",
      policy: { deed: "run.trigger", on: "dag:{dag_id}" },
      answers: { 200: triggerForm },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] ?? "";
      const mayRead = ask.may("run.read", `dag:${dagId}`);
      const form = await ask.tx(async (tx): Promise<TriggerForm | undefined> => {
        const dag = await getDag(tx, dagId);
        if (dag === undefined) return undefined;
        const [spec, last] = await Promise.all([
          getVersion(tx, dagId, dag.version),
          lastRunOf(tx, dagId),
        ]);
        return {
          dag_id: dagId,
          display_name: dag.display_name,
          is_paused: dag.is_paused,
          is_active: dag.state === "active",
          version: dag.version,
          max_active_runs: dag.max_active_runs,
          running: last.running,
          params: Object.entries(spec?.spec.params ?? {}).map(
            ([name, { schema, description }]) => ({
              name,
              schema,
              description: description ?? null,
            }),
          ),
          last:
            mayRead && last.run_id !== null && last.at !== null
              ? {
                  run_id: last.run_id,
                  at: last.at.toISOString(),
                  conf: last.conf ?? "{}",
                  user: last.triggering_user,
                }
              : null,
        };
      });
      if (form === undefined) throw noSuchDag(dagId);
      return json(200, form);
    },
  ),
];
