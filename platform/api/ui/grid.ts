/**
 * A DAG's page: its head, and its grid in two parts. The cells (one answer in bytes, `platform/model/grid-matrix.ts`)
 * change all the time; the structure they are laid over changes with a version and is kept by the browser for good.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { describeTimetable } from "../../engine/describe-timetable.ts";
import { writeGrid } from "../../model/grid-matrix.ts";
import type { Tx } from "../../store/open.ts";
import {
  type GridRunRow,
  listGridRuns,
  listVersionIds,
  readDagHead,
  readGridCells,
  readLastRun,
} from "../../store/read-grid.ts";
import { noSuchDag } from "../airflow/dags.ts";
import { specOf } from "../airflow/specs.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { flag, many, text, whole } from "../fields.ts";
import { badRequest, notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";
import { type Column, columnOf, openColumns, planesOf } from "./grid-columns.ts";
import { type GridStructure, structureOf } from "./grid-structure.ts";

const tag = "Page";
const runStates = ["queued", "running", "success", "failed"] as const;
const runTypes = ["scheduled", "manual", "backfill", "asset_triggered"] as const;
const at = z.string().nullable();

const dagHead = z.object({
  dag_id: z.string(),
  display_name: z.string(),
  description: z.string().nullable(),
  repository: z.string(),
  path: z.string(),
  state: z.enum(["active", "retired"]),
  is_paused: z.boolean(),
  version: z.number(),
  commit: z.string(),
  tags: z.array(z.string()),
  owners: z.array(z.string()),
  level: z.string(),
  schedule: z.string(),
  schedule_as_written: z.string().nullable(),
  next_run_at: at,
  last_parsed_at: z.string(),
  last_run: z
    .object({
      run_id: z.string(),
      state: z.enum(runStates),
      run_after: z.string(),
      started_at: at,
      ended_at: at,
    })
    .nullable(),
  /** The file's newest text could not be read; what is live is the last good one. Its words are for who may read the code. */
  import_error: z
    .object({
      path: z.string(),
      line: z.number().nullable(),
      message: z.string().nullable(),
      at: z.string(),
    })
    .nullable(),
});
export type DagHead = z.output<typeof dagHead>;

const gridRun = z.object({
  run_id: z.string(),
  state: z.enum(runStates),
  type: z.enum(runTypes),
  run_after: z.string(),
  logical_date: at,
  queued_at: z.string(),
  started_at: at,
  ended_at: at,
  version: z.number(),
  commit: z.string(),
});
const gridHead = z.object({
  tasks: z.number(),
  /** Newest first. */
  runs: z.array(gridRun),
  times: z.boolean(),
  /** Where the cells' tasks are listed, in the order of the cells. */
  structure: z.object({ key: z.string(), versions: z.array(z.number()) }),
  /** For the page of older runs; null: there is none. */
  older: z.string().nullable(),
});
export type GridRun = z.output<typeof gridRun>;
export type GridHead = z.output<typeof gridHead>;

const gridStructure = z.object({
  tasks: z.array(
    z.object({
      id: z.string(),
      name: z.string().nullable(),
      operator: z.string(),
      group: z.number(),
      mapped: z.boolean(),
      gone: z.boolean(),
    }),
  ),
  groups: z.array(
    z.object({
      id: z.string(),
      parent: z.number(),
      tooltip: z.string().nullable(),
      mapped: z.boolean(),
    }),
  ),
  tree: z.array(z.number()),
});
export type GridShape = z.output<typeof gridStructure>;

const versionsField = text(1_200).regex(/^\d{1,9}(?:,\d{1,9}){0,109}$/, {
  error: "must be version numbers with commas between",
});
const versionsMax = 110;

