/** `platform/store/workers.ts`: who is alive, and what becomes of the attempts of those that are not. */

import { plain, statement } from "../recognize.ts";
import type { Handler } from "../server.ts";
import { type Attempt, instanceKey, type Worker } from "../tables.ts";
import { ring } from "./queue.ts";
import { list, number, records, text } from "./read.ts";

/** Attempts of a dead worker, or whose lease is over; a planted bug sees only those that a job brought. */
export const lockLost = (
  kind: "worker" | "lease",
  isSeen: (row: Attempt, hasJob: boolean) => boolean = () => true,
): Handler =>
  plain((s, [worker]) => {
    const rung = new Set(s.all(s.tables.job).map((job) => job.key));
    return s
      .all(s.tables.attempt)
      .filter(
        (row) =>
          row.state === "running" &&
          (kind === "worker"
            ? row.worker === worker
            : row.lease_until !== null && row.lease_until < s.clock) &&
          isSeen(row, rung.has(`a:${row.attempt}`)),
      )
      .toSorted((a, b) => (a.attempt < b.attempt ? -1 : 1))
      .filter((row) => {
        if (!s.tryLock(s.tables.attempt, row.attempt)) return false;
        const now = s.newest(s.tables.attempt, row.attempt);
        return (
          now?.state === "running" &&
          (kind === "worker" ? now.worker === worker : (now.lease_until ?? Infinity) < s.clock)
        );
      })
      .map(({ tenant, attempt }) => ({ tenant, attempt }));
  });

/** running → queued, under a higher fence; a planted bug leaves something out. */
export const readmit = (
  does: { readonly fence: boolean; readonly ring: boolean } = { fence: true, ring: true },
): Handler =>
  function* (s, [json, crashed]) {
    const wanted: Attempt[] = [];
    for (const name of records<{ tenant?: string; attempt: string; worker?: string }>(json)) {
      const seen = s.get(s.tables.attempt, name.attempt);
      if (seen === undefined) continue;
      const isMeant = (row: Attempt): boolean =>
        row.state === "running" &&
        (name.tenant === undefined || row.tenant === name.tenant) &&
        (name.worker === undefined || row.worker === name.worker);
      wanted.push(...(yield* s.lockMatching(s.tables.attempt, [seen], isMeant)));
    }
    const again: Attempt[] = [];
    for (const row of wanted) {
      const at = s.get(s.tables.instance, instanceKey(row));
      const [i] =
        at === undefined
          ? []
          : yield* s.lockMatching(s.tables.instance, [at], (one) => one.state === "running");
      if (i === undefined) continue;
      s.put(s.tables.instance, { ...i, state: "queued" });
      s.put(s.tables.attempt, {
        ...row,
        state: "admitted",
        fence: row.fence + (does.fence ? 1 : 0),
        worker: null,
        lease_until: null,
        admitted_at: s.clock,
        crashes: row.crashes + number(crashed),
      });
      s.transaction.changes.push({ ...row, from: "running", to: "queued" });
      again.push(row);
    }
    if (does.ring)
      yield* ring(
        s,
        again.map((row) => ({ ...row, priority: 0 })),
      );
    return [{ n: again.length, ring: null }];
  };

