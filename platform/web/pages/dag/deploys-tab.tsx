/** The commits that changed this DAG, and the first run on each. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { DagVersions } from "../../../api/ui/trends.ts";
import { ask, path, query } from "../../ask/ask-server.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { Button } from "../../parts/button.tsx";
import { CopyAs, copy } from "../../parts/copy-as.tsx";
import { countText } from "../../parts/durations.ts";
import { Failed, Loading, Panel } from "../../parts/panels.tsx";
import { StateMark } from "../../parts/state-mark.tsx";
import { Ago, Time } from "../../parts/time.tsx";

export default function DeploysTab({
  tenant,
  dag,
}: {
  readonly tenant: string;
  readonly dag: string;
}) {
  const key = ["dag versions", tenant, dag] as const;
  const base = path`/t/${tenant}/api/ui/dags/${dag}/versions`;
  const { data, error, fetchNextPage, hasNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ signal, pageParam }) =>
      ask<DagVersions>(base + query({ before: pageParam ?? undefined }), { signal }),
    initialPageParam: null as number | null,
    getNextPageParam: ({ older }) => older,
  });
  useLiveQuery([tenant], key, {
    everyMs: 2_000,
    touches: (event) =>
      event.kind === "notice"
        ? event.about === "deploy"
        : event.kind === "changes" &&
          event.changes.some(({ dag_id, task_id }) => dag_id === dag && task_id === ""),
  });
  if (error !== null && data === undefined) return <Failed error={error} />;
  if (data === undefined) return <Loading what="Its versions" />;
  const versions = data.pages.flatMap((page) => page.versions);
  const cell = "px-3 py-1.5 text-left align-top";
  return (
    <div className="p-4">
      <Panel
        title="Commits that changed this DAG"
        actions={<CopyAs command={["deploys", "list", tenant]} api={{ path: base }} />}
      >
        <div className="overflow-x-auto">
          <table className="w-full text-sm">
            <thead className="text-muted">
              <tr className="border-b border-line">
                {["Version", "Commit", "When", "File", "Runs", "First run on it"].map((name) => (
                  <th key={name} scope="col" className={`${cell} font-medium whitespace-nowrap`}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {versions.map((one, at) => (
                <tr key={one.version} className="border-b border-line/60">
                  <td className={`${cell} tabular-nums`}>
                    {one.version} {at === 0 && <span className="text-muted">newest</span>}
                  </td>
                  <td className={cell}>
                    <button
                      type="button"
                      className="font-mono hover:underline"
                      title={`Copy ${one.commit}`}
                      onClick={() => copy(one.commit)}
                    >
                      {one.commit.slice(0, 10)}
                    </button>
                    <Link
                      to="/t/$tenant/dags/$dag"
                      params={{ tenant, dag }}
                      search={{ tab: "code", version: one.version } as never}
                      className="ml-2 text-accent hover:underline"
                    >
                      code
                    </Link>
                  </td>
                  <td className={`${cell} whitespace-nowrap`}>
                    <Time at={one.created_at} />{" "}
                    <span className="text-muted">
                      (<Ago at={one.created_at} />)
                    </span>
                  </td>
                  <td className={`${cell} tenant-text`}>
                    <code>
                      {one.repository}:{one.path}
                    </code>
                  </td>
                  <td className={`${cell} tabular-nums`}>{countText(one.runs)}</td>
                  <td className={cell}>
                    {one.first_run === null ? (
                      <span className="text-muted">none yet</span>
                    ) : (
                      <Link
                        to="/t/$tenant/dags/$dag/runs/$run"
                        params={{ tenant, dag, run: one.first_run.run_id }}
                        className="tenant-text inline-flex items-center gap-1 hover:underline"
                      >
                        <StateMark state={one.first_run.state} /> {one.first_run.run_id}
                      </Link>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <p className="px-3 py-2 text-xs text-muted">
          A commit is here if it changed the DAG or what its file depends on; others go live without
          a new version. Runs are counted among the DAG's newest{" "}
          {countText(data.pages[0]?.runs_max ?? 0)}.
        </p>
        {hasNextPage && (
          <Button
            className="m-3"
            disabled={isFetchingNextPage}
            onClick={() => void fetchNextPage()}
          >
            Older versions
          </Button>
        )}
      </Panel>
    </div>
  );
}
