/**
 * One repository, from its newest commit to live DAGs. It may crash at any line: nothing is live before the
 * one transaction that publishes, and whatever is there when it begins again is taken up or thrown away.
 */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type { Logger } from "../../ops/telemetry/log.ts";
import { metrics } from "../../ops/telemetry/metrics.ts";
import { isTracing, rootSpan, withSpan } from "../../ops/telemetry/trace.ts";
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import type { DagSpec, GuestKind, Timetable } from "../../platform/model/dag-spec.ts";
import type {
  EnvironmentRef,
  FileProblem,
  GuestKey,
  GuestLimits,
  Guests,
  ParsedFile,
  ParseHost,
} from "../../platform/model/guest.ts";
import type { CommitId, RepositoryId, TenantId } from "../../platform/model/ids.ts";
import { isObject } from "../../platform/model/json.ts";
import {
  type DagFileRow,
  readDagFiles,
  writeDagFiles,
  writeImportErrors,
} from "../../platform/store/dag-files.ts";
import {
  holdRepository,
  type LiveDag,
  moveDags,
  moveHead,
  publishDags,
  readForeignDags,
  readLiveDags,
  retireDags,
} from "../../platform/store/dag-versions.ts";
import {
  beginDeploy,
  type CommitFacts,
  type DeployCounts,
  type DeployError,
  type DeployParts,
  type DeployReason,
  endDeploy,
} from "../../platform/store/deploys.ts";
import { isAway, type Store, type Tx } from "../../platform/store/open.ts";
import {
  endHold,
  endLease,
  keepNeededBundles,
  type LeasedRepository,
  leaseRepository,
  noteBundle,
  readBundle,
  renewLease,
  type SyncReason,
} from "../../platform/store/repositories.ts";
import { readEgressRules } from "../registry/egress.ts";
import { type DagFiles, findDagFiles } from "../registry/find-dag-files.ts";
import { defaultLimits, readLimit, repositoryBounds } from "../registry/limits.ts";
import {
  type RepositoryFile,
  readAirlockYaml,
  withoutAirlockYaml,
} from "../registry/read-airlock-yaml.ts";
import { type Bundle, checkOut, removeTree } from "../source/check-out.ts";
import { collectBundles } from "../source/collect-bundles.ts";
import type { GitCredentials } from "../source/credentials.ts";
import { describeCommit } from "../source/describe-commit.ts";
import {
  askHead,
  fetchBranch,
  fetchCommit,
  type Remote,
  resolveCommit,
} from "../source/fetch-branch.ts";
import { type AddressRules, reachAddress, readGitAddress } from "../source/git-address.ts";
import { hostedDir } from "../source/hosted-repository.ts";
import { tidyRepository } from "../source/tidy-repository.ts";
import { describeDeploy, describeError } from "./describe-deploy.ts";
import {
  type Blobs,
  inputHash,
  type ParseSetting,
  readInputs,
  setHash,
  versionHash,
} from "./file-sets.ts";
import { type DeployPlan, type FileFinding, planDeploy } from "./plan-deploy.ts";
import { pollSeconds } from "./poll-period.ts";

export type SyncFolders = {
  /** Repositories of the built-in host: the only copy. */
  readonly hosted: string;
  /** Bare mirrors of external ones: a cache. */
  readonly mirrors: string;
  /** Checkouts, `<tenant>/<repository>/<commit>`; tenants' uids must be able to enter. */
  readonly bundles: string;
  /** Mode 0700, best in memory: credentials while git runs. */
  readonly temporary: string;
};

export type EnsureEnvironment = (request: {
  readonly tenant: TenantId;
  readonly uid: number;
  readonly bundleDir: string;
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
}) => Promise<
  Answer<
    EnvironmentRef,
    {
      readonly message: string;
      readonly hint: string;
      readonly path?: string;
      readonly line?: number;
    }
  >
>;

export type SyncDeps = {
  readonly store: Store;
  readonly folders: SyncFolders;
  readonly guests: Pick<Guests, "parse">;
  /** What top-level code may ask for while it is parsed. */
  parseHostOf(tenant: TenantId): ParseHost;
  /** The Python environment of a checkout. */
  readonly ensureEnvironment: EnsureEnvironment;
  readonly nodeEnvironment: EnvironmentRef;
  /** Changes with our guest programs: a new one parses everything anew. */
  readonly guestVersions: { readonly [kind in GuestKind]: string };
  readDagSpec(raw: unknown): Answer<DagSpec, readonly FileProblem[]>;
  /** One sentence if this schedule can never be planned (a cron expression that is none). */
  checkTimetable(timetable: Timetable): string | undefined;
  summarizeTimetable(timetable: Timetable): string | null;
  openCredentials(
    tenant: TenantId,
    repository: RepositoryId,
    sealed: Buffer,
  ): Promise<GitCredentials>;
  /** The whole platform's allow-list; a tenant's own is added. */
  readonly addressRules: AddressRules;
  readonly caFile?: string;
  /** Something went live: schedules to plan, guests to warm. */
  deployed?(tenant: TenantId, repository: RepositoryId, commit: CommitId): void;
  readonly pausedAtCreation: boolean;
  /** This process, in leases. */
  readonly owner: string;
  readonly leaseSeconds?: number;
  readonly log: Logger;
  now(): Date;
};

