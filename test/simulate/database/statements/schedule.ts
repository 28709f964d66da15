/** Making runs and starting them: `platform/runs/create-run.ts`, `platform/scheduler/create-due-runs.ts`, `platform/store/timers.ts`. */

import { plain, statement } from "../recognize.ts";
import type { Handler, Statement } from "../server.ts";
import { SqlError } from "../server.ts";
import { type Dag, dagKey, type Run, type TimerRow } from "../tables.ts";
import { type Key, number, records, sameKey, text, time } from "./read.ts";
import { bundle } from "./runs.ts";

const dagOf = (s: Statement, tenant: unknown, dagId: unknown): Dag | undefined =>
  s.get(s.tables.dag, dagKey(text(tenant), text(dagId)));
const runsOf = (s: Statement, dag: Dag): Run[] =>
  s.all(s.tables.run, dagKey(dag.tenant, dag.dag_id));
const running = (s: Statement, dag: Dag): number =>
  runsOf(s, dag).filter((run) => run.state === "running").length;
const scheduledOpen = (s: Statement, dag: Dag): number =>
  runsOf(s, dag).filter(
    (run) => (run.state === "queued" || run.state === "running") && run.run_type !== "backfill",
  ).length;

/** The DAG's lock; a planted bug takes none. */
export const lockDag = (locks = true): Handler =>
  function* (s, [tenant, dagId]) {
    const dag = dagOf(s, tenant, dagId);
    if (dag === undefined) return [];
    if (locks) yield* s.lock(s.tables.dag, dagKey(dag.tenant, dag.dag_id));
    return [{ "?column?": 1 }];
  };

/** The unique keys of a run; a planted bug has none. */
export const insertRun = (isUnique = true): Handler =>
  function* (s, p) {
    const row: Run = {
      tenant: text(p[0]),
      run: text(p[1]),
      dag_id: text(p[2]),
      run_id: text(p[3]),
      run_type: p[4] as Run["run_type"],
      logical_date: time(p[5]),
      interval_start: time(p[6]),
      interval_end: time(p[7]),
      run_after: time(p[8]) ?? s.clock,
      state: "queued",
      version: number(p[9]),
      has_instances: false,
      unfinished: 0,
      failed_leaves: 0,
      started_at: null,
      clear_number: 0,
      reason: null,
    };
    if (!isUnique) s.putAnyway(s.tables.run, row);
    else if (!(yield* s.insert(s.tables.run, row)))
      throw new SqlError("23505", "duplicate key in dag_run");
    return [];
  };

/** What a run that is to be made must know of its DAG; a planted bug does not see its twin, or counts nobody. */
export const readDag = (
  sees: { readonly twin: boolean; readonly running: boolean } = { twin: true, running: true },
): Handler =>
  plain((s, [runId, logical, runAfter, tenant, dagId]) => {
    const dag = dagOf(s, tenant, dagId);
    if (dag === undefined || dag.state !== "active") return [];
    const date = time(logical);
    const twins = runsOf(s, dag)
      .filter((run) => run.run_id === runId || (date !== null && run.logical_date === date))
      .map((run) => run.run_id)
      .toSorted();
    return [
      {
        version: dag.version,
        ...bundle,
        is_paused: dag.is_paused,
        max_active_runs: dag.max_active_runs,
        running: sees.running ? running(s, dag) : 0,
        twin: (sees.twin ? twins[0] : undefined) ?? null,
        run: String(s.server.sequences.run++),
        is_early: (time(runAfter) ?? 0) > s.clock,
        now_ms: Math.floor(s.clock),
      },
    ];
  });

export const freePlace = (counts = true): Handler =>
  plain((s, [, , tenant, dagId]) => {
    const dag = dagOf(s, tenant, dagId);
    return dag === undefined
      ? []
      : [{ free: !dag.is_paused && (!counts || dag.max_active_runs > running(s, dag)) }];
  });

