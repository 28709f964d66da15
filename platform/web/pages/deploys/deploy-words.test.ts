import { expect, test } from "vitest";
import { canGoBackTo, dagWords, partsOf, reasonWords, standing } from "./deploy-words.ts";

const repositories = [{ repository: "pipelines", live_commit: "b", rollback: null }];
const line = (deploy: string, commit: string, state: "live" | "failed" | "syncing" = "live") => ({
  deploy,
  commit,
  state,
  repository: "pipelines",
});

test("of several deploys of the live commit, the newest is the one that is live", () => {
  const all = [line("4", "c", "failed"), line("3", "b"), line("2", "b"), line("1", "a")];
  expect(all.map((one) => standing(one, all, repositories))).toEqual([
    "failed",
    "live",
    "was live",
    "was live",
  ]);
});

test("one can go back to what was live and is not", () => {
  const at = (commit: string, was_live: boolean) =>
    canGoBackTo({ repository: "pipelines", commit, was_live }, repositories);
  expect([at("a", true), at("b", true), at("c", false)]).toEqual([true, false, false]);
  const held = [
    {
      repository: "pipelines",
      live_commit: "b",
      rollback: { commit: "a", instead_of: "b", at: "", by: "" },
    },
  ];
  expect(canGoBackTo({ repository: "pipelines", commit: "a", was_live: true }, held)).toBe(false);
});

test("counts and reasons are told in words, and nothing that did not happen", () => {
  expect(dagWords({ new: 1, changed: 0, unchanged: 2, removed: 3 })).toBe(
    "3 DAGs: 1 new, 3 removed",
  );
  expect(dagWords({ new: 0, changed: 0, unchanged: 1, removed: 0 })).toBe("1 DAG");
  expect(reasonWords({ reason: "push", asked_by: "user:ann" })).toBe("pushed by ann");
  expect(reasonWords({ reason: "poll", asked_by: null })).toBe("found by polling");
});

test("the parts of a deploy are in their order and make the whole", () => {
  const parts = partsOf({ parts: { store: 10, fetch: 20, parse: 50 }, ms: 100 });
  expect(parts.map(({ name, ms }) => `${name} ${ms}`)).toEqual([
    "fetch 20",
    "parse 50",
    "store 10",
    "other 20",
  ]);
  expect(parts.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
  expect(partsOf({ parts: null, ms: 100 })).toEqual([]);
});