export type SyncRequest = {
  readonly tenant: TenantId;
  readonly repository: RepositoryId;
  /** Absent: what the row says. */
  readonly reason?: SyncReason;
  /** Who pushed, as an actor. Absent: what the row says. */
  readonly by?: string | undefined;
  /** Progress, one plain line at a time, for whoever waits. */
  readonly onLine?: (line: string) => void;
  /** As soon as the outcome is fixed, before cleaning up. */
  readonly onDone?: (result: DeployResult) => void;
  readonly signal?: AbortSignal;
};

export type DeployResult =
  | {
      readonly kind: "live" | "failed";
      readonly commit: CommitId | null;
      readonly ms: number;
      readonly dags: DeployCounts;
      readonly errors: readonly DeployError[];
      /** As the push shows it. */
      readonly lines: readonly string[];
    }
  | { readonly kind: "up_to_date"; readonly commit: CommitId; readonly lines: readonly string[] }
  /** Another process syncs it, it does not exist, or its tenant is suspended. */
  | { readonly kind: "not_mine"; readonly lines: readonly string[] };

export async function syncRepository(request: SyncRequest, deps: SyncDeps): Promise<DeployResult> {
  const { tenant, repository } = request;
  const begun = performance.now();
  const lease = { owner: deps.owner, seconds: deps.leaseSeconds ?? 30 };
  const row = await deps.store.tx(tenant, (tx) => leaseRepository(tx, tenant, repository, lease));
  if (!row) return { kind: "not_mine", lines: ["another sync of this repository is under way"] };
  const reason = request.reason ?? row.reason;
  const lost = new AbortController();
  const signal = request.signal ? AbortSignal.any([request.signal, lost.signal]) : lost.signal;
  const heart = setInterval(
    () => {
      deps.store
        .tx(tenant, (tx) => renewLease(tx, tenant, repository, lease))
        .then((kept) => (kept ? undefined : lost.abort(new Error("the lease was lost"))))
        .catch((error: unknown) =>
          deps.log.warn({ err: error, tenant, repository }, "cannot renew a sync lease"),
        );
    },
    (lease.seconds * 1000) / 3,
  );
  let problem: { message: string; hint: string } | undefined;
  const sync: Sync = {
    row,
    reason,
    by: request.by ?? row.wanted_by,
    request: { ...request, signal },
    deps,
    begun,
    hold: row.held_commit,
    branchCommit: undefined,
    parts: {},
    trace: isTracing() ? randomUUID() : undefined,
  };
  try {
    if (failpointsSet) await hit("sync.after_lease");
    const result = await withSpan(
      "sync",
      { "airlock.tenant": tenant, "airlock.repository": repository, "airlock.reason": reason },
      async (span) => {
        const done = await syncLeased(sync);
        span?.setAttributes({
          "airlock.result": done.kind,
          ...("commit" in done && done.commit !== null
            ? { "vcs.ref.head.revision": done.commit }
            : {}),
        });
        return done;
      },
      sync.trace === undefined ? {} : { ids: rootSpan(sync.trace) },
    );
    if (result.kind === "failed" && result.commit === null)
      problem = {
        message: result.errors[0]?.message ?? "failed",
        hint: result.errors[0]?.hint ?? "",
      };
    metrics.syncs.add({
      tenant,
      result: result.kind === "up_to_date" ? "nothing_new" : result.kind,
    });
    if ("ms" in result) {
      metrics.syncSeconds.observe({ tenant }, result.ms / 1000);
      if (result.kind === "live" && reason === "push")
        metrics.pushToLive.observe({ tenant }, result.ms / 1000);
    }
    request.onDone?.(result);
    if (result.kind === "live" || result.kind === "failed") await collect(row, deps);
    return result;
  } catch (error) {
    problem = {
      message: "the sync stopped on an internal problem; it is tried again",
      hint: "an admin finds more in the log",
    };
    deps.log.error({ err: error, tenant, repository }, "sync failed");
    throw error;
  } finally {
    clearInterval(heart);
    if (failpointsSet) await hit("sync.before_lease_end");
    const failures = problem ? row.failures + 1 : 0;
    await deps.store
      .tx(tenant, (tx) =>
        endLease(tx, tenant, repository, deps.owner, {
          claimedAt: row.claimed_at,
          ...(sync.branchCommit === undefined ? {} : { seen: sync.branchCommit }),
          ...(problem ? { problem } : {}),
          nextPollSeconds: pollSeconds({
            quietMs:
              sync.branchCommit !== undefined &&
              sync.branchCommit !== (sync.hold === null ? row.head_commit : row.held_over)
                ? 0
                : since(row.last_change_at, deps),
            webhookMs: reason === "webhook" ? 0 : since(row.last_webhook_at, deps),
            failures,
            dice: Math.random(),
          }),
        }),
      )
      // Postgres is away: the lease runs out by itself and the want is still there.
      .catch((error: unknown) =>
        deps.log.warn({ err: error, tenant, repository }, "cannot give a sync lease back"),
      );
  }
}

