/**
 * The door: the only function that changes a run. Lock the run, check who knocks, decide (pure), write rows
 * and ring the doorbell, in one transaction of two round trips.
 *
 * One lane per (process, run): events that arrive while a transaction is under way join the next one, up to
 * 200 at a time. A single run lock gives about a thousand completions a second one by one, and fifty times
 * that in batches.
 */
import { randomUUID } from "node:crypto";
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type { CompiledDag } from "../engine/compile-dag.ts";
import { decide } from "../engine/decide.ts";
import { reach } from "../engine/reach.ts";
import { openView, seen } from "../engine/view.ts";
import type { TaskSpec } from "../model/dag-spec.ts";
import type { AttemptId, DagId, RunKey, TaskId, TenantId } from "../model/ids.ts";
import { known } from "../model/ids.ts";
import type { JsonObject } from "../model/json.ts";
import type {
  InstanceKey,
  RunDecisions,
  RunEvent,
  RunFacts,
  RunNeed,
  StateChange,
} from "../model/run.ts";
import type { RunState, TaskState } from "../model/states.ts";
import { insertLogs, type LogChunk, writeRendered } from "../store/attempt-data.ts";
import { codeOf, isAway, isMovedMeanwhile, type Store, type Tx } from "../store/open.ts";
import * as rows from "../store/run-rows.ts";
import { type ContinuationWish, chooseContinuation } from "./choose-continuation.ts";
import type { DagCache } from "./dag-cache.ts";

export type DoorDeps = {
  readonly store: Store;
  readonly dags: DagCache;
  /** Seconds until a silent worker's attempts run elsewhere. */
  readonly leaseSeconds: number;
  /** After a commit that changed something: wake the feed. */
  readonly changed: () => void;
  /** After a commit that ended attempts by another hand: their workers must kill them. */
  readonly stopped: (stops: readonly StoppedAttempt[]) => void;
  /** After a commit that set a timer: the scheduler may have to wake earlier. */
  readonly timerSet: (dueMs: number) => void;
  /** After a commit that ended a run: the next one of the DAG may start. */
  readonly runEnded: (tenant: TenantId, dagId: DagId, state: RunState, end: RunEnd) => void;
  /** How long each transaction took that went through. */
  readonly measured?: (seconds: number) => void;
  readonly onProblem: (message: string, error: unknown) => void;
};

export type RunEnd = {
  readonly run: RunKey;
  /** Why it failed, as a word or a sentence; null: it did not. */
  readonly reason: string | null;
  /** From its start. */
  readonly seconds: number;
};

export type StoppedAttempt = { readonly attempt: AttemptId; readonly worker: string | null };

export type RunRef = { readonly tenant: TenantId; readonly run: RunKey };

/** One knock at the door. */
export type Knock =
  /** An attempt's holder says how it ended. Void if it is not the holder any more. */
  | {
      readonly kind: "attempt";
      readonly holder: rows.Holder;
      readonly event: RunEvent & { readonly task_id: TaskId; readonly map_index: number };
      readonly ended: Omit<rows.EndedAttempt, keyof rows.Holder>;
      readonly xcoms: readonly rows.XComWrite[];
      /** What it was given after templating, if nobody was shown it yet. */
      readonly rendered?: { readonly try_number: number; readonly fields: JsonObject };
      /** What of its log was not yet written. */
      readonly log?: LogChunk;
      /** The DAG version that the attempt runs under, so that the first round trip can load what it touches. */
      readonly hint: { readonly dag_id: DagId; readonly version: number };
      readonly wish?: ContinuationWish;
    }
  /** Anything else: what happens is worked out under the run lock. No events: nothing happens. */
  | {
      readonly kind: "deed";
      readonly why: string;
      readonly plan: (under: UnderLock) => Promise<Plan>;
    };

/** What happens; with `dag`, under that version, to which the plan has moved the run. */
export type Plan =
  | readonly RunEvent[]
  | { readonly events: readonly RunEvent[]; readonly dag: CompiledDag };

export type UnderLock = {
  readonly tx: Tx;
  readonly tenant: TenantId;
  readonly row: rows.RunRow;
  readonly dag: CompiledDag;
  readonly nowMs: number;
};

