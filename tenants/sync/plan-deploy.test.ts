import fc from "fast-check";
import { expect, test } from "vitest";
import type { DagSpec } from "../../platform/model/dag-spec.ts";
import { type DagId, known } from "../../platform/model/ids.ts";
import { describeDeploy } from "./describe-deploy.ts";
import { canonical, inputHash, readInputs, setHash, versionHash } from "./file-sets.ts";
import { type DeployFacts, type FileFinding, planDeploy } from "./plan-deploy.ts";
import { pollSeconds } from "./poll-period.ts";

const id = known.dag;
const specOf = (dag_id: string): DagSpec => ({ dag_id }) as DagSpec;
const parsed = (path: string, dags: Record<string, string>): FileFinding => ({
  kind: "parsed",
  path,
  dags: Object.entries(dags).map(([name, hash]) => ({ spec: specOf(name), hash })),
});
const unchanged = (path: string, ...ids: string[]): FileFinding => ({
  kind: "unchanged",
  path,
  dagIds: ids.map(id),
});
const broken = (path: string): FileFinding => ({
  kind: "bad",
  path,
  problems: [{ message: "broken" }],
});
const live = (
  dag_id: string,
  path: string,
  hash = "h",
  state: "active" | "retired" = "active",
): DeployFacts["live"][number] => ({ dag_id: id(dag_id), path, hash, state });
const plan = (
  findings: FileFinding[],
  before: DeployFacts["live"] = [],
  more: Partial<DeployFacts> = {},
): ReturnType<typeof planDeploy> =>
  planDeploy({
    findings,
    live: before,
    foreign: new Map(),
    foreignCount: 0,
    dagsMax: 2000,
    ...more,
  });

test("new, changed, unchanged and removed are told apart", () => {
  const decided = plan(
    [parsed("a.py", { a: "1" }), parsed("b.py", { b: "2" }), unchanged("c.py", "c")],
    [live("b", "b.py", "1"), live("c", "c.py"), live("d", "d.py")],
  );
  expect(decided).toMatchObject({
    state: "live",
    counts: { new: 1, changed: 1, unchanged: 1, removed: 1 },
    retire: ["d"],
    move: [{ dag_id: "c", path: "c.py" }],
  });
  expect(decided.publish.map(({ spec }) => spec.dag_id).toSorted()).toEqual(["a", "b"]);
});

test("a file that was parsed again with the same result stores no version", () => {
  expect(plan([parsed("a.py", { a: "1" })], [live("a", "a.py", "1")])).toMatchObject({
    publish: [],
    move: [{ dag_id: "a" }],
    counts: { unchanged: 1 },
  });
});

test("a bad file blocks only itself: its DAGs stay, the others go live", () => {
  const decided = plan(
    [broken("a.py"), parsed("b.py", { b: "2" })],
    [live("a", "a.py"), live("b", "b.py", "1")],
  );
  expect(decided).toMatchObject({
    state: "live",
    retire: [],
    counts: { new: 0, changed: 1, unchanged: 1, removed: 0 },
  });
  expect(decided.badFiles.map(({ path }) => path)).toEqual(["a.py"]);
});

test("nothing good at all is a failed deploy that changes nothing", () => {
  expect(plan([broken("a.py")], [live("a", "a.py"), live("b", "gone.py")])).toMatchObject({
    state: "failed",
    publish: [],
    move: [],
    retire: [],
    counts: { unchanged: 2 },
  });
});

test("an empty repository retires what it had", () => {
  expect(plan([], [live("a", "a.py")])).toMatchObject({ state: "live", retire: ["a"] });
});

test("a DAG that moves to another file is changed, not removed, also if the old file is broken now", () => {
  expect(plan([parsed("b.py", { a: "2" })], [live("a", "a.py", "1")])).toMatchObject({
    retire: [],
    counts: { changed: 1, removed: 0 },
  });
  expect(
    plan([broken("a.py"), parsed("b.py", { a: "2" })], [live("a", "a.py", "1")]),
  ).toMatchObject({ retire: [], counts: { changed: 1, unchanged: 0 } });
});

