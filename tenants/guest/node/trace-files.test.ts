import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { filesOfTask } from "./trace-files.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "trace-")));
afterAll(() => {
  rmSync(root, { recursive: true });
});
const files = {
  "dags/tasks/a.ts":
    'import { b } from "../lib/b.ts";\nexport { c } from "./c.js";\nimport x from "zod";',
  "dags/lib/b.ts": 'const later = await import("./d");',
  "dags/lib/d.ts": 'import "../tasks/a.ts";',
  "dags/tasks/c.ts": "",
  "dags/clean.py": "import os, helper\nfrom include.more import x\nfrom .near import y",
  "dags/helper.py": "import clean",
  "dags/near.py": "",
  "include/more.py": "",
  "dags/report.sh": "",
  "data/air.csv": "",
  "sql/load.sql": "",
};
for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
symlinkSync("/etc/passwd", join(root, "dags/passwd.py"));
const traced = (args: object): string[] =>
  filesOfTask(root, "dags/d.dag.yaml", { ...args }).toSorted();

test("a script brings what it imports, round circles and past packages", () => {
  expect(traced({ script: "tasks/a.ts" })).toEqual([
    "dags/lib/b.ts",
    "dags/lib/d.ts",
    "dags/tasks/a.ts",
    "dags/tasks/c.ts",
  ]);
  expect(traced({ script: "clean.py" })).toEqual([
    "dags/clean.py",
    "dags/helper.py",
    "dags/near.py",
    "include/more.py",
  ]);
});

test("SQL files, inline code, and the files a command names", () => {
  expect(traced({ file: "sql/load.sql" })).toEqual(["sql/load.sql"]);
  expect(traced({ code: 'import { c } from "./tasks/c.ts";\nimport helper' })).toContain(
    "dags/tasks/c.ts",
  );
  expect(
    traced({ command: "set -e\n./report.sh | wc -l < ../data/air.csv; ls nothing.txt" }),
  ).toEqual(["dags/report.sh", "data/air.csv"]);
});

test("nothing outside of the repository is read, by dots or by a link", () => {
  expect(
    traced({ script: "../../../../etc/passwd", file: "passwd.py", command: "cat /etc/passwd" }),
  ).toEqual([]);
});
