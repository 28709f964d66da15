/** Repositories and their deploys, as the API asks for them. */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { readBranch, readFolder } from "../../tenants/registry/repository-settings.ts";
import { type AddressRules, readGitAddress } from "../../tenants/source/git-address.ts";
import { createHosted, hostedDir } from "../../tenants/source/hosted-repository.ts";
import { describeCommit, readCommitted } from "../../tenants/source/read-commit.ts";
import { forgetRepository } from "../../tenants/sync/forget-repository.ts";
import type { Syncs } from "../../tenants/sync/run-syncs.ts";
import { type SyncFolders, sourceDir } from "../../tenants/sync/sync-repository.ts";
import type { DeedProblem, Deploy, Repository, SourceDeeds } from "../api/deps.ts";
import { type Answer, bad, good } from "../model/answer.ts";
import { type CommitId, known, readRepositoryId, type TenantId } from "../model/ids.ts";
import type { Keyring } from "../secrets/keyring.ts";
import { addNotice } from "../store/changes.ts";
import { listImportErrors } from "../store/dag-files.ts";
import { listDeploys } from "../store/deploys.ts";
import type { Store } from "../store/open.ts";
import {
  createRepository,
  findLiveCommits,
  holdCommit,
  listRepositories,
  type RepositoryRow,
  readBundle,
  readRepository,
  sealCredentials,
  takeHoldBack,
  wantSync,
} from "../store/repositories.ts";
import { getTenant } from "../store/tenants.ts";
import { isInside } from "./is-inside.ts";

