/** The DAG's tasks and their order, as a graph: of one version, with the states of one run, or the difference of two. */
export default function GraphTab(_: { readonly tenant: string; readonly dag: string }) {
  return null;
}
