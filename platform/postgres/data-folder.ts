/** Which files of a data folder belong to a base backup (PostgreSQL manual, "Backing Up the Data Directory"). */

/** Emptied at each start; the folders themselves must be there. */
const emptied = new Set([
  "pg_wal",
  "pg_replslot",
  "pg_dynshmem",
  "pg_notify",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
]);
const left = new Set(["postmaster.pid", "postmaster.opts", "backup_label", "tablespace_map"]);

/** `path`: relative to the data folder, with slashes. */
export function belongsToBackup(path: string): boolean {
  const [top = "", ...rest] = path.split("/");
  const name = rest.at(-1) ?? top;
  return (
    !(emptied.has(top) && rest.length > 0) &&
    !left.has(path) &&
    !name.startsWith("pgsql_tmp") &&
    name !== "pg_internal.init"
  );
}

/** Copied last: it says from where the server begins, and must not be older than what lies beside it. */
export const controlFile = "global/pg_control";

/** Of the same timeline, from the first to the last that is needed; and the history of timelines. */
export const isWalBetween = (name: string, first: string, last: string): boolean =>
  /^[0-9A-F]{24}$/.test(name) ? name >= first && name <= last : /^[0-9A-F]{8}\.history$/.test(name);
