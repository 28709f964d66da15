/**
 * One seed, from an empty house to the end of everything in it.
 *
 *   the storm: people and weather do what the script says; after every commit the invariants are asked
 *   the calm:  everybody is back, nothing is lost any more; everything must end within a bounded time
 */
import { compileDag } from "../../platform/engine/compile-dag.ts";
import type { DagSpec, TaskSpec } from "../../platform/model/dag-spec.ts";
import { known } from "../../platform/model/ids.ts";
import { isFinished } from "../../platform/model/states.ts";
import type { RunDeeds } from "../../platform/runs/deeds.ts";
import { dialInto, type Planted } from "./client.ts";
import { teachStatements } from "./database/open-server.ts";
import { Server, type Session } from "./database/server.ts";
import { dagKey, type Job, type Run } from "./database/tables.ts";
import { type Dice, openDice } from "./dice.ts";
import { openBodies } from "./guests.ts";
import { type House, openHouse, type Role } from "./house.ts";
import { Invariants, Violation } from "./invariants.ts";
import { type Act, type Deed, drawScript, isByPeople, stormMs, tell } from "./script.ts";
import { arrange, drawWorkload, type Workload } from "./workload.ts";
import { ownTime, Process, World } from "./world.ts";

export type SeedOptions = {
  readonly planted?: Planted;
  /** Which acts of the script happen, by number; all if it is not said. */
  readonly only?: readonly number[];
  readonly onLine?: (line: string) => void;
};

export type SeedResult = {
  readonly seed: number;
  readonly acts: readonly Act[];
  readonly violation: { readonly promise: string; readonly message: string } | undefined;
  readonly events: number;
  readonly statements: number;
  readonly commits: number;
  readonly attempts: number;
  readonly simulatedMs: number;
};

const leaseSeconds = 4;
const calmMs = 400_000;

export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  teachStatements();
  const stage = new Stage(seed, options);
  const giveBack = ownTime(stage.world, openDice(seed, "ids"));
  let violation: SeedResult["violation"];
  try {
    await stage.play();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = { promise: error.promise, message: error.message };
  } finally {
    giveBack();
  }
  const { world, server } = stage;
  return {
    seed,
    acts: stage.script,
    violation,
    events: world.events,
    statements: server.statements,
    commits: server.commits,
    attempts: server.tables.attempt.newest().length,
    simulatedMs: Math.round(world.nowMs),
  };
}

type Member = {
  readonly roles: readonly Role[];
  readonly name: string;
  process: Process;
  house: House | undefined;
};

class Stage {
  readonly world = new World();
  readonly server: Server;
  readonly script: readonly Act[];
  readonly #workload: Workload;
  readonly #invariants: Invariants;
  readonly #dice: Dice;
  readonly #seed: number;
  readonly #options: SeedOptions;
  readonly #members: Member[] = [];
  readonly #specs = new Map<string, TaskSpec>();
  #calm = false;
  #hasFates = false;
  readonly #slots: number;
  #surprise: Violation | undefined;

