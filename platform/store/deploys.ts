/** The record of what was deployed when, and what was wrong with it. */
import type { CommitId, RepositoryId, TenantId } from "../model/ids.ts";
import { addNotice } from "./changes.ts";
import type { Tx } from "./open.ts";
import { type SyncReason, storable } from "./repositories.ts";

export type DeployCounts = {
  readonly new: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly removed: number;
};

export type DeployError = {
  /** "" is the repository as a whole. */
  readonly path: string;
  readonly line?: number;
  readonly message: string;
  readonly hint?: string;
};

export const deployErrorsMax = 200;

/** Payload of each notification: `tenant/repository/deploy`. */
export const deployChannel = "airlock_deploy";

export async function beginDeploy(
  tx: Tx,
  deploy: {
    readonly tenant: TenantId;
    readonly repository: RepositoryId;
    readonly commit: CommitId | null;
    readonly reason: SyncReason;
  },
): Promise<string> {
  // Another sync of this repository cannot be under way (the lease): one that is left open died.
  await tx`
    update airlock.deploy set state = 'failed', ended_at = clock_timestamp(),
           errors = '[{"path": "", "message": "the sync was interrupted", "hint": "it is tried again"}]', errors_count = 1
     where tenant = ${deploy.tenant} and repository = ${deploy.repository} and state = 'syncing'`;
  const rows = await tx<{ deploy: string }[]>`
    insert into airlock.deploy (tenant, repository, commit, reason, state)
    values (${deploy.tenant}, ${deploy.repository}, ${deploy.commit}, ${deploy.reason}, 'syncing') returning deploy::text`;
  await addNotice(tx, deploy.tenant, "deploy");
  return rows[0]?.deploy ?? "";
}

export async function endDeploy(
  tx: Tx,
  end: {
    readonly tenant: TenantId;
    readonly repository: RepositoryId;
    readonly deploy: string;
    readonly state: "live" | "failed";
    readonly ms: number;
    readonly dags: DeployCounts;
    readonly errors: readonly DeployError[];
  },
): Promise<void> {
  const errors = end.errors.slice(0, deployErrorsMax).map((error) => ({
    ...error,
    path: storable(error.path),
    message: storable(error.message),
    ...(error.hint === undefined ? {} : { hint: storable(error.hint) }),
  }));
  await tx`
    update airlock.deploy
       set state = ${end.state}, ended_at = clock_timestamp(), ms = ${Math.round(end.ms)},
           dags_new = ${end.dags.new}, dags_changed = ${end.dags.changed},
           dags_unchanged = ${end.dags.unchanged}, dags_removed = ${end.dags.removed},
           errors = ${JSON.stringify(errors)}::text::json, errors_count = ${end.errors.length}
     where tenant = ${end.tenant} and deploy = ${end.deploy}::bigint and state = 'syncing'`;
  await addNotice(tx, end.tenant, "deploy");
  await tx`select pg_notify(${deployChannel}, ${`${end.tenant}/${end.repository}/${end.deploy}`})`;
}

/** As `airlock deploys list` and the API show it. */
export type DeployRow = {
  readonly repository: RepositoryId;
  readonly deploy: string;
  readonly commit: CommitId | null;
  readonly reason: SyncReason;
  readonly state: "syncing" | "live" | "failed";
  readonly started_at: Date;
  readonly ended_at: Date | null;
  readonly ms: number | null;
  readonly dags: DeployCounts;
  readonly errors: readonly DeployError[];
  readonly errors_count: number;
};

/** Newest first. `before`: a deploy's number, for the next page. */
export async function listDeploys(
  tx: Tx,
  query: {
    readonly tenant: TenantId;
    readonly repository?: RepositoryId;
    readonly commit?: CommitId;
    readonly limit: number;
    readonly before?: string;
  },
): Promise<readonly DeployRow[]> {
  const { tenant, repository = null, commit = null, limit, before = null } = query;
  return tx<DeployRow[]>`
    select repository, deploy::text, commit, reason, state, started_at, ended_at, ms,
           json_build_object('new', dags_new, 'changed', dags_changed, 'unchanged', dags_unchanged, 'removed', dags_removed) as dags,
           errors, errors_count
      from airlock.deploy
     where tenant = ${tenant} and (${repository}::text is null or repository = ${repository})
       and (${commit}::text is null or commit = ${commit}) and (${before}::bigint is null or deploy < ${before}::bigint)
     order by airlock.deploy.deploy desc limit ${limit}`;
}
