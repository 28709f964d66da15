/** The file of a DAG at a version or at a run's commit, with who made the commit. */
import { z } from "zod";
import { readGraphVersion, readRunPin } from "../../store/read-graph.ts";
import { noSuchDag } from "../airflow/dags.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { text, whole } from "../fields.ts";
import { forgeLink } from "../forge-link.ts";
import { mustReadFile } from "../must-read-file.ts";
import { badRequest, notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";

const dagSource = z.object({
  dag_id: z.string(),
  version: z.int(),
  live_version: z.int(),
  repository: z.string(),
  path: z.string(),
  commit: z.string(),
  /** null: the file is no longer kept at that commit. */
  content: z.string().nullable(),
  /** Its first line tells why; null where the commit is not on this machine any more. */
  made: z
    .object({
      author: z.string(),
      at: z.string().meta({ format: "date-time" }),
      subject: z.string(),
    })
    .nullable(),
  /** On the forge. */
  link: z.string().nullable(),
});
export type DagSource = z.output<typeof dagSource>;

export const sourceEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/source`,
      tag: "Page",
      summary: "The file of a DAG at a version, or at the commit of a run",
      policy: { deed: "code.read", on: "dag:{dag_id}" },
      query: { version: whole(0, 2_147_483_647).optional(), run_id: text(250).optional() },
      answers: { 200: dagSource },
    },
    async (ask) => {
      const dagId = ask.params["dag_id"] ?? "";
      const { version, run_id: runId } = ask.query;
      if (version !== undefined && runId !== undefined)
        throw badRequest("Give a version or a run_id, not both");
      if (runId !== undefined) ask.must("run.read", `dag:${dagId}`);
      const { row, run } = await ask.tx(async (tx) => {
        const pin = runId === undefined ? undefined : await readRunPin(tx, dagId, runId);
        return { row: await readGraphVersion(tx, dagId, pin?.version ?? version), run: pin };
      });
      if (runId !== undefined && run === undefined)
        throw notFound(`There is no run ${runId} of ${dagId}`);
      if (row === undefined)
        throw version === undefined
          ? noSuchDag(dagId)
          : notFound(`There is no version ${String(version)} of ${dagId}`);
      // A run keeps the commit it began with, which may be later than the first that had its version.
      const at = run ?? row;
      await mustReadFile(ask, at);
      const { repository, path, commit } = at;
      const [content, made] = await Promise.all([
        ask.deps.sources.readSource(ask.tenant, { repository, commit, path }),
        ask.deps.sources.describeCommit(ask.tenant, { repository, commit }),
      ]);
      const answer: DagSource = {
        dag_id: dagId,
        version: row.version,
        live_version: row.live_version,
        repository,
        path,
        commit,
        content: content ?? null,
        made:
          made === undefined
            ? null
            : { author: made.author, at: made.at.toISOString(), subject: made.subject },
        link:
          made === undefined
            ? null
            : forgeLink(made.url, {
                commit,
                path: made.folder === "" ? path : `${made.folder}/${path}`,
              }),
      };
      return json(200, answer);
    },
  ),
];
