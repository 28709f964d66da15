/** What the graph of a DAG is drawn from: a version with its spec, and one run summed by task. */
import type { DagSpec } from "../model/dag-spec.ts";
import type { TaskState } from "../model/states.ts";
import type { Tx } from "./open.ts";

export type GraphVersionRow = {
  readonly id: string;
  readonly version: number;
  readonly live_version: number;
  readonly hash: string;
  readonly repository: string;
  readonly path: string;
  readonly commit: string;
  readonly created_at: Date;
  readonly spec: DagSpec;
};

/** `version` undefined: the live one. */
export async function readGraphVersion(
  tx: Tx,
  dagId: string,
  version: number | undefined,
): Promise<GraphVersionRow | undefined> {
  const [row] = await tx<GraphVersionRow[]>`
    select v.id, v.version, d.version as live_version, v.hash, v.repository, v.path, v.commit, v.created_at, v.spec
      from airlock.dag_version v join airlock.dag d using (tenant, dag_id)
     where v.tenant = airlock.current_tenant() and v.dag_id = ${dagId}
       and v.version = ${version === undefined ? tx`d.version` : tx`${version}::int`}`;
  return row;
}

export type RunPin = {
  readonly run_id: string;
  readonly version: number;
  readonly repository: string;
  readonly commit: string;
  readonly path: string;
  readonly state: "queued" | "running" | "success" | "failed";
  readonly run_after: Date;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
};

export async function readRunPin(
  tx: Tx,
  dagId: string,
  runId: string,
): Promise<RunPin | undefined> {
  const [row] = await tx<RunPin[]>`
    select run_id, version, repository, commit, path, state, run_after, started_at, ended_at from airlock.dag_run
     where tenant = airlock.current_tenant() and dag_id = ${dagId} and run_id = ${runId}`;
  return row;
}

/** The instances of one task that are in one state. */
export type TaskSum = {
  readonly task_id: string;
  readonly state: TaskState;
  readonly count: number;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
  readonly try_number: number;
  readonly first_index: number;
};

export const sumInstances = async (
  tx: Tx,
  dagId: string,
  runId: string,
): Promise<readonly TaskSum[]> =>
  tx<TaskSum[]>`
    select t.task_id, t.state, count(*)::int as count, min(t.started_at) as started_at, max(t.ended_at) as ended_at,
           max(t.try_number) as try_number, min(t.map_index) as first_index
      from airlock.dag_run r join airlock.task_instance t on t.tenant = r.tenant and t.run = r.run
     where r.tenant = airlock.current_tenant() and r.dag_id = ${dagId} and r.run_id = ${runId}
     group by t.task_id, t.state order by t.task_id, t.state`;

/** Every DAG that has, or in any version had, its tasks in this file. */
export async function dagsOfFile(
  tx: Tx,
  file: { readonly repository: string; readonly path: string },
): Promise<readonly string[]> {
  const rows = await tx<{ dag_id: string }[]>`
    select dag_id from airlock.dag_version
     where tenant = airlock.current_tenant() and repository = ${file.repository} and path = ${file.path}
    union
    select dag_id from airlock.dag
     where tenant = airlock.current_tenant() and repository = ${file.repository} and path = ${file.path}`;
  return rows.map(({ dag_id }) => dag_id);
}
