/**
 * The storm from the first tenant to the verdict: a Postgres of its own, the platform as a fleet of processes, teams
 * that push and trigger, weather that kills, freezes, cuts and fills disks; then calm, and what the rows say.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import { type FailpointName, failpointNames } from "../../ops/failpoints/failpoints.ts";
import { type EmbeddedPostgres, startEmbedded } from "../../platform/postgres/embedded.ts";
import { ensureDatabase } from "../../platform/store/sample-database.ts";
import { openCutProxy } from "../kit/cut-proxy.ts";
import { type Dice, openDice } from "./dice.ts";
import { openSmallDisk } from "./disk.ts";
import { type Effects, openEffects } from "./effects.ts";
import { type Fleet, openFleet, type Role } from "./fleet.ts";
import { judge, type Verdict } from "./judge.ts";
import {
  ask,
  type Checkout,
  must,
  openCheckout,
  type Site,
  type Triggered,
  trigger,
} from "./teams.ts";
import { type Fault, type Quota, startWeather, type Weather } from "./weather.ts";
import { hog, moving, shapes, storedWorkflows, ticks } from "./workflows.ts";

export type StormPlan = {
  readonly seed: number;
  /** How long the weather is meant to last; it lasts until all quotas are met. */
  readonly seconds: number;
  /** Give up, and say what is missing, after so long. */
  readonly secondsMax: number;
  /** At least so many task instances. */
  readonly tasks: number;
  readonly quota: Quota;
  /** Each failpoint at least so often. */
  readonly failpoints: number;
  readonly tenants: number;
  readonly schedulers: number;
  readonly workers: number;
  readonly syncs: number;
  readonly leaseSeconds: number;
  /** false: the quotas only say how densely faults come. */
  readonly isOwed: boolean;
};

export type StormReport = {
  readonly name: "storm";
  readonly tasks: number;
  readonly kills: number;
  readonly freezes: number;
  readonly lost: number;
  readonly doubled: number;
  readonly stuck: number;
  readonly seconds: number;
  readonly settle_seconds: number;
  readonly seed: number;
  readonly starts: number;
  readonly failpoints_fired: number;
  readonly failpoints_least: number;
  readonly failpoints: { readonly [name in FailpointName]?: number };
  readonly pushes_not_live: number;
  readonly fell: readonly string[];
  /** What was promised of this storm and not reached: its figures prove less. */
  readonly missing: readonly string[];
  readonly skipped: readonly string[];
} & Omit<Verdict, "lost" | "doubled" | "stuck" | "tasks"> &
  Omit<Record<Fault, number>, "kills" | "freezes">;

/** Whether a promise of correctness was broken. */
export const isBroken = (report: StormReport): boolean =>
  report.lost + report.doubled + report.stuck + report.failed + report.pushes_not_live > 0 ||
  report.violations.length > 0 ||
  report.fell.length > 0;

/** There is nothing to storm, or nothing that stands. */
export class NoGround extends Error {}

const openRunsMax = 50;
/** No task of the storm takes more than two seconds, once its guest is there. */
const heldSecondsMax = 180;

/** The folder of a storm that broke something stays, to be looked into. */
type Kept = { isKept: boolean };

export async function runStorm(
  plan: StormPlan,
  say: (line: string) => void,
  signal: AbortSignal = new AbortController().signal,
): Promise<StormReport> {
  const closers: (() => unknown)[] = [];
  const kept: Kept = { isKept: false };
  try {
    const stopped = new Promise<never>((_, reject) => {
      const stop = (): void => reject(signal.reason as Error);
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    });
    const work = storm(plan, say, signal, closers, kept);
    // Stopped in the middle, what is under way fails under our hands.
    work.catch(() => undefined);
    const report = await Promise.race([work, stopped]);
    kept.isKept = isBroken(report);
    return report;
  } finally {
    for (const close of closers.splice(0).toReversed())
      try {
        await close();
      } catch (error) {
        say(`closing: ${String(error)}`);
      }
  }
}

