/** The door's statements: `platform/store/run-rows.ts`, in its order. */

import { plain, statement } from "../recognize.ts";
import type { Statement } from "../server.ts";
import { SqlError } from "../server.ts";
import { type Attempt, dagKey, type Instance, instanceKey, type Run } from "../tables.ts";
import { ring } from "./queue.ts";
import { byBytes, date, type Key, list, number, records, sameKey, text } from "./read.ts";

export const runAt = (row: Run): number => row.logical_date ?? row.run_after;

export function runStatements(): void {
  lockAndLoad();
  endAndStop();
  writeInstances();
  writeTimers();
  continueAndAdmit();
}

function lockAndLoad(): void {
  statement(
    "lock run",
    [
      "failed_leaves, version, repository, commit, path, environment from airlock.dag_run",
      "for no key update",
    ],
    function* (s, [tenant, run]) {
      const seen = s.get(s.tables.run, text(run));
      if (seen === undefined || seen.tenant !== tenant) return [];
      const row = yield* s.lock(s.tables.run, seen.run);
      return row === undefined ? [] : [rawRun(row)];
    },
  );
  statement(
    "holders",
    ["as h(attempt uuid, fence int, worker uuid)", "for update of a"],
    function* (s, [json]) {
      const found: object[] = [];
      for (const holder of records<{ attempt: string; fence: number; worker: string }>(json)) {
        const isHeld = (row: Attempt): boolean =>
          row.fence === holder.fence && row.worker === holder.worker && row.state === "running";
        const seen = s.get(s.tables.attempt, holder.attempt);
        if (seen === undefined) continue;
        for (const row of yield* s.lockMatching(s.tables.attempt, [seen], isHeld))
          found.push({ attempt: row.attempt });
      }
      return found;
    },
  );
  statement(
    "load instances",
    [
      "select task_id, map_index, state, try_number, max_tries from airlock.task_instance",
      "and (? or task_id = any(?)",
    ],
    plain((s, p) => {
      const [all, tasks, keys] = [p.at(-3), list(p.at(-2)), records<Key>(p.at(-1))];
      return s
        .all(s.tables.instance, text(p[1]))
        .filter(
          (row) =>
            all === true || tasks.includes(row.task_id) || keys.some((key) => sameKey(key, row)),
        )
        .map(instanceRow);
    }),
  );
  statement(
    "load counters",
    ["setups, setups_success, setups_skipped from airlock.task_counter"],
    plain((s, p) => {
      const [all, tasks] = [p.at(-3), list(p.at(-2))];
      const keys = records<{ task_id: string; scope: number }>(p.at(-1));
      return s
        .all(s.tables.counter, text(p[1]))
        .filter(
          (row) =>
            all === true ||
            tasks.includes(row.task_id) ||
            keys.some((key) => key.task_id === row.task_id && key.scope === row.scope),
        )
        .map(({ tenant: _t, run: _r, ...row }) => row);
    }),
  );
  statement(
    "load skips",
    ["select task_id, map_index, skipped from airlock.skip_decision"],
    plain((s, [, run, all, tasks]) =>
      s
        .all(s.tables.skip, text(run))
        .filter((row) => all === true || list(tasks).includes(row.task_id))
        .map(({ task_id, map_index, skipped }) => ({ task_id, map_index, skipped })),
    ),
  );
  statement(
    "load lengths",
    ["select kind, name, length from airlock.mapped_length"],
    plain((s, [, run, all, names]) =>
      s
        .all(s.tables.length, text(run))
        .filter((row) => all === true || list(names).includes(row.name))
        .map(({ kind, name, length }) => ({ kind, name, length })),
    ),
  );
  statement(
    "load past",
    ["with me as (select dag_id, coalesce(logical_date, run_after) as at", "as has_previous"],
    plain((s, p) => {
      const catchup = p[3] === true;
      const me = s.get(s.tables.run, text(p[1]));
      const before =
        me === undefined
          ? undefined
          : s
              .all(s.tables.run, dagKey(me.tenant, me.dag_id))
              .filter((run) => runAt(run) < runAt(me) && (!catchup || run.run_type !== "manual"))
              .toSorted((a, b) => runAt(b) - runAt(a))[0];
      const states = (wanted: (task: string) => boolean): Instance["state"][] | null => {
        const found = before === undefined ? [] : s.all(s.tables.instance, before.run);
        const of = found.filter((row) => wanted(row.task_id)).map((row) => row.state);
        return of.length === 0 ? null : of;
      };
      return records<{ task_id: string; downstream: string[] }>(p.at(-1)).map((asked) => ({
        task_id: asked.task_id,
        has_previous: before !== undefined,
        states: states((task) => task === asked.task_id),
        downstream: states((task) => asked.downstream.includes(task)),
      }));
    }),
  );
  statement(
    "read version",
    ["select spec from airlock.dag_version where"],
    plain((s, [tenant, dagId, version]) => {
      const row = s.get(s.tables.version, `${text(tenant)}/${text(dagId)}/${number(version)}`);
      return row === undefined ? [] : [{ spec: row.spec }];
    }),
  );
}

