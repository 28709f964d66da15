/** Whether a file's text names a connection, a variable or a pool: a likely place, not a proof. Pure. */
export type ThingKind = "conn" | "var" | "pool";

/** The first line, from 1, that names it; undefined: none does. */
export function lineNaming(text: string, kind: ThingKind, name: string): number | undefined {
  // Most files do not have the word at all.
  if (!text.includes(name)) return undefined;
  const escaped = name.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
  const quoted = `["'\`]${escaped}["'\`]`;
  // A whole YAML value; in a template `conn.name`, `var.value.name`, `var.json.name`.
  const plain = `^[\\s-]*[\\w.-]+:\\s+${escaped}\\s*(?:#.*)?$`;
  const template =
    kind === "conn"
      ? `\\bconn\\.${escaped}(?![\\w-])`
      : kind === "var"
        ? `\\bvar\\.(?:value|json)\\.${escaped}(?![\\w-])`
        : undefined;
  const pattern = new RegExp(
    [quoted, plain, ...(template === undefined ? [] : [template])].join("|"),
    "m",
  );
  const found = pattern.exec(text);
  if (found === null) return undefined;
  // `^[\s-]*` may begin lines earlier.
  const at = found.index + found[0].lastIndexOf(name);
  return text.slice(0, at).split("\n").length;
}