async function storm(
  plan: StormPlan,
  say: (line: string) => void,
  signal: AbortSignal,
  closers: (() => unknown)[],
  kept: Kept,
): Promise<StormReport> {
  const dice = openDice(plan.seed);
  const ground = await openGround(plan, dice, say, closers, kept);
  const { site, fleet, sql, effects } = ground;
  say(`seed ${plan.seed}; state and logs in ${site.folder}`);
  const teams = await openTeams(plan, ground, say).catch((error: unknown) => {
    kept.isKept = true;
    say(`what the platform said is in ${join(site.folder, "logs")}`);
    throw error;
  });
  const begun = performance.now();
  const seconds = (): number => (performance.now() - begun) / 1000;
  fleet.start(true);
  const load = startLoad(plan, ground, teams, dice);
  const weather = startWeather(
    {
      fleet,
      dice,
      leaseMs: plan.leaseSeconds * 1000,
      crashPostgres: () => ground.crashPostgres(),
      terminateSessions: (most) => terminate(sql, most),
      armCut: () => ground.armCut(),
      cuts: ground.cuts,
      disk: ground.disk,
      moveRepository: () => load.moveRepository(),
      feedHog: () => load.feedHog(),
      workDone: () => (plan.isOwed ? load.done() / plan.tasks : 1),
    },
    plan.quota,
    plan.seconds,
  );
  const missing = (): string[] =>
    missingOf(plan, weather, fleet, load, ground.disk === undefined ? ["disks_full"] : []);
  for (let said = 0; ; await pause(200)) {
    signal.throwIfAborted();
    const left = missing();
    if (seconds() - said >= 5) {
      said = seconds();
      const { kills, freezes, postgres_crashes: crashes } = weather.counts();
      say(
        `${said.toFixed(0)} s: ${load.tasks()} tasks asked for, ${Math.round(load.done())} done, ${load.open()} runs open, ${effects.count()} effects, ${kills} kills, ${freezes} freezes, ${crashes} crashes of Postgres${left.length > 0 ? `; to come: ${left.slice(0, 4).join(", ")}${left.length > 4 ? " …" : ""}` : ""}`,
      );
    }
    if ((left.length === 0 && seconds() >= plan.seconds) || seconds() >= plan.secondsMax) break;
  }
  const stillMissing = missing();
  await weather.stop();
  ground.disk?.free();
  const stormSeconds = seconds();
  say(`the weather is over after ${stormSeconds.toFixed(0)} s; waiting for all to settle`);
  await fleet.calm();
  await load.stop();
  const notLive = await untilLive(ground, teams, plan, say);
  await untilSettled(ground, plan.leaseSeconds, say);
  const settled = seconds() - stormSeconds;
  await fleet.stop();
  await effects.store(sql);
  say("reading what the rows say");
  const verdict = await judge(ground.databaseUrl, sql, load.asked());
  const fired = failpointNames.map((name) => fleet.fired.get(name) ?? 0);
  const counts = weather.counts();
  return {
    name: "storm",
    tasks: verdict.tasks,
    kills: counts.kills,
    freezes: counts.freezes,
    lost: verdict.lost,
    doubled: verdict.doubled,
    stuck: verdict.stuck,
    failed: verdict.failed,
    pushes_not_live: notLive.length,
    runs: verdict.runs,
    scheduled_runs: verdict.scheduled_runs,
    guest_attempts: verdict.guest_attempts,
    effects: verdict.effects,
    effects_again: verdict.effects_again,
    out_of_memory: verdict.out_of_memory,
    failed_attempts: verdict.failed_attempts,
    drains: counts.drains,
    postgres_crashes: counts.postgres_crashes,
    terminations: counts.terminations,
    cuts: counts.cuts,
    disks_full: counts.disks_full,
    clock_jumps: counts.clock_jumps,
    pushes: counts.pushes,
    hogs: counts.hogs,
    failpoints_fired: fired.reduce((sum, n) => sum + n, 0),
    failpoints_least: Math.min(...fired),
    starts: fleet.starts(),
    seconds: Math.round(stormSeconds),
    settle_seconds: Math.round(settled),
    seed: plan.seed,
    violations: [...verdict.violations, ...notLive],
    fell: fleet.fell,
    missing: stillMissing,
    skipped:
      ground.disk === undefined ? ["disks_full: only root can give the storm a small disk"] : [],
    failpoints: Object.fromEntries(failpointNames.map((name, at) => [name, fired[at] ?? 0])),
  };
}

type Ground = {
  readonly site: Site;
  readonly fleet: Fleet;
  readonly databaseUrl: string;
  /** The owner's, straight: to arrange and to look. */
  readonly sql: postgres.Sql;
  readonly effects: Effects;
  readonly disk: ReturnType<typeof openSmallDisk>;
  crashPostgres(): Promise<void>;
  armCut(): void;
  readonly cuts: () => number;
};

