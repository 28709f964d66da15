/**
 * What must hold after every commit, whoever made it and whatever came between. Told by rows alone, by what
 * statements said of themselves, and by which process a worker's id belongs to: nothing of the house's own code but
 * the recount, which is the engine's definition of its counters.
 */
import { type CompiledDag, compileDag } from "../../platform/engine/compile-dag.ts";
import { recount } from "../../platform/engine/recount.ts";
import type { InstanceRow } from "../../platform/model/run.ts";
import { isFinished } from "../../platform/model/states.ts";
import type { Commit, Server } from "./database/server.ts";
import {
  type Attempt,
  dagKey,
  type Instance,
  instanceKey,
  type Job,
  type Permit,
  type Run,
  type Worker,
} from "./database/tables.ts";
import type { Process } from "./world.ts";

export class Violation extends Error {
  readonly promise: string;
  constructor(promise: string, details: string) {
    super(`${promise}: ${details}`);
    this.promise = promise;
  }
}

const runSteps: Readonly<Record<string, readonly string[]>> = {
  none: ["queued"],
  queued: ["running", "success", "failed"],
  running: ["success", "failed"],
  success: ["queued", "failed"],
  failed: ["queued", "success"],
};
const attemptSteps = new Set([
  "- admitted",
  "- running",
  "admitted running",
  "admitted ended",
  "running ended",
  "running admitted",
  "ended admitted",
]);

const ended: readonly string[] = ["success", "failed", "skipped", "upstream_failed", "removed"];
const steps: Readonly<Record<string, readonly string[]>> = {
  // Cleared with its upstreams before it began: the tries that it is given change.
  none: ["none", "scheduled", "running", ...ended],
  // Cleared, and ready at once.
  scheduled: ["none", "scheduled", "queued", ...ended],
  queued: ["running", "none", "scheduled", ...ended],
  // With a clear and the answer to it in one batch it begins anew at once.
  running: [
    "none",
    "scheduled",
    "queued",
    "restarting",
    "up_for_retry",
    "up_for_reschedule",
    "deferred",
    ...ended,
  ],
  restarting: ["none", "scheduled", ...ended],
  up_for_retry: ["none", "scheduled", ...ended],
  up_for_reschedule: ["none", "scheduled", ...ended],
  deferred: ["none", "scheduled", ...ended],
  success: ["none", "scheduled", ...ended],
  failed: ["none", "scheduled", ...ended],
  skipped: ["none", "scheduled", ...ended],
  upstream_failed: ["none", "scheduled", ...ended],
  removed: ["none", "scheduled", ...ended],
};

const isHeld = (state: Instance["state"]): boolean =>
  state === "queued" || state === "running" || state === "restarting";

export class Invariants {
  readonly #server: () => Server;
  readonly #dags = new Map<string, CompiledDag>();
  /** Which process an incarnation of a worker is of. */
  readonly #processOf = new Map<string, Process>();
  /** attempt and fence → who claimed it under that fence. */
  readonly #claims = new Map<string, string>();
  readonly #fences = new Map<string, number>();
  readonly #lastChange = new Map<string, string | null>();
  readonly #won = new Map<string, string>();
  /** The attempt that a doorbell brought → those that went on from it. */
  readonly #firstOf = new Map<string, string>();
  /** When bodies ran, by attempt, in milliseconds since the start. */
  readonly bodies = new Map<string, { readonly from: number; readonly to: number | undefined }>();
  /** Nothing and nobody disturbs the house: then nothing is ever repaired. */
  isCalm = false;
  commits = 0;

  constructor(server: () => Server) {
    this.#server = server;
  }

  after(commit: Commit): void {
    this.commits += 1;
    const runs = new Set<string>();
    let admits = false;
    for (const { table, before, after } of commit.rows)
      switch (table.name) {
        case "worker":
          this.#worker(commit, after as Worker | undefined);
          break;
        case "dag_run":
          this.#run(before as Run | undefined, after as Run | undefined);
          runs.add((after as Run | undefined)?.run ?? "");
          break;
        case "task_instance":
          this.#instance(commit, before as Instance | undefined, after as Instance | undefined);
          runs.add(((after ?? before) as Instance).run);
          break;
        case "attempt":
          this.#attempt(commit, before as Attempt | undefined, after as Attempt | undefined);
          runs.add(((after ?? before) as Attempt).run);
          break;
        case "permit":
          admits ||= after !== undefined;
          runs.add(((after ?? before) as Permit).run);
          break;
        case "task_counter":
        case "timer":
          runs.add(((after ?? before) as { run: string }).run);
          break;
      }
    for (const run of runs) this.#wholeRun(run);
    if (admits) this.#limits();
    this.#changes(commit);
    this.#timers(commit);
    this.#continuation(commit);
    this.#admission(commit);
  }

