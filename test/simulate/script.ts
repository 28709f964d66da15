/** What people and the weather do to a house, drawn ahead: a script can be cut down to what breaks a promise. */
import type { Dice } from "./dice.ts";
import type { Workload } from "./workload.ts";

export type Deed =
  | { readonly kind: "trigger"; readonly dag: number; readonly dated: boolean }
  | {
      readonly kind: "clear";
      readonly pick: number;
      readonly only_failed: boolean;
      readonly downstream: boolean;
    }
  | {
      readonly kind: "mark";
      readonly pick: number;
      readonly state: "success" | "failed" | "skipped";
    }
  | {
      readonly kind: "mark_run";
      readonly pick: number;
      readonly state: "queued" | "success" | "failed";
    }
  | { readonly kind: "stop"; readonly pick: number }
  | { readonly kind: "pause"; readonly dag: number; readonly forMs: number }
  | { readonly kind: "suspend"; readonly tenant: number; readonly forMs: number }
  | { readonly kind: "kill"; readonly process: number; readonly backMs: number }
  /** An orderly end, as at an upgrade. */
  | { readonly kind: "restart"; readonly process: number }
  /** Its host is gone: nobody tells the server that the connections are dead. */
  | { readonly kind: "vanish"; readonly process: number; readonly backMs: number }
  | { readonly kind: "freeze"; readonly process: number; readonly forMs: number }
  | { readonly kind: "cut"; readonly process: number; readonly pick: number }
  | { readonly kind: "cut_all"; readonly process: number }
  | { readonly kind: "restart_postgres"; readonly forMs: number }
  | { readonly kind: "jump_database_clock"; readonly byMs: number }
  | { readonly kind: "jump_clock"; readonly process: number; readonly byMs: number }
  | { readonly kind: "lose_notifications"; readonly share: number; readonly forMs: number }
  | { readonly kind: "clog"; readonly process: number; readonly forMs: number }
  | { readonly kind: "deliver_twice"; readonly pick: number }
  | { readonly kind: "lose_job"; readonly pick: number };

export type Act = { readonly atMs: number; readonly deed: Deed };

export const stormMs = 20_000;

type Kind = readonly [weight: number, draw: (dice: Dice) => Deed];

const byPeople: readonly Kind[] = [
  [
    3,
    (d) => ({
      kind: "clear",
      pick: d.between(0, 99),
      only_failed: d.chance(0.4),
      downstream: d.chance(0.6),
    }),
  ],
  [
    2,
    (d) => ({
      kind: "mark",
      pick: d.between(0, 99),
      state: d.pick(["success", "failed", "skipped"]),
    }),
  ],
  [
    1,
    (d) => ({
      kind: "mark_run",
      pick: d.between(0, 99),
      state: d.pick(["queued", "success", "failed"]),
    }),
  ],
  [1, (d) => ({ kind: "stop", pick: d.between(0, 99) })],
  [2, (d) => ({ kind: "pause", dag: d.between(0, 3), forMs: d.between(50, 5_000) })],
  [1, (d) => ({ kind: "suspend", tenant: d.between(0, 1), forMs: d.between(50, 4_000) })],
];
const byWeather: readonly Kind[] = [
  [4, (d) => ({ kind: "kill", process: d.between(0, 9), backMs: d.between(0, 3_000) })],
  [2, (d) => ({ kind: "restart", process: d.between(0, 9) })],
  [1, (d) => ({ kind: "vanish", process: d.between(0, 9), backMs: d.between(0, 3_000) })],
  [
    3,
    (d) => ({
      kind: "freeze",
      process: d.between(0, 9),
      forMs: d.chance(0.7) ? d.between(4_000, 9_000) : d.between(100, 35_000),
    }),
  ],
  [3, (d) => ({ kind: "cut", process: d.between(0, 9), pick: d.between(0, 20) })],
  [1, (d) => ({ kind: "cut_all", process: d.between(0, 9) })],
  [1, (d) => ({ kind: "restart_postgres", forMs: d.between(0, 4_000) })],
  [
    1,
    (d) => ({
      kind: "jump_database_clock",
      byMs: d.chance(0.7) ? d.between(1_000, 40_000) : -d.between(500, 8_000),
    }),
  ],
  [
    1,
    (d) => ({
      kind: "jump_clock",
      process: d.between(0, 9),
      byMs: d.between(-3_600_000, 3_600_000),
    }),
  ],
  [
    2,
    (d) => ({
      kind: "lose_notifications",
      share: d.pick([0.3, 0.9, 1]),
      forMs: d.between(1_000, 10_000),
    }),
  ],
  [2, (d) => ({ kind: "clog", process: d.between(0, 9), forMs: d.between(500, 5_000) })],
  [2, (d) => ({ kind: "deliver_twice", pick: d.between(0, 20) })],
  [2, (d) => ({ kind: "lose_job", pick: d.between(0, 20) })],
];

export function drawScript(dice: Dice, { dags }: Workload): Act[] {
  const at = (): number => dice.between(300, stormMs);
  const acts: Act[] = [];
  for (let n = dice.between(1, 3); n > 0; n -= 1) {
    // Often several at one moment: that is when they get in each other's way.
    const atMs = dice.chance(0.5) ? dice.between(300, 2_000) : at();
    const dag = dice.between(0, dags.length - 1);
    for (let m = dice.pick([1, 1, 2, 4]); m > 0; m -= 1)
      acts.push({
        atMs,
        deed: {
          kind: "trigger",
          dag: dice.chance(0.7) ? dag : dice.between(0, dags.length - 1),
          dated: dice.chance(0.3),
        },
      });
  }
  const add = (from: readonly Kind[], most: number): void => {
    // Each seed has weather of its own: most kinds stay away, those that come come often.
    const kinds = from.filter(() => dice.chance(0.4));
    const [first, ...rest] = kinds;
    if (first === undefined) return;
    const all = kinds.reduce((sum, [weight]) => sum + weight, 0);
    for (let n = dice.between(0, most); n > 0; n -= 1) {
      let left = dice.next() * all;
      const [, draw] = rest.find(([weight]) => (left -= weight) < 0) ?? first;
      acts.push({ atMs: at(), deed: draw(dice) });
    }
  };
  add(byPeople, 8);
  // Now and then a fine day: then nothing may have to be repaired.
  if (!dice.chance(0.1)) add(byWeather, 14);
  return acts.toSorted((a, b) => a.atMs - b.atMs);
}

/** Not the weather: nothing is lost by it and nobody falls out. */
export const isByPeople = ({ kind }: Deed): boolean => peopleDo.has(kind);
const peopleDo: ReadonlySet<Deed["kind"]> = new Set([
  "trigger",
  "clear",
  "mark",
  "mark_run",
  "stop",
  "pause",
  "suspend",
]);

export const tell = ({ atMs, deed }: Act): string => {
  const { kind, ...rest } = deed;
  const details = Object.entries(rest).map(([name, value]) => `${name}=${String(value)}`);
  return `${String(atMs).padStart(6)} ms  ${[kind, ...details].join(" ")}`;
};
