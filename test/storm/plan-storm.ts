import type { StormPlan } from "./run-storm.ts";

/** The slice's task instances; below, everything shrinks with them, above, it grows towards the release campaign. */
const sliceTasks = 5_000;
const releaseTasks = 100_000;

/** How large a storm is, from what was asked for. Pure but for the seed that nobody gave. */
export function planStorm(asked: {
  readonly seconds?: number | undefined;
  readonly tasks?: number | undefined;
  readonly seed?: number | undefined;
}): StormPlan {
  const tasks = asked.tasks ?? (asked.seconds === undefined ? sliceTasks : 0);
  const small = Math.min(1, tasks / sliceTasks);
  const large = Math.max(0, (tasks - sliceTasks) / (releaseTasks - sliceTasks));
  const between = (slice: number, release: number): number =>
    Math.ceil(slice * small + Math.max(0, release - slice) * large);
  const isLarge = tasks > sliceTasks * 2;
  const seconds = asked.seconds ?? Math.max(10, between(42, 2_400));
  // With nothing but a length, faults come as densely as in the slice, and none of them is owed.
  const owed = tasks > 0;
  const rate = seconds / 42;
  const count = (slice: number, release: number): number =>
    owed ? between(slice, release) : Math.max(1, Math.round(slice * rate));
  return {
    seed: asked.seed ?? Math.floor(Math.random() * 0xffff_ffff),
    seconds,
    // A slow machine takes longer, and that is no fault.
    secondsMax: owed ? seconds * 3 + 300 : seconds,
    tasks,
    failpoints: owed ? between(1, 20) : 0,
    tenants: isLarge ? 20 : 2,
    schedulers: 3,
    workers: isLarge ? 4 : 3,
    syncs: 2,
    leaseSeconds: 2,
    isOwed: owed,
    quota: {
      kills: count(100, 1_000),
      freezes: count(50, 300),
      drains: count(6, 60),
      postgres_crashes: count(2, 50),
      terminations: count(20, 500),
      cuts: count(5, 100),
      disks_full: count(2, 20),
      clock_jumps: count(6, 50),
      pushes: count(12, 240),
      hogs: count(2, 25),
    },
  };
}
