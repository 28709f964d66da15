/**
 * The lines that were read, in blocks: what is in sight is asked for, what left the sight is given up, and only so
 * many are kept, however long the log is. A block at the end of a growing log is read on, never anew.
 */
export type LineCache<L> = {
  get(index: number): L | undefined;
  /** These rows are in sight, of so many that there are. */
  want(from: number, to: number, total: number): void;
  /** The last failure, until something is wanted again. */
  problem(): unknown;
  close(): void;
};

export function openLineCache<L>({
  read,
  onChange,
  blockLines = 500,
  blocksMax = 40,
}: {
  /** May answer fewer than asked. */
  readonly read: (from: number, count: number, signal: AbortSignal) => Promise<readonly L[]>;
  readonly onChange: () => void;
  readonly blockLines?: number;
  readonly blocksMax?: number;
}): LineCache<L> {
  /** In the order of their last use. */
  const blocks = new Map<number, L[]>();
  const loading = new Map<number, AbortController>();
  let problem: unknown;
  let total = 0;
  let wanted: readonly [first: number, last: number] = [0, -1];

  const isWanted = (block: number): boolean => block >= wanted[0] && block <= wanted[1];
  const needOf = (block: number): number =>
    Math.min(blockLines, total - block * blockLines) - (blocks.get(block)?.length ?? 0);
  const load = async (block: number): Promise<void> => {
    const giveUp = new AbortController();
    loading.set(block, giveUp);
    try {
      while (needOf(block) > 0 && isWanted(block)) {
        const have = blocks.get(block) ?? [];
        const got = await read(
          block * blockLines + have.length,
          blockLines - have.length,
          giveUp.signal,
        );
        if (giveUp.signal.aborted || got.length === 0) break;
        blocks.set(block, [...have, ...got]);
        evict();
        onChange();
      }
    } catch (error) {
      if (!giveUp.signal.aborted) {
        problem = error;
        onChange();
      }
    } finally {
      if (loading.get(block) === giveUp) loading.delete(block);
    }
  };
  const evict = (): void => {
    for (const block of blocks.keys()) {
      if (blocks.size <= blocksMax) return;
      if (!isWanted(block)) blocks.delete(block);
    }
  };
  return {
    get: (index) => blocks.get(Math.floor(index / blockLines))?.[index % blockLines],
    want(from, to, lines) {
      total = lines;
      problem = undefined;
      wanted = [
        Math.floor(Math.max(0, from) / blockLines),
        Math.floor(Math.max(0, to) / blockLines),
      ];
      for (const [block, giveUp] of loading)
        if (!isWanted(block)) {
          giveUp.abort();
          loading.delete(block);
        }
      for (let block = wanted[0]; block <= wanted[1]; block++) {
        const have = blocks.get(block);
        if (have !== undefined) {
          blocks.delete(block);
          blocks.set(block, have);
        }
        if (!loading.has(block) && needOf(block) > 0) void load(block);
      }
    },
    problem: () => problem,
    close() {
      for (const giveUp of loading.values()) giveUp.abort();
      loading.clear();
    },
  };
}