const since = (at: Date | null, deps: SyncDeps): number | undefined =>
  at === null ? undefined : deps.now().getTime() - at.getTime();

type Sync = {
  readonly row: LeasedRepository;
  readonly reason: SyncReason;
  readonly by: string | null;
  readonly request: SyncRequest & { readonly signal: AbortSignal };
  readonly deps: SyncDeps;
  readonly begun: number;
  /** The commit that somebody went back to, for as long as it holds. */
  hold: CommitId | null;
  /** The branch's newest commit, once it is known. */
  branchCommit: CommitId | undefined;
  parts: DeployParts;
  /** Names its trace; undefined: nobody collects them. */
  readonly trace: string | undefined;
};

/** Runs a part of a deploy and notes how long it took. */
async function timed<T>(sync: Sync, part: keyof DeployParts, work: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  try {
    return await withSpan(part, {}, () => work());
  } finally {
    sync.parts = { ...sync.parts, [part]: Math.round(performance.now() - begun) };
  }
}

const nothing: DeployCounts = { new: 0, changed: 0, unchanged: 0, removed: 0 };

async function syncLeased(sync: Sync): Promise<DeployResult> {
  const { row, reason, deps } = sync;
  const { tenant, repository } = row;
  const found = await timed(sync, "fetch", () => findCommit(sync));
  if (!found.ok) {
    // Polls that fail are told on the repository, not as a deploy each.
    if (reason === "poll" || reason === "retry") return failure(sync, null, [found.problem]);
    const deploy = await deps.store.tx(tenant, (tx) =>
      beginDeploy(tx, { tenant, repository, commit: null, reason, by: sync.by, trace: sync.trace }),
    );
    return failDeploy(sync, deploy, null, [found.problem]);
  }
  const { commit: branchCommit, source } = found.value;
  sync.branchCommit = branchCommit;
  // The branch moved on: going back was for the commit that it had then.
  if (sync.hold !== null && branchCommit !== undefined && branchCommit !== row.held_over) {
    await deps.store.tx(tenant, (tx) => endHold(tx, row));
    sync.request.onLine?.(
      `the rollback to ${sync.hold.slice(0, 10)} ends here: the branch has a newer commit`,
    );
    sync.hold = null;
  }
  const commit = sync.hold ?? branchCommit;
  if (commit === undefined) throw new Error("a sync without a hold needs the branch's commit");
  const isLive = commit === row.head_commit;
  if ((isLive && reason !== "asked") || (reason === "poll" && branchCommit === row.seen_commit))
    return { kind: "up_to_date", commit, lines: [isLive ? "already live" : "nothing new"] };

  const deploy = await deps.store.tx(tenant, (tx) =>
    beginDeploy(tx, {
      tenant,
      repository,
      commit,
      reason: deployReason(sync, commit),
      by: sync.by,
      trace: sync.trace,
    }),
  );
  try {
    return await deployCommit(sync, deploy, commit, source);
  } catch (error) {
    if (!isAway(error))
      await failDeploy(
        sync,
        deploy,
        commit,
        [
          {
            path: "",
            message: "the sync stopped on an internal problem; it is tried again",
            hint: "an admin finds more in the log",
          },
        ],
        undefined,
        false,
      ).catch(() => undefined);
    throw error;
  }
}

const deployReason = ({ row, reason, hold }: Sync, commit: CommitId): DeployReason =>
  hold !== null && commit !== row.head_commit ? "rollback" : reason;

