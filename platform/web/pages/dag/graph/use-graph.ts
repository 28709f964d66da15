/** What the graph tab asks the server, and keeps fresh. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { DagGraph, GraphDifference, GraphRun } from "../../../../api/ui/graph.ts";
import { ask, path, query } from "../../../ask/ask-server.ts";
import { useLiveQuery } from "../../../live/use-live.ts";

export const graphPath = (tenant: string, dag: string): string =>
  path`/t/${tenant}/api/ui/dags/${dag}/graph`;

/** `version` undefined: the live one, which another push replaces. */
export function useGraph(tenant: string, dag: string, version: number | undefined, enabled = true) {
  const key = ["graph", tenant, dag, version ?? "live"];
  useLiveQuery([tenant], ["graph", tenant, dag, "live"], {
    touches: (event) =>
      event.kind === "notice" && (event.about === "deploy" || event.dag_id === dag),
  });
  return useQuery({
    queryKey: key,
    enabled,
    queryFn: ({ signal }) => ask<DagGraph>(graphPath(tenant, dag) + query({ version }), { signal }),
    placeholderData: keepPreviousData,
  });
}

export function useDifference(
  tenant: string,
  dag: string,
  from: number | undefined,
  to: number | undefined,
) {
  return useQuery({
    queryKey: ["graph-difference", tenant, dag, from, to],
    enabled: from !== undefined && to !== undefined && from !== to,
    queryFn: ({ signal }) =>
      ask<GraphDifference>(`${graphPath(tenant, dag)}/difference${query({ from, to })}`, {
        signal,
      }),
  });
}

export function useGraphRun(tenant: string, dag: string, run: string | undefined) {
  const key = ["graph-run", tenant, dag, run];
  useLiveQuery([tenant], key, {
    touches: (event) =>
      event.kind === "changes" &&
      event.changes.some((change) => change.dag_id === dag && change.run_id === run),
  });
  return useQuery({
    queryKey: key,
    enabled: run !== undefined,
    queryFn: ({ signal }) =>
      ask<GraphRun>(`${graphPath(tenant, dag)}/${path`runs/${run ?? ""}`}`, { signal }),
  });
}

export type VersionItem = {
  readonly version_number: number;
  readonly bundle_version: string | null;
  readonly created_at: string;
};

/** The newest hundred; an older one can still be named by the address. */
export function useVersions(tenant: string, dag: string) {
  const key = ["dag-versions", tenant, dag];
  useLiveQuery([tenant], key, {
    touches: (event) =>
      event.kind === "notice" && (event.about === "deploy" || event.dag_id === dag),
  });
  return useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      ask<{ readonly dag_versions: readonly VersionItem[]; readonly total_entries: number }>(
        path`/t/${tenant}/api/v2/dags/${dag}/dagVersions` +
          query({ order_by: "-version_number", limit: 100 }),
        { signal },
      ),
  });
}

export type RunItem = {
  readonly dag_run_id: string;
  readonly state: string;
  readonly run_after: string;
};

export function useRuns(tenant: string, dag: string, enabled: boolean) {
  const key = ["graph-runs", tenant, dag];
  useLiveQuery([tenant], key, {
    touches: (event) =>
      event.kind === "changes" &&
      event.changes.some((change) => change.dag_id === dag && change.task_id === ""),
  });
  return useQuery({
    queryKey: key,
    enabled,
    queryFn: ({ signal }) =>
      ask<{ readonly dag_runs: readonly RunItem[] }>(
        path`/t/${tenant}/api/v2/dags/${dag}/dagRuns` +
          query({ order_by: "-run_after", limit: 50 }),
        { signal },
      ),
  });
}
