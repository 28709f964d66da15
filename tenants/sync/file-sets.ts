/**
 * What a file's parse depends on, as hashes. A push re-parses only files whose set changed; a DAG version
 * hashes its spec and the repository files of its set.
 */
import { createHash } from "node:crypto";
import { isObject } from "../../platform/model/json.ts";

/** Paths of the checkout with git's ids of their contents. */
export type Blobs = ReadonlyMap<string, string>;

const inputsMax = 2_000;

/**
 * Inputs as a guest names them, made safe: the file itself is always among them, only paths of this
 * checkout or ones that could be. A path that ends in a slash is a folder that was listed. Past the bound
 * the whole repository (`/`) is the input.
 */
export function readInputs(path: string, reported: readonly string[]): readonly string[] {
  const inputs = new Set([path]);
  for (const raw of reported) {
    if (typeof raw !== "string" || raw.length > 400 || raw.startsWith("../")) continue;
    inputs.add(raw.replace(/^\.\//, ""));
    if (inputs.size > inputsMax) return ["/"];
  }
  return [...inputs].toSorted();
}

export function inputHash(inputs: readonly string[], blobs: Blobs): string {
  const hash = createHash("sha256");
  for (const input of inputs) {
    if (!input.endsWith("/")) hash.update(`${input}\0${blobs.get(input) ?? "missing"}\n`);
    else {
      const prefix = input === "/" ? "" : input;
      hash.update(`${input}\0folder\n`);
      for (const [path, blob] of blobs)
        if (path.startsWith(prefix)) hash.update(`${path}\0${blob}\n`);
    }
  }
  return hash.digest("hex");
}

/** Everything beside the repository that a parse depends on. */
export type ParseSetting = {
  readonly environment: string;
  readonly guestVersion: string;
  readonly dagsFolder: string;
  readonly level: string;
};

export const setHash = (inputs: string, setting: ParseSetting): string =>
  createHash("sha256")
    .update(
      JSON.stringify([
        inputs,
        setting.environment,
        setting.guestVersion,
        setting.dagsFolder,
        setting.level,
      ]),
    )
    .digest("hex");

export const versionHash = (spec: object, inputs: string): string =>
  createHash("sha256")
    .update(`${canonical(spec)}\n${inputs}`)
    .digest("hex");

/** JSON with sorted keys: the same spec is the same text whatever order a guest wrote it in. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  return `{${Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`)
    .join(",")}}`;
}
