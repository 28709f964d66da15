import type { Tx } from "./open.ts";

export type ArtifactRow = {
  readonly task_id: string;
  readonly map_index: number;
  readonly try_number: number;
  readonly name: string;
  readonly bytes: number;
  readonly content_type: string;
  readonly object: string;
  readonly at: Date;
};

/** What the attempts of one run left behind, newest try last. In the tenant's own transaction. */
export const listArtifacts = (
  tx: Tx,
  run: { readonly dagId: string; readonly runId: string },
  page: { readonly limit: number; readonly offset: number },
) => tx<(ArtifactRow & { total: number })[]>`
  select a.task_id, a.map_index, a.try_number, f.name, f.bytes::float8 as bytes, f.content_type, f.object, f.at,
         count(*) over ()::int as total
    from airlock.dag_run r
    join airlock.attempt a on a.tenant = r.tenant and a.run = r.run
    join airlock.artifact f on f.tenant = a.tenant and f.attempt = a.attempt
   where r.tenant = airlock.current_tenant() and r.dag_id = ${run.dagId} and r.run_id = ${run.runId}
   order by a.task_id, a.map_index, a.try_number, f.name
   limit ${page.limit} offset ${page.offset}`;

export async function findArtifact(
  tx: Tx,
  at: {
    readonly dagId: string;
    readonly runId: string;
    readonly taskId: string;
    readonly mapIndex: number;
    readonly tryNumber: number;
    readonly name: string;
  },
): Promise<ArtifactRow | undefined> {
  const [row] = await tx<ArtifactRow[]>`
    select a.task_id, a.map_index, a.try_number, f.name, f.bytes::float8 as bytes, f.content_type, f.object, f.at
      from airlock.dag_run r
      join airlock.attempt a on a.tenant = r.tenant and a.run = r.run
      join airlock.artifact f on f.tenant = a.tenant and f.attempt = a.attempt
     where r.tenant = airlock.current_tenant() and r.dag_id = ${at.dagId} and r.run_id = ${at.runId}
       and a.task_id = ${at.taskId} and a.map_index = ${at.mapIndex} and a.try_number = ${at.tryNumber} and f.name = ${at.name}`;
  return row;
}
