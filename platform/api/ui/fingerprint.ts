/**
 * What a hundred failures of one cause have in common: their reason with everything taken out that differs from one
 * to the next (numbers, ids, times, paths, addresses). Two reasons of the same fingerprint are one thing to look at.
 */
const readMax = 600;

const folds: readonly (readonly [RegExp, string])[] = [
  [/\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s'"<>]+/gi, "‹url›"],
  [/\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,6}\b/g, "‹address›"],
  [
    /\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?/g,
    "‹time›",
  ],
  [/\b\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\b/g, "‹time›"],
  [/\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b/gi, "‹id›"],
  [/\b0x[0-9a-f]+\b/gi, "‹id›"],
  // Long hexadecimal, with a digit in it: a word of the letters a to f is a word.
  [/\b(?=[a-f]{0,40}\d)[0-9a-f]{8,128}\b/gi, "‹id›"],
  [/(?<![\w/])(?:[A-Za-z]:)?(?:[/\\][\w.@+~-]{1,200}){2,}[/\\]?/g, "‹path›"],
  [/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b/g, "‹address›"],
  [/\d+(?:[.,_]\d+)*/g, "‹n›"],
];

/** `reason` null: it did not say. */
export function fingerprint(reason: string | null): string {
  const text = (reason ?? "").slice(0, readMax).trim();
  if (text === "") return "";
  return (
    folds
      .reduce((folded, [pattern, by]) => folded.replace(pattern, by), text)
      .replace(/\s+/g, " ")
      // Lists of folded things differ in length alone.
      .replace(/(‹\w+›)(?:[,;] ?\1)+/g, "$1, …")
      .slice(0, 300)
  );
}
