/** An address with some fields changed; what is undefined is taken out. */
export type SearchChange<S> = { readonly [K in keyof S]?: S[K] | undefined };

export const changed = <S extends object>(old: S, change: SearchChange<S>): S =>
  Object.fromEntries(
    Object.entries({ ...old, ...change }).filter(([, value]) => value !== undefined),
  ) as S;
