/** Folded groups as a word of the address: absent as at first, "-" none, "*" all, "a,b" these, "!a,b" all but these. */
const lengthMax = 1_500;

export function readFolded(
  text: string | undefined,
  groups: readonly string[],
  atFirst: ReadonlySet<string>,
): ReadonlySet<string> {
  if (text === undefined) return atFirst;
  if (text === "-") return new Set();
  if (text === "*") return new Set(groups);
  const named = new Set(text.replace(/^!/, "").split(","));
  return new Set(groups.filter((id) => named.has(id) !== text.startsWith("!")));
}

/** The shorter way to say it; what is too long to be an address is cut, and so folds less, or more. */
export function writeFolded(
  folded: ReadonlySet<string>,
  groups: readonly string[],
  atFirst: ReadonlySet<string>,
): string | undefined {
  const isSame = groups.every((id) => folded.has(id) === atFirst.has(id));
  if (isSame) return undefined;
  const these = groups.filter((id) => folded.has(id));
  const others = groups.filter((id) => !folded.has(id));
  if (these.length === 0) return "-";
  if (others.length === 0) return "*";
  const [yes, no] = [these.join(","), `!${others.join(",")}`];
  const text = yes.length <= no.length ? yes : no;
  return text.length <= lengthMax ? text : text.slice(0, text.lastIndexOf(",", lengthMax));
}