export function openSourceDeeds(deps: {
  readonly store: Store;
  readonly keyring: Keyring;
  readonly folders: SyncFolders;
  /** Known once it listens: with port 0 the system chooses. */
  readonly publicUrl: () => string;
  readonly addressRules: AddressRules;
  readonly syncs: () => Syncs | undefined;
}): SourceDeeds {
  const { store, keyring, folders } = deps;
  const noSuch = (name: string): DeedProblem => ({
    kind: "not_found",
    message: `There is no repository '${name}'`,
  });
  const show = (row: RepositoryRow): Repository => ({
    name: row.repository,
    url: row.url,
    branch: row.branch,
    path: row.path,
    state:
      row.last_error === null
        ? row.head_commit === null
          ? "empty"
          : "live"
        : `failing: ${row.last_error}`,
    commit: row.head_commit,
    checked_at: row.last_synced_at,
    created_at: row.created_at,
    clone_url:
      row.kind === "hosted" ? `${deps.publicUrl()}/git/${row.tenant}/${row.repository}.git` : null,
    webhook_url: `${deps.publicUrl()}/t/${row.tenant}/hooks/git/${row.repository}`,
    has_credentials: row.credentials !== null,
    rollback:
      row.held_commit === null
        ? null
        : {
            commit: row.held_commit,
            instead_of: row.held_over ?? "",
            at: row.held_at ?? row.created_at,
            by: row.held_by ?? "",
          },
  });
  const find = (tenant: TenantId, name: string): Promise<RepositoryRow | undefined> =>
    store.tx(tenant, (tx) => readRepository(tx, tenant, known.repository(name)));
  /** The setting may have changed since the commit was deployed. */
  const folderOf = async (tenant: TenantId, row: RepositoryRow, commit: string): Promise<string> =>
    (await store.tx(tenant, (tx) => readBundle(tx, tenant, row.repository, known.commit(commit))))
      ?.path ?? row.path;

  return {
    async listRepositories(tenant) {
      return (await store.tx(tenant, (tx) => listRepositories(tx, tenant))).map(show);
    },

    async createRepository(tenant, wanted) {
      const name = readRepositoryId(wanted.name);
      if (!name.ok) return bad({ kind: "refused", field: "name", message: name.problem.message });
      const branch = readBranch(wanted.branch ?? "main");
      if (!branch.ok) return bad({ kind: "refused", field: "branch", message: branch.problem });
      const path = readFolder(wanted.path ?? "");
      if (!path.ok) return bad({ kind: "refused", field: "path", message: path.problem });
      const kind = wanted.url === undefined ? "hosted" : "external";
      if (wanted.url !== undefined) {
        const row = await store.tx(tenant, (tx) => getTenant(tx, tenant));
        const address = readGitAddress(wanted.url, {
          ...deps.addressRules,
          privateHosts: [...deps.addressRules.privateHosts, ...(row?.allow_sources ?? [])],
        });
        if (!address.ok)
          return bad({
            kind: "refused",
            field: "url",
            message: `${address.problem.message}; ${address.problem.hint}`,
          });
      }
      const credentials =
        wanted.credentials === undefined
          ? null
          : await keyring.seal(
              tenant,
              "repository",
              name.value,
              JSON.stringify(
                "token" in wanted.credentials
                  ? {
                      kind: "token",
                      username: wanted.credentials.username ?? "git",
                      token: wanted.credentials.token,
                    }
                  : {
                      kind: "deploy_key",
                      privateKey: wanted.credentials.private_key,
                      knownHosts: wanted.credentials.known_hosts,
                    },
              ),
            );
      if (kind === "hosted")
        await createHosted(hostedDir(folders.hosted, tenant, name.value), branch.value);
      const made = await store.tx(tenant, async (tx) => {
        const created = await createRepository(tx, {
          tenant,
          repository: name.value,
          kind,
          url: wanted.url ?? null,
          branch: branch.value,
          path: path.value,
          credentials,
          webhook_secrets: null,
        });
        if (created === "created" && kind === "external")
          await wantSync(tx, tenant, name.value, "asked");
        return created;
      });
      if (made === "exists")
        return bad({ kind: "exists", message: `The repository '${name.value}' exists already` });
      deps.syncs()?.wake();
      const row = await find(tenant, name.value);
      return row === undefined ? bad(noSuch(name.value)) : good(show(row));
    },

    async deleteRepository(tenant, name) {
      const row = await find(tenant, name);
      if (row === undefined) return bad(noSuch(name));
      await forgetRepository(tenant, row.repository, { store, folders, now: () => new Date() });
      return good(undefined);
    },

    async renewWebhookSecret(tenant, name) {
      const row = await find(tenant, name);
      if (row === undefined) return bad(noSuch(name));
      const secret = randomBytes(32).toString("base64url");
      const before =
        row.webhook_secrets === null
          ? []
          : (JSON.parse(
              await keyring.open(tenant, "webhook", row.repository, row.webhook_secrets),
            ) as string[]);
      // The one before stays valid until the next renewal, so that a rotation loses no delivery.
      const sealed = await keyring.seal(
        tenant,
        "webhook",
        row.repository,
        JSON.stringify([secret, ...before.slice(0, 1)]),
      );
      await store.tx(tenant, (tx) =>
        sealCredentials(tx, { tenant, repository: row.repository, webhook_secrets: sealed }),
      );
      return good({ secret, url: `${deps.publicUrl()}/t/${tenant}/hooks/git/${row.repository}` });
    },

    async syncNow(tenant, name, by) {
      const row = await find(tenant, name);
      if (row === undefined) return bad(noSuch(name));
      await store.tx(tenant, (tx) => wantSync(tx, tenant, row.repository, "asked", "wake", by));
      deps.syncs()?.wake();
      return good(undefined);
    },

    async rollBack(tenant, name, { commit: prefix, by }) {
      const row = await find(tenant, name);
      if (row === undefined) return bad(noSuch(name));
      const answer = await store.tx(
        tenant,
        async (tx): Promise<Answer<{ commit: CommitId }, DeedProblem>> => {
          const [commit, another] = await findLiveCommits(tx, tenant, row.repository, prefix);
          const refuse = (message: string) => bad({ kind: "refused" as const, message });
          if (commit === undefined)
            return refuse(
              `No commit ${prefix} of ${name} was live: only a commit that was live can be gone back to`,
            );
          if (another !== undefined)
            return refuse(`Several commits that were live begin with ${prefix}: write more of it`);
          if (commit === row.head_commit && (row.held_commit ?? commit) === commit)
            return refuse(`The commit ${commit.slice(0, 10)} is live already`);
          if (!(await holdCommit(tx, tenant, row.repository, commit, by)))
            return refuse(`The repository ${name} was never synced`);
          await addNotice(tx, tenant, "deploy");
          return good({ commit });
        },
      );
      if (answer.ok) deps.syncs()?.wake();
      return answer;
    },

    async takeRollbackBack(tenant, name, by) {
      const row = await find(tenant, name);
      if (row === undefined) return bad(noSuch(name));
      const freed = await store.tx(tenant, async (tx) => {
        const found = await takeHoldBack(tx, tenant, row.repository, by);
        if (found) await addNotice(tx, tenant, "deploy");
        return found;
      });
      if (!freed)
        return bad({ kind: "refused", message: `${name} is not rolled back: its branch is live` });
      deps.syncs()?.wake();
      return good(undefined);
    },

    async listDeploys(tenant, query) {
      const repository =
        query.repository === undefined ? undefined : known.repository(query.repository);
      const [rows, counted] = await store.tx(tenant, async (tx) => [
        await listDeploys(tx, {
          tenant,
          ...(repository === undefined ? {} : { repository }),
          limit: query.offset + query.limit,
        }),
        await tx<{ n: number }[]>`
          select count(*)::int as n from airlock.deploy
           where tenant = ${tenant} and (${repository ?? null}::text is null or repository = ${repository ?? null})`,
      ]);
      const deploys = rows.slice(query.offset).map(
        (row): Deploy => ({
          repository: row.repository,
          commit: row.commit ?? "",
          state: row.state,
          dags: row.dags,
          errors: row.errors.map((error) => ({
            path: error.path,
            line: error.line ?? null,
            message: withHint(error.message, error.hint),
          })),
          ms: row.ms,
          at: row.started_at,
        }),
      );
      return { deploys, total: counted[0]?.n ?? 0 };
    },

    async listImportErrors(tenant) {
      return store.tx(tenant, async (tx) => {
        const errors = await listImportErrors(tx, tenant);
        const dags = await tx<{ dag_id: string; repository: string; path: string }[]>`
          select dag_id, repository, path from airlock.dag where tenant = ${tenant}`;
        return errors.map((error) => ({
          id: Number(error.import_error),
          repository: error.repository,
          path: error.path,
          line: error.line,
          message: withHint(error.message, error.hint ?? undefined),
          traceback: error.traceback,
          at: error.at,
          dag_ids: dags
            .filter((dag) => dag.repository === error.repository && dag.path === error.path)
            .map((dag) => dag.dag_id),
        }));
      });
    },

    async describeCommit(tenant, at) {
      const row = await find(tenant, at.repository);
      if (row === undefined) return undefined;
      const facts = await describeCommit(sourceDir(row, { folders }), at.commit);
      if (facts === undefined) return undefined;
      return { ...facts, url: row.url, folder: await folderOf(tenant, row, at.commit) };
    },

    async readSource(tenant, file) {
      const root = join(folders.bundles, tenant, file.repository, file.commit);
      const path = join(root, file.path);
      if (!isInside(root, path)) return undefined;
      try {
        // The checkout holds no links, and nobody but us writes there; still nothing is followed.
        const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
        try {
          return await handle.readFile("utf8");
        } finally {
          await handle.close();
        }
      } catch {
        // Checkouts of old commits are removed; the repository itself still has them.
        const row = await find(tenant, file.repository);
        if (row === undefined) return undefined;
        const folder = await folderOf(tenant, row, file.commit);
        return readCommitted(
          sourceDir(row, { folders }),
          file.commit,
          folder === "" ? file.path : `${folder}/${file.path}`,
        );
      }
    },
  };
}

const withHint = (message: string, hint: string | undefined): string =>
  hint === undefined ? message : `${message.replace(/\.$/, "")}. ${hint}`;
