/** Rows of repositories: settings, who wants a sync, who holds the lease. */
import { type CommitId, known, type RepositoryId, type TenantId } from "../model/ids.ts";
import type { Tx } from "./open.ts";

/** `restored`: a rollback was taken back. */
export type SyncReason = "push" | "webhook" | "poll" | "asked" | "retry" | "restored";

export type RepositoryRow = {
  readonly tenant: TenantId;
  readonly repository: RepositoryId;
  readonly kind: "hosted" | "external";
  readonly url: string | null;
  readonly branch: string;
  readonly path: string;
  /** Sealed; opened by `platform/secrets`. */
  readonly credentials: Buffer | null;
  readonly webhook_secrets: Buffer | null;
  readonly head_commit: CommitId | null;
  readonly seen_commit: CommitId | null;
  readonly failures: number;
  readonly last_error: string | null;
  readonly last_error_hint: string | null;
  readonly last_synced_at: Date | null;
  readonly last_change_at: Date | null;
  readonly last_webhook_at: Date | null;
  readonly next_poll_at: Date;
  readonly created_at: Date;
  /** Live in place of the branch's newest commit, which was `held_over`. */
  readonly held_commit: CommitId | null;
  readonly held_over: CommitId | null;
  readonly held_at: Date | null;
  readonly held_by: string | null;
};

const columns = `tenant, repository, kind, url, branch, path, credentials, webhook_secrets, head_commit, seen_commit,
  failures, last_error, last_error_hint, last_synced_at, last_change_at, last_webhook_at, next_poll_at, created_at,
  held_commit, held_over, held_at, held_by`;

/** `exists`: the tenant has a repository of this name. */
export async function createRepository(
  tx: Tx,
  row: Pick<
    RepositoryRow,
    "tenant" | "repository" | "kind" | "url" | "branch" | "path" | "credentials" | "webhook_secrets"
  >,
): Promise<"created" | "exists"> {
  const made = await tx`
    insert into airlock.repository (tenant, repository, kind, url, branch, path, credentials, webhook_secrets)
    values (${row.tenant}, ${row.repository}, ${row.kind}, ${row.url}, ${row.branch}, ${row.path}, ${row.credentials}, ${row.webhook_secrets})
    on conflict do nothing returning 1`;
  return made.length === 1 ? "created" : "exists";
}

/** Settings only; a sync must be asked for (`wantSync`) to make them live. What was gone back to was another content: no hold outlives it. */
export async function changeRepository(
  tx: Tx,
  row: Pick<RepositoryRow, "tenant" | "repository" | "url" | "branch" | "path">,
): Promise<boolean> {
  const changed = await tx`
    update airlock.repository set url = ${row.url}, branch = ${row.branch}, path = ${row.path}, seen_commit = null,
           held_commit = null, held_over = null, held_at = null, held_by = null
     where tenant = ${row.tenant} and repository = ${row.repository} returning 1`;
  return changed.length === 1;
}

export async function sealCredentials(
  tx: Tx,
  row: Pick<RepositoryRow, "tenant" | "repository"> &
    Partial<Pick<RepositoryRow, "credentials" | "webhook_secrets">>,
): Promise<boolean> {
  const changed = await tx`
    update airlock.repository
       set credentials = case when ${row.credentials !== undefined} then ${row.credentials ?? null}::bytea else credentials end,
           webhook_secrets = case when ${row.webhook_secrets !== undefined} then ${row.webhook_secrets ?? null}::bytea else webhook_secrets end
     where tenant = ${row.tenant} and repository = ${row.repository} returning 1`;
  return changed.length === 1;
}

/** Its DAGs retire with their history kept; its files, errors and deploys go. */
export async function removeRepository(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
): Promise<boolean> {
  await tx`update airlock.dag set state = 'retired', next_run_at = null where tenant = ${tenant} and repository = ${repository}`;
  const gone =
    await tx`delete from airlock.repository where tenant = ${tenant} and repository = ${repository} returning 1`;
  return gone.length === 1;
}

export async function readRepository(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
): Promise<RepositoryRow | undefined> {
  const rows = await tx<RepositoryRow[]>`
    select ${tx.unsafe(columns)} from airlock.repository where tenant = ${tenant} and repository = ${repository}`;
  return rows[0];
}

