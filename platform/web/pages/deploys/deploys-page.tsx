import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import type { DeploysPage as Answer } from "../../../api/ui/deploys.ts";
import { ask, path, query } from "../../ask/ask-server.ts";
import { useKeys } from "../../frame/keys.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { Button } from "../../parts/button.tsx";
import { CopyAs } from "../../parts/copy-as.tsx";
import { Select } from "../../parts/fields.tsx";
import { Empty, Failed, Loading, PageHead } from "../../parts/panels.tsx";
import { stepOf, VirtualRows } from "../../parts/virtual-rows.tsx";
import { DeployDetail } from "./deploy-detail.tsx";
import { DeployRow } from "./deploy-row.tsx";
import { RepositoryCard } from "./repository-card.tsx";

export function DeploysPage() {
  const { tenant } = useParams({ from: "/t/$tenant/deploys" });
  const search = useSearch({ from: "/t/$tenant/deploys" });
  const navigate = useNavigate({ from: "/t/$tenant/deploys" });
  const { repository, state } = search;
  const key = ["deploys", tenant, "list", repository ?? "", state ?? ""];
  const { data, error, isPending, refetch, fetchNextPage, hasNextPage, isFetchingNextPage } =
    useInfiniteQuery({
      queryKey: key,
      queryFn: ({ pageParam, signal }) =>
        ask<Answer>(
          path`/t/${tenant}/api/ui/deploys` + query({ repository, state, before: pageParam }),
          { signal },
        ),
      initialPageParam: undefined as string | undefined,
      getNextPageParam: ({ next }) => next ?? undefined,
    });
  useLiveQuery([tenant], ["deploys", tenant], {
    touches: (event) => event.kind === "notice" && event.about === "deploy",
  });
  const repositories = data?.pages[0]?.repositories ?? [];
  const deploys = useMemo(() => data?.pages.flatMap((page) => page.deploys) ?? [], [data]);
  const at = deploys.findIndex(({ deploy }) => deploy === search.deploy);
  const look = (deploy: string | undefined): void =>
    void navigate({ search: (old) => ({ ...old, deploy }), replace: true });
  const step = (pressed: "j" | "k") => () => {
    const to = stepOf(pressed, at, deploys.length, 1);
    if (to !== undefined) look(deploys[to]?.deploy);
  };
  useKeys("Deploys", {
    j: { does: "Next deploy", run: step("j") },
    k: { does: "The one before", run: step("k") },
    Escape: { does: "Back to the list", run: () => look(undefined) },
  });
  const chosen = search.deploy;
  return (
    <div className="flex h-full min-h-120 flex-col">
      <PageHead crumbs={[{ text: tenant, to: "/t/$tenant", params: { tenant } }]} title="Deploys">
        {repositories.length > 1 && (
          <Select
            aria-label="Repository"
            className="!w-48"
            value={repository ?? ""}
            onChange={({ target }) =>
              void navigate({
                search: (old) => ({ ...old, repository: target.value || undefined }),
                replace: true,
              })
            }
          >
            <option value="">All repositories</option>
            {repositories.map((one) => (
              <option key={one.repository}>{one.repository}</option>
            ))}
          </Select>
        )}
        <Select
          aria-label="State"
          className="!w-32"
          value={state ?? ""}
          onChange={({ target }) =>
            void navigate({
              search: (old) => ({
                ...old,
                state: (target.value || undefined) as typeof state,
              }),
              replace: true,
            })
          }
        >
          <option value="">Any state</option>
          <option value="live">Went live</option>
          <option value="failed">Failed</option>
          <option value="syncing">Syncing</option>
        </Select>
        <CopyAs
          command={[
            "deploys",
            "list",
            repository === undefined ? tenant : `${tenant}/${repository}`,
          ]}
          api={{ path: path`/t/${tenant}/api/ui/deploys` + query({ repository, state }) }}
        />
      </PageHead>
      {error !== null && <Failed error={error} retry={() => void refetch()} />}
      {isPending && <Loading what="Deploys" />}
      {data !== undefined && (
        <>
          <div
            className={`flex max-h-56 shrink-0 flex-wrap gap-2 overflow-auto px-4 pb-2 ${chosen === undefined ? "" : "max-lg:hidden"}`}
          >
            {repositories
              .filter((one) => repository === undefined || one.repository === repository)
              .map((one) => (
                <RepositoryCard key={one.repository} tenant={tenant} at={one} deploys={deploys} />
              ))}
          </div>
          {deploys.length === 0 ? (
            <NoDeploys tenant={tenant} filtered={repository !== undefined || state !== undefined} />
          ) : (
            <div className="grid min-h-0 grow grid-cols-1 border-t border-line lg:grid-cols-[minmax(26rem,5fr)_7fr]">
              <div
                className={`flex min-h-0 flex-col border-line bg-surface lg:border-r ${chosen === undefined ? "" : "max-lg:hidden"}`}
              >
                <VirtualRows
                  label="Deploys, newest first"
                  className="min-h-0 grow"
                  count={deploys.length}
                  rowHeight={58}
                  focused={at}
                  onFocus={(index) => look(deploys[index]?.deploy)}
                  onOpen={(index) => look(deploys[index]?.deploy)}
                  row={(index) => {
                    const line = deploys[index];
                    return line === undefined ? null : (
                      <DeployRow line={line} all={deploys} repositories={repositories} />
                    );
                  }}
                />
                {hasNextPage && (
                  <div className="border-t border-line p-2 text-center">
                    <Button disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
                      {isFetchingNextPage ? "Loading …" : "Older deploys"}
                    </Button>
                  </div>
                )}
              </div>
              <div
                className={`min-h-0 overflow-auto ${chosen === undefined ? "max-lg:hidden" : ""}`}
              >
                {chosen === undefined ? (
                  <Empty title="No deploy is chosen">
                    <p>
                      Choose one at the left (or press <kbd>j</kbd>) to see what it changed, how
                      long its parts took, and what was wrong with it.
                    </p>
                  </Empty>
                ) : (
                  <DeployDetail
                    tenant={tenant}
                    deploy={chosen}
                    all={deploys}
                    repositories={repositories}
                    onClose={() => look(undefined)}
                  />
                )}
              </div>
            </div>
          )}
        </>
      )}
    </div>
  );
}

function NoDeploys({ tenant, filtered }: { readonly tenant: string; readonly filtered: boolean }) {
  if (filtered)
    return (
      <Empty title="No deploy is like that">
        <p>Choose another repository or state above.</p>
      </Empty>
    );
  return (
    <Empty title="Nothing was deployed yet">
      <p>
        Each push becomes a deploy: its files are read in the sandbox and, seconds later, its DAGs
        are live. Make a repository and push to it:
      </p>
      <pre className="max-w-full overflow-auto rounded-md bg-sunken p-3 text-left text-text">
        {`npx airlock repositories create ${tenant}/pipelines
git push http://…/git/${tenant}/pipelines.git main`}
      </pre>
    </Empty>
  );
}