export function scheduleStatements(): void {
  statement(
    "lock DAG",
    ["=select 1 from airlock.dag where tenant = ? and dag_id = ? for no key update"],
    lockDag(),
  );
  statement("read DAG for a run", ["nextval('airlock.run_key') as run"], readDag());
  statement("insert run", ["insert into airlock.dag_run (tenant, run, dag_id"], insertRun());
  statement(
    "note run",
    ["insert into airlock.change", "values (?, ?, ?, ?, '', -1, 0, null, 'queued')"],
    plain((s, [tenant, run]) => {
      s.transaction.changes.push({
        tenant: text(tenant),
        run: text(run),
        task_id: "",
        map_index: -1,
        from: null,
        to: "queued",
      });
      return [];
    }),
  );
  statement(
    "queued runs",
    ["select r.run from airlock.dag_run r join airlock.dag d", "limit 32"],
    plain((s, [tenant, dagId]) => {
      const dag = dagOf(s, tenant, dagId);
      if (dag === undefined || dag.is_paused || running(s, dag) >= dag.max_active_runs) return [];
      return runsOf(s, dag)
        .filter((run) => run.state === "queued" && run.run_after <= s.clock)
        .toSorted(
          (a, b) =>
            Number(a.run_type === "backfill") - Number(b.run_type === "backfill") ||
            a.run_after - b.run_after ||
            Number(a.run) - Number(b.run),
        )
        .slice(0, 32)
        .map(({ run }) => ({ run }));
    }),
  );
  statement(
    "free place",
    ["select not d.is_paused and d.max_active_runs >", "as free"],
    freePlace(),
  );

  statement(
    "unplanned DAGs",
    ["select tenant, dag_id from airlock.dag where plan_needed"],
    plain((s, [limit]) =>
      s
        .all(s.tables.dag)
        .filter((dag) => dag.plan_needed && dag.state === "active")
        .slice(0, number(limit))
        .map(({ tenant, dag_id }) => ({ tenant, dag_id })),
    ),
  );
  statement(
    "lock DAG or pass",
    ["for no key update skip locked", "select 1 from airlock.dag where"],
    plain((s, [tenant, dagId]) => {
      const key = dagKey(text(tenant), text(dagId));
      if (s.get(s.tables.dag, key)?.state !== "active" || !s.tryLock(s.tables.dag, key)) return [];
      return [{ "?column?": 1 }];
    }),
  );
  statement(
    "read DAG to schedule",
    ["select v.spec, d.level, d.max_active_runs"],
    plain((s, p) => {
      const dag = dagOf(s, p.at(-2), p.at(-1));
      const version =
        dag === undefined
          ? undefined
          : s.get(s.tables.version, `${dag.tenant}/${dag.dag_id}/${dag.version}`);
      if (dag === undefined || version === undefined || dag.state !== "active") return [];
      const last = runsOf(s, dag)
        .filter((run) => run.run_type === "scheduled")
        .toSorted((a, b) => (b.logical_date ?? -1) - (a.logical_date ?? -1))[0];
      return [
        {
          spec: version.spec,
          level: dag.level,
          max_active_runs: dag.max_active_runs,
          open: scheduledOpen(s, dag),
          now_ms: Math.floor(s.clock),
          logical_ms: dag.next_logical_at,
          start_ms: dag.next_interval_start,
          end_ms: dag.next_interval_end,
          run_ms: dag.next_run_at,
          last_logical_ms: last?.logical_date ?? null,
          last_start_ms: last?.interval_start ?? null,
          last_end_ms: last?.interval_end ?? null,
        },
      ];
    }),
  );
  statement("write next run", ["update airlock.dag set next_logical_at = ?"], function* (s, p) {
    const [logical, start, end, at, tenant, dagId] = p;
    const dag = yield* s.lock(s.tables.dag, dagKey(text(tenant), text(dagId)));
    if (dag !== undefined)
      s.put(s.tables.dag, {
        ...dag,
        next_logical_at: time(logical),
        next_interval_start: time(start),
        next_interval_end: time(end),
        next_run_at: time(at),
        plan_needed: false,
      });
    return [];
  });
  statement(
    "no next run",
    ["update airlock.dag set next_run_at = null, plan_needed = false"],
    function* (s, [tenant, dagId]) {
      const dag = yield* s.lock(s.tables.dag, dagKey(text(tenant), text(dagId)));
      if (dag !== undefined) s.put(s.tables.dag, { ...dag, next_run_at: null, plan_needed: false });
      return [];
    },
  );
  statement("plan the freed", ["update airlock.dag d set plan_needed = true"], function* (s, p) {
    const isMeant = (dag: Dag): boolean =>
      dag.state === "active" &&
      !dag.is_paused &&
      dag.next_run_at === null &&
      dag.next_logical_at !== null &&
      (p.length === 0 || (dag.tenant === p[0] && dag.dag_id === p[1])) &&
      dag.max_active_runs > scheduledOpen(s, dag);
    const found = yield* s.lockMatching(s.tables.dag, s.all(s.tables.dag), isMeant);
    for (const dag of found) s.put(s.tables.dag, { ...dag, plan_needed: true });
    return found.map(() => ({ "?column?": 1 }));
  });
  statement(
    "DAGs with places",
    ["from (select distinct tenant, dag_id from airlock.dag_run where state = 'queued'"],
    plain((s) =>
      s
        .all(s.tables.dag)
        .filter(
          (dag) =>
            !dag.is_paused &&
            dag.max_active_runs > running(s, dag) &&
            runsOf(s, dag).some((run) => run.state === "queued" && run.run_after <= s.clock),
        )
        .map(({ tenant, dag_id }) => ({ tenant, dag_id })),
    ),
  );
  statement(
    "due DAGs",
    ["select tenant, dag_id from airlock.dag where next_run_at <= clock_timestamp()"],
    plain((s, [limit]) =>
      s
        .all(s.tables.dag)
        .filter(
          (dag) =>
            dag.next_run_at !== null &&
            dag.next_run_at <= s.clock &&
            dag.state === "active" &&
            !dag.is_paused,
        )
        .toSorted((a, b) => (a.next_run_at ?? 0) - (b.next_run_at ?? 0))
        .slice(0, number(limit))
        .map(({ tenant, dag_id }) => ({ tenant, dag_id })),
    ),
  );
  statement(
    "due timers",
    ["select tenant, run, task_id, map_index, kind from airlock.timer"],
    plain((s, [limit]) =>
      s
        .all(s.tables.timer)
        .filter((row) => row.due_at <= s.clock)
        .toSorted((a, b) => a.due_at - b.due_at)
        .slice(0, number(limit))
        .map(({ tenant, run, task_id, map_index, kind }) => ({
          tenant,
          run,
          task_id,
          map_index,
          kind,
        })),
    ),
  );
  statement(
    "postpone timers",
    ["update airlock.timer t set due_at = clock_timestamp()"],
    function* (s, [seconds, json]) {
      const keys = records<Key & { tenant: string; run: string; kind: string }>(json);
      const isMeant = (row: TimerRow): boolean =>
        row.due_at <= s.clock &&
        keys.some((key) => sameKey(key, row) && key.kind === row.kind && key.run === row.run);
      for (const row of yield* s.lockMatching(s.tables.timer, s.all(s.tables.timer), isMeant))
        s.put(s.tables.timer, { ...row, due_at: s.clock + number(seconds) * 1000 });
      return [];
    },
  );
  statement(
    "next due",
    ["select (extract(epoch from least( (select min(due_at) from airlock.timer)"],
    plain((s) => {
      const due = [
        ...s.all(s.tables.timer).map((row) => row.due_at),
        ...s
          .all(s.tables.dag)
          .filter((dag) => dag.state === "active" && !dag.is_paused)
          .flatMap((dag) => dag.next_run_at ?? []),
      ];
      return [{ ms: due.length === 0 ? null : Math.min(...due) - s.clock }];
    }),
  );
}
