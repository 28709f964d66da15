/**
 * Bugs to plant: for each rule that the simulation covers, the house with that rule broken. What is broken is what a
 * statement does, since that is where the rules stand that hold the house together; the rest of it stays real.
 */
import type { Planted } from "./client.ts";
import { type Handler, type Statement, Transaction } from "./database/server.ts";
import { admit, allRules, continuationFacts, type Facts } from "./database/statements/admission.ts";
import { records, text } from "./database/statements/read.ts";
import { freePlace, insertRun, lockDag, readDag } from "./database/statements/schedule.ts";
import { lockLost, readmit } from "./database/statements/workers.ts";
import { type Attempt, instanceKey } from "./database/tables.ts";

export type Bug = {
  /** What is not so any more. */
  readonly name: string;
  readonly planted: Planted;
};

type Change = (handler: Handler) => Handler;
const bug = (name: string, changes: Readonly<Record<string, Change>>): Bug => ({
  name,
  planted: new Map(Object.entries(changes)),
});

const instead =
  (handler: Handler): Change =>
  () =>
    handler;
/** It says that it did, and does nothing. */
const nothing = (rows: readonly object[] = []): Change =>
  // oxlint-disable-next-line require-yield
  instead(function* () {
    return rows;
  });
/** A write that finds no row goes on as if it had. */
const withoutExpecting: Change = (handler) =>
  function* (s, p) {
    s.expect = () => undefined;
    return yield* handler(s, p);
  };

const lie = (
  change: Partial<Facts> | ((facts: Facts) => Partial<Facts>),
): Readonly<Record<string, Change>> => ({
  "continuation facts": instead(
    continuationFacts((facts) => ({
      ...facts,
      ...(typeof change === "function" ? change(facts) : change),
    })),
  ),
});
const admission = (broken: Partial<typeof allRules>): Readonly<Record<string, Change>> => ({
  admit: instead(admit({ ...allRules, ...broken })),
});

/** The snapshot of before the wait for the DAG's lock, as a statement has it that locks and counts at once. */
const seenBefore = new WeakMap<Transaction, number>();
const noteSnapshot: Change = (handler) =>
  function* (s, p) {
    seenBefore.set(s.transaction, s.snapshot);
    return yield* handler(s, p);
  };
const withOldSnapshot: Change = (handler) =>
  function* (s, p) {
    s.snapshot = seenBefore.get(s.transaction) ?? s.snapshot;
    return yield* handler(s, p);
  };

