/** Seeded dice: the same seed makes the same choices. When they meet the platform is up to the machine. */
export type Dice = {
  /** From 0 to 1, 1 not included. */
  roll(): number;
  between(low: number, high: number): number;
  chance(p: number): boolean;
  pick<T>(from: readonly T[]): T | undefined;
};

export function openDice(seed: number): Dice {
  let state = seed >>> 0;
  const roll = (): number => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    roll,
    between: (low, high) => low + roll() * (high - low),
    chance: (p) => roll() < p,
    pick: (from) => from[Math.floor(roll() * from.length)],
  };
}
