/** A DAG: how it stands, what can be done with it, and what is known of it, tab by tab. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Play } from "lucide-react";
import { type ComponentType, lazy, Suspense, useState } from "react";
import type { DagHead } from "../../../api/ui/grid.ts";
import { ask, Problem, path } from "../../ask/ask-server.ts";
import { useMay } from "../../ask/session.ts";
import { useWasThere } from "../../ask/was-there.ts";
import { PauseSwitch, TriggerDialog } from "../../deeds/deed-dialogs.tsx";
import { useKeys } from "../../frame/keys.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { Button } from "../../parts/button.tsx";
import { Empty, Failed, Loading, PageHead } from "../../parts/panels.tsx";
import { StateMark } from "../../parts/state-mark.tsx";
import { Ago, Time } from "../../parts/time.tsx";

type TabProps = { readonly tenant: string; readonly dag: string };
const tabs = [
  { id: "grid", text: "Grid", Tab: lazy(() => import("./grid-tab.tsx")) },
  { id: "graph", text: "Graph", Tab: lazy(() => import("./graph-tab.tsx")) },
  { id: "trends", text: "Trends", Tab: lazy(() => import("./trends-tab.tsx")) },
  { id: "code", text: "Code", Tab: lazy(() => import("./code-tab.tsx")) },
  { id: "details", text: "Details", Tab: lazy(() => import("./details-tab.tsx")) },
  { id: "deploys", text: "Deploys", Tab: lazy(() => import("./deploys-tab.tsx")) },
] as const satisfies readonly {
  readonly id: string;
  readonly text: string;
  readonly Tab: ComponentType<TabProps>;
}[];

export function DagPage() {
  const { tenant, dag } = useParams({ from: "/t/$tenant/dags/$dag" });
  // What one DAG's page remembers is not another's.
  return <OneDag key={`${tenant}/${dag}`} tenant={tenant} dag={dag} />;
}

function OneDag({ tenant, dag }: TabProps) {
  const search = useSearch({ from: "/t/$tenant/dags/$dag" });
  const navigate = useNavigate({ from: "/t/$tenant/dags/$dag" });
  const may = useMay(tenant);
  const [triggers, setTriggers] = useState(false);
  const key = ["dag head", tenant, dag] as const;
  const { data, error, refetch } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => ask<DagHead>(path`/t/${tenant}/api/ui/dags/${dag}/head`, { signal }),
  });
  useLiveQuery([tenant], key, {
    touches: (event) =>
      event.kind === "notice"
        ? event.about === "deploy" || (event.about === "dag" && event.dag_id === dag)
        : event.kind === "changes" &&
          event.changes.some((change) => change.dag_id === dag && change.task_id === ""),
  });
  const active = search.tab ?? "grid";
  // The run and the task that are looked at stay the same from tab to tab.
  const searchOf = (tab: (typeof tabs)[number]["id"]) => ({
    ...(tab === "grid" ? {} : { tab }),
    ...(search.run === undefined ? {} : { run: search.run }),
    ...(search.task === undefined ? {} : { task: search.task }),
  });
  const isGone = error instanceof Problem && error.status === 404;
  const wasThere = useWasThere(`${tenant} ${dag}`, data);
  const isLive = data?.state === "active" && !isGone;
  useKeys("DAG", {
    ...Object.fromEntries(
      tabs.map(({ id, text }, at) => [
        String(at + 1),
        { does: text, run: () => void navigate({ search: searchOf(id) }) },
      ]),
    ),
    ...(isLive && may("run.trigger")
      ? { t: { does: "Trigger", run: () => setTriggers(true) } }
      : {}),
  });
  if (data === undefined)
    return error === null ? (
      <Loading what="The DAG" />
    ) : (
      <>
        <PageHead crumbs={crumbsOf(tenant)} title={dag} />
        {isGone && wasThere ? (
          <Empty title="This DAG was deleted while its page was open, or is no longer yours to see." />
        ) : (
          <Failed error={error} retry={() => void refetch()} />
        )}
      </>
    );
  const Active = tabs.find(({ id }) => id === active)?.Tab ?? tabs[0].Tab;
  return (
    <div className="flex h-full min-h-[32rem] flex-col">
      <PageHead
        crumbs={crumbsOf(tenant)}
        title={data.display_name}
        mark={data.last_run !== null && <StateMark state={data.last_run.state} size={16} />}
      >
        {isLive && may("dag.pause") && (
          <PauseSwitch tenant={tenant} dag={dag} isPaused={data.is_paused} />
        )}
        {isLive && !may("dag.pause") && data.is_paused && <span className="text-warn">paused</span>}
        {isLive && may("run.trigger") && (
          <Button
            look="primary"
            icon={<Play size={14} />}
            keys="T"
            onClick={() => setTriggers(true)}
          >
            Trigger
          </Button>
        )}
      </PageHead>
      <HeadFacts head={data} dag={dag} tenant={tenant} />
      {data.state === "retired" && (
        <p role="status" className="mx-4 mb-2 rounded-md bg-warn-soft px-3 py-2 text-warn">
          This DAG is retired: its file no longer has it since commit{" "}
          <code>{data.commit.slice(0, 8)}</code>. Its history stays; no new run begins. Push a file
          that has it to bring it back.
        </p>
      )}
      <ImportError error={data.import_error} />
      <nav
        aria-label="Parts of the DAG"
        className="flex shrink-0 gap-1 overflow-x-auto border-b border-line px-4"
      >
        {tabs.map(({ id, text }, at) => (
          <Link
            key={id}
            to="/t/$tenant/dags/$dag"
            params={{ tenant, dag }}
            search={searchOf(id)}
            title={`${text} (${String(at + 1)})`}
            aria-current={id === active ? "page" : undefined}
            className={`-mb-px border-b-2 px-3 py-1.5 text-sm ${id === active ? "border-accent font-semibold" : "border-transparent text-muted hover:text-text"}`}
          >
            {text}
          </Link>
        ))}
      </nav>
      <div className="flex min-h-0 grow flex-col overflow-auto">
        <Suspense fallback={<Loading what="Loading" />}>
          <Active tenant={tenant} dag={dag} />
        </Suspense>
      </div>
      {triggers && <TriggerDialog tenant={tenant} dag={dag} onClose={() => setTriggers(false)} />}
    </div>
  );
}

const crumbsOf = (tenant: string) => [
  { text: tenant, to: "/t/$tenant", params: { tenant } } as const,
  { text: "DAGs", to: "/t/$tenant/dags", params: { tenant } } as const,
];

function HeadFacts({ head, tenant, dag }: TabProps & { readonly head: DagHead }) {
  const { last_run: last } = head;
  const shown = head.tags.slice(0, 12);
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 pb-2 text-sm text-muted">
      {head.display_name !== dag && <code className="tenant-text">{dag}</code>}
      <span className="tenant-text" title={head.schedule_as_written ?? undefined}>
        {head.schedule}
      </span>
      {head.state === "active" && (
        <span>
          {head.next_run_at === null || head.is_paused ? (
            head.is_paused ? (
              "paused: no run is planned"
            ) : (
              "no run is planned"
            )
          ) : (
            <>
              next <Time at={head.next_run_at} /> (<Ago at={head.next_run_at} />)
            </>
          )}
        </span>
      )}
      {last !== null && (
        <span className="inline-flex min-w-0 items-center gap-1">
          last
          <Link
            to="/t/$tenant/dags/$dag/runs/$run"
            params={{ tenant, dag, run: last.run_id }}
            className="inline-flex min-w-0 items-center gap-1 text-text hover:underline"
            title={last.run_id}
          >
            <StateMark state={last.state} withWord /> <Ago at={last.started_at ?? last.run_after} />
          </Link>
        </span>
      )}
      {head.owners.length > 0 && (
        <span className="tenant-text max-w-80 truncate" title={head.owners.join(", ")}>
          owned by {head.owners.join(", ")}
        </span>
      )}
      {shown.map((tag) => (
        <span
          key={tag}
          className="tenant-text max-w-48 truncate rounded border border-line bg-surface px-1.5 text-xs"
          title={tag}
        >
          {tag}
        </span>
      ))}
      {head.tags.length > shown.length && <span>and {head.tags.length - shown.length} more</span>}
    </div>
  );
}

function ImportError({ error }: { readonly error: DagHead["import_error"] }) {
  if (error === null) return null;
  return (
    <div
      role="alert"
      className="mx-4 mb-2 rounded-md border border-danger/40 bg-danger-soft px-3 py-2"
    >
      <p className="font-semibold text-danger">
        The file's newest text could not be loaded: what runs is the last good one.
      </p>
      <p className="tenant-text text-sm">
        <code>
          {error.path}
          {error.line !== null && `:${String(error.line)}`}
        </code>
        {error.message !== null && (
          <span className="line-clamp-4 whitespace-pre-wrap"> {error.message}</span>
        )}
      </p>
      <p className="text-sm text-muted">
        Found <Ago at={error.at} />. Mend the file and push: it is loaded at once.
      </p>
    </div>
  );
}
