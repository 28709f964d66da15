/**
 * Statements of a SQL text, with `:name` turned into `$1, $2, …`: text in quotes, comments, dollar quotes
 * and casts (`::`) are left alone. Values never become part of the text.
 */
export type Statement = { readonly text: string; readonly names: readonly string[] };

const token =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|::|:([A-Za-z_]\w*)|;|\$\d+/g;

export function splitSql(sql: string): Statement[] {
  const statements: Statement[] = [];
  let text = "";
  let names: string[] = [];
  let at = 0;
  const finish = (): void => {
    // Only comments left: nothing the server could run.
    if (text.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, "").trim() !== "")
      statements.push({ text: text.trim(), names });
    text = "";
    names = [];
  };
  for (const match of sql.matchAll(token)) {
    text += sql.slice(at, match.index);
    at = match.index + match[0].length;
    const name = match[2];
    if (match[0] === ";") finish();
    else if (name !== undefined && !/[\w:]$/.test(text)) {
      if (!names.includes(name)) names.push(name);
      text += `$${names.indexOf(name) + 1}`;
    } else text += match[0];
  }
  text += sql.slice(at);
  finish();
  return statements;
}
