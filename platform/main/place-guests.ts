import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";

export type PlacedGuests = {
  readonly python: { readonly dir: string; readonly entry: string; readonly version: string };
  readonly node: { readonly dir: string; readonly entry: string; readonly version: string };
};

/**
 * Copies of the guest programs where tenants' users can read them, named by their content: a checkout under
 * somebody's home is closed to them, and a guest that runs must not change under an upgrade. From the sources
 * the node guest is bundled; the published package brings it built.
 */
export async function placeGuests(
  home: string,
  sources: { readonly python: string; readonly node: string; readonly builtNode?: string },
): Promise<PlacedGuests> {
  const root = join(home, "guests");
  mkdirSync(root, { recursive: true, mode: 0o755 });
  const pythonVersion = hashFolder(sources.python, /\.(?:py|txt|json)$/);
  const python = await placeOnce(join(root, `python-${pythonVersion}`), (folder) => {
    cpSync(sources.python, folder, {
      recursive: true,
      filter: (path) => !/\/(?:__pycache__|tests)(?:\/|$)|\.test\.ts$|\.md$/.test(path),
    });
    return Promise.resolve();
  });
  const nodeVersion = hashFolder(sources.builtNode ?? sources.node, /\.(?:ts|js|json|wasm)$/);
  const node = await placeOnce(join(root, `node-${nodeVersion}`), async (folder) => {
    if (sources.builtNode !== undefined) {
      cpSync(sources.builtNode, folder, { recursive: true });
      return;
    }
    const { bundleGuest } = (await import(join(sources.node, "node", "bundle-guest.ts"))) as {
      bundleGuest(folder: string): Promise<string>;
    };
    await bundleGuest(folder);
  });
  return {
    python: { dir: python, entry: "main.py", version: pythonVersion },
    node: { dir: node, entry: "main.js", version: nodeVersion },
  };
}

async function placeOnce(folder: string, make: (folder: string) => Promise<void>): Promise<string> {
  if (existsSync(folder)) return folder;
  const part = `${folder}.${process.pid}.part`;
  rmSync(part, { recursive: true, force: true });
  await make(part);
  try {
    renameSync(part, folder);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
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
