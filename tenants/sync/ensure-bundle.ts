/**
 * The checkout that a run pinned, on this node: there already, or made again from the mirror, the hosted
 * repository or the server. Checkouts are caches.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import type { CommitId, RepositoryId, TenantId } from "../../platform/model/ids.ts";
import {
  type BundleRow,
  type LeasedRepository,
  leaseRepository,
  readBundle,
  releaseLease,
} from "../../platform/store/repositories.ts";
import { repositoryBounds } from "../registry/limits.ts";
import { checkOut } from "../source/check-out.ts";
import { fetchCommit, resolveCommit } from "../source/fetch-branch.ts";
import { reachRemote, type SyncDeps, sourceDir } from "./sync-repository.ts";

export type EnsuredBundle = BundleRow & {
  /** Absolute folder of the checkout. */
  readonly dir: string;
};

export type BundleProblem = { readonly message: string; readonly hint: string };

const leaseWaitMs = 30_000;

export async function ensureBundle(
  tenant: TenantId,
  repository: RepositoryId,
  commit: CommitId,
  deps: SyncDeps,
  signal?: AbortSignal,
): Promise<Answer<EnsuredBundle, BundleProblem>> {
  const row = await deps.store.tx(tenant, (tx) => readBundle(tx, tenant, repository, commit));
  if (!row)
    return bad({
      message: `the checkout ${commit.slice(0, 12)} of ${repository} is not known any more`,
      hint: "clear the run so that it takes the newest version",
    });
  const dir = join(deps.folders.bundles, tenant, repository, commit);
  if (existsSync(dir)) return good({ ...row, dir });

  const lease = { owner: deps.owner, seconds: 120 };
  const until = performance.now() + leaseWaitMs;
  for (;;) {
    const held = await deps.store.tx(tenant, (tx) =>
      leaseRepository(tx, tenant, repository, lease),
    );
    if (held) {
      try {
        return await makeAgain(held, row, dir, deps, signal);
      } finally {
        await deps.store.tx(tenant, (tx) => releaseLease(tx, tenant, repository, deps.owner));
      }
    }
    if (existsSync(dir)) return good({ ...row, dir });
    if (performance.now() > until)
      return bad({ message: `${repository} is being synced for too long`, hint: "try again" });
    await sleep(100, undefined, signal ? { signal } : {});
  }
}

async function makeAgain(
  held: LeasedRepository,
  row: BundleRow,
  dir: string,
  deps: SyncDeps,
  signal: AbortSignal | undefined,
): Promise<Answer<EnsuredBundle, BundleProblem>> {
  const repository = sourceDir(held, deps);
  if (!(await resolveCommit(repository, row.commit)).ok) {
    if (held.url === null)
      return bad({
        message: `this machine does not have ${held.tenant}/${held.repository}`,
        hint: "run the tasks of hosted repositories where they are hosted",
      });
    const remote = await reachRemote(held, held.url, deps, signal);
    if (!remote.ok) return remote;
    const fetched = await fetchCommit(repository, remote.value, row.commit);
    if (!fetched.ok) return fetched;
  }
  const made = await checkOut({
    repository,
    commit: row.commit,
    path: row.path,
    bundlesDir: join(dir, ".."),
    bounds: repositoryBounds,
    ...(signal ? { signal } : {}),
  });
  return made.ok ? good({ ...row, dir }) : made;
}