const rawRun = (row: Run): object => ({
  run: row.run,
  dag_id: row.dag_id,
  run_id: row.run_id,
  run_type: row.run_type,
  state: row.state,
  logical_date: date(row.logical_date),
  started_at: date(row.started_at),
  has_instances: row.has_instances,
  unfinished: row.unfinished,
  failed_leaves: row.failed_leaves,
  version: row.version,
  ...bundle,
});
export const bundle = {
  repository: "main",
  commit: "c",
  path: "dags/x.py",
  environment: "default",
};

const instanceRow = ({ task_id, map_index, state, try_number, max_tries }: Instance): object => ({
  task_id,
  map_index,
  state,
  try_number,
  max_tries,
});

function endAndStop(): void {
  statement(
    "end attempts",
    ["set state = 'ended', ended_at = clock_timestamp(), outcome = e.outcome"],
    function* (s, p) {
      const ended = records<{ attempt: string; fence: number; worker: string; outcome: string }>(
        p[0],
      );
      let touched = 0;
      for (const one of ended) {
        const seen = s.get(s.tables.attempt, one.attempt);
        if (seen === undefined) continue;
        const isHeld = (row: Attempt): boolean =>
          row.fence === one.fence && row.worker === one.worker && row.state === "running";
        for (const row of yield* s.lockMatching(s.tables.attempt, [seen], isHeld)) {
          s.put(s.tables.attempt, {
            ...row,
            state: "ended",
            outcome: one.outcome,
            lease_until: null,
          });
          s.transaction.told.push({
            kind: "ended",
            attempt: one.attempt,
            fence: one.fence,
            worker: one.worker,
          });
          touched += 1;
        }
      }
      s.expect(number(p.at(-1)), touched);
      return [{}];
    },
  );
  statement(
    "stop attempts",
    ["set state = 'ended', fence = a.fence + 1, ended_at = clock_timestamp(), outcome = 'stopped'"],
    function* (s, [why, , json, , run]) {
      const keys = records<Key>(json);
      const isMeant = (row: Attempt): boolean =>
        row.state !== "ended" && keys.some((key) => sameKey(key, row));
      const found = yield* s.lockMatching(
        s.tables.attempt,
        s.all(s.tables.attempt, text(run)),
        isMeant,
      );
      for (const row of found)
        s.put(s.tables.attempt, {
          ...row,
          state: "ended",
          fence: row.fence + 1,
          outcome: "stopped",
          stop_asked: text(why),
          lease_until: null,
        });
      return found.map(({ attempt, worker }) => ({ attempt, worker }));
    },
  );
  statement(
    "ask to stop",
    ["update airlock.attempt a set stop_asked = ? from json_to_recordset"],
    function* (s, [why, json, , run]) {
      const keys = records<Key>(json);
      const isMeant = (row: Attempt): boolean =>
        row.state !== "ended" && keys.some((key) => sameKey(key, row));
      const found = yield* s.lockMatching(
        s.tables.attempt,
        s.all(s.tables.attempt, text(run)),
        isMeant,
      );
      for (const row of found) s.put(s.tables.attempt, { ...row, stop_asked: text(why) });
      return found.map(({ attempt, worker }) => ({ attempt, worker }));
    },
  );
  statement(
    "delete permits of the ended",
    ["delete from airlock.permit p using airlock.attempt a"],
    function* (s, [tenant, run]) {
      const isMeant = (row: { attempt: string; run: string }): boolean =>
        row.run === run && s.get(s.tables.attempt, row.attempt)?.state === "ended";
      const found = yield* s.lockMatching(
        s.tables.permit,
        s.all(s.tables.permit, text(tenant)),
        isMeant,
      );
      for (const row of found) s.remove(s.tables.permit, row);
      return [];
    },
  );
  statement(
    "delete permits",
    ["delete from airlock.permit where tenant = ? and attempt = any(?::uuid[])"],
    function* (s, [tenant, attempts]) {
      const isMeant = (row: { attempt: string }): boolean => list(attempts).includes(row.attempt);
      const found = yield* s.lockMatching(
        s.tables.permit,
        s.all(s.tables.permit, text(tenant)),
        isMeant,
      );
      for (const row of found) s.remove(s.tables.permit, row);
      return [];
    },
  );
}

