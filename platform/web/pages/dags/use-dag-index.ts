/** The index of a tenant's DAGs, read once and then kept: of what changes only the DAGs concerned are asked again. */
import { type UseQueryResult, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { DagIndex } from "../../../api/ui/dag-index.ts";
import { ask, path, query } from "../../ask/ask-server.ts";
import { useLive } from "../../live/use-live.ts";
import { mergeDags } from "./merge-dags.ts";

const everyMs = 1_000;
/** The server takes no more by name; beyond it the whole is as quick. */
const namesMax = 100;

export function useDagIndex(tenant: string): UseQueryResult<DagIndex> {
  const client = useQueryClient();
  const queryKey = ["dag index", tenant];
  const result = useQuery({
    queryKey,
    queryFn: ({ signal }) => ask<DagIndex>(path`/t/${tenant}/api/ui/dags`, { signal }),
  });
  const changed = useRef(new Set<string>());
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const last = useRef(0);

  const renew = async (): Promise<void> => {
    timer.current = undefined;
    last.current = performance.now();
    const names = [...changed.current];
    changed.current.clear();
    if (names.length > namesMax) return client.invalidateQueries({ queryKey });
    const some = await ask<DagIndex>(
      `${path`/t/${tenant}/api/ui/dags`}${query({ dag_id: names })}`,
    ).catch(() => undefined);
    if (some === undefined) return client.invalidateQueries({ queryKey });
    client.setQueryData<DagIndex>(queryKey, (old) =>
      old === undefined ? old : mergeDags(old, names, some),
    );
  };
  useLive([tenant], (event) => {
    if (event.kind === "reset" || (event.kind === "notice" && event.about === "deploy"))
      void client.invalidateQueries({ queryKey });
    // Task instances are not in the list; what they do to a run comes as the run's own change.
    const names =
      event.kind === "changes"
        ? event.changes.filter(({ task_id }) => task_id === "").map(({ dag_id }) => dag_id)
        : event.kind === "notice" && event.about === "dag"
          ? [event.dag_id]
          : [];
    for (const name of names) changed.current.add(name);
    if (changed.current.size === 0 || timer.current !== undefined) return;
    const wait = Math.max(0, last.current + everyMs - performance.now());
    timer.current = setTimeout(() => void renew(), wait);
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was gathered belongs to one tenant
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
      changed.current.clear();
    },
    [tenant],
  );
  return result;
}