  constructor(seed: number, options: SeedOptions) {
    this.#seed = seed;
    this.#options = options;
    this.#dice = openDice(seed, "weather");
    this.#invariants = new Invariants(() => this.server);
    this.server = new Server(this.world, openDice(seed, "network"), (commit) => {
      this.#tellChanges(commit.transaction.changes, commit.transaction.session);
      this.#invariants.after(commit);
    });
    const drawing = openDice(seed, "workload");
    this.#workload = drawWorkload(drawing);
    for (const { tenant, spec } of this.#workload.dags) {
      compileDag(spec);
      for (const task of spec.tasks)
        this.#specs.set(`${tenant}/${spec.dag_id}/${task.task_id}`, task);
    }
    arrange(this.server, this.#workload, drawing);
    this.script = drawScript(openDice(seed, "script"), this.#workload);
    const { server } = this;
    server.statementMs = drawing.pick([0.05, 0.05, 0.5, 2]);
    server.networkMs = drawing.pick([0.2, 0.2, 1, 5]);
    this.#slots = drawing.between(1, 4);
    const cuts = drawing.chance(0.7) ? 0 : drawing.pick([0.01, 0.05]);
    const kills = drawing.chance(0.7) ? 0 : drawing.pick([0.003, 0.01]);
    this.#hasFates = cuts + kills > 0;
    if (this.#hasFates)
      server.fateOfCommit = (session) => {
        if (this.#calm || session.process === undefined) return undefined;
        const isKilled = this.#dice.chance(kills);
        if (!isKilled && !this.#dice.chance(cuts)) return undefined;
        const member = this.#members.find(({ process }) => process === session.process);
        if (isKilled && member !== undefined)
          this.world.after(0, undefined, () => {
            if (member.process === session.process)
              this.#kill(member, this.#dice.between(0, 3_000));
          });
        const fate = this.#dice.chance(0.5) ? "before" : "after";
        this.#say(`${member?.name ?? ""} is ${isKilled ? "killed" : "cut"} ${fate} a COMMIT`);
        return fate;
      };
    const shape = drawing.pick<readonly (readonly Role[])[]>([
      [["scheduler", "worker"], ["people"]],
      [["scheduler", "worker"], ["scheduler", "worker"], ["people"]],
      [["scheduler"], ["scheduler"], ["worker"], ["worker"], ["people"]],
      [["scheduler", "worker"], ["worker"], ["people"]],
    ]);
    for (const [n, roles] of shape.entries()) {
      const name = `${roles.join("+")}-${n}`;
      const member: Member = {
        roles,
        name,
        process: new Process(name, `/home/${n}`),
        house: undefined,
      };
      this.#members.push(member);
      this.#open(member);
    }
  }

  async play(): Promise<void> {
    const { only } = this.#options;
    const acts = [...this.script.entries()].filter(([n]) => only?.includes(n) !== false);
    this.#invariants.isCalm = !this.#hasFates && acts.every(([, { deed }]) => isByPeople(deed));
    for (const [n, act] of acts)
      this.world.after(act.atMs, undefined, () => {
        this.#say(`act ${n}: ${tell(act)}`);
        this.#do(act.deed);
      });
    await this.world.play(stormMs, () => this.#surprise !== undefined);
    this.#throwSurprise();
    this.#say("the calm");
    this.#becalm();
    const until = this.world.nowMs + calmMs;
    let nextLook = 0;
    await this.world.play(until, () => {
      if (this.#surprise !== undefined) return true;
      // Looked at now and then: it walks through all runs.
      if (this.world.nowMs < nextLook) return false;
      nextLook = this.world.nowMs + 200;
      return this.#unfinished().length === 0;
    });
    this.#throwSurprise();
    const stuck = this.#unfinished();
    if (stuck.length > 0)
      throw new Violation(
        "everything ends",
        `still there ${calmMs / 1000} s after the storm: ${stuck.slice(0, 4).join("; ")}`,
      );
    this.#invariants.atRest(this.#isHeldByPast);
  }

  #throwSurprise(): void {
    if (this.#surprise !== undefined) throw this.#surprise;
  }

  #say(line: string): void {
    this.#options.onLine?.(`${this.world.nowMs.toFixed(3).padStart(11)}  ${line}`);
  }

  #tellChanges(
    changes: readonly {
      run: string;
      task_id: string;
      map_index: number;
      from: string | null;
      to: string | null;
    }[],
    by: Session,
  ): void {
    if (this.#options.onLine === undefined) return;
    for (const c of changes)
      this.#say(
        `  run ${c.run} ${c.task_id}${c.map_index < 0 ? "" : `[${c.map_index}]`} ${c.from ?? "none"} → ${c.to ?? "none"} (${by.process?.name ?? "nobody"})`,
      );
  }

  // ---- processes --------------------------------------------------------------------------------------

  #open(member: Member): void {
    const { process } = member;
    const dial = dialInto(this.server, process, this.#options.planted ?? new Map());
    this.world.after(this.#dice.rarely(50), process, () => {
      openHouse({
        dial,
        roles: member.roles,
        home: process.home,
        guests: openBodies(
          openDice(this.#seed, `bodies ${process.name}`),
          this.#workload.habits,
          (dagId, taskId) => {
            const of = this.#workload.dags.find(({ spec }) => spec.dag_id === dagId);
            return this.#specs.get(`${of?.tenant ?? ""}/${dagId}/${taskId}`);
          },
          (attempt, isEnd) => {
            const { bodies } = this.#invariants;
            const { nowMs } = this.world;
            // A second body of the same attempt (a reschedule, a lost worker's) begins its own chain.
            bodies.set(
              attempt,
              isEnd
                ? { from: bodies.get(attempt)?.from ?? nowMs, to: nowMs }
                : { from: nowMs, to: undefined },
            );
          },
        ),
        leaseSeconds,
        slots: this.#slots,
        say: (level, message, error) => this.#hear(process, level, message, error),
      }).then(
        (house) => {
          if (!process.dead) member.house = house;
        },
        (error: unknown) => {
          // It could not start (the database is away): whoever watches over it starts it again.
          this.#hear(process, "warn", "cannot start", error);
          this.world.after(1_000, undefined, () => {
            if (!process.dead) this.#replace(member, 0);
          });
        },
      );
    });
  }

  #hear(process: Process, level: string, message: string, error: unknown): void {
    const code = codeOf(error);
    this.#say(
      `  ${process.name} ${level}: ${message} ${code} ${code === "" && error instanceof Error ? (error.stack ?? "") : ""}`,
    );
    if (code === "" && error !== undefined)
      this.#surprise ??= new Violation(
        "no error but the database's",
        `${process.name}: ${message}: ${error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error)}`,
      );
  }

  #replace(member: Member, backMs: number): void {
    const old = member.process;
    old.dead = true;
    member.house = undefined;
    member.process = new Process(`${member.name}'${old.name.split("'").length}`, old.home);
    this.world.after(backMs, undefined, () => {
      if (!member.process.dead) this.#open(member);
    });
  }

  #sessionsOf(process: Process): Session[] {
    return this.server.sessions().filter((session) => session.process === process);
  }