test("of two files with one DAG id, the one that has it live keeps it", () => {
  const decided = plan([parsed("a.py", { x: "1" }), unchanged("z.py", "x")], [live("x", "z.py")]);
  expect(decided.badFiles).toEqual([
    {
      path: "a.py",
      problems: [expect.objectContaining({ message: "the DAG x is already defined in z.py" })],
    },
  ]);
  expect(plan([parsed("b.py", { x: "1" }), parsed("a.py", { x: "1" })]).badFiles).toMatchObject([
    { path: "b.py" },
  ]);
});

test("one file that defines an id twice, and an id of another repository, are problems", () => {
  const twice: FileFinding = {
    kind: "parsed",
    path: "a.py",
    dags: [
      { spec: specOf("x"), hash: "1" },
      { spec: specOf("x"), hash: "2" },
    ],
  };
  expect(plan([twice, parsed("b.py", { y: "1" })]).badFiles[0]?.problems[0]?.message).toContain(
    "twice",
  );
  const foreign = new Map<DagId, { repository: string; path: string }>([
    [id("x"), { repository: "other", path: "dags/x.py" }],
  ]);
  expect(
    plan([parsed("a.py", { x: "1" })], [], { foreign }).badFiles[0]?.problems[0]?.message,
  ).toContain("dags/x.py of the repository other");
});

test("a tenant has no more DAGs than it may", () => {
  const decided = plan([parsed("a.py", { a: "1", b: "1" }), parsed("b.py", { c: "1" })], [], {
    foreignCount: 8,
    dagsMax: 10,
  });
  expect(decided.badFiles.map(({ path }) => path)).toEqual(["b.py"]);
});

test("a retired DAG that comes back is new", () => {
  expect(plan([parsed("a.py", { a: "1" })], [live("a", "a.py", "1", "retired")])).toMatchObject({
    counts: { new: 1 },
    publish: [{ path: "a.py" }],
  });
});

test("whatever the files hold: no id goes live twice, nothing of a bad file moves, no live DAG is lost without being retired", () => {
  const finding = fc.record({
    path: fc.constantFrom("a", "b", "c", "d"),
    kind: fc.constantFrom("parsed", "bad"),
    ids: fc.uniqueArray(fc.constantFrom("p", "q", "r", "s"), { maxLength: 3 }),
  });
  const before = fc.uniqueArray(
    fc.record({
      dag: fc.constantFrom("p", "q", "r", "s"),
      path: fc.constantFrom("a", "b", "c", "z"),
      state: fc.constantFrom("active" as const, "retired" as const),
    }),
    { selector: ({ dag }) => dag },
  );
  fc.assert(
    fc.property(
      fc.uniqueArray(finding, { selector: ({ path }) => path }),
      before,
      (files, held) => {
        const decided = plan(
          files.map(({ path, kind, ids }) =>
            kind === "bad"
              ? broken(path)
              : parsed(path, Object.fromEntries(ids.map((name) => [name, "1"]))),
          ),
          held.map(({ dag, path, state }) => live(dag, path, "0", state)),
        );
        const on = [
          ...decided.publish.map(({ spec }) => spec.dag_id),
          ...decided.move.map(({ dag_id }) => dag_id),
        ];
        expect(new Set(on).size).toBe(on.length);
        const bad = new Set(decided.badFiles.map(({ path }) => path));
        for (const { path } of [...decided.publish, ...decided.move])
          expect(bad.has(path)).toBe(false);
        const active = held.filter(({ state }) => state === "active");
        const kept = active.filter(
          ({ dag, path }) => !on.includes(id(dag)) && (bad.has(path) || decided.state === "failed"),
        );
        for (const { dag } of active)
          expect(
            on.includes(id(dag)) ||
              decided.retire.includes(id(dag)) ||
              kept.some((other) => other.dag === dag),
          ).toBe(true);
        const { counts } = decided;
        expect(counts.new + counts.changed + counts.unchanged).toBe(on.length + kept.length);
      },
    ),
    { numRuns: 300 },
  );
});

