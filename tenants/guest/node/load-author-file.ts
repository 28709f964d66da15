/**
 * Imports files of the repository: TypeScript by type stripping, "airlock" from the guest itself, packages
 * from the tenant's environment. Notes what was read, because the DAG's version is a hash over it.
 */
import { existsSync, realpathSync } from "node:fs";
import { registerHooks } from "node:module";
import { isAbsolute, join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as sdk from "../sdk/airlock.ts";

export type Imports = {
  /** Repository files, relative to the bundle, in the order they were read. */
  readonly inputs: Set<string>;
  /** Top-level packages of the environment. */
  readonly packages: Set<string>;
  /** Modules written inside another file, by the URL they pretend to have. */
  readonly inline: Map<string, string>;
  /** The last import that found nothing: Node's error does not say on which line it stands. */
  missing: { readonly specifier: string; readonly from: string } | undefined;
};

const sdkUrl = "airlock:sdk";

/** Must run before the first import of an author's file. `environment`: a folder with `node_modules`. */
export function watchImports(bundle: string, environment: string | undefined): Imports {
  const imports: Imports = {
    inputs: new Set(),
    packages: new Set(),
    inline: new Map(),
    missing: undefined,
  };
  const root = realpathSync(bundle);
  const sdkKey = Symbol("airlock");
  const sdkSource = Object.keys(sdk)
    .map((name) => `export const ${name} = sdk.${name};`)
    .join("\n");
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "airlock") return { url: sdkUrl, format: "module", shortCircuit: true };
      if (imports.inline.has(specifier))
        return { url: specifier, format: "module-typescript", shortCircuit: true };
      const bare = /^(?![./]|node:|file:|data:)/.test(specifier);
      try {
        const found = next(specifier, context);
        if (bare && !found.url.startsWith("node:") && isOwn(root, context.parentURL))
          imports.packages.add(packageName(specifier));
        return found;
      } catch (error) {
        imports.missing = { specifier, from: context.parentURL ?? "" };
        if (!isNotFound(error)) throw error;
        if (bare && environment !== undefined) {
          const found = next(specifier, {
            ...context,
            parentURL: pathToFileURL(join(environment, "package.json")).href,
          });
          if (isOwn(root, context.parentURL)) imports.packages.add(packageName(specifier));
          return found;
        }
        for (const other of otherSpellings(specifier)) {
          try {
            return next(other, context);
          } catch (again) {
            if (!isNotFound(again)) throw again;
          }
        }
        throw error;
      }
    },
    load(url, context, next) {
      if (url === sdkUrl) {
        Object.assign(globalThis, { [sdkKey]: sdk });
        // The key is a symbol only this closure has; it leaves the global again as soon as the module has run.
        return {
          format: "module",
          shortCircuit: true,
          source: `const key = Object.getOwnPropertySymbols(globalThis).find((symbol) => symbol.description === "airlock");\nconst sdk = globalThis[key];\ndelete globalThis[key];\n${sdkSource}`,
        };
      }
      const inline = imports.inline.get(url);
      if (inline !== undefined)
        return { format: "module-typescript", shortCircuit: true, source: inline };
      const path = url.startsWith("file:") ? fileURLToPath(url.split(/[?#]/)[0] ?? url) : undefined;
      const own = path === undefined ? undefined : insideOf(root, path);
      if (own === undefined) return next(url, context);
      imports.inputs.add(own);
      // A repository without "type": "module" is no reason to guess what a DAG file is.
      return next(url, /\.m?ts$/.test(own) ? { ...context, format: "module-typescript" } : context);
    },
  });
  return imports;
}

/** Only what the author's own files import is theirs to preload, not what packages import among themselves. */
const isOwn = (root: string, from: string | undefined): boolean =>
  from?.startsWith("file:") === true && insideOf(root, fileURLToPath(from)) !== undefined;

/** Authors who come from bundlers write `./lib` or `./lib.js` where `./lib.ts` lies. */
function otherSpellings(specifier: string): string[] {
  if (!/^\.{0,2}\//.test(specifier)) return [];
  return /\.m?js$/.test(specifier)
    ? [specifier.replace(/js$/, "ts")]
    : [`${specifier}.ts`, `${specifier}.js`, `${specifier}/index.ts`, `${specifier}/index.js`];
}

const isNotFound = (error: unknown): boolean =>
  error instanceof Error &&
  "code" in error &&
  (error.code === "ERR_MODULE_NOT_FOUND" ||
    error.code === "MODULE_NOT_FOUND" ||
    error.code === "ERR_UNSUPPORTED_DIR_IMPORT");

const packageName = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

/** Relative path of a file below a folder, or undefined. */
export function insideOf(root: string, path: string): string | undefined {
  const inner = relative(root, path);
  return inner === "" ||
    inner.startsWith(`..${sep}`) ||
    inner === ".." ||
    isAbsolute(inner) ||
    inner.split(sep).includes("node_modules")
    ? undefined
    : inner.split(sep).join("/");
}

/** A file of the bundle by its relative (or absolute) path; undefined when it is none. */
export function bundleFile(bundle: string, path: string): string | undefined {
  const full = isAbsolute(path) ? path : join(bundle, path);
  if (!existsSync(full)) return undefined;
  const real = realpathSync(full);
  return insideOf(realpathSync(bundle), real) === undefined ? undefined : real;
}
