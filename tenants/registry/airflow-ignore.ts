/**
 * `.airflowignore` in both of Airflow's syntaxes: regular expressions (default to 2.x), globs as in
 * `.gitignore` (default of 3.x). A file speaks for its own folder and everything below it.
 */
import { createContext, Script } from "node:vm";
import type { FileProblem } from "../../platform/model/guest.ts";
import type { IgnoreSyntax } from "./read-airlock-yaml.ts";

export type IgnoreFile = {
  /** Folder it lies in, relative to the DAG folder; "" is the DAG folder itself. */
  readonly folder: string;
  readonly text: string;
};

export type Ignored = {
  readonly ignored: ReadonlySet<string>;
  readonly problems: readonly (FileProblem & { readonly folder: string })[];
};

const bytesMax = 64 * 1024;
const patternsMax = 1000;
/** All regular expressions of a repository together: a hostile one costs this much, once, and is reported. */
const regexpMsMax = 200;

/** `paths` are files relative to the DAG folder; the answer holds those that must not be read as DAG files. */
export function applyAirflowIgnore(
  files: readonly IgnoreFile[],
  paths: readonly string[],
  syntax: IgnoreSyntax | undefined,
): Ignored {
  const problems: (FileProblem & { folder: string })[] = [];
  const ignored = new Set<string>();
  let regexpMsLeft = regexpMsMax;
  const globs: { folder: string; patterns: readonly Glob[] }[] = [];
  for (const file of files.toSorted((a, b) => a.folder.length - b.folder.length)) {
    if (file.text.length > bytesMax) {
      problems.push({
        folder: file.folder,
        message: ".airflowignore is larger than 64 KiB and was not read",
        hint: "shorten it",
      });
      continue;
    }
    const lines = patternLines(file.text);
    if (lines.length > patternsMax) {
      problems.push({
        folder: file.folder,
        message: `.airflowignore has more than ${patternsMax} patterns and was not read`,
        hint: "shorten it",
      });
      continue;
    }
    if ((syntax ?? guessSyntax(lines)) === "glob")
      globs.push({ folder: file.folder, patterns: lines.map((line) => readGlob(line.text)) });
    else {
      const begin = performance.now();
      const inside = paths.filter((path) => isBelow(path, file.folder));
      for (const problem of matchRegexps(lines, inside, regexpMsLeft, ignored))
        problems.push({ ...problem, folder: file.folder });
      regexpMsLeft = Math.max(1, regexpMsLeft - (performance.now() - begin));
    }
  }
  for (const path of paths)
    if (globs.length > 0 && isIgnoredByGlobs(path, globs)) ignored.add(path);
  return { ignored, problems };
}

type PatternLine = { readonly line: number; readonly text: string };