export const bugs: readonly Bug[] = [
  // ---- the door ---------------------------------------------------------------------------------------
  bug("the door asks who holds an attempt", {
    holders: instead(
      // oxlint-disable-next-line require-yield
      function* (s, [json]) {
        return records<{ attempt: string }>(json).filter(
          ({ attempt }) => s.get(s.tables.attempt, attempt) !== undefined,
        );
      },
    ),
    "end attempts": instead(endWhoever),
  }),
  bug("a write that finds no row voids the transaction", {
    "write states": withoutExpecting,
    "end attempts": withoutExpecting,
    "write run": withoutExpecting,
    claim: withoutExpecting,
  }),
  bug("the door locks the run", {
    "lock run": (handler) =>
      function* (s, p) {
        s.lock = unlocked(s);
        return yield* handler(s, p);
      },
  }),
  bug("a person's end of an attempt ends it", { "stop attempts": nothing() }),
  bug("a stopped attempt's fence rises", {
    "stop attempts": (handler) =>
      function* (s, p) {
        const rows = yield* handler(s, p);
        for (const { attempt } of rows as { attempt: string }[]) {
          const row = s.newest(s.tables.attempt, attempt);
          if (row !== undefined) s.put(s.tables.attempt, { ...row, fence: row.fence - 1 });
        }
        return rows;
      },
  }),

  // ---- permits and admission --------------------------------------------------------------------------
  bug("an ended attempt gives its permit back", { "delete permits": nothing() }),
  bug("a stopped attempt gives its permit back", { "delete permits of the ended": nothing() }),
  bug("an admitted attempt has a permit", admission({ permits: false })),
  bug("going on takes the permit along", { "rename permit": nothing([{}]) }),
  bug("one admits at a time", admission({ oneAtATime: false })),
  bug("the tenant's quota holds", admission({ tenantQuota: false })),
  bug("pools hold", admission({ pools: false })),
  bug("max_active_tasks holds", admission({ activeTasks: false })),
  bug("max_active_tis holds", admission({ ownLimits: false })),
  bug("a paused DAG's tasks wait", admission({ notPaused: false })),
  bug("a suspended tenant's tasks wait", admission({ notSuspended: false })),
  bug("the highest priority goes first", admission({ highestFirst: false })),

  // ---- going on (engine-rules §2) ---------------------------------------------------------------------
  bug("nobody goes on in a paused DAG", lie({ dag_paused: false })),
  bug("nobody goes on for a suspended tenant", lie({ tenant_active: true })),
  bug(
    "nobody goes on where a limit is over-committed",
    lie(({ max_running }) => ({ in_flight: Math.min(max_running, 1), dag_open: 1, pool_open: 1 })),
  ),
  bug("nobody goes on before one who comes first", lie({ first_waiting: null })),
  bug("nobody goes on in another tenant's turn", lie({ others_least: null })),
  bug("nobody goes on for ever while its own tenant's wait", lie({ own_admitted: 0 })),

  // ---- recovery (engine-rules §3) ---------------------------------------------------------------------
  bug("the dead are known by their incarnation, not by a job", {
    "lost by worker": instead(lockLost("worker", (_row, hasJob) => hasJob)),
    "lost by lease": instead(lockLost("lease", (_row, hasJob) => hasJob)),
  }),
  bug("whoever lost an attempt is fenced out", {
    readmit: instead(readmit({ fence: false, ring: true })),
  }),
  bug("a claim raises the fence", {
    claim: (handler) =>
      function* (s, p) {
        const rows = yield* handler(s, p);
        const row = s.newest(s.tables.attempt, text(p[4]));
        if (rows.length === 0 || row === undefined) return rows;
        s.put(s.tables.attempt, { ...row, fence: row.fence - 1 });
        return rows.map((one) => ({ ...one, fence: row.fence - 1 }));
      },
  }),
  bug("a claim takes only what is admitted", {
    claim: (handler) =>
      function* (s, p) {
        const row = s.get(s.tables.attempt, text(p[4]));
        const i = row === undefined ? undefined : s.get(s.tables.instance, instanceKey(row));
        if (row?.state === "running" && i?.state === "running") {
          yield* s.lock(s.tables.attempt, row.attempt);
          const again: Attempt = { ...row, state: "admitted" };
          s.put(s.tables.attempt, again);
          s.put(s.tables.instance, { ...i, state: "queued" });
        }
        return yield* handler(s, p);
      },
  }),
  bug("a free lock is what proves a death", {
    "other workers": (handler) =>
      function* (s, p) {
        const rows = yield* handler(s, p);
        return rows.map((row) => ({ ...row, free: true }));
      },
  }),
  bug("an attempt that nobody runs is handed on by its worker", {
    readmit: (handler) =>
      function* (s, p) {
        return p[1] === 0 ? [{ n: 0 }] : yield* handler(s, p);
      },
  }),
  bug("a lease is prolonged by a beat", {
    beat: (handler) =>
      function* (s, p) {
        return yield* handler(s, [p[0], 0, p[2]]);
      },
  }),

  // ---- counters and timers (engine-rules §4, §5) ------------------------------------------------------
  bug("counters are written", { "write counters": nothing() }),
  bug("the run's own counts are written", {
    "write run": (handler) =>
      function* (s, p) {
        const before = s.get(s.tables.run, text(p[16]));
        return yield* handler(
          s,
          p.with(2, before?.has_instances === true ? before.unfinished : p[2]),
        );
      },
  }),
  bug("whoever takes a timer deletes it", {
    "take timers": (handler) =>
      function* (s, p) {
        s.remove = () => undefined;
        return yield* handler(s, p);
      },
  }),
  bug("a timer goes when its task does not wait any more", { "drop timers": nothing() }),
  bug("an ended run has no timers", { "drop all timers": nothing() }),
  bug("a retry has a timer", { "write timers": nothing() }),
  bug("the runs after it hear that a task ended", { "wake later runs": nothing() }),
  bug("a run that starts and a task that ends see each other", { "hold starts": nothing([{}]) }),

  // ---- runs -------------------------------------------------------------------------------------------
  bug("a run is unique per logical date", {
    "insert run": instead(insertRun(false)),
    "read DAG for a run": instead(readDag({ twin: false, running: true })),
    "lock DAG": instead(lockDag(false)),
    "lock DAG or pass": instead(lockDag(false)),
  }),
  bug("starts of runs are counted under the DAG's lock", { "lock DAG": instead(lockDag(false)) }),
  bug("runs are counted anew once the DAG's lock is there", {
    "lock DAG": noteSnapshot,
    "free place": withOldSnapshot,
    "read DAG for a run": withOldSnapshot,
  }),
  bug("max_active_runs holds", {
    "free place": instead(freePlace(false)),
    "read DAG for a run": instead(readDag({ twin: true, running: false })),
  }),
  bug("a schedule goes on when a place is free again", { "plan the freed": nothing() }),

  // ---- what was lost on its way -----------------------------------------------------------------------
  bug("a doorbell that was lost rings again", { "ring forgotten": nothing([{ rung: 0 }]) }),
  bug("what nobody admitted is admitted by the sweep", { "waiting tenants": nothing() }),
  bug("a queued run that nobody started is started by the sweep", {
    "DAGs with places": nothing(),
  }),
  bug("what a dead pool had locked is released", {
    "release pool": nothing([{}]),
    "release strays": nothing([{ n: 0 }]),
  }),
];

/** Ends what it is told, whoever holds it. */
function* endWhoever(...[s, p]: Parameters<Handler>): ReturnType<Handler> {
  type Ended = { attempt: string; fence: number; worker: string; outcome: string };
  for (const one of records<Ended>(p[0])) {
    const row = yield* s.lock(s.tables.attempt, one.attempt);
    if (row === undefined) continue;
    const over: Attempt = { ...row, state: "ended", outcome: one.outcome, lease_until: null };
    s.put(s.tables.attempt, over);
    s.transaction.told.push({ kind: "ended", ...one });
  }
  return [{}];
}

/** Reads as if it had the lock. */
const unlocked = (s: Statement): Statement["lock"] =>
  // oxlint-disable-next-line require-yield
  function* (table, key) {
    return s.newest(table, key);
  };