export function workerStatements(): void {
  statement(
    "reserve lock key",
    ["pg_get_serial_sequence('airlock.worker', 'lock_key')"],
    plain((s) => [{ lock_key: String(s.server.sequences.lock++) }]),
  );
  statement(
    "register worker",
    ["insert into airlock.worker"],
    plain((s, [worker, key, home]) => {
      s.put(s.tables.worker, {
        worker: text(worker),
        lock_key: number(key),
        queue_pool: null,
        home: text(home),
        lease_only: false,
        beat_at: s.clock,
      });
      return [];
    }),
  );
  const update = (change: (p: readonly unknown[]) => Partial<Worker>): Handler =>
    function* (s, p) {
      const row = yield* s.lock(s.tables.worker, text(p.at(-1)));
      if (row !== undefined) s.put(s.tables.worker, { ...row, ...change(p) });
      return [];
    };
  statement(
    "leases only",
    ["update airlock.worker set lease_only = true"],
    update(() => ({ lease_only: true })),
  );
  statement(
    "note pool",
    ["update airlock.worker set queue_pool = ?"],
    update(([pool]) => ({ queue_pool: text(pool) })),
  );
  statement(
    "drain",
    ["update airlock.worker set draining = true"],
    update(() => ({})),
  );
  statement(
    "beat",
    ["with w as (update airlock.worker set beat_at = clock_timestamp()"],
    function* (s, [worker, lease]) {
      const seen = s.get(s.tables.worker, text(worker));
      const known = seen === undefined ? undefined : yield* s.lock(s.tables.worker, seen.worker);
      if (known !== undefined) s.put(s.tables.worker, { ...known, beat_at: s.clock });
      const held = yield* s.lockMatching(
        s.tables.attempt,
        s.all(s.tables.attempt),
        (row) => row.worker === worker && row.state === "running",
      );
      for (const row of held)
        s.put(s.tables.attempt, { ...row, lease_until: s.clock + number(lease) * 1000 });
      const rows = held.map(({ attempt, stop_asked }) => ({ attempt, stop_asked }));
      return known !== undefined && rows.length === 0
        ? [{ attempt: null, stop_asked: null }]
        : rows;
    },
  );
  statement(
    "other workers",
    ["select worker, home, lease_only, pg_try_advisory_xact_lock"],
    plain((s, [space, mine]) =>
      s
        .all(s.tables.worker)
        .filter((row) => !list(mine).includes(row.worker))
        .map((row) => ({
          worker: row.worker,
          home: row.home,
          lease_only: row.lease_only,
          free: s.server.tryAdvisory(s.transaction, `${number(space)} ${row.lock_key}`),
          silent_s: (s.clock - row.beat_at) / 1000,
        })),
    ),
  );
  statement(
    "lost by worker",
    ["for update of a skip locked", "and a.worker = ? order"],
    lockLost("worker"),
  );
  statement(
    "lost by lease",
    ["for update of a skip locked", "and a.lease_until < clock_timestamp()"],
    lockLost("lease"),
  );
  statement(
    "hand over",
    ["a.worker = ? and a.attempt = any(?::uuid[])", "for update of a"],
    function* (s, [worker, attempts]) {
      const isMeant = (row: Attempt): boolean =>
        row.state === "running" && row.worker === worker && list(attempts).includes(row.attempt);
      const rows = s.all(s.tables.attempt).toSorted((a, b) => (a.attempt < b.attempt ? -1 : 1));
      const found = yield* s.lockMatching(s.tables.attempt, rows, isMeant);
      return found.map(({ tenant, attempt }) => ({ tenant, attempt }));
    },
  );
  statement(
    "look at the lost",
    ["a.crashes + 1 as crashes, i.state"],
    plain((s, [json]) =>
      records<{ attempt: string }>(json)
        .flatMap(({ attempt }) => {
          const row = s.get(s.tables.attempt, attempt);
          const i = row === undefined ? undefined : s.get(s.tables.instance, instanceKey(row));
          if (row === undefined || i === undefined) return [];
          const { tenant, run, task_id, map_index, try_number } = row;
          return [
            {
              tenant,
              attempt,
              run,
              task_id,
              map_index,
              try_number,
              crashes: row.crashes + 1,
              state: i.state,
            },
          ];
        })
        .toSorted((a, b) => (a.attempt < b.attempt ? -1 : 1)),
    ),
  );
  statement("readmit", ["crashes = a.crashes + ?", "airlock.ring(json_agg"], readmit());
  statement(
    "bury",
    ["delete from airlock.worker where worker = ? returning queue_pool"],
    function* (s, [worker]) {
      const row = yield* s.lock(s.tables.worker, text(worker));
      if (row === undefined) return [];
      s.remove(s.tables.worker, row);
      return [{ queue_pool: row.queue_pool }];
    },
  );
}
