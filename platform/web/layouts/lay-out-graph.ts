/** Places for the nodes of a graph. It takes long for large ones: only the worker calls it. */
import { Graph, layout } from "@dagrejs/dagre";

export type LayoutAsk = {
  readonly direction: "LR" | "TB";
  readonly nodes: readonly {
    readonly id: string;
    readonly parent: string | null;
    readonly isBox: boolean;
    readonly width: number;
    readonly height: number;
  }[];
  readonly edges: readonly { readonly from: string; readonly to: string }[];
};
export type Place = {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
};
/** Upper left corners and sizes, by id. A box that has no place is not drawn. */
export type GraphLayout = ReadonlyMap<string, Place>;

/** Above so many nodes the exact ranks, and then the boxes, cost seconds. */
const exactMax = 150;
const boxesMax = 500;

export function layOutGraph({ direction, nodes, edges }: LayoutAsk): GraphLayout {
  const withBoxes = nodes.length <= boxesMax;
  const graph = new Graph({ compound: withBoxes });
  graph.setGraph({
    rankdir: direction,
    ranker: nodes.length <= exactMax ? "network-simplex" : "longest-path",
    nodesep: 18,
    ranksep: direction === "LR" ? 60 : 44,
    marginx: 16,
    marginy: 16,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  const shown = nodes.filter(({ isBox }) => withBoxes || !isBox);
  for (const { id, width, height } of shown) graph.setNode(id, { width, height });
  if (withBoxes)
    for (const { id, parent } of shown)
      if (parent !== null && graph.hasNode(parent)) graph.setParent(id, parent);
  for (const { from, to } of edges)
    if (graph.hasNode(from) && graph.hasNode(to)) graph.setEdge(from, to);
  layout(graph);
  return new Map(
    shown.map(({ id }) => {
      const { x = 0, y = 0, width = 0, height = 0 } = graph.node(id) as Partial<Place>;
      return [id, { x: x - width / 2, y: y - height / 2, width, height }];
    }),
  );
}