async function deployCommit(
  sync: Sync,
  deploy: string,
  commit: CommitId,
  source: string,
): Promise<DeployResult> {
  const { row, deps, request } = sync;
  const there = await ensureCommit(sync, commit, source);
  if (!there.ok) return failDeploy(sync, deploy, commit, [{ path: "", ...there.problem }]);
  const about = describeCommit(source, commit);
  const checkedOut = await timed(sync, "checkout", () => checkOutCommit(sync, commit, source));
  if (!checkedOut.ok)
    return failDeploy(sync, deploy, commit, [{ path: "", ...checkedOut.problem }], await about);
  const bundle = checkedOut.value;
  if (failpointsSet) await hit("sync.after_checkout");
  const settings = await readSettings(row, bundle);
  if (!settings.ok)
    return failDeploy(
      sync,
      deploy,
      commit,
      await withFrames(
        bundle,
        settings.problem.map((problem) => told("airlock.yaml", problem)),
      ),
      await about,
    );
  const found = await findDagFiles(
    { files: bundle.files, read: (path) => readFile(join(bundle.dir, path)) },
    settings.value,
  );
  const environments = await timed(sync, "environment", () =>
    ensureEnvironments(sync, bundle, found),
  );
  if (!environments.ok)
    return failDeploy(
      sync,
      deploy,
      commit,
      await withFrames(bundle, [environments.problem]),
      await about,
    );
  const setting: Setting = { file: settings.value, found, environments: environments.value };

  const known = await deps.store.tx(row.tenant, async (tx) => {
    const [files, live] = await Promise.all([
      readDagFiles(tx, row.tenant, row.repository),
      readLiveDags(tx, row.tenant, row.repository),
    ]);
    return { files, live };
  });
  const blobs: Blobs = new Map(bundle.files.map(({ path, blob }) => [path, blob]));
  const { unchanged, stale } = chooseFiles(sync, setting, known, blobs);
  const parsed = await timed(sync, "parse", () => parseFiles(sync, bundle, setting, stale, blobs));
  request.signal.throwIfAborted();
  if (failpointsSet) await hit("sync.after_parse");

  const findings = [
    ...unchanged,
    ...parsed.map(({ finding }) => finding),
    ...leftOut(bundle, found, new Set(stale)),
  ];
  const plan = await timed(sync, "store", () =>
    publish(sync, commit, {
      setting,
      parsed,
      findings,
      live: known.live,
      knownFiles: known.files,
      bundle,
    }),
  );
  if (failpointsSet) await hit("publish.after_commit");
  const badPaths = new Set(plan.badFiles.map(({ path }) => path));
  const errors = await withFrames(bundle, [
    ...plan.badFiles.flatMap(({ path, problems }) =>
      problems.map((problem) => told(path, problem)),
    ),
    ...[...bundle.problems, ...found.problems]
      .filter(({ path }) => !badPaths.has(path))
      .map((problem) => told(problem.path, problem)),
  ]);
  const warnings = parsed.flatMap(({ path, warnings: ofFile }) =>
    ofFile.slice(0, 5).map((warning) => told(path, warning)),
  );
  for (const warning of warnings)
    request.onLine?.(
      describeError({ ...warning, message: `warning: ${warning.message}` }).join(" "),
    );
  const ms = performance.now() - sync.begun;
  const commitFacts = await about;
  await deps.store.tx(row.tenant, async (tx) => {
    await endDeploy(tx, {
      ...row,
      deploy,
      state: plan.state,
      ms,
      dags: plan.counts,
      errors,
      warnings,
      parts: sync.parts,
      about: commitFacts,
    });
    if (plan.state === "failed") await giveUpHold(tx, sync, commit);
  });
  if (failpointsSet) await hit("deploy.after_end");
  if (plan.state === "live") {
    rememberBundle(row, bundle);
    deps.deployed?.(row.tenant, row.repository, commit);
  }
  return finished(plan.state, commit, ms, plan.counts, errors);
}

const told = (path: string, { line, message, hint }: FileProblem): DeployError => ({
  path,
  message,
  ...(line === undefined ? {} : { line }),
  ...(hint === undefined || hint === "" ? {} : { hint }),
});

function finished(
  kind: "live" | "failed",
  commit: CommitId | null,
  ms: number,
  dags: DeployCounts,
  errors: readonly DeployError[],
): DeployResult {
  return {
    kind,
    commit,
    ms,
    dags,
    errors,
    lines: describeDeploy({ state: kind, ms, dags, errors }),
  };
}

const failure = (
  sync: Sync,
  commit: CommitId | null,
  errors: readonly DeployError[],
  dags = nothing,
): DeployResult => finished("failed", commit, performance.now() - sync.begun, dags, errors);

async function failDeploy(
  sync: Sync,
  deploy: string,
  commit: CommitId | null,
  errors: readonly DeployError[],
  about?: CommitFacts,
  isFinal = true,
): Promise<DeployResult> {
  const { row, deps } = sync;
  const ms = performance.now() - sync.begun;
  return deps.store.tx(row.tenant, async (tx) => {
    const live = await readLiveDags(tx, row.tenant, row.repository);
    const dags = { ...nothing, unchanged: live.filter(({ state }) => state === "active").length };
    const { parts } = sync;
    await endDeploy(tx, { ...row, deploy, state: "failed", ms, dags, errors, parts, about });
    if (isFinal && commit !== null) await giveUpHold(tx, sync, commit);
    return failure(sync, commit, errors, dags);
  });
}

/** A commit that could not be gone back to holds nothing: what was live stays, and the next push goes its way. */
async function giveUpHold(tx: Tx, { row, hold }: Sync, commit: CommitId): Promise<void> {
  if (hold === commit && commit !== row.head_commit) await endHold(tx, row);
}

const frameLinesAround = 3;
const frameLineLengthMax = 400;
const framesMax = 20;
const framedFileBytesMax = 2 * 1024 * 1024;

