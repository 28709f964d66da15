/** What a browser loads before a person sees the first page: counted from the build's own manifest. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

type Chunk = {
  readonly file: string;
  readonly imports?: readonly string[];
  readonly css?: readonly string[];
};

/** The frame, and the page that a person lands on after signing in. */
const first = ["index.html", "pages/now/now-page.tsx"];

/** Bytes as gzip sends them; `folder` as `vite build` left it. */
export function firstLoadBytes(folder: string): number {
  const manifest = JSON.parse(readFileSync(join(folder, ".vite", "manifest.json"), "utf8")) as {
    readonly [name: string]: Chunk;
  };
  const files = new Set<string>(["index.html"]);
  const visit = (name: string): void => {
    const chunk = manifest[name];
    if (chunk === undefined) throw new Error(`the build has no ${name}`);
    if (files.has(chunk.file)) return;
    files.add(chunk.file);
    for (const sheet of chunk.css ?? []) files.add(sheet);
    for (const next of chunk.imports ?? []) visit(next);
  };
  for (const name of first) visit(name);
  let bytes = 0;
  for (const file of files) bytes += gzipSync(readFileSync(join(folder, file))).length;
  return bytes;
}