export type Answered =
  | { readonly kind: "done"; readonly state: RunState; readonly continued?: Continued }
  /** The knocker does not hold the attempt any more: nothing of it was written. */
  | { readonly kind: "stale" }
  | { readonly kind: "no_such_run" };

/** The attempt that the same worker goes on with. */
export type Continued = {
  readonly attempt: AttemptId;
  readonly fence: number;
  readonly task: TaskSpec;
  readonly map_index: number;
  readonly try_number: number;
  readonly max_tries: number;
};

export type Door = {
  advance(ref: RunRef, knock: Knock): Promise<Answered>;
  /** For a transaction that just made or holds the run: one turn inside it. */
  turn(
    tx: Tx,
    tenant: TenantId,
    row: rows.RunRow,
    dag: CompiledDag,
    events: readonly RunEvent[],
    nowMs: number,
  ): Promise<Turned>;
  /** What must follow the commit of a `turn`. */
  afterCommit(tenant: TenantId, row: rows.RunRow, turned: Turned): void;
  /** Admits what waits for this tenant: after a limit grew, a DAG was unpaused. */
  admit(tenant: TenantId): void;
  /** Resolves when no transaction of this door is under way. */
  settle(): Promise<void>;
};

const batchMax = 200;

export function openDoor(deps: DoorDeps): Door {
  const lanes = new Map<string, Lane>();
  const admissions = openAdmissionLanes(deps);

  const advance = (ref: RunRef, knock: Knock): Promise<Answered> =>
    new Promise((resolve, reject) => {
      const name = `${ref.tenant}/${ref.run}`;
      const lane = lanes.get(name) ?? { waiting: [], busy: undefined };
      lane.waiting.push({ knock, resolve, reject });
      lanes.set(name, lane);
      lane.busy ??= drain(ref, lane, name);
    });

  const drain = async (ref: RunRef, lane: Lane, name: string): Promise<void> => {
    for (;;) {
      if (lane.waiting.length === 0) {
        // In the same breath as the look at `waiting`: a knock in between would never be heard.
        lanes.delete(name);
        return;
      }
      const batch = lane.waiting.splice(0, batchMax);
      try {
        const answers = await advanceBatch(
          deps,
          admissions,
          ref,
          batch.map((entry) => entry.knock),
        );
        for (const [i, entry] of batch.entries())
          entry.resolve(answers[i] ?? { kind: "no_such_run" });
      } catch (error) {
        // One poisoned knock must not take the others with it: each gets a transaction of its own. Not after a lost
        // connection: that may have been committed, and who knocked must look before knocking again.
        if (batch.length === 1 || isAway(error)) for (const entry of batch) entry.reject(error);
        else
          for (const entry of batch)
            await advanceBatch(deps, admissions, ref, [entry.knock]).then(
              (answers) => entry.resolve(answers[0] ?? { kind: "no_such_run" }),
              entry.reject,
            );
      }
    }
  };

  return {
    advance,
    turn: (tx, tenant, row, dag, events, nowMs) =>
      turn(tx, tenant, row, dag, events, nowMs, undefined),
    afterCommit: (tenant, row, turned) => afterCommit(deps, admissions, tenant, row, turned),
    admit: (tenant) => admissions.admit(tenant),
    async settle() {
      while (lanes.size > 0)
        await Promise.allSettled([...lanes.values()].map((lane) => lane.busy ?? Promise.resolve()));
      await admissions.settle();
    },
  };
}

type Lane = {
  readonly waiting: {
    readonly knock: Knock;
    readonly resolve: (answer: Answered) => void;
    readonly reject: (error: unknown) => void;
  }[];
  busy: Promise<void> | undefined;
};

// Somebody without the run lock (admission, a claim) may move a row between our reading and our writing: the
// write then voids the transaction, and the batch is decided anew on what is there now.
const triesMax = 8;

