/** What a person who pushes reads in the `remote:` lines: progress, then the outcome, within a bounded wait. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CommitId,
  type RepositoryId,
  readCommitId,
  type TenantId,
} from "../../platform/model/ids.ts";
import { listDeploys } from "../../platform/store/deploys.ts";
import { readRepository } from "../../platform/store/repositories.ts";
import { resolveCommit } from "../source/fetch-branch.ts";
import { hostedDir } from "../source/hosted-repository.ts";
import { describeDeploy } from "./describe-deploy.ts";
import type { Syncs } from "./run-syncs.ts";
import type { DeployResult, SyncDeps } from "./sync-repository.ts";

export type Push = {
  readonly tenant: TenantId;
  readonly repository: RepositoryId;
  /** Full names of the refs that changed. */
  readonly refs: readonly string[];
  readonly signal: AbortSignal;
};

const waitMsDefault = 30_000;

/** The sync goes on whether or not anybody waits for it. */
export async function* answerPush(
  push: Push,
  syncs: Syncs,
  deps: SyncDeps,
  waitMs = waitMsDefault,
): AsyncGenerator<string> {
  const { tenant, repository, refs } = push;
  const follow = `follow it: airlock deploys list ${tenant}/${repository}`;
  const row = await deps.store
    .tx(tenant, (tx) => readRepository(tx, tenant, repository))
    .catch(() => undefined);
  if (row && !refs.includes(`refs/heads/${row.branch}`)) {
    yield `stored; only the branch ${row.branch} is deployed`;
    return;
  }
  const until = performance.now() + waitMs;
  const lines: string[] = [];
  let news = Promise.withResolvers<void>();
  let outcome: DeployResult | "failed" | undefined;
  const tell = (): void => {
    news.resolve();
    news = Promise.withResolvers();
  };
  syncs
    .now(tenant, repository, "push", {
      onLine(line) {
        if (lines.length < 1000) lines.push(line);
        tell();
      },
    })
    .then(
      (result) => {
        outcome = result;
      },
      () => {
        outcome = "failed";
      },
    )
    .finally(tell)
    .catch(() => undefined);

  while (outcome === undefined || lines.length > 0) {
    const line = lines.shift();
    if (line !== undefined) {
      yield line;
      continue;
    }
    const left = until - performance.now();
    if (left <= 0 || push.signal.aborted) break;
    const waiting = news.promise;
    await Promise.race([waiting, sleep(Math.min(left, 1000), undefined, { ref: false })]);
  }
  if (outcome === undefined) yield `still at work after ${Math.round(waitMs / 1000)} s; ${follow}`;
  else if (outcome === "failed")
    yield `stored, but its sync met a problem of the platform and is tried again; ${follow}`;
  else if (outcome.kind === "not_mine")
    yield* followRow(push, deps, until, follow, row?.branch ?? "main");
  else yield* outcome.lines;
}

/** Another process syncs this repository: its row is the news. */
async function* followRow(
  push: Push,
  deps: SyncDeps,
  until: number,
  follow: string,
  branch: string,
): AsyncGenerator<string> {
  const { tenant, repository } = push;
  const commit = await resolveCommit(
    hostedDir(deps.folders.hosted, tenant, repository),
    `refs/heads/${branch}`,
  );
  const pushed: CommitId | undefined = commit.ok ? commit.value : undefined;
  while (
    pushed !== undefined &&
    readCommitId(pushed).ok &&
    performance.now() < until &&
    !push.signal.aborted
  ) {
    const [deploy] = await deps.store.tx(tenant, (tx) =>
      listDeploys(tx, { tenant, repository, commit: pushed, limit: 1 }),
    );
    if (deploy && deploy.state !== "syncing") {
      yield* describeDeploy({
        state: deploy.state,
        ms: deploy.ms ?? 0,
        dags: deploy.dags,
        errors: deploy.errors,
      });
      return;
    }
    await sleep(200, undefined, { ref: false });
  }
  yield `still at work; ${follow}`;
}
