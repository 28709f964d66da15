/**
 * Repository files that a DAG's tasks will run: scripts and what they import, SQL files, programs a command
 * names. The DAG's version is a hash over its inputs, so a file missing here would change without its DAG
 * noticing. Read, not run: what code computes at run time is not seen.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { bundleFile, insideOf } from "./load-author-file.ts";

const filesMax = 500;
const bytesMax = 1024 * 1024;

/** `args`: arguments of an operator. Answers paths relative to the bundle; `root` is its real path. */
export function filesOfTask(
  root: string,
  dagFile: string,
  args: { readonly [name: string]: unknown },
): string[] {
  const folder = join(root, dirname(dagFile));
  const found = new Set<string>();
  const add = (path: string): void => {
    const full = existsSync(path) && statSync(path).isFile() ? bundleFile(root, path) : undefined;
    const own = full === undefined ? undefined : insideOf(root, full);
    if (full === undefined || own === undefined || found.has(own) || found.size >= filesMax) return;
    found.add(own);
    for (const other of importedBy(full, root)) add(other);
  };
  for (const name of ["script", "file"]) {
    const value = args[name];
    if (typeof value !== "string") continue;
    const beside = join(folder, value);
    add(existsSync(beside) ? beside : join(root, value));
  }
  const { command, code } = args;
  if (typeof command === "string")
    for (const [word] of command.matchAll(/[\w./-]*[\w-]\.\w+|\.{0,2}\/[\w./-]+/g))
      add(join(folder, word));
  if (typeof code === "string")
    for (const other of [...scriptImports(code, folder), ...pythonImports(code, [folder, root])])
      add(other);
  return [...found];
}

function importedBy(path: string, root: string): string[] {
  if (statSync(path).size > bytesMax) return [];
  const folder = dirname(path);
  if (/\.[mc]?[jt]s$/.test(path)) return scriptImports(readFileSync(path, "utf8"), folder);
  if (path.endsWith(".py")) return pythonImports(readFileSync(path, "utf8"), [folder, root]);
  return [];
}

function scriptImports(text: string, folder: string): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*["'](\.{1,2}\/[^"'\n]{1,300})["']/g)].flatMap(
    ([, specifier = ""]) => {
      const path = join(folder, specifier);
      return [path, path.replace(/js$/, "ts"), `${path}.ts`, `${path}.js`, `${path}/index.ts`];
    },
  );
}

function pythonImports(text: string, folders: readonly string[]): string[] {
  const names = [
    ...text.matchAll(/^[ \t]*from[ \t]+\.*([\w.]+)[ \t]+import|^[ \t]*import[ \t]+([\w., \t]+)/gm),
  ].flatMap(
    ([, from, list]) =>
      from ?? (list ?? "").split(",").map((one) => one.trim().split(/\s/)[0] ?? ""),
  );
  return names.flatMap((name) => {
    const path = name.replaceAll(".", "/");
    return folders.flatMap((folder) => [
      join(folder, `${path}.py`),
      join(folder, path, "__init__.py"),
    ]);
  });
}
