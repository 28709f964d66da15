import { existsSync } from "node:fs";
import type { ExecutorDeps } from "../executor/open-executor.ts";

const keptMax = 2_000;

/** A bundle never changes: asked for once per commit, as long as its folder is there. */
export function keepBundles(ensure: ExecutorDeps["bundle"]): ExecutorDeps["bundle"] {
  const kept = new Map<string, Awaited<ReturnType<typeof ensure>>>();
  return async (tenant, at) => {
    const name = `${tenant}/${at.repository}/${at.commit}`;
    const found = kept.get(name);
    if (found !== undefined && existsSync(found.dir)) return found;
    const made = await ensure(tenant, at);
    kept.set(name, made);
    if (kept.size > keptMax) kept.delete(kept.keys().next().value ?? "");
    return made;
  };
}
