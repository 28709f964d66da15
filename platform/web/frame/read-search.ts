/**
 * The part of an address behind `?`, read with bounds: what is not known or not well formed is as if it were not
 * there, so that an old or a mangled link still opens.
 */
type Kind = "text" | "number" | "flag" | readonly string[];
type ValueOf<K> = K extends "text"
  ? string
  : K extends "number"
    ? number
    : K extends "flag"
      ? boolean
      : K extends readonly (infer V)[]
        ? V
        : never;
type Search<F extends Readonly<Record<string, Kind>>> = {
  [N in keyof F]?: ValueOf<F[N]> | undefined;
};

const textMax = 2_000;

/** `fields`: `"text"`, `"number"`, `"flag"`, or the list of words that may stand there. */
export const readSearch =
  <const F extends Readonly<Record<string, Kind>>>(fields: F) =>
  (raw: Record<string, unknown>): Search<F> => {
    const search: Record<string, unknown> = {};
    for (const [name, kind] of Object.entries(fields)) {
      const value = readOne(kind, raw[name]);
      if (value !== undefined) search[name] = value;
    }
    return search as Search<F>;
  };

function readOne(kind: Kind, raw: unknown): unknown {
  if (raw === undefined || raw === null) return undefined;
  switch (kind) {
    case "text":
      return typeof raw === "object" ? undefined : String(raw as string).slice(0, textMax);
    case "number":
      return Number.isFinite(Number(raw)) ? Number(raw) : undefined;
    case "flag":
      return raw === true || raw === "true" || raw === 1 ? true : undefined;
    default:
      return kind.find((word) => word === raw);
  }
}
