/** What the span of a run that ended tells: read once, at its end, and only where somebody collects traces. */
import type { AttemptId, DagId, RunId, RunKey, TenantId } from "../model/ids.ts";
import type { RunState, RunType } from "../model/states.ts";
import type { Store } from "./open.ts";

export type TraceFacts = {
  readonly dag_id: DagId;
  readonly run_id: RunId;
  readonly run_type: RunType;
  readonly triggered_by: string;
  readonly state: RunState;
  readonly reason: string | null;
  readonly repository: string;
  readonly commit: string;
  readonly version: number;
  readonly trace: string;
  /** Of this run before it was cleared. */
  readonly trace_before: string | null;
  readonly queued_at: Date;
  readonly started_at: Date | null;
  readonly ended_at: Date;
  /** The run that triggered it, and the attempt that did. */
  readonly by_trace: string | null;
  readonly by_attempt: AttemptId | null;
  readonly by_fence: number | null;
  /** The sync that brought its version. */
  readonly deploy_trace: string | null;
};

/** undefined: it goes on again already, or has no trace. */
export async function readTraceFacts(
  store: Pick<Store, "once">,
  tenant: TenantId,
  run: RunKey,
): Promise<TraceFacts | undefined> {
  const [row] = await store.once(
    tenant,
    (sql) => sql<TraceFacts[]>`
    select r.dag_id, r.run_id, r.run_type, r.triggered_by, r.state, r.reason, r.repository, r.commit, r.version, r.trace,
           r.trace_before, r.queued_at, r.started_at, r.ended_at,
           o.trace as by_trace, a.attempt as by_attempt, a.fence as by_fence, d.trace as deploy_trace
      from airlock.dag_run r
      left join airlock.dag_run o on o.tenant = r.tenant and o.run = r.by_run
      left join lateral (
        select b.attempt, b.fence from airlock.attempt b
         where b.tenant = r.tenant and b.run = r.by_run and b.task_id = r.by_task and b.map_index = r.by_map_index
           and b.admitted_at <= r.queued_at
         order by b.admitted_at desc limit 1) a on true
      left join lateral (
        select e.trace from airlock.deploy e
         where e.tenant = r.tenant and e.repository = r.repository and e.commit = r.commit and e.state = 'live'
         order by e.deploy desc limit 1) d on true
     where r.tenant = ${tenant} and r.run = ${run} and r.ended_at is not null and r.trace is not null`,
  );
  return row;
}