/** The lines around each problem's place, kept with it: the checkout of a commit that is not live goes. */
async function withFrames(
  bundle: Bundle,
  errors: readonly DeployError[],
): Promise<readonly DeployError[]> {
  const sizes = new Map(bundle.files.map(({ path, bytes }) => [path, bytes]));
  let framed = 0;
  const result: DeployError[] = [];
  for (const error of errors) {
    const { line, path } = error;
    const bytes = sizes.get(path);
    if (
      line === undefined ||
      bytes === undefined ||
      bytes > framedFileBytesMax ||
      framed >= framesMax
    ) {
      result.push(error);
      continue;
    }
    framed += 1;
    const lines = (await readFile(join(bundle.dir, path), "utf8")).split("\n");
    const first = Math.max(1, line - frameLinesAround);
    const around = lines
      .slice(first - 1, line + frameLinesAround)
      .map((text) => text.slice(0, frameLineLengthMax));
    result.push(around.length === 0 ? error : { ...error, frame: { first, lines: around } });
  }
  return result;
}

/** What somebody went back to may be gone from the mirror, which holds the branch's newest commit alone. */
async function ensureCommit(
  sync: Sync,
  commit: CommitId,
  source: string,
): Promise<Answer<"there", { readonly message: string; readonly hint: string }>> {
  const { row, deps, request } = sync;
  if (commit === sync.branchCommit || (await resolveCommit(source, commit)).ok)
    return good("there");
  const gone = {
    message: `the commit ${commit.slice(0, 10)} is not in the repository any more; what was live stays live`,
    hint: "its history was rewritten: go back to another commit, or push what should be live",
  };
  if (row.url === null) return bad(gone);
  const remote = await reachRemote(row, row.url, deps, request.signal);
  if (!remote.ok) return remote;
  const fetched = await fetchCommit(source, remote.value, commit);
  if (fetched.ok) return good("there");
  // "not our ref" is how a server says that it does not give it (any more).
  return bad(
    fetched.problem.kind === "other" || fetched.problem.kind === "not_found"
      ? gone
      : fetched.problem,
  );
}

type Found = {
  /** Of the branch; undefined: it could not be asked, and what somebody went back to is here. */
  readonly commit: CommitId | undefined;
  /** The bare repository on this disk. */
  readonly source: string;
};

async function findCommit(sync: Sync): Promise<Answer<Found, DeployError>> {
  const found = await findBranchCommit(sync);
  if (found.ok || sync.hold === null || sync.hold === sync.row.head_commit) return found;
  // Going back must not need a server that is away, which may be why somebody goes back.
  const source = sourceDir(sync.row, sync.deps);
  return (await resolveCommit(source, sync.hold)).ok ? good({ commit: undefined, source }) : found;
}

/** The branch's newest commit, and the bare repository on this disk that holds it. */
async function findBranchCommit(sync: Sync): Promise<Answer<Found, DeployError>> {
  const { row, reason, deps, request } = sync;
  const { branch } = row;
  const source = sourceDir(row, deps);
  if (row.url === null) {
    const head = await resolveCommit(source, `refs/heads/${branch}`);
    return head.ok
      ? good({ commit: head.value, source })
      : bad({
          path: "",
          message: `the branch ${branch} does not exist`,
          hint: `push it: git push origin ${branch}`,
        });
  }
  const reached = await reachRemote(row, row.url, deps, request.signal);
  if (!reached.ok) return bad({ path: "", ...reached.problem });
  const remote = reached.value;
  if (reason === "poll" && row.seen_commit !== null) {
    const head = await askHead(remote);
    if (!head.ok) return bad({ path: "", message: head.problem.message, hint: head.problem.hint });
    if (head.value === row.seen_commit) return good({ commit: head.value, source });
  }
  const fetched = await fetchBranch(source, remote);
  return fetched.ok
    ? good({ commit: fetched.value, source })
    : bad({ path: "", message: fetched.problem.message, hint: fetched.problem.hint });
}

/** The bare repository on this disk: the hosted one itself, or the mirror. */
export const sourceDir = (
  row: Pick<LeasedRepository, "tenant" | "repository" | "url">,
  deps: Pick<SyncDeps, "folders">,
): string =>
  row.url === null
    ? hostedDir(deps.folders.hosted, row.tenant, row.repository)
    : join(deps.folders.mirrors, row.tenant, row.repository, "repo.git");

/** The server as it may be reached now: address judged and pinned, credentials opened. */
export async function reachRemote(
  row: LeasedRepository,
  url: string,
  deps: Pick<SyncDeps, "addressRules" | "openCredentials" | "folders" | "caFile">,
  signal?: AbortSignal,
): Promise<Answer<Remote, { readonly message: string; readonly hint: string }>> {
  const { tenant, repository, branch, credentials } = row;
  const rules = addressRulesOf(row, deps);
  const address = readGitAddress(url, rules);
  if (!address.ok) return address;
  const reached = await reachAddress(address.value, rules);
  if (!reached.ok) return reached;
  return good({
    address: reached.value,
    branch,
    credentials:
      credentials === null
        ? { kind: "none" }
        : await deps.openCredentials(tenant, repository, credentials),
    temporaryDir: deps.folders.temporary,
    ...(deps.caFile === undefined ? {} : { caFile: deps.caFile }),
    ...(signal ? { signal } : {}),
  });
}