async function advanceBatch(
  deps: DoorDeps,
  admissions: AdmissionLanes,
  ref: RunRef,
  knocks: readonly Knock[],
): Promise<Answered[]> {
  for (let tries = 1; ; tries += 1) {
    try {
      const begun = performance.now();
      const result = await deps.store.tx(ref.tenant, async (tx) => {
        const done = await oneTransaction(deps, tx, ref, knocks);
        if (failpointsSet) await hit("door.before_commit");
        return done;
      });
      deps.measured?.((performance.now() - begun) / 1000);
      if (failpointsSet) await hit("door.after_commit");
      if (result.turned !== undefined && result.row !== undefined)
        afterCommit(deps, admissions, ref.tenant, result.row, result.turned);
      return result.answers;
    } catch (error) {
      if (!isMovedMeanwhile(error) || tries >= triesMax) throw error;
    }
  }
}

type TransactionResult = {
  readonly answers: Answered[];
  readonly row?: rows.RunRow;
  readonly turned?: Turned;
};

async function oneTransaction(
  deps: DoorDeps,
  tx: Tx,
  ref: RunRef,
  knocks: readonly Knock[],
): Promise<TransactionResult> {
  const { tenant, run } = ref;
  const attempts = knocks.filter((knock) => knock.kind === "attempt");
  const guess = guessedLoad(deps, tenant, attempts, knocks.length);
  const wish = attempts.find((knock) => knock.wish !== undefined)?.wish;

  // One round trip: the lock, then who holds what, then what the events will most likely touch.
  const locked = rows.lockRun(tx, tenant, run);
  const clock = tx<
    { now_ms: number }[]
  >`select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms`;
  const holding =
    attempts.length === 0
      ? undefined
      : rows.holdersOf(
          tx,
          tenant,
          attempts.map((knock) => knock.holder),
        );
  const loaded =
    guess === undefined
      ? undefined
      : rows.loadRows(tx, tenant, run, guess.need, pastRule(guess.dag));
  const facts =
    wish === undefined || guess === undefined
      ? undefined
      : rows.continuationFacts(tx, tenant, run, guess.dag.dag_id, wish.pool, wish.queue);
  const [row, [time], held, rowsSeen, [fact]] = await Promise.all([
    locked,
    clock,
    holding,
    loaded,
    facts ?? Promise.resolve([]),
  ]);
  if (row === undefined) return { answers: knocks.map(() => ({ kind: "no_such_run" })) };
  const nowMs = time?.now_ms ?? 0;
  let dag =
    guess !== undefined && guess.version === row.version
      ? guess.dag
      : await deps.dags.get(tx, tenant, row.facts.dag_id, row.version);

  const valid = knocks.map(
    (knock) => knock.kind === "deed" || held?.has(knock.holder.attempt) === true,
  );
  const events: RunEvent[] = [];
  for (const [i, knock] of knocks.entries()) {
    if (valid[i] !== true) continue;
    if (knock.kind === "attempt") events.push(knock.event);
    else {
      const plan = await knock.plan({ tx, tenant, row, dag, nowMs });
      if ("events" in plan) dag = plan.dag;
      events.push(...("events" in plan ? plan.events : plan));
    }
  }
  if (events.length === 0)
    return {
      answers: knocks.map((_, i) =>
        valid[i] === true ? { kind: "done", state: row.facts.state } : { kind: "stale" },
      ),
    };
  const mine = attempts.filter((knock) => held?.has(knock.holder.attempt) === true);
  const turned = await turn(tx, tenant, row, dag, events, nowMs, {
    ended: mine.map((knock) => ({
      ...knock.holder,
      ...knock.ended,
      key: { task_id: knock.event.task_id, map_index: knock.event.map_index },
    })),
    xcoms: mine.flatMap((knock) => knock.xcoms),
    rendered: mine.flatMap((knock) =>
      knock.rendered === undefined
        ? []
        : [
            {
              task_id: knock.event.task_id,
              map_index: knock.event.map_index,
              ...knock.rendered,
            },
          ],
    ),
    logs: mine.flatMap((knock) =>
      knock.log === undefined ? [] : [{ attempt: knock.holder.attempt, chunk: knock.log }],
    ),
    wishes: mine.flatMap((knock) =>
      knock.wish === undefined || fact === undefined
        ? []
        : [{ wish: knock.wish, holder: knock.holder, facts: fact }],
    ),
    leaseSeconds: deps.leaseSeconds,
    ...(guess !== undefined && guess.version === row.version && rowsSeen !== undefined
      ? { first: { need: guess.need, rows: rowsSeen } }
      : {}),
  });
  return {
    row,
    turned,
    answers: knocks.map((knock, i): Answered => {
      if (valid[i] !== true) return { kind: "stale" };
      const continued =
        knock.kind === "attempt" ? turned.continued.get(knock.holder.attempt) : undefined;
      return {
        kind: "done",
        state: turned.state,
        ...(continued === undefined ? {} : { continued }),
      };
    }),
  };
}

