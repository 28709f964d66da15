import { useEffect, useState } from "react";
import type { GraphLayout, LayoutAsk } from "../../../layouts/lay-out-graph.ts";

const kept = new Map<string, GraphLayout>();
const keptMax = 30;

export type Laid =
  | { readonly kind: "laid"; readonly key: string; readonly layout: GraphLayout }
  | { readonly kind: "failed"; readonly key: string };

/**
 * The layout of what is asked for; while the worker is at it, the last one. `key` names the content: two versions
 * of equal structure have one layout.
 */
export function useLayout(ask: LayoutAsk): {
  readonly laid: Laid | undefined;
  readonly busy: boolean;
} {
  const [laid, setLaid] = useState<Laid>();
  const key = JSON.stringify(ask);
  useEffect(() => {
    const found = kept.get(key);
    if (found !== undefined) {
      setLaid({ kind: "laid", key, layout: found });
      return;
    }
    // One worker per ask: what is no longer wanted ends at once, however long it would take.
    const worker = new Worker(new URL("./layout.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<GraphLayout>) => {
      kept.set(key, data);
      if (kept.size > keptMax) kept.delete(kept.keys().next().value ?? "");
      setLaid({ kind: "laid", key, layout: data });
      worker.terminate();
    };
    worker.onerror = () => setLaid({ kind: "failed", key });
    worker.postMessage(JSON.parse(key));
    return () => worker.terminate();
  }, [key]);
  return { laid, busy: laid?.key !== key };
}
