/** Parameters of statements, as they are sent. */
export const text = (value: unknown): string => value as string;
export const number = (value: unknown): number => Number(value);
export const list = (value: unknown): readonly string[] => value as readonly string[];
export const records = <R>(value: unknown): R[] => JSON.parse(value as string) as R[];
/** A time as the house sends it: ISO 8601, a Date, or null. */
export const time = (value: unknown): number | null =>
  value === null ? null : value instanceof Date ? value.getTime() : Date.parse(value as string);
export const date = (ms: number | null): Date | null => (ms === null ? null : new Date(ms));

export type Key = { readonly task_id: string; readonly map_index: number };
export const sameKey = (a: Key, b: Key): boolean =>
  a.task_id === b.task_id && a.map_index === b.map_index;

/** SQL's least() and its kin pass over null. */
export const least = (...values: (number | null)[]): number =>
  Math.min(...values.filter((value) => value !== null));

/** `collate "C"` */
export const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
