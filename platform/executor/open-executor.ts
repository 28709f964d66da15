/**
 * The worker: a job says "look at this attempt", the claim says whether it is ours, a guest runs it, the door
 * hears how it ended, and what became ready goes on here at once or rings the doorbell. No other loop exists.
 *
 *   job ─claim─► running ─outcome─► door ─continued─► running …
 *                   │                 └─ nothing more: the slot is free
 *                   ├─ stop asked, or the fence is lost ─► killed; the door hears of the one, nobody of the other
 *                   ├─ we go, or were away for too long ─► killed, and queued again for somebody else
 *                   └─ Postgres away ─► the answer waits and is given when it is back
 */
import { hostname } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type { Logger } from "../../ops/telemetry/log.ts";
import { metrics } from "../../ops/telemetry/metrics.ts";
import {
  activeExemplar,
  activeTraceparent,
  attemptSpan,
  rootSpan,
  type SpanPlace,
  withSpan,
} from "../../ops/telemetry/trace.ts";
import type { CompiledDag } from "../engine/compile-dag.ts";
import type { TaskSpec } from "../model/dag-spec.ts";
import type {
  AttemptEnd,
  AttemptOutcome,
  EnvironmentRef,
  GuestKey,
  GuestLimits,
  Guests,
} from "../model/guest.ts";
import { type AttemptId, known, type RunKey, type TenantId } from "../model/ids.ts";
import type { RunEvent } from "../model/run.ts";
import type { Objects } from "../objects/open-objects.ts";
import { type JobRef, type QueuePool, runPool } from "../queue/run-pool.ts";
import type { Answered, Continued, Door, Knock } from "../runs/advance-run.ts";
import type { DagCache } from "../runs/dag-cache.ts";
import { appendLog } from "../store/attempt-data.ts";
import { type Claimed, claimAttempt, type RunAtClaim } from "../store/claim.ts";
import { codeOf, isAway, type Store } from "../store/open.ts";
import {
  beat,
  drainWorker,
  handOver,
  readmitAttempts,
  releasePool,
  ringAgain,
  setQueuePool,
} from "../store/workers.ts";
import { hostAttempt, patientHost, type TenantThings } from "./attempt-host.ts";
import { openAttemptLog } from "./attempt-log.ts";
import { describeStart } from "./describe-start.ts";
import { beginIncarnation, type Incarnation } from "./incarnation.ts";

type Bundle = {
  readonly dir: string;
  /** The DAG folder in it. */
  readonly dagsFolder: string;
  readonly limits: GuestLimits;
};

export type ExecutorDeps = {
  readonly store: Store;
  readonly databaseUrl: string;
  readonly door: Door;
  readonly dags: DagCache;
  readonly guests: Guests;
  readonly objects: Objects;
  readonly things: TenantThings;
  /** Makes sure the checkout is on this node; its folder, and the tenant's limits as its airlock.yaml narrows them. */
  readonly bundle: (tenant: TenantId, at: RunAtClaim) => Promise<Bundle>;
  readonly environment: (
    tenant: TenantId,
    at: RunAtClaim,
    kind: "python" | "node",
    bundleDir: string,
  ) => Promise<EnvironmentRef>;
  readonly home: string;
  readonly queues: readonly string[];
  readonly slots: number;
  readonly leaseSeconds: number;
  readonly log: Logger;
  /** Another queue than graphile-worker's: the simulation has one of its own. */
  readonly runPool?: typeof runPool;
};

export type Executor = {
  /** Somebody else ended these attempts, or asked for their stop: kill those that run here. */
  stopAttempts(attempts: readonly AttemptId[], why: string): void;
  readonly slotsUsed: () => number;
  /** Its incarnations: what recovery must not take for somebody else's. */
  readonly workers: () => readonly string[];
  /** Takes nothing new and waits for what runs, at most this long; then kills it, to run again elsewhere. */
  drain(waitMs: number): Promise<void>;
};

type Running = {
  readonly incarnation: Incarnation;
  readonly abort: AbortController;
  stop: Stop | undefined;
};

/** Why a running attempt is killed, which says what becomes of it. */
type Stop =
  /** Somebody asked for it through the door, which has decided its state. */
  | { readonly kind: "asked"; readonly why: string }
  /** By this worker's own need: the task is to run elsewhere, and no try is spent. */
  | { readonly kind: "hand_over"; readonly why: string }
  /** Somebody else holds it. */
  | { readonly kind: "not_ours"; readonly why: string };

