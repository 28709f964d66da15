/** What templates and expressions of a task see: Airflow's names, made from the attempt's start. */
import type { AttemptStart } from "../../../platform/model/guest.ts";
import type { Connection, Context } from "../sdk/author-types.ts";
import { TemplateError } from "./render-template.ts";

export type Names = { readonly [name: string]: unknown };

/** `texts`: everything that will be rendered with them; only the variables and connections named there are fetched. */
export async function namesFor(
  start: AttemptStart,
  context: Context,
  item: unknown,
  texts: readonly string[],
): Promise<Names> {
  const { run } = start;
  const ts = isoSeconds(run.logical_date ?? run.run_after);
  const ds = ts.slice(0, 10);
  const [variables, connections] = await Promise.all([
    fetched(namedIn(texts, variableName), (key) => context.variable(key)),
    fetched(namedIn(texts, connectionName), (id) => context.conn(id)),
  ]);
  return {
    ds,
    ds_nodash: ds.replaceAll("-", ""),
    ts,
    ts_nodash: ts.slice(0, 19).replaceAll(/[-:]/g, ""),
    ts_nodash_with_tz: ts.replaceAll(/[-:]/g, ""),
    logical_date: ts,
    execution_date: ts,
    data_interval_start: isoSeconds(run.data_interval_start ?? ts),
    data_interval_end: isoSeconds(run.data_interval_end ?? ts),
    params: context.params,
    run_id: run.run_id,
    dag_run: {
      run_id: run.run_id,
      run_type: run.run_type,
      conf: run.conf ?? {},
      logical_date: ts,
      start_date: run.start_date,
    },
    dag: { dag_id: start.dag_id },
    task: { task_id: start.task_id },
    ti: taskInstance(start),
    task_instance: taskInstance(start),
    map_index: start.map_index,
    try_number: start.try_number,
    var: { value: withoutMissing(variables), json: jsonVariables(variables) },
    conn: Object.fromEntries([...connections].map(([id, one]) => [id, shown(one)])),
    macros,
    ...(item === undefined ? {} : { item }),
  };
}

const taskInstance = (start: AttemptStart): Names => ({
  task_id: start.task_id,
  dag_id: start.dag_id,
  run_id: start.run.run_id,
  map_index: start.map_index,
  try_number: start.try_number,
});

/** As Python prints a time with zone. */
function isoSeconds(text: string): string {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  const iso = date.toISOString();
  return `${iso.endsWith(".000Z") ? iso.slice(0, 19) : `${iso.slice(0, 23)}000`}+00:00`;
}

const variableName =
  /\bvar\.(?:value|json)(?:\.([A-Za-z_]\w*)|\[\s*['"]([^'"]+)['"]\s*\]|\.get\(\s*['"]([^'"]+)['"])/g;
const connectionName =
  /\bconn(?:\.([A-Za-z_]\w*)|\[\s*['"]([^'"]+)['"]\s*\]|\.get\(\s*['"]([^'"]+)['"])/g;

function namedIn(texts: readonly string[], pattern: RegExp): Set<string> {
  const names = texts.flatMap((text) =>
    [...text.matchAll(pattern)].map(([, dotted, indexed, got]) => dotted ?? indexed ?? got ?? ""),
  );
  return new Set(names);
}

async function fetched<T>(
  names: ReadonlySet<string>,
  fetchOne: (name: string) => Promise<T>,
): Promise<Map<string, T>> {
  const found = await Promise.all(
    [...names].map(async (name) => [name, await fetchOne(name)] as const),
  );
  return new Map(found);
}

/** A variable that does not exist is undefined in the template, so that `default(…)` works. */
const withoutMissing = (variables: ReadonlyMap<string, string | undefined>): Names =>
  Object.fromEntries([...variables].filter(([, value]) => value !== undefined));

function jsonVariables(variables: ReadonlyMap<string, string | undefined>): Names {
  return Object.fromEntries(
    [...variables].flatMap(([key, text]): [string, unknown][] => {
      if (text === undefined) return [];
      try {
        return [[key, JSON.parse(text) as unknown]];
      } catch {
        return [];
      }
    }),
  );
}

const shown = (connection: Connection): Names => ({
  conn_id: connection.id,
  conn_type: connection.type,
  host: connection.host ?? "",
  schema: connection.schema ?? "",
  login: connection.login ?? "",
  password: connection.password ?? "",
  port: connection.port ?? "",
  extra_dejson: connection.extra,
});

const macros = {
  ds_add: (ds: unknown, days: unknown): string => {
    const date = new Date(`${String(ds)}T00:00:00Z`);
    date.setUTCDate(date.getUTCDate() + Number(days));
    if (Number.isNaN(date.getTime()))
      throw new TemplateError("ds_add takes a date and a number of days");
    return date.toISOString().slice(0, 10);
  },
  ds_nodash: (ds: unknown): string => String(ds).replaceAll("-", ""),
};

const stand = "airlockunsafevalue";

/**
 * The same names for text that another program will read as code: a value with characters that mean
 * something there is replaced, and `refuseUnsafe` finds the replacement. What a person typed into a run's
 * params must never become a command.
 */
export function guarded(names: Names, safe: RegExp): Names {
  const guard = (value: unknown, depth: number): unknown => {
    if (typeof value === "string") return safe.test(value) ? value : stand;
    if (typeof value !== "object" || value === null || depth > 32) return value;
    if (Array.isArray(value)) return value.map((inner) => guard(inner, depth + 1));
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        safe.test(key) ? key : stand,
        guard(inner, depth + 1),
      ]),
    );
  };
  return guard(names, 0) as Names;
}
export const safeInShell = /^[\w@%+=:,./-]*$/;
export const safeInSql = /^(?!.*--)[\w.:+-]*$/;

export function refuseUnsafe(text: string, wayOut: string): string {
  if (text.toLowerCase().includes(stand))
    throw new TemplateError(`a value in it holds characters that would be read as code: ${wayOut}`);
  return text;
}