type StateWrite = Key & {
  from: Instance["state"];
  from_try: number;
  to: Instance["state"];
  try_number: number;
  max_tries: number;
  new_id: string | null;
  cleared: boolean;
};

function writeInstances(): void {
  statement(
    "expand placeholders",
    ["update airlock.task_instance set map_index = 0"],
    function* (s, [, run, tasks]) {
      const isMeant = (row: Instance): boolean =>
        row.map_index === -1 && list(tasks).includes(row.task_id);
      for (const row of yield* s.lockMatching(
        s.tables.instance,
        s.all(s.tables.instance, text(run)),
        isMeant,
      )) {
        s.remove(s.tables.instance, row);
        s.put(s.tables.instance, { ...row, map_index: 0 });
      }
      return [];
    },
  );
  statement(
    "create instances",
    ["insert into airlock.task_instance (tenant, run, dag_id, order_at"],
    function* (s, p) {
      const run = s.get(s.tables.run, text(p[4]));
      if (run === undefined) return [];
      for (const row of records<Instance>(p[2])) {
        const isNew = yield* s.insert(s.tables.instance, {
          ...row,
          tenant: run.tenant,
          run: run.run,
          dag_id: run.dag_id,
          order_at: run.logical_date ?? Number.POSITIVE_INFINITY,
          scheduled_at: row.state === "scheduled" || row.state === "running" ? s.clock : null,
          started_at: row.state === "success" || row.state === "running" ? s.clock : null,
          first_reschedule_at: null,
        });
        if (!isNew) throw new SqlError("23505", "duplicate key in task_instance");
      }
      return [];
    },
  );
  statement(
    "write states",
    ["set state = w.to, try_number = w.try_number, max_tries = w.max_tries"],
    function* (s, p) {
      let touched = 0;
      for (const w of records<StateWrite>(p[0])) {
        const seen = s.get(s.tables.instance, instanceKey({ ...w, run: text(p[2]) }));
        if (seen === undefined) continue;
        const isMeant = (row: Instance): boolean =>
          row.state === w.from && row.try_number === w.from_try;
        for (const row of yield* s.lockMatching(s.tables.instance, [seen], isMeant)) {
          s.put(s.tables.instance, written(row, w, s.clock));
          touched += 1;
        }
      }
      s.expect(number(p.at(-1)), touched);
      return [{}];
    },
  );
  statement(
    "write counters",
    ["insert into airlock.task_counter"],
    function* (s, [tenant, run, json]) {
      for (const row of records<
        Omit<Parameters<Statement["tables"]["counter"]["keyOf"]>[0], "tenant" | "run">
      >(json))
        yield* upsert(s, s.tables.counter, { ...row, tenant: text(tenant), run: text(run) });
      return [];
    },
  );
  statement(
    "write skips",
    ["insert into airlock.skip_decision"],
    function* (s, [tenant, run, json]) {
      for (const row of records<
        Omit<Parameters<Statement["tables"]["skip"]["keyOf"]>[0], "tenant" | "run">
      >(json))
        yield* upsert(s, s.tables.skip, { ...row, tenant: text(tenant), run: text(run) });
      return [];
    },
  );
  statement(
    "delete skips",
    ["delete from airlock.skip_decision"],
    plain((s, [json, , run]) => {
      for (const key of records<Key>(json)) {
        const row = s.get(s.tables.skip, instanceKey({ ...key, run: text(run) }));
        if (row !== undefined) s.remove(s.tables.skip, row);
      }
      return [];
    }),
  );
  statement(
    "write lengths",
    ["insert into airlock.mapped_length"],
    function* (s, [tenant, run, json]) {
      for (const row of records<
        Omit<Parameters<Statement["tables"]["length"]["keyOf"]>[0], "tenant" | "run">
      >(json))
        yield* upsert(s, s.tables.length, { ...row, tenant: text(tenant), run: text(run) });
      return [];
    },
  );
  statement(
    "write run",
    ["update airlock.dag_run set state = ?, has_instances = ?"],
    function* (s, p) {
      const seen = s.get(s.tables.run, text(p[16]));
      const isMeant = (row: Run): boolean => row.state === p[17];
      const found = seen === undefined ? [] : yield* s.lockMatching(s.tables.run, [seen], isMeant);
      const [ended, reason, restarted, started] = [
        p[4] === true,
        p[5],
        p[6] === true,
        p[9] === true,
      ];
      for (const row of found)
        s.put(s.tables.run, {
          ...row,
          state: p[0] as Run["state"],
          has_instances: p[1] === true,
          unfinished: number(p[2]),
          failed_leaves: number(p[3]),
          reason: ended ? (reason as string | null) : restarted ? null : row.reason,
          started_at: started ? s.clock : restarted ? null : row.started_at,
          clear_number: row.clear_number + number(p[14]),
        });
      s.expect(1, found.length);
      return [{}];
    },
  );
  statement(
    "write changes",
    ["insert into airlock.change", "select ?::text, ?::bigint, ?::text, ?::text, c.*"],
    plain((s, [tenant, run, , , json]) => {
      for (const row of records<Key & { from: string | null; to: string | null }>(json))
        s.transaction.changes.push({ ...row, tenant: text(tenant), run: text(run) });
      return [];
    }),
  );
  // What a task said is beside the point here: nothing of the house decides by it.
  for (const [name, part] of [
    ["delete xcoms", "delete from airlock.xcom x using json_to_recordset"],
    ["write xcoms", "insert into airlock.xcom (tenant"],
    ["write rendered", "insert into airlock.rendered_fields"],
    [
      "write logs",
      "insert into airlock.log_chunk (tenant, attempt, seq, lines, text) select ?::text, l.*",
    ],
  ] as const)
    statement(
      name,
      [part],
      plain(() => []),
    );
}