/** The platform's list and what an admin allowed this tenant: `host[:port]` or `file:///folder`. */
export function addressRulesOf(
  row: Pick<LeasedRepository, "tenant_sources">,
  deps: Pick<SyncDeps, "addressRules">,
): AddressRules {
  const own = Array.isArray(row.tenant_sources)
    ? row.tenant_sources.filter((source) => typeof source === "string")
    : [];
  return {
    privateHosts: [
      ...deps.addressRules.privateHosts,
      ...own.filter((source) => !source.startsWith("file://")),
    ],
    fileRoots: [
      ...deps.addressRules.fileRoots,
      ...own.flatMap((source) => (source.startsWith("file:///") ? [source.slice(7)] : [])),
    ],
  };
}

async function checkOutCommit(
  sync: Sync,
  commit: CommitId,
  source: string,
): ReturnType<typeof checkOut> {
  const { row, deps, request } = sync;
  const bundlesDir = join(deps.folders.bundles, row.tenant, row.repository);
  const before = await deps.store.tx(row.tenant, (tx) =>
    readBundle(tx, row.tenant, row.repository, commit),
  );
  // The same commit, deployed from another subdirectory before: another content under the same name.
  if (before && before.path !== row.path)
    await removeTree(join(bundlesDir, commit)).catch(() => undefined);
  const previous = lastBundles.get(`${row.tenant}/${row.repository}`);
  return checkOut({
    repository: source,
    commit,
    path: row.path,
    bundlesDir,
    ...(previous ? { previous } : {}),
    bounds: repositoryBounds,
    signal: request.signal,
  });
}

/** Of recently synced repositories, so that the next checkout can link what did not change. */
const lastBundles = new Map<string, Bundle>();
const lastBundlesMax = 200;

function rememberBundle(row: LeasedRepository, bundle: Bundle): void {
  const key = `${row.tenant}/${row.repository}`;
  lastBundles.delete(key);
  lastBundles.set(key, bundle);
  for (const oldest of lastBundles.keys()) {
    if (lastBundles.size <= lastBundlesMax) break;
    lastBundles.delete(oldest);
  }
}

async function readSettings(
  row: LeasedRepository,
  bundle: Bundle,
): Promise<Answer<RepositoryFile, readonly FileProblem[]>> {
  const maxima = limitsOf(row.tenant_limits);
  if (!bundle.files.some(({ path }) => path === "airlock.yaml"))
    return good(withoutAirlockYaml(maxima));
  return readAirlockYaml(await readFile(join(bundle.dir, "airlock.yaml"), "utf8"), maxima);
}

/** The tenant's row holds what an admin set, under outside names (`memory: "1GiB"`); the rest are the defaults. */
export function limitsOf(stored: unknown): GuestLimits {
  let limits = defaultLimits;
  if (isObject(stored))
    for (const [key, raw] of Object.entries(stored)) {
      const limit = readLimit(key, raw);
      if (limit.ok) limits = { ...limits, ...limit.value };
    }
  return limits;
}

type Setting = {
  readonly file: RepositoryFile;
  readonly found: DagFiles;
  readonly environments: { readonly [kind in GuestKind]: EnvironmentRef };
};

const kindOf = (path: string): GuestKind => (path.endsWith(".py") ? "python" : "node");

async function ensureEnvironments(
  sync: Sync,
  bundle: Bundle,
  found: DagFiles,
): Promise<Answer<Setting["environments"], DeployError>> {
  const { row, deps, request } = sync;
  const node = deps.nodeEnvironment;
  // YAML files may hold Python tasks; TypeScript alone needs no Python.
  if (!found.files.some((path) => !path.endsWith(".dag.ts"))) return good({ node, python: node });
  const python = await deps.ensureEnvironment({
    tenant: row.tenant,
    uid: row.uid,
    bundleDir: bundle.dir,
    signal: request.signal,
    ...(request.onLine ? { onProgress: request.onLine } : {}),
  });
  if (python.ok) return good({ node, python: python.value });
  const { path = "", line, message, hint } = python.problem;
  return bad({ path, message, hint, ...(line === undefined ? {} : { line }) });
}

function parseSetting(
  sync: Sync,
  { file, found, environments }: Setting,
  path: string,
): ParseSetting {
  const kind = kindOf(path);
  // A YAML file's tasks may run in Python: a new environment is a new deploy of it.
  const environment = path.endsWith(".dag.ts") ? environments.node.hash : environments.python.hash;
  return {
    environment,
    guestVersion: sync.deps.guestVersions[kind],
    dagsFolder: found.dagsFolder,
    level: file.level ?? "",
  };
}