  #worker(commit: Commit, after: Worker | undefined): void {
    const { process } = commit.transaction.session;
    if (after !== undefined && process !== undefined && !this.#processOf.has(after.worker))
      this.#processOf.set(after.worker, process);
  }

  #run(before: Run | undefined, after: Run | undefined): void {
    if (after === undefined) return;
    const { run: runs, dag } = this.#server().tables;
    const key = dagKey(after.tenant, after.dag_id);
    const all = runs.newest(key);
    if (before === undefined)
      for (const other of all)
        if (
          other.run !== after.run &&
          (other.run_id === after.run_id ||
            (after.logical_date !== null && other.logical_date === after.logical_date))
        )
          throw new Violation(
            "one run per logical date",
            `${key}: ${other.run_id} and ${after.run_id}`,
          );
    if (after.state === "running" && before?.state !== "running") {
      const max = dag.at(key, Number.POSITIVE_INFINITY)?.max_active_runs ?? 0;
      const running = all.filter((run) => run.state === "running").length;
      if (running > max) throw new Violation("max_active_runs", `${key}: ${running} of ${max}`);
    }
  }

  #instance(commit: Commit, before: Instance | undefined, after: Instance | undefined): void {
    if (after === undefined) return;
    if (before?.state === "running" && after.state === "success") {
      const name = `${instanceKey(after)} ${after.try_number}`;
      const by = commit.rows.find(
        ({ table, after: row }) =>
          table.name === "attempt" &&
          instanceKey(row as Attempt) === instanceKey(after) &&
          (row as Attempt).outcome === "success",
      );
      const winner = (by?.after as Attempt | undefined)?.attempt;
      const earlier = this.#won.get(name);
      if (winner !== undefined && earlier === winner)
        throw new Violation("a result counts once", `${name} was won twice by attempt ${winner}`);
      if (winner !== undefined) this.#won.set(name, winner);
    }
  }

  #attempt(commit: Commit, before: Attempt | undefined, after: Attempt | undefined): void {
    if (after === undefined) return;
    const step = `${before?.state ?? "-"} ${after.state}`;
    if (before?.state !== after.state && !attemptSteps.has(step))
      throw new Violation("legal steps of attempts", `${after.attempt}: ${step}`);
    if (
      step === "ended admitted" &&
      before?.outcome !== "reschedule" &&
      before?.outcome !== "deferred"
    )
      throw new Violation(
        "legal steps of attempts",
        `${after.attempt}: ended as ${String(before?.outcome)}, admitted again`,
      );
    const fence = this.#fences.get(after.attempt) ?? 0;
    if (after.fence < fence) throw new Violation("the fence never falls", after.attempt);
    this.#fences.set(after.attempt, after.fence);
    if (
      after.state === "running" &&
      (before?.state !== "running" || before.worker !== after.worker)
    ) {
      const claim = `${after.attempt} ${after.fence}`;
      const earlier = this.#claims.get(claim);
      if (earlier !== undefined)
        throw new Violation(
          "every claim has a fence of its own",
          `${claim}: ${earlier}, then ${String(after.worker)}`,
        );
      this.#claims.set(claim, after.worker ?? "");
      // A doorbell brought it: another chain begins.
      if (before !== undefined) this.#firstOf.delete(after.attempt);
    }
    if (step === "running admitted" && this.isCalm)
      throw new Violation("in calm weather nobody loses an attempt", after.attempt);
    if (step === "running admitted" && after.fence <= (before?.fence ?? 0))
      throw new Violation(
        "whoever lost an attempt is fenced out",
        `${after.attempt} went on under fence ${after.fence}`,
      );
    if (step === "running ended" && after.outcome === "stopped" && before !== undefined) {
      const byHolder = commit.transaction.told.some(
        (one) => one.kind === "ended" && one.attempt === after.attempt,
      );
      if (!byHolder && after.fence <= before.fence)
        throw new Violation(
          "whoever lost an attempt is fenced out",
          `${after.attempt} was stopped under fence ${after.fence}`,
        );
    }
    if (step === "running ended" && before !== undefined) {
      const told = commit.transaction.told.find(
        (one) => one.kind === "ended" && one.attempt === after.attempt,
      );
      if (told?.kind !== "ended") return;
      if (told.fence !== before.fence || told.worker !== before.worker)
        throw new Violation(
          "a late answer changes nothing",
          `${after.attempt}: fence ${told.fence} of ${told.worker}, held under ${before.fence} by ${String(before.worker)}`,
        );
      if (this.#processOf.get(told.worker) !== commit.transaction.session.process)
        throw new Violation(
          "a late answer changes nothing",
          `${after.attempt} was ended by another process than its holder's`,
        );
    }
  }

  /** The counters are a recount, and instances, attempts, permits, timers say the same. */
  #wholeRun(key: string): void {
    const { tables } = this.#server();
    const run = tables.run.at(key, Number.POSITIVE_INFINITY);
    if (run === undefined) return;
    const instances = tables.instance.newest(key);
    const attempts = tables.attempt.newest(key).filter((row) => row.state !== "ended");
    const permits = new Map(
      tables.permit
        .newest(run.tenant)
        .filter((row) => row.run === key)
        .map((row) => [row.attempt, row]),
    );
    const openOf = new Map<string, Attempt>();
    for (const row of attempts) {
      const name = instanceKey(row);
      if (openOf.has(name)) throw new Violation("one open attempt per task instance", name);
      openOf.set(name, row);
      const permit = permits.get(row.attempt);
      if (permit?.task_id !== row.task_id)
        throw new Violation("a permit per open attempt, and no other", `${name} runs without`);
    }
    if (permits.size > attempts.length)
      throw new Violation(
        "a permit per open attempt, and no other",
        `run ${run.run_id} holds ${permits.size} for ${attempts.length}`,
      );
    for (const i of instances) {
      const attempt = openOf.get(instanceKey(i));
      const state = attempt?.state ?? "none";
      const agrees = isHeld(i.state)
        ? i.state === "queued"
          ? state === "admitted"
          : state === "running"
        : attempt === undefined;
      if (!agrees)
        throw new Violation(
          "an instance and its attempt say the same",
          `${instanceKey(i)} is ${i.state ?? "none"}, its attempt ${state}`,
        );
    }
    if (run.has_instances) this.#counters(run, instances);
    const isEnded = run.state === "success" || run.state === "failed";
    if (isEnded && instances.some((i) => !isFinished(i.state)))
      throw new Violation("an ended run has nothing open", run.run_id);
    if (run.state === "running" && run.unfinished === 0)
      throw new Violation("a running run has something to wait for", run.run_id);
    for (const timer of tables.timer.newest(key)) {
      const i = tables.instance.at(instanceKey(timer), Number.POSITIVE_INFINITY);
      const isDue =
        timer.kind === "retry"
          ? i?.state === "up_for_retry"
          : timer.kind === "reschedule"
            ? i?.state === "up_for_reschedule"
            : // A run may have ended while the one before it told it to look: due at once, and void.
              timer.kind === "past" || !isEnded;
      if (!isDue)
        throw new Violation(
          "a timer is gone when nobody waits for it",
          `${timer.kind} of ${instanceKey(timer)}, which is ${i?.state ?? "none"}; its run is ${run.state}`,
        );
    }
  }

  #counters(run: Run, instances: readonly Instance[]): void {
    const found = recount(this.#dagOf(run), instances as unknown as readonly InstanceRow[]);
    const where = `run ${run.run_id}`;
    if (run.unfinished !== found.unfinished)
      throw new Violation(
        "counters are a recount",
        `${where}: unfinished ${run.unfinished}, counted ${found.unfinished}`,
      );
    if (run.failed_leaves !== found.failedLeaves)
      throw new Violation(
        "counters are a recount",
        `${where}: failed leaves ${run.failed_leaves}, counted ${found.failedLeaves}`,
      );
    for (const row of this.#server().tables.counter.newest(run.run)) {
      const { tenant: _t, run: _r, task_id, scope, ...counts } = row;
      const scopes = found.counters.get(task_id);
      const counted = scopes?.get(scope);
      scopes?.delete(scope);
      for (const [name, n] of Object.entries(counts))
        if (n !== (counted?.[name as "total"] ?? 0))
          throw new Violation(
            "counters are a recount",
            `${where}: ${task_id} ${scope} ${name} is ${n}, counted ${counted?.[name as "total"] ?? 0}`,
          );
    }
    for (const [task, scopes] of found.counters)
      for (const [scope, counts] of scopes)
        if (counts.total > 0)
          throw new Violation(
            "counters are a recount",
            `${where}: ${task} ${scope} is not counted`,
          );
  }

  #dagOf(run: Run): CompiledDag {
    const name = `${run.tenant}/${run.dag_id}/${run.version}`;
    let dag = this.#dags.get(name);
    if (dag === undefined) {
      const row = this.#server().tables.version.at(name, Number.POSITIVE_INFINITY);
      if (row === undefined) throw new Error(`no version ${name}`);
      dag = compileDag(row.spec);
      this.#dags.set(name, dag);
    }
    return dag;
  }

  /** In use ≤ limit, for every limit there is. */
  #limits(): void {
    const { tables } = this.#server();
    for (const tenant of tables.tenant.newest()) {
      const permits = tables.permit.newest(tenant.tenant);
      this.#limit("tenant quota", tenant.tenant, permits.length, tenant.max_running);
      const used = new Map<string, number>();
      for (const permit of permits) add(used, permit.pool, permit.slots);
      for (const [pool, slots] of used)
        this.#limit(
          "pool",
          pool,
          slots,
          tables.pool.at(`${tenant.tenant}/${pool}`, Infinity)?.slots ?? 0,
        );
      const active = new Map<string, number>();
      const tasks = new Map<string, number>();
      const limits = new Map<string, number>();
      for (const permit of permits) {
        const dag = tables.dag.at(dagKey(permit.tenant, permit.dag_id), Infinity);
        const of = dag?.level === "3" ? `run ${permit.run}` : `dag ${permit.dag_id}`;
        add(active, of, 1);
        limits.set(of, dag?.max_active_tasks ?? 0);
        const i = tables.instance.newest(permit.run).find((row) => row.task_id === permit.task_id);
        const task = `${permit.dag_id} ${permit.task_id}`;
        const ofRun = `${permit.run} ${permit.task_id}`;
        add(tasks, task, 1);
        add(tasks, ofRun, 1);
        limits.set(task, i?.max_per_dag ?? Infinity);
        limits.set(ofRun, i?.max_per_run ?? Infinity);
      }
      for (const [name, n] of active)
        this.#limit("max_active_tasks", name, n, limits.get(name) ?? 0);
      for (const [name, n] of tasks)
        this.#limit("max_active_tis", name, n, limits.get(name) ?? Infinity);
    }
  }

  #limit(kind: string, name: string, used: number, max: number): void {
    if (max >= 0 && used > max)
      throw new Violation("no more in use than the limit", `${kind} ${name}: ${used} of ${max}`);
  }

  /** The feed tells every change, each from where the one before it ended. */
  #changes({ transaction, rows }: Commit): void {
    for (const change of transaction.changes) {
      const name = change.task_id === "" ? `run ${change.run}` : instanceKey(change);
      const before = this.#lastChange.get(name) ?? null;
      if (before !== change.from)
        throw new Violation(
          "each change follows the one before",
          `${name}: from ${change.from ?? "none"}, was ${before ?? "none"}`,
        );
      const [from, to] = [change.from ?? "none", change.to ?? "none"];
      const known = change.task_id === "" ? runSteps : steps;
      if (known[from]?.includes(to) !== true)
        throw new Violation("only legal steps", `${name}: ${from} → ${to}`);
      this.#lastChange.set(name, change.to);
    }
    for (const { table, after } of rows)
      if (table.name === "task_instance" && after !== undefined) {
        const i = after as Instance;
        const told = this.#lastChange.get(instanceKey(i)) ?? null;
        // A placeholder that became index 0 goes on under that name.
        if (told !== i.state && !(told === null && i.map_index === 0))
          throw new Violation(
            "each change is told",
            `${instanceKey(i)} is ${i.state ?? "none"}, told ${told ?? "none"}`,
          );
      }
  }

  #timers({ transaction }: Commit): void {
    const { timer } = this.#server().tables;
    for (const told of transaction.told) {
      if (told.kind !== "fired") continue;
      const row = timer.at(told.timer, Infinity);
      if (row !== undefined && row.due_at <= this.#server().clock())
        throw new Violation("a timer fires once", told.timer);
    }
  }

  /** A worker that went on by itself passed over nobody, by what was true when it looked. */
  #continuation({ transaction, rows }: Commit): void {
    const facts = transaction.told.findLast((one) => one.kind === "facts")?.facts;
    const { tables } = this.#server();
    for (const { table, before, after } of rows) {
      if (table.name !== "attempt" || before !== undefined) continue;
      const next = after as Attempt;
      if (next.state !== "running") continue;
      const i = tables.instance.at(instanceKey(next), Infinity);
      const broken = (why: string): never => {
        throw new Violation("going on passes over nobody", `${instanceKey(next)}: ${why}`);
      };
      if (facts === undefined || i === undefined) return broken("without having looked");
      if (facts.dag_paused) broken("its DAG is paused");
      if (!facts.tenant_active) broken("its tenant is suspended");
      if (
        facts.in_flight > facts.max_running ||
        facts.dag_open < 0 ||
        (facts.pool_open !== null && facts.pool_open < 0)
      )
        broken("a limit is over-committed");
      const ahead = facts.first_waiting;
      if (ahead !== null) {
        const order = ahead.order_ms ?? Infinity;
        if (
          ahead.priority_weight > i.priority_weight ||
          (ahead.priority_weight === i.priority_weight &&
            (order < i.order_at || (order === i.order_at && ahead.map_index <= i.map_index)))
        )
          broken("somebody comes first");
      }
      if (facts.others_least !== null && facts.others_least <= facts.in_flight / facts.weight)
        broken("it is another tenant's turn");
      if (i.max_per_dag !== null || i.max_per_run !== null) broken("it has a limit of its own");
      const told = transaction.told.find(
        (one) => one.kind === "continued" && one.attempt === next.attempt,
      );
      const last = told?.kind === "continued" ? told.after : "";
      const first = this.#firstOf.get(last) ?? last;
      this.#firstOf.set(next.attempt, first);
      const [from, to] = [this.bodies.get(first)?.from, this.bodies.get(last)?.to];
      if (facts.own_admitted > 0 && from !== undefined && to !== undefined && to - from >= 20)
        broken("others of its tenant wait, and it has had its 20 ms");
    }
  }

  #admission({ transaction }: Commit): void {
    for (const told of transaction.told) {
      if (told.kind !== "admitted") continue;
      const { chosen, byRule, missed } = told;
      const isRight = missed
        ? chosen.every((id) => byRule.includes(id))
        : chosen.length === byRule.length && chosen.every((id, i) => id === byRule[i]);
      // Where somebody held a row, one further down the order may have got its place.
      if (!isRight && !missed)
        throw new Violation(
          "admission is the engine's rule",
          `admitted ${chosen.join(", ")}, by the rule ${byRule.join(", ")}`,
        );
    }
  }

  /** What is left once everything has ended. */
  atRest(isHeld: (run: Run) => boolean): void {
    const { tables } = this.#server();
    for (const job of tables.job.newest() as Job[])
      if (job.key !== null && tables.attempt.at(job.attempt, Infinity)?.state === "admitted")
        throw new Violation("everything ends", `job ${job.id} was never answered`);
    for (const permit of tables.permit.newest())
      throw new Violation("a permit per open attempt, and no other", `${permit.attempt} is left`);
    this.#schedules(isHeld);
  }

  /** With catchup: one run per interval from the first to the last, none missing, none besides. */
  #schedules(isHeld: (run: Run) => boolean): void {
    const { tables } = this.#server();
    for (const dag of tables.dag.newest()) {
      const spec = tables.version.at(`${dag.tenant}/${dag.dag_id}/1`, Infinity)?.spec;
      if (
        spec?.timetable.kind !== "delta" ||
        spec.start_date === undefined ||
        spec.end_date === undefined
      )
        continue;
      const runs = tables.run.newest(dagKey(dag.tenant, dag.dag_id));
      if (runs.some(isHeld)) continue;
      const dates = runs
        .filter((run) => run.run_type === "scheduled")
        .map((run) => run.logical_date ?? 0)
        .toSorted((a, b) => a - b);
      const stepMs = spec.timetable.seconds * 1000;
      const [first, last] = [Date.parse(spec.start_date), Date.parse(spec.end_date)];
      const name = `${dag.tenant}/${dag.dag_id}`;
      for (const date of dates)
        if (date < first || date > last || (date - first) % stepMs !== 0)
          throw new Violation(
            "one run per interval",
            `${name}: a run of ${new Date(date).toISOString()}`,
          );
      if (spec.catchup)
        for (let date = first; date <= last; date += stepMs)
          if (!dates.includes(date))
            throw new Violation(
              "one run per interval",
              `${name}: none of ${new Date(date).toISOString()}`,
            );
    }
  }
}

const add = (to: Map<string, number>, name: string, n: number): void =>
  void to.set(name, (to.get(name) ?? 0) + n);
