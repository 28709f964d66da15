import { Link } from "@tanstack/react-router";
import type { Place } from "./place.ts";

/** Another instance of the same run. */
export function TaskLink({
  place,
  task,
  map,
}: {
  readonly place: Place;
  readonly task: string;
  readonly map: number;
}) {
  return (
    <Link
      to="/t/$tenant/dags/$dag/runs/$run/tasks/$task"
      params={{ tenant: place.tenant, dag: place.dag, run: place.run, task }}
      search={map < 0 ? {} : { map }}
      className="tenant-text text-accent underline"
    >
      {map < 0 ? task : `${task}[${String(map)}]`}
    </Link>
  );
}
