import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { badRepository, type CheckedFile } from "../../local/check-repository.ts";
import { findRepository, findWorkTree } from "../../local/find-repository.ts";
import {
  findingsGithub,
  findingsGitlab,
  findingsJson,
  findingsPretty,
} from "../../local/write-findings.ts";
import { inkFor } from "../ink.ts";
import { type Format, printAnswer, write } from "../print-answer.ts";
import { CommandProblem, wrongUse } from "../problem.ts";
import { openBench } from "./open-bench.ts";

export type FindingsFormat = "pretty" | "json" | "github" | "gitlab";

/** Answers whether everything is valid. Paths of several repositories are checked one repository after the other. */
export async function validate(
  paths: readonly string[],
  options: { readonly format?: FindingsFormat; readonly output: Format },
): Promise<boolean> {
  const byRoot = new Map<string, string[]>();
  for (const path of paths.length === 0 ? ["."] : paths) {
    const root = findRepository(path);
    if (root === undefined) throw wrongUse(`there is nothing at ${path}`);
    const full = resolve(path);
    byRoot.set(root, [...(byRoot.get(root) ?? []), ...(full === root ? [] : [full])]);
  }
  const several = byRoot.size > 1;
  const files: CheckedFile[] = [];
  const rootOf = new Map<CheckedFile, string>();
  for (const [root, only] of byRoot)
    for (const file of await checkOne(root, only)) {
      const named = several ? { ...file, path: join(relative(".", root), file.path) } : file;
      files.push(named);
      rootOf.set(named, root);
    }
  const [firstRoot = "."] = byRoot.keys();
  const prefix = several ? "" : prefixOf(firstRoot);
  const format = options.format ?? (options.output === "table" ? "pretty" : options.output);
  switch (format) {
    case "pretty":
      await write(
        findingsPretty(files, (path) => sourceOf(firstRoot, path), inkFor(process.stdout)),
      );
      break;
    case "json":
    case "yaml":
      await printAnswer(findingsJson(files), format, []);
      break;
    case "github":
      await write(findingsGithub(files, prefix));
      break;
    case "gitlab":
      await printAnswer(findingsGitlab(files, prefix, sha256), "json", []);
      break;
  }
  return files.every(({ ok }) => ok);

  function sourceOf(root: string, path: string): string | undefined {
    try {
      return readFileSync(join(several ? "." : root, path), "utf8");
    } catch {
      return undefined;
    }
  }
}

async function checkOne(root: string, only: readonly string[]): Promise<readonly CheckedFile[]> {
  let bench: Awaited<ReturnType<typeof openBench>>;
  try {
    bench = await openBench(root);
  } catch (error) {
    // A repository that cannot even be read is a finding; a machine without a sandbox is not.
    if (error instanceof CommandProblem && error.message.includes("too large"))
      return [
        badRepository({
          message: error.message,
          ...(error.hint === undefined ? {} : { hint: error.hint }),
        }),
      ];
    throw error;
  }
  try {
    const { files } = await bench.check(only);
    if (bench.signal.aborted) process.exitCode = 130;
    return files;
  } finally {
    await bench.close();
  }
}

/** Annotations name files from the work tree of git, which may lie above the repository. */
function prefixOf(root: string): string {
  const tree = findWorkTree(root);
  const inner = tree === undefined ? "" : relative(tree, root);
  return inner === "" ? "" : `${inner}/`;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
