import { expect, test } from "vitest";
import { applyAirflowIgnore } from "./airflow-ignore.ts";
import { findDagFiles, type Tree } from "./find-dag-files.ts";

const dag = "from airflow import DAG";

function treeOf(files: Record<string, string>): Tree & { readonly reads: string[] } {
  const reads: string[] = [];
  return {
    files: Object.entries(files).map(([path, text]) => ({ path, bytes: Buffer.byteLength(text) })),
    async read(path) {
      reads.push(path);
      return Buffer.from(files[path] ?? "");
    },
    reads,
  };
}

test("dags/ holds DAG files of three kinds, searched recursively", async () => {
  const found = await findDagFiles(
    treeOf({
      "dags/a.py": dag,
      "dags/sub/b.py": dag,
      "dags/c.dag.ts": "",
      "dags/d.dag.yaml": "",
      "dags/my-dag v2.py": dag,
      "dags/helper.py": "x = 1",
      "dags/e.ts": "",
      "dags/f.yaml": "",
      "plugins/p.py": dag,
      "include/i.py": dag,
      "setup.py": dag,
      "dags/__pycache__/x.py": dag,
      "dags/node_modules/m/x.dag.ts": "",
      "dags/.hidden/x.py": dag,
    }),
    {},
  );
  expect(found).toEqual({
    dagsFolder: "dags",
    files: ["dags/a.py", "dags/c.dag.ts", "dags/d.dag.yaml", "dags/my-dag v2.py", "dags/sub/b.py"],
    problems: [],
  });
});

test("a repository without dags/ is itself the DAG folder, its import roots are not", async () => {
  const found = await findDagFiles(
    treeOf({ "a.py": dag, "team/b.py": dag, "plugins/p.py": dag, "include/i.py": dag }),
    {},
  );
  expect(found).toMatchObject({ dagsFolder: "", files: ["a.py", "team/b.py"] });
});

test("airlock.yaml's folder wins, and one that does not exist is a problem", async () => {
  const tree = treeOf({ "pipelines/a.py": dag, "dags/b.py": dag });
  expect(await findDagFiles(tree, { dagsFolder: "pipelines" })).toMatchObject({
    files: ["pipelines/a.py"],
  });
  expect((await findDagFiles(tree, { dagsFolder: "nope" })).problems).toHaveLength(1);
});

test.each([
  ["from airflow import DAG", true],
  ["from AIRFLOW import dAg", true],
  ["from airflow.sdk import asset", true],
  ["import airflow", false],
  ["a dag of no flow", false],
])("safe mode: %j is a DAG file: %s", async (text, expected) => {
  expect((await findDagFiles(treeOf({ "dags/x.py": text }), {})).files.length === 1).toBe(expected);
});

test("a DAG file of more than 1 MiB is a problem, not read", async () => {
  const tree = treeOf({ "dags/big.dag.yaml": "x".repeat(2 ** 20 + 1), "dags/a.py": dag });
  const found = await findDagFiles(tree, {});
  expect(found.files).toEqual(["dags/a.py"]);
  expect(found.problems).toMatchObject([{ path: "dags/big.dag.yaml" }]);
  expect(tree.reads).toEqual(["dags/a.py"]);
});

test(".airflowignore speaks for its own folder and below", async () => {
  const found = await findDagFiles(
    treeOf({
      "dags/.airflowignore": "skip_me\n",
      "dags/skip_me/a.py": dag,
      "dags/t/.airflowignore": "x.py",
      "dags/t/x.py": dag,
      "dags/x.py": dag,
    }),
    { level: "3" },
  );
  expect(found.files).toEqual(["dags/x.py"]);
});

const ignoredBy = (text: string, paths: string[], syntax?: "glob" | "regexp"): string[] =>
  [...applyAirflowIgnore([{ folder: "", text }], paths, syntax).ignored].toSorted();