export async function openExecutor(deps: ExecutorDeps): Promise<Executor> {
  const { store, log } = deps;
  const about = {
    home: deps.home,
    host: hostname(),
    pid: process.pid,
    queues: deps.queues,
    slots: deps.slots,
  };
  const running = new Map<AttemptId, Running>();
  const incarnations = new Set<Incarnation>();
  let draining = false;
  let current = await beginIncarnation(store, about);
  incarnations.add(current);
  let poolId = "";
  let lastBeat = performance.now();
  let used = 0;
  const countSlots = (by: number): void => {
    used += by;
    metrics.slots.set({ state: "used" }, used);
    metrics.slots.set({ state: "free" }, deps.slots - used);
  };
  countSlots(0);

  const kill = (attempt: AttemptId, stop: Stop): void => {
    const found = running.get(attempt);
    if (found === undefined || found.stop !== undefined) return;
    found.stop = stop;
    found.abort.abort(new Error(stop.why));
  };

  /** A lost incarnation is followed by another at once; what runs stays with the old one, under its leases. */
  let renewing: Promise<void> | undefined;
  const renew = (): Promise<void> => {
    renewing ??= (async () => {
      log.warn(
        { room: "executor" },
        "the worker's lock session was lost; it goes on under a new incarnation",
      );
      for (let waitMs = 20; !draining; waitMs = Math.min(waitMs * 2, 1_000))
        try {
          const next = await beginIncarnation(store, about);
          incarnations.add(next);
          current = next;
          watch(next);
          if (poolId !== "") await store.system((tx) => setQueuePool(tx, next.worker, poolId));
          return;
        } catch (error) {
          log.warn({ room: "executor", err: error }, "no new incarnation yet; trying again");
          await pause(waitMs, undefined, { ref: false });
        }
    })().finally(() => {
      renewing = undefined;
    });
    return renewing;
  };
  const watch = (incarnation: Incarnation): void => {
    void incarnation.lost.then(() => (draining || incarnation !== current ? undefined : renew()));
  };
  watch(current);

  const onJob = async (job: JobRef): Promise<void> => {
    const tenant = known.tenant(job.tenant);
    const attempt = known.attempt(job.attempt);
    let incarnation = current;
    let claimed: Claimed | undefined;
    for (let waitMs = 20; ; waitMs = Math.min(waitMs * 2, 1_000)) {
      try {
        if (draining) {
          await store.tx(tenant, async (tx) => void tx.last(ringAgain(tx, tenant, attempt)));
          return;
        }
        incarnation = current;
        if (incarnation.isAlive()) {
          if (failpointsSet) await hit("claim.before");
          claimed = await claimAttempt(
            store,
            tenant,
            attempt,
            incarnation.worker,
            deps.leaseSeconds,
            about.host,
          );
          break;
        }
      } catch (error) {
        if (!isAway(error)) throw error;
      }
      await pause(waitMs, undefined, { ref: false });
    }
    if (claimed === undefined) return;
    countSlots(1);
    try {
      if (failpointsSet) await hit("claim.after");
      await runChain(tenant, claimed, incarnation);
    } catch (error) {
      log.error(
        { room: "executor", err: error, tenant, attempt },
        "an attempt was lost; its lease hands it on",
      );
    } finally {
      countSlots(-1);
    }
  };

  /** One claimed attempt, and those that this slot goes on with by itself. */
  const runChain = async (
    tenant: TenantId,
    first: Claimed,
    incarnation: Incarnation,
  ): Promise<void> => {
    const doorbellAt = performance.now();
    let claimed: Claimed | undefined = first;
    for (let hops = 0; claimed !== undefined; hops += 1) {
      const entry: Running = { incarnation, abort: new AbortController(), stop: undefined };
      running.set(claimed.attempt, entry);
      let answer: Answered;
      try {
        answer = await runOne(tenant, claimed, entry, { hops, doorbellAt });
      } finally {
        running.delete(claimed.attempt);
      }
      if (failpointsSet) await hit("attempt.after_door");
      claimed =
        answer.kind === "done" && answer.continued !== undefined
          ? continueWith(claimed, answer.continued)
          : undefined;
    }
  };

  const runOne = async (
    tenant: TenantId,
    claimed: Claimed,
    entry: Running,
    chain: { readonly hops: number; readonly doorbellAt: number },
  ): Promise<Answered> =>
    withSpan(
      `task ${claimed.task_id}`,
      attributesOf(tenant, claimed),
      async (span) => {
        const { at } = claimed;
        const dag =
          deps.dags.known(tenant, at.dag_id, at.version) ??
          (await patiently(deps, entry, () =>
            store.tx(tenant, (tx) => deps.dags.get(tx, tenant, at.dag_id, at.version)),
          ));
        const compiled = dag.tasks.get(claimed.task_id);
        if (compiled === undefined) throw new Error(`DAG version without task ${claimed.task_id}`);
        const task = compiled.spec;
        const holder = {
          attempt: claimed.attempt,
          fence: claimed.fence,
          worker: entry.incarnation.worker,
        };
        const attemptLog = openAttemptLog(
          { seq: claimed.log_seq, bytes: claimed.log_bytes },
          async (chunk) => {
            if (failpointsSet) await hit("log.before_write");
            const written = await patiently(deps, entry, () =>
              appendLog(store, tenant, holder, chunk),
            );
            if (failpointsSet) await hit("log.after_write");
            if (!written) kill(claimed.attempt, takenOver);
          },
        );
        const hosted = hostAttempt(deps, tenant, claimed, attemptLog);
        let outcome: AttemptOutcome;
        let isOurFault = false;
        try {
          const key = await patiently(deps, entry, () =>
            guestKey(deps, tenant, claimed, dag, task),
          );
          const start = describeStart(claimed, dag.spec, task, {
            priorityWeight: compiled.priorityWeight,
            pushesLength: compiled.pushesLength,
            pushesKeys: compiled.pushesKeys,
            scopedUpstreams: compiled.upstream.filter((edge) => edge.scoped).map((edge) => edge.id),
            traceparent: activeTraceparent(),
          });
          if (failpointsSet) await hit("attempt.before_guest");
          const host = patientHost(hosted.host, (ask) => patiently(deps, entry, ask));
          outcome = await deps.guests.run(key, start, host, entry.abort.signal);
          if (failpointsSet) await hit("attempt.after_guest");
        } catch (error) {
          outcome = couldNotRun(error);
          isOurFault = true;
          log.error(
            { room: "executor", err: error, tenant, attempt: claimed.attempt },
            "cannot run an attempt",
          );
          await attemptLog
            .add([
              {
                at: Date.now(),
                level: "error",
                source: "platform",
                text: outcome.kind === "failed" ? outcome.reason : "",
              },
            ])
            .catch(() => undefined);
        }
        const delay = (claimed.waited_ms + outcome.usage.start_ms) / 1000;
        const result = isOurFault ? "error" : resultOf(outcome, entry.stop);
        const exemplar = activeExemplar();
        metrics.queueDelay.observe({ tenant }, delay, exemplar);
        metrics.attemptSeconds.observe({ tenant, result }, outcome.usage.wall_ms / 1000, exemplar);
        metrics.attempts.add({ tenant, result });
        span?.setAttributes({
          "airlock.queue_delay_seconds": delay,
          "airlock.pool": task.pool,
          "cicd.pipeline.task.run.result": result,
        });
        if (result === "error" || result === "failure" || result === "timeout") {
          // What went wrong is the author's text: it stays where their rights are asked, in the log.
          span?.setAttribute("error.type", result);
          span?.setStatus({ code: spanFailed });
        }
        const rest = attemptLog.takeRest();
        attemptLog.close();
        const rendered = hosted.takeRendered();
        if (outcome.kind === "stopped" && entry.stop !== undefined && entry.stop.kind !== "asked") {
          if (failpointsSet) await hit("hand_over.before");
          await patiently(deps, entry, async () => {
            if (rest !== undefined) await appendLog(store, tenant, holder, rest);
            await store.system((tx) => readmitAttempts(tx, [{ tenant, ...holder }], "hand_over"));
          });
          if (failpointsSet) await hit("hand_over.after");
          return { kind: "stale" };
        }
        const knock: AttemptKnock = {
          kind: "attempt",
          holder,
          event: eventOf(claimed, outcome, entry.stop),
          ended: {
            outcome: outcome.kind,
            reason: outcome.kind === "failed" ? outcome.reason.slice(0, 4000) : undefined,
            ...(outcome.kind === "failed"
              ? { exit_code: outcome.exit_code, signal: outcome.signal, limit: outcome.limit }
              : {}),
            cpu_s: outcome.usage.cpu_s,
            peak_memory: Math.round(outcome.usage.peak_memory_bytes),
            start_ms: outcome.usage.start_ms,
            log_bytes: attemptLog.bytes(),
          },
          xcoms: hosted.xcoms(),
          ...(rendered === undefined
            ? {}
            : { rendered: { try_number: claimed.try_number, fields: rendered } }),
          ...(rest === undefined ? {} : { log: rest }),
          hint: { dag_id: at.dag_id, version: at.version },
          ...(outcome.kind === "success" && !draining && entry.incarnation.isAlive()
            ? {
                wish: {
                  pool: task.pool,
                  pool_slots: task.pool_slots,
                  queue: task.queue,
                  guest: task.runs_in,
                  hops: chain.hops,
                  ms: performance.now() - chain.doorbellAt,
                },
              }
            : {}),
        };
        return patiently(deps, entry, () =>
          deps.door.advance({ tenant, run: claimed.run }, knock),
        ).catch((error: unknown) => {
          // What a task said, and no reader of ours refused, the database cannot hold: said again it would be refused again.
          if (!isUnstorable(error)) throw error;
          log.error(
            { room: "executor", err: error, tenant, attempt: claimed.attempt },
            "cannot store what a task said",
          );
          const told = unstorable(knock, claimed.try_number);
          return patiently(deps, entry, () =>
            deps.door.advance({ tenant, run: claimed.run }, told),
          );
        });
      },
      spanPlaceOf(claimed),
    );

  /** All attempts of this process in one statement; what is not ours any more is killed. */
  const beatAll = async (): Promise<void> => {
    if (failpointsSet) await hit("heartbeat.before");
    const orphans = new Set<AttemptId>();
    for (const incarnation of incarnations) {
      const mine = [...running].filter(([, entry]) => entry.incarnation === incarnation);
      if (incarnation !== current && mine.length === 0) {
        incarnations.delete(incarnation);
        await incarnation.close();
        continue;
      }
      const before = new Set(mine.map(([attempt]) => attempt));
      const { isKnown, held } = await store.system((tx) =>
        beat(tx, incarnation.worker, deps.leaseSeconds),
      );
      if (failpointsSet) await hit("heartbeat.after");
      if (!isKnown) incarnation.giveUp();
      for (const attempt of before) {
        const asked = held.get(attempt);
        if (asked === undefined) kill(attempt, takenOver);
        // The word itself may have been lost on its way here.
        else if (asked !== null) kill(attempt, { kind: "asked", why: asked });
      }
      // Ours by the rows, but not running here: a COMMIT whose answer was lost made a continuation. Hand it on.
      const still: AttemptId[] = [];
      for (const attempt of held.keys()) {
        if (running.has(attempt) || before.has(attempt)) continue;
        if (suspects.has(attempt)) still.push(attempt);
        else orphans.add(attempt);
      }
      if (still.length > 0) {
        metrics.repairs.add({ reason: "lost_continuation" }, still.length);
        const cleared = await store.system((tx) => handOver(tx, incarnation.worker, still));
        for (const { task_id, map_index, try_number, ...at } of cleared)
          await deps.door.advance(at, {
            kind: "deed",
            why: "cleared, and nobody runs it",
            plan: () =>
              Promise.resolve([{ kind: "attempt_stopped", task_id, map_index, try_number }]),
          });
      }
    }
    suspects = orphans;
    lastBeat = performance.now();
  };
  let suspects: ReadonlySet<AttemptId> = new Set();

  const beatEveryMs = (deps.leaseSeconds * 1000) / 3;
  let beating = false;
  const timer = setInterval(() => {
    if (beating) {
      // Nobody renewed the leases for so long that others may have taken over: stop rather than run twice.
      if (performance.now() - lastBeat > deps.leaseSeconds * 1000 - beatEveryMs)
        for (const attempt of running.keys())
          kill(attempt, {
            kind: "hand_over",
            why: "the database was away for longer than the lease",
          });
      return;
    }
    beating = true;
    beatAll()
      .catch((error: unknown) => log.warn({ room: "executor", err: error }, "heartbeat failed"))
      .finally(() => {
        beating = false;
      });
  }, beatEveryMs);
  timer.unref();

  const pool: QueuePool = await (deps.runPool ?? runPool)({
    url: deps.databaseUrl,
    queues: deps.queues,
    concurrency: deps.slots,
    onJob,
    onPoolId(id) {
      poolId = id;
      store
        .system((tx) => setQueuePool(tx, current.worker, id))
        .catch((error: unknown) => log.warn({ room: "queue", err: error }, "cannot note the pool"));
    },
    onPoolGone(id) {
      const release = async (): Promise<void> => {
        for (let waitMs = 50; !draining; waitMs = Math.min(waitMs * 2, 1_000))
          try {
            await store.system((tx) => releasePool(tx, id));
            return;
          } catch {
            await pause(waitMs, undefined, { ref: false });
          }
      };
      void release();
    },
    onProblem: (message, error) => log.warn({ room: "queue", err: error }, message),
  });

  return {
    stopAttempts(attempts, why) {
      for (const attempt of attempts) kill(attempt, { kind: "asked", why });
    },
    slotsUsed: () => running.size,
    workers: () => [...incarnations].map((incarnation) => incarnation.worker),
    async drain(waitMs) {
      draining = true;
      await store.system((tx) => drainWorker(tx, current.worker)).catch(() => undefined);
      const stopped = pool.stop();
      await Promise.race([stopped, pause(waitMs, undefined, { ref: false })]);
      // What still runs is handed on: its worker is about to be gone.
      for (const attempt of running.keys())
        kill(attempt, { kind: "hand_over", why: "the worker is shutting down" });
      await Promise.race([stopped, pause(7_000, undefined, { ref: false })]);
      clearInterval(timer);
      for (const incarnation of incarnations) await incarnation.close();
    },
  };
}

