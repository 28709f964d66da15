import { useQuery } from "@tanstack/react-query";
import type { Workers } from "../../../api/ui/capacity.ts";
import { ask } from "../../ask/ask-server.ts";
import { Empty, Failed, Loading, Panel } from "../../parts/panels.tsx";
import { Table } from "../../parts/table.tsx";
import { Ago } from "../../parts/time.tsx";
import { Share } from "./share.tsx";

/** Of the whole platform, for who may read it. Asked for every few seconds: no event tells of a worker's beat. */
export function WorkersPanel() {
  const { data, error } = useQuery({
    queryKey: ["workers"],
    queryFn: ({ signal }) => ask<Workers>("/api/platform/workers", { signal }),
    refetchInterval: 5_000,
    refetchIntervalInBackground: false,
  });
  return (
    <Panel title="Workers of the platform">
      {error !== null && <Failed error={error} />}
      {data === undefined && error === null && <Loading what="Workers" />}
      {data?.workers.length === 0 && (
        <Empty title="No worker is there">
          <p>
            Nothing runs until one is: <code>airlock worker</code> starts one on this machine or on
            another.
          </p>
        </Empty>
      )}
      {data !== undefined && data.workers.length > 0 && (
        <Table
          label="Workers"
          columns={[
            { head: "Host" },
            { head: "Slots" },
            { head: "Queues" },
            { head: "Since" },
            { head: "Last beat" },
          ]}
        >
          {data.workers.map((worker) => (
            <tr key={worker.worker}>
              <td>
                {worker.host} <span className="text-muted">pid {worker.pid}</span>
                {worker.draining && <span className="block text-warn">takes nothing new</span>}
              </td>
              <td className="min-w-40">
                <Share taken={worker.running} of={worker.slots} />
                <span className="text-muted">
                  {worker.running} of {worker.slots} taken
                </span>
              </td>
              <td>{worker.queues.join(", ")}</td>
              <td>
                <Ago at={worker.started_at} />
              </td>
              <td>
                <Ago at={worker.beat_at} />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}
