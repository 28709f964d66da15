/**
 * What lists of the API have in common: paging, the order asked for, Airflow's text patterns, and which ids
 * the asker may see. Everything becomes parameters; no text of a stranger becomes SQL.
 */
import type postgres from "postgres";
import type { Tx } from "./open.ts";
import { textArray } from "./text-array.ts";

export type Page = { readonly limit: number; readonly offset: number };
export type Listed<Row> = { readonly rows: readonly Row[]; readonly total: number };
/** A key of the list's own table of columns, and the direction. */
export type Order = { readonly by: string; readonly descending: boolean };
export type TimeRange = {
  readonly gte?: Date;
  readonly gt?: Date;
  readonly lte?: Date;
  readonly lt?: Date;
};
export type NumberRange = {
  readonly gte?: number;
  readonly gt?: number;
  readonly lte?: number;
  readonly lt?: number;
};

/** Structurally `SeenIds` of policies/authz, which this room may not know. */
export type SeenIds = { readonly allow: IdSide; readonly deny: IdSide };
type IdSide =
  | { readonly kind: "all" }
  | {
      readonly kind: "some";
      readonly ids: readonly string[];
      readonly ranges: readonly { readonly from: string; readonly to?: string }[];
    };

export type Fragment = postgres.PendingQuery<postgres.Row[]>;

/** Rows whose `column` the asker may see. Bytewise, as ids are compared in `policies/authz`. */
export function seenIn(tx: Tx, column: Fragment, seen: SeenIds): Fragment {
  return tx`(${side(tx, column, seen.allow)} and not ${side(tx, column, seen.deny)})`;
}

function side(tx: Tx, column: Fragment, ids: IdSide): Fragment {
  if (ids.kind === "all") return tx`true`;
  const ranges = ids.ranges.map(({ from, to }) =>
    to === undefined
      ? tx`${column} collate "C" >= ${from}`
      : tx`(${column} collate "C" >= ${from} and ${column} collate "C" < ${to})`,
  );
  const exact = tx`${column} = any(${textArray(ids.ids)}::text[])`;
  return tx`(${ranges.reduce((all, range) => tx`${all} or ${range}`, exact)})`;
}

/** Airflow's `*_pattern`: LIKE with % and _, ` | ` between alternatives, upper and lower case alike. */
export function matches(tx: Tx, column: Fragment, pattern: string | undefined): Fragment {
  if (pattern === undefined) return tx`true`;
  const alternatives = pattern
    .split(" | ")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .slice(0, 20)
    // A lone backslash at the end is an error of LIKE; here it is a character like any other.
    .map((part) => `%${part.replaceAll("\\", "\\\\")}%`);
  return alternatives.length === 0
    ? tx`true`
    : tx`${column} ilike any(${textArray(alternatives)}::text[])`;
}

export function oneOf(tx: Tx, column: Fragment, values: readonly string[] | undefined): Fragment {
  return values === undefined || values.length === 0
    ? tx`true`
    : tx`${column} = any(${textArray(values)}::text[])`;
}

export function within(
  tx: Tx,
  column: Fragment,
  range: TimeRange | NumberRange | undefined,
): Fragment {
  if (range === undefined) return tx`true`;
  const value = (bound: Date | number): Fragment =>
    typeof bound === "number" ? tx`${bound}::float8` : tx`${bound.toISOString()}::timestamptz`;
  const parts = [
    ...(range.gte === undefined ? [] : [tx`${column} >= ${value(range.gte)}`]),
    ...(range.gt === undefined ? [] : [tx`${column} > ${value(range.gt)}`]),
    ...(range.lte === undefined ? [] : [tx`${column} <= ${value(range.lte)}`]),
    ...(range.lt === undefined ? [] : [tx`${column} < ${value(range.lt)}`]),
  ];
  return parts.reduce((all, part) => tx`${all} and ${part}`, tx`true`);
}

/** `order by …` from a list's own columns; a key that is not there is left out (the API refuses it before). */
export function orderBy(
  tx: Tx,
  orders: readonly Order[],
  columns: { readonly [key: string]: Fragment },
  last: Fragment,
): Fragment {
  const parts = orders.flatMap(({ by, descending }) => {
    const column = Object.hasOwn(columns, by) ? columns[by] : undefined;
    if (!column) return [];
    return [descending ? tx`${column} desc nulls last` : tx`${column} asc nulls first`];
  });
  const all = parts.reduce<Fragment | undefined>(
    (sum, part) => (sum ? tx`${sum}, ${part}` : part),
    undefined,
  );
  return all ? tx`order by ${all}, ${last}` : tx`order by ${last}`;
}