function written(row: Instance, w: StateWrite, clock: number): Instance {
  const isNewTry = w.try_number > w.from_try;
  return {
    ...row,
    state: w.to,
    try_number: w.try_number,
    max_tries: w.max_tries,
    id: w.new_id ?? row.id,
    scheduled_at:
      w.to === "scheduled" || w.to === "running" ? clock : w.cleared ? null : row.scheduled_at,
    started_at: w.cleared
      ? null
      : w.to === "running" || (w.to === "success" && row.started_at === null)
        ? clock
        : w.to === "scheduled" && isNewTry
          ? null
          : row.started_at,
    first_reschedule_at:
      w.to === "up_for_reschedule"
        ? (row.first_reschedule_at ?? row.started_at)
        : (w.to === "scheduled" && w.from === "up_for_reschedule") ||
            (w.to !== null && ["running", "queued", "success", "failed"].includes(w.to))
          ? row.first_reschedule_at
          : null,
  };
}

function* upsert<R extends object>(
  s: Statement,
  table: Parameters<typeof s.get<R>>[0],
  row: R,
): ReturnType<Statement["lock"]> extends Generator<infer W> ? Generator<W, void, void> : never {
  if (yield* s.insert(table, row)) return;
  yield* s.lock(table, table.keyOf(row));
  s.put(table, row);
}