/** What the first round trip can load before the run row itself is known: right unless the run changed its version. */
function guessedLoad(
  deps: DoorDeps,
  tenant: TenantId,
  attempts: readonly Extract<Knock, { kind: "attempt" }>[],
  knocks: number,
): { dag: CompiledDag; version: number; need: RunNeed } | undefined {
  const first = attempts[0];
  if (first === undefined || attempts.length !== knocks) return undefined;
  const dag = deps.dags.known(tenant, first.hint.dag_id, first.hint.version);
  if (dag === undefined) return undefined;
  const facts: RunFacts = {
    dag_id: first.hint.dag_id,
    run_id: known.run(""),
    run_type: "manual",
    state: "running",
    has_instances: true,
    unfinished: 1,
    failed_leaves: 0,
  };
  return {
    dag,
    version: first.hint.version,
    need: reach(
      dag,
      facts,
      attempts.map((knock) => knock.event),
    ),
  };
}

type Around = {
  readonly ended: readonly (rows.EndedAttempt & { readonly key: InstanceKey })[];
  readonly xcoms: readonly rows.XComWrite[];
  readonly rendered: readonly (InstanceKey & {
    readonly try_number: number;
    readonly fields: JsonObject;
  })[];
  readonly logs: readonly { readonly attempt: AttemptId; readonly chunk: LogChunk }[];
  readonly wishes: readonly {
    readonly wish: ContinuationWish;
    readonly holder: rows.Holder;
    readonly facts: rows.ContinuationRows;
  }[];
  readonly leaseSeconds: number;
  /** What was loaded ahead. */
  readonly first?: {
    readonly need: RunNeed;
    readonly rows: Awaited<ReturnType<typeof rows.loadRows>>;
  };
};

export type Turned = {
  readonly state: RunState;
  /** undefined: it goes on. */
  readonly ended: RunEnd | undefined;
  readonly continued: ReadonlyMap<AttemptId, Continued>;
  readonly stops: () => readonly StoppedAttempt[];
  readonly firstTimerMs: number | undefined;
  readonly mustAdmitAgain: () => boolean;
};

/** Load, decide, write. The writes travel with the commit; nothing here waits for them. */
async function turn(
  tx: Tx,
  tenant: TenantId,
  row: rows.RunRow,
  dag: CompiledDag,
  events: readonly RunEvent[],
  nowMs: number,
  around: Around | undefined,
): Promise<Turned> {
  let need = around?.first?.need ?? reach(dag, row.facts, events);
  let loaded = around?.first?.rows;
  let view = openView(row.facts);
  for (;;) {
    view = seen(
      view,
      need,
      loaded ?? (await rows.loadRows(tx, tenant, row.run, need, pastRule(dag))),
    );
    const decided = decide(dag, view, events, nowMs);
    if (decided.kind === "decided")
      return write(tx, tenant, row, dag, decided.decisions, nowMs, around);
    need = decided.need;
    loaded = undefined;
  }
}

