import { drawMermaid } from "../../local/draw-graph.ts";
import { type Format, printAnswer, write } from "../print-answer.ts";
import { openBench, pickDag } from "./open-bench.ts";

export async function graph(
  path: string,
  dagId: string | undefined,
  format: Format,
): Promise<void> {
  const bench = await openBench(path);
  try {
    const { files } = await bench.check([path]);
    const { spec } = pickDag(files, dagId);
    const drawn = drawMermaid(spec);
    if (format === "table") await write(drawn);
    else await printAnswer({ dag_id: spec.dag_id, mermaid: drawn }, format, []);
  } finally {
    await bench.close();
  }
}
