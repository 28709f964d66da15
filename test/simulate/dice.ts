/** Dice from a seed (sfc32): the same seed throws the same numbers, on every machine. */
export type Dice = {
  /** 0 ≤ x < 1. */
  next(): number;
  chance(probability: number): boolean;
  /** A whole number, both ends included. */
  between(low: number, high: number): number;
  pick<T>(from: readonly [T, ...T[]]): T;
  /** Mostly near zero, now and then several times the mean. */
  rarely(mean: number): number;
};

/** One stream per use: that one part asks for more numbers must not change what another gets. */
export function openDice(seed: number, stream: string): Dice {
  let a = 0x9e3779b9 ^ seed;
  let b = Math.floor(seed / 0x1_0000_0000) ^ 0x243f6a88;
  let c = 0xb7e15162;
  for (let i = 0; i < stream.length; i += 1) c = Math.imul(c ^ stream.charCodeAt(i), 0x01000193);
  let counter = 1;
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    return (t >>> 0) / 0x1_0000_0000;
  };
  for (let i = 0; i < 12; i += 1) next();
  return {
    next,
    chance: (probability) => next() < probability,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (from) => from[Math.floor(next() * from.length)] ?? from[0],
    rarely: (mean) => -Math.log(1 - next()) * mean,
  };
}