function write(
  tx: Tx,
  tenant: TenantId,
  row: rows.RunRow,
  dag: CompiledDag,
  decisions: RunDecisions,
  nowMs: number,
  around: Around | undefined,
): Turned {
  const { run } = row;
  const continued = new Map<AttemptId, Continued>();
  const continuing = new Map<string, Continued>();
  const chosen = chooseContinuation(dag, row, decisions.states, around?.wishes ?? []);
  for (const { holder, change, task } of chosen) {
    const attempt = known.attempt(randomUUID());
    const next: Continued = {
      attempt,
      fence: 1,
      task,
      map_index: change.map_index,
      try_number: change.try_number,
      max_tries: change.max_tries,
    };
    continued.set(holder.attempt, next);
    continuing.set(nameOf(change), next);
  }

  const ended = around?.ended ?? [];
  if (ended.length > 0) void tx.last(rows.endAttempts(tx, tenant, ended));

  // Whatever leaves an attempt behind that is not its own answer: the attempt ends by our hand.
  const answered = new Set(ended.map((attempt) => nameOf(attempt.key)));
  const killed = decisions.states.filter(
    (change) => isHeld(change.from) && !isHeld(change.to) && !answered.has(nameOf(change)),
  );
  const restarting = decisions.states.filter((change) => change.to === "restarting");
  let stops: Promise<readonly StoppedAttempt[]> = Promise.resolve([]);
  const endedNames = new Set(ended.map((attempt) => attempt.attempt));
  if (killed.length > 0 || restarting.length > 0) {
    const why = killed[0]?.reason ?? "stopped";
    const parts = [
      ...(killed.length > 0 ? [tx.last(rows.stopAttempts(tx, tenant, run, killed, why))] : []),
      ...(restarting.length > 0
        ? [tx.last(rows.askToStop(tx, tenant, run, restarting, "cleared"))]
        : []),
    ];
    stops = Promise.all(parts).then((found) => found.flat());
    if (killed.length > 0)
      void tx.last(tx`
        delete from airlock.permit p using airlock.attempt a
         where p.tenant = ${tenant} and p.run = ${run} and a.tenant = p.tenant and a.attempt = p.attempt and a.state = 'ended'`);
  }

  if (decisions.expanded.length > 0)
    void tx.last(rows.expandPlaceholders(tx, tenant, run, decisions.expanded));
  if (decisions.created.length > 0)
    void tx.last(
      rows.createInstances(
        tx,
        tenant,
        run,
        decisions.created.map((instance) => {
          const task = taskOf(dag, instance.task_id);
          return {
            ...instance,
            id: randomUUID(),
            pool: task.spec.pool,
            pool_slots: task.spec.pool_slots,
            queue: task.spec.queue,
            priority_weight: task.priorityWeight,
            max_per_dag: task.spec.max_active_tis_per_dag ?? null,
            max_per_run: task.spec.max_active_tis_per_dagrun ?? null,
            operator: task.spec.operator,
          };
        }),
      ),
    );

  if (decisions.states.length > 0)
    void tx.last(
      rows.writeStates(
        tx,
        tenant,
        run,
        decisions.states.map((change) => stateWrite(change, continuing.get(nameOf(change)))),
      ),
    );
  if (decisions.counters.length > 0)
    void tx.last(rows.writeCounters(tx, tenant, run, decisions.counters));
  if (decisions.skips.length > 0) void tx.last(rows.writeSkips(tx, tenant, run, decisions.skips));
  if (decisions.skips_deleted.length > 0)
    void tx.last(rows.deleteSkips(tx, tenant, run, decisions.skips_deleted));
  if (decisions.lengths.length > 0)
    void tx.last(rows.writeLengths(tx, tenant, run, decisions.lengths));

  // A try that begins anew starts without what the last one left: its XComs and its timers.
  const anew = decisions.states.filter(
    (change) =>
      change.cleared || (change.try_number > change.from_try_number && change.from_try_number > 0),
  );
  if (anew.length > 0) void tx.last(rows.deleteXComsOf(tx, tenant, run, anew));
  const unwaited = decisions.states.filter(
    (change) =>
      change.from === "up_for_retry" ||
      change.from === "up_for_reschedule" ||
      change.from === "deferred",
  );
  if (unwaited.length > 0) void tx.last(rows.dropTimers(tx, tenant, run, unwaited));
  const timers: rows.TimerWrite[] = decisions.timers.map((timer) => ({
    ...timer,
    kind: timer.timer,
  }));
  const timeout = dag.spec.dagrun_timeout_s;
  const change = decisions.run;
  const started = change !== undefined && change.from === "queued" && change.state === "running";
  if (started && timeout !== undefined)
    timers.push({
      task_id: known.task(""),
      map_index: -1,
      try_number: 0,
      kind: "run_timeout",
      due_ms: nowMs + timeout * 1000,
    });
  if (timers.length > 0) void tx.last(rows.writeTimers(tx, tenant, run, timers));

  // Crossing to other runs: a row and a wake-up, never a second run lock.
  const wakesLater = decisions.past_changed.length > 0;
  if (wakesLater) {
    void tx.last(rows.holdStarts(tx, tenant, row.facts.dag_id));
    void tx.last(rows.wakeLaterRuns(tx, tenant, run, decisions.past_changed));
  }

  const xcoms = around?.xcoms ?? [];
  if (xcoms.length > 0) void tx.last(rows.writeXComs(tx, tenant, run, xcoms));

  for (const { fields, ...key } of around?.rendered ?? [])
    void tx.last(writeRendered(tx, tenant, run, key, fields));

  const logs = around?.logs ?? [];
  if (logs.length > 0) void tx.last(insertLogs(tx, tenant, logs));

  const runEnded = change?.ended !== undefined;
  if (change !== undefined)
    void tx.last(
      rows.writeRun(tx, tenant, run, {
        from: change.from,
        state: change.state,
        has_instances: change.has_instances,
        unfinished: change.unfinished,
        failed_leaves: change.failed_leaves,
        reason: change.ended ?? null,
        ended: runEnded,
        started,
        restarted: change.restarted,
      }),
    );
  if (runEnded) void tx.last(rows.dropTimers(tx, tenant, run, "all"));

  const changes = changesOf(decisions, continuing);
  if (changes.length > 0)
    void tx.last(rows.writeChanges(tx, tenant, run, row.facts.dag_id, row.facts.run_id, changes));

  // Permits: a continued attempt takes over its predecessor's, all other ended ones give theirs back.
  const freed = ended
    .map((attempt) => attempt.attempt)
    .filter((attempt) => !continued.has(attempt));
  if (freed.length > 0) void tx.last(rows.deletePermits(tx, tenant, freed));
  for (const { holder, wish } of chosen) {
    const next = continued.get(holder.attempt);
    if (next === undefined) continue;
    void tx.last(
      rows.insertContinued(tx, tenant, run, row.facts.dag_id, {
        attempt: next.attempt,
        after: holder.attempt,
        task_id: next.task.task_id,
        map_index: next.map_index,
        try_number: next.try_number,
        queue: wish.queue,
        worker: holder.worker,
        lease_s: around?.leaseSeconds ?? 15,
      }),
    );
    void tx.last(rows.renamePermit(tx, tenant, holder.attempt, next.attempt, next.task.task_id));
  }

  const ready =
    decisions.states.some((state) => state.to === "scheduled" && !continuing.has(nameOf(state))) ||
    decisions.created.some((instance) => instance.state === "scheduled");
  let admitted: number | undefined;
  if (ready || freed.length > 0 || killed.length > 0)
    tx.last(rows.admit(tx, tenant)).then(
      ([answer]) => {
        admitted = answer?.admitted;
      },
      () => undefined,
    );

  let stopped: readonly StoppedAttempt[] = [];
  stops.then(
    (found) => {
      stopped = found.filter((stop) => !endedNames.has(stop.attempt));
    },
    () => undefined,
  );
  return {
    state: change?.state ?? row.facts.state,
    ended: runEnded
      ? {
          run,
          reason: change.state === "failed" ? (change.ended ?? null) : null,
          seconds: Math.max(0, nowMs - (row.facts.start_ms ?? nowMs)) / 1000,
        }
      : undefined,
    continued,
    stops: () => stopped,
    firstTimerMs: wakesLater
      ? nowMs
      : timers.length === 0
        ? undefined
        : Math.min(...timers.map((timer) => timer.due_ms)),
    mustAdmitAgain: () => admitted === -1,
  };
}