  #kill(member: Member, backMs: number): void {
    for (const session of this.#sessionsOf(member.process))
      this.server.hangUp(session, this.#dice.between(0, session.inbox.length));
    this.#replace(member, backMs);
  }

  #member(n: number): Member {
    const member = this.#members[n % this.#members.length];
    if (member === undefined) throw new Error("nobody is there");
    return member;
  }

  // ---- what happens -----------------------------------------------------------------------------------

  #do(deed: Deed): void {
    const { server, world } = this;
    switch (deed.kind) {
      case "trigger":
      case "clear":
      case "mark":
      case "mark_run":
      case "stop":
        return this.#byPeople(deed);
      case "pause": {
        this.#pause(deed.dag, true);
        world.after(deed.forMs, undefined, () => this.#pause(deed.dag, false));
        return;
      }
      case "suspend": {
        const tenant = this.#workload.tenants[deed.tenant]?.tenant;
        if (tenant === undefined) return;
        this.#suspend(tenant, "suspended");
        world.after(deed.forMs, undefined, () => this.#suspend(tenant, "active"));
        return;
      }
      case "kill":
        return this.#kill(this.#member(deed.process), deed.backMs);
      case "restart": {
        const member = this.#member(deed.process);
        const { house, process } = member;
        if (house === undefined || process.frozen) return;
        const goes = (): void => {
          world.after(0, undefined, () => {
            if (member.process === process) this.#kill(member, 100);
          });
        };
        world.after(0, process, () => {
          void house.close().then(goes, goes);
        });
        return;
      }
      case "vanish": {
        const member = this.#member(deed.process);
        const sessions = this.#sessionsOf(member.process);
        this.#replace(member, deed.backMs);
        // The server's keepalive finds out at last.
        world.after(60_000, undefined, () => {
          for (const session of sessions) server.terminate(session);
        });
        return;
      }
      case "freeze": {
        const { process } = this.#member(deed.process);
        if (process.frozen) return;
        process.frozen = true;
        world.after(deed.forMs, undefined, () => {
          if (process.frozen) world.thaw(process);
        });
        return;
      }
      case "cut": {
        const sessions = this.#sessionsOf(this.#member(deed.process).process);
        const session = sessions[deed.pick % Math.max(1, sessions.length)];
        if (session !== undefined) this.#cut(session);
        return;
      }
      case "cut_all":
        for (const session of this.#sessionsOf(this.#member(deed.process).process))
          this.#cut(session);
        return;
      case "restart_postgres":
        server.isDown = true;
        for (const session of server.sessions()) server.terminate(session);
        world.after(deed.forMs, undefined, () => {
          server.isDown = false;
        });
        return;
      case "jump_database_clock":
        server.clockAheadMs += deed.byMs;
        return;
      case "jump_clock":
        this.#member(deed.process).process.clockAheadMs += deed.byMs;
        return;
      case "lose_notifications":
        server.notifyLoss = deed.share;
        world.after(deed.forMs, undefined, () => {
          server.notifyLoss = 0;
        });
        return;
      case "clog": {
        const { process } = this.#member(deed.process);
        for (const session of this.#sessionsOf(process)) {
          session.toClientAt = Math.max(session.toClientAt, world.nowMs + deed.forMs);
          if (this.#dice.chance(0.5))
            session.toServerAt = Math.max(session.toServerAt, world.nowMs + deed.forMs);
        }
        return;
      }
      case "deliver_twice":
        // As graphile does after four hours: what is locked is free again, whoever works on it.
        return this.#withJob(
          deed.pick,
          (job) => ({ ...job, locked_by: null, locked_at: null }),
          (job) => job.locked_by !== null,
        );
      case "lose_job":
        return this.#withJob(
          deed.pick,
          () => undefined,
          () => true,
        );
    }
  }

  #cut(session: Session): void {
    // Sometimes what was on its way still gets there, and was committed: the client cannot know.
    if (this.#dice.chance(0.5)) this.server.terminate(session);
    else {
      const { onEnded } = session;
      this.server.hangUp(session, this.#dice.between(0, session.inbox.length));
      onEnded();
    }
  }

  #withJob(
    pick: number,
    change: (job: Job) => Job | undefined,
    isMeant: (job: Job) => boolean,
  ): void {
    this.server.arrange((s) => {
      const jobs = s
        .all(s.tables.job)
        .filter((job) => isMeant(job) && s.tryLock(s.tables.job, job.id));
      const job = jobs[pick % Math.max(1, jobs.length)];
      if (job === undefined) return;
      const changed = change(job);
      if (changed === undefined) s.remove(s.tables.job, job);
      else s.put(s.tables.job, changed);
    });
  }

  #suspend(tenant: string, state: "active" | "suspended"): void {
    this.server.arrange((s) => {
      const row = s.get(s.tables.tenant, tenant);
      if (row === undefined) return;
      // Whoever has the row goes first.
      if (!s.tryLock(s.tables.tenant, tenant)) {
        this.world.after(1, undefined, () => this.#suspend(tenant, state));
        return;
      }
      s.put(s.tables.tenant, { ...row, state });
    });
  }

  #ask(work: (deeds: RunDeeds) => Promise<unknown>, again: boolean): void {
    const there = this.#members.filter(
      ({ house, process }) => house !== undefined && !process.dead && !process.frozen,
    );
    const member = there[this.#dice.between(0, Math.max(0, there.length - 1))];
    const retry = (): void => {
      if (again) this.world.after(500, undefined, () => this.#ask(work, again));
    };
    if (member?.house === undefined) return retry();
    const { house, process } = member;
    this.world.after(0, process, () => {
      work(house.deeds).catch((error: unknown) => {
        this.#hear(process, "warn", "a deed failed", error);
        retry();
      });
    });
    // A process that is killed or frozen meanwhile answers nobody: who wants it to be done asks once more.
  }

  #pause(dag: number, isPaused: boolean): void {
    const of = this.#workload.dags[dag % this.#workload.dags.length];
    if (of === undefined) return;
    this.#ask(
      (deeds) =>
        deeds.pauseDag(known.tenant(of.tenant), {
          dag_id: of.spec.dag_id,
          is_paused: isPaused,
          user: "ada",
        }),
      !isPaused,
    );
  }

  #triggered = 0;
  #byPeople(
    deed: Extract<Deed, { kind: "trigger" | "clear" | "mark" | "mark_run" | "stop" }>,
  ): void {
    if (deed.kind === "trigger") {
      const of = this.#workload.dags[deed.dag % this.#workload.dags.length];
      if (of === undefined) return;
      const n = (this.#triggered += 1);
      this.#ask(
        (deeds) =>
          deeds.triggerRun(known.tenant(of.tenant), {
            dag_id: of.spec.dag_id,
            run_id: `m${n}`,
            logical_date: deed.dated ? new Date(1_700_000_000_000 + n * 1000) : null,
            data_interval_start: undefined,
            data_interval_end: undefined,
            run_after: deed.dated ? undefined : new Date(1_700_000_000_000 + n * 1000),
            conf: {},
            note: undefined,
            user: "ada",
            triggered_by: "ui",
          }),
        false,
      );
      return;
    }
    const { run: runs, instance } = this.server.tables;
    const all = runs.newest();
    const run = all[deed.pick % Math.max(1, all.length)];
    if (run === undefined) return;
    const tasks = instance.newest(run.run);
    const task = tasks[deed.pick % Math.max(1, tasks.length)];
    const tenant = known.tenant(run.tenant);
    const nothingMore = { include_upstream: false, include_past: false, include_future: false };
    switch (deed.kind) {
      case "clear":
        return this.#ask(
          (deeds) =>
            deeds.clearInstances(tenant, {
              ...nothingMore,
              include_downstream: deed.downstream,
              dag_id: run.dag_id,
              run_ids: [run.run_id],
              start_date: undefined,
              end_date: undefined,
              tasks:
                task === undefined || deed.only_failed
                  ? undefined
                  : [{ task_id: task.task_id, map_index: undefined }],
              only_failed: deed.only_failed,
              only_running: false,
              reset_dag_runs: true,
              prevent_running_task: false,
              run_on_latest_version: true,
              dry_run: false,
              user: "ada",
            }),
          false,
        );
      case "mark":
        if (task === undefined) return;
        return this.#ask(
          (deeds) =>
            deeds.markInstances(tenant, {
              ...nothingMore,
              include_downstream: false,
              dag_id: run.dag_id,
              run_id: run.run_id,
              task_id: task.task_id,
              map_index: undefined,
              state: deed.state,
              dry_run: false,
              user: "ada",
            }),
          false,
        );
      case "mark_run":
        return this.#ask(
          (deeds) =>
            deeds.markRun(tenant, {
              dag_id: run.dag_id,
              run_id: run.run_id,
              state: deed.state,
              user: "ada",
            }),
          false,
        );
      case "stop":
        return this.#ask(
          (deeds) => deeds.stopRun(tenant, { dag_id: run.dag_id, run_id: run.run_id, user: "ada" }),
          false,
        );
    }
  }

  // ---- the calm ---------------------------------------------------------------------------------------

  #becalm(): void {
    this.#calm = true;
    this.server.isDown = false;
    this.server.notifyLoss = 0;
    for (const { process } of this.#members) if (process.frozen) this.world.thaw(process);
    for (const { tenant } of this.#workload.tenants) this.#suspend(tenant, "active");
    const unpause = (): void => {
      for (const dag of this.server.tables.dag.newest())
        if (dag.is_paused)
          this.#ask(
            (deeds) =>
              deeds.pauseDag(known.tenant(dag.tenant), {
                dag_id: dag.dag_id,
                is_paused: false,
                user: "ada",
              }),
            false,
          );
      if (this.#calm) this.world.after(2_000, undefined, unpause);
    };
    unpause();
  }

  /** What has not ended and may not stay so. */
  #unfinished(): string[] {
    const { tables } = this.server;
    const found: string[] = [];
    for (const dag of tables.dag.newest()) {
      const name = `${dag.tenant}/${dag.dag_id}`;
      const spec = tables.version.at(`${name}/${dag.version}`, Infinity)?.spec;
      const runs = tables.run.newest(dagKey(dag.tenant, dag.dag_id));
      const waiting = this.#waitingForPast(spec, runs);
      for (const run of runs) {
        if (run.state === "success" || run.state === "failed" || waiting.has(run)) continue;
        // While runs that wait for the past have all the places there are, nobody else gets one.
        if (run.state === "queued" && waiting.size >= dag.max_active_runs) continue;
        const left = tables.instance
          .newest(run.run)
          .filter((i) => !isFinished(i.state))
          .map((i) => `${i.task_id}[${i.map_index}] ${i.state ?? "none"}`);
        found.push(`run ${run.run_id} of ${name} is ${run.state} (${left.join(", ")})`);
      }
      if (waiting.size > 0) continue;
      if (
        dag.is_paused ||
        (spec?.timetable.kind === "delta" && (dag.plan_needed || dag.next_logical_at !== null))
      )
        found.push(`${name} has a run to come`);
    }
    return found;
  }

  /** depends_on_past, where a run before did not go well: as in Airflow such a run waits until somebody does something. */
  #waitingForPast(spec: DagSpec | undefined, runs: readonly Run[]): Set<Run> {
    const { tables } = this.server;
    const waiting = new Set<Run>();
    if (spec?.tasks.some((task) => task.depends_on_past || task.wait_for_downstream) !== true)
      return waiting;
    let wentWell = true;
    for (const run of runs.toSorted((a, b) => at(a) - at(b))) {
      const instances = tables.instance.newest(run.run);
      const left = instances.filter((i) => !isFinished(i.state));
      if (run.state === "running" && !wentWell && left.every((i) => i.state === null))
        waiting.add(run);
      // One that was stopped before it began has no tasks that could have gone well.
      wentWell &&=
        run.state !== "queued" &&
        instances.length > 0 &&
        instances.every((i) => i.state === "success" || i.state === "skipped");
    }
    return waiting;
  }

  readonly #isHeldByPast = (run: Run): boolean => {
    const { tables } = this.server;
    const spec = tables.version.at(`${run.tenant}/${run.dag_id}/${run.version}`, Infinity)?.spec;
    return this.#waitingForPast(spec, tables.run.newest(dagKey(run.tenant, run.dag_id))).size > 0;
  };
}

const at = (run: Run): number => run.logical_date ?? run.run_after;

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : "";