function patternLines(text: string): PatternLine[] {
  return text
    .split(/\r?\n/)
    .map((raw, index) => ({ line: index + 1, text: raw.replace(/(^|\s)#.*$/, "").trim() }))
    .filter(({ text: pattern }) => pattern !== "");
}

/** Files that carry on from 2.x seldom say which syntax they are in; signs that no glob has decide. */
function guessSyntax(lines: readonly PatternLine[]): IgnoreSyntax {
  return lines.some(({ text }) => /\.[*+]|\\[.wdsb]|^\^|\$$|[()|]/.test(text)) ? "regexp" : "glob";
}

const isBelow = (path: string, folder: string): boolean =>
  folder === "" || path.startsWith(`${folder}/`);

/** Runs in a context of its own only to have V8's timeout: our code, the tenant's patterns as data. */
function matchRegexps(
  lines: readonly PatternLine[],
  paths: readonly string[],
  msMax: number,
  ignored: Set<string>,
): FileProblem[] {
  const problems: FileProblem[] = [];
  const budgetEnds = performance.now() + msMax;
  for (const { line, text } of lines) {
    const pattern = asJavaScriptRegexp(text);
    if (!pattern) {
      problems.push({
        line,
        message: `.airflowignore: ${JSON.stringify(text.slice(0, 80))} is not a regular expression`,
        hint: "mend it, or write `airflowignore: glob` in airlock.yaml",
      });
      continue;
    }
    const msLeft = Math.floor(budgetEnds - performance.now());
    try {
      if (msLeft < 1) throw new Error("no time left");
      const found: string[] = [];
      const context = createContext({ pattern, paths, found });
      matching.runInContext(context, { timeout: msLeft });
      for (const path of found) ignored.add(path);
    } catch {
      problems.push({
        line,
        message: `.airflowignore: ${JSON.stringify(text.slice(0, 80))} takes too long to match and was left out`,
        hint: "avoid nested repetition such as (a+)+",
      });
      if (performance.now() >= budgetEnds) break;
    }
  }
  return problems;
}
const matching = new Script("for (const path of paths) if (pattern.test(path)) found.push(path);");

/** Python's `re` in JavaScript's words, as far as ignore files use it. Search, not match: as Airflow does. */
function asJavaScriptRegexp(text: string): RegExp | undefined {
  const flags = text.startsWith("(?i)") ? "i" : "";
  const source = text
    .replace(/^\(\?i\)/, "")
    .replaceAll("(?P<", "(?<")
    .replaceAll("\\A", "^")
    .replaceAll("\\Z", "$");
  try {
    return new RegExp(source, flags);
  } catch {
    return undefined;
  }
}

type Glob = {
  readonly again: boolean;
  readonly onlyFolders: boolean;
  /** Segments; a pattern without an inner slash matches at any depth. */
  readonly segments: readonly string[];
};

function readGlob(text: string): Glob {
  const again = text.startsWith("!");
  let rest = again ? text.slice(1) : text.replace(/^\\([!#])/, "$1");
  const onlyFolders = rest.endsWith("/");
  rest = rest.replace(/\/+$/, "");
  const anchored = rest.includes("/");
  const segments = rest.replace(/^\//, "").split("/").slice(0, 50);
  return { again, onlyFolders, segments: anchored ? segments : ["**", ...segments] };
}

/** As `.gitignore`: the last pattern that matches decides; what lies in an ignored folder cannot come back. */
function isIgnoredByGlobs(
  path: string,
  files: readonly { readonly folder: string; readonly patterns: readonly Glob[] }[],
): boolean {
  const parts = path.split("/");
  for (let depth = 1; depth <= parts.length; depth++) {
    const isFolder = depth < parts.length;
    const whole = parts.slice(0, depth).join("/");
    let verdict = false;
    for (const { folder, patterns } of files) {
      if (!isBelow(whole, folder)) continue;
      const below = (folder === "" ? whole : whole.slice(folder.length + 1)).split("/");
      for (const glob of patterns)
        if ((isFolder || !glob.onlyFolders) && matchSegments(glob.segments, below))
          verdict = !glob.again;
    }
    if (verdict) return true;
  }
  return false;
}

/** Row by row, so that its cost is patterns × segments however many `**` there are. */
function matchSegments(pattern: readonly string[], path: readonly string[]): boolean {
  let reachable = new Set([0]);
  for (const [index, segment] of pattern.entries()) {
    const next = new Set<number>();
    for (const from of reachable) {
      if (segment === "**") {
        // At the end of a pattern `**` is everything inside: at least one segment.
        const least = index === pattern.length - 1 ? from + 1 : from;
        for (let to = least; to <= path.length; to++) next.add(to);
      } else if (from < path.length && matchSegment(segment, path[from] ?? "")) next.add(from + 1);
    }
    reachable = next;
  }
  return reachable.has(path.length);
}

/** `*`, `?`, `[a-z]`, `[!a]`, backslash: greedy with one step back, linear in practice and never exponential. */
function matchSegment(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let starText = 0;
  while (t < text.length) {
    const one = p < pattern.length && pattern[p] !== "*" ? matchOne(pattern, p, text[t] ?? "") : 0;
    if (one > 0) {
      p += one;
      t += 1;
    } else if (pattern[p] === "*") {
      star = p++;
      starText = t;
    } else if (star >= 0) {
      p = star + 1;
      t = ++starText;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p >= pattern.length;
}

/** How many characters of the pattern matched this one character; 0: none. */
function matchOne(pattern: string, at: number, character: string): number {
  const sign = pattern[at];
  if (sign === "?") return 1;
  if (sign === "\\" && at + 1 < pattern.length) return pattern[at + 1] === character ? 2 : 0;
  const close = sign === "[" ? pattern.indexOf("]", at + 2) : -1;
  if (close < 0) return sign === character ? 1 : 0;
  let inside = pattern.slice(at + 1, close);
  const not = inside.startsWith("!") || inside.startsWith("^");
  if (not) inside = inside.slice(1);
  let hit = false;
  for (let i = 0; i < inside.length; i++) {
    const low = inside[i] ?? "";
    const high = inside[i + 1] === "-" && i + 2 < inside.length ? (inside[i + 2] ?? low) : low;
    if (high !== low) i += 2;
    if (character >= low && character <= high) hit = true;
  }
  return hit !== not ? close - at + 1 : 0;
}
