/**
 * The platform as a fleet: each role a process of its own, as often as wanted, started again whenever it ends, by
 * whatever hand. Processes may have failpoints set; what fires is counted from what they print.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type FailpointName, failpointNames } from "../../ops/failpoints/failpoints.ts";
import type { Dice } from "./dice.ts";

const program = join(import.meta.dirname, "..", "..", "bin", "airlock.mjs");
const clockShift = join(import.meta.dirname, "clock-shift.ts");

export type Role = "server" | "scheduler" | "worker" | "sync";

export type Member = {
  readonly name: string;
  readonly role: Role;
  readonly home: string;
  child: ChildProcess | undefined;
  /** Resolves when the process that runs now is gone. */
  gone: Promise<unknown>;
  ready: boolean;
  frozen: boolean;
  /** We ended it, or told it to go: its end is no news. */
  expected: boolean;
};

export type FleetOptions = {
  readonly members: readonly { readonly role: Role; readonly home: string }[];
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Where a process finds the database: straight, or through the proxy that cuts. */
  readonly databaseUrl: () => string;
  readonly dice: Dice;
  readonly leaseMs: number;
  readonly say: (line: string) => void;
};

export type Fleet = {
  readonly members: readonly Member[];
  readonly fired: ReadonlyMap<FailpointName, number>;
  /** Ends that nobody asked for, with the last words. */
  readonly fell: readonly string[];
  readonly starts: () => number;
  start(withFailpoints: boolean): void;
  /** SIGKILL; it is started again. */
  kill(member: Member): boolean;
  /** SIGTERM; it is started again. */
  drain(member: Member): boolean;
  /** SIGSTOP for so long, then SIGCONT. Resolves then. */
  freeze(member: Member, ms: number): Promise<boolean>;
  setClock(member: Member, offMs: number): void;
  /** All anew, without failpoints: the storm is over. */
  calm(): Promise<void>;
  stop(): Promise<void>;
};

const everywhere: readonly FailpointName[] = ["feed.before_notify"];
const placesOf: Readonly<Record<Role, RegExp>> = {
  server: /^(?:run_create|push)\./,
  scheduler: /^(?:door|admission|timers|plan|scheduled_run|recovery|audit)\./,
  worker: /^(?:door|admission|worker|claim|attempt|guest|log|heartbeat|hand_over|xcom|artifact)\./,
  sync: /^(?:sync|publish|deploy)\./,
};

