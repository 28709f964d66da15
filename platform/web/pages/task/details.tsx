/** What surrounds the task: its docs, what its code was given, where it stands in the DAG, and how to repeat it. */
import { Link } from "@tanstack/react-router";
import { ClipboardCopy } from "lucide-react";
import { lazy, type ReactNode, Suspense } from "react";
import type { TaskScreen } from "../../../api/ui/task-screen.ts";
import { path } from "../../ask/ask-server.ts";
import { useMay } from "../../ask/session.ts";
import { IconButton } from "../../parts/button.tsx";
import { copy } from "../../parts/copy-as.tsx";
import { bytesText, durationText } from "../../parts/durations.ts";
import { JsonView } from "../../parts/json-view.tsx";
import { Note } from "../../parts/note.tsx";
import { Facts, Panel } from "../../parts/panels.tsx";
import { Time } from "../../parts/time.tsx";
import type { Place } from "./place.ts";
import { TaskLink } from "./task-link.tsx";

const MarkdownText = lazy(() => import("../../parts/markdown.tsx"));

export function Details({
  place,
  data,
  command,
  onChanged,
}: {
  readonly place: Place;
  readonly data: TaskScreen;
  readonly command: string;
  readonly onChanged: () => void;
}) {
  const { tenant, dag, run, task, map } = place;
  const { instance, given } = data;
  const may = useMay(tenant);
  const at = path`/t/${tenant}/api/v2/dags/${dag}/dagRuns/${run}/taskInstances/${task}`;
  return (
    <div className="grid gap-3 p-3 xl:grid-cols-2">
      <Panel title="Note" className="xl:col-span-2">
        <div className="px-3 py-2">
          <Note
            note={instance.note}
            at={map < 0 ? at : `${at}/${String(map)}`}
            mayEdit={may("task.mark")}
            onSaved={onChanged}
          />
        </div>
      </Panel>
      <Panel
        title="Repeat it on your machine"
        className="xl:col-span-2"
        actions={
          <IconButton name="Copy the command" onClick={() => copy(command)}>
            <ClipboardCopy size={14} />
          </IconButton>
        }
      >
        <pre
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys
          tabIndex={0}
          className="overflow-x-auto px-3 py-2"
        >
          {command}
        </pre>
        <p className="px-3 pb-2 text-sm text-muted">
          {`In a checkout of ${data.run.repository} at ${data.run.commit.slice(0, 10)}. The task alone runs, in the same sandbox; what comes before counts as done.`}
          {map >= 0 && " All of its mapped instances run."}
        </p>
      </Panel>
      {data.task !== null && data.task.doc_md !== null && (
        <Panel title="About the task" className="xl:col-span-2">
          <div className="px-3 py-2">
            <Suspense fallback={<p className="text-muted">…</p>}>
              <MarkdownText text={data.task.doc_md} />
            </Suspense>
          </div>
        </Panel>
      )}
      <Panel title="Times">
        <Facts
          rows={[
            ["Ready to run", <Time key="r" at={instance.scheduled_at} withMs />],
            ["Got its slot", <Time key="q" at={instance.queued_at} withMs />],
            ["Started", <Time key="s" at={instance.started_at} withMs />],
            ["Ended", <Time key="e" at={instance.ended_at} withMs />],
            ["Logical date", <Time key="l" at={data.run.logical_date} />],
            ["Id", instance.id],
          ]}
        />
      </Panel>
      <Panel title="What its code was given">
        <Facts rows={givenRows(place, data)} />
      </Panel>
      {data.task !== null && (
        <Panel title="In the DAG">
          <Facts
            rows={[
              ["Operator", data.task.operator],
              ["Owner", data.task.owner ?? "–"],
              ["Group", data.task.group ?? "none"],
              ["Trigger rule", data.task.trigger_rule],
              ["Upstream", <Tasks key="u" place={place} ids={data.task.upstream} />],
              ["Downstream", <Tasks key="d" place={place} ids={data.task.downstream} />],
              ["Retries", `${data.task.retries}, after ${durationText(data.task.retry_delay_s)}`],
              [
                "Time limit",
                data.task.execution_timeout_s === null
                  ? "none of its own"
                  : durationText(data.task.execution_timeout_s),
              ],
              ["Depends on its past", data.task.depends_on_past ? "yes" : "no"],
              ...(data.task.is_setup || data.task.is_teardown
                ? [["Kind", data.task.is_setup ? "setup" : "teardown"] as const]
                : []),
            ]}
          />
        </Panel>
      )}
      <Panel title="Conf of the run">
        <div className="px-3 py-2">
          <JsonView text={data.run.conf} label="Conf" />
        </div>
      </Panel>
      {Object.keys(given.limits).length > 0 && (
        <Panel title="Limits">
          <Facts
            rows={Object.entries(given.limits).map(([name, value]) => [
              name,
              /bytes$/i.test(name)
                ? bytesText(value)
                : /seconds$/i.test(name)
                  ? durationText(value)
                  : String(value),
            ])}
          />
        </Panel>
      )}
    </div>
  );
}

function givenRows(
  { tenant, dag }: Place,
  data: TaskScreen,
): readonly (readonly [string, ReactNode])[] {
  const { given } = data;
  return [
    ["Runs in", given.runs_in === "inline" ? "the engine itself, at once" : (given.runs_in ?? "–")],
    ["Semantics of Airflow", given.level ?? "–"],
    ["Queue", given.queue],
    [
      "Pool",
      <Link key="p" to="/t/$tenant/capacity" params={{ tenant }} className="text-accent underline">
        {`${given.pool}, ${given.pool_slots} ${given.pool_slots === 1 ? "slot" : "slots"}`}
      </Link>,
    ],
    ["Priority", String(given.priority_weight)],
    [
      "Commit",
      <Link
        key="c"
        to="/t/$tenant/dags/$dag"
        params={{ tenant, dag }}
        search={{ tab: "code" }}
        className="text-accent underline"
      >
        {`${data.run.commit.slice(0, 10)}, version ${data.run.version}`}
      </Link>,
    ],
    ["File", `${data.run.repository}: ${data.run.path}`],
    ["Environment", given.environment === "" ? "–" : given.environment],
    ...Object.entries(given.environments).map(([guest, hash]) => [`… ${guest}`, hash] as const),
    [
      "May connect to",
      given.egress.length === 0 ? "nothing outside (no host is allowed)" : given.egress.join(", "),
    ],
    [
      "Secrets",
      "Connections and variables are read when its code asks for them; their values are never shown.",
    ],
  ];
}

function Tasks({ place, ids }: { readonly place: Place; readonly ids: readonly string[] }) {
  if (ids.length === 0) return <span className="text-muted">none</span>;
  return (
    <span className="flex flex-wrap gap-x-2">
      {ids.slice(0, 100).map((id) => (
        <TaskLink key={id} place={place} task={id} map={-1} />
      ))}
      {ids.length > 100 && <span className="text-muted">{`and ${ids.length - 100} more`}</span>}
    </span>
  );
}
