/** A JavaScript or TypeScript task of a YAML DAG, run in this process. */
import { pathToFileURL } from "node:url";
import type { Operation } from "./catalogue.ts";
import { argsOf, optionalText, requiredFile } from "./read-args.ts";

/**
 * `script`: its default export is called with `(args, context)`. `code`: a module with a default export, or
 * the body of such a function. What it returns is the output.
 */
export async function runNode(raw: unknown, operation: Operation): Promise<unknown> {
  const args = argsOf(raw);
  const code = optionalText(args, "code");
  const script = optionalText(args, "script");
  if ((code === undefined) === (script === undefined))
    throw new TypeError("a node task has either script or code");
  const { root, dagFile, imports, context, start } = operation;
  let url: string;
  if (script === undefined) {
    // Its own imports are found from where its DAG file stands.
    url = `${pathToFileURL(`${root}/${dagFile}`).href}.${start.task_id}.ts`;
    imports.inline.set(url, asModule(code ?? ""));
  } else url = pathToFileURL(requiredFile(root, dagFile, script)).href;
  const module: { readonly default?: unknown } = (await import(url)) as { default?: unknown };
  if (typeof module.default !== "function")
    throw new TypeError(`${script ?? "the code"} has no default export that is a function`);
  const run = module.default as (...given: unknown[]) => unknown;
  return run(args["args"] ?? {}, context);
}

const asModule = (code: string): string =>
  /^\s*export\s+default\b/m.test(code)
    ? code
    : `export default async (args: any, context: any) => {${code}\n};`;
