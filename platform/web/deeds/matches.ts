import { RE2JS } from "re2js";

/** As the server does it, without backtracking: a tenant's pattern must not stop this tab. undefined: it cannot be read. */
export function matches(pattern: string, text: string): boolean | undefined {
  if (pattern.length > 2_000) return undefined;
  try {
    return RE2JS.compile(pattern).matcher(text).find();
  } catch {
    return undefined;
  }
}
