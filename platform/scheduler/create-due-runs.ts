/**
 * Scheduled runs. The rule is the engine's (pure); here are the rows: a DAG's next run stands in its own row,
 * is created when due, and the one after it is worked out in the same transaction. A run is unique per DAG
 * and logical date, so two schedulers that see the same DAG due create one run.
 */
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type { Logger } from "../../ops/telemetry/log.ts";
import { metrics } from "../../ops/telemetry/metrics.ts";
import { runIdOf } from "../engine/run-id.ts";
import { nextRun, type PlannedRun } from "../engine/timetable.ts";
import type { DagSpec } from "../model/dag-spec.ts";
import type { DagId, TenantId } from "../model/ids.ts";
import { type CreateDeps, createRunIn } from "../runs/create-run.ts";
import { isAway, type Tx } from "../store/open.ts";

const atOnce = 200;
const catchUpMs = 60 * 60 * 1000;

export type ScheduleDeps = CreateDeps & { readonly log: Logger };

/** DAGs whose schedule is new or changed get their next run. One that cannot be planned has none, and stops nobody else. */
export async function planSchedules(deps: ScheduleDeps): Promise<void> {
  for (;;) {
    const dags = await deps.store.system(
      (tx) => tx<{ tenant: TenantId; dag_id: DagId }[]>`
        select tenant, dag_id from airlock.dag where plan_needed and state = 'active' limit ${atOnce}`,
    );
    let planned = 0;
    for (const { tenant, dag_id } of dags) {
      await deps.store.tx(tenant, async (tx) => {
        const dag = await lockDag(tx, tenant, dag_id);
        if (dag === undefined) return;
        planned += 1;
        let next: PlannedRun | undefined;
        try {
          next = nextOf(dag, dag.last);
        } catch (error) {
          deps.log.error(
            { room: "scheduler", err: error, tenant, dag_id },
            "cannot work out the next run; this DAG is not scheduled until it is deployed again",
          );
        }
        void tx.last(writeNext(tx, tenant, dag_id, next));
        if (failpointsSet) await hit("plan.before_commit");
      });
      if (failpointsSet) await hit("plan.after_commit");
    }
    // What another scheduler has locked, it plans.
    if (dags.length < atOnce || planned === 0) return;
  }
}

/**
 * A DAG that was at max_active_runs when its next run was due has no due date until a run of it ends. Plans anew
 * those that have a place; with `dag`, that one alone. Answers whether any had.
 */
export async function planFreed(
  deps: CreateDeps,
  dag?: { readonly tenant: TenantId; readonly dag_id: DagId },
): Promise<boolean> {
  const found = await deps.store.system(
    (tx) => tx`
      update airlock.dag d set plan_needed = true
       where d.state = 'active' and not d.is_paused and d.next_run_at is null and d.next_logical_at is not null
         and ${dag === undefined ? tx`true` : tx`d.tenant = ${dag.tenant} and d.dag_id = ${dag.dag_id}`}
         and d.max_active_runs > (
           select count(*) from airlock.dag_run r
            where r.tenant = d.tenant and r.dag_id = d.dag_id and r.state in ('queued', 'running') and r.run_type <> 'backfill')
      returning 1`,
  );
  return found.length > 0;
}

/** DAGs with a queued run that may start now. */
export const dagsWithPlaces = (deps: CreateDeps) =>
  deps.store.system(
    (tx) => tx<{ tenant: TenantId; dag_id: DagId }[]>`
      select d.tenant, d.dag_id
        from (select distinct tenant, dag_id from airlock.dag_run where state = 'queued' and run_after <= clock_timestamp()) q
        join airlock.dag d on d.tenant = q.tenant and d.dag_id = q.dag_id and not d.is_paused
       where d.max_active_runs > (
         select count(*) from airlock.dag_run r where r.tenant = d.tenant and r.dag_id = d.dag_id and r.state = 'running')`,
  );