async function openGround(
  plan: StormPlan,
  dice: Dice,
  say: (line: string) => void,
  closers: (() => unknown)[],
  kept: Kept,
): Promise<Ground> {
  const folder = mkdtempSync(join(tmpdir(), "airlock-storm-"));
  chmodSync(folder, 0o755);
  closers.push(() => {
    if (!kept.isKept) rmSync(folder, { recursive: true, force: true });
  });
  const options = { folder: join(folder, "postgres"), maxConnections: 250 };
  let server: EmbeddedPostgres;
  try {
    server = await startEmbedded(options);
  } catch (error) {
    throw new NoGround(
      `The storm needs a Postgres of its own to crash: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  closers.push(() => server.stop());
  const databaseUrl = await ensureDatabase(server.url, "airlock");
  const sql = postgres(databaseUrl, {
    max: 3,
    onnotice: () => undefined,
    connection: { application_name: "storm" },
  });
  closers.push(() => sql.end({ timeout: 2 }));
  const proxy = await openCutProxy(databaseUrl);
  closers.push(() => proxy.close());
  const effects = await openEffects();
  closers.push(() => effects.close());
  const disk = openSmallDisk(join(folder, "disk"), 256);
  if (disk === undefined) say("SKIPPED: full disks (only root can mount a small one)");
  else closers.push(() => disk.close());

  const homes = makeHomes(folder, Math.max(plan.schedulers, plan.workers));
  const port = await freePort();
  const password = "journey-password";
  const site = { url: `http://127.0.0.1:${port}`, home: homes[0] ?? "", password, folder };
  const at = (role: Role, n: number) => ({ role, home: homes[n] ?? "" });
  const fleet = openFleet({
    members: [
      at("server", 0),
      ...Array.from({ length: plan.syncs }, (_, n) => at("sync", n)),
      ...Array.from({ length: plan.schedulers }, (_, n) => at("scheduler", n)),
      ...Array.from({ length: plan.workers }, (_, n) => at("worker", n)),
    ],
    folder: mkdirs(join(folder, "logs")),
    env: {
      ...process.env,
      AIRLOCK_PORT: String(port),
      AIRLOCK_ADMIN_PASSWORD: password,
      AIRLOCK_EXAMPLES: "0",
      AIRLOCK_SECRET_KEY: randomBytes(32).toString("base64"),
      AIRLOCK_LEASE: String(plan.leaseSeconds),
      AIRLOCK_CONCURRENCY: "8",
      AIRLOCK_LOG_FORMAT: "json",
      AIRLOCK_LOG_LEVEL: process.env["AIRLOCK_LOG_LEVEL"] ?? "error",
      NO_COLOR: "1",
    },
    databaseUrl: () => (dice.chance(0.3) ? proxy.url : databaseUrl),
    dice,
    leaseMs: plan.leaseSeconds * 1000,
    say,
  });
  closers.push(() => fleet.stop());
  return {
    site,
    fleet,
    databaseUrl,
    sql,
    effects,
    disk,
    armCut: () => proxy.cutAfterCommit(),
    cuts: proxy.cuts,
    async crashPostgres() {
      // As `pg_ctl stop -m immediate`: no checkpoint, no goodbye; the next start recovers from the log.
      process.kill(server.pid, "SIGQUIT");
      while (isThere(server.pid)) await pause(20);
      await pause(dice.between(0, 500));
      server = await startEmbedded(options);
    },
  };
}

const mkdirs = (path: string): string => {
  mkdirSync(path, { recursive: true });
  return path;
};

/** One home for each worker and scheduler; what nodes share in an installation (repositories, checkouts, objects) lies on the small disk. */
function makeHomes(folder: string, count: number): readonly string[] {
  const shared = join(folder, "disk");
  for (const name of ["repositories", "bundles", "objects"])
    mkdirSync(join(shared, name), { recursive: true });
  chmodSync(join(shared, "bundles"), 0o711);
  mkdirSync(join(folder, "environments"));
  chmodSync(join(folder, "environments"), 0o755);
  return Array.from({ length: count }, (_, n) => {
    const home = join(folder, `home-${n}`);
    mkdirSync(home);
    for (const name of ["repositories", "bundles", "objects"])
      symlinkSync(join(shared, name), join(home, name));
    symlinkSync(join(folder, "environments"), join(home, "environments"));
    return home;
  });
}

/** Gone, or ended and not waited for: its parent is this process. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Below those that the kernel gives to whoever asks for any: else another role would sit on it while the server is down. */
async function freePort(): Promise<number> {
  for (let port = 20_000 + (process.pid % 9_000); port < 32_000; port += 1)
    if (await isFree(port)) return port;
  throw new NoGround("no port from 20000 to 32000 is free");
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });

async function terminate(sql: postgres.Sql, most: number): Promise<number> {
  const ended = await sql<{ ok: boolean }[]>`
    select pg_terminate_backend(pid) as ok from (
      select pid from pg_stat_activity
       where datname = current_database() and application_name like 'airlock%' order by random() limit ${most}) s`.catch(
    () => [],
  );
  return ended.filter(({ ok }) => ok).length;
}

type Teams = {
  readonly tenants: readonly string[];
  readonly clock: Checkout;
  readonly moving: readonly Checkout[];
  readonly all: readonly Checkout[];
};

/** Tenants, repositories and their first commits, in calm weather. */
async function openTeams(
  plan: StormPlan,
  { site, fleet, effects, sql }: Ground,
  say: (line: string) => void,
): Promise<Teams> {
  say("the teams set up their repositories");
  fleet.start(false);
  await within(240_000, "the platform did not start", async () => {
    const { status } = await ask(site, "GET", "/api/platform/tenants");
    return status === 200 && fleet.members.every((member) => member.ready);
  });
  const tenants = Array.from({ length: plan.tenants }, (_, n) => `team-${n}`);
  const all: Checkout[] = [];
  const make = async (tenant: string, name: string): Promise<Checkout> => {
    await must(site, "POST", `/api/platform/tenants/${tenant}/repositories`, { name });
    const checkout = await openCheckout(site, tenant, name);
    all.push(checkout);
    return checkout;
  };
  const moved: Checkout[] = [];
  const always = (): boolean => true;
  for (const tenant of tenants) {
    await must(site, "POST", "/api/platform/tenants", { name: tenant });
    await must(site, "PATCH", `/api/platform/tenants/${tenant}`, {
      egress: [{ host: "127.0.0.1", port: effects.port }],
    });
    await must(site, "POST", `/t/${tenant}/api/v2/pools`, { name: "narrow", slots: 3 });
    const flows = await make(tenant, "flows");
    await flows.push(storedWorkflows(tenant, effects.port), { until: always });
    const moves = await make(tenant, "moves");
    await moves.push(moving(tenant, effects.port, 0), { until: always });
    moved.push(moves);
  }
  const [first = ""] = tenants;
  const clock = await make(first, "clock");
  await clock.push(ticks(first, effects.port, new Date()), { until: always });
  await within(120_000, "the repositories did not go live", async () => {
    const [row] = await sql<{ n: number }[]>`
      select count(*)::int as n from airlock.dag where state = 'active'`;
    return row?.n === tenants.length * (shapes.length + 2) + 1;
  });
  return { tenants, clock, moving: moved, all };
}

async function within(ms: number, what: string, ask: () => Promise<boolean>): Promise<void> {
  for (const until = Date.now() + ms; Date.now() < until; await pause(100))
    if (await ask().catch(() => false)) return;
  throw new NoGround(what);
}

type Load = {
  /** Task instances of the runs that are known to be there. */
  readonly tasks: () => number;
  readonly open: () => number;
  /** About how many of them have ended. */
  readonly done: () => number;
  readonly asked: () => readonly Triggered[];
  moveRepository(): Promise<boolean>;
  feedHog(): Promise<boolean>;
  stop(): Promise<void>;
};

function startLoad(plan: StormPlan, ground: Ground, teams: Teams, dice: Dice): Load {
  const { site, sql, effects } = ground;
  const asked: Triggered[] = [];
  let tasks = 0;
  let open = 0;
  let n = 0;
  let version = 0;
  let wanted = true;
  const pushing = new Set<Checkout>();
  const isWanted = (): boolean => wanted;
  const begun = performance.now();
  const ways = shapes.flatMap((shape) => Array.from({ length: shape.weight }, () => shape));

  const start = async (dag: string, count: number): Promise<boolean> => {
    n += 1;
    const run = { tenant: dice.pick(teams.tenants) ?? "", dag, run_id: `storm-${n}` };
    const answer = await trigger(site, run, isWanted);
    if (answer !== "there") return false;
    asked.push(run);
    tasks += count;
    open += 1;
    return true;
  };
  /** No faster than the weather goes, so that all of it meets the work. */
  const mayAsk = (): boolean => {
    const share = (performance.now() - begun) / 1000 / plan.seconds;
    return open < openRunsMax && tasks < Math.max(plan.tasks, 500) * Math.max(share * 1.15, 0.02);
  };
  const hand = async (): Promise<void> => {
    while (isWanted()) {
      const shape = dice.pick(ways);
      if (shape === undefined || !mayAsk()) await pause(20);
      else if (dice.chance(0.04)) await start("moving", 3);
      else await start(shape.dag, shape.tasks);
    }
  };
  const count = async (): Promise<void> => {
    for (; isWanted(); await pause(300)) {
      const [row] = await sql<{ n: number }[]>`
        select count(*)::int as n from airlock.dag_run where state in ('queued', 'running') and run_type <> 'scheduled'`.catch(
        () => [],
      );
      if (row !== undefined) open = row.n;
    }
  };
  const hands = [count(), ...Array.from({ length: 4 }, hand)];
  return {
    tasks: () => tasks,
    open: () => open,
    done: () => tasks * (1 - open / Math.max(1, asked.length)),
    asked: () => asked,
    async moveRepository() {
      const repository = dice.pick(teams.moving.filter((one) => !pushing.has(one)));
      if (repository === undefined) return false;
      pushing.add(repository);
      version += 1;
      // Changed, removed, or its history rewritten: each while runs of it go on.
      const gone = dice.chance(0.25);
      void start("moving", 3);
      const files = gone
        ? new Map([["dags/moving.py", undefined]])
        : moving(repository.tenant, effects.port, version);
      return repository
        .push(files, { anew: dice.chance(0.3), until: isWanted })
        .finally(() => pushing.delete(repository));
    },
    feedHog: () => start(hog.dag, hog.tasks),
    async stop() {
      wanted = false;
      await Promise.all(hands);
    },
  };
}

function missingOf(
  plan: StormPlan,
  weather: Weather,
  fleet: Fleet,
  load: Load,
  impossible: readonly Fault[],
): string[] {
  if (!plan.isOwed) return [];
  const counts = weather.counts();
  const few = (Object.keys(plan.quota) as Fault[])
    .filter((fault) => counts[fault] < plan.quota[fault] && !impossible.includes(fault))
    .map((fault) => `${plan.quota[fault] - counts[fault]} ${fault}`);
  const seldom = failpointNames
    .filter((name) => (fleet.fired.get(name) ?? 0) < plan.failpoints)
    .map((name) => `failpoint ${name}`);
  const tasks = load.tasks() < plan.tasks ? [`${plan.tasks - load.tasks()} tasks`] : [];
  return [...tasks, ...few, ...seldom];
}

/** Each repository's last push is live; the clock's file is taken away, so that nothing new begins. */
async function untilLive(
  { sql, site }: Ground,
  teams: Teams,
  plan: StormPlan,
  say: (line: string) => void,
): Promise<string[]> {
  await within(30_000, "the server does not answer after the storm", async () => {
    const { status } = await ask(site, "GET", "/api/platform/tenants");
    return status === 200;
  });
  await teams.clock.push(new Map([["dags/ticks.py", undefined]]), { until: () => true });
  const late = async (): Promise<string[]> => {
    const heads = await sql<
      { tenant: string; repository: string; head: string | null; seen: string | null }[]
    >`select tenant, repository, head_commit as head, seen_commit as seen from airlock.repository`;
    return teams.all.flatMap(({ tenant, repository, pushed }) => {
      const row = heads.find((one) => one.tenant === tenant && one.repository === repository);
      return row?.head === pushed()
        ? []
        : [
            `a push is not live: ${tenant}/${repository} pushed ${pushed()}, live ${row?.head}, seen ${row?.seen}`,
          ];
    });
  };
  for (const until = Date.now() + (plan.leaseSeconds + 10) * 1000; ; await pause(200)) {
    const left = await late();
    if (left.length === 0 || Date.now() > until) {
      for (const line of left) say(line);
      return left;
    }
  }
}

/**
 * Until no run is open, or for a lease and ten seconds nothing has moved: what is open then is stuck. An attempt that a
 * living worker holds is under way, however long its guest takes to start on a slow machine, but not for ever.
 */
async function untilSettled(
  { sql }: Ground,
  leaseSeconds: number,
  say: (line: string) => void,
): Promise<void> {
  const patienceMs = (leaseSeconds + 10) * 1000;
  let last = "";
  let movedAt = Date.now();
  for (let saidAt = Date.now(); ; await pause(200)) {
    const [row] = await sql<{ open: number; seq: string | null; held: boolean }[]>`
      select (select count(*)::int from airlock.dag_run where state in ('queued', 'running')) as open,
             (select max(seq) from airlock.change) as seq,
             exists (select from airlock.attempt where state = 'running' and lease_until > clock_timestamp()
                        and started_at > clock_timestamp() - make_interval(secs => ${heldSecondsMax})) as held`;
    if (row === undefined || row.open === 0) return;
    if (row.seq !== last || row.held) movedAt = Date.now();
    last = row.seq ?? "";
    if (Date.now() - movedAt > patienceMs) {
      say(`${row.open} runs are stuck`);
      return;
    }
    if (Date.now() - saidAt > 5_000) {
      saidAt = Date.now();
      say(`${row.open} runs are open still`);
    }
  }
}
