/** The order of the list. What is not known comes last, whichever way round. */
import { type DagFacts, lateSeconds } from "./query.ts";
import type { SortKey } from "./sort-keys.ts";

const worstFirst = ["failed", "running", "queued", "success", "none"];

const valueOf = (facts: DagFacts, by: SortKey, nowMs: number): string | number | undefined => {
  const { dag, runs } = facts;
  switch (by) {
    case "name":
      return dag.display_name.toLowerCase();
    case "last": {
      const [last] = runs;
      // Newest first is what one asks for first.
      return last === undefined ? undefined : -(last.started ?? last.after);
    }
    case "state":
      return runs.length === 0 ? undefined : worstFirst.indexOf(facts.lastState);
    case "next":
      if (dag.is_paused || dag.next_run_at === null) return undefined;
      return -lateSeconds(facts, nowMs) || Date.parse(dag.next_run_at);
    case "lasts":
      return dag.median_s === null ? undefined : -dag.median_s;
    case "owner":
      return dag.owners[0]?.toLowerCase();
    case "schedule":
      return dag.schedule;
  }
};

/** Without a key: favourites first, then by name. */
export function sortDags(
  all: readonly DagFacts[],
  by: SortKey | undefined,
  isDown: boolean,
  { nowMs, favourites }: { readonly nowMs: number; readonly favourites: ReadonlySet<string> },
): readonly DagFacts[] {
  const key = by ?? "name";
  const turn = isDown ? -1 : 1;
  return all
    .map((facts) => ({
      facts,
      value: valueOf(facts, key, nowMs),
      isFavourite: by === undefined && favourites.has(facts.dag.dag_id),
    }))
    .toSorted(
      (a, b) =>
        Number(b.isFavourite) - Number(a.isFavourite) ||
        Number(a.value === undefined) - Number(b.value === undefined) ||
        turn * compare(a.value, b.value) ||
        compare(a.facts.dag.dag_id, b.facts.dag.dag_id),
    )
    .map(({ facts }) => facts);
}

const compare = (a: string | number | undefined, b: string | number | undefined): number =>
  a === b || a === undefined || b === undefined ? 0 : a < b ? -1 : 1;
