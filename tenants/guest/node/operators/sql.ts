/** SQL on a Postgres the tenant has a connection to. All statements of a task are one transaction. */
import { readFileSync, statSync } from "node:fs";
import postgres from "postgres";
import { isObject } from "../../../../platform/model/json.ts";
import type { Connection } from "../../sdk/author-types.ts";
import { fail } from "../../sdk/outcome.ts";
import type { Operation } from "./catalogue.ts";
import {
  type Args,
  argsOf,
  kind,
  optionalText,
  requiredFile,
  textArg,
  wholeArg,
} from "./read-args.ts";
import { splitSql } from "./split-sql.ts";

const rowsMaxDefault = 1000;
const rowsMaxAtMost = 100_000;
const fileBytesMax = 1024 * 1024;

/**
 * `query` or `file`, with `with` as named parameters: the output is the rows of the last statement that has
 * any, at most `maxRows`. Or `rows` and `into`: the rows are written, and the output is how many.
 */
export async function runSql(raw: unknown, operation: Operation): Promise<unknown> {
  const args = argsOf(raw);
  const { context } = operation;
  const connection = await context.conn(textArg(args, "conn"));
  const sql = open(connection, operation);
  const stop = (): void => {
    void sql.end({ timeout: 0 });
  };
  context.signal.addEventListener("abort", stop, { once: true });
  try {
    return await (args["into"] === undefined
      ? runStatements(sql, args, operation)
      : writeRows(sql, args));
  } catch (error) {
    if (context.signal.aborted) throw context.signal.reason;
    throw explained(error);
  } finally {
    context.signal.removeEventListener("abort", stop);
    await sql.end({ timeout: 1 });
  }
}

function open(connection: Connection, { context }: Operation): postgres.Sql {
  if (!/^postgres(?:ql)?$/.test(connection.type))
    throw fail(
      `the connection "${connection.id}" is of type "${connection.type}"; sql tasks speak to postgres`,
      { retry: false },
    );
  const mode = connection.extra["sslmode"];
  const ssl =
    mode === "require" || mode === "prefer" || mode === "allow" || mode === "verify-full"
      ? mode
      : false;
  return postgres({
    host: connection.host ?? "localhost",
    port: connection.port ?? 5432,
    database: connection.schema ?? connection.login ?? "postgres",
    username: connection.login ?? "postgres",
    ...(connection.password === undefined ? {} : { password: connection.password }),
    ssl,
    max: 1,
    connect_timeout: 10,
    // A sandbox without the environment of a login shell must not make the driver guess.
    connection: { application_name: "airlock" },
    onnotice: (notice) => {
      context.log.info(`${String(notice["severity"])}: ${String(notice["message"])}`);
    },
    types: {
      // Exact numbers stay exact: as text, where a double would round.
      bigint: {
        to: 20,
        from: [20],
        serialize: String,
        parse: (text: string) => (Number.isSafeInteger(Number(text)) ? Number(text) : text),
      },
    },
  });
}

async function runStatements(
  sql: postgres.Sql,
  args: Args,
  { root, dagFile, context }: Operation,
): Promise<unknown> {
  const statements = splitSql(textOf(args, root, dagFile));
  const values = args["with"] ?? {};
  if (!isObject(values)) throw new TypeError(`with must be a mapping, it is ${kind(values)}`);
  const rowsMax = wholeArg(args, "maxRows", rowsMaxDefault, rowsMaxAtMost);
  return sql.begin(async (transaction) => {
    let last: readonly unknown[] | undefined;
    for (const { text, names } of statements) {
      const missing = names.find((name) => values[name] === undefined);
      if (missing !== undefined)
        throw new TypeError(`the statement has :${missing}, but with has no "${missing}"`);
      const query = transaction.unsafe<postgres.Row[]>(
        text,
        names.map((name) => values[name] as never),
      );
      const rows = await bounded(query, text, rowsMax);
      context.log.info(`${titleOf(text)}: ${said(rows.count)}`);
      if (rows.columns) last = rows.list;
    }
    return last;
  });
}

