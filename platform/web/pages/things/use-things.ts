/** One kind of things, page by page as the Airflow API has them, and the deeds on one of them. */
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { ask, path, query } from "../../ask/ask-server.ts";
import { useLiveQuery } from "../../live/use-live.ts";

export type Kind = "connections" | "variables" | "pools";
const pageSize = 100;
const patternOf = {
  connections: "connection_id_pattern",
  variables: "variable_key_pattern",
  pools: "pool_name_pattern",
} as const;

export const listPath = (tenant: string, kind: Kind): string =>
  `${path`/t/${tenant}/api/v2/`}${kind}`;
export const onePath = (tenant: string, kind: Kind, name: string): string =>
  `${listPath(tenant, kind)}/${path`${name}`}`;

export function useThings<T>(tenant: string, kind: Kind, like: string | undefined) {
  const key = ["things", tenant, kind, like ?? ""];
  const found = useInfiniteQuery({
    queryKey: key,
    queryFn: async ({ pageParam, signal }) => {
      const search = query({
        limit: pageSize,
        offset: pageParam,
        [patternOf[kind]]: like === undefined || like === "" ? undefined : `%${like}%`,
      });
      const answer = await ask<Record<string, unknown> & { total_entries: number }>(
        listPath(tenant, kind) + search,
        { signal },
      );
      return { rows: answer[kind] as T[], total: answer.total_entries };
    },
    initialPageParam: 0,
    getNextPageParam: (last, all) => {
      const have = all.reduce((sum, { rows }) => sum + rows.length, 0);
      return have < last.total && last.rows.length > 0 ? have : undefined;
    },
  });
  // Slots that are taken change with every run: pools follow those as well.
  useLiveQuery([tenant], ["things", tenant, kind], {
    everyMs: kind === "pools" ? 1_000 : 500,
    touches: (event) =>
      (event.kind === "notice" && event.about === "things") ||
      (kind === "pools" && event.kind === "changes"),
  });
  return {
    ...found,
    rows: found.data?.pages.flatMap(({ rows }) => rows) ?? [],
    total: found.data?.pages[0]?.total ?? 0,
  };
}

export function useForget(tenant: string): () => Promise<void> {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: ["things", tenant] });
}

/** Makes it, or changes the fields that are given and no others. */
export const saveThing = (
  tenant: string,
  kind: Kind,
  name: string | undefined,
  fields: Readonly<Record<string, unknown>>,
): Promise<unknown> =>
  name === undefined
    ? ask(listPath(tenant, kind), { method: "POST", body: fields })
    : ask(onePath(tenant, kind, name) + query({ update_mask: Object.keys(fields) }), {
        method: "PATCH",
        body: fields,
      });

export const removeThing = (tenant: string, kind: Kind, name: string): Promise<unknown> =>
  ask(onePath(tenant, kind, name), { method: "DELETE" });

/** Fields that differ from what was shown; what was never shown (a secret) counts once something was typed. */
export function changedFields(
  before: Readonly<Record<string, unknown>> | undefined,
  now: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(now).filter(
      ([name, value]) => value !== undefined && (before === undefined || before[name] !== value),
    ),
  );
}
