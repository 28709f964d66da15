/** Places nodes aside from the page, which stays quick meanwhile. */
import { type LayoutAsk, layOutGraph } from "../../../layouts/lay-out-graph.ts";

self.onmessage = ({ data }: MessageEvent<LayoutAsk>) => {
  self.postMessage(layOutGraph(data));
};
