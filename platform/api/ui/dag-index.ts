import { z } from "zod";
import { describeTimetable } from "../../engine/describe-timetable.ts";
import { durationsOf, packRuns, percentiles } from "../../model/run-strip.ts";
import { type DagIndexRow, listDagIndex } from "../../store/dag-index.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { text } from "../fields.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";

/** More than any list that a person filters by hand; what is beyond is said to be missing. */
const dagsMax = 10_000;

const strip = z.object({
  states: z.string(),
  ids: z.tuple([z.string(), z.string(), z.string()]),
  since: z.number(),
  times: z.array(z.int()),
});
const dag = z.object({
  dag_id: z.string(),
  display_name: z.string(),
  is_paused: z.boolean(),
  tags: z.array(z.string()),
  owners: z.array(z.string()),
  repository: z.string(),
  /** In words. */
  schedule: z.string(),
  next_run_at: z.iso.datetime().nullable(),
  max_active_runs: z.int(),
  running: z.int(),
  queued: z.int(),
  /** Seconds, of the runs in `runs` that have ended. */
  median_s: z.number().nullable(),
  p95_s: z.number().nullable(),
  has_import_error: z.boolean(),
  /** The last ones, newest first (`platform/model/run-strip.ts`); null: not for the asker to see. */
  runs: strip.nullable(),
  may: z.object({ pause: z.boolean(), trigger: z.boolean() }),
});
const dagIndex = z.object({
  /** The server's clock when it was read. */
  at: z.iso.datetime(),
  dags: z.array(dag),
  /** false: there are more than are told. */
  complete: z.boolean(),
});
export type DagIndex = z.output<typeof dagIndex>;
export type IndexedDag = z.output<typeof dag>;

export const dagIndexEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags`,
      tag: "DAG",
      summary: "All DAGs with their last runs, in few bytes",
      policy: { deed: "dag.read", list: "dag" },
      // Only these: what a list asks for when it is told that they changed.
      query: { dag_id: z.array(text(250)).max(100).optional() },
      answers: { 200: dagIndex },
    },
    async (ask) => {
      const rights = {
        dag: ask.seen(),
        runs: ask.seen("run.read"),
        pause: ask.seen("dag.pause"),
        trigger: ask.seen("run.trigger"),
      };
      const rows = await ask.tx(async (tx) =>
        listDagIndex(tx, { rights, dagIds: ask.query.dag_id, limit: dagsMax + 1 }),
      );
      return json(200, {
        at: new Date().toISOString(),
        dags: rows.slice(0, dagsMax).map(toDag),
        complete: rows.length <= dagsMax,
      } satisfies DagIndex);
    },
  ),
];

function toDag(row: DagIndexRow): IndexedDag {
  const runs = packRuns(row.runs);
  const [median_s = null, p95_s = null] = percentiles(durationsOf(runs), [0.5, 0.95]);
  return {
    dag_id: row.dag_id,
    display_name: row.display_name,
    is_paused: row.is_paused,
    tags: [...row.tags],
    owners: [...row.owners],
    repository: row.repository,
    schedule: describeTimetable(row.timetable),
    next_run_at: row.next_run_at?.toISOString() ?? null,
    max_active_runs: row.max_active_runs,
    running: row.running,
    queued: row.queued,
    median_s,
    p95_s,
    has_import_error: row.has_import_error,
    runs: row.may_read_runs ? runs : null,
    may: { pause: row.may_pause, trigger: row.may_trigger },
  };
}
