/** What people and programs do to runs: trigger, clear, mark, stop, pause, delete. Each is a knock at the door. */
import { randomBytes } from "node:crypto";
import type { CompiledDag } from "../engine/compile-dag.ts";
import { planClear, planMark } from "../engine/plan-clear.ts";
import { isReservedRunId, runIdOf } from "../engine/run-id.ts";
import { manualInterval } from "../engine/timetable.ts";
import { type Answer, bad, good } from "../model/answer.ts";
import { findParamProblems, paramSentence } from "../model/check-params.ts";
import type { DagSpec } from "../model/dag-spec.ts";
import {
  type DagId,
  known,
  type RunKey,
  readRunId,
  type TaskId,
  type TenantId,
} from "../model/ids.ts";
import type { JsonObject } from "../model/json.ts";
import {
  type InstanceKey,
  type InstanceRow,
  type RunEvent,
  type RunOrigin,
  takenDateWords,
  takenIdWords,
} from "../model/run.ts";
import type { RunState } from "../model/states.ts";
import { addNotice } from "../store/changes.ts";
import type { Tx } from "../store/open.ts";
import type { RunRow } from "../store/run-rows.ts";
import { type CreateDeps, createRun } from "./create-run.ts";
import { matches } from "./matches.ts";

export type DeedProblem = {
  readonly kind: "not_found" | "exists" | "refused";
  readonly message: string;
};
type Outcome<T> = Promise<Answer<T, DeedProblem>>;

export type InstanceRef = {
  readonly run_id: string;
  readonly task_id: string;
  readonly map_index: number;
};

export type Reach = {
  readonly include_upstream: boolean;
  readonly include_downstream: boolean;
  readonly include_past: boolean;
  readonly include_future: boolean;
};

/**
 * Asked in the deed's own transaction, under the run's lock, right before it is done: what it writes is written with
 * the deed or not at all. false: it is not to be done (any more).
 */
export type Once = (tx: Tx) => Promise<boolean>;

export type DeedDeps = CreateDeps & {
  /** The schedule of a DAG changed (unpaused): plan again, and start what is queued. */
  readonly scheduleChanged: (tenant: TenantId, dagId: DagId) => void;
};

export type RunDeeds = ReturnType<typeof openDeeds>;

