import { Readable } from "node:stream";
import { z } from "zod";
import { findArtifact, listArtifacts } from "../../store/read-artifacts.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { flag, pageOf, paging, whole } from "../fields.ts";
import { notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { api } from "./base.ts";

const tag = "Artifacts";
const run = `${api}/dags/{dag_id}/dagRuns/{dag_run_id}`;

const artifact = z.object({
  task_id: z.string(),
  map_index: z.int(),
  try_number: z.int(),
  name: z.string(),
  bytes: z.number(),
  content_type: z.string(),
  created_at: z.iso.datetime(),
});

/** Files that attempts left behind. A tenant's file is never shown as part of our pages: it is a download without rights. */
export const artifactEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${run}/artifacts`,
      tag,
      summary: "Files that the attempts of a run left behind",
      policy: { deed: "xcom.read", on: "dag:{dag_id}" },
      query: paging,
      answers: { 200: z.object({ artifacts: z.array(artifact), total_entries: z.int() }) },
    },
    async (ask) => {
      const rows = await ask.tx((tx) =>
        listArtifacts(
          tx,
          { dagId: ask.params["dag_id"] ?? "", runId: ask.params["dag_run_id"] ?? "" },
          pageOf(ask.query),
        ),
      );
      return json(200, {
        artifacts: rows.map((row) => ({
          task_id: row.task_id,
          map_index: row.map_index,
          try_number: row.try_number,
          name: row.name,
          bytes: row.bytes,
          content_type: row.content_type,
          created_at: row.at.toISOString(),
        })),
        total_entries: rows[0]?.total ?? 0,
      });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${run}/taskInstances/{task_id}/artifacts/{try_number}/{name*}`,
      tag,
      summary: "One such file",
      policy: { deed: "xcom.read", on: "dag:{dag_id}" },
      query: {
        map_index: whole(-1, 2_147_483_647).default(-1),
        /** To be looked at in a frame without rights; only what a browser shows by itself. */
        inline: flag.default(false),
      },
      answers: { 200: undefined },
    },
    async (ask) => {
      const { params } = ask;
      const row = await ask.tx((tx) =>
        findArtifact(tx, {
          dagId: params["dag_id"] ?? "",
          runId: params["dag_run_id"] ?? "",
          taskId: params["task_id"] ?? "",
          mapIndex: ask.query.map_index,
          tryNumber: Number(params["try_number"]),
          name: params["name"] ?? "",
        }),
      );
      const body = row === undefined ? undefined : await ask.deps.openObject(row.object);
      if (row === undefined || body === undefined) throw notFound("There is no such artifact");
      return new Response(Readable.toWeb(body) as unknown as ReadableStream, {
        headers: {
          "content-type": row.content_type,
          "content-length": String(row.bytes),
          // Whatever it says it is: no script, no plug-in, no cookie of ours. A browser may show it in an empty frame.
          "content-security-policy":
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'",
          "content-disposition": `${ask.query.inline && isShown(row.content_type) ? "inline" : "attachment"}; filename*=UTF-8''${encodeURIComponent(row.name.split("/").at(-1) ?? "file")}`,
          "x-content-type-options": "nosniff",
        },
      });
    },
  ),
];

/** Text, pictures, HTML: in the sandbox that the answer's own policy makes, none of it can do anything. */
const isShown = (contentType: string): boolean =>
  /^(?:text|image)\/|^application\/json\b/i.test(contentType);
