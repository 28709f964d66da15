/** An expected problem is an answer, not an exception: the caller must look at it. */
export type Answer<T, P> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: P };

export const good = <T>(value: T): { readonly ok: true; readonly value: T } => ({
  ok: true,
  value,
});
export const bad = <P>(problem: P): { readonly ok: false; readonly problem: P } => ({
  ok: false,
  problem,
});
