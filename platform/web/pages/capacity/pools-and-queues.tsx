import { Link } from "@tanstack/react-router";
import type { Capacity } from "../../../api/ui/capacity.ts";
import { Panel } from "../../parts/panels.tsx";
import { Table } from "../../parts/table.tsx";
import { Ago } from "../../parts/time.tsx";
import { Share } from "./share.tsx";

export function Pools({ tenant, of }: { readonly tenant: string; readonly of: Capacity }) {
  return (
    <Panel
      title="Pools"
      actions={
        <Link
          to="/t/$tenant/things"
          params={{ tenant }}
          search={{ tab: "pools" } as never}
          className="text-sm underline decoration-line-strong hover:decoration-current"
        >
          Change pools
        </Link>
      }
    >
      <Table
        label="Pools"
        columns={[
          { head: "Pool" },
          { head: "Slots" },
          { head: "Waiting", align: "right" },
          { head: "Oldest" },
          { head: "Held by" },
        ]}
      >
        {of.pools.map((pool) => (
          <tr key={pool.pool}>
            <td className="tenant-text min-w-32 font-medium">{pool.pool}</td>
            <td className="min-w-48">
              {pool.slots >= 0 && (
                <Share
                  taken={pool.taken_slots}
                  deferred={pool.include_deferred ? pool.deferred_slots : 0}
                  of={pool.slots}
                />
              )}
              <span className="text-muted">
                {pool.taken_slots} of {pool.slots < 0 ? "any number" : pool.slots} taken
                {pool.deferred_slots > 0 &&
                  `, ${pool.deferred_slots} deferred${pool.include_deferred ? "" : " (not counted)"}`}
              </span>
            </td>
            <td className="text-right tabular-nums">
              {pool.waiting}
              {pool.waiting_slots !== pool.waiting && (
                <span className="block text-muted">{pool.waiting_slots} slots</span>
              )}
            </td>
            <td>
              <Ago at={pool.oldest_waiting_at} />
            </td>
            <td className="tenant-text min-w-40">
              {pool.holders.length === 0
                ? "–"
                : pool.holders.map((one, i) => (
                    <span key={one.dag_id ?? ""}>
                      {i > 0 && ", "}
                      {one.dag_id === null ? (
                        "others"
                      ) : (
                        <Link
                          to="/t/$tenant/dags/$dag"
                          params={{ tenant, dag: one.dag_id }}
                          className="underline decoration-line-strong hover:decoration-current"
                        >
                          {one.dag_id}
                        </Link>
                      )}{" "}
                      <span className="text-muted">{one.slots}</span>
                    </span>
                  ))}
            </td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}

export function Queues({ of }: { readonly of: Capacity }) {
  if (of.queues.length === 0) return null;
  return (
    <Panel title="Queues">
      <Table
        label="Queues"
        columns={[
          { head: "Queue" },
          { head: "Running", align: "right" },
          { head: "Waits for a worker", align: "right" },
          { head: "Oldest of them" },
          { head: "Waits for a place", align: "right" },
        ]}
      >
        {of.queues.map((queue) => (
          <tr key={queue.queue}>
            <td className="tenant-text min-w-24 font-medium">{queue.queue}</td>
            <td className="text-right tabular-nums">{queue.running}</td>
            <td className="text-right tabular-nums">{queue.admitted}</td>
            <td>
              <Ago at={queue.oldest_admitted_at} />
            </td>
            <td className="text-right tabular-nums">{queue.waiting}</td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}
