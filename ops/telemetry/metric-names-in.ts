const words = new Set(
  "and or unless by without on ignoring group_left group_right offset bool sum max min avg count topk bottomk quantile stddev".split(
    " ",
  ),
);

/** The metrics that a PromQL expression asks for: names that are no functions, labels or words of the language. */
export function metricNamesIn(expression: string): readonly string[] {
  const bare = expression
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, "")
    .replaceAll(/\{[^}]*\}/g, "")
    .replaceAll(/\[[^\]]*\]/g, "")
    .replaceAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, "")
    .replaceAll(/\boffset\s+\w+/g, "");
  return [...bare.matchAll(/[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\(|[a-zA-Z0-9_:])/g)]
    .map(([name]) => name)
    .filter((name) => !words.has(name) && !/^\d/.test(name));
}
