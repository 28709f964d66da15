/** Which runs are chosen: by click, by shift-click from the last one, or all that the filter finds. */
export type Selection =
  | { readonly kind: "some"; readonly keys: ReadonlySet<string>; readonly last: number | undefined }
  | { readonly kind: "all" };

export const nothing: Selection = { kind: "some", keys: new Set(), last: undefined };

/** A click on the row at `at`; with `far`, all from the last click to here get what this row gets. */
export function choose(
  selection: Selection,
  rows: readonly string[],
  at: number,
  far: boolean,
): Selection {
  const key = rows[at];
  if (key === undefined) return selection;
  // From "all", a click says what is not meant: what is loaded without it.
  const before = selection.kind === "all" ? new Set(rows) : selection.keys;
  const on = !before.has(key);
  const last = selection.kind === "all" ? undefined : selection.last;
  const [from, to] =
    far && last !== undefined ? [Math.min(last, at), Math.max(last, at)] : [at, at];
  const keys = new Set(before);
  for (const one of rows.slice(from, to + 1))
    if (on) keys.add(one);
    else keys.delete(one);
  return { kind: "some", keys, last: at };
}

export const isChosen = (selection: Selection, key: string): boolean =>
  selection.kind === "all" || selection.keys.has(key);

export const countChosen = (selection: Selection, total: number): number =>
  selection.kind === "all" ? total : selection.keys.size;
