/** Why something is where it is, in one sentence, with the rows that hold it back as links. */
import { Link } from "@tanstack/react-router";
import type { Blocker, WhyAnswer } from "../../api/airflow/read-why.ts";
import { timeText, useZone } from "../frame/zone.ts";
import { StateMark } from "./state-mark.tsx";

export function WhyLine({ tenant, why }: { readonly tenant: string; readonly why: WhyAnswer }) {
  const zone = useZone();
  // Times come in ISO: shown in the person's own zone like all others.
  const sentence = why.why.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (at) => timeText(at, zone));
  return (
    <div>
      <p className="tenant-text whitespace-pre-wrap">{sentence}</p>
      {(why.blocked_by.length > 0 || why.others > 0) && (
        <ul aria-label="What it waits for" className="mt-1 flex flex-wrap gap-x-3 gap-y-0.5">
          {why.blocked_by.map((one) => (
            <li key={JSON.stringify(one)} className="min-w-0 max-w-full">
              <BlockerLink tenant={tenant} one={one} />
            </li>
          ))}
          {why.others > 0 && <li className="text-muted">{`and ${why.others} more`}</li>}
        </ul>
      )}
    </div>
  );
}

function BlockerLink({ tenant, one }: { readonly tenant: string; readonly one: Blocker }) {
  const look = "inline-flex max-w-full items-center gap-1 text-accent underline";
  const { dag_id: dag, run_id: run, task_id: task } = one;
  if (one.kind === "pool")
    return (
      <Link to="/t/$tenant/capacity" params={{ tenant }} className={look}>
        {`pool ${one.pool ?? ""}`}
      </Link>
    );
  if (dag === null) return null;
  if (one.kind === "dag" || run === null)
    return (
      <Link to="/t/$tenant/dags/$dag" params={{ tenant, dag }} className={look}>
        <span className="truncate">{dag}</span>
      </Link>
    );
  if (task === null)
    return (
      <Link to="/t/$tenant/dags/$dag/runs/$run" params={{ tenant, dag, run }} className={look}>
        <StateMark state={one.state} />
        <span className="tenant-text truncate">{run}</span>
      </Link>
    );
  return (
    <Link
      to="/t/$tenant/dags/$dag/runs/$run/tasks/$task"
      params={{ tenant, dag, run, task }}
      search={one.map_index < 0 ? {} : { map: one.map_index }}
      className={look}
      title={`${dag} / ${run}`}
    >
      <StateMark state={one.state} />
      <span className="tenant-text truncate">
        {one.map_index < 0 ? task : `${task}[${String(one.map_index)}]`}
      </span>
    </Link>
  );
}
