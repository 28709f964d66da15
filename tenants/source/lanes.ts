/** So many at once in all, and so many per key (a host, a tenant): nobody fills the house alone. */
export type Lanes = {
  /** Resolves to the way out; rejects when `signal` aborts first. */
  enter(key: string, signal?: AbortSignal): Promise<() => void>;
};

type Waiter = { readonly key: string; readonly admit: () => void };

export function openLanes(limits: { readonly total: number; readonly perKey: number }): Lanes {
  const inside = new Map<string, number>();
  let total = 0;
  let waiting: Waiter[] = [];

  const mayEnter = (key: string): boolean =>
    total < limits.total && (inside.get(key) ?? 0) < limits.perKey;
  const take = (key: string): void => {
    total += 1;
    inside.set(key, (inside.get(key) ?? 0) + 1);
  };
  const leave = (key: string): void => {
    total -= 1;
    const rest = (inside.get(key) ?? 1) - 1;
    if (rest === 0) inside.delete(key);
    else inside.set(key, rest);
    const next = waiting.find((waiter) => mayEnter(waiter.key));
    if (!next) return;
    waiting = waiting.filter((waiter) => waiter !== next);
    take(next.key);
    next.admit();
  };
  const wayOut = (key: string): (() => void) => {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      leave(key);
    };
  };

  return {
    async enter(key, signal) {
      signal?.throwIfAborted();
      if (mayEnter(key)) {
        take(key);
        return wayOut(key);
      }
      return new Promise((resolve, reject) => {
        const waiter: Waiter = {
          key,
          admit: () => {
            signal?.removeEventListener("abort", giveUp);
            resolve(wayOut(key));
          },
        };
        const giveUp = (): void => {
          waiting = waiting.filter((other) => other !== waiter);
          reject(new Error("gave up waiting", { cause: signal?.reason }));
        };
        signal?.addEventListener("abort", giveUp, { once: true });
        waiting.push(waiter);
      });
    },
  };
}