const takenOver: Stop = { kind: "not_ours", why: "another worker has this attempt now" };

/** Postgres away: the question waits, as long as the attempt is not told to stop. */
async function patiently<T>(deps: ExecutorDeps, entry: Running, ask: () => Promise<T>): Promise<T> {
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 1_000)) {
    try {
      return await ask();
    } catch (error) {
      if (!isAway(error)) throw error;
      deps.log.warn({ room: "executor", err: error }, "the database is away; waiting for it");
      await pause(waitMs);
      if (entry.abort.signal.aborted && waitMs >= 1_000) throw error;
    }
  }
}

/** Class 22: a value of a kind that no column takes. */
const isUnstorable = (error: unknown): boolean => codeOf(error).startsWith("22");

/** The attempt's end without its words. */
function unstorable(knock: AttemptKnock, tryNumber: number): AttemptKnock {
  const reason =
    "What the task left behind cannot be stored: it holds a value that the database does not take.";
  const { task_id, map_index } = knock.event;
  return {
    kind: "attempt",
    holder: knock.holder,
    event: {
      kind: "attempt_failed",
      task_id,
      map_index,
      try_number: tryNumber,
      retryable: false,
      reason,
    },
    ended: { ...knock.ended, outcome: "failed", reason },
    xcoms: [],
    hint: knock.hint,
  };
}

