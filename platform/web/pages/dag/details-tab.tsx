/** What the DAG's file says of it. */
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import type { DagFacts } from "../../../api/ui/trends.ts";
import { ask, path } from "../../ask/ask-server.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { CopyAs } from "../../parts/copy-as.tsx";
import { countOf, countText, durationText } from "../../parts/durations.ts";
import { Facts, Failed, Loading, Panel } from "../../parts/panels.tsx";
import { Time } from "../../parts/time.tsx";

const MarkdownText = lazy(() => import("../../parts/markdown.tsx"));

export default function DetailsTab({
  tenant,
  dag,
}: {
  readonly tenant: string;
  readonly dag: string;
}) {
  const key = ["dag facts", tenant, dag] as const;
  const address = path`/t/${tenant}/api/ui/dags/${dag}/facts`;
  const { data, error } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => ask<DagFacts>(address, { signal }),
  });
  useLiveQuery([tenant], key, {
    touches: (event) => event.kind === "notice" && event.about === "deploy",
  });
  if (error !== null && data === undefined) return <Failed error={error} />;
  if (data === undefined) return <Loading what="Its details" />;
  const docs = data.doc_md ?? data.description;
  return (
    <div className="grid items-start gap-4 p-4 lg:grid-cols-2">
      <Panel title="About" className="lg:col-span-2">
        {docs === null || docs.trim() === "" ? (
          <p className="px-3 py-3 text-muted">
            Nothing is said about this DAG. What its file gives as <code>doc_md</code> is shown
            here, as Markdown: what it is for, who to ask, what to do when it fails.
          </p>
        ) : (
          <Suspense fallback={<Loading what="Its text" />}>
            <div className="px-3 py-2">
              <MarkdownText text={docs} />
            </div>
          </Suspense>
        )}
      </Panel>
      <Panel title="When it runs">
        <Facts
          rows={[
            ...timetableRows(data.timetable),
            ["Time zone", data.timezone],
            ["Start date", <Time key="start" at={data.start_date} />],
            ["End date", <Time key="end" at={data.end_date} />],
            ["Catches up", data.catchup ? "yes: one run per missed interval" : "no"],
          ]}
        />
      </Panel>
      <Panel title="Limits">
        <Facts
          rows={[
            ["Runs at once", countText(data.max_active_runs)],
            ["Tasks at once", countText(data.max_active_tasks)],
            [
              "Longest run",
              data.dagrun_timeout_s === null ? "no limit" : durationText(data.dagrun_timeout_s),
            ],
            [
              "Pauses itself",
              data.max_consecutive_failed_dag_runs === 0
                ? "never"
                : `after ${String(data.max_consecutive_failed_dag_runs)} failed runs in a row`,
            ],
            ["Fails fast", data.fail_fast ? "yes" : "no"],
          ]}
        />
      </Panel>
      <Panel title={`Params (${countText(data.params.length)})`}>
        {data.params.length === 0 ? (
          <p className="px-3 py-2 text-muted">
            It takes none. Params that the file declares become the form of its trigger.
          </p>
        ) : (
          <Facts
            rows={data.params.map(({ name, description, schema }) => [
              name,
              <div key={name}>
                <code className="break-all">
                  {short(JSON.stringify(schema["default"] ?? null))}
                </code>
                <span className="ml-2 text-muted">{typeOf(schema)}</span>
                {description !== null && <p className="text-muted">{short(description)}</p>}
              </div>,
            ])}
          />
        )}
      </Panel>
      <Panel title={`Tasks (${countText(data.tasks)})`}>
        <Facts
          rows={[
            ...data.usual.map(
              ({ name, value, others }) =>
                [
                  name,
                  others === 0 ? value : `${value} (${countOf(others, "task")} with another)`,
                ] as const,
            ),
            ["Groups", countText(data.groups)],
            [
              "Operators",
              data.operators.map(({ name, count }) => `${name} × ${countText(count)}`).join(", "),
            ],
          ]}
        />
      </Panel>
      <Panel
        title="Where it comes from"
        className="lg:col-span-2"
        actions={
          <CopyAs command={["dags", "details", `${tenant}/${dag}`]} api={{ path: address }} />
        }
      >
        <Facts
          rows={[
            ["Version", `${String(data.version)}, first at commit ${data.commit.slice(0, 12)}`],
            ["Since", <Time key="since" at={data.created_at} />],
            ["Written for", `Airflow ${data.level} semantics, runs in ${data.guest}`],
          ]}
        />
      </Panel>
    </div>
  );
}

/** Its zone is said below for all timetables; an interval of no length is none. */
const timetableRows = (timetable: DagFacts["timetable"]) =>
  Object.entries(timetable)
    .filter(([name, value]) => name !== "timezone" && !(name === "interval_s" && value === 0))
    .map(([name, value]) => {
      const words = name === "kind" ? "timetable" : name.replace(/_s$/, "").replaceAll("_", " ");
      const said = typeof value === "string" ? value : JSON.stringify(value);
      return [
        words.charAt(0).toUpperCase() + words.slice(1),
        name === "kind"
          ? said.replaceAll("_", " ")
          : name.endsWith("_s") && typeof value === "number"
            ? durationText(value)
            : short(said),
      ] as const;
    });

const short = (text: string): string => (text.length > 400 ? `${text.slice(0, 399)}…` : text);
const typeOf = (schema: Readonly<Record<string, unknown>>): string => {
  const { type } = schema;
  return typeof type === "string" ? type : Array.isArray(type) ? type.join(" or ") : "";
};