export type DueRuns =
  /** A catch-up makes one run per DAG and turn. */
  | "more_may_be_due"
  | "all_created"
  /** The others are; these are tried again. */
  | "some_failed";

/** Creates what is due. A DAG whose run cannot be created stops nobody else. */
export async function createDueRuns(deps: ScheduleDeps): Promise<DueRuns> {
  const due = await deps.store.system(
    (tx) => tx<{ tenant: TenantId; dag_id: DagId }[]>`
      select tenant, dag_id from airlock.dag
       where next_run_at <= clock_timestamp() and state = 'active' and not is_paused
       order by next_run_at limit ${atOnce}`,
  );
  let created = 0;
  let failed = false;
  for (const { tenant, dag_id } of due)
    try {
      if (await createDueRun(deps, tenant, dag_id)) created += 1;
    } catch (error) {
      if (isAway(error)) throw error;
      failed = true;
      deps.log.error(
        { room: "scheduler", err: error, tenant, dag_id },
        "cannot create a run that is due; trying again",
      );
    }
  if (created > 0) return "more_may_be_due";
  return failed ? "some_failed" : "all_created";
}

async function createDueRun(deps: CreateDeps, tenant: TenantId, dag_id: DagId): Promise<boolean> {
  let follow: (() => void) | undefined;
  let lateMs = 0;
  const isNew = await deps.store.tx(tenant, async (tx) => {
    follow = undefined;
    const dag = await lockDag(tx, tenant, dag_id);
    if (dag === undefined || dag.next === null || dag.next.run_after_ms > dag.now_ms) return false;
    // At max_active_runs Airflow creates no further run; the next one ends and wakes us.
    if (dag.open >= dag.max_active_runs) {
      void tx.last(tx`
          update airlock.dag set next_run_at = null, plan_needed = false where tenant = ${tenant} and dag_id = ${dag_id}`);
      return false;
    }
    const next = dag.next;
    lateMs = dag.now_ms - next.run_after_ms;
    const made = await createRunIn(deps, tx, tenant, {
      dag_id,
      run_id: runIdOf({ type: "scheduled", level: dag.level, suffix: "", ...next }),
      run_type: "scheduled",
      logical_date: iso(next.logical_date_ms),
      interval_start: iso(next.interval_start_ms),
      interval_end: iso(next.interval_end_ms),
      run_after: iso(next.run_after_ms),
      conf: {},
      triggered_by: "timetable",
      triggering_user: null,
      note: null,
    });
    follow = made.follow;
    void tx.last(writeNext(tx, tenant, dag_id, nextOf(dag, next)));
    if (failpointsSet) await hit("scheduled_run.before_commit");
    return made.created.kind === "created";
  });
  if (failpointsSet) await hit("scheduled_run.after_commit");
  follow?.();
  // What a catch-up makes up for was due before anybody asked for it.
  if (isNew && lateMs < catchUpMs) metrics.scheduleDelay.observe({ tenant }, lateMs / 1000);
  return isNew;
}

type LockedDag = {
  readonly spec: DagSpec;
  readonly level: DagSpec["level"];
  readonly max_active_runs: number;
  /** Runs that are queued or running. */
  readonly open: number;
  readonly now_ms: number;
  readonly next: PlannedRun | null;
  readonly last:
    | Pick<PlannedRun, "logical_date_ms" | "interval_start_ms" | "interval_end_ms">
    | undefined;
};

