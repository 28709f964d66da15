import { Link } from "@tanstack/react-router";
import type { Capacity } from "../../../api/ui/capacity.ts";
import { Empty, Panel } from "../../parts/panels.tsx";
import { StateMark } from "../../parts/state-mark.tsx";
import { Table } from "../../parts/table.tsx";
import { Ago } from "../../parts/time.tsx";
import { blockWords, holderWords } from "./block-words.ts";

export function Blocked({ tenant, of }: { readonly tenant: string; readonly of: Capacity }) {
  const { blocked } = of;
  return (
    <Panel title="Who waits for whom">
      {blocked.length === 0 ? (
        <Empty title="Nothing waits">
          <p>
            Task instances that are ready and may not start yet stand here, the oldest first, each
            with the limit that stops it and who holds the places.
          </p>
        </Empty>
      ) : (
        <Table
          label="Who waits for whom"
          columns={[{ head: "Waits" }, { head: "Since" }, { head: "For" }, { head: "Held by" }]}
        >
          {blocked.map((one) => (
            <tr key={`${one.dag_id} ${one.run_id} ${one.task_id} ${one.map_index} ${one.pool}`}>
              <td className="min-w-56">
                <span className="flex items-start gap-1.5">
                  <span className="mt-0.5">
                    <StateMark state="scheduled" />
                  </span>
                  <span className="tenant-text min-w-0">
                    <Link
                      to="/t/$tenant/dags/$dag/runs/$run/tasks/$task"
                      params={{ tenant, dag: one.dag_id, run: one.run_id, task: one.task_id }}
                      className="underline decoration-line-strong hover:decoration-current"
                    >
                      {one.dag_id} / {one.task_id}
                      {one.map_index >= 0 && `[${one.map_index}]`}
                    </Link>
                    {one.waiting > 1 && (
                      <span className="text-muted">
                        {" "}
                        and {one.waiting >= 1000 ? "999 or more" : one.waiting - 1} like it
                      </span>
                    )}
                    <span className="block text-muted">{one.run_id}</span>
                  </span>
                </span>
              </td>
              <td>
                <Ago at={one.since} />
              </td>
              <td className="tenant-text min-w-56">{blockWords(one, of)}</td>
              <td className="tenant-text min-w-32">{holderWords(one, of) || "–"}</td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}