export async function listRepositories(
  tx: Tx,
  tenant: TenantId,
): Promise<readonly RepositoryRow[]> {
  return tx<RepositoryRow[]>`
    select ${tx.unsafe(columns)} from airlock.repository where tenant = ${tenant} order by repository`;
}

/** Payload of each notification: `tenant/repository`. */
export const syncChannel = "airlock_sync";

/**
 * Asks for a sync: one row and a wake-up. Asking twice before it begins is asking once. `quietly`: the
 * caller syncs it himself; the row is for the case that he dies over it.
 */
export async function wantSync(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  reason: SyncReason,
  how: "wake" | "quietly" = "wake",
  by: string | null = null,
): Promise<boolean> {
  const asked = await tx`
    update airlock.repository
       set wanted_at = clock_timestamp(), wanted_reason = ${reason}, wanted_by = ${by},
           last_webhook_at = case when ${reason === "webhook"} then clock_timestamp() else last_webhook_at end
     where tenant = ${tenant} and repository = ${repository} returning 1`;
  if (asked.length === 0) return false;
  if (how === "wake") await tx`select pg_notify(${syncChannel}, ${`${tenant}/${repository}`})`;
  return true;
}

/** Of this repository, commits that were live: newest first, of those that begin so. */
export async function findLiveCommits(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  prefix: string,
): Promise<readonly CommitId[]> {
  const rows = await tx<{ commit: CommitId }[]>`
    select commit from airlock.deploy
     where tenant = ${tenant} and repository = ${repository} and state = 'live'
       and commit collate "C" >= ${prefix} and commit collate "C" < ${`${prefix}g`}
     group by commit order by max(deploy) desc limit 2`;
  return rows.map(({ commit }) => commit);
}

/**
 * Puts a commit that was live in place of the branch's newest, and asks for the sync that makes it so. A commit that
 * is being deployed at this moment is what it is put in place of: who goes back does not mean to be overtaken by it.
 */
export async function holdCommit(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  commit: CommitId,
  by: string,
): Promise<boolean> {
  const held = await tx`
    update airlock.repository r
       set held_commit = ${commit}, held_at = clock_timestamp(), held_by = ${by},
           held_over = coalesce(
             r.held_over,
             (select d.commit from airlock.deploy d
               where d.tenant = r.tenant and d.repository = r.repository and d.state = 'syncing' order by d.deploy desc limit 1),
             r.seen_commit, r.head_commit)
     where r.tenant = ${tenant} and r.repository = ${repository}
       and coalesce(r.held_over, r.seen_commit, r.head_commit) is not null
    returning 1`;
  return held.length === 1 && wantSync(tx, tenant, repository, "asked", "wake", by);
}

/** The branch's newest commit is to be live again. false: nothing was held. */
export async function takeHoldBack(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  by: string,
): Promise<boolean> {
  const freed = await tx`
    update airlock.repository set held_commit = null, held_over = null, held_at = null, held_by = null
     where tenant = ${tenant} and repository = ${repository} and held_commit is not null returning 1`;
  return freed.length === 1 && wantSync(tx, tenant, repository, "restored", "wake", by);
}

/** The branch moved on, or the commit could not be made live: this hold, and no later one, is over. */
export async function endHold(
  tx: Tx,
  hold: Pick<RepositoryRow, "tenant" | "repository" | "held_commit" | "held_over">,
): Promise<void> {
  await tx`
    update airlock.repository set held_commit = null, held_over = null, held_at = null, held_by = null
     where tenant = ${hold.tenant} and repository = ${hold.repository}
       and held_commit = ${hold.held_commit} and held_over = ${hold.held_over}`;
}

/** A delivery seen in the last day asks for nothing. */
export async function noteDelivery(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  delivery: string,
): Promise<"new" | "seen"> {
  const noted = await tx`
    insert into airlock.webhook_delivery (tenant, repository, delivery) values (${tenant}, ${repository}, ${delivery})
    on conflict (tenant, repository, delivery) do update set at = clock_timestamp()
      where webhook_delivery.at < clock_timestamp() - interval '24 hours' returning 1`;
  return noted.length === 1 ? "new" : "seen";
}

export async function forgetDeliveries(tx: Tx): Promise<void> {
  await tx`delete from airlock.webhook_delivery where at < clock_timestamp() - interval '24 hours'`;
}

export type WantedSync = {
  readonly tenant: TenantId;
  readonly repository: RepositoryId;
  readonly reason: SyncReason;
};

