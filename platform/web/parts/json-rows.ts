/**
 * A JSON value as rows of a tree, of which only what is unfolded exists: 100,000 keys or 10,000 levels cost what is
 * looked at. Pure; what is unfolded is told by the containers themselves, which a parsed value holds once each.
 */

/** A number that JavaScript would round, by its digits. */
export class Digits {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  /** Written again digit by digit, where the browser can. */
  toJSON(): unknown {
    return rawJson?.(this.text) ?? Number(this.text);
  }
}

/** JSON text as a value whose numbers keep their digits. Throws SyntaxError. */
export function readJson(text: string): unknown {
  const faithful = (_key: string, value: unknown, context?: { source?: string }): unknown => {
    const source = context?.source;
    return typeof value === "number" && source !== undefined && isRounded(value, source)
      ? new Digits(source)
      : value;
  };
  try {
    return JSON.parse(text, faithful);
  } catch (error) {
    // Reading with a reviver recurses, reading without one does not: what is too deep for it keeps its shape.
    if (error instanceof RangeError) return JSON.parse(text);
    throw error;
  }
}

/** 1.0 and 1e3 are numbers like any other; 12345678901234567890 is not what JavaScript makes of it. */
function isRounded(value: number, source: string): boolean {
  if (!Number.isFinite(value)) return true;
  const digits = (text: string): string =>
    text
      .replace(/^-|e.*$/gi, "")
      .replace(/^0*\.?0*|\./g, "")
      .replace(/0+$/, "");
  return digits(source).length > 15 && digits(String(value)) !== digits(source);
}

export type Container = readonly unknown[] | { readonly [key: string]: unknown };
export const isContainer = (value: unknown): value is Container =>
  typeof value === "object" && value !== null && !(value instanceof Digits);

export const sizeOf = (value: Container): number =>
  Array.isArray(value) ? value.length : Object.keys(value).length;

/** How many entries each unfolded container shows. */
export type Unfolded = ReadonlyMap<object, number>;

export const pageSize = 200;
const textMax = 400;
/** Deeper than this is not drawn further to the right. */
export const depthShownMax = 24;

export type JsonRow =
  | {
      readonly kind: "entry";
      /** Of its container; undefined: the whole value. */
      readonly name: string | undefined;
      readonly depth: number;
      readonly value: unknown;
      readonly isOpen: boolean;
    }
  | {
      readonly kind: "more";
      readonly depth: number;
      readonly of: Container;
      readonly shown: number;
      readonly left: number;
    };

/** Rows from the top, at most `rowsMax`. Not recursive: the depth is a stranger's. */
export function jsonRows(value: unknown, unfolded: Unfolded, rowsMax = 5_000): JsonRow[] {
  const rows: JsonRow[] = [];
  type Place = {
    readonly of: Container;
    readonly names: readonly string[] | undefined;
    at: number;
    readonly end: number;
  };
  const stack: Place[] = [];
  const enter = (name: string | undefined, one: unknown): void => {
    const shown = isContainer(one) ? unfolded.get(one) : undefined;
    rows.push({
      kind: "entry",
      name,
      depth: stack.length,
      value: one,
      isOpen: shown !== undefined,
    });
    if (!isContainer(one) || shown === undefined) return;
    const names = Array.isArray(one) ? undefined : Object.keys(one);
    stack.push({ of: one, names, at: 0, end: Math.min(shown, names?.length ?? sizeOf(one)) });
  };
  enter(undefined, value);
  while (stack.length > 0 && rows.length < rowsMax) {
    const place = stack[stack.length - 1] as Place;
    if (place.at < place.end) {
      const name = place.names?.[place.at] ?? String(place.at);
      place.at += 1;
      enter(name, (place.of as { readonly [key: string]: unknown })[name]);
      continue;
    }
    const size = place.names?.length ?? sizeOf(place.of);
    stack.pop();
    if (size > place.end)
      rows.push({
        kind: "more",
        depth: stack.length + 1,
        of: place.of,
        shown: place.end,
        left: size - place.end,
      });
  }
  return rows;
}

/** Unfolds from the top: so many levels, and no more rows than fit one look. */
export function unfoldTo(value: unknown, depth: number, rowsMax = 300): Unfolded {
  const open = new Map<object, number>();
  let level: unknown[] = [value];
  let rows = 1;
  for (let at = 0; at < depth && level.length > 0; at += 1) {
    const next: unknown[] = [];
    for (const one of level) {
      if (!isContainer(one)) continue;
      const size = Math.min(sizeOf(one), pageSize);
      if (at > 0 && rows + size > rowsMax) continue;
      rows += size;
      open.set(one, pageSize);
      for (const child of Array.isArray(one)
        ? one.slice(0, size)
        : Object.values(one).slice(0, size))
        next.push(child);
    }
    level = next;
  }
  return open;
}

/** A value that holds no others, as text; a long one is cut and says by how much. */
export function scalarText(value: unknown): { readonly text: string; readonly cut: number } {
  if (value instanceof Digits)
    return { text: value.text.slice(0, textMax), cut: Math.max(0, value.text.length - textMax) };
  if (typeof value !== "string") return { text: String(value), cut: 0 };
  if (value.length <= textMax) return { text: JSON.stringify(value), cut: 0 };
  return { text: JSON.stringify(value.slice(0, textMax)), cut: value.length - textMax };
}

/** The whole as indented text, digits and all; undefined: it is too deep to be written. */
export function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value, null, 2);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Not yet in the ES2024 types. */
const rawJson = (JSON as unknown as { readonly rawJSON?: (text: string) => unknown }).rawJSON;