/** Unchanged: the same inputs under the same settings, good the last time, and still what is live. */
function chooseFiles(
  sync: Sync,
  setting: Setting,
  known: { readonly files: readonly DagFileRow[]; readonly live: readonly LiveDag[] },
  blobs: Blobs,
): { readonly unchanged: readonly FileFinding[]; readonly stale: readonly string[] } {
  const rows = new Map(known.files.map((file) => [file.path, file]));
  const pathOf = new Map(
    known.live.filter(({ state }) => state === "active").map(({ dag_id, path }) => [dag_id, path]),
  );
  const unchanged: FileFinding[] = [];
  const stale: string[] = [];
  for (const path of setting.found.files) {
    const row = rows.get(path);
    const isSame =
      row?.good === true &&
      row.set_hash === setHash(inputHash(row.inputs, blobs), parseSetting(sync, setting, path)) &&
      row.dag_ids.every((id) => pathOf.get(id) === path);
    if (isSame) unchanged.push({ kind: "unchanged", path, dagIds: row.dag_ids });
    else stale.push(path);
  }
  return { unchanged, stale };
}

type Parsed = {
  readonly path: string;
  readonly finding: FileFinding;
  readonly row: DagFileRow;
  readonly warnings: readonly FileProblem[];
};

async function parseFiles(
  sync: Sync,
  bundle: Bundle,
  setting: Setting,
  stale: readonly string[],
  blobs: Blobs,
): Promise<readonly Parsed[]> {
  const byKind = Map.groupBy(stale, kindOf);
  const batches = [...byKind].map(([kind, files]) =>
    parseBatch(sync, bundle, setting, kind, files, blobs),
  );
  return (await Promise.all(batches)).flat();
}

async function parseBatch(
  sync: Sync,
  bundle: Bundle,
  setting: Setting,
  kind: GuestKind,
  files: readonly string[],
  blobs: Blobs,
): Promise<readonly Parsed[]> {
  const { row, deps, request } = sync;
  const egress = readEgressRules(egressTexts(row.tenant_egress));
  const key: GuestKey = {
    tenant: row.tenant,
    uid: row.uid,
    kind,
    repository: row.repository,
    commit: bundle.commit,
    bundleDir: bundle.dir,
    environment: setting.environments[kind],
    level: setting.file.level ?? "3",
    grants: "*",
    egress: egress.ok ? egress.value : [],
    limits: setting.file.limits,
  };
  const waiting = new Set(files);
  const parsed: Parsed[] = [];
  const parsing = deps.guests.parse(
    {
      key,
      files,
      dagsFolder: setting.found.dagsFolder,
      ...(setting.file.level ? { levelOverride: setting.file.level } : {}),
    },
    deps.parseHostOf(row.tenant),
    request.signal,
  );
  for await (const file of parsing)
    if (waiting.delete(file.path)) parsed.push(readParsed(sync, setting, file, blobs));
  for (const path of waiting)
    parsed.push(
      readParsed(
        sync,
        setting,
        {
          path,
          dags: [],
          errors: [
            {
              message: "the guest gave no answer for this file",
              hint: "push again; if it stays, an admin finds more in the log",
            },
          ],
          warnings: [],
          inputs: [],
          packages: [],
          ms: 0,
        },
        blobs,
      ),
    );
  return parsed;
}

/** The tenant's row holds `{host, port}`; the reader of the outside form checks them once more. */
const egressTexts = (stored: unknown): unknown =>
  Array.isArray(stored)
    ? stored.map((rule: unknown) =>
        typeof rule === "object" &&
        rule !== null &&
        "host" in rule &&
        "port" in rule &&
        typeof rule.host === "string"
          ? `${rule.host.includes(":") ? `[${rule.host}]` : rule.host}:${String(rule.port)}`
          : rule,
      )
    : [];

function readParsed(sync: Sync, setting: Setting, file: ParsedFile, blobs: Blobs): Parsed {
  const { path } = file;
  const inputs = readInputs(path, file.inputs);
  const inputs_hash = inputHash(inputs, blobs);
  const problems: FileProblem[] = [...file.errors];
  const dags: { spec: DagSpec; hash: string }[] = [];
  for (const raw of problems.length === 0 ? file.dags : []) {
    const spec = sync.deps.readDagSpec(raw);
    if (!spec.ok) problems.push(...spec.problem);
    else {
      const schedule = sync.deps.checkTimetable(spec.value.timetable);
      if (schedule !== undefined)
        problems.push({
          message: `the DAG ${spec.value.dag_id}: ${schedule}`,
          hint: "correct its schedule",
        });
      dags.push({
        spec: spec.value,
        hash: versionHash(spec.value, inputs_hash),
      });
    }
  }
  const isGood = problems.length === 0;
  return {
    path,
    finding: isGood
      ? { kind: "parsed", path, dags }
      : { kind: "bad", path, problems: problems.slice(0, 50) },
    warnings: file.warnings,
    row: {
      path,
      set_hash: setHash(inputs_hash, parseSetting(sync, setting, path)),
      input_hash: inputs_hash,
      inputs,
      packages: file.packages.filter((name) => /^[\w.@/-]{1,200}$/.test(name)).slice(0, 200),
      dag_ids: isGood ? dags.map(({ spec }) => spec.dag_id) : [],
      good: isGood,
    },
  };
}