const pastRule = (dag: CompiledDag): rows.PastRule => ({
  catchup: dag.spec.catchup,
  downstreamOf: (task) => dag.tasks.get(task)?.spec.downstream ?? [],
});

/** An attempt row is open while its instance is in one of these. */
const isHeld = (state: TaskState): boolean =>
  state === "running" || state === "queued" || state === "restarting";

const nameOf = (key: InstanceKey): string => `${key.task_id} ${key.map_index}`;

function taskOf(dag: CompiledDag, id: TaskId) {
  const task = dag.tasks.get(id);
  if (task === undefined)
    throw new Error(`The engine named task ${id}, which DAG ${dag.dag_id} does not have.`);
  return task;
}

function stateWrite(change: StateChange, next: Continued | undefined): rows.StateWrite {
  const newTry =
    change.cleared || (change.try_number > change.from_try_number && change.from_try_number > 0);
  return {
    task_id: change.task_id,
    map_index: change.map_index,
    from: change.from,
    from_try: change.from_try_number,
    to: next === undefined ? change.to : "running",
    try_number: change.try_number,
    max_tries: change.max_tries,
    new_id: next?.attempt ?? (newTry ? randomUUID() : null),
    cleared: change.cleared,
    reason: change.reason ?? null,
  };
}

function changesOf(
  decisions: RunDecisions,
  continuing: ReadonlyMap<string, Continued>,
): rows.ChangeWrite[] {
  const changes: rows.ChangeWrite[] = [];
  for (const instance of decisions.created)
    if (instance.state !== null)
      changes.push({
        task_id: instance.task_id,
        map_index: instance.map_index,
        try_number: instance.try_number,
        from: null,
        to: instance.state,
      });
  for (const change of decisions.states)
    changes.push({
      task_id: change.task_id,
      map_index: change.map_index,
      try_number: change.try_number,
      from: change.from,
      to: continuing.has(nameOf(change)) ? "running" : change.to,
    });
  const run = decisions.run;
  if (run !== undefined && (run.from !== run.state || run.restarted))
    changes.push({ task_id: "", map_index: -1, try_number: 0, from: run.from, to: run.state });
  return changes;
}

