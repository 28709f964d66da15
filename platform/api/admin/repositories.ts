import { z } from "zod";
import { readRepositoryId } from "../../model/ids.ts";
import { done } from "../airflow/deeds.ts";
import type { Deploy, Repository } from "../deps.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { pageOf, paging, text } from "../fields.ts";
import { isGiven } from "../is-given.ts";
import { invalid, notFound } from "../problem.ts";
import { json, nothing } from "../reply.ts";

const tag = "Repository";
const base = "/api/platform/tenants/{tenant}";
const path = `${base}/repositories`;
const one = `${path}/{repository}`;

const at = z.string().nullable();
const repository = z.object({
  name: z.string(),
  url: z.string().nullable(),
  branch: z.string(),
  path: z.string(),
  state: z.string(),
  commit: z.string().nullable(),
  checked_at: at,
  created_at: z.string(),
  clone_url: z.string().nullable(),
  webhook_url: z.string().nullable(),
  has_credentials: z.boolean(),
  rollback: z
    .object({ commit: z.string(), instead_of: z.string(), at: z.string(), by: z.string() })
    .nullable(),
});
const deploy = z.object({
  repository: z.string(),
  commit: z.string(),
  state: z.enum(["live", "failed", "syncing"]),
  dags: z.object({ new: z.int(), changed: z.int(), unchanged: z.int(), removed: z.int() }),
  errors: z.array(z.object({ path: z.string(), line: z.int().nullable(), message: z.string() })),
  ms: z.int().nullable(),
  at: z.string(),
});

