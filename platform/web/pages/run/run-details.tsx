/** What there is to know of a run beside its tasks: from what, by whom, with which values, and what came of it. */
import { Link } from "@tanstack/react-router";
import type { OtherRun } from "../../../api/ui/run-screen.ts";
import { path } from "../../ask/ask-server.ts";
import { useMay } from "../../ask/session.ts";
import { JsonView } from "../../parts/json-view.tsx";
import { Note } from "../../parts/note.tsx";
import { Facts } from "../../parts/panels.tsx";
import { StateMark } from "../../parts/state-mark.tsx";
import { Lasting, Time } from "../../parts/time.tsx";
import type { RunData } from "./run-data.ts";

export function RunDetails({
  tenant,
  data,
  onChanged,
}: {
  readonly tenant: string;
  readonly data: RunData;
  readonly onChanged: () => void;
}) {
  const { run, origin, triggered } = data;
  const may = useMay(tenant);
  const params = { tenant, dag: run.dag_id };
  return (
    <div
      className="min-h-0 grow overflow-auto"
      tabIndex={0}
      role="region"
      aria-label="About the run"
    >
      <Facts
        rows={[
          ["Run id", <span key="id">{run.run_id}</span>],
          ["Type", run.run_type.replaceAll("_", " ")],
          ["Logical date", <Time key="l" at={run.logical_date} />],
          [
            "Data interval",
            run.interval_start === null ? (
              <span key="i" className="text-muted">
                none
              </span>
            ) : (
              <span key="i">
                <Time at={run.interval_start} /> to <Time at={run.interval_end} />
              </span>
            ),
          ],
          ["Due", <Time key="d" at={run.run_after} />],
          ["Started", <Time key="s" at={run.started_at} withMs />],
          ["Ended", <Time key="e" at={run.ended_at} withMs />],
          ["Lasting", <Lasting key="la" from={run.started_at} to={run.ended_at} />],
          [
            "Version",
            <Link
              key="v"
              to="/t/$tenant/dags/$dag"
              params={params}
              search={{ tab: "code" }}
              className="text-accent underline"
            >
              {`${run.version} at ${run.commit.slice(0, 10)}`}
            </Link>,
          ],
          ["File", `${run.repository}: ${run.path}`],
          ["Triggered by", <TriggeredBy key="t" tenant={tenant} data={data} />],
          ...(run.clear_number > 0
            ? [
                [
                  "Cleared",
                  `${run.clear_number} ${run.clear_number === 1 ? "time" : "times"}`,
                ] as const,
              ]
            : []),
        ]}
      />
      <Section title="Note">
        <Note
          note={run.note}
          at={path`/t/${tenant}/api/v2/dags/${run.dag_id}/dagRuns/${run.run_id}`}
          mayEdit={may("task.mark")}
          onSaved={onChanged}
        />
      </Section>
      <Section title="Conf">
        {run.conf.trim() === "{}" ? (
          <p className="text-muted">None was given: the params have their defaults.</p>
        ) : (
          <JsonView text={run.conf} label="Conf" />
        )}
      </Section>
      <Section title="It triggered">
        {triggered.length === 0 ? (
          <p className="text-muted">No other run.</p>
        ) : (
          <ul className="flex flex-col gap-1">
            {triggered.map((other) => (
              <li key={`${other.dag_id} ${other.run_id}`}>
                <OtherRunLink tenant={tenant} run={other} />
                {other.task_id !== null && (
                  <span className="tenant-text text-muted">{` by ${other.task_id}`}</span>
                )}
              </li>
            ))}
          </ul>
        )}
      </Section>
      {origin === null ? null : (
        <p className="px-3 pb-3 text-sm text-muted">
          The run that triggered it is the one above under “Triggered by”.
        </p>
      )}
    </div>
  );
}

function Section({
  title,
  children,
}: {
  readonly title: string;
  readonly children: React.ReactNode;
}) {
  return (
    <section className="border-t border-line px-3 py-2">
      <h2 className="mb-1 font-semibold">{title}</h2>
      {children}
    </section>
  );
}

const bySentence: Record<string, string> = {
  timetable: "its schedule",
  rest_api: "the API",
  ui: "this page",
  cli: "the command",
  operator: "a task",
  backfill: "a backfill",
  test: "a test",
  asset: "an asset",
};

function TriggeredBy({ tenant, data }: { readonly tenant: string; readonly data: RunData }) {
  const { run, origin } = data;
  if (origin !== null)
    return (
      <span className="inline-flex max-w-full flex-wrap items-center gap-x-1">
        <OtherRunLink tenant={tenant} run={origin} />
        {origin.task_id !== null && (
          <Link
            to="/t/$tenant/dags/$dag/runs/$run/tasks/$task"
            params={{ tenant, dag: origin.dag_id, run: origin.run_id, task: origin.task_id }}
            search={origin.map_index < 0 ? {} : { map: origin.map_index }}
            className="text-accent underline"
          >
            {origin.task_id}
          </Link>
        )}
      </span>
    );
  const how = bySentence[run.triggered_by] ?? run.triggered_by;
  // A task has no person behind it.
  const who = run.triggered_by === "operator" ? null : run.triggering_user;
  return <span>{who === null ? how : `${who}, by ${how}`}</span>;
}

export function OtherRunLink({ tenant, run }: { readonly tenant: string; readonly run: OtherRun }) {
  return (
    <Link
      to="/t/$tenant/dags/$dag/runs/$run"
      params={{ tenant, dag: run.dag_id, run: run.run_id }}
      className="inline-flex max-w-full items-center gap-1 text-accent underline"
    >
      <StateMark state={run.state} />
      <span className="tenant-text truncate">{`${run.dag_id} / ${run.run_id}`}</span>
    </Link>
  );
}
