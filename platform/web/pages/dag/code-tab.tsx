/** The DAG's file at a version's or a run's commit, and what changed between two. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ExternalLink, GitCommitHorizontal } from "lucide-react";
import { lazy, Suspense, useCallback } from "react";
import type { DagSource } from "../../../api/ui/source.ts";
import { ask, Problem, path, query } from "../../ask/ask-server.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { Button } from "../../parts/button.tsx";
import { CopyAs } from "../../parts/copy-as.tsx";
import { Input } from "../../parts/fields.tsx";
import { Empty, Failed, Loading } from "../../parts/panels.tsx";
import { Time } from "../../parts/time.tsx";
import { useNarrow } from "../../parts/use-narrow.ts";
import { useVersions } from "./graph/use-graph.ts";
import { VersionSelect } from "./graph/version-select.tsx";

const CodeView = lazy(async () => ({
  default: (await import("../../code/code-view.tsx")).CodeView,
}));
const DiffView = lazy(async () => ({
  default: (await import("../../code/diff-view.tsx")).DiffView,
}));

const route = "/t/$tenant/dags/$dag";

function useSource(
  tenant: string,
  dag: string,
  at: { readonly version?: number | undefined; readonly run_id?: string | undefined } | undefined,
) {
  const isLive = at !== undefined && at.version === undefined && at.run_id === undefined;
  const key = [
    "source",
    tenant,
    dag,
    at?.version ?? at?.run_id ?? "live",
    at?.run_id !== undefined,
  ];
  useLiveQuery([tenant], key, {
    touches: (event) =>
      isLive && event.kind === "notice" && (event.about === "deploy" || event.dag_id === dag),
  });
  return useQuery({
    queryKey: key,
    enabled: at !== undefined,
    queryFn: ({ signal }) =>
      ask<DagSource>(path`/t/${tenant}/api/ui/dags/${dag}/source` + query({ ...at }), { signal }),
  });
}

export default function CodeTab({
  tenant,
  dag,
}: {
  readonly tenant: string;
  readonly dag: string;
}) {
  const search = useSearch({ from: route });
  const navigate = useNavigate({ from: route });
  const change = useCallback(
    (next: Record<string, string | number | undefined>) =>
      void navigate({ search: (old) => ({ ...old, ...next }) as never, replace: true }),
    [navigate],
  );
  const versions = useVersions(tenant, dag);
  const run = search.run === "-" ? undefined : search.run;
  const source = useSource(
    tenant,
    dag,
    search.version !== undefined
      ? { version: search.version }
      : run !== undefined
        ? { run_id: run }
        : {},
  );
  const before = useSource(
    tenant,
    dag,
    search.against === undefined ? undefined : { version: search.against },
  );
  const isNarrow = useNarrow(901);
  const isUnified = isNarrow || search.layout === "unified";
  const error = source.error ?? before.error;
  if (error instanceof Problem && error.status === 403)
    return (
      <Empty title="You may see this DAG, but not its code.">
        <p>
          Reading code is a right of its own (<code>code.read</code>). Whoever looks after the
          rights of {tenant} can give it to you.
        </p>
      </Empty>
    );
  const shown = source.data;
  return (
    <div className="flex h-full min-h-0 flex-col">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5 border-b border-line px-3 py-2">
        <VersionSelect
          label="Version"
          none={
            run === undefined
              ? `live${shown === undefined ? "" : ` (v${String(shown.live_version)})`}`
              : "of the run"
          }
          versions={versions.data?.dag_versions ?? []}
          live={shown?.live_version}
          chosen={search.version}
          onChoose={(version) => change({ version, line: undefined })}
        />
        <VersionSelect
          label="Compare to"
          none="nothing"
          versions={versions.data?.dag_versions ?? []}
          live={shown?.live_version}
          chosen={search.against}
          onChoose={(against) => change({ against })}
        />
        {search.against === undefined ? (
          <label className="flex items-center gap-1.5 text-sm">
            <span className="text-muted">Line</span>
            <Input
              type="number"
              min={1}
              className="!w-20"
              value={search.line ?? ""}
              onChange={({ target }) =>
                change({ line: target.value === "" ? undefined : Number(target.value) })
              }
            />
          </label>
        ) : (
          !isNarrow && (
            <Button onClick={() => change({ layout: isUnified ? undefined : "unified" })}>
              {isUnified ? "Side by side" : "One below the other"}
            </Button>
          )
        )}
        <div className="ml-auto flex items-center gap-2">
          <CopyAs
            api={{
              path:
                path`/t/${tenant}/api/v2/dagSources/${dag}` +
                query({ version_number: shown?.version }),
            }}
            {...(shown === undefined || shown.content === null
              ? {}
              : { more: [{ text: "The file's text", value: shown.content }] })}
          />
        </div>
      </div>
      {error !== null ? (
        <Failed
          error={error}
          retry={() => void Promise.all([source.refetch(), before.refetch()])}
        />
      ) : shown === undefined || (search.against !== undefined && before.data === undefined) ? (
        <Loading what="Reading the code" />
      ) : (
        <>
          {search.against !== undefined && before.data !== undefined && (
            <Origin source={before.data} of="Before" />
          )}
          <Origin
            source={shown}
            of={search.against === undefined ? undefined : "After"}
            line={search.line}
          />
          <Suspense fallback={<Loading what="Opening the code" />}>
            {search.against !== undefined && before.data !== undefined ? (
              <Compared before={before.data} after={shown} unified={isUnified} />
            ) : shown.content === null ? (
              <Gone source={shown} />
            ) : shown.content.trim() === "" ? (
              <Empty title="The file is empty." />
            ) : (
              <CodeView
                text={shown.content}
                path={shown.path}
                line={search.line}
                onLine={(line) => change({ line: line === search.line ? undefined : line })}
                className="min-h-64 grow"
              />
            )}
          </Suspense>
        </>
      )}
    </div>
  );
}

const Gone = ({ source }: { readonly source: DagSource }) => (
  <Empty title="The file is no longer there at this commit.">
    <p className="tenant-text">
      {source.path} of {source.repository} at {source.commit.slice(0, 12)}: the repository was
      rewritten, or removed, since. Later versions can still be chosen above.
    </p>
  </Empty>
);

function Compared({
  before,
  after,
  unified,
}: {
  readonly before: DagSource;
  readonly after: DagSource;
  readonly unified: boolean;
}) {
  if (before.content === null) return <Gone source={before} />;
  if (after.content === null) return <Gone source={after} />;
  const name = (source: DagSource): string =>
    `v${String(source.version)} (${source.commit.slice(0, 8)})`;
  return (
    <DiffView
      key={`${before.commit} ${after.commit}`}
      before={{ text: before.content, name: name(before) }}
      after={{ text: after.content, name: name(after) }}
      path={after.path}
      unified={unified}
      className="min-h-64 grow"
    />
  );
}

/** Which file of which commit this is, and who made that. */
function Origin({
  source,
  of,
  line,
}: {
  readonly source: DagSource;
  readonly of?: string | undefined;
  readonly line?: number | undefined;
}) {
  const { made } = source;
  const hash = line === undefined ? "" : `#L${String(line)}`;
  return (
    <p className="flex flex-wrap items-center gap-x-3 gap-y-0.5 border-b border-line bg-surface px-3 py-1 text-sm">
      {of !== undefined && <span className="font-semibold">{of}</span>}
      <span className="tenant-text">
        {source.repository}/{source.path}
      </span>
      <span className="inline-flex items-center gap-1 text-muted">
        <GitCommitHorizontal size={14} aria-hidden />
        <code title={source.commit}>{source.commit.slice(0, 12)}</code>
      </span>
      <span className="text-muted">
        v{source.version}
        {source.version === source.live_version ? ", live" : ""}
      </span>
      {made === null ? (
        <span className="text-muted">this machine does not have the commit any more</span>
      ) : (
        <>
          <span className="tenant-text line-clamp-1 max-w-[40ch]" title={made.subject}>
            {made.subject}
          </span>
          <span className="tenant-text text-muted">
            {made.author}, <Time at={made.at} />
          </span>
        </>
      )}
      {source.link !== null && (
        <a
          href={source.link + hash}
          target="_blank"
          rel="noreferrer"
          className="inline-flex items-center gap-1 text-accent underline"
        >
          Open on {new URL(source.link).hostname}
          <ExternalLink size={12} aria-hidden />
        </a>
      )}
    </p>
  );
}
