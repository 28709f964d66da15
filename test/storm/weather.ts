/** What befalls the fleet: each kind of fault in a rhythm of its own, by seeded dice, until enough of all has been. */
import { setTimeout as pause } from "node:timers/promises";
import type { Dice } from "./dice.ts";
import type { Fleet, Member, Role } from "./fleet.ts";

/** Everything that is counted, and how much of it there must be. */
export type Quota = {
  readonly kills: number;
  readonly freezes: number;
  readonly drains: number;
  readonly postgres_crashes: number;
  readonly terminations: number;
  readonly cuts: number;
  readonly disks_full: number;
  readonly clock_jumps: number;
  readonly pushes: number;
  readonly hogs: number;
};
export type Fault = keyof Quota;

export type Sky = {
  readonly fleet: Fleet;
  readonly dice: Dice;
  readonly leaseMs: number;
  crashPostgres(): Promise<void>;
  /** Answers how many sessions it ended. */
  terminateSessions(most: number): Promise<number>;
  /** The next COMMIT through the proxy is taken and not answered. */
  armCut(): void;
  readonly cuts: () => number;
  /** undefined: there is none that could be full. */
  readonly disk: { fill(): void; free(): void } | undefined;
  moveRepository(): Promise<boolean>;
  feedHog(): Promise<boolean>;
  /** How much of the work is done, from 0 to 1. */
  readonly workDone: () => number;
};

export type Weather = {
  readonly counts: () => Readonly<Record<Fault, number>>;
  /** No further faults; resolves when the last one is over. */
  stop(): Promise<void>;
};

const weights: Readonly<Record<Role, number>> = { worker: 4, scheduler: 3, server: 3, sync: 2 };
/** So far may the faults be ahead of the work: else a slow machine would see nothing but faults. */
const aheadMax = 0.15;
const clockJumpsMs = [3_600_000, -3_600_000, 600_000, -600_000, 30 * 86_400_000];

export function startWeather(sky: Sky, quota: Quota, seconds: number): Weather {
  const { fleet, dice, leaseMs } = sky;
  const counts: Record<Fault, number> = {
    kills: 0,
    freezes: 0,
    drains: 0,
    postgres_crashes: 0,
    terminations: 0,
    cuts: 0,
    disks_full: 0,
    clock_jumps: 0,
    pushes: 0,
    hogs: 0,
  };
  /** Those of each that are under way. */
  const flying: Record<Fault, number> = { ...counts };
  const stopped = new AbortController();
  const isOver = (): boolean => stopped.signal.aborted;
  const under = new Set<Promise<unknown>>();

  const up = (): readonly Member[] => fleet.members.filter(({ ready, frozen }) => ready && !frozen);
  const someone = (): Member | undefined =>
    dice.pick(up().flatMap((member) => Array.from({ length: weights[member.role] }, () => member)));
  /** A storm in which nobody is ever up proves nothing: these wait until so many are. */
  const mustBeUp: Partial<Record<Fault, number>> = { kills: 0.5, drains: 0.5, freezes: 0.65 };
  const may = (fault: Fault): boolean =>
    (counts[fault] + flying[fault]) / quota[fault] <= sky.workDone() + aheadMax &&
    up().length >= fleet.members.length * (mustBeUp[fault] ?? 0);
  const strike: Record<Fault, () => unknown> = {
    kills() {
      // Now and then all workers at once.
      const all = dice.chance(0.03);
      const victims = all ? fleet.members.filter(({ role }) => role === "worker") : [someone()];
      for (const victim of victims)
        if (victim !== undefined && fleet.kill(victim)) counts.kills += 1;
    },
    async freezes() {
      const victim = someone();
      if (victim !== undefined && (await fleet.freeze(victim, leaseMs + dice.between(150, 1_300))))
        counts.freezes += 1;
    },
    drains() {
      const victim = someone();
      if (victim !== undefined && fleet.drain(victim)) counts.drains += 1;
    },
    async postgres_crashes() {
      await sky.crashPostgres();
      counts.postgres_crashes += 1;
    },
    async terminations() {
      counts.terminations += await sky.terminateSessions(1 + Math.floor(dice.between(0, 3)));
    },
    cuts() {
      sky.armCut();
    },
    async disks_full() {
      if (sky.disk === undefined) return;
      sky.disk.fill();
      await pause(dice.between(1_500, 3_500));
      sky.disk.free();
      counts.disks_full += 1;
    },
    async clock_jumps() {
      const victim = someone();
      if (victim === undefined) return;
      fleet.setClock(victim, dice.pick(clockJumpsMs) ?? 0);
      counts.clock_jumps += 1;
      await pause(dice.between(1_000, 4_000));
      fleet.setClock(victim, 0);
    },
    async pushes() {
      if (await sky.moveRepository()) counts.pushes += 1;
    },
    async hogs() {
      if (await sky.feedHog()) counts.hogs += 1;
    },
  };
  const one = new Set<Fault>(["postgres_crashes", "disks_full"]);

  const rhythm = async (fault: Fault): Promise<void> => {
    if (quota[fault] === 0) return;
    const every = (seconds * 1000) / quota[fault];
    while (!isOver()) {
      await pause(every * dice.between(0.4, 1.4), undefined, { signal: stopped.signal }).catch(
        () => undefined,
      );
      while (!isOver() && !may(fault)) await pause(20);
      if (isOver()) return;
      flying[fault] += 1;
      const deed = Promise.resolve(strike[fault]());
      under.add(deed);
      void deed
        .catch(() => undefined)
        .finally(() => {
          flying[fault] -= 1;
          under.delete(deed);
        });
      if (one.has(fault)) await deed;
    }
  };
  const rhythms = (Object.keys(counts) as Fault[]).map(rhythm);
  return {
    counts: () => ({ ...counts, cuts: sky.cuts() }),
    async stop() {
      stopped.abort();
      await Promise.all(rhythms);
      await Promise.all(under);
    },
  };
}
