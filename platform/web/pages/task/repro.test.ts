import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { reproArgs, reproCommand } from "./repro.ts";

const plain = { path: "dags/etl.py", dag: "etl", task: "load", conf: "{}", logicalDate: null };

test("what is not given is not there", () => {
  expect(reproCommand(plain)).toBe("npx airlock run --task load dags/etl.py etl");
  expect(
    reproCommand({ ...plain, conf: '{"region": "eu"}', logicalDate: "2026-01-31T00:00:00.000Z" }),
  ).toBe(
    `npx airlock run --task load --conf '{"region": "eu"}' --logical-date 2026-01-31T00:00:00.000Z dags/etl.py etl`,
  );
});

test("what begins like an option is none", () => {
  expect(reproArgs({ ...plain, task: "--allow", dag: "-x" })).toEqual([
    "run",
    "--task=--allow",
    "--",
    "dags/etl.py",
    "-x",
  ]);
});

// A shell is the judge: what it takes apart must be exactly what was put together.
test.each([
  `it's`,
  `$(touch /tmp/no) \`id\` $HOME`,
  `"; rm -rf / #`,
  "two\nlines",
  "tab\there & there | > < * ? ~ ! {a,b} [x]",
  "\u202Eright to left",
  "\\'\\\\",
  "",
])("a shell reads %j as one word", (word) => {
  const conf = JSON.stringify({ word });
  const command = reproCommand({ ...plain, path: word, task: word, conf });
  const said = execFileSync("/bin/sh", ["-c", command.replace("npx airlock", "printf '%s\\0'")], {
    encoding: "utf8",
  });
  expect(said.split("\0").slice(0, -1)).toEqual(
    reproArgs({ ...plain, path: word, task: word, conf }),
  );
});