type AttemptKnock = Extract<Knock, { readonly kind: "attempt" }>;

function continueWith(before: Claimed, next: Continued): Claimed {
  return {
    attempt: next.attempt,
    fence: next.fence,
    run: before.run as RunKey,
    task_id: next.task.task_id,
    map_index: next.map_index,
    try_number: next.try_number,
    max_tries: next.max_tries,
    log_bytes: 0,
    log_seq: 0,
    first_reschedule_at: null,
    next_method: null,
    next_kwargs: null,
    waited_ms: 0,
    previous_attempt: null,
    previous_fence: null,
    at: before.at,
  };
}

async function guestKey(
  deps: ExecutorDeps,
  tenant: TenantId,
  claimed: Claimed,
  dag: CompiledDag,
  task: TaskSpec,
): Promise<GuestKey> {
  const { at } = claimed;
  const kind = task.runs_in === "inline" ? dag.spec.guest : task.runs_in;
  const bundle = await deps.bundle(tenant, at);
  const environment = await deps.environment(tenant, at, kind, bundle.dir);
  return {
    tenant,
    uid: at.uid,
    kind,
    repository: at.repository,
    commit: at.commit,
    bundleDir: bundle.dir,
    dagsFolder: bundle.dagsFolder,
    environment,
    level: dag.level,
    grants: "*",
    egress: at.egress,
    limits: bundle.limits,
  };
}