test("the answer reads as the contract says", () => {
  const errors = [
    { path: "dags/orders.py", line: 12, message: "NameError: x", hint: "define x" },
    { path: "", message: "whole" },
  ];
  expect(
    describeDeploy({
      state: "live",
      ms: 412.3,
      dags: { new: 1, changed: 1, unchanged: 1, removed: 0 },
      errors: [],
    }),
  ).toEqual(["live in 412 ms: 3 DAGs (1 new, 1 changed, 1 unchanged)"]);
  expect(
    describeDeploy({
      state: "live",
      ms: 9,
      dags: { new: 1, changed: 0, unchanged: 0, removed: 2 },
      errors,
    }),
  ).toEqual([
    "live in 9 ms: 1 DAG (1 new, 2 removed)",
    "dags/orders.py:12: NameError: x",
    "    define x",
    "whole",
  ]);
  expect(
    describeDeploy({
      state: "failed",
      ms: 9,
      dags: { new: 0, changed: 0, unchanged: 2, removed: 0 },
      errors: Array.from({ length: 30 }, () => ({ path: "a", message: "m" })),
    }),
  ).toHaveLength(22);
});

const blobs = new Map([
  ["dags/a.py", "1"],
  ["include/x.sql", "2"],
  ["include/y.sql", "3"],
]);

test("a set changes with any of its files, with a file that appears, and with the folder it listed", () => {
  const inputs = readInputs("dags/a.py", ["include/x.sql", "./include/later.py"]);
  const before = inputHash(inputs, blobs);
  expect(inputHash(inputs, new Map([...blobs, ["include/y.sql", "9"]]))).toBe(before);
  expect(inputHash(inputs, new Map([...blobs, ["include/x.sql", "9"]]))).not.toBe(before);
  expect(inputHash(inputs, new Map([...blobs, ["include/later.py", "1"]]))).not.toBe(before);
  const listing = readInputs("dags/a.py", ["include/"]);
  expect(inputHash(listing, new Map([...blobs, ["include/new.sql", "1"]]))).not.toBe(
    inputHash(listing, blobs),
  );
});

test("a guest that names too many inputs depends on everything", () => {
  expect(
    readInputs(
      "a.py",
      Array.from({ length: 5000 }, (_, i) => `f${i}`),
    ),
  ).toEqual(["/"]);
  expect(readInputs("a.py", ["../../etc/passwd", "x".repeat(500)])).toEqual(["a.py"]);
});

test("set and version hashes tell apart what must be told apart", () => {
  const setting = { environment: "e", guestVersion: "1", dagsFolder: "dags", level: "" };
  const hashes = [
    setting,
    { ...setting, environment: "f" },
    { ...setting, guestVersion: "2" },
    { ...setting, dagsFolder: "" },
    { ...setting, level: "2" },
  ].map((each) => setHash("i", each));
  expect(new Set(hashes).size).toBe(5);
  expect(versionHash({ a: 1, b: [{ d: 1, c: 2 }] }, "i")).toBe(
    versionHash({ b: [{ c: 2, d: 1 }], a: 1 }, "i"),
  );
  expect(versionHash({ a: 1 }, "i")).not.toBe(versionHash({ a: 1 }, "j"));
  expect(canonical({ b: [1, null], a: "x" })).toBe('{"a":"x","b":[1,null]}');
});

test("polling is quick after a change, calm later, patient with failures and with webhooks", () => {
  const calm = { quietMs: undefined, webhookMs: undefined, failures: 0, dice: 0.5 };
  expect(pollSeconds({ ...calm, quietMs: 1000 })).toBe(5);
  expect(pollSeconds(calm)).toBe(300);
  expect(pollSeconds({ ...calm, quietMs: 20 * 60_000 })).toBe(60);
  expect(pollSeconds({ ...calm, webhookMs: 60_000 })).toBe(900);
  expect(pollSeconds({ ...calm, failures: 1 })).toBe(10);
  expect(pollSeconds({ ...calm, failures: 50 })).toBe(3600);
});
