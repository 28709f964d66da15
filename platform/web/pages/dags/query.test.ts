import { expect, test } from "vitest";
import { stripOf } from "../../../../test/kit/run-columns.ts";
import type { IndexedDag } from "../../../api/ui/dag-index.ts";
import type { RunState } from "../../../model/states.ts";
import { type DagFacts, factsOf, hintsAt, readDagQuery, splitTerms } from "./query.ts";

const nowMs = Date.UTC(2026, 10, 24, 12);

export const someDag = (
  dag_id: string,
  more: Partial<IndexedDag> & { last?: RunState } = {},
): IndexedDag => {
  const { last, ...rest } = more;
  return {
    dag_id,
    display_name: dag_id,
    is_paused: false,
    tags: [],
    owners: [],
    repository: "pipelines",
    schedule: "every day at 06:00",
    next_run_at: new Date(nowMs + 3_600_000).toISOString(),
    max_active_runs: 16,
    running: 0,
    queued: 0,
    median_s: null,
    p95_s: null,
    has_import_error: false,
    runs: stripOf(
      ...(last === undefined
        ? []
        : [{ run_id: "r", state: last, after: nowMs / 1000, started: null, ended: null }]),
    ),
    may: { pause: true, trigger: true },
    ...rest,
  };
};

const dags: readonly DagFacts[] = [
  someDag("orders_etl", {
    last: "failed",
    tags: ["etl", "Nightly Load"],
    owners: ["ann"],
    median_s: 700,
  }),
  someDag("payroll", {
    last: "success",
    owners: ["Bob"],
    is_paused: true,
    next_run_at: new Date(nowMs - 3_600_000).toISOString(),
  }),
  someDag("fin_report", {
    display_name: "Quarterly: the report",
    last: "running",
    running: 1,
    tags: ["etl-old"],
    next_run_at: new Date(nowMs - 900_000).toISOString(),
  }),
  someDag("fresh", {
    has_import_error: true,
    next_run_at: null,
    schedule: "only when started",
    repository: "other",
  }),
].map(factsOf);

const found = (text: string): string[] => {
  const { test: holds } = readDagQuery(text);
  return dags
    .filter((facts) => holds(facts, { me: "ANN", nowMs, favourites: new Set(["payroll"]) }))
    .map(({ dag }) => dag.dag_id);
};

test.each([
  ["", ["orders_etl", "payroll", "fin_report", "fresh"]],
  ["   ", ["orders_etl", "payroll", "fin_report", "fresh"]],
  ["ORDERS", ["orders_etl"]],
  ["report quarterly", ["fin_report"]],
  ["etl", ["orders_etl", "fin_report"]],
  ["-etl", ["payroll", "fresh"]],
  ["tag:etl", ["orders_etl", "fin_report"]],
  ['tag:"etl"', ["orders_etl"]],
  ['tag:"nightly load"', ["orders_etl"]],
  ["-tag:etl", ["payroll", "fresh"]],
  ["state:failed", ["orders_etl"]],
  ["state:failed,running", ["orders_etl", "fin_report"]],
  ["STATE:Failed", ["orders_etl"]],
  ["state:none", ["fresh"]],
  ["-state:none", ["orders_etl", "payroll", "fin_report"]],
  ["owner:me", ["orders_etl"]],
  ["owner:bob", ["payroll"]],
  ["owner:b", ["payroll"]],
  ["late:yes", ["fin_report"]],
  ["late:>10m", ["fin_report"]],
  ["late:>15m", []],
  ["late:<1h -late:<1s", ["fin_report"]],
  ["late:no", ["orders_etl", "payroll", "fresh"]],
  ["paused:yes", ["payroll"]],
  ["paused:no error:no", ["orders_etl", "fin_report"]],
  ["running:yes", ["fin_report"]],
  ["queued:yes", []],
  ["error:yes", ["fresh"]],
  ["fav:yes", ["payroll"]],
  ["lasts:>10m", ["orders_etl"]],
  ["lasts:<1h", ["orders_etl"]],
  ["schedule:only", ["fresh"]],
  ["repo:other", ["fresh"]],
  ['"quarterly: the"', ["fin_report"]],
  ['"quarterly: t', ["fin_report"]],
  // Still being typed: it asks for nothing yet.
  ["tag:", ["orders_etl", "payroll", "fin_report", "fresh"]],
  ["-", ["orders_etl", "payroll", "fin_report", "fresh"]],
  ['"', ["orders_etl", "payroll", "fin_report", "fresh"]],
])("%j finds %j", (text, ids) => {
  expect(found(text)).toEqual(ids);
  expect(readDagQuery(text).problems).toEqual([]);
});

test.each([
  ["colour:red", /There is no “colour:”\. There is state: tag:/],
  ["constructor:x", /There is no “constructor:”/],
  ["state:good", /state: takes failed, success/],
  ["late:>ten", /late: takes a length such as >10m/],
  ["late:perhaps", /late: takes yes or no/],
  ["paused:2", /paused: takes yes or no/],
  ["lasts:10", /with s, m, h or d/],
])("%j is explained, and left out of the question", (text, sentence) => {
  const { problems } = readDagQuery(`${text} orders`);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(sentence);
  expect(found(`${text} orders`)).toEqual(["orders_etl"]);
});

test("whatever is typed ends, and is bounded", () => {
  for (const hostile of [
    "-".repeat(10_000),
    '"'.repeat(999),
    ":::",
    "a:b:c",
    "\u202E\u0000",
    "x ".repeat(9_999),
  ]) {
    expect(() => found(hostile)).not.toThrow();
    expect(splitTerms(hostile.slice(0, 500)).every(({ from, to }) => to > from)).toBe(true);
  }
  expect(readDagQuery("a ".repeat(100)).problems).toEqual([
    "Only the first 40 words are looked at.",
  ]);
});

const known = { tags: ["etl", "Nightly Load"], owners: ["ann"], repositories: ["pipelines"] };
const hinted = (text: string, caret = text.length): string[] =>
  hintsAt(text, caret, known).map(({ shown }) => shown);

test("hints: keys where a word begins, values behind a key", () => {
  expect(hinted("")).toContain("state:");
  expect(hinted("st")).toEqual(["state:"]);
  expect(hinted("-ta")).toEqual(["-tag:"]);
  expect(hinted("state:")).toEqual(
    ["failed", "success", "running", "queued", "none"].map((s) => `state:${s}`),
  );
  expect(hinted("owner:")).toEqual(["owner:me", "owner:ann"]);
  expect(hinted("tag:n")).toEqual(['tag:"Nightly Load"']);
  expect(hinted("state:failed")).toEqual([]);
  expect(hinted("colour:")).toEqual([]);
  expect(hinted('"st')).toEqual([]);
  expect(hinted("st orders", 2)).toEqual(["state:"]);
});

test("a taken hint stands where the word stood, and the caret behind it", () => {
  const [hint] = hintsAt("st orders", 2, known);
  expect(hint).toMatchObject({ text: "state: orders", caret: 6 });
  const [value] = hintsAt("-state:f orders", 8, known);
  expect(value).toMatchObject({ text: "-state:failed orders", caret: 14 });
});