export const gridEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/head`,
      tag,
      summary: "What the head of a DAG's page says",
      policy: { deed: "dag.read", on: "dag:{dag_id}" },
      answers: { 200: dagHead },
    },
    async (ask) => {
      const dagId = dagOf(ask);
      const [[row, last], errors] = await Promise.all([
        ask.tx((tx) => Promise.all([readDagHead(tx, dagId), readLastRun(tx, dagId)])),
        ask.deps.sources.listImportErrors(ask.tenant),
      ]);
      if (!row) throw noSuchDag(dagId);
      const error = errors.find(
        (one) => one.repository === row.repository && one.path === row.path,
      );
      const mayRead = [dagId, ...(error?.dag_ids ?? [])].every((id) =>
        ask.may("code.read", `dag:${id}`),
      );
      const mayRuns = ask.may("run.read", `dag:${dagId}`);
      return json(200, {
        dag_id: row.dag_id,
        display_name: row.display_name,
        description: row.description,
        repository: row.repository,
        path: row.path,
        state: row.state,
        is_paused: row.is_paused,
        version: row.version,
        commit: row.commit,
        tags: [...row.tags],
        owners: [...row.owners],
        level: row.level,
        schedule: describeTimetable(row.timetable),
        schedule_as_written: row.timetable_summary,
        next_run_at: iso(row.next_run_at),
        last_parsed_at: row.last_parsed_at.toISOString(),
        last_run:
          last === undefined || !mayRuns
            ? null
            : {
                run_id: last.run_id,
                state: last.state,
                run_after: last.run_after.toISOString(),
                started_at: iso(last.started_at),
                ended_at: iso(last.ended_at),
              },
        import_error:
          error === undefined
            ? null
            : {
                path: error.path,
                line: mayRead ? error.line : null,
                message: mayRead ? error.message.slice(0, 4_000) : null,
                at: error.at.toISOString(),
              },
      } satisfies DagHead);
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/grid`,
      tag,
      summary: "Runs and the states of their tasks, a byte each (application/octet-stream)",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      query: {
        limit: whole(1, 100).default(25),
        before: text(120).optional(),
        /** One run alone, over the structure of these versions, to be put into a grid that is there already. */
        run_id: text(250).optional(),
        versions: versionsField.optional(),
        state: many(z.enum(runStates)),
        run_type: many(z.enum(runTypes)),
        times: flag.default(false),
      },
      answers: { 200: undefined },
    },
    async (ask) => {
      const { query } = ask;
      const dagId = dagOf(ask);
      const before = query.before === undefined ? undefined : readCursor(query.before);
      const bytes = await ask.tx(async (tx) => {
        const [dag, found] = await Promise.all([
          readDagHead(tx, dagId),
          listGridRuns(tx, {
            dagId,
            runId: query.run_id,
            states: query.state,
            types: query.run_type,
            before,
            limit: query.limit + 1,
          }),
        ]);
        if (!dag) throw noSuchDag(dagId);
        const runs = found.slice(0, query.limit);
        const asked = query.run_id === undefined ? [] : versionsOf(query.versions);
        const versions = await orderVersions(tx, dag, runs, asked);
        const laid = await structureFor(tx, ask.tenant, dagId, versions);
        const columns = await readColumns(tx, runs, laid, query.times);
        const oldest = runs.at(-1);
        const head: GridHead = {
          tasks: laid.structure.tasks.length,
          runs: runs.map(toGridRun),
          times: query.times,
          structure: { key: laid.key, versions: versions.map(({ version }) => version) },
          older:
            found.length > runs.length && oldest !== undefined
              ? `${oldest.run}~${oldest.place}`
              : null,
        };
        return writeGrid(head, planesOf(columns, head.tasks, query.times));
      });
      return new Response(bytes, { headers: { "content-type": "application/octet-stream" } });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/dags/{dag_id}/grid/{structure_key}`,
      tag,
      summary: "Tasks and groups that a grid's cells are laid over",
      policy: { deed: "run.read", on: "dag:{dag_id}" },
      query: { versions: versionsField },
      answers: { 200: gridStructure, 304: undefined },
    },
    async (ask) => {
      const dagId = dagOf(ask);
      const asked = versionsOf(ask.query.versions);
      const laid = await ask.tx(async (tx) => {
        const ids = new Map(
          (await listVersionIds(tx, dagId, asked)).map(({ version, id }) => [version, id]),
        );
        const versions = asked.flatMap((version) => {
          const id = ids.get(version);
          return id === undefined ? [] : [{ version, id }];
        });
        return versions.length === 0 ? undefined : structureFor(tx, ask.tenant, dagId, versions);
      });
      if (laid === undefined || laid.key !== ask.params["structure_key"])
        throw notFound("This DAG has no such structure any more; ask for its grid again");
      const headers = {
        etag: `"${laid.key}"`,
        // The key is a hash of what the versions are, and a version never changes.
        "cache-control": "private, max-age=31536000, immutable",
        vary: "cookie, authorization",
      };
      return ask.request.headers.get("if-none-match") === `"${laid.key}"`
        ? new Response(null, { status: 304, headers })
        : json(200, laid.structure, headers);
    },
  ),
];

const dagOf = (ask: Pick<Ask<unknown, unknown>, "params">): string => ask.params["dag_id"] ?? "";
const iso = (time: Date | null): string | null => time?.toISOString() ?? null;

const toGridRun = (row: GridRunRow): GridRun => ({
  run_id: row.run_id,
  state: row.state,
  type: row.run_type,
  run_after: row.run_after.toISOString(),
  logical_date: iso(row.logical_date),
  queued_at: row.queued_at.toISOString(),
  started_at: iso(row.started_at),
  ended_at: iso(row.ended_at),
  version: row.version,
  commit: row.commit,
});

/** `number~time`, as the answer before gave it. */
function readCursor(raw: string): { readonly place: string; readonly run: string } {
  const [, run, place] =
    /^(\d{1,18})~(\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?[+-]\d\d(?::?\d\d){0,2})$/.exec(
      // In a query, a plus that was not escaped arrives as a blank.
      raw.replace(/ (?=\d\d(?::?\d\d){0,2}$)/, "+"),
    ) ?? [];
  if (run === undefined || place === undefined)
    throw badRequest("before must be what `older` of another answer said");
  return { run, place };
}

const versionsOf = (raw: string | undefined): readonly number[] =>
  raw === undefined ? [] : [...new Set(raw.split(",").map(Number))].slice(0, versionsMax);

type VersionRef = { readonly version: number; readonly id: string };

/** The live version first, then the others from the newest on. */
async function orderVersions(
  tx: Tx,
  dag: { readonly dag_id: string; readonly version: number; readonly version_id: string },
  runs: readonly GridRunRow[],
  asked: readonly number[],
): Promise<readonly VersionRef[]> {
  const ids = new Map<number, string>(
    asked.length === 0
      ? []
      : (await listVersionIds(tx, dag.dag_id, asked)).map(({ version, id }) => [version, id]),
  );
  for (const { version, version_id } of runs) if (version_id !== null) ids.set(version, version_id);
  ids.delete(dag.version);
  return [
    { version: dag.version, id: dag.version_id },
    ...[...ids].map(([version, id]) => ({ version, id })).toSorted((a, b) => b.version - a.version),
  ].slice(0, versionsMax);
}

type Laid = {
  readonly key: string;
  readonly structure: GridStructure;
  readonly places: ReadonlyMap<string, number>;
};
const laidMax = 60;
const kept = new Map<string, Laid>();
/** Raised when what a structure is made of, or its order, changes: browsers keep the old ones for good. */
const structureFormat = 1;

async function structureFor(
  tx: Tx,
  tenant: string,
  dagId: string,
  versions: readonly VersionRef[],
): Promise<Laid> {
  const key = createHash("sha256")
    .update(
      [
        structureFormat,
        tenant,
        dagId,
        ...versions.map(({ version, id }) => `${version}:${id}`),
      ].join("\n"),
    )
    .digest("base64url")
    .slice(0, 32);
  const before = kept.get(key);
  if (before) return before;
  const specs = [];
  for (const { version, id } of versions) {
    const spec = await specOf(tx, { dag_id: dagId, version, version_id: id });
    if (spec !== undefined) specs.push(spec);
  }
  const structure = structureOf(specs);
  const laid = {
    key,
    structure,
    places: new Map(structure.tasks.map(({ id }, place) => [id, place])),
  };
  const oldest = kept.size >= laidMax ? kept.keys().next().value : undefined;
  if (oldest !== undefined) kept.delete(oldest);
  kept.set(key, laid);
  return laid;
}

const columns = openColumns();

/** Of runs that ended a while ago the columns are remembered; the others are read, in one statement. */
async function readColumns(
  tx: Tx,
  runs: readonly GridRunRow[],
  laid: Laid,
  times: boolean,
): Promise<readonly Column[]> {
  const found = new Map<string, Column>();
  const missing: GridRunRow[] = [];
  for (const run of runs) {
    const column = columns.get(laid.key, run, times);
    if (column === undefined) missing.push(run);
    else found.set(run.run, column);
  }
  if (missing.length > 0) {
    const rows = await readGridCells(tx, { runs: missing.map(({ run }) => run), times });
    const lines = new Map(rows.map((row) => [row.run, row.lines]));
    for (const run of missing) {
      const column = columnOf(lines.get(run.run) ?? "", laid.places, times);
      columns.set(laid.key, run, times, column);
      found.set(run.run, column);
    }
  }
  return runs.flatMap(({ run }) => found.get(run) ?? []);
}