export function openDeeds(deps: DeedDeps) {
  const { store, door } = deps;

  const findRuns = (
    tenant: TenantId,
    dagId: string,
    where: { ids?: readonly string[] | undefined; from?: Date | undefined; to?: Date | undefined },
  ) =>
    store.tx(
      tenant,
      (tx) => tx<{ run: RunKey; run_id: string }[]>`
        select run, run_id from airlock.dag_run
         where tenant = ${tenant} and dag_id = ${dagId}
           and (${(where.ids as string[] | undefined) ?? null}::text[] is null or run_id = any(${(where.ids as string[] | undefined) ?? null}))
           and (${where.from ?? null}::timestamptz is null or coalesce(logical_date, run_after) >= ${where.from ?? null})
           and (${where.to ?? null}::timestamptz is null or coalesce(logical_date, run_after) <= ${where.to ?? null})
         order by coalesce(logical_date, run_after) limit 1000`,
    );

  const findRun = async (
    tenant: TenantId,
    dagId: string,
    runId: string,
  ): Promise<RunKey | undefined> => (await findRuns(tenant, dagId, { ids: [runId] }))[0]?.run;

  const noRun = (dagId: string, runId: string): DeedProblem => ({
    kind: "not_found",
    message: `The DagRun with dag_id: \`${dagId}\` and run_id: \`${runId}\` was not found`,
  });

  return {
    async triggerRun(
      tenant: TenantId,
      run: {
        readonly dag_id: string;
        readonly run_id: string | undefined;
        readonly logical_date: Date | null;
        readonly data_interval_start: Date | undefined;
        readonly data_interval_end: Date | undefined;
        readonly run_after: Date | undefined;
        readonly conf: JsonObject;
        readonly note: string | undefined;
        readonly user: string;
        readonly triggered_by: "rest_api" | "ui" | "cli" | "operator";
        readonly by?: RunOrigin;
      },
    ): Outcome<{ readonly run_id: string }> {
      const dagId = known.dag(run.dag_id);
      const spec = await readLiveSpec(deps, tenant, dagId);
      if (spec === undefined)
        return bad({ kind: "not_found", message: `DAG with dag_id: '${run.dag_id}' not found` });
      const now = Date.now();
      const runAfterMs = run.run_after?.getTime() ?? run.logical_date?.getTime() ?? now;
      const interval =
        run.data_interval_start !== undefined && run.data_interval_end !== undefined
          ? { start_ms: run.data_interval_start.getTime(), end_ms: run.data_interval_end.getTime() }
          : run.logical_date === null
            ? undefined
            : manualInterval(spec.timetable, runAfterMs);
      if (run.run_id !== undefined && isReservedRunId(run.run_id))
        return bad({
          kind: "refused",
          message: `The run_id '${run.run_id}' begins like those that the scheduler makes; choose another`,
        });
      const [problem] = findParamProblems(spec.params, run.conf, { matches });
      if (problem !== undefined) return bad({ kind: "refused", message: paramSentence(problem) });
      const runId =
        run.run_id ??
        runIdOf({
          type: "manual",
          level: spec.level,
          logical_date_ms: run.logical_date?.getTime(),
          run_after_ms: runAfterMs,
          suffix: randomBytes(4).toString("hex"),
        });
      const read = readRunId(runId);
      if (!read.ok) return bad({ kind: "refused", message: read.problem.message });
      const created = await createRun(deps, tenant, {
        dag_id: dagId,
        run_id: read.value,
        run_type: "manual",
        logical_date: run.logical_date?.toISOString() ?? null,
        interval_start: interval === undefined ? null : new Date(interval.start_ms).toISOString(),
        interval_end: interval === undefined ? null : new Date(interval.end_ms).toISOString(),
        run_after: new Date(runAfterMs).toISOString(),
        conf: run.conf,
        triggered_by: run.triggered_by,
        by: run.by,
        triggering_user: run.user,
        note: run.note ?? null,
      });
      switch (created.kind) {
        case "created":
          return good({ run_id: read.value });
        case "exists":
          return bad({
            kind: "exists",
            message: `A run of DAG '${run.dag_id}' with run_id '${created.run_id}' ${created.run_id === read.value ? takenIdWords : takenDateWords}`,
          });
        case "no_such_dag":
          return bad({ kind: "not_found", message: `DAG with dag_id: '${run.dag_id}' not found` });
      }
    },

    async clearInstances(
      tenant: TenantId,
      clear: Reach & {
        readonly dag_id: string;
        readonly run_ids: readonly string[] | undefined;
        readonly start_date: Date | undefined;
        readonly end_date: Date | undefined;
        readonly tasks:
          | readonly { readonly task_id: string; readonly map_index: number | undefined }[]
          | undefined;
        readonly only_failed: boolean;
        readonly only_running: boolean;
        readonly reset_dag_runs: boolean;
        readonly prevent_running_task: boolean;
        readonly run_on_latest_version: boolean;
        readonly dry_run: boolean;
        readonly user: string;
        readonly once?: Once;
      },
    ): Outcome<readonly InstanceRef[]> {
      const runs = await withNeighbours(
        deps,
        tenant,
        clear,
        await findRuns(tenant, clear.dag_id, {
          ids: clear.run_ids,
          from: clear.start_date,
          to: clear.end_date,
        }),
      );
      if (clear.run_ids?.length === 1 && runs.length === 0)
        return bad(noRun(clear.dag_id, clear.run_ids[0] ?? ""));
      const options = {
        ...tasksOf(clear.tasks),
        only_failed: clear.only_failed,
        only_running: clear.only_running,
        upstream: clear.include_upstream,
        downstream: clear.include_downstream,
      };
      const touched: InstanceRef[] = [];
      let refused: DeedProblem | undefined;
      for (const { run, run_id } of runs) {
        await door.advance(
          { tenant, run },
          {
            kind: "deed",
            why: `cleared by ${clear.user}`,
            async plan(under) {
              const { tx, row } = under;
              const instances = await loadInstances(tx, tenant, run);
              const latest = clear.run_on_latest_version
                ? await latestVersion(deps, tx, tenant, row)
                : undefined;
              const dag = latest?.dag ?? under.dag;
              const keys = planClear(dag, instances, options);
              if (keys.length > 0 && (await clear.once?.(tx)) === false) return [];
              for (const key of keys)
                touched.push({ run_id, task_id: key.task_id, map_index: key.map_index });
              if (clear.prevent_running_task && runningAmong(instances, keys)) {
                refused = {
                  kind: "refused",
                  message: "A task instance of the selection is running",
                };
                return [];
              }
              if (clear.dry_run || keys.length === 0) return [];
              if (latest === undefined) return [{ kind: "instances_cleared", keys }];
              await moveToVersion(tx, tenant, row, latest);
              return {
                events: [{ kind: "dag_changed" }, { kind: "instances_cleared", keys }],
                dag: latest.dag,
              };
            },
          },
        );
        if (refused !== undefined) return bad(refused);
        if (!clear.dry_run) deps.scheduleChanged(tenant, known.dag(clear.dag_id));
      }
      return good(touched);
    },

    async markInstances(
      tenant: TenantId,
      mark: Reach & {
        readonly dag_id: string;
        readonly run_id: string;
        readonly task_id: string;
        readonly map_index: number | undefined;
        readonly state: "success" | "failed" | "skipped";
        readonly dry_run: boolean;
        readonly user: string;
      },
    ): Outcome<readonly InstanceRef[]> {
      const runs = await withNeighbours(
        deps,
        tenant,
        mark,
        await findRuns(tenant, mark.dag_id, { ids: [mark.run_id] }),
      );
      if (runs.length === 0) return bad(noRun(mark.dag_id, mark.run_id));
      const touched: InstanceRef[] = [];
      for (const { run, run_id } of runs) {
        await door.advance(
          { tenant, run },
          {
            kind: "deed",
            why: `marked ${mark.state} by ${mark.user}`,
            async plan({ tx, dag }) {
              const instances = await loadInstances(tx, tenant, run);
              const plan = planMark(dag, instances, {
                ...tasksOf([{ task_id: mark.task_id, map_index: mark.map_index }]),
                upstream: mark.include_upstream,
                downstream: mark.include_downstream,
                state: mark.state,
              });
              for (const key of plan.mark)
                touched.push({ run_id, task_id: key.task_id, map_index: key.map_index });
              if (mark.dry_run || plan.mark.length === 0) return [];
              const events: RunEvent[] = [
                { kind: "instances_marked", keys: plan.mark, state: mark.state },
              ];
              if (plan.clear.length > 0)
                events.push({ kind: "instances_cleared", keys: plan.clear });
              return events;
            },
          },
        );
        if (!mark.dry_run) deps.scheduleChanged(tenant, known.dag(mark.dag_id));
      }
      return good(touched);
    },

    async markRun(
      tenant: TenantId,
      mark: {
        readonly dag_id: string;
        readonly run_id: string;
        readonly state: "queued" | "success" | "failed";
        readonly user: string;
        readonly once?: Once;
      },
    ): Outcome<undefined> {
      const run = await findRun(tenant, mark.dag_id, mark.run_id);
      if (run === undefined) return bad(noRun(mark.dag_id, mark.run_id));
      await door.advance(
        { tenant, run },
        {
          kind: "deed",
          why: `marked ${mark.state} by ${mark.user}`,
          async plan({ tx, dag }) {
            if ((await mark.once?.(tx)) === false) return [];
            if (mark.state !== "queued")
              return [{ kind: "run_marked", state: mark.state, reason: "marked" }];
            const keys = planClear(dag, await loadInstances(tx, tenant, run), {
              only_failed: false,
              only_running: false,
              upstream: false,
              downstream: false,
            });
            return keys.length === 0 ? [] : [{ kind: "instances_cleared", keys }];
          },
        },
      );
      deps.scheduleChanged(tenant, known.dag(mark.dag_id));
      return good(undefined);
    },

    async stopRun(
      tenant: TenantId,
      stop: {
        readonly dag_id: string;
        readonly run_id: string;
        readonly user: string;
        readonly once?: Once;
      },
    ): Outcome<undefined> {
      const run = await findRun(tenant, stop.dag_id, stop.run_id);
      if (run === undefined) return bad(noRun(stop.dag_id, stop.run_id));
      const before: { state?: RunState } = {};
      await door.advance(
        { tenant, run },
        {
          kind: "deed",
          why: `stopped by ${stop.user}`,
          async plan({ tx, row }) {
            before.state = row.facts.state;
            if (!isOpen(row.facts.state) || (await stop.once?.(tx)) === false) return [];
            return [{ kind: "run_marked", state: "failed", reason: "stopped" }];
          },
        },
      );
      return before.state !== undefined && isOpen(before.state)
        ? good(undefined)
        : bad({ kind: "refused", message: `The run ${stop.run_id} has ended already` });
    },

    async deleteRun(
      tenant: TenantId,
      run: {
        readonly dag_id: string;
        readonly run_id: string;
        readonly user: string;
        readonly once?: Once;
      },
    ): Outcome<undefined> {
      const deleted = await store
        .tx(tenant, async (tx) => {
          const gone = await deleteRuns(
            tx,
            tenant,
            tx`dag_id = ${run.dag_id} and run_id = ${run.run_id} and state in ('success', 'failed', 'queued')`,
          );
          if (gone.length > 0 && (await run.once?.(tx)) === false) throw new NotAnyMore();
          // Whoever looks at it, or at a list with it, learns that it is gone.
          if (gone.length > 0) await addNotice(tx, tenant, "dag", run.dag_id);
          return gone;
        })
        .catch((error: unknown) => {
          if (error instanceof NotAnyMore) return undefined;
          throw error;
        });
      if (deleted === undefined || deleted.length > 0) return good(undefined);
      return (await findRun(tenant, run.dag_id, run.run_id)) === undefined
        ? bad(noRun(run.dag_id, run.run_id))
        : bad({ kind: "exists", message: `The run ${run.run_id} is running; stop it first` });
    },

    async noteRun(
      tenant: TenantId,
      note: { readonly dag_id: string; readonly run_id: string; readonly note: string | null },
    ): Outcome<undefined> {
      const found = await store.tx(
        tenant,
        (tx) => tx`
          update airlock.dag_run set note = ${note.note} where tenant = ${tenant} and dag_id = ${note.dag_id} and run_id = ${note.run_id} returning 1`,
      );
      return found.length > 0 ? good(undefined) : bad(noRun(note.dag_id, note.run_id));
    },

    async noteInstance(
      tenant: TenantId,
      note: InstanceRef & { readonly dag_id: string; readonly note: string | null },
    ): Outcome<undefined> {
      const found = await store.tx(
        tenant,
        (tx) => tx`
          update airlock.task_instance i set note = ${note.note} from airlock.dag_run r
           where r.tenant = ${tenant} and r.dag_id = ${note.dag_id} and r.run_id = ${note.run_id}
             and i.tenant = r.tenant and i.run = r.run and i.task_id = ${note.task_id} and i.map_index = ${note.map_index}
          returning 1`,
      );
      return found.length > 0
        ? good(undefined)
        : bad({
            kind: "not_found",
            message: `Task instance ${note.task_id} was not found in run ${note.run_id}`,
          });
    },

    async pauseDag(
      tenant: TenantId,
      dag: { readonly dag_id: string; readonly is_paused: boolean; readonly user: string },
    ): Outcome<undefined> {
      const found = await store.tx(tenant, async (tx) => {
        const rows = await tx`
          update airlock.dag set is_paused = ${dag.is_paused}, plan_needed = plan_needed or not ${dag.is_paused}
           where tenant = ${tenant} and dag_id = ${dag.dag_id} returning 1`;
        if (rows.length > 0) await addNotice(tx, tenant, "dag", dag.dag_id);
        return rows;
      });
      if (found.length === 0)
        return bad({ kind: "not_found", message: `DAG with dag_id: '${dag.dag_id}' not found` });
      if (!dag.is_paused) door.admit(tenant); // its tasks that were ready when it was paused
      deps.scheduleChanged(tenant, known.dag(dag.dag_id));
      return good(undefined);
    },

    limitGrew: (tenant: TenantId): void => door.admit(tenant),

    async deleteDag(
      tenant: TenantId,
      dag: { readonly dag_id: string; readonly user: string },
    ): Outcome<undefined> {
      return store.tx(tenant, async (tx) => {
        const [row] = await tx<{ state: string; open: number }[]>`
          select state, (select count(*)::int from airlock.dag_run r where r.tenant = d.tenant and r.dag_id = d.dag_id and r.state = 'running') as open
            from airlock.dag d where tenant = ${tenant} and dag_id = ${dag.dag_id} for update`;
        if (row === undefined)
          return bad<DeedProblem>({
            kind: "not_found",
            message: `DAG with dag_id: '${dag.dag_id}' not found`,
          });
        if (row.state === "active" || row.open > 0)
          return bad<DeedProblem>({
            kind: "exists",
            message:
              row.open > 0
                ? `DAG '${dag.dag_id}' has running runs; stop them first`
                : `DAG '${dag.dag_id}' is live: remove its file from the repository first`,
          });
        await deleteRuns(tx, tenant, tx`dag_id = ${dag.dag_id}`);
        await tx`delete from airlock.dag_version where tenant = ${tenant} and dag_id = ${dag.dag_id}`;
        await tx`delete from airlock.dag where tenant = ${tenant} and dag_id = ${dag.dag_id}`;
        // Who looks at it is told that there is nothing to look at any more.
        await addNotice(tx, tenant, "dag", dag.dag_id);
        return good(undefined);
      });
    },
  };
}

