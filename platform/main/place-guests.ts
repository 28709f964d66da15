import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

export type PlacedGuests = {
  readonly python: PlacedGuest;
  readonly node: PlacedGuest;
};
export type PlacedGuest = {
  readonly dir: string;
  readonly entry: string;
  /** Of its contents: a new one parses every DAG file anew. */
  readonly version: string;
};

/**
 * The guest programs, as folders that need nothing beside them. The node guest is bundled from the sources
 * the first time; the published package brings it built. The supervisor copies both to where tenants can
 * read them.
 */
export async function placeGuests(
  home: string,
  sources: { readonly python: string; readonly node: string; readonly builtNode?: string },
): Promise<PlacedGuests> {
  const python: PlacedGuest = {
    dir: sources.python,
    entry: "main.py",
    version: hashFolder(sources.python, /\.(?:py|txt|json)$/),
  };
  if (sources.builtNode !== undefined)
    return {
      python,
      node: {
        dir: sources.builtNode,
        entry: "main.js",
        version: hashFolder(sources.builtNode, /\.(?:js|wasm)$/),
      },
    };
  const version = hashFolder(sources.node, /\.(?:ts|json)$/);
  const dir = join(home, "guests", `node-${version}`);
  if (!existsSync(dir)) await bundle(sources.node, dir);
  return { python, node: { dir, entry: "main.js", version } };
}

async function bundle(sources: string, folder: string): Promise<void> {
  const part = `${folder}.${process.pid}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  // Only here, and only from a checkout: esbuild is no part of a running platform.
  const { bundleGuest } = (await import(join(sources, "node", "bundle-guest.ts"))) as {
    readonly bundleGuest: (folder: string) => Promise<string>;
  };
  await bundleGuest(part);
  try {
    renameSync(part, folder);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
}

function hashFolder(folder: string, wanted: RegExp): string {
  const hash = createHash("sha256");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter(
      (name) =>
        wanted.test(name) && !/(?:^|\/)(?:tests|samples|__pycache__)\/|\.test\.ts$/.test(name),
    )
    .toSorted();
  for (const name of files)
    hash
      .update(name)
      .update("\0")
      .update(readFileSync(join(folder, name)))
      .update("\0");
  return hash.digest("hex").slice(0, 16);
}