function textOf(args: Args, root: string, dagFile: string): string {
  const query = optionalText(args, "query");
  const file = optionalText(args, "file");
  if ((query === undefined) === (file === undefined))
    throw new TypeError("a sql task has either query or file (or rows and into)");
  if (file === undefined) return query ?? "";
  const path = requiredFile(root, dagFile, file);
  if (statSync(path).size > fileBytesMax) throw new RangeError(`${file} is larger than 1 MiB`);
  return readFileSync(path, "utf8");
}

type Rows = {
  readonly list: readonly unknown[];
  /** null where the statement is not about rows (DDL). */
  readonly count: number | null;
  readonly columns: boolean;
};

/** A read is fetched by a cursor, so that a table larger than memory cannot arrive in one piece. */
async function bounded(
  query: postgres.PendingQuery<postgres.Row[]>,
  text: string,
  rowsMax: number,
): Promise<Rows> {
  if (!/^(?:select|with|values|table)\b/i.test(afterComments(text))) {
    const result = await query;
    const columns = (result as { readonly columns?: readonly unknown[] }).columns;
    return tooMany([...result], result.count, columns !== undefined && columns.length > 0, rowsMax);
  }
  const list: unknown[] = [];
  for await (const rows of query.cursor(Math.min(rowsMax + 1, 1000))) {
    list.push(...rows);
    if (list.length > rowsMax) break;
  }
  return tooMany(list, list.length, true, rowsMax);
}

function tooMany(
  list: readonly unknown[],
  count: number | null,
  columns: boolean,
  rowsMax: number,
): Rows {
  if (list.length > rowsMax)
    throw fail(
      `the statement gives more than ${rowsMax} rows: aggregate, add a limit, or raise maxRows (at most ${rowsMaxAtMost})`,
      { retry: false },
    );
  return { list: list.map((row) => ({ ...(row as object) })), count, columns };
}

/** One insert per 1,000 rows; Postgres reads each value as the type of its column. */
async function writeRows(sql: postgres.Sql, args: Args): Promise<unknown> {
  const into = textArg(args, "into");
  if (!/^[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)?$/.test(into))
    throw new TypeError(`into: "${into}" is no table name`);
  const rows = args["rows"];
  if (!Array.isArray(rows) || !rows.every(isObject))
    throw new TypeError(`rows must be a list of mappings, it is ${kind(rows)}`);
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const table = into.split(".").map(quoted).join(".");
  const names = columns.map(quoted).join(", ");
  return sql.begin(async (transaction) => {
    if (args["mode"] === "replace") await transaction.unsafe(`delete from ${table}`);
    for (let at = 0; at < rows.length && columns.length > 0; at += 1000)
      await transaction.unsafe(
        `insert into ${table} (${names}) select ${names} from json_populate_recordset(null::${table}, $1::text::json)`,
        [JSON.stringify(rows.slice(at, at + 1000))],
      );
    return { rows: rows.length };
  });
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const afterComments = (text: string): string =>
  text.replace(/^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/, "");
const titleOf = (text: string): string =>
  (afterComments(text).split("\n")[0] ?? "").trim().slice(0, 80);
const said = (count: number | null): string =>
  count === null ? "done" : count === 1 ? "1 row" : `${String(count)} rows`;

/** The server's own words, with detail and hint; its mistakes in statements are no reason to try again. */
function explained(error: unknown): unknown {
  if (!(error instanceof postgres.PostgresError)) return error;
  const more = [error.detail, error.hint].filter((text) => text !== undefined && text !== "");
  return fail(`${[error.message, ...more].join(". ")} (SQLSTATE ${error.code})`, {
    retry: !/^(?:42|22|23)/.test(error.code),
    cause: error,
  });
}