function writeTimers(): void {
  statement(
    "write timers",
    ["insert into airlock.timer", "to_timestamp(t.due_ms / 1000.0)"],
    function* (s, [tenant, run, json]) {
      type Written = Key & { kind: string; try_number: number; due_ms: number };
      for (const { due_ms, ...row } of records<Written>(json))
        yield* upsert(s, s.tables.timer, {
          ...row,
          tenant: text(tenant),
          run: text(run),
          due_at: due_ms,
        });
      return [];
    },
  );
  statement(
    "hold starts",
    ["select 1 from airlock.dag where tenant = ? and dag_id = ? for share"],
    function* (s, [tenant, dagId]) {
      yield* s.share(s.tables.dag, dagKey(text(tenant), text(dagId)));
      return [{}];
    },
  );
  statement(
    "wake later runs",
    ["insert into airlock.timer", "'past', clock_timestamp()"],
    function* (s, [tenant, tasks, , run]) {
      const me = s.get(s.tables.run, text(run));
      if (me === undefined) return [];
      const later = s
        .all(s.tables.run, dagKey(me.tenant, me.dag_id))
        .filter((row) => row.state === "running" && runAt(row) > runAt(me))
        .toSorted((a, b) => Number(a.run) - Number(b.run));
      for (const row of later)
        for (const task_id of list(tasks).toSorted(byBytes))
          yield* upsert(s, s.tables.timer, {
            tenant: text(tenant),
            run: row.run,
            task_id,
            map_index: -1,
            try_number: 0,
            kind: "past",
            due_at: s.clock,
          });
      return [];
    },
  );
  statement(
    "take timers",
    ["delete from airlock.timer t using", "returning t.task_id"],
    function* (s, [json, , run]) {
      const keys = records<Key & { kind: string }>(json);
      const isMeant = (row: Key & { kind: string; due_at: number }): boolean =>
        row.due_at <= s.clock && keys.some((key) => sameKey(key, row) && key.kind === row.kind);
      const found = yield* s.lockMatching(
        s.tables.timer,
        s.all(s.tables.timer, text(run)),
        isMeant,
      );
      for (const row of found) {
        s.remove(s.tables.timer, row);
        s.transaction.told.push({ kind: "fired", timer: s.tables.timer.keyOf(row) });
      }
      return found.map(({ task_id, map_index, kind, try_number }) => ({
        task_id,
        map_index,
        kind,
        try_number,
      }));
    },
  );
  statement(
    "drop all timers",
    ["=delete from airlock.timer where tenant = ? and run = ?"],
    function* (s, [, run]) {
      for (const row of yield* s.lockMatching(
        s.tables.timer,
        s.all(s.tables.timer, text(run)),
        () => true,
      ))
        s.remove(s.tables.timer, row);
      return [];
    },
  );
  statement(
    "drop timers",
    [
      "=delete from airlock.timer t using json_to_recordset(?::text::json) as k(task_id text, map_index int) where t.tenant = ? and t.run = ? and t.task_id = k.task_id and t.map_index = k.map_index",
    ],
    function* (s, [json, , run]) {
      const keys = records<Key>(json);
      const isMeant = (row: Key): boolean => keys.some((key) => sameKey(key, row));
      for (const row of yield* s.lockMatching(
        s.tables.timer,
        s.all(s.tables.timer, text(run)),
        isMeant,
      ))
        s.remove(s.tables.timer, row);
      return [];
    },
  );
}