/** System role. The longest waiting first, of active tenants, that nobody holds. Takes no lease. */
export async function listWanted(tx: Tx, limit: number): Promise<readonly WantedSync[]> {
  return tx<WantedSync[]>`
    select r.tenant, r.repository, r.wanted_reason as reason
      from airlock.repository r join airlock.tenant t using (tenant)
     where r.wanted_at is not null and t.state = 'active' and (r.lease_until is null or r.lease_until < clock_timestamp())
     order by r.wanted_at limit ${limit}`;
}

/** System role. Repositories of the built-in host that nobody syncs or wants synced, with the newest commit that was tried. */
export const listIdleHosted = (tx: Tx) => tx<
  {
    tenant: TenantId;
    repository: RepositoryId;
    branch: string;
    seen_commit: CommitId | null;
  }[]
>`
  select r.tenant, r.repository, r.branch, r.seen_commit from airlock.repository r join airlock.tenant t using (tenant)
   where r.kind = 'hosted' and r.wanted_at is null and t.state = 'active'
     and (r.lease_until is null or r.lease_until < clock_timestamp())`;

export type Lease = { readonly owner: string; readonly seconds: number };

export type LeasedRepository = RepositoryRow & {
  readonly reason: SyncReason;
  readonly wanted_by: string | null;
  /** A want of this moment or earlier is answered by this sync. */
  readonly claimed_at: string;
  /** As stored: may be wider or narrower than the defaults. */
  readonly tenant_limits: unknown;
  readonly tenant_egress: unknown;
  readonly tenant_sources: unknown;
  readonly uid: number;
};

/** Undefined: it does not exist, its tenant is suspended, or another one syncs it right now. */
export async function leaseRepository(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  lease: Lease,
): Promise<LeasedRepository | undefined> {
  const rows = await tx<LeasedRepository[]>`
    with mine as (
      update airlock.repository r
         set lease_owner = ${lease.owner}, lease_until = clock_timestamp() + make_interval(secs => ${lease.seconds})
        from airlock.tenant t
       where r.tenant = ${tenant} and r.repository = ${repository} and t.tenant = r.tenant and t.state = 'active'
         and (r.lease_until is null or r.lease_until < clock_timestamp())
      returning r.*, t.limits as tenant_limits, t.egress as tenant_egress, t.allow_sources as tenant_sources, t.uid)
    select ${tx.unsafe(columns)}, coalesce(wanted_reason, 'asked') as reason, wanted_by, clock_timestamp()::text as claimed_at,
           tenant_limits, tenant_egress, tenant_sources, uid from mine`;
  return rows[0];
}

/** false: the lease was lost; whoever syncs must stop and write nothing more. */
export async function renewLease(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  lease: Lease,
): Promise<boolean> {
  const kept = await tx`
    update airlock.repository set lease_until = clock_timestamp() + make_interval(secs => ${lease.seconds})
     where tenant = ${tenant} and repository = ${repository} and lease_owner = ${lease.owner} returning 1`;
  return kept.length === 1;
}

/** For who only needed the repository's folder: wants and polls stay as they are. */
export async function releaseLease(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  owner: string,
): Promise<void> {
  await tx`
    update airlock.repository set lease_owner = null, lease_until = null
     where tenant = ${tenant} and repository = ${repository} and lease_owner = ${owner}`;
}

export type SyncEnd = {
  readonly claimedAt: string;
  /** Absent: the repository could not be reached or read, `problem` says why. */
  readonly seen?: CommitId;
  readonly problem?: { readonly message: string; readonly hint: string };
  readonly nextPollSeconds: number;
};

/** Gives the lease back. A want that came after the claim stays, and wakes somebody up again. */
export async function endLease(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  owner: string,
  end: SyncEnd,
): Promise<void> {
  const left = await tx<{ wanted: boolean }[]>`
    update airlock.repository
       set lease_owner = null, lease_until = null,
           wanted_at = case when wanted_at > ${end.claimedAt}::timestamptz then wanted_at end,
           seen_commit = coalesce(${end.seen ?? null}, seen_commit),
           failures = case when ${end.problem === undefined} then 0 else failures + 1 end,
           last_error = ${end.problem?.message ?? null}, last_error_hint = ${end.problem?.hint ?? null},
           last_synced_at = case when ${end.problem === undefined} then clock_timestamp() else last_synced_at end,
           next_poll_at = clock_timestamp() + make_interval(secs => ${end.nextPollSeconds})
     where tenant = ${tenant} and repository = ${repository} and lease_owner = ${owner}
    returning wanted_at is not null as wanted`;
  if (left[0]?.wanted === true)
    await tx`select pg_notify(${syncChannel}, ${`${tenant}/${repository}`})`;
}

