/** What `airlock validate` found, for people and for the machines that the contract names. Pure. */
import type { Timetable } from "../model/dag-spec.ts";
import type { FileProblem } from "../model/guest.ts";
import type { CheckedFile } from "./check-repository.ts";

/** The contract's JSON: one entry per file. */
export function findingsJson(files: readonly CheckedFile[]): object {
  return {
    files: files.map((file) => ({
      path: file.path,
      ok: file.ok,
      dags: file.dags.map((dag) => ({
        dag_id: dag.dag_id,
        schedule: scheduleText(dag.timetable),
        tasks: dag.tasks.map((task) => ({
          task_id: task.task_id,
          operator: task.operator,
          downstream_task_ids: task.downstream,
        })),
      })),
      errors: file.errors.map(problemJson),
      warnings: file.warnings.map(problemJson),
      ms: Math.round(file.ms),
    })),
    ok: files.every(({ ok }) => ok),
  };
}

const problemJson = ({ line, column, message, hint }: FileProblem): object => ({
  line: line ?? null,
  column: column ?? null,
  message,
  hint: hint ?? null,
});

export function scheduleText(timetable: Timetable): string | null {
  switch (timetable.kind) {
    case "none":
      return null;
    case "once":
      return "@once";
    case "continuous":
      return "@continuous";
    case "cron_interval":
    case "cron_trigger":
      return timetable.expression;
    case "delta":
      return `every ${durationText(timetable.seconds)}`;
  }
}

export function durationText(seconds: number): string {
  const units: readonly (readonly [string, number])[] = [
    ["d", 86_400],
    ["h", 3_600],
    ["m", 60],
  ];
  for (const [unit, size] of units)
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
  return `${Number(seconds.toFixed(3))}s`;
}

/** GitHub's workflow commands: annotations at file and line. `prefix`: from the work tree to the repository. */
export function findingsGithub(files: readonly CheckedFile[], prefix: string): string {
  const line = (kind: string, path: string, problem: FileProblem): string => {
    const where = [
      `file=${escapeProperty(prefix + path)}`,
      ...(problem.line === undefined ? [] : [`line=${problem.line}`]),
      ...(problem.column === undefined ? [] : [`col=${problem.column}`]),
      "title=airlock",
    ].join(",");
    const text =
      problem.hint === undefined ? problem.message : `${problem.message}\n${problem.hint}`;
    return `::${kind} ${where}::${escapeData(text)}\n`;
  };
  return files
    .flatMap(({ path, errors, warnings }) => [
      ...errors.map((problem) => line("error", path, problem)),
      ...warnings.map((problem) => line("warning", path, problem)),
    ])
    .join("");
}

// Without escaping, a DAG's message could add workflow commands of its own.
const escapeData = (text: string): string =>
  text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
const escapeProperty = (text: string): string =>
  escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");

/** GitLab's code quality report. `fingerprint` makes a stable name of a text. */
export function findingsGitlab(
  files: readonly CheckedFile[],
  prefix: string,
  fingerprint: (text: string) => string,
): object {
  const entry = (severity: string, path: string, problem: FileProblem): object => ({
    description:
      problem.hint === undefined ? problem.message : `${problem.message}: ${problem.hint}`,
    check_name: "airlock-validate",
    fingerprint: fingerprint(`${path}\n${problem.message}`),
    severity,
    location: { path: prefix + path, lines: { begin: problem.line ?? 1 } },
  });
  return files.flatMap(({ path, errors, warnings }) => [
    ...errors.map((problem) => entry("major", path, problem)),
    ...warnings.map((problem) => entry("minor", path, problem)),
  ]);
}

/** Each paints a text. */
export type Ink = {
  readonly [style in "bold" | "dim" | "red" | "green" | "yellow" | "cyan"]: (
    text: string,
  ) => string;
};

/** For people: every problem with the lines around it. `source`: a file's text, if it has one. */
export function findingsPretty(
  files: readonly CheckedFile[],
  source: (path: string) => string | undefined,
  ink: Ink,
): string {
  const out: string[] = [];
  for (const file of files) {
    const mark = file.ok ? ink.green("✓") : ink.red("✗");
    const dags = file.dags.map(
      (dag) => `${dag.dag_id} (${dag.tasks.length} ${dag.tasks.length === 1 ? "task" : "tasks"})`,
    );
    out.push(
      `${mark} ${ink.bold(file.path)}${dags.length === 0 ? "" : `  ${dags.join(", ")}`}${file.ms < 1 ? "" : ink.dim(`  ${Math.round(file.ms)} ms`)}`,
    );
    for (const problem of file.errors) out.push(...tellProblem(file.path, problem, "error"));
    for (const problem of file.warnings) out.push(...tellProblem(file.path, problem, "warning"));
  }
  const errors = files.reduce((sum, file) => sum + file.errors.length, 0);
  const dags = files.reduce((sum, file) => sum + file.dags.length, 0);
  const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? "" : "s"}`;
  out.push(
    errors === 0
      ? ink.green(`${count(dags, "DAG")} in ${count(files.length, "file")}: all valid`)
      : ink.red(
          `${count(errors, "problem")} in ${count(files.filter(({ ok }) => !ok).length, "file")}`,
        ),
  );
  return `${out.join("\n")}\n`;

  function tellProblem(path: string, problem: FileProblem, kind: "error" | "warning"): string[] {
    const paint = kind === "error" ? ink.red : ink.yellow;
    const where =
      problem.line === undefined
        ? path
        : `${path}:${problem.line}${problem.column === undefined ? "" : `:${problem.column}`}`;
    const text = problem.line === undefined ? undefined : source(path);
    return [
      `  ${paint(kind)} ${ink.cyan(where)}: ${clean(problem.message)}`,
      ...(text === undefined || problem.line === undefined
        ? []
        : codeFrame(text, problem.line, problem.column, ink)),
      ...(problem.hint === undefined ? [] : [`    ${ink.dim("→")} ${clean(problem.hint)}`]),
    ];
  }
}

/** Two lines before, the line, one after; a caret under the column. */
export function codeFrame(
  text: string,
  line: number,
  column: number | undefined,
  ink: Ink,
): string[] {
  const lines = text.split(/\r?\n/);
  if (line < 1 || line > lines.length) return [];
  const last = Math.min(lines.length, line + 1);
  const wide = String(last).length;
  const frame: string[] = [];
  for (let at = Math.max(1, line - 2); at <= last; at++) {
    const code = clean((lines[at - 1] ?? "").replaceAll("\t", "    ")).slice(0, 160);
    const mark = at === line ? ink.red(">") : " ";
    frame.push(`  ${mark} ${ink.dim(`${String(at).padStart(wide)} │`)} ${code}`.trimEnd());
    if (at === line && column !== undefined && column >= 1) {
      const before = (lines[at - 1] ?? "").slice(0, column - 1).replaceAll("\t", "    ").length;
      if (before < 160)
        frame.push(`    ${ink.dim(`${" ".repeat(wide)} │`)} ${" ".repeat(before)}${ink.red("^")}`);
    }
  }
  return frame;
}

// oxlint-disable-next-line no-control-regex -- control characters of a stranger's text would drive the reader's terminal
const clean = (text: string): string => text.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