function continueAndAdmit(): void {
  statement(
    "insert continued",
    ["insert into airlock.attempt", "'running', 1, ?"],
    function* (s, p) {
      const [
        tenant,
        attempt,
        run,
        dag_id,
        task_id,
        map_index,
        try_number,
        worker,
        ,
        after,
        queue,
        lease,
      ] = p;
      s.transaction.told.push({ kind: "continued", attempt: text(attempt), after: text(after) });
      const isNew = yield* s.insert(s.tables.attempt, {
        tenant: text(tenant),
        attempt: text(attempt),
        run: text(run),
        dag_id: text(dag_id),
        task_id: text(task_id),
        map_index: number(map_index),
        try_number: number(try_number),
        state: "running",
        fence: 1,
        worker: text(worker),
        lease_until: s.clock + number(lease) * 1000,
        queue: text(queue),
        crashes: 0,
        admitted_at: s.clock,
        outcome: null,
        stop_asked: null,
      });
      if (!isNew) throw new SqlError("23505", "duplicate key in attempt");
      return [];
    },
  );
  statement(
    "rename permit",
    ["update airlock.permit set attempt = ?, task_id = ?"],
    function* (s, [to, task, , from]) {
      const row = yield* s.lock(s.tables.permit, text(from));
      if (row !== undefined) {
        s.remove(s.tables.permit, row);
        s.put(s.tables.permit, { ...row, attempt: text(to), task_id: text(task) });
      }
      s.expect(1, row === undefined ? 0 : 1);
      return [{}];
    },
  );
  statement(
    "wait for the tenant",
    ["=select 1 from airlock.tenant where tenant = ? for no key update"],
    function* (s, [tenant]) {
      yield* s.lock(s.tables.tenant, text(tenant));
      return [{}];
    },
  );
  statement(
    "claim",
    ["set state = 'running', fence = fence + 1, worker = ?, host = ?"],
    function* (s, [worker, , lease, , attempt]) {
      const seen = s.get(s.tables.attempt, text(attempt));
      if (seen === undefined) return [];
      const [a] = yield* s.lockMatching(
        s.tables.attempt,
        [seen],
        (row) => row.state === "admitted",
      );
      if (a === undefined) return [];
      const claimed: Attempt = {
        ...a,
        state: "running",
        fence: a.fence + 1,
        worker: text(worker),
        lease_until: s.clock + number(lease) * 1000,
      };
      s.put(s.tables.attempt, claimed);
      const at = s.get(s.tables.instance, instanceKey(a));
      const [i] =
        at === undefined
          ? []
          : yield* s.lockMatching(s.tables.instance, [at], (row) => row.state === "queued");
      s.expect(1, i === undefined ? 0 : 1);
      const run = s.get(s.tables.run, a.run);
      if (i === undefined || run === undefined) return [];
      s.put(s.tables.instance, {
        ...i,
        state: "running",
        started_at: i.first_reschedule_at === null ? s.clock : (i.started_at ?? s.clock),
      });
      s.transaction.changes.push({ ...a, from: "queued", to: "running" });
      return [
        {
          ok: null,
          attempt: a.attempt,
          fence: claimed.fence,
          run: a.run,
          task_id: a.task_id,
          map_index: a.map_index,
          log_bytes: 0,
          log_seq: 0,
          waited_ms: s.clock - a.admitted_at,
          try_number: i.try_number,
          max_tries: i.max_tries,
          first_reschedule_at: date(i.first_reschedule_at),
          next_method: null,
          next_kwargs: null,
          dag_id: a.dag_id,
          run_id: run.run_id,
          run_type: run.run_type,
          version: run.version,
          ...bundle,
          logical_date: date(run.logical_date),
          interval_start: date(run.interval_start),
          interval_end: date(run.interval_end),
          run_after: date(run.run_after),
          started_at: date(run.started_at ?? s.clock),
          conf: {},
          trace: null,
          previous_attempt: null,
          previous_fence: null,
          clear_number: run.clear_number,
          triggering_user: null,
          uid: 61001,
          egress: [],
        },
      ];
    },
  );
  statement(
    "append log",
    [
      "insert into airlock.log_chunk",
      "where a.tenant = ? and a.attempt = ? and a.fence = ? and a.worker = ?",
    ],
    plain((s, p) => {
      const row = s.get(s.tables.attempt, text(p[4]));
      const isHeld = row?.fence === p[5] && row?.worker === p[6] && row?.state === "running";
      return [{ n: isHeld ? 1 : 0 }];
    }),
  );
  statement(
    "ring again",
    ["select airlock.ring(json_agg(json_build_object('t', tenant"],
    function* (s, [, attempt]) {
      const row = s.get(s.tables.attempt, text(attempt));
      if (row?.state === "admitted") yield* ring(s, [{ ...row, priority: 0 }]);
      return [{}];
    },
  );
}