export function openFleet(options: FleetOptions): Fleet {
  const { dice, say } = options;
  const fired = new Map<FailpointName, number>();
  const fell: string[] = [];
  let starts = 0;
  let armed = false;
  let stopping = false;
  const members = options.members.map(
    ({ role, home }, at): Member => ({
      name: `${role}-${at}`,
      role,
      home,
      child: undefined,
      gone: Promise.resolve(),
      ready: false,
      frozen: false,
      expected: false,
    }),
  );
  const clockOf = (member: Member): string => join(options.folder, `${member.name}.clock`);

  const launch = (member: Member): void => {
    if (stopping) return;
    starts += 1;
    const failpoints = armed ? chooseFailpoints(member.role, dice, fired, options.leaseMs) : "";
    const child = spawn(process.execPath, [program, member.role], {
      env: {
        ...options.env,
        AIRLOCK_HOME: member.home,
        ...(member.role === "server" ? {} : { AIRLOCK_PORT: "0" }),
        DATABASE_URL: options.databaseUrl(),
        AIRLOCK_FAILPOINT: failpoints,
        AIRLOCK_STORM_CLOCK: clockOf(member),
        NODE_OPTIONS: `--import=${clockShift}`,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const gone = new Promise((done) => child.once("exit", done));
    Object.assign(member, { child, gone, ready: false, frozen: false, expected: false });
    const journal = join(options.folder, `${member.name}.log`);
    let last = "";
    let rest = "";
    const hear = (data: Buffer): void => {
      const text = data.toString();
      last = (last + text).slice(-3_000);
      appendFileSync(journal, text);
      if (/Airlock(?: \(\w+\))? is ready/.test(last)) member.ready = true;
      rest += text;
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const found = /^failpoint ([a-z_.]+): (\w+)/.exec(line);
        const name = found?.[1] as FailpointName | undefined;
        if (name === undefined || !failpointNames.includes(name)) continue;
        fired.set(name, (fired.get(name) ?? 0) + 1);
        if (found?.[2] === "exit") member.expected = true;
      }
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    // "close": what it printed last has arrived.
    child.once("close", (code, signal) => {
      if (member.child !== child) return;
      member.child = undefined;
      // One that finds no database while it starts says so and ends with 1, as it should.
      const isNews = !member.expected && (member.ready || code !== 1);
      appendFileSync(journal, `--- ended with ${signal ?? code}\n`);
      if (isNews && !stopping) {
        const words = last.trim().split("\n").slice(-6).join("\n");
        fell.push(`${member.name} ended with ${signal ?? code}: ${words}`);
        say(`${member.name} ended by itself with ${signal ?? code}: ${words}`);
      }
      setTimeout(() => launch(member), member.ready ? dice.between(0, 200) : 300);
    });
  };

  const fleet: Fleet = {
    members,
    fired,
    fell,
    starts: () => starts,
    start(withFailpoints) {
      armed = withFailpoints;
      for (const member of members) {
        fleet.setClock(member, 0);
        if (member.child === undefined) launch(member);
      }
    },
    kill(member) {
      if (member.child === undefined || !member.ready) return false;
      member.expected = true;
      return member.child.kill("SIGKILL");
    },
    drain(member) {
      if (member.child === undefined || !member.ready || member.frozen) return false;
      member.expected = true;
      return member.child.kill("SIGTERM");
    },
    async freeze(member, ms) {
      const { child } = member;
      if (child === undefined || !member.ready || member.frozen) return false;
      member.frozen = true;
      child.kill("SIGSTOP");
      const begun = performance.now();
      await Promise.race([pause(ms), member.gone]);
      child.kill("SIGCONT");
      if (member.child === child) member.frozen = false;
      return performance.now() - begun >= ms - 5;
    },
    setClock: (member, offMs) => writeFileSync(clockOf(member), String(offMs)),
    async calm() {
      armed = false;
      for (const member of members) {
        fleet.setClock(member, 0);
        member.expected = true;
        member.child?.kill("SIGKILL");
      }
      for (const until = Date.now() + 60_000; Date.now() < until; await pause(50))
        if (members.every((member) => member.child !== undefined && member.ready)) return;
      throw new Error("the platform did not come up again after the storm");
    },
    async stop() {
      stopping = true;
      await Promise.all(
        members.map(async ({ child }) => {
          if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
          const gone = new Promise((done) => child.once("close", done));
          child.kill("SIGCONT");
          child.kill("SIGTERM");
          await Promise.race([gone, pause(8_000, undefined, { ref: false })]);
          child.kill("SIGKILL");
          await gone;
        }),
      );
    },
  };
  return fleet;
}

/** Those of this role that fired least come first; what they do is up to the dice. */
function chooseFailpoints(
  role: Role,
  dice: Dice,
  fired: ReadonlyMap<FailpointName, number>,
  leaseMs: number,
): string {
  const mine = failpointNames.filter(
    (name) => placesOf[role].test(name) || everywhere.includes(name),
  );
  const byNeed = mine
    .map((name) => ({ name, times: (fired.get(name) ?? 0) + dice.roll() }))
    .toSorted((a, b) => a.times - b.times);
  // A sync passes its places in a row: one that ends at an early one never sees the last.
  const hard = role === "sync" ? 1 : 3;
  const chosen = byNeed.slice(0, hard).map(({ name }) => {
    const face = dice.roll();
    if (face < 0.4) return `${name}=1*50%exit`;
    if (face < 0.7) return `${name}=1*50%error`;
    return `${name}=1*50%sleep(${Math.round(leaseMs * dice.between(0.1, 1.2))})`;
  });
  // Seldom ones besides, softly: they are to be passed while they are passed at all.
  const soft = byNeed.slice(hard, 9).map(({ name }) => `${name}=1*sleep(5)`);
  return [...chosen, ...soft].join(";");
}
