import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Download } from "lucide-react";
import type { Usage } from "../../../api/ui/capacity.ts";
import { ask, path, query } from "../../ask/ask-server.ts";
import { useZone } from "../../frame/zone.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { Button } from "../../parts/button.tsx";
import { durationText } from "../../parts/durations.ts";
import { Select } from "../../parts/fields.tsx";
import { Empty, Failed, Loading, Panel } from "../../parts/panels.tsx";
import { Table } from "../../parts/table.tsx";
import { amount, type By, type Span, sumUsage, totalOf, usageCsv } from "./usage.ts";

const shownMax = 200;

export function UsagePanel({ tenant }: { readonly tenant: string }) {
  const search = useSearch({ from: "/t/$tenant/capacity" });
  const navigate = useNavigate({ from: "/t/$tenant/capacity" });
  const zone = useZone();
  const span: Span = search.span ?? "today";
  const by: By = search.by ?? "cpu";
  const key = ["capacity", tenant, "usage", zone];
  const { data, error, isPending, refetch } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      ask<Usage>(path`/t/${tenant}/api/ui/capacity/usage` + query({ zone }), { signal }),
  });
  // A week is summed: a moment's delay is no loss.
  useLiveQuery([tenant], key, { everyMs: 15_000 });
  const sums = data === undefined ? [] : sumUsage(data, span, by);
  const total = totalOf(sums);
  return (
    <Panel
      title="What DAGs used"
      actions={
        <>
          <Select
            aria-label="Span"
            className="!w-36"
            value={span}
            onChange={({ target }) =>
              void navigate({
                search: (old) => ({ ...old, span: target.value as Span }),
                replace: true,
              })
            }
          >
            <option value="today">Today</option>
            <option value="week">Last 7 days</option>
          </Select>
          <Select
            aria-label="Ordered by"
            className="!w-36"
            value={by}
            onChange={({ target }) =>
              void navigate({
                search: (old) => ({ ...old, by: target.value as By }),
                replace: true,
              })
            }
          >
            <option value="cpu">CPU</option>
            <option value="memory">Memory</option>
            <option value="time">Time</option>
            <option value="tries">Tries</option>
          </Select>
          <Button
            icon={<Download size={14} />}
            disabled={data === undefined || data.rows.length === 0}
            onClick={() => {
              if (data !== undefined) save(`${tenant}-usage-${data.today}.csv`, usageCsv(data));
            }}
          >
            CSV
          </Button>
        </>
      }
    >
      {error !== null && <Failed error={error} retry={() => void refetch()} />}
      {isPending && <Loading what="Usage" />}
      {data !== undefined && sums.length === 0 && (
        <Empty title={span === "today" ? "Nothing ended today" : "Nothing ended in these days"}>
          <p>Each try adds what it used when it ends.</p>
        </Empty>
      )}
      {sums.length > 0 && (
        <>
          <Table
            label="What DAGs used"
            columns={[
              { head: "DAG" },
              { head: "CPU-seconds", align: "right" },
              { head: "GB-seconds", align: "right" },
              { head: "Time", align: "right" },
              { head: "Tries", align: "right" },
            ]}
          >
            <tr className="font-semibold">
              <td>All</td>
              <td className="text-right tabular-nums">{amount(total.cpu_s)}</td>
              <td className="text-right tabular-nums">{amount(total.gb_s)}</td>
              <td className="text-right tabular-nums">{durationText(total.run_s)}</td>
              <td className="text-right tabular-nums">{amount(total.tries)}</td>
            </tr>
            {sums.slice(0, shownMax).map((sum) => (
              <tr key={sum.dag_id}>
                <td className="tenant-text min-w-40">
                  <Link
                    to="/t/$tenant/dags/$dag"
                    params={{ tenant, dag: sum.dag_id }}
                    className="underline decoration-line-strong hover:decoration-current"
                  >
                    {sum.dag_id}
                  </Link>
                </td>
                <td className="text-right tabular-nums">{amount(sum.cpu_s)}</td>
                <td className="text-right tabular-nums">{amount(sum.gb_s)}</td>
                <td className="text-right tabular-nums">{durationText(sum.run_s)}</td>
                <td className="text-right tabular-nums">{amount(sum.tries)}</td>
              </tr>
            ))}
          </Table>
          <p className="border-t border-line px-3 py-1.5 text-sm text-muted">
            Of tries that ended, by days in {zone}. A GB-second is a try's highest memory for each
            second that it ran.
            {total.unmeasured > 0 &&
              ` Of ${total.unmeasured} tries this machine could not measure all.`}
            {sums.length > shownMax && ` ${sums.length - shownMax} more DAGs are in the CSV.`}
          </p>
        </>
      )}
    </Panel>
  );
}

function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