/** What was done in this transaction is taken back: somebody else has done it, or it is no longer wanted. */
class NotAnyMore extends Error {}

const isOpen = (state: RunState): boolean => state === "running" || state === "queued";

/** Rows hang on the run and go with it, but for the logs: those are too many for a foreign key. */
const deleteRuns = (tx: Tx, tenant: TenantId, which: ReturnType<Tx>) => tx<{ run: RunKey }[]>`
  with r as (
    select run from airlock.dag_run where tenant = ${tenant} and ${which} for update),
  logs as (
    delete from airlock.log_chunk l using airlock.attempt a, r
     where a.tenant = ${tenant} and a.run = r.run and l.tenant = a.tenant and l.attempt = a.attempt)
  delete from airlock.dag_run d using r where d.tenant = ${tenant} and d.run = r.run returning d.run`;

const tasksOf = (
  tasks:
    | readonly { readonly task_id: string; readonly map_index: number | undefined }[]
    | undefined,
): { readonly tasks?: readonly (TaskId | InstanceKey)[] } =>
  tasks === undefined
    ? {}
    : {
        tasks: tasks.map(({ task_id, map_index }) =>
          map_index === undefined
            ? known.task(task_id)
            : { task_id: known.task(task_id), map_index },
        ),
      };

async function readLiveSpec(
  deps: CreateDeps,
  tenant: TenantId,
  dagId: DagId,
): Promise<DagSpec | undefined> {
  return deps.store.tx(tenant, async (tx) => {
    const [row] = await tx<{ version: number }[]>`
      select version from airlock.dag where tenant = ${tenant} and dag_id = ${dagId} and state = 'active'`;
    return row === undefined
      ? undefined
      : (await deps.dags.get(tx, tenant, dagId, row.version)).spec;
  });
}

