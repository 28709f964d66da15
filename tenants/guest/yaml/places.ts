/** Where a value of a YAML document stands in its text. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type LineCounter,
  type Node,
  type Pair,
  visit,
  type YAMLMap,
} from "yaml";

export type LineColumn = { readonly line: number; readonly column: number };
type Steps = readonly PropertyKey[];

export type Places = {
  /** The value at a path; of a path that leads nowhere, the last thing on the way. */
  readonly value: (path: Steps) => LineColumn;
  /** The key at the end of a path. */
  readonly key: (path: Steps) => LineColumn;
  /** A line inside the text at a path, counted from 1. */
  readonly lineIn: (path: Steps, line: number) => LineColumn;
};

export function placesOf(document: Document, lines: LineCounter): Places {
  const at = (offset: number | undefined): LineColumn => {
    const { line, col } = lines.linePos(offset ?? document.contents?.range?.[0] ?? 0);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const start = (node: unknown): number | undefined => (node as Node | undefined)?.range?.[0];
  const walk = (path: Steps): { node: unknown; key: unknown } => {
    let node: unknown = document.contents;
    let key: unknown = document.contents;
    for (const step of path) {
      const inner = isAlias(node) ? node.resolve(document) : node;
      if (isMap(inner)) {
        const pair = pairOf(inner, String(step));
        if (pair === undefined) break;
        key = pair.key;
        node = pair.value ?? pair.key;
      } else if (isSeq(inner)) {
        const item: unknown = inner.items[Number(step)];
        if (item === undefined) break;
        node = item;
        key = item;
      } else break;
    }
    return { node, key };
  };
  return {
    value: (path) => at(start(walk(path).node)),
    key: (path) => at(start(walk(path).key)),
    lineIn: (path, line) => {
      const { node } = walk(path);
      const place = at(start(node));
      const block =
        isScalar(node) && (node.type === "BLOCK_LITERAL" || node.type === "BLOCK_FOLDED");
      if (block) return { line: place.line + line, column: 1 };
      return line === 1 ? place : { line: place.line + line - 1, column: 1 };
    },
  };
}

/** By name, looked up once per mapping: one with ten thousand tasks is asked ten thousand times. */
const named = new WeakMap<object, Map<string, Pair>>();
function pairOf(map: YAMLMap, name: string): Pair | undefined {
  let pairs = named.get(map);
  if (pairs === undefined) {
    pairs = new Map(map.items.map((pair) => [keyText(pair.key), pair]));
    named.set(map, pairs);
  }
  return pairs.get(name);
}

/** Keys that a mapping has twice, anywhere in the document. */
export function doubleKeys(
  document: Document,
  lines: LineCounter,
): (LineColumn & { readonly key: string })[] {
  const found: (LineColumn & { readonly key: string })[] = [];
  visit(document, {
    Map(_at, map) {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        const text = keyText(key);
        if (seen.has(text) && text !== "<<") {
          const { line, col } = lines.linePos((key as Node | null)?.range?.[0] ?? 0);
          found.push({ key: text, line: Math.max(1, line), column: Math.max(1, col) });
        }
        seen.add(text);
      }
    },
  });
  return found;
}

const keyText = (key: unknown): string => String(isScalar(key) ? key.value : key);