test.each([
  ["tests/", ["tests/a.py", "sub/tests/b.py", "tests.py"], ["sub/tests/b.py", "tests/a.py"]],
  ["/tests", ["tests/a.py", "sub/tests/b.py"], ["tests/a.py"]],
  ["util/*", ["util/a.py", "util/x/b.py", "x/util/a.py"], ["util/a.py", "util/x/b.py"]],
  ["*_test.py", ["a_test.py", "x/b_test.py", "test.py"], ["a_test.py", "x/b_test.py"]],
  ["**/gen/**", ["a/gen/x.py", "gen/y.py", "gen.py"], ["a/gen/x.py", "gen/y.py"]],
  ["a/**/z.py", ["a/z.py", "a/b/c/z.py", "z.py"], ["a/b/c/z.py", "a/z.py"]],
  ["*.py\n!keep.py", ["a.py", "keep.py"], ["a.py"]],
  ["sub\n!sub/keep.py", ["sub/keep.py"], ["sub/keep.py"]],
  ["[ab]?.py", ["ax.py", "cx.py", "a.py"], ["ax.py"]],
  ["[!a].py", ["a.py", "b.py"], ["b.py"]],
  ["# comment\n\n  spaced.py  # why", ["spaced.py", "comment"], ["spaced.py"]],
  ["\\#x.py", ["#x.py"], ["#x.py"]],
  ["\\!x.py", ["!x.py"], ["!x.py"]],
])("glob %j", (text, paths, expected) => expect(ignoredBy(text, paths, "glob")).toEqual(expected));

test.each([
  ["tests/.*", ["tests/a.py", "sub/tests/b.py"], ["sub/tests/b.py", "tests/a.py"]],
  [".*lib.*", ["mylib/a.py", "a.py"], ["mylib/a.py"]],
  ["project_a\n", ["project_a/x.py", "x.py"], ["project_a/x.py"]],
  ["^(?!keep)", ["keep.py", "a.py"], ["a.py"]],
  ["(?i)TEST", ["test.py"], ["test.py"]],
  ["(?P<n>x)\\Z", ["a/x", "x.py"], ["a/x"]],
])("regexp %j", (text, paths, expected) =>
  expect(ignoredBy(text, paths, "regexp")).toEqual(expected),
);

test("without a level the file's own signs decide the syntax", () => {
  expect(ignoredBy(".*_lib\\.py", ["my_lib.py"])).toEqual(["my_lib.py"]);
  expect(ignoredBy("tests/", ["tests/a.py", "mytests/b.py"])).toEqual(["tests/a.py"]);
});

test("a pattern that backtracks for ever costs a moment and is reported with its line", () => {
  const begin = performance.now();
  const answer = applyAirflowIgnore(
    [{ folder: "", text: "ok\n(a+)+$\nlater" }],
    [`${"a".repeat(60)}!.py`, "ok.py"],
    "regexp",
  );
  expect(performance.now() - begin).toBeLessThan(2000);
  expect([...answer.ignored]).toEqual(["ok.py"]);
  expect(answer.problems[0]).toMatchObject({ line: 2 });
});

test("a glob with many stars is no way to burn time", () => {
  const begin = performance.now();
  ignoredBy(
    "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b\n**/**/**/**/**/**/**/**/**/x/**/**/**/y",
    Array.from({ length: 500 }, (_, i) => `${"a/".repeat(18)}${"a".repeat(200)}${i}.py`),
    "glob",
  );
  expect(performance.now() - begin).toBeLessThan(3000);
});

test("a broken regexp is reported, the other lines hold", () => {
  const answer = applyAirflowIgnore(
    [{ folder: "sub", text: "(\nx" }],
    ["sub/x.py", "x.py"],
    "regexp",
  );
  expect([...answer.ignored]).toEqual(["sub/x.py"]);
  expect(answer.problems).toMatchObject([{ folder: "sub", line: 1 }]);
});
