import { relative, resolve } from "node:path";

/** Whether `path`, with its dots resolved, lies below `folder`. */
export function isInside(folder: string, path: string): boolean {
  const way = relative(resolve(folder), resolve(path));
  return way !== "" && !way.startsWith("..") && !way.startsWith("/");
}
