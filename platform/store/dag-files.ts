/** What the last parse of each file found, and which files cannot be loaded. */
import type { FileProblem } from "../model/guest.ts";
import type { CommitId, DagId, RepositoryId, TenantId } from "../model/ids.ts";
import { storable } from "../model/storable-text.ts";
import type { Tx } from "./open.ts";

export type DagFileRow = {
  readonly path: string;
  readonly set_hash: string;
  readonly input_hash: string;
  readonly inputs: readonly string[];
  readonly packages: readonly string[];
  readonly dag_ids: readonly DagId[];
  readonly good: boolean;
};

export async function readDagFiles(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
): Promise<readonly DagFileRow[]> {
  return tx<DagFileRow[]>`
    select path, set_hash, input_hash, inputs, packages, dag_ids, good
      from airlock.dag_file where tenant = ${tenant} and repository = ${repository}`;
}

/** Writes what was parsed now, forgets files that are gone. */
export async function writeDagFiles(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  change: { readonly parsed: readonly DagFileRow[]; readonly gone: readonly string[] },
): Promise<void> {
  if (change.gone.length > 0)
    await tx`
      delete from airlock.dag_file
       where tenant = ${tenant} and repository = ${repository} and path = any(${[...change.gone]})`;
  if (change.parsed.length > 0)
    await tx`
      insert into airlock.dag_file (tenant, repository, path, set_hash, input_hash, inputs, packages, dag_ids, good)
      select ${tenant}, ${repository}, f.path, f.set_hash, f.input_hash, f.inputs, f.packages, f.dag_ids, f.good
        from json_to_recordset(${JSON.stringify(change.parsed)}::text::json)
          as f (path text, set_hash text, input_hash text, inputs text[], packages text[], dag_ids text[], good boolean)
      on conflict (tenant, repository, path) do update
         set set_hash = excluded.set_hash, input_hash = excluded.input_hash, inputs = excluded.inputs,
             packages = excluded.packages, dag_ids = excluded.dag_ids, good = excluded.good`;
}

export type BadFile = { readonly path: string; readonly problems: readonly FileProblem[] };

/** The repository's import errors are exactly these from now on; an error that stays keeps its number and time. */
export async function writeImportErrors(
  tx: Tx,
  tenant: TenantId,
  repository: RepositoryId,
  commit: CommitId,
  files: readonly BadFile[],
): Promise<void> {
  const rows = files.map(({ path, problems }) => {
    const [first] = problems;
    return {
      path: storable(path),
      message: storable(first?.message ?? "could not be loaded"),
      line: first?.line ?? null,
      hint: first?.hint === undefined ? null : storable(first.hint),
      traceback: first?.traceback === undefined ? null : storable(first.traceback),
      problems: problems.slice(0, 50).map(({ line, column, message, hint }) => ({
        line,
        column,
        message: storable(message),
        hint: hint === undefined ? undefined : storable(hint),
      })),
    };
  });
  await tx`
    delete from airlock.import_error
     where tenant = ${tenant} and repository = ${repository} and not (path = any(${rows.map(({ path }) => path)}))`;
  if (rows.length === 0) return;
  await tx`
    insert into airlock.import_error (tenant, repository, path, commit, message, line, hint, traceback, problems)
    select ${tenant}, ${repository}, e.path, ${commit}, e.message, e.line, e.hint, e.traceback, e.problems
      from json_to_recordset(${JSON.stringify(rows)}::text::json)
        as e (path text, message text, line int, hint text, traceback text, problems json)
    on conflict (tenant, repository, path) do update
       set commit = excluded.commit, message = excluded.message, line = excluded.line, hint = excluded.hint,
           traceback = excluded.traceback, problems = excluded.problems,
           at = case when import_error.message = excluded.message then import_error.at else clock_timestamp() end`;
}

export type ImportErrorRow = {
  readonly import_error: string;
  readonly repository: RepositoryId;
  readonly path: string;
  readonly commit: CommitId;
  readonly at: Date;
  readonly message: string;
  readonly line: number | null;
  readonly hint: string | null;
  readonly traceback: string | null;
  readonly problems: readonly FileProblem[];
};

export async function listImportErrors(
  tx: Tx,
  tenant: TenantId,
  repository?: RepositoryId,
): Promise<readonly ImportErrorRow[]> {
  const only = repository ?? null;
  return tx<ImportErrorRow[]>`
    select import_error::text, repository, path, commit, at, message, line, hint, traceback, problems
      from airlock.import_error where tenant = ${tenant} and (${only}::text is null or repository = ${only})
     order by airlock.import_error.import_error`;
}
