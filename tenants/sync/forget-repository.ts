/** A repository goes: its rows, mirror, hosted copy and checkouts. Its DAGs retire; their history stays. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { RepositoryId, TenantId } from "../../platform/model/ids.ts";
import { keepNeededBundles, removeRepository } from "../../platform/store/repositories.ts";
import { collectBundles } from "../source/collect-bundles.ts";
import { hostedDir, removeHosted } from "../source/hosted-repository.ts";
import type { SyncDeps } from "./sync-repository.ts";

/**
 * false: there is no such repository. A sync that is under way finds its row gone and publishes nothing.
 * Checkouts that unfinished runs pin stay until they are collected by hand or the repository comes back.
 */
export async function forgetRepository(
  tenant: TenantId,
  repository: RepositoryId,
  deps: Pick<SyncDeps, "store" | "folders" | "now">,
): Promise<boolean> {
  const { store, folders } = deps;
  const pinned = await store.tx(tenant, async (tx) => {
    const removed = await removeRepository(tx, tenant, repository);
    return removed ? keepNeededBundles(tx, tenant, repository) : undefined;
  });
  if (!pinned) return false;
  await rm(join(folders.mirrors, tenant, repository), { recursive: true, force: true });
  await removeHosted(hostedDir(folders.hosted, tenant, repository));
  await collectBundles(join(folders.bundles, tenant, repository), pinned, deps.now().getTime());
  return true;
}
