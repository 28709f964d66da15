/** What became of each commit, for the page: lines that are cheap to list, and one of them whole. */
import { z } from "zod";
import { readRepositoryId } from "../../model/ids.ts";
import { type DeployLine, listDeployLines, readDeploy } from "../../store/deploys.ts";
import { listRepositories } from "../../store/repositories.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { text, whole } from "../fields.ts";
import { badRequest, notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";

const at = z.string().nullable();
const line = {
  deploy: z.string(),
  repository: z.string(),
  commit: z.string().nullable(),
  reason: z.enum(["push", "webhook", "poll", "asked", "retry", "rollback", "restored"]),
  state: z.enum(["syncing", "live", "failed"]),
  started_at: z.string(),
  ended_at: at,
  ms: z.int().nullable(),
  parts: z.record(z.string(), z.int()).nullable(),
  dags: z.object({ new: z.int(), changed: z.int(), unchanged: z.int(), removed: z.int() }),
  errors_count: z.int(),
  warnings_count: z.int(),
  asked_by: z.string().nullable(),
  about: z.object({ author: z.string(), subject: z.string(), at: z.string() }).nullable(),
  was_live: z.boolean(),
};
const problem = z.object({
  path: z.string(),
  line: z.int().nullable(),
  message: z.string(),
  hint: z.string().nullable(),
  frame: z.object({ first: z.int(), lines: z.array(z.string()) }).nullable(),
});
const repository = z.object({
  repository: z.string(),
  branch: z.string(),
  url: z.string().nullable(),
  live_commit: z.string().nullable(),
  rollback: z
    .object({ commit: z.string(), instead_of: z.string(), at: z.string(), by: z.string() })
    .nullable(),
  failing: z.object({ message: z.string(), hint: z.string() }).nullable(),
  checked_at: at,
});
const deploysPage = z.object({
  repositories: z.array(repository),
  deploys: z.array(z.object(line)),
  /** Give it as `before` for the next page. */
  next: z.string().nullable(),
});
const deployWhole = z.object({
  ...line,
  errors: z.array(problem),
  warnings: z.array(problem),
  versions: z.array(z.object({ dag_id: z.string(), version: z.int() })),
});
export type DeploysPage = z.output<typeof deploysPage>;
export type DeployWhole = z.output<typeof deployWhole>;

const deployNumber = /^\d{1,18}$/;

export const deploysEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/deploys`,
      tag: "Page",
      summary: "Deploys of the repositories that one may read, newest first",
      policy: { deed: "repo.read", list: "repo" },
      query: {
        repository: text(100).optional(),
        state: z.enum(["syncing", "live", "failed"]).optional(),
        before: z.string().regex(deployNumber, { error: "must be a deploy's number" }).optional(),
        limit: whole(1, 100).default(50),
      },
      answers: { 200: deploysPage },
    },
    async (ask) => {
      const { query } = ask;
      if (query.repository !== undefined && !readRepositoryId(query.repository).ok)
        throw badRequest("repository is no repository's name");
      const seen = ask.seen();
      const { rows, repositories } = await ask.tx(async (tx) => ({
        rows: await listDeployLines(tx, {
          seen,
          repository: query.repository,
          state: query.state,
          before: query.before,
          limit: query.limit + 1,
        }),
        repositories: await listRepositories(tx, ask.tenant),
      }));
      const shown = rows.slice(0, query.limit);
      return json(200, {
        repositories: repositories
          .filter((row) => ask.may("repo.read", `repo:${row.repository}`))
          .map((row) => ({
            repository: row.repository,
            branch: row.branch,
            url: row.url,
            live_commit: row.head_commit,
            rollback:
              row.held_commit === null
                ? null
                : {
                    commit: row.held_commit,
                    instead_of: row.held_over ?? "",
                    at: (row.held_at ?? row.created_at).toISOString(),
                    by: row.held_by ?? "",
                  },
            failing:
              row.last_error === null
                ? null
                : { message: row.last_error, hint: row.last_error_hint ?? "" },
            checked_at: row.last_synced_at?.toISOString() ?? null,
          })),
        deploys: shown.map(toLine),
        next: rows.length > query.limit ? (shown.at(-1)?.deploy ?? null) : null,
      } satisfies DeploysPage);
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/deploys/{deploy}`,
      tag: "Page",
      summary: "One deploy: its problems with the lines around them, its warnings, what it changed",
      policy: { deed: "repo.read", list: "repo" },
      answers: { 200: deployWhole },
    },
    async (ask) => {
      const number = ask.params["deploy"] ?? "";
      if (!deployNumber.test(number)) throw notFound("There is no such deploy");
      const row = await ask.tx((tx) =>
        readDeploy(tx, number, { repositories: ask.seen(), dags: ask.seen("dag.read", "dag") }),
      );
      if (row === undefined) throw notFound("There is no such deploy");
      return json(200, {
        ...toLine(row),
        errors: row.errors.map(toProblem),
        warnings: row.warnings.map(toProblem),
        versions: row.versions.map(({ dag_id, version }) => ({ dag_id, version })),
      } satisfies DeployWhole);
    },
  ),
];

const toLine = (row: DeployLine): DeploysPage["deploys"][number] => ({
  deploy: row.deploy,
  repository: row.repository,
  commit: row.commit,
  reason: row.reason,
  state: row.state,
  started_at: row.started_at.toISOString(),
  ended_at: row.ended_at?.toISOString() ?? null,
  ms: row.ms,
  parts: row.parts,
  dags: row.dags,
  errors_count: row.errors_count,
  warnings_count: row.warnings_count,
  asked_by: row.asked_by,
  about: row.about,
  was_live: row.was_live,
});

const toProblem = (error: {
  path: string;
  line?: number;
  message: string;
  hint?: string;
  frame?: { first: number; lines: readonly string[] };
}): DeployWhole["errors"][number] => ({
  path: error.path,
  line: error.line ?? null,
  message: error.message,
  hint: error.hint ?? null,
  frame: error.frame === undefined ? null : { ...error.frame, lines: [...error.frame.lines] },
});
