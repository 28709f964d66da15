/** The record of what was deployed when, and what was wrong with it. */
import type { CommitId, RepositoryId, TenantId } from "../model/ids.ts";
import { storable } from "../model/storable-text.ts";
import { addNotice } from "./changes.ts";
import { type SeenIds, seenIn } from "./filters.ts";
import type { Tx } from "./open.ts";
import type { SyncReason } from "./repositories.ts";

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
  /** The lines around it as the commit has them: a checkout that never went live does not stay. */
  readonly frame?: { readonly first: number; readonly lines: readonly string[] };
};

/** `rollback`: somebody went back to this commit. */
export type DeployReason = SyncReason | "rollback";

export type CommitFacts = {
  readonly author: string;
  readonly subject: string;
  /** ISO 8601 */
  readonly at: string;
};

/** Milliseconds; a part that was not reached is not there. */
export type DeployParts = {
  readonly [part in "fetch" | "checkout" | "environment" | "parse" | "store"]?: number;
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
    readonly reason: DeployReason;
    readonly by?: string | null;
    /** Names the sync's trace, if it has one. */
    readonly trace?: string | undefined;
  },
): Promise<string> {
  // Another sync of this repository cannot be under way (the lease): one that is left open died.
  await tx`
    update airlock.deploy set state = 'failed', ended_at = clock_timestamp(),
           errors = '[{"path": "", "message": "the sync was interrupted", "hint": "it is tried again"}]', errors_count = 1
     where tenant = ${deploy.tenant} and repository = ${deploy.repository} and state = 'syncing'`;
  const rows = await tx<{ deploy: string }[]>`
    insert into airlock.deploy (tenant, repository, commit, reason, state, asked_by, trace)
    values (${deploy.tenant}, ${deploy.repository}, ${deploy.commit}, ${deploy.reason}, 'syncing', ${deploy.by ?? null}, ${deploy.trace ?? null}) returning deploy::text`;
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
    readonly warnings?: readonly DeployError[];
    readonly parts?: DeployParts;
    readonly about?: CommitFacts | undefined;
  },
): Promise<void> {
  const errors = end.errors.slice(0, deployErrorsMax).map(storableError);
  const warnings = (end.warnings ?? []).slice(0, deployErrorsMax).map(storableError);
  const about =
    end.about === undefined
      ? null
      : {
          author: storable(end.about.author).slice(0, 200),
          subject: storable(end.about.subject).slice(0, 300),
          at: end.about.at,
        };
  await tx`
    update airlock.deploy
       set state = ${end.state}, ended_at = clock_timestamp(), ms = ${Math.round(end.ms)},
           dags_new = ${end.dags.new}, dags_changed = ${end.dags.changed},
           dags_unchanged = ${end.dags.unchanged}, dags_removed = ${end.dags.removed},
           errors = ${JSON.stringify(errors)}::text::json, errors_count = ${end.errors.length},
           warnings = ${JSON.stringify(warnings)}::text::json, about = ${about === null ? null : JSON.stringify(about)}::text::json,
           parts = ${end.parts === undefined ? null : JSON.stringify(end.parts)}::text::json
     where tenant = ${end.tenant} and deploy = ${end.deploy}::bigint and state = 'syncing'`;
  await addNotice(tx, end.tenant, "deploy");
  await tx`select pg_notify(${deployChannel}, ${`${end.tenant}/${end.repository}/${end.deploy}`})`;
}

const storableError = (error: DeployError): DeployError => ({
  ...error,
  path: storable(error.path),
  message: storable(error.message),
  ...(error.hint === undefined ? {} : { hint: storable(error.hint) }),
  ...(error.frame === undefined
    ? {}
    : { frame: { first: error.frame.first, lines: error.frame.lines.map(storable) } }),
});

/** As `airlock deploys list` and the API show it. */
export type DeployRow = {
  readonly repository: RepositoryId;
  readonly deploy: string;
  readonly commit: CommitId | null;
  readonly reason: DeployReason;
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

/** A deploy as a line of the page's list: what was wrong is counted, and read when one looks at it. */
export type DeployLine = Pick<
  DeployRow,
  | "repository"
  | "deploy"
  | "commit"
  | "reason"
  | "state"
  | "started_at"
  | "ended_at"
  | "ms"
  | "dags"
  | "errors_count"
> & {
  readonly asked_by: string | null;
  readonly about: CommitFacts | null;
  readonly parts: DeployParts | null;
  readonly warnings_count: number;
  readonly was_live: boolean;
};

const lineColumns = (tx: Tx) => tx`
  d.repository, d.deploy::text, d.commit, d.reason, d.state, d.started_at, d.ended_at, d.ms,
  json_build_object('new', d.dags_new, 'changed', d.dags_changed, 'unchanged', d.dags_unchanged, 'removed', d.dags_removed) as dags,
  d.errors_count, json_array_length(d.warnings) as warnings_count, d.asked_by, d.about, d.parts,
  -- one entry of an index each
  exists (select from airlock.deploy l where l.tenant = d.tenant and l.repository = d.repository and l.commit = d.commit
            and l.state = 'live') as was_live`;

/** Newest first, of repositories that the asker may read. `before`: a deploy's number. */
export const listDeployLines = (
  tx: Tx,
  query: {
    readonly seen: SeenIds;
    readonly repository: string | undefined;
    readonly state: "syncing" | "live" | "failed" | undefined;
    readonly before: string | undefined;
    readonly limit: number;
  },
): Promise<readonly DeployLine[]> => tx<DeployLine[]>`
  select ${lineColumns(tx)} from airlock.deploy d
   where d.tenant = airlock.current_tenant() and ${seenIn(tx, tx`d.repository`, query.seen)}
     and ${query.repository === undefined ? tx`true` : tx`d.repository = ${query.repository}`}
     and ${query.state === undefined ? tx`true` : tx`d.state = ${query.state}`}
     and ${query.before === undefined ? tx`true` : tx`d.deploy < ${query.before}::bigint`}
   order by d.deploy desc limit ${query.limit}`;

export type DeployWhole = DeployLine & {
  readonly errors: readonly DeployError[];
  readonly warnings: readonly DeployError[];
  /** DAG versions that this commit was the first to hold, of DAGs that the asker may read. */
  readonly versions: readonly { readonly dag_id: string; readonly version: number }[];
};

const versionsMax = 500;

export async function readDeploy(
  tx: Tx,
  deploy: string,
  seen: { readonly repositories: SeenIds; readonly dags: SeenIds },
): Promise<DeployWhole | undefined> {
  const rows = await tx<DeployWhole[]>`
    select ${lineColumns(tx)}, d.errors, d.warnings,
           coalesce((select json_agg(v order by v.dag_id, v.version) from (
             select v.dag_id, v.version from airlock.dag_version v
              where v.tenant = d.tenant and v.repository = d.repository and v.commit = d.commit
                and ${seenIn(tx, tx`v.dag_id`, seen.dags)} limit ${versionsMax}) v), '[]') as versions
      from airlock.deploy d
     where d.tenant = airlock.current_tenant() and d.deploy = ${deploy}::bigint
       and ${seenIn(tx, tx`d.repository`, seen.repositories)}`;
  return rows[0];
}
