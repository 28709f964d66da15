/**
 * Airflow's table of trigger rules, row by row (`trigger_rule_dep.py`, and its parametrised tests). A line
 * reads: upstream states, one letter each (s success, f failed, u upstream_failed, k skipped, r removed,
 * . not finished; capitals and the comma are setups) and what the rule says.
 */
import { expect, test } from "vitest";
import type { Counts } from "../model/run.ts";
import type { SemanticsLevel, TriggerRule } from "../model/states.ts";
import { crossed, noCounts, type Verdict, verdictOf } from "./trigger-rule.ts";

const table: Readonly<Record<TriggerRule, string>> = {
  all_success: `
    s run        ss run       s. wait      .. wait
    f upstream_failed         f. upstream_failed        u. upstream_failed      sf upstream_failed
    k. skipped   sk skipped   kk skipped   fk upstream_failed   uk upstream_failed
    sr wait      r wait`,
  all_failed: `
    f run        ff run       fu run       uu run       f. wait     .. wait
    s. skipped   k. skipped   fs skipped   fk skipped   fr wait`,
  all_done: `
    s run        f run        k run        u run        sfku run    r run       sr run
    s. wait      sf. wait     .. wait`,
  one_success: `
    s run        s. run       sf run       sk run       .. wait     f. wait     k. wait
    k skipped    kk skipped   f upstream_failed         fk upstream_failed      uu upstream_failed
    ku upstream_failed        r upstream_failed`,
  one_failed: `
    f run        f. run       u. run       sf run       ku run      .. wait     s. wait     k. wait
    s skipped    ss skipped   k skipped    sk skipped   r skipped`,
  one_done: `
    s run        s. run       f. run       sf run       k. wait     u. wait     .. wait
    k skipped    u skipped    ku skipped   r skipped    kf run`,
  none_failed: `
    s run        ss run       k run        sk run       kk run      s. wait     k. wait
    f. upstream_failed        u. upstream_failed        sf upstream_failed      fk upstream_failed`,
  none_failed_min_one_success: `
    s run        ss run       sk run       k skipped    kk skipped  k. wait     s. wait
    f. upstream_failed        u. upstream_failed        fk upstream_failed`,
  none_skipped: `
    s run        f run        u run        sf run       su run      s. wait     .. wait
    k. skipped   sk skipped   fk skipped`,
  all_skipped: `
    k run        kk run       k. wait      .. wait
    s. skipped   f. skipped   u. skipped   ks skipped`,
  all_done_min_one_success: `
    s run        sf run       su run       s. wait      .. wait
    k. skipped   sk skipped   f upstream_failed         fu upstream_failed      f. wait`,
  all_done_setup_success: `
    s run        f run        k run        sfku run     s. wait     S run       Sf run      S. wait
    K skipped    KK skipped   Kf skipped   F upstream_failed        Fs upstream_failed      FK upstream_failed
    SF run       SK run       U upstream_failed`,
  always: `. run  f run  k. run  s run`,
};

for (const [rule, lines] of Object.entries(table))
  test(`${rule} does as Airflow's table says`, () => {
    const cells = [...lines.matchAll(/([sfukrSFUK.]+) (run|wait|skipped|upstream_failed)/g)];
    expect(cells.length).toBeGreaterThan(3);
    for (const [, states = "", verdict] of cells)
      expect(`${states} ${verdictOf(rule as TriggerRule, "3", countsOf(states), -1)}`).toBe(
        `${states} ${verdict}`,
      );
  });

test("a task without upstreams runs, whatever its rule", () => {
  for (const rule of Object.keys(table))
    expect(verdictOf(rule as TriggerRule, "3", noCounts, -1)).toBe("run");
});

test.each<[TriggerRule, string, number, SemanticsLevel, Verdict]>([
  ["all_success", "ssr", 0, "2", "run"],
  ["all_success", "ssr", 1, "3", "run"],
  ["all_success", "ssr", 2, "3", "removed"],
  ["all_success", "rr", 0, "3", "run"],
  ["all_success", "sr.", 0, "3", "wait"],
  ["all_success", "ssr", -1, "3", "wait"],
  ["all_success", "ssr", 0, "1.10", "wait"],
  ["all_failed", "ffr", 0, "3", "run"],
  ["none_failed", "skr", 0, "3", "run"],
  ["none_failed_min_one_success", "skr", 0, "3", "run"],
  ["none_failed", "skr", -1, "3", "wait"],
])("mapped: %s over %s at index %i, level %s: %s", (rule, states, index, level, verdict) => {
  expect(verdictOf(rule, level, countsOf(states), index)).toBe(verdict);
});

test("generation 1.10 skips one_success when nothing succeeded", () => {
  expect(verdictOf("one_success", "1.10", countsOf("ff"), -1)).toBe("skipped");
  expect(verdictOf("one_success", "2", countsOf("ff"), -1)).toBe("upstream_failed");
});

test("whatever changes a verdict is a crossing, for every rule and every step of one upstream", () => {
  const rests = [
    "",
    "s",
    "f",
    "k",
    "u",
    "r",
    ".",
    "ss",
    "sk",
    "fu",
    "kk",
    "S",
    "K",
    ",",
    "KF",
    "s.",
    "rr",
  ];
  const misses: string[] = [];
  const check = (
    rule: TriggerRule,
    level: SemanticsLevel,
    index: number,
    old: string,
    now: string,
  ) => {
    const [from, to] = [countsOf(old), countsOf(now)];
    if (verdictOf(rule, level, from, index) !== verdictOf(rule, level, to, index))
      if (!crossed(from, to)) misses.push(`${rule} ${level} [${index}]: ${old} to ${now}`);
  };
  for (const letters of [
    ["s", "f", "u", "k", "r", "."],
    ["S", "F", "U", "K", ","],
  ])
    for (const before of letters)
      for (const after of letters)
        for (const rest of rests)
          for (const rule of Object.keys(table) as TriggerRule[])
            for (const level of ["1.10", "3"] as const)
              for (const index of [-1, 0, 1])
                check(rule, level, index, before + rest, after + rest);
  expect(misses).toEqual([]);
});

function countsOf(letters: string): Counts {
  const how = (...which: string[]): number =>
    letters.split("").filter((l) => which.includes(l)).length;
  return {
    total: letters.length,
    success: how("s", "S"),
    failed: how("f", "F"),
    upstream_failed: how("u", "U"),
    skipped: how("k", "K"),
    removed: how("r"),
    setups: how("S", "F", "U", "K", ","),
    setups_success: how("S"),
    setups_skipped: how("K"),
  };
}