function afterCommit(
  deps: DoorDeps,
  admissions: AdmissionLanes,
  tenant: TenantId,
  row: rows.RunRow,
  turned: Turned,
): void {
  deps.changed();
  const stops = turned.stops();
  if (stops.length > 0) deps.stopped(stops);
  if (turned.firstTimerMs !== undefined) deps.timerSet(turned.firstTimerMs);
  if (turned.mustAdmitAgain()) admissions.admit(tenant);
  if (turned.ended !== undefined)
    deps.runEnded(tenant, row.facts.dag_id, turned.state, turned.ended);
}

type AdmissionLanes = { admit(tenant: TenantId): void; settle(): Promise<void> };

/** One lane per (process, tenant): waits for the tenant's lock, then admits all that is ready. */
function openAdmissionLanes(deps: DoorDeps): AdmissionLanes {
  const lanes = new Map<TenantId, { again: boolean; busy: Promise<void> }>();
  const run = async (tenant: TenantId): Promise<void> => {
    for (;;) {
      const lane = lanes.get(tenant);
      if (lane !== undefined) lane.again = false;
      try {
        await deps.store.tx(tenant, async (tx) => {
          await tx`select 1 from airlock.tenant where tenant = ${tenant} for no key update`;
          void tx.last(rows.admit(tx, tenant));
          if (failpointsSet) await hit("admission.before_commit");
        });
        if (failpointsSet) await hit("admission.after_commit");
        deps.changed();
      } catch (error) {
        deps.onProblem(
          `admission of ${tenant} failed (${codeOf(error)}); the sweep tries again`,
          error,
        );
      }
      if (lanes.get(tenant)?.again !== true) break;
    }
    lanes.delete(tenant);
  };
  return {
    admit(tenant) {
      const lane = lanes.get(tenant);
      if (lane !== undefined) {
        lane.again = true;
        return;
      }
      // The entry must exist before `run` looks for it.
      const entry: { again: boolean; busy: Promise<void> } = {
        again: false,
        busy: Promise.resolve(),
      };
      lanes.set(tenant, entry);
      entry.busy = run(tenant);
    },
    async settle() {
      while (lanes.size > 0) await Promise.allSettled([...lanes.values()].map((lane) => lane.busy));
    },
  };
}
