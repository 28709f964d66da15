/** From a script that breaks a promise to a short one that breaks the same. */
import { runSeed, type SeedOptions, type SeedResult } from "./run-seed.ts";

const runsMax = 150;

/** The numbers of the acts that are needed. Without an act everything after it is another story: so each cut is played. */
export async function shrink(found: SeedResult, options: SeedOptions): Promise<readonly number[]> {
  const promise = found.violation?.promise;
  let kept = found.acts.map((_, n) => n).filter((n) => options.only?.includes(n) !== false);
  let runs = 0;
  const breaks = async (only: readonly number[]): Promise<boolean> => {
    runs += 1;
    return (await runSeed(found.seed, { ...options, only })).violation?.promise === promise;
  };
  if (await breaks([])) return [];
  for (let size = Math.ceil(kept.length / 2); size >= 1 && runs < runsMax; ) {
    let cut = false;
    for (let at = 0; at < kept.length && runs < runsMax; ) {
      const rest = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (rest.length > 0 && (await breaks(rest))) {
        kept = rest;
        cut = true;
      } else at += size;
    }
    // Once more as long as something fell: what was needed before may not be any more.
    if (!cut) size = size === 1 ? 0 : Math.ceil(size / 2);
    else size = Math.min(size, Math.ceil(kept.length / 2));
  }
  return kept;
}
