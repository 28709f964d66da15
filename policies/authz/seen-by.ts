/**
 * A grant set as a condition for lists, so that paging happens in SQL over rows that the asker may see.
 * Prefixes become ranges: under row-level security `LIKE 'x%'` loses its index, `>= and <` keeps it.
 */
import type { GrantSet, Side } from "./grants.ts";

type Range = {
  readonly from: string /** Exclusive; undefined: no end. */;
  readonly to?: string;
};
export type IdSide =
  | { readonly kind: "all" }
  | { readonly kind: "some"; readonly ids: readonly string[]; readonly ranges: readonly Range[] };
/** Which ids of one kind (`dag`, `conn` …) are seen: in `allow` and not in `deny`. Compare bytewise (collate "C"). */
export type SeenIds = { readonly allow: IdSide; readonly deny: IdSide };

/** `kind` is the part of a thing before the colon. */
export const seenIds = (grants: GrantSet, kind: string): SeenIds => ({
  allow: ofKind(grants.allow, `${kind}:`),
  deny: ofKind(grants.deny, `${kind}:`),
});

/** The condition decided here instead of in SQL: for a fake, a test, a single row. */
export const isSeen = (seen: SeenIds, id: string): boolean =>
  inSide(seen.allow, id) && !inSide(seen.deny, id);

function ofKind(side: Side, head: string): IdSide {
  if (side.prefixes.some((prefix) => head.startsWith(prefix))) return { kind: "all" };
  const own = (thing: string): boolean => thing.startsWith(head);
  const ids = [...side.exact].filter(own).map((thing) => thing.slice(head.length));
  const ranges = side.prefixes.filter(own).map((prefix) => rangeOf(prefix.slice(head.length)));
  return { kind: "some", ids, ranges };
}

function rangeOf(prefix: string): Range {
  // Ids are ASCII (model/ids), so adding one to the last character ends exactly what begins with the prefix.
  const last = prefix.charCodeAt(prefix.length - 1);
  return { from: prefix, to: prefix.slice(0, -1) + String.fromCharCode(last + 1) };
}

function inSide(side: IdSide, id: string): boolean {
  if (side.kind === "all") return true;
  return (
    side.ids.includes(id) ||
    side.ranges.some((range) => id >= range.from && (range.to === undefined || id < range.to))
  );
}
