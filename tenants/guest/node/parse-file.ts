/** One DAG file → specs and problems. The author's code runs here, so anything may happen; all of it becomes problems of the file. */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { FileProblem } from "../../../platform/model/guest.ts";
import { isObject } from "../../../platform/model/json.ts";
import type { Dag } from "../sdk/author-types.ts";
import { insideOf as insideOfDag, takeRegistered } from "../sdk/build-dag.ts";
import { DagProblems } from "../sdk/problem.ts";
import { explainError } from "./explain-error.ts";
import { bundleFile, type Imports, insideOf } from "./load-author-file.ts";
import { filesOfTask } from "./trace-files.ts";

export type FileFacts = {
  readonly dags: readonly unknown[];
  readonly errors: readonly FileProblem[];
  readonly warnings: readonly FileProblem[];
  readonly inputs: readonly string[];
  readonly packages: readonly string[];
};

const fileBytesMax = 1024 * 1024;

export async function parseFile(
  bundle: string,
  file: string,
  imports: Imports,
): Promise<FileFacts> {
  const path = bundleFile(bundle, file);
  if (path === undefined)
    return failure(file, { message: `${file} is not a file of the repository` });
  const { size } = statSync(path);
  if (size > fileBytesMax)
    return failure(file, {
      line: 1,
      column: 1,
      message: `the file is ${(size / 1024 / 1024).toFixed(1)} MiB, a DAG file may have 1 MiB`,
      hint: "Keep data in files of its own and read them in tasks.",
    });
  if (/\.ya?ml$/.test(path)) {
    const { readYamlFile } = await import("../yaml/read-yaml-dag.ts");
    return readYamlFile(
      realpathSync(bundle),
      insideOf(realpathSync(bundle), path) ?? file,
      readFileSync(path),
    );
  }
  return parseTypescript(realpathSync(bundle), path, imports);
}

async function parseTypescript(root: string, path: string, imports: Imports): Promise<FileFacts> {
  const own = insideOf(root, path) ?? path;
  const errors: FileProblem[] = [];
  try {
    await import(pathToFileURL(path).href);
  } catch (thrown) {
    errors.push(...problemsOf(thrown, root, own, imports));
  }
  const built = takeRegistered();
  const twice = built.find((dag, index) => built.findIndex((other) => other.id === dag.id) < index);
  if (twice !== undefined) {
    const at = insideOfDag(twice)?.at;
    errors.push({
      ...(at === undefined ? {} : { line: at.line, column: at.column }),
      message: `the DAG "${twice.id}" is declared twice in this file`,
    });
  }
  const warnings: FileProblem[] =
    built.length === 0 && errors.length === 0
      ? [
          {
            message: "this file declares no DAG",
            hint: 'Call dag({ id: "…", build({ task }) { … } }) in it.',
          },
        ]
      : [];
  return {
    // A file is live as a whole or not at all: half of its DAGs would be a state nobody wrote.
    dags: errors.length === 0 ? built.map((dag) => dag.spec) : [],
    errors,
    warnings,
    inputs: [
      ...new Set([own, ...imports.inputs, ...built.flatMap((dag) => filesOf(dag, root, own))]),
    ],
    packages: [...imports.packages],
  };
}

function filesOf(dag: Dag, root: string, own: string): string[] {
  return [...(insideOfDag(dag)?.tasks.values() ?? [])].flatMap(({ work, input }) =>
    work.kind === "operator" && isObject(input?.value) ? filesOfTask(root, own, input.value) : [],
  );
}

const failure = (file: string, problem: FileProblem): FileFacts => ({
  dags: [],
  errors: [problem],
  warnings: [],
  inputs: [file],
  packages: [],
});

function problemsOf(thrown: unknown, root: string, own: string, imports: Imports): FileProblem[] {
  if (thrown instanceof DagProblems)
    return thrown.problems.slice(0, 50).map(({ message, hint, at }) => {
      const file = at === undefined ? own : (insideOf(root, at.file) ?? own);
      return {
        ...(at === undefined ? {} : { line: at.line, column: at.column }),
        message: file === own ? message : `${message} (in ${file})`,
        ...(hint === undefined ? {} : { hint }),
      };
    });
  const { reason, trace, place } = explainError(thrown, root);
  const hint = hintFor(reason);
  const where =
    place ?? (imports.missing === undefined ? undefined : importPlace(imports.missing, root));
  return [
    {
      ...(where === undefined ? {} : { line: where.line, column: where.column }),
      message: where === undefined || where.file === own ? reason : `${reason} (in ${where.file})`,
      ...(hint === undefined ? {} : { hint }),
      traceback: trace,
    },
  ];
}

/** Where an import that found nothing stands in its file. */
function importPlace(
  missing: { readonly specifier: string; readonly from: string },
  root: string,
): { file: string; line: number; column: number } | undefined {
  if (!missing.from.startsWith("file:")) return undefined;
  const path = fileURLToPath(missing.from);
  const file = insideOf(root, path);
  if (file === undefined) return undefined;
  for (const [index, text] of readFileSync(path, "utf8").split("\n").entries()) {
    const column = [`"${missing.specifier}"`, `'${missing.specifier}'`]
      .map((quoted) => text.indexOf(quoted))
      .find((at) => at >= 0);
    if (column !== undefined) return { file, line: index + 1, column: column + 1 };
  }
  return undefined;
}

function hintFor(reason: string): string | undefined {
  if (reason.includes("is not supported in strip-only mode"))
    return "Files run without a compiler: use a union of strings or a const object instead of an enum, plain fields instead of parameter properties.";
  if (reason.includes("Cannot find package"))
    return "Add it to package.json and its lock file; the tenant's Node environment is built from them.";
  if (reason.includes("needs an import attribute"))
    return 'Write import data from "./data.json" with { type: "json" }.';
  if (reason.includes("module 'airlock' does not provide"))
    return 'See what "airlock" exports: dag, cron, every, asset, bash, python, http, httpSensor, sql, empty, skip, fail, done, useContext.';
  return undefined;
}