async function lockDag(tx: Tx, tenant: TenantId, dagId: DagId): Promise<LockedDag | undefined> {
  // In a statement of its own: one that locks goes on with its old snapshot where another scheduler has just let go, and
  // would count that one's new run as not there.
  const locked = tx`
    select 1 from airlock.dag where tenant = ${tenant} and dag_id = ${dagId} and state = 'active'
       for no key update skip locked`.execute();
  locked.catch(() => undefined);
  const [row] = await tx<
    {
      spec: DagSpec;
      level: DagSpec["level"];
      max_active_runs: number;
      open: number;
      now_ms: number;
      logical_ms: number | null;
      start_ms: number | null;
      end_ms: number | null;
      run_ms: number | null;
      last_logical_ms: number | null;
      last_start_ms: number | null;
      last_end_ms: number | null;
    }[]
  >`
    select v.spec, d.level, d.max_active_runs,
           (select count(*)::int from airlock.dag_run r where r.tenant = d.tenant and r.dag_id = d.dag_id and r.state in ('queued', 'running')
              and r.run_type <> 'backfill') as open,
           floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms,
           floor(extract(epoch from d.next_logical_at) * 1000)::float8 as logical_ms,
           floor(extract(epoch from d.next_interval_start) * 1000)::float8 as start_ms,
           floor(extract(epoch from d.next_interval_end) * 1000)::float8 as end_ms,
           floor(extract(epoch from d.next_run_at) * 1000)::float8 as run_ms,
           floor(extract(epoch from l.logical_date) * 1000)::float8 as last_logical_ms,
           floor(extract(epoch from l.interval_start) * 1000)::float8 as last_start_ms,
           floor(extract(epoch from l.interval_end) * 1000)::float8 as last_end_ms
      from airlock.dag d
      join airlock.dag_version v on v.tenant = d.tenant and v.dag_id = d.dag_id and v.version = d.version
      left join lateral (
        select logical_date, interval_start, interval_end from airlock.dag_run r
         where r.tenant = d.tenant and r.dag_id = d.dag_id and r.run_type = 'scheduled'
         order by logical_date desc nulls last limit 1) l on true
     where d.tenant = ${tenant} and d.dag_id = ${dagId} and d.state = 'active'`;
  if ((await locked).length === 0 || row === undefined) return undefined;
  return {
    spec: row.spec,
    level: row.level,
    max_active_runs: row.max_active_runs,
    open: row.open,
    now_ms: row.now_ms,
    next:
      row.logical_ms === null || row.run_ms === null
        ? null
        : {
            logical_date_ms: row.logical_ms,
            interval_start_ms: row.start_ms ?? row.logical_ms,
            interval_end_ms: row.end_ms ?? row.logical_ms,
            run_after_ms: row.run_ms,
          },
    last:
      row.last_logical_ms === null
        ? undefined
        : {
            logical_date_ms: row.last_logical_ms,
            interval_start_ms: row.last_start_ms ?? row.last_logical_ms,
            interval_end_ms: row.last_end_ms ?? row.last_logical_ms,
          },
  };
}

const nextOf = (dag: LockedDag, last: LockedDag["last"]): PlannedRun | undefined =>
  nextRun({
    timetable: dag.spec.timetable,
    catchup: dag.spec.catchup,
    start_ms: earliestOf(dag.spec),
    end_ms: dag.spec.end_date === undefined ? undefined : Date.parse(dag.spec.end_date),
    last:
      last === undefined
        ? undefined
        : { start_ms: last.interval_start_ms, end_ms: last.interval_end_ms },
    nowMs: dag.now_ms,
  });

/** Airflow's time restriction: the earlier of the DAG's start_date and its tasks'. */
function earliestOf(spec: DagSpec): number | undefined {
  const dates = [spec.start_date, ...spec.tasks.map((task) => task.start_date)].filter(
    (date) => date !== undefined,
  );
  return dates.length === 0 ? undefined : Math.min(...dates.map((date) => Date.parse(date)));
}

const writeNext = (tx: Tx, tenant: TenantId, dagId: DagId, next: PlannedRun | undefined) => tx`
  update airlock.dag
     set next_logical_at = ${next === undefined ? null : iso(next.logical_date_ms)},
         next_interval_start = ${next === undefined ? null : iso(next.interval_start_ms)},
         next_interval_end = ${next === undefined ? null : iso(next.interval_end_ms)},
         next_run_at = ${next === undefined ? null : iso(next.run_after_ms)},
         plan_needed = false
   where tenant = ${tenant} and dag_id = ${dagId}`;

const iso = (ms: number): string => new Date(ms).toISOString();
