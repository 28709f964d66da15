/** How the DAG does over time: how long it runs and waits, when its data is there, and why it fails. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { DagTrends } from "../../../api/ui/trends.ts";
import { ask, path, query } from "../../ask/ask-server.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { CopyAs } from "../../parts/copy-as.tsx";
import { countOf, countText } from "../../parts/durations.ts";
import { Select } from "../../parts/fields.tsx";
import { Empty, Failed, Loading, Panel } from "../../parts/panels.tsx";
import { Ago } from "../../parts/time.tsx";
import { changed } from "./change-search.ts";
import { Chart, type Line } from "./chart.tsx";

const spans = [1, 7, 30, 90, 365] as const;

export default function TrendsTab({
  tenant,
  dag,
}: {
  readonly tenant: string;
  readonly dag: string;
}) {
  const search = useSearch({ from: "/t/$tenant/dags/$dag" });
  const navigate = useNavigate({ from: "/t/$tenant/dags/$dag" });
  const days = spans.find((span) => span === search.days) ?? 30;
  const key = ["trends", tenant, dag, days] as const;
  const address = path`/t/${tenant}/api/ui/dags/${dag}/trends` + query({ days });
  const { data, error } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => ask<DagTrends>(address, { signal }),
    placeholderData: keepPreviousData,
  });
  useLiveQuery([tenant], key, {
    everyMs: 5_000,
    touches: (event) =>
      event.kind === "changes" &&
      event.changes.some(
        ({ dag_id, task_id, to_state }) =>
          dag_id === dag && task_id === "" && (to_state === "success" || to_state === "failed"),
      ),
  });
  if (error !== null && data === undefined) return <Failed error={error} />;
  if (data === undefined) return <Loading what="Its trends" />;
  const runs = data.steps.reduce((sum, step) => sum + step.runs, 0);
  const failed = data.steps.reduce((sum, step) => sum + step.failed, 0);
  const at = data.steps.map((step) => Date.parse(step.at) / 1000);
  const marks = data.deploys.map((deploy) => ({
    at: Date.parse(deploy.at) / 1000,
    text: `${deploy.commit.slice(0, 8)} (version ${String(deploy.version)})`,
  }));
  // One step more than the last: what it stands for reaches to its end.
  const from = Date.parse(data.since) / 1000;
  const span = { from, to: Math.max(from + days * 86_400, at.at(-1) ?? 0) + data.step_seconds };
  const line = (
    name: string,
    field:
      | "ran_median"
      | "ran_p95"
      | "waited_median"
      | "waited_p95"
      | "landed_median"
      | "landed_p95",
    colour: Line["colour"],
    look: Line["look"] = "line",
  ): Line => ({ name, values: data.steps.map((step) => step[field]), colour, look });
  const charts = [
    {
      title: "How long runs take",
      lines: [
        line("95th percentile", "ran_p95", "accent", "band"),
        line("median", "ran_median", "accent"),
      ],
    },
    {
      title: "Waiting against running (medians)",
      lines: [
        line("waited to begin", "waited_median", "warn"),
        line("ran", "ran_median", "accent"),
      ],
    },
    {
      title: "Landing: end of the data interval to end of the run",
      lines: [
        line("95th percentile", "landed_p95", "focus", "band"),
        line("median", "landed_median", "focus"),
      ],
      none: "Only scheduled runs land: there were none.",
    },
  ] as const;
  return (
    <div className="flex flex-col gap-4 p-4">
      <div className="flex flex-wrap items-center gap-3">
        <Select
          aria-label="Days"
          className="!w-auto"
          value={String(days)}
          onChange={({ target }) =>
            void navigate({
              search: (old) =>
                changed(old, { days: target.value === "30" ? undefined : Number(target.value) }),
              replace: true,
            })
          }
        >
          {spans.map((span) => (
            <option key={span} value={span}>
              {span === 1 ? "Last day" : `Last ${String(span)} days`}
            </option>
          ))}
        </Select>
        <span className="text-sm text-muted">
          {countOf(runs, "run")} ended, {countText(failed)} failed
          {runs >= data.runs_max && ` (of the newest ${countText(data.runs_max)} runs)`};{" "}
          {countOf(marks.length, "commit")} changed the DAG
        </span>
        <span className="ml-auto">
          <CopyAs command={["dagrun", "list", `${tenant}/${dag}`]} api={{ path: address }} />
        </span>
      </div>
      {runs === 0 ? (
        <Empty title="No run ended in this time.">
          <p>
            How long runs take and wait, when their data lands and why they fail is shown here from
            the first run on. Choose a longer time, or trigger a run.
          </p>
        </Empty>
      ) : (
        <div className="grid gap-4 xl:grid-cols-2">
          {charts.map(({ title, lines, ...rest }) => (
            <Panel key={title} title={title}>
              {lines.every(({ values }) => values.every((value) => value === null)) ? (
                <p className="px-3 py-3 text-muted">
                  {"none" in rest ? rest.none : "Nothing to draw yet."}
                </p>
              ) : (
                <Chart label={title} at={at} lines={lines} marks={marks} {...span} />
              )}
            </Panel>
          ))}
          <Panel title="Runs and failures">
            <Chart
              label="Runs and failures"
              at={at}
              unit="count"
              lines={[
                {
                  name: "runs",
                  values: data.steps.map((step) => step.runs),
                  colour: "muted",
                  look: "bars",
                },
                {
                  name: "failed",
                  values: data.steps.map((step) => step.failed),
                  colour: "danger",
                  look: "bars",
                },
              ]}
              marks={marks}
              {...span}
            />
          </Panel>
        </div>
      )}
      {runs > 0 && <Causes causes={data.causes} tenant={tenant} dag={dag} />}
    </div>
  );
}

function Causes({
  causes,
  tenant,
  dag,
}: {
  readonly causes: DagTrends["causes"];
  readonly tenant: string;
  readonly dag: string;
}) {
  return (
    <Panel title="Failures by cause">
      {causes.length === 0 ? (
        <p className="px-3 py-3 text-muted">No task failed a run in this time.</p>
      ) : (
        <ol>
          {causes.map((cause) => (
            <li
              key={cause.cause}
              className="flex items-start gap-3 border-b border-line/60 px-3 py-2 text-sm"
            >
              <span className="w-12 shrink-0 text-right font-semibold tabular-nums">
                {countText(cause.count)} ×
              </span>
              <span className="min-w-0 grow">
                <span className="tenant-text line-clamp-3" title={cause.example}>
                  {cause.cause === "" ? "no reason was given" : cause.cause}
                </span>
                <span className="tenant-text line-clamp-2 text-muted">
                  in {cause.tasks.slice(0, 5).join(", ")}
                  {cause.tasks.length > 5 && ` and ${String(cause.tasks.length - 5)} more`}
                </span>
              </span>
              <Link
                to="/t/$tenant/dags/$dag/runs/$run"
                params={{ tenant, dag, run: cause.last_run_id }}
                search={{ task: cause.last_task_id } as never}
                className="shrink-0 text-accent hover:underline"
              >
                last <Ago at={cause.last_at} />
              </Link>
            </li>
          ))}
        </ol>
      )}
      <p className="px-3 py-2 text-xs text-muted">
        Failed tasks of the newest 100 failed runs, by what their reasons have in common.
      </p>
    </Panel>
  );
}
