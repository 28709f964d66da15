/** The kinds of fields that requests have. Every text has a bound, and none may hold what Postgres cannot store. */
import { z } from "zod";
import { badRequest } from "./problem.ts";

/** At most `max` characters; no NUL, no half of a surrogate pair. */
export const text = (max: number): z.ZodString =>
  z
    .string()
    .max(max)
    .refine((value) => !value.includes("\0") && value.isWellFormed(), {
      error: "Text must not hold NUL or half a character",
    });

const date = (raw: string): Date | undefined => {
  // In a query, the plus of an offset that was not escaped arrives as a blank.
  const at = raw.replace(/ (?=\d\d:?\d\d$)/, "+");
  if (!/^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/i.test(at))
    return undefined;
  // A time without an offset is UTC, as in Airflow.
  const zoned = /T|\d \d/i.test(at) && !/(?:Z|[+-]\d\d:?\d\d)$/i.test(at) ? `${at}Z` : at;
  const parsed = new Date(zoned);
  return Number.isNaN(parsed.getTime()) ? undefined : parsed;
};

/** An ISO 8601 time; without an offset it is UTC. */
export const time = z
  .string()
  .transform((raw, context): Date => {
    const at = date(raw);
    if (at) return at;
    context.addIssue({ code: "custom", message: "must be an ISO 8601 date and time" });
    return z.NEVER;
  })
  .meta({ format: "date-time" });

/** A whole number in a query or a path. */
export const whole = (min: number, max: number): z.ZodType<number> =>
  z
    .string()
    .regex(/^-?\d{1,10}$/, { error: "must be a whole number" })
    .transform(Number)
    .refine((value) => value >= min && value <= max, {
      error: `must be between ${min} and ${max}`,
    })
    .meta({ type: "integer", minimum: min, maximum: max });

export const number = z
  .string()
  .regex(/^-?\d{1,12}(?:\.\d{1,9})?$/, { error: "must be a number" })
  .transform(Number)
  .meta({ type: "number" });

export const flag = z
  .string()
  .transform((raw, context): boolean => {
    if (/^(?:true|1|yes|on)$/i.test(raw)) return true;
    if (/^(?:false|0|no|off)$/i.test(raw)) return false;
    context.addIssue({ code: "custom", message: "must be true or false" });
    return z.NEVER;
  })
  .meta({ type: "boolean" });

export const many = <T extends z.ZodType>(of: T): z.ZodOptional<z.ZodArray<T>> =>
  z.array(of).max(1_000).optional();
export const manyTexts = many(text(500));
export const pattern = text(500).optional();

const limitDefault = 50;
const limitMax = 100;

/** `limit` (default exactly 50, which airflowctl counts on; more than 100 is 100), `offset`, `order_by`. */
export const paging = {
  limit: whole(0, 2_147_483_647)
    .transform((asked) => (asked === 0 ? limitDefault : Math.min(asked, limitMax)))
    .default(limitDefault),
  offset: whole(0, 2_147_483_647).default(0),
  order_by: many(text(100)),
};

type Paged = { limit: number; offset: number; order_by?: readonly string[] | undefined };

export const pageOf = ({ limit, offset }: Paged): { limit: number; offset: number } => ({
  limit,
  offset,
});

/** Airflow's `order_by=-start_date`; a key outside of `keys` is refused as Airflow does. */
export function orderOf(
  { order_by: asked }: Paged,
  keys: readonly string[],
): readonly { by: string; descending: boolean }[] {
  return (asked ?? []).map((raw) => {
    const descending = raw.startsWith("-");
    const by = descending ? raw.slice(1) : raw;
    if (!keys.includes(by))
      throw badRequest(
        `Ordering with '${by.slice(0, 60)}' is disallowed or the attribute does not exist on the model`,
      );
    return { by, descending };
  });
}

const bounds = ["gte", "gt", "lte", "lt"] as const;
type Bound = (typeof bounds)[number];

/** The four fields `<name>_gte`, `_gt`, `_lte`, `_lt`. */
export const range = <N extends string, T extends z.ZodType>(
  name: N,
  of: T,
): { [K in `${N}_${Bound}`]: z.ZodOptional<T> } =>
  Object.fromEntries(bounds.map((bound) => [`${name}_${bound}`, of.optional()])) as {
    [K in `${N}_${Bound}`]: z.ZodOptional<T>;
  };

/** The bounds that were given, or undefined if none was. */
export function rangeOf<T>(
  query: { readonly [key: string]: unknown },
  name: string,
): { gte?: T; gt?: T; lte?: T; lt?: T } | undefined {
  const given = bounds.flatMap((bound) => {
    const value = query[`${name}_${bound}`] ?? undefined;
    return value === undefined ? [] : [[bound, value as T] as const];
  });
  return given.length === 0 ? undefined : Object.fromEntries(given);
}