const spanFailed = 2;

const attributesOf = (tenant: TenantId, { at, ...claimed }: Claimed) => ({
  "airlock.tenant": tenant,
  "airlock.dag": at.dag_id,
  "airlock.run.id": at.run_id,
  "airlock.task": claimed.task_id,
  "airlock.map_index": claimed.map_index,
  "airlock.try_number": claimed.try_number,
  "airlock.attempt": claimed.attempt,
  "cicd.pipeline.task.name": claimed.task_id,
  "cicd.pipeline.task.run.id": claimed.attempt,
  "vcs.ref.head.revision": at.commit,
});

/** A child of its run's own span, which nobody has written yet: that is known by its ids alone. */
function spanPlaceOf({ at, attempt, fence, ...claimed }: Claimed): SpanPlace {
  const { trace } = at;
  if (trace === null) return {};
  const { previous_attempt: before, previous_fence: beforeFence } = claimed;
  return {
    ids: attemptSpan(trace, attempt, fence),
    parent: rootSpan(trace),
    links:
      before === null ? [] : [{ ...attemptSpan(trace, before, beforeFence ?? 1), why: "retry" }],
  };
}

/** In the words of the conventions: `failure` is the author's code, `error` the platform's fault. */
function resultOf(outcome: AttemptOutcome, stop: Stop | undefined): string {
  switch (outcome.kind) {
    case "success":
      return "success";
    case "skipped":
      return "skip";
    case "reschedule":
      return "reschedule";
    case "deferred":
      return "failure";
    case "failed":
      return outcome.limit === "wall" || outcome.limit === "execution_timeout"
        ? "timeout"
        : "failure";
    case "stopped":
      return stop === undefined ? "error" : stop.kind === "asked" ? "cancellation" : "handed_over";
  }
}

