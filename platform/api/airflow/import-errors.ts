import type { z } from "zod";
import type { ImportError } from "../deps.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { orderOf, pageOf, paging, pattern } from "../fields.ts";
import { notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { api } from "./base.ts";
import * as shapes from "./shapes.ts";

const tag = "Import Error";
const orders = [
  "id",
  "import_error_id",
  "timestamp",
  "filename",
  "bundle_name",
  "stacktrace",
] as const;

export const importErrorEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${api}/importErrors`,
      tag,
      summary: "Files whose last version could not be read",
      policy: { deed: "dag.read", list: "dag" },
      query: { ...paging, filename_pattern: pattern },
      answers: { 200: shapes.importErrorList },
    },
    async (ask) => {
      const wanted = asPattern(ask.query.filename_pattern);
      const found = (await seenErrors(ask)).filter((error) => wanted.test(error.path));
      const [order] = orderOf(ask.query, orders);
      const sorted = found.toSorted(
        (a, b) => compare(keyOf(a, order?.by), keyOf(b, order?.by)) * (order?.descending ? -1 : 1),
      );
      const { limit, offset } = pageOf(ask.query);
      return json(200, {
        import_errors: sorted.slice(offset, offset + limit).map(toImportError),
        total_entries: sorted.length,
      });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/importErrors/{import_error_id}`,
      tag,
      summary: "One of them",
      policy: { deed: "dag.read", list: "dag" },
      answers: { 200: shapes.importError },
    },
    async (ask) => {
      const id = ask.params["import_error_id"];
      const found = (await seenErrors(ask)).find((error) => String(error.id) === id);
      if (!found)
        throw notFound(`The ImportError with import_error_id: \`${id ?? ""}\` was not found`);
      return json(200, toImportError(found));
    },
  ),
];

/**
 * A file's error shows its code: it is for those who may read the code of every DAG of the file, and, where the
 * file has none yet, for those who see the repository's deploys.
 */
async function seenErrors(ask: Ask<unknown, unknown>): Promise<readonly ImportError[]> {
  const errors = await ask.deps.sources.listImportErrors(ask.tenant);
  return errors.filter((error) =>
    error.dag_ids.length > 0
      ? error.dag_ids.every((id) => ask.may("code.read", `dag:${id}`))
      : ask.may("repo.read", `repo:${error.repository}`),
  );
}

const toImportError = (error: ImportError): z.output<typeof shapes.importError> => ({
  import_error_id: error.id,
  timestamp: error.at.toISOString(),
  filename: error.path,
  bundle_name: error.repository,
  stack_trace:
    error.traceback ??
    `${error.path}${error.line === null ? "" : `:${error.line}`}: ${error.message}`,
});

const keyOf = (error: ImportError, by = "id"): string | number => {
  switch (by) {
    case "timestamp":
      return error.at.getTime();
    case "filename":
      return error.path;
    case "bundle_name":
      return error.repository;
    default:
      return error.id;
  }
};
const compare = (a: string | number, b: string | number): number => (a === b ? 0 : a < b ? -1 : 1);

/** LIKE over a short list: `%` stands for anything, all else is literal; no regular expression that could run away. */
function asPattern(like: string | undefined): { test(text: string): boolean } {
  if (like === undefined) return { test: () => true };
  const parts = like
    .toLowerCase()
    .split("%")
    .filter((part) => part !== "");
  return {
    test(text) {
      let at = 0;
      for (const part of parts) {
        const found = text.toLowerCase().indexOf(part, at);
        if (found < 0) return false;
        at = found + part.length;
      }
      return true;
    },
  };
}