const loadInstances = (tx: Tx, tenant: TenantId, run: RunKey) => tx<InstanceRow[]>`
  select task_id, map_index, state, try_number, max_tries from airlock.task_instance
   where tenant = ${tenant} and run = ${run} order by task_id, map_index`;

const runningAmong = (instances: readonly InstanceRow[], keys: readonly InstanceKey[]): boolean => {
  const running = new Set(
    instances
      .filter((row) => row.state === "running")
      .map((row) => `${row.task_id} ${row.map_index}`),
  );
  return keys.some((key) => running.has(`${key.task_id} ${key.map_index}`));
};

type Latest = {
  readonly dag: CompiledDag;
  readonly version: number;
  readonly commit: string;
  readonly repository: string;
  readonly path: string;
  readonly environment: string;
};

/** The live version and bundle of the run's DAG, if the run is on older ones. */
async function latestVersion(
  deps: CreateDeps,
  tx: Tx,
  tenant: TenantId,
  row: RunRow,
): Promise<Latest | undefined> {
  const [live] = await tx<Omit<Latest, "dag">[]>`
    select version, commit, repository, path, environment from airlock.dag
     where tenant = ${tenant} and dag_id = ${row.facts.dag_id} and state = 'active'`;
  if (live === undefined || (live.version === row.version && live.commit === row.commit))
    return undefined;
  return { ...live, dag: await deps.dags.get(tx, tenant, row.facts.dag_id, live.version) };
}