export const repositoryEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path,
      tag,
      summary: "Repositories of a tenant",
      policy: { deed: "repo.read", list: "repo" },
      answers: { 200: z.object({ repositories: z.array(repository), total_entries: z.int() }) },
    },
    async (ask) => {
      const all = await ask.deps.sources.listRepositories(ask.tenant);
      const repositories = all
        .filter(({ name }) => ask.may("repo.read", `repo:${name}`))
        .map(toRepository);
      return json(200, { repositories, total_entries: repositories.length });
    },
  ),
  endpoint(
    {
      method: "POST",
      path,
      tag,
      summary: "Make a repository on the built-in host, or connect one (with a url)",
      policy: { deed: "repo.write", list: "repo" },
      body: {
        name: text(100),
        url: text(2_000).nullish(),
        branch: text(250).nullish(),
        path: text(500).nullish(),
        credentials: z
          .union([
            z.strictObject({ username: text(200).optional(), token: text(5_000).min(1) }),
            z.strictObject({ private_key: text(20_000).min(1), known_hosts: text(20_000).min(1) }),
          ])
          .nullish(),
      },
      answers: { 201: repository },
    },
    async (ask) => {
      const { body } = ask;
      const name = readRepositoryId(body.name);
      if (!name.ok) throw invalid("name", name.problem.message);
      ask.must("repo.write", `repo:${name.value}`);
      if (isGiven(body.credentials) && !isGiven(body.url))
        throw invalid("credentials", "credentials are for a repository with a url");
      const { credentials } = body;
      const made = await ask.deps.sources.createRepository(ask.tenant, {
        name: name.value,
        url: body.url ?? undefined,
        branch: body.branch ?? undefined,
        path: body.path ?? undefined,
        credentials: !isGiven(credentials)
          ? undefined
          : "token" in credentials
            ? {
                token: credentials.token,
                ...(credentials.username === undefined ? {} : { username: credentials.username }),
              }
            : credentials,
      });
      if (!made.ok && made.problem.field !== undefined)
        throw invalid(made.problem.field, made.problem.message);
      const row = done(made);
      await ask.tx((tx) =>
        ask.audit(tx, "repo.write", `repo:${row.name}`, { made: true, url: row.url }),
      );
      return json(201, toRepository(row));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: one,
      tag,
      summary: "One repository",
      policy: { deed: "repo.read", on: "repo:{repository}" },
      answers: { 200: repository },
    },
    async (ask) => json(200, toRepository(await repositoryOf(ask))),
  ),
  endpoint(
    {
      method: "DELETE",
      path: one,
      tag,
      summary: "Take a repository away; its DAGs retire, their history stays",
      policy: { deed: "repo.write", on: "repo:{repository}" },
      answers: { 204: undefined },
    },
    async (ask) => {
      const { name } = await repositoryOf(ask);
      done(await ask.deps.sources.deleteRepository(ask.tenant, name));
      await ask.tx((tx) => ask.audit(tx, "repo.write", `repo:${name}`, { removed: true }));
      return nothing();
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${one}/webhook-secret`,
      tag,
      summary: "A new webhook secret; shown this once",
      policy: { deed: "repo.write", on: "repo:{repository}" },
      answers: { 201: z.object({ secret: z.string(), url: z.string() }) },
    },
    async (ask) => {
      const { name } = await repositoryOf(ask);
      const made = done(await ask.deps.sources.renewWebhookSecret(ask.tenant, name));
      await ask.tx((tx) =>
        ask.audit(tx, "repo.write", `repo:${name}`, { webhook_secret: "renewed" }),
      );
      return json(201, made);
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${one}/sync`,
      tag,
      summary: "Look for new commits now",
      policy: { deed: "repo.push", on: "repo:{repository}" },
      answers: { 202: z.object({ repository: z.string() }) },
    },
    async (ask) => {
      const { name } = await repositoryOf(ask);
      done(await ask.deps.sources.syncNow(ask.tenant, name, ask.asker.subject));
      return json(202, { repository: name });
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${one}/rollback`,
      tag,
      summary:
        "Go back to a commit that was live; it holds until the next push or until taken back",
      policy: { deed: "repo.write", on: "repo:{repository}" },
      body: {
        commit: z.string().regex(/^[0-9a-f]{7,64}$/, {
          error: "must be a commit's id, or at least its first 7 characters",
        }),
      },
      answers: { 202: z.object({ repository: z.string(), commit: z.string() }) },
    },
    async (ask) => {
      const { name } = await repositoryOf(ask);
      const by = ask.asker.subject;
      const { commit } = done(
        await ask.deps.sources.rollBack(ask.tenant, name, { commit: ask.body.commit, by }),
      );
      await ask.tx((tx) => ask.audit(tx, "repo.write", `repo:${name}`, { rollback: commit }));
      return json(202, { repository: name, commit });
    },
  ),
  endpoint(
    {
      method: "DELETE",
      path: `${one}/rollback`,
      tag,
      summary: "Take a rollback back: the branch's newest commit goes live again",
      policy: { deed: "repo.write", on: "repo:{repository}" },
      answers: { 202: z.object({ repository: z.string() }) },
    },
    async (ask) => {
      const { name } = await repositoryOf(ask);
      done(await ask.deps.sources.takeRollbackBack(ask.tenant, name, ask.asker.subject));
      await ask.tx((tx) => ask.audit(tx, "repo.write", `repo:${name}`, { rollback: null }));
      return json(202, { repository: name });
    },
  ),
  ...[`${base}/deploys`, `${one}/deploys`].map((deploysPath) =>
    endpoint(
      {
        method: "GET",
        path: deploysPath,
        tag: "Deploy",
        summary: "What became of each commit, newest first",
        policy: { deed: "repo.read", list: "repo", in: "repository" },
        query: { limit: paging.limit, offset: paging.offset },
        answers: { 200: z.object({ deploys: z.array(deploy), total_entries: z.int() }) },
      },
      async (ask) => {
        if (ask.params["repository"] !== undefined) await repositoryOf(ask);
        const found = await ask.deps.sources.listDeploys(ask.tenant, {
          repository: ask.params["repository"],
          ...pageOf(ask.query),
        });
        const deploys = found.deploys
          .filter((row) => ask.may("repo.read", `repo:${row.repository}`))
          .map(toDeploy);
        return json(200, { deploys, total_entries: found.total });
      },
    ),
  ),
];

async function repositoryOf(ask: Ask<unknown, unknown>): Promise<Repository> {
  const name = ask.params["repository"] ?? "";
  const all = await ask.deps.sources.listRepositories(ask.tenant);
  const found = all.find((row) => row.name === name);
  if (!found) throw notFound(`Repository ${name} was not found`);
  return found;
}

const toRepository = (row: Repository): z.output<typeof repository> => ({
  name: row.name,
  url: row.url,
  branch: row.branch,
  path: row.path,
  state: row.state,
  commit: row.commit,
  checked_at: row.checked_at?.toISOString() ?? null,
  created_at: row.created_at.toISOString(),
  clone_url: row.clone_url,
  webhook_url: row.webhook_url,
  has_credentials: row.has_credentials,
  rollback: row.rollback === null ? null : { ...row.rollback, at: row.rollback.at.toISOString() },
});

const toDeploy = (row: Deploy): z.output<typeof deploy> => ({
  repository: row.repository,
  commit: row.commit,
  state: row.state,
  dags: { ...row.dags },
  errors: row.errors.map(({ path: file, line, message }) => ({ path: file, line, message })),
  ms: row.ms,
  at: row.at.toISOString(),
});