/** DAG files that a bound kept out (too large, a link): bad files, so that what they had live stays. */
function leftOut(
  bundle: Bundle,
  found: DagFiles,
  stale: ReadonlySet<string>,
): readonly FileFinding[] {
  const prefix = found.dagsFolder === "" ? "" : `${found.dagsFolder}/`;
  return [...bundle.problems, ...found.problems]
    .filter(
      ({ path }) =>
        path.startsWith(prefix) && /\.(py|dag\.ts|dag\.yaml)$/.test(path) && !stale.has(path),
    )
    .map(({ path, ...problem }) => ({ kind: "bad", path, problems: [problem] }));
}

type Publication = {
  readonly setting: Setting;
  readonly parsed: readonly Parsed[];
  readonly findings: readonly FileFinding[];
  readonly live: readonly LiveDag[];
  readonly knownFiles: readonly DagFileRow[];
  readonly bundle: Bundle;
};

/** All or nothing, under the repository's row lock. */
async function publish(sync: Sync, commit: CommitId, what: Publication): Promise<DeployPlan> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await sync.deps.store.tx(sync.row.tenant, (tx) => publishIn(tx, sync, commit, what));
    } catch (error) {
      // Another repository took one of the ids in between: look again, it is a duplicate now.
      if (!(error instanceof TakenMeanwhile) || tries >= 5) throw error;
    }
  }
}

class TakenMeanwhile extends Error {}

async function publishIn(
  tx: Tx,
  sync: Sync,
  commit: CommitId,
  what: Publication,
): Promise<DeployPlan> {
  const { tenant, repository } = sync.row;
  const { setting, parsed, findings, bundle } = what;
  if (!(await holdRepository(tx, tenant, repository, sync.deps.owner)))
    throw new Error("the sync lease was lost before publishing");
  const ids = findings.flatMap((finding) =>
    finding.kind === "parsed"
      ? finding.dags.map(({ spec }) => spec.dag_id)
      : finding.kind === "unchanged"
        ? finding.dagIds
        : [],
  );
  const foreign = await readForeignDags(tx, tenant, repository, ids);
  const plan = planDeploy({
    findings,
    live: what.live,
    foreign: foreign.owners,
    foreignCount: foreign.count,
    dagsMax: repositoryBounds.dagsPerTenant,
  });
  const badPaths = new Set(plan.badFiles.map(({ path }) => path));
  await writeImportErrors(tx, tenant, repository, commit, plan.badFiles);
  if (plan.state === "failed") return plan;

  const rows = parsed.map(({ row }) => (badPaths.has(row.path) ? { ...row, good: false } : row));
  const present = new Set([...setting.found.files, ...badPaths]);
  const environmentOf = (path: string): string => parseSetting(sync, setting, path).environment;
  const taken = await publishDags(
    tx,
    tenant,
    repository,
    commit,
    plan.publish.map(({ spec, path, hash }) => ({
      spec,
      path,
      hash,
      environment: environmentOf(path),
      timetable_summary: sync.deps.summarizeTimetable(spec.timetable),
      is_paused: spec.is_paused_upon_creation ?? sync.deps.pausedAtCreation,
    })),
  );
  if (taken.length > 0) throw new TakenMeanwhile(taken.join(", "));
  await moveDags(
    tx,
    tenant,
    repository,
    commit,
    plan.move.map((dag) => ({ ...dag, environment: environmentOf(dag.path) })),
  );
  await retireDags(tx, tenant, repository, plan.retire);
  await writeDagFiles(tx, tenant, repository, {
    parsed: rows,
    gone: what.knownFiles.map(({ path }) => path).filter((path) => !present.has(path)),
  });
  const packages = new Set(
    [...what.knownFiles.filter(({ path }) => present.has(path)), ...rows].flatMap(
      (row) => row.packages,
    ),
  );
  await noteBundle(tx, {
    tenant,
    repository,
    commit: bundle.commit,
    path: sync.row.path,
    dags_folder: setting.found.dagsFolder,
    limits: setting.file.limits,
    packages: [...packages].toSorted().slice(0, 500),
    environments: setting.environments,
  });
  await moveHead(tx, tenant, repository, commit);
  if (failpointsSet) await hit("publish.before_commit");
  return plan;
}

/** What nothing references goes. A failure here is no failure of the deploy. */
async function collect(row: LeasedRepository, deps: SyncDeps): Promise<void> {
  try {
    const keep = await deps.store.tx(row.tenant, (tx) =>
      keepNeededBundles(tx, row.tenant, row.repository),
    );
    await collectBundles(
      join(deps.folders.bundles, row.tenant, row.repository),
      keep,
      deps.now().getTime(),
    );
    if (row.url === null) await tidyRepository(sourceDir(row, deps), "2.weeks.ago");
  } catch (error) {
    deps.log.warn(
      { err: error, tenant: row.tenant, repository: row.repository },
      "cannot remove old checkouts",
    );
  }
}
