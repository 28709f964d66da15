/**
 * The page as static files. A checkout builds it at `npm ci`; what is packed holds it built. A start that finds
 * it missing, or made of other sources, builds it first.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const room = join(import.meta.dirname, "..", "web");

export async function buildPage(progress: (line: string) => void): Promise<void> {
  const hash = sourcesHash();
  if (hash === builtFrom()) return;
  progress("the page is being built");
  const root = join(room, "..", "..");
  // Made aside and put in its place whole: two that start at once must not write into one folder.
  const part = join(room, `dist.part-${process.pid}`);
  try {
    // As a program of its own: the bundler and what it loads must not stay in the server's memory. For production,
    // whatever we are: a test's NODE_ENV would build the development edition of React, twice as large and slow.
    await promisify(execFile)(
      process.execPath,
      [
        join(root, "node_modules", "vite", "bin", "vite.js"),
        "build",
        room,
        "--outDir",
        part,
        "--logLevel",
        "warn",
      ],
      { cwd: root, maxBuffer: 16 << 20, env: { ...process.env, NODE_ENV: "production" } },
    );
    writeFileSync(join(part, "built-from"), hash);
    const old = `${part}.old`;
    if (existsSync(join(room, "dist"))) renameSync(join(room, "dist"), old);
    renameSync(part, join(room, "dist"));
    rmSync(old, { recursive: true, force: true });
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    // Somebody else was quicker, with the same sources.
    if (hash !== builtFrom()) throw error;
  }
}

/** Where the built page lies, or undefined where there is none and nothing to build it from. */
export async function findPage(progress: (line: string) => void): Promise<string | undefined> {
  if (existsSync(join(room, "vite.config.ts"))) await buildPage(progress);
  const folder = join(room, "dist");
  return existsSync(join(folder, "index.html")) ? folder : undefined;
}

const stamp = (): string => join(room, "dist", "built-from");
const builtFrom = (): string | undefined =>
  existsSync(stamp()) ? readFileSync(stamp(), "utf8") : undefined;

function sourcesHash(): string {
  const hash = createHash("sha256");
  for (const file of readdirSync(room, { recursive: true, encoding: "utf8" }).toSorted())
    if (/\.(?:tsx?|css|html|svg)$/.test(file) && !/^dist[./]|\.test\.tsx?$/.test(file))
      hash.update(file).update(readFileSync(join(room, file)));
  return hash.update(readFileSync(join(room, "..", "..", "package-lock.json"))).digest("hex");
}
