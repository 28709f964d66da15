import { expect, test } from "vitest";
import type { CheckedFile } from "./check-repository.ts";
import {
  codeFrame,
  durationText,
  findingsGithub,
  findingsGitlab,
  findingsJson,
  findingsPretty,
  type Ink,
  scheduleText,
} from "./write-findings.ts";

const plain = (text: string): string => text;
const ink: Ink = { bold: plain, dim: plain, red: plain, green: plain, yellow: plain, cyan: plain };
const file = (errors: CheckedFile["errors"], path = "dags/a.py"): CheckedFile => ({
  path,
  ok: errors.length === 0,
  dags: [],
  errors,
  warnings: [],
  packages: [],
  ms: 12.4,
});

test("a code frame shows the lines around, the mark and the caret, tabs and all", () => {
  const text = "one\ntwo\n\tthree = (\nfour\nfive\n";
  expect(codeFrame(text, 3, 10, ink)).toEqual([
    "    1 │ one",
    "    2 │ two",
    "  > 3 │     three = (",
    "      │             ^",
    "    4 │ four",
  ]);
  expect(codeFrame(text, 99, 1, ink)).toEqual([]);
  expect(codeFrame("x", 1, undefined, ink)).toEqual(["  > 1 │ x"]);
});

test("a DAG's message cannot add a workflow command of its own", () => {
  const said = findingsGithub(
    [file([{ line: 2, message: "a\n::set-output name=x::y", hint: "100% sure" }], "dags/a,b:c.py")],
    "sub/",
  );
  expect(said).toBe(
    "::error file=sub/dags/a%2Cb%3Ac.py,line=2,title=airlock::a%0A::set-output name=x::y%0A100%25 sure\n",
  );
  expect(said.trimEnd().split("\n")).toHaveLength(1);
});

test("a stranger's escape sequences do not reach the terminal", () => {
  const said = findingsPretty(
    [file([{ line: 1, message: "x\u001b[2Jy" }])],
    () => "code\u001b]0;title\u0007",
    ink,
  );
  // oxlint-disable-next-line no-control-regex -- that is what must not be there
  expect(said).not.toMatch(/[\u001b\u0007]/);
  expect(said).toContain("1 problem in 1 file");
});

test("the contract's JSON has every key, null where nothing is known", () => {
  expect(findingsJson([file([{ message: "bad" }])])).toEqual({
    files: [
      {
        path: "dags/a.py",
        ok: false,
        dags: [],
        errors: [{ line: null, column: null, message: "bad", hint: null }],
        warnings: [],
        ms: 12,
      },
    ],
    ok: false,
  });
  expect(findingsJson([])).toEqual({ files: [], ok: true });
});

test("GitLab gets a line always, and the same fingerprint for the same problem", () => {
  const entries = findingsGitlab(
    [file([{ message: "bad", hint: "do" }])],
    "",
    (text) => `f(${text})`,
  );
  expect(entries).toEqual([
    {
      description: "bad: do",
      check_name: "airlock-validate",
      fingerprint: "f(dags/a.py\nbad)",
      severity: "major",
      location: { path: "dags/a.py", lines: { begin: 1 } },
    },
  ]);
});

test("schedules are said as people write them", () => {
  expect(scheduleText({ kind: "none" })).toBeNull();
  expect(
    scheduleText({ kind: "cron_trigger", expression: "0 6 * * *", timezone: "UTC", interval_s: 0 }),
  ).toBe("0 6 * * *");
  expect(scheduleText({ kind: "delta", seconds: 5400 })).toBe("every 90m");
  expect([60, 86_400, 7_201, 0.5].map(durationText)).toEqual(["1m", "1d", "7201s", "0.5s"]);
});