/**
 * System role. Turns due polls, and failed syncs whose pause is over, into wants; two nodes at once take
 * different rows. Answers how many.
 */
export async function wantDuePolls(tx: Tx, limit: number): Promise<number> {
  const due = await tx`
    update airlock.repository r set wanted_at = clock_timestamp(), wanted_reason = case when r.kind = 'external' then 'poll' else 'retry' end, wanted_by = null,
           next_poll_at = clock_timestamp() + interval '5 minutes'
      from (select d.tenant, d.repository from airlock.repository d
             where (d.kind = 'external' or d.failures > 0) and d.next_poll_at <= clock_timestamp() and d.wanted_at is null
               and (d.lease_until is null or d.lease_until < clock_timestamp())
             order by d.next_poll_at limit ${limit} for update skip locked) due
     where r.tenant = due.tenant and r.repository = due.repository returning 1`;
  return due.length;
}

/** System role. Seconds by Postgres' clock until the next poll is due; undefined: nothing is polled. */
export async function secondsToNextPoll(tx: Tx): Promise<number | undefined> {
  const rows = await tx<{ seconds: number | null }[]>`
    select extract(epoch from min(next_poll_at) - clock_timestamp())::float8 as seconds
      from airlock.repository where (kind = 'external' or failures > 0) and wanted_at is null`;
  return rows[0]?.seconds ?? undefined;
}

export type BundleRow = {
  readonly tenant: TenantId;
  readonly repository: RepositoryId;
  readonly commit: CommitId;
  readonly path: string;
  readonly dags_folder: string;
  /** GuestLimits */
  readonly limits: unknown;
  readonly packages: readonly string[];
  /** EnvironmentRef by guest kind, as the node that synced had them. */
  readonly environments: unknown;
};

export async function noteBundle(tx: Tx, row: BundleRow): Promise<void> {
  await tx`
    insert into airlock.bundle (tenant, repository, commit, path, dags_folder, limits, packages, environments)
    values (${row.tenant}, ${row.repository}, ${row.commit}, ${row.path}, ${row.dags_folder},
            ${JSON.stringify(row.limits)}::text::json, ${[...row.packages]}, ${JSON.stringify(row.environments)}::text::json)
    on conflict (tenant, repository, commit) do update
       set path = excluded.path, dags_folder = excluded.dags_folder, limits = excluded.limits,
           packages = excluded.packages, environments = excluded.environments`;
}

export async function readBundle(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  commit: CommitId,
): Promise<BundleRow | undefined> {
  const rows = await tx<BundleRow[]>`
    select tenant, repository, commit, path, dags_folder, limits, packages, environments from airlock.bundle
     where tenant = ${tenant} and repository = ${repository} and commit = ${commit}`;
  return rows[0];
}

/**
 * Commits whose checkout is still needed: head, the last five that were live, what live DAGs and
 * unfinished runs pin. Rows stay as long as any run names the commit: a run that is cleared to run again as
 * it was has its checkout made anew.
 */
export async function keepNeededBundles(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
): Promise<ReadonlySet<CommitId>> {
  const kept = await tx<{ commit: string }[]>`
    select head_commit as commit from airlock.repository where tenant = ${tenant} and repository = ${repository} and head_commit is not null
    union select commit from (
      select commit from airlock.deploy where tenant = ${tenant} and repository = ${repository} and state = 'live' and commit is not null
       group by commit order by max(deploy) desc limit 5) last
    union select commit from airlock.dag where tenant = ${tenant} and repository = ${repository} and state = 'active'
    union select commit from airlock.dag_run
     where tenant = ${tenant} and repository = ${repository} and state in ('queued', 'running')`;
  const commits = kept.map(({ commit }) => known.commit(commit));
  await tx`
    delete from airlock.bundle b
     where b.tenant = ${tenant} and b.repository = ${repository} and not (b.commit = any(${commits}))
       and not exists (select 1 from airlock.dag_run r
                        where r.tenant = b.tenant and r.repository = b.repository and r.commit = b.commit)`;
  return new Set(commits);
}