const moveToVersion = (tx: Tx, tenant: TenantId, row: RunRow, to: Latest) => tx`
  update airlock.dag_run set version = ${to.version}, commit = ${to.commit}, repository = ${to.repository}, path = ${to.path},
         environment = ${to.environment}
   where tenant = ${tenant} and run = ${row.run}`;

/** include_past and include_future: the same DAG's runs before and after, by logical date. */
async function withNeighbours(
  deps: CreateDeps,
  tenant: TenantId,
  reach: Reach & { readonly dag_id: string },
  runs: readonly { run: RunKey; run_id: string }[],
): Promise<readonly { run: RunKey; run_id: string }[]> {
  if ((!reach.include_past && !reach.include_future) || runs.length === 0) return runs;
  const keys = runs.map((row) => row.run);
  return deps.store.tx(
    tenant,
    (tx) => tx<{ run: RunKey; run_id: string }[]>`
      with mine as (select min(coalesce(logical_date, run_after)) as first, max(coalesce(logical_date, run_after)) as last
                      from airlock.dag_run where tenant = ${tenant} and run = any(${keys}::bigint[]))
      select r.run, r.run_id from airlock.dag_run r, mine
       where r.tenant = ${tenant} and r.dag_id = ${reach.dag_id}
         and (r.run = any(${keys}::bigint[])
              or (${reach.include_past} and coalesce(r.logical_date, r.run_after) < mine.first)
              or (${reach.include_future} and coalesce(r.logical_date, r.run_after) > mine.last))
       order by coalesce(r.logical_date, r.run_after) limit 1000`,
  );
}
