import type { EgressRule } from "../model/guest.ts";
import type {
  AttemptId,
  CommitId,
  DagId,
  RepositoryId,
  RunId,
  RunKey,
  TaskId,
  TenantId,
} from "../model/ids.ts";
import type { Json } from "../model/json.ts";
import type { RunType } from "../model/states.ts";
import type { Store } from "./open.ts";

/** All that an attempt's start needs, of one statement. Times are ISO 8601. */
export type Claimed = {
  readonly attempt: AttemptId;
  readonly fence: number;
  readonly run: RunKey;
  readonly task_id: TaskId;
  readonly map_index: number;
  readonly try_number: number;
  readonly max_tries: number;
  readonly log_bytes: number;
  readonly log_seq: number;
  readonly first_reschedule_at: Date | null;
  readonly next_method: string | null;
  readonly next_kwargs: Json;
  /** Since admission: what the doorbell cost. */
  readonly waited_ms: number;
  /** The try before this one, to link its span to. */
  readonly previous_attempt: AttemptId | null;
  readonly previous_fence: number | null;
  readonly at: RunAtClaim;
};

/** The run and the tenant as they are at the claim; a continued attempt goes on with them. */
export type RunAtClaim = {
  readonly dag_id: DagId;
  readonly run_id: RunId;
  readonly run_type: RunType;
  readonly version: number;
  readonly repository: RepositoryId;
  readonly commit: CommitId;
  readonly path: string;
  readonly environment: string;
  readonly logical_date: Date | null;
  readonly interval_start: Date | null;
  readonly interval_end: Date | null;
  readonly run_after: Date;
  readonly started_at: Date;
  readonly conf: Json;
  readonly clear_number: number;
  readonly triggering_user: string | null;
  /** Names the run's trace; null: the run is older than traces are. */
  readonly trace: string | null;
  readonly uid: number;
  readonly egress: readonly EgressRule[];
};

/**
 * queued → running for this worker, under a new fence. Nothing comes back if it is not admitted any more: a
 * duplicate delivery, or somebody stopped it; then there is nothing to do.
 */
export async function claimAttempt(
  store: Pick<Store, "once">,
  tenant: TenantId,
  attempt: AttemptId,
  worker: string,
  leaseSeconds: number,
  host: string | null = null,
): Promise<Claimed | undefined> {
  const [row] = await store.once(
    tenant,
    (sql) => sql<(Omit<Claimed, "at"> & RunAtClaim & { ok: unknown })[]>`
    with a as (
      update airlock.attempt
         set state = 'running', fence = fence + 1, worker = ${worker}, host = ${host}, started_at = clock_timestamp(),
             first_started_at = coalesce(first_started_at, clock_timestamp()),
             lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds})
       where tenant = ${tenant} and attempt = ${attempt} and state = 'admitted'
      returning attempt, fence, run, task_id, map_index, log_bytes, admitted_at),
    i as (
      update airlock.task_instance i
         set state = 'running',
             started_at = case when i.first_reschedule_at is null and i.next_method is null then clock_timestamp()
                               else coalesce(i.started_at, clock_timestamp()) end
        from a
       where i.tenant = ${tenant} and i.run = a.run and i.task_id = a.task_id and i.map_index = a.map_index and i.state = 'queued'
      returning i.dag_id, i.run, i.task_id, i.map_index, i.try_number, i.max_tries, i.first_reschedule_at, i.next_method, i.next_kwargs),
    c as (
      insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
      select ${tenant}, i.run, i.dag_id, r.run_id, i.task_id, i.map_index, i.try_number, 'queued', 'running'
        from i join airlock.dag_run r on r.tenant = ${tenant} and r.run = i.run)
    select airlock.expect(1, (select count(*) from i)) as ok,
           a.attempt, a.fence, a.run, a.task_id, a.map_index, a.log_bytes::float8 as log_bytes,
           coalesce((select max(l.seq) + 1 from airlock.log_chunk l where l.tenant = ${tenant} and l.attempt = a.attempt), 0) as log_seq,
           (extract(epoch from clock_timestamp() - a.admitted_at) * 1000)::float8 as waited_ms,
           i.try_number, i.max_tries, i.first_reschedule_at, i.next_method, i.next_kwargs,
           r.dag_id, r.run_id, r.run_type, r.version, r.repository, r.commit, r.path, r.environment, r.logical_date,
           r.interval_start, r.interval_end, r.run_after, coalesce(r.started_at, clock_timestamp()) as started_at, r.conf,
           r.clear_number, r.triggering_user, r.trace, t.uid, t.egress,
           p.attempt as previous_attempt, p.fence as previous_fence
      from a
      left join i on true
      left join lateral (
        select b.attempt, b.fence from airlock.attempt b
         where i.try_number > 1 and b.tenant = ${tenant} and b.run = a.run and b.task_id = a.task_id and b.map_index = a.map_index
           and b.try_number < i.try_number
         order by b.try_number desc limit 1) p on true
      join airlock.dag_run r on r.tenant = ${tenant} and r.run = a.run
      join airlock.tenant t on t.tenant = ${tenant}`,
  );
  if (row === undefined) return undefined;
  const { ok: _, ...rest } = row;
  return { ...rest, at: rest };
}
