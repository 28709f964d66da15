/** Beside the Airflow API's connections, variables and pools: where they are named, and whether a connection leads anywhere. */
import { z } from "zod";
import { getConnection } from "../../store/connections.ts";
import { listLiveFiles } from "../../store/live-files.ts";
import type * as shapes from "../airflow/shapes.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { text } from "../fields.ts";
import { badRequest, notFound, tooMany } from "../problem.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";
import { reachWords, targetOf } from "./connection-target.ts";
import { lineNaming } from "./named-in.ts";

const uses = z.object({
  files: z.array(
    z.object({
      repository: z.string(),
      path: z.string(),
      line: z.int(),
      dag_ids: z.array(z.string()),
    }),
  ),
  files_searched: z.int(),
  /** Not all were searched: there are too many, or one is too large. */
  is_partial: z.boolean(),
});
const reached = z.object({
  ok: z.boolean(),
  outcome: z.enum([
    "reached",
    "reached_tls",
    "not_allowed",
    "no_name",
    "refused",
    "timeout",
    "unreachable",
    "tls",
    "closed",
    "no_sandbox",
  ]),
  words: z.string(),
  host: z.string(),
  port: z.int(),
  tls: z.boolean(),
  ms: z.int(),
});
export type Connection = z.output<typeof shapes.connection>;
export type Variable = z.output<typeof shapes.variable>;
export type Pool = z.output<typeof shapes.pool>;
export type Uses = z.output<typeof uses>;
export type Reached = z.output<typeof reached>;

const filesMax = 1_000;
const fileLengthMax = 512 * 1024;
const filesAtOnce = 16;

const testsPerMinute = 20;
const testsAtOnce = 3;
/** Of this process: a test costs a process in the sandbox. */
const tests = new Map<string, { running: number; begun: number[] }>();

export const thingsEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/named-in`,
      tag: "Page",
      summary: "Live DAG files that name a connection, a variable or a pool",
      policy: { deed: "code.read", list: "dag" },
      query: { kind: z.enum(["conn", "var", "pool"]), name: text(256).min(1) },
      answers: { 200: uses },
    },
    async (ask) => {
      const { kind, name } = ask.query;
      // Whoever may not read the thing learns nothing of where it is used.
      if (!ask.may(`${kind}.read`, `${kind}:${name}`)) throw notFound();
      const all = await ask.tx((tx) => listLiveFiles(tx, ask.seen(), filesMax + 1));
      const files = all.slice(0, filesMax);
      let isPartial = all.length > filesMax;
      const found: Uses["files"] = [];
      const left = files.values();
      const search = async (): Promise<void> => {
        for (const file of left) {
          const source = await ask.deps.sources.readSource(ask.tenant, file);
          if (source === undefined || source.length > fileLengthMax) {
            isPartial = true;
            continue;
          }
          const line = lineNaming(source, kind, name);
          if (line !== undefined)
            found.push({
              repository: file.repository,
              path: file.path,
              line,
              dag_ids: [...file.dag_ids],
            });
        }
      };
      await Promise.all(Array.from({ length: filesAtOnce }, search));
      found.sort((a, b) => (a.path < b.path ? -1 : 1));
      return json(200, {
        files: found,
        files_searched: files.length,
        is_partial: isPartial,
      } satisfies Uses);
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${ui}/connections/{connection_id}/test`,
      tag: "Page",
      summary: "Try to reach a connection's host from inside the tenant's sandbox",
      policy: { deed: "conn.write", on: "conn:{connection_id}" },
      answers: { 200: reached },
    },
    async (ask) => {
      const name = ask.params["connection_id"] ?? "";
      const row = await ask.tx((tx) => getConnection(tx, name));
      if (row === undefined) throw notFound(`There is no connection ${name}`);
      const found = targetOf(row);
      if ("problem" in found) throw badRequest(found.problem);
      const { target } = found;
      const leave = enter(ask.tenant, performance.now());
      try {
        const answer = await ask.deps.tryToReach(ask.tenant, target);
        await ask.tx((tx) =>
          ask.audit(tx, "conn.write", `conn:${name}`, { tested: answer.outcome }),
        );
        return json(200, {
          ok: answer.outcome === "reached" || answer.outcome === "reached_tls",
          outcome: answer.outcome,
          words: reachWords(answer, target),
          ...target,
          ms: answer.ms,
        } satisfies Reached);
      } finally {
        leave();
      }
    },
  ),
];

function enter(tenant: string, nowMs: number): () => void {
  const mine = tests.get(tenant) ?? { running: 0, begun: [] };
  mine.begun = mine.begun.filter((at) => nowMs - at < 60_000);
  if (mine.running >= testsAtOnce || mine.begun.length >= testsPerMinute)
    throw tooMany("Too many tests at once: wait a moment, then try again", 10);
  mine.running += 1;
  mine.begun.push(nowMs);
  tests.set(tenant, mine);
  return () => {
    mine.running -= 1;
  };
}