const noUsage = { cpu_s: 0, peak_memory_bytes: 0, start_ms: 0, wall_ms: 0 };

function couldNotRun(error: unknown): AttemptOutcome {
  const reason = error instanceof Error ? error.message : String(error);
  return {
    kind: "failed",
    retryable: true,
    reason: `The task could not be started: ${reason}`.slice(0, 4000),
    usage: noUsage,
  };
}

function eventOf(
  claimed: Claimed,
  outcome: AttemptEnd,
  stop: Stop | undefined,
): RunEvent & { readonly task_id: Claimed["task_id"]; readonly map_index: number } {
  const ref = {
    task_id: claimed.task_id,
    map_index: claimed.map_index,
    try_number: claimed.try_number,
  };
  switch (outcome.kind) {
    case "success":
      return {
        kind: "attempt_succeeded",
        ...ref,
        ...(outcome.skip === undefined ? {} : { skip: outcome.skip }),
        ...(outcome.mapped_length === undefined ? {} : { mapped_length: outcome.mapped_length }),
        ...(outcome.mapped_lengths === undefined ? {} : { mapped_lengths: outcome.mapped_lengths }),
      };
    case "skipped":
      return { kind: "attempt_skipped", ...ref };
    case "failed":
      return {
        kind: "attempt_failed",
        ...ref,
        retryable: outcome.retryable,
        reason: outcome.reason,
      };
    case "reschedule":
      return { kind: "attempt_rescheduled", ...ref, at_ms: Date.parse(outcome.at) };
    case "deferred":
      return {
        kind: "attempt_failed",
        ...ref,
        retryable: false,
        reason:
          "The task deferred itself to a trigger, and this release has no trigger host. Set deferrable=False on the operator.",
      };
    case "stopped":
      // Nobody asked for it: its guest gave up, and nobody else will say what becomes of it.
      return stop === undefined
        ? { kind: "attempt_failed", ...ref, retryable: true, reason: outcome.reason }
        : { kind: "attempt_stopped", ...ref };
  }
}
