/** The DAG's file at a version's commit, and what changed between two. */
export default function CodeTab(_: { readonly tenant: string; readonly dag: string }) {
  return null;
}
