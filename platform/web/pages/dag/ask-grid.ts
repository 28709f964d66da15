/** Fetches a grid: its cells, and the structure they are laid over, which the browser keeps for good. */
import type { GridHead, GridRun, GridShape } from "../../../api/ui/grid.ts";
import { type GridPlanes, readGrid } from "../../../model/grid-matrix.ts";
import { ask, askBytes, path, query } from "../../ask/ask-server.ts";
import { type Cells, openCells } from "../../layouts/grid-cells.ts";

export type GridQuery = {
  readonly tenant: string;
  readonly dag: string;
  readonly limit: number;
  readonly before: string | undefined;
  readonly runType: string | undefined;
  readonly runState: string | undefined;
  readonly times: boolean;
};

export type Grid = {
  readonly cells: Cells<GridRun>;
  readonly versions: readonly number[];
  readonly older: string | null;
};

export const gridPath = ({
  tenant,
  dag,
  limit,
  before,
  runType,
  runState,
  times,
}: GridQuery): string =>
  path`/t/${tenant}/api/ui/dags/${dag}/grid` +
  query({ limit, before, run_type: runType, state: runState, times: times ? true : undefined });

export async function askGrid(asked: GridQuery, signal: AbortSignal): Promise<Grid> {
  const { head, planes } = read(await askBytes(gridPath(asked), { signal }));
  const { key, versions } = head.structure;
  const shape = await ask<GridShape>(
    path`/t/${asked.tenant}/api/ui/dags/${asked.dag}/grid/${key}` +
      query({ versions: versions.join(",") }),
    { signal },
  );
  if (shape.tasks.length !== head.tasks)
    throw new Error("The grid's structure does not fit its cells.");
  return { cells: openCells(shape, key, head.runs, planes), versions, older: head.older };
}

/** One run of it anew; undefined: it does not fit any more, ask for the whole. */
export async function askRun(
  asked: GridQuery,
  grid: Grid,
  runId: string,
): Promise<{ readonly run: GridRun; readonly planes: GridPlanes } | undefined> {
  const bytes = await askBytes(
    path`/t/${asked.tenant}/api/ui/dags/${asked.dag}/grid` +
      query({
        limit: 1,
        run_id: runId,
        versions: grid.versions.join(","),
        times: asked.times ? true : undefined,
      }),
  );
  const { head, planes } = read(bytes);
  const [run] = head.runs;
  return run === undefined || head.structure.key !== grid.cells.structureKey
    ? undefined
    : { run, planes };
}

function read(bytes: ArrayBuffer): { readonly head: GridHead; readonly planes: GridPlanes } {
  const grid = readGrid(bytes, readHead);
  if (!grid.ok) throw new Error(`The grid could not be read: ${grid.problem}.`);
  return grid.value;
}

function readHead(raw: unknown): GridHead | undefined {
  if (typeof raw !== "object" || raw === null) return undefined;
  const { tasks, runs, times, structure } = raw as Partial<GridHead>;
  const fits =
    typeof tasks === "number" &&
    typeof times === "boolean" &&
    Array.isArray(runs) &&
    runs.every((run: Partial<GridRun> | null) => typeof run?.run_id === "string") &&
    typeof structure?.key === "string" &&
    Array.isArray(structure.versions);
  return fits ? (raw as GridHead) : undefined;
}
