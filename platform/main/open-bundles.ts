import { existsSync } from "node:fs";
import { join } from "node:path";
import { repositoryBounds } from "../../tenants/registry/limits.ts";
import { checkOut } from "../../tenants/source/check-out.ts";
import { hostedDir } from "../../tenants/source/hosted-repository.ts";
import type { SyncFolders } from "../../tenants/sync/sync-repository.ts";
import type { GuestLimits } from "../model/guest.ts";
import type { CommitId, RepositoryId, TenantId } from "../model/ids.ts";
import type { Store } from "../store/open.ts";

export type BundleOnNode = { readonly dir: string; readonly limits: GuestLimits };

const keptMax = 2_000;

/**
 * The checkout of a commit on this node, for running from it. Made again where it is missing: the folder is a
 * cache that may have been emptied, or another node's.
 */
export function openBundles(
  store: Store,
  folders: SyncFolders,
): (
  tenant: TenantId,
  at: { readonly repository: RepositoryId; readonly commit: CommitId },
) => Promise<BundleOnNode> {
  const kept = new Map<string, Promise<BundleOnNode>>();
  return (tenant, at) => {
    const name = `${tenant}/${at.repository}/${at.commit}`;
    const found = kept.get(name);
    if (found !== undefined) return found;
    const made = ensureBundle(store, folders, tenant, at);
    kept.set(name, made);
    // A failure is no answer to keep; and the folder may be collected while nobody asks for it.
    made.catch(() => kept.delete(name));
    if (kept.size > keptMax) kept.delete(kept.keys().next().value ?? "");
    return made.then(async (bundle) => {
      if (existsSync(bundle.dir)) return bundle;
      kept.delete(name);
      return ensureBundle(store, folders, tenant, at);
    });
  };
}

async function ensureBundle(
  store: Store,
  folders: SyncFolders,
  tenant: TenantId,
  at: { readonly repository: RepositoryId; readonly commit: CommitId },
): Promise<BundleOnNode> {
  const [row] = await store.tx(
    tenant,
    (tx) => tx<{ kind: string; path: string; limits: GuestLimits }[]>`
      select r.kind, b.path, b.limits from airlock.repository r
        join airlock.bundle b on b.tenant = r.tenant and b.repository = r.repository
       where r.tenant = ${tenant} and r.repository = ${at.repository} and b.commit = ${at.commit}`,
  );
  if (row === undefined)
    throw new Error(
      `the bundle of commit ${at.commit} is gone with its repository ${at.repository}`,
    );
  const bundlesDir = join(folders.bundles, tenant, at.repository);
  const dir = join(bundlesDir, at.commit);
  if (existsSync(dir)) return { dir, limits: row.limits };
  const made = await checkOut({
    repository:
      row.kind === "hosted"
        ? hostedDir(folders.hosted, tenant, at.repository)
        : join(folders.mirrors, tenant, at.repository, "repo.git"),
    commit: at.commit,
    path: row.path,
    bundlesDir,
    bounds: repositoryBounds,
  });
  if (!made.ok)
    throw new Error(
      `the bundle of commit ${at.commit} cannot be made again: ${made.problem.message}`,
    );
  return { dir: made.value.dir, limits: row.limits };
}
