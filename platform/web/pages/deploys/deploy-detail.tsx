import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowLeft, History } from "lucide-react";
import { useState } from "react";
import type { DeployWhole } from "../../../api/ui/deploys.ts";
import { ask, path } from "../../ask/ask-server.ts";
import { useMay } from "../../ask/session.ts";
import { CodeView } from "../../code/code-view.tsx";
import { Button, IconButton } from "../../parts/button.tsx";
import { CopyAs } from "../../parts/copy-as.tsx";
import { durationText } from "../../parts/durations.ts";
import { Facts, Failed, Loading, Panel } from "../../parts/panels.tsx";
import { Lasting, Time } from "../../parts/time.tsx";
import { Standing } from "./deploy-row.tsx";
import {
  canGoBackTo,
  dagWords,
  type Line,
  partsOf,
  type Repository,
  reasonWords,
  standing,
} from "./deploy-words.ts";
import { RollbackDialog } from "./rollback-dialog.tsx";

export function DeployDetail({
  tenant,
  deploy,
  all,
  repositories,
  onClose,
}: {
  readonly tenant: string;
  readonly deploy: string;
  readonly all: readonly Line[];
  readonly repositories: readonly Repository[];
  readonly onClose: () => void;
}) {
  const may = useMay(tenant);
  const [goingBack, setGoingBack] = useState(false);
  const { data, error, refetch } = useQuery({
    queryKey: ["deploys", tenant, "one", deploy],
    queryFn: ({ signal }) =>
      ask<DeployWhole>(path`/t/${tenant}/api/ui/deploys/${deploy}`, { signal }),
  });
  if (error !== null) return <Failed error={error} retry={() => void refetch()} />;
  if (data === undefined) return <Loading what="Deploy" />;
  return (
    <article
      aria-label={`Deploy of ${data.commit ?? data.repository}`}
      className="flex flex-col gap-3 p-3"
    >
      <div className="flex flex-wrap items-center gap-2">
        <IconButton name="Back to the list" className="lg:hidden" onClick={onClose}>
          <ArrowLeft size={16} />
        </IconButton>
        <Standing is={standing(data, all, repositories)} />
        <h2 className="tenant-text min-w-0 font-semibold">
          {data.about?.subject ?? data.commit ?? data.repository}
        </h2>
        <div className="ml-auto flex gap-2">
          {data.commit !== null && may("repo.write") && canGoBackTo(data, repositories) && (
            <Button icon={<History size={14} />} onClick={() => setGoingBack(true)}>
              Roll back to this commit
            </Button>
          )}
          <CopyAs
            command={["deploys", "list", `${tenant}/${data.repository}`]}
            api={{ path: path`/t/${tenant}/api/ui/deploys/${deploy}` }}
            more={data.commit === null ? [] : [{ text: "Commit id", value: data.commit }]}
          />
        </div>
      </div>
      <Problems title="errors" problems={data.errors} count={data.errors_count} />
      <Panel title="What happened">
        <Facts
          rows={[
            ["Commit", <code key="c">{data.commit ?? "it never came to know one"}</code>],
            ...(data.about === null
              ? []
              : ([
                  [
                    "Written",
                    <>
                      by {data.about.author}, <Time at={data.about.at} />
                    </>,
                  ],
                ] as const)),
            ["Repository", data.repository],
            ["Why", reasonWords(data)],
            ["Began", <Time key="t" at={data.started_at} withMs />],
            [
              "Took",
              data.ms === null ? (
                <Lasting key="l" from={data.started_at} to={data.ended_at} />
              ) : (
                durationText(data.ms / 1000)
              ),
            ],
            [
              data.state === "failed" ? "Stays live" : "Live",
              data.state === "syncing" ? "it is being read …" : dagWords(data.dags),
            ],
          ]}
        />
        <Parts of={data} />
      </Panel>
      {data.versions.length > 0 && (
        <Panel title={`New versions of DAGs (${data.versions.length})`}>
          <ul className="flex flex-wrap gap-x-4 gap-y-1 px-3 py-2">
            {data.versions.map(({ dag_id, version }) => (
              <li key={`${dag_id} ${version}`} className="tenant-text min-w-0">
                <Link
                  to="/t/$tenant/dags/$dag"
                  params={{ tenant, dag: dag_id }}
                  className="underline decoration-line-strong hover:decoration-current"
                >
                  {dag_id}
                </Link>{" "}
                <span className="text-muted">version {version}</span>
              </li>
            ))}
          </ul>
        </Panel>
      )}
      <Problems title="warnings" problems={data.warnings} count={data.warnings_count} />
      {data.commit !== null && (
        <RollbackDialog
          open={goingBack}
          onClose={() => setGoingBack(false)}
          tenant={tenant}
          repository={repositories.find(({ repository }) => repository === data.repository)}
          commit={data.commit}
          subject={data.about?.subject}
        />
      )}
    </article>
  );
}

const partColours: Record<string, string> = {
  fetch: "var(--state-up_for_reschedule)",
  checkout: "var(--state-scheduled)",
  environment: "var(--state-deferred)",
  parse: "var(--state-running)",
  store: "var(--state-success)",
  other: "var(--state-queued)",
};

function Parts({ of }: { readonly of: Pick<Line, "parts" | "ms"> }) {
  const parts = partsOf(of);
  if (parts.length === 0) return null;
  return (
    <div className="border-t border-line px-3 py-2">
      <div className="flex h-3 w-full overflow-hidden rounded bg-sunken" aria-hidden>
        {parts.map(({ name, share }) => (
          <span
            key={name}
            style={{ width: `${String(share * 100)}%`, background: partColours[name] }}
          />
        ))}
      </div>
      <ul aria-label="How long its parts took" className="mt-1 flex flex-wrap gap-x-4 text-sm">
        {parts.map(({ name, ms }) => (
          <li key={name} className="flex items-center gap-1.5">
            <span
              aria-hidden
              className="inline-block size-2.5 rounded-sm"
              style={{ background: partColours[name] }}
            />
            {name} <span className="text-muted tabular-nums">{durationText(ms / 1000)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Problems({
  title,
  problems,
  count,
}: {
  readonly title: "errors" | "warnings";
  readonly problems: DeployWhole["errors"];
  readonly count: number;
}) {
  if (problems.length === 0) return null;
  const look = title === "errors" ? "text-danger" : "text-warn";
  return (
    <Panel
      title={`${count} ${count === 1 ? title.slice(0, -1) : title}${count > problems.length ? `, the first ${problems.length} of them` : ""}`}
    >
      <ul>
        {problems.map((problem, i) => (
          <li
            // biome-ignore lint/suspicious/noArrayIndexKey: a list that never changes
            key={i}
            className="border-b border-line px-3 py-2 last:border-b-0"
          >
            {problem.path !== "" && (
              <p className="tenant-text text-sm text-muted">
                <code>
                  {problem.path}
                  {problem.line !== null && `:${problem.line}`}
                </code>
              </p>
            )}
            <p className={`tenant-text whitespace-pre-wrap ${look}`}>{problem.message}</p>
            {problem.hint !== null && <p className="tenant-text text-sm">{problem.hint}</p>}
            {problem.frame !== null && problem.line !== null && (
              <div className="mt-1.5 overflow-hidden rounded-md border border-line">
                <CodeView
                  text={problem.frame.lines.join("\n")}
                  path={problem.path}
                  firstLine={problem.frame.first}
                  marks={new Map([[problem.line, problem.message]])}
                />
              </div>
            )}
          </li>
        ))}
      </ul>
    </Panel>
  );
}
