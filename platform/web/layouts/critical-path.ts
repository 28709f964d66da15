/** The chain of tasks that decided how long a finished run took: nothing else being quicker would have ended it sooner. */

export type Timed = {
  readonly id: string;
  /** Milliseconds since the epoch; null: it never began. */
  readonly start: number | null;
  readonly end: number | null;
};
export type PathStep = {
  readonly id: string;
  /** Milliseconds between the end of the one before (or the run's begin) and its own start. */
  readonly wait: number;
  readonly run: number;
};

/**
 * Backwards from the task that ended last: before each comes that of its upstreams which ended last. Tasks that were
 * skipped, and so have no times, are passed through to what is above them.
 */
export function criticalPath(
  tasks: readonly { readonly id: string; readonly downstream: readonly string[] }[],
  times: readonly Timed[],
  runStart: number,
): readonly PathStep[] {
  const timed = new Map(
    times.flatMap(({ id, start, end }) =>
      start === null || end === null ? [] : [[id, { start, end: Math.max(start, end) }] as const],
    ),
  );
  const above = new Map<string, string[]>();
  for (const { id, downstream } of tasks)
    for (const to of downstream) {
      const list = above.get(to);
      if (list === undefined) above.set(to, [id]);
      else list.push(id);
    }
  const known = new Set(tasks.map(({ id }) => id));
  const latest = (ids: Iterable<string>): string | undefined => {
    let best: string | undefined;
    for (const id of ids) {
      const end = timed.get(id)?.end;
      if (end === undefined) continue;
      const before = best === undefined ? undefined : timed.get(best)?.end;
      // Equal ends: by name, so that it is always the same chain.
      if (before === undefined || end > before || (end === before && id < (best ?? ""))) best = id;
    }
    return best;
  };
  const path: { id: string; start: number; end: number }[] = [];
  const visited = new Set<string>();
  for (
    let at = latest([...known]);
    at !== undefined;
    at = latest(timedAbove(at, above, timed, visited))
  ) {
    const time = timed.get(at);
    if (time === undefined) break;
    visited.add(at);
    path.unshift({ id: at, ...time });
  }
  return path.map(({ id, start, end }, at) => ({
    id,
    wait: Math.max(0, start - (path[at - 1]?.end ?? runStart)),
    run: end - start,
  }));
}

function timedAbove(
  id: string,
  above: ReadonlyMap<string, readonly string[]>,
  timed: ReadonlyMap<string, unknown>,
  visited: ReadonlySet<string>,
): ReadonlySet<string> {
  const found = new Set<string>();
  const seen = new Set<string>();
  const open = [...(above.get(id) ?? [])];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (seen.has(one) || visited.has(one)) continue;
    seen.add(one);
    if (timed.has(one)) found.add(one);
    else open.push(...(above.get(one) ?? []));
  }
  return found;
}
