/** Readers for an operator's arguments: they hold outputs of other tasks, so nothing is known of them. */
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { isObject } from "../../../../platform/model/json.ts";
import { bundleFile } from "../load-author-file.ts";

export type Args = { readonly [name: string]: unknown };

export const argsOf = (raw: unknown): Args => (isObject(raw) ? raw : {});

export function textArg(args: Args, name: string): string {
  const value = optionalText(args, name);
  if (value === undefined) throw new TypeError(`${name} is missing`);
  return value;
}
export function optionalText(args: Args, name: string): string | undefined {
  const value = args[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new TypeError(`${name} must be text, it is ${kind(value)}`);
  return value;
}
export function wholeArg(args: Args, name: string, otherwise: number, max: number): number {
  const value = args[name] ?? otherwise;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1 || value > max)
    throw new TypeError(`${name} must be a whole number from 1 to ${max}`);
  return value;
}
/** Values as text: environment variables, headers, query parameters. */
export function textMap(args: Args, name: string): Record<string, string> {
  const value = args[name];
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new TypeError(`${name} must be a mapping, it is ${kind(value)}`);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined && inner !== null)
      .map(([key, inner]) => [key, typeof inner === "string" ? inner : JSON.stringify(inner)]),
  );
}

export const kind = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "a list" : `a ${typeof value}`;

/**
 * A file that a task names: beside its DAG file, or from the root of the repository. Undefined if there is
 * none, or if it lies elsewhere (by `..` or by a link).
 */
function taskFile(root: string, dagFile: string, name: string): string | undefined {
  return [join(root, dirname(dagFile), name), join(root, name)]
    .map((path) => bundleFile(root, path))
    .find((path) => path !== undefined && statSync(path).isFile());
}

export function requiredFile(root: string, dagFile: string, name: string): string {
  const path = taskFile(root, dagFile, name);
  if (path === undefined)
    throw new Error(`the file ${name} is neither beside ${dagFile} nor at the repository's root`);
  return path;
}
