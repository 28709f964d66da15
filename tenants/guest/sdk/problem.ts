/** What is wrong in an author's file, with the place where its author wrote it. */
export type Place = { readonly file: string; readonly line: number; readonly column: number };

export type Problem = { readonly message: string; readonly hint?: string; readonly at?: Place };

/** Thrown by `dag()` with everything that is wrong in it; the guest turns each problem into one of the file. */
export class DagProblems extends Error {
  override readonly name = "DagProblems";
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map((problem) => problem.message).join("; "));
    this.problems = problems;
  }
}

/** Where the caller of `deed` stands. The first frame is the author's own, whoever the deed's callees are. */
export function placeOfCaller(deed: (...args: never[]) => unknown): Place | undefined {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, deed);
  return placesInStack(holder.stack ?? "")[0];
}

/** All places of a stack, innermost first. `file` is an absolute path. */
export function placesInStack(stack: string): Place[] {
  return [
    ...stack.matchAll(/^\s+at (?:.*? \()?(?:file:\/\/)?(\/[^\n]*?):(\d+):(\d+)\)?$/gm),
  ].flatMap(([, path, line, column]) =>
    path === undefined ? [] : [{ file: decoded(path), line: Number(line), column: Number(column) }],
  );
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** The nearest of some words, if one is near enough to have been meant. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  const limit = Math.min(3, Math.floor(word.length / 2));
  let best: { word: string; distance: number } | undefined;
  for (const candidate of words.slice(0, 2000)) {
    if (Math.abs(candidate.length - word.length) > limit) continue;
    const distance = editDistance(word.slice(0, 60).toLowerCase(), candidate.toLowerCase());
    if (distance <= limit && (best === undefined || distance < best.distance))
      best = { word: candidate, distance };
  }
  return best?.word;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}
