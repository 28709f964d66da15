import { type CompiledDag, compileDag } from "../engine/compile-dag.ts";
import type { DagSpec } from "../model/dag-spec.ts";
import type { DagId, TenantId } from "../model/ids.ts";
import type { Tx } from "../store/open.ts";

/** Compiled DAG versions of this process. A version never changes, so nothing here ever goes stale. */
export type DagCache = {
  known(tenant: TenantId, dagId: DagId, version: number): CompiledDag | undefined;
  get(tx: Tx, tenant: TenantId, dagId: DagId, version: number): Promise<CompiledDag>;
};

/** Bounded by tasks, not by DAGs: one DAG of 10,000 tasks weighs as much as a thousand small ones. */
export function openDagCache(tasksMax = 100_000): DagCache {
  const kept = new Map<string, CompiledDag>();
  let tasks = 0;
  const nameOf = (tenant: TenantId, dagId: DagId, version: number): string =>
    `${tenant}/${dagId}/${version}`;

  const keep = (name: string, dag: CompiledDag): void => {
    kept.set(name, dag);
    tasks += dag.order.length;
    // A Map iterates in order of insertion: the first are the longest unused.
    for (const [oldest, old] of kept) {
      if (tasks <= tasksMax || oldest === name) break;
      kept.delete(oldest);
      tasks -= old.order.length;
    }
  };
  const known = (tenant: TenantId, dagId: DagId, version: number): CompiledDag | undefined => {
    const name = nameOf(tenant, dagId, version);
    const dag = kept.get(name);
    if (dag !== undefined) {
      kept.delete(name);
      kept.set(name, dag);
    }
    return dag;
  };
  return {
    known,
    async get(tx, tenant, dagId, version) {
      const found = known(tenant, dagId, version);
      if (found !== undefined) return found;
      const [row] = await tx<{ spec: DagSpec }[]>`
        select spec from airlock.dag_version where tenant = ${tenant} and dag_id = ${dagId} and version = ${version}`;
      if (row === undefined) throw new Error(`DAG ${tenant}/${dagId} has no version ${version}.`);
      const dag = compileDag(row.spec);
      keep(nameOf(tenant, dagId, version), dag);
      return dag;
    },
  };
}
