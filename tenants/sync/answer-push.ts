/** What a person who pushes reads in the `remote:` lines: progress, then the outcome, within a bounded wait. */
import { setTimeout as sleep } from "node:timers/promises";
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import { type CommitId, type RepositoryId, type TenantId } from "../../platform/model/ids.ts";
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
  /** Who pushes, as an actor. */
  readonly actor?: string;
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
  const { tenant, repository, refs, actor } = push;
  const follow = `follow it: airlock deploys list ${tenant}/${repository}`;
  if (failpointsSet) await hit("push.received");
  const row = await deps.store
    .tx(tenant, (tx) => readRepository(tx, tenant, repository))
    .catch(() => undefined);
  if (row && !refs.includes(`refs/heads/${row.branch}`)) {
    yield `stored; only the branch ${row.branch} is deployed`;
    return;
  }
  const until = performance.now() + waitMs;
  const talk = startTalk();
  void syncs
    .now(tenant, repository, "push", {
      onLine: (line) => talk.say(line),
      ...(actor === undefined ? {} : { by: actor }),
    })
    .then((result) => talk.end(result))
    .catch(() => talk.end("failed"));
  for (;;) {
    const next = talk.next();
    if (next !== undefined) yield next;
    else if (talk.outcome() !== undefined) break;
    else {
      const leftMs = until - performance.now();
      if (leftMs <= 0 || push.signal.aborted) break;
      await Promise.race([talk.news(), sleep(Math.min(leftMs, 1000), undefined, { ref: false })]);
    }
  }
  const outcome = talk.outcome();
  if (outcome === undefined) yield `still at work after ${Math.round(waitMs / 1000)} s; ${follow}`;
  else if (outcome === "failed")
    yield `stored, but its sync met a problem of the platform and is tried again; ${follow}`;
  else if (outcome.kind === "not_mine") {
    const dir = hostedDir(deps.folders.hosted, tenant, repository);
    const pushed = await resolveCommit(dir, `refs/heads/${row?.branch ?? "main"}`);
    if (pushed.ok) yield* followRow(push, deps, until, pushed.value);
    yield follow;
  } else yield* outcome.lines;
}

type Talk = {
  say(line: string): void;
  end(outcome: DeployResult | "failed"): void;
  next(): string | undefined;
  outcome(): DeployResult | "failed" | undefined;
  /** Resolves at the next line or the end. */
  news(): Promise<void>;
};

const linesHeldMax = 1000;

function startTalk(): Talk {
  const lines: string[] = [];
  let outcome: DeployResult | "failed" | undefined;
  let news = Promise.withResolvers<void>();
  const tell = (): void => {
    news.resolve();
    news = Promise.withResolvers();
  };
  return {
    say(line) {
      if (lines.length < linesHeldMax) lines.push(line);
      tell();
    },
    end(result) {
      outcome = result;
      tell();
    },
    next: () => lines.shift(),
    outcome: () => outcome,
    news: () => news.promise,
  };
}

/** Another process syncs this repository: its row is the news. */
async function* followRow(
  { tenant, repository, signal }: Push,
  deps: SyncDeps,
  until: number,
  commit: CommitId,
): AsyncGenerator<string> {
  while (performance.now() < until && !signal.aborted) {
    const [deploy] = await deps.store.tx(tenant, (tx) =>
      listDeploys(tx, { tenant, repository, commit, limit: 1 }),
    );
    if (deploy && deploy.state !== "syncing") {
      yield* describeDeploy({ ...deploy, state: deploy.state, ms: deploy.ms ?? 0 });
      return;
    }
    await sleep(200, undefined, { ref: false });
  }
}
