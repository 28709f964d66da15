/** A DAG as it is live, or as a new commit has it. `hash` is its version: spec and the files its parse read. */
export type DagAt = { readonly dag_id: string; readonly file: string; readonly hash: string };

export type VersionDiff = {
  readonly new: readonly DagAt[];
  readonly changed: readonly DagAt[];
  readonly unchanged: readonly DagAt[];
  /** Live, and in no file of the new commit: it retires, its history stays. */
  readonly removed: readonly DagAt[];
  /** Live, but its file could not be read now: the last good version stays. */
  readonly kept: readonly DagAt[];
};

/** What a commit means for what is live. `failedFiles`: files with errors that still exist. */
export function diffVersions(
  live: readonly DagAt[],
  parsed: readonly DagAt[],
  failedFiles: ReadonlySet<string>,
): VersionDiff {
  const before = new Map(live.map((dag) => [dag.dag_id, dag]));
  const after = new Set(parsed.map((dag) => dag.dag_id));
  const gone = live.filter((dag) => !after.has(dag.dag_id));
  return {
    new: parsed.filter((dag) => !before.has(dag.dag_id)),
    changed: parsed.filter((dag) => (before.get(dag.dag_id)?.hash ?? dag.hash) !== dag.hash),
    unchanged: parsed.filter((dag) => before.get(dag.dag_id)?.hash === dag.hash),
    removed: gone.filter((dag) => !failedFiles.has(dag.file)),
    kept: gone.filter((dag) => failedFiles.has(dag.file)),
  };
}
