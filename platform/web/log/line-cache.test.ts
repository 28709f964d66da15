import { expect, test, vi } from "vitest";
import { openLineCache } from "./line-cache.ts";

function opened(answerMax = 1_000) {
  const asked: { from: number; count: number; signal: AbortSignal }[] = [];
  let lines = 1_000;
  const cache = openLineCache<number>({
    blockLines: 10,
    blocksMax: 3,
    onChange: () => undefined,
    async read(from, count, signal) {
      asked.push({ from, count, signal });
      await Promise.resolve();
      const many = Math.max(0, Math.min(count, answerMax, lines - from));
      return Array.from({ length: many }, (_, i) => from + i);
    },
  });
  return { cache, asked, grow: (to: number) => void (lines = to) };
}

test("what is in sight is read once, by blocks", async () => {
  const { cache, asked } = opened();
  cache.want(5, 14, 1_000);
  cache.want(5, 14, 1_000);
  await vi.waitFor(() => expect([cache.get(5), cache.get(14)]).toEqual([5, 14]));
  expect(asked.map(({ from, count }) => [from, count])).toEqual([
    [0, 10],
    [10, 10],
  ]);
});

test("an answer of fewer lines is read on until the block is whole", async () => {
  const { cache, asked } = opened(4);
  cache.want(0, 9, 1_000);
  await vi.waitFor(() => expect(cache.get(9)).toBe(9));
  expect(asked.map(({ from }) => from)).toEqual([0, 4, 8]);
});

test("the end of a growing log is read on, not anew", async () => {
  const { cache, asked, grow } = opened();
  grow(3);
  cache.want(0, 9, 3);
  await vi.waitFor(() => expect(cache.get(2)).toBe(2));
  grow(7);
  cache.want(0, 9, 7);
  await vi.waitFor(() => expect(cache.get(6)).toBe(6));
  expect(asked.map(({ from }) => from)).toEqual([0, 3]);
});

test("what left the sight before it came is given up, and only the last blocks are kept", async () => {
  const { cache, asked } = opened();
  cache.want(0, 9, 1_000);
  cache.want(500, 509, 1_000);
  expect(asked[0]?.signal.aborted).toBe(true);
  for (const from of [500, 600, 700, 800]) {
    cache.want(from, from + 9, 1_000);
    await vi.waitFor(() => expect(cache.get(from)).toBe(from));
  }
  expect(cache.get(500)).toBeUndefined();
  expect(cache.get(0)).toBeUndefined();
});

test("a failure is told, and forgotten when it is tried again", async () => {
  let fails = true;
  const cache = openLineCache<number>({
    onChange: () => undefined,
    read: async () => {
      if (fails) throw new Error("away");
      return [1];
    },
  });
  cache.want(0, 0, 1);
  await vi.waitFor(() => expect(cache.problem()).toEqual(new Error("away")));
  fails = false;
  cache.want(0, 0, 1);
  await vi.waitFor(() => expect(cache.get(0)).toBe(1));
  expect(cache.problem()).toBeUndefined();
});
