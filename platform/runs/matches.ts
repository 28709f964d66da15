import { RE2JS } from "re2js";

const kept = new Map<string, RE2JS | undefined>();
const keptMax = 200;
const patternMax = 2_000;

/** Whether the pattern is found in the text, without backtracking; undefined: it is none that RE2 can read. */
export function matches(pattern: string, text: string): boolean | undefined {
  if (!kept.has(pattern)) {
    if (kept.size >= keptMax) kept.clear();
    kept.set(pattern, compile(pattern));
  }
  return kept.get(pattern)?.matcher(text).find();
}

function compile(pattern: string): RE2JS | undefined {
  if (pattern.length > patternMax) return undefined;
  try {
    return RE2JS.compile(pattern);
  } catch {
    return undefined;
  }
}
