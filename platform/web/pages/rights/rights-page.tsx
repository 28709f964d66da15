import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useId } from "react";
import type { Rights } from "../../../api/ui/rights.ts";
import { ask, path, query } from "../../ask/ask-server.ts";
import { CopyAs } from "../../parts/copy-as.tsx";
import { Input, Select } from "../../parts/fields.tsx";
import { Empty, Failed, Loading, PageHead, Panel } from "../../parts/panels.tsx";
import { Table } from "../../parts/table.tsx";
import { reasonWords, verdictWords } from "./reason-words.ts";

const marks = { may: "✓", "may not": "–", "is denied": "✗" } as const;
const looks = {
  may: "text-(--state-success)",
  "may not": "text-muted",
  "is denied": "text-danger",
} as const;

export function RightsPage() {
  const { tenant } = useParams({ from: "/t/$tenant/rights" });
  const search = useSearch({ from: "/t/$tenant/rights" });
  const navigate = useNavigate({ from: "/t/$tenant/rights" });
  const change = (to: Partial<typeof search>): void =>
    void navigate({ search: (old) => ({ ...old, ...to }), replace: true });
  const at = path`/t/${tenant}/api/ui/rights` + query({ dag_id: search.dag });
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ["rights", tenant, search.dag ?? ""],
    queryFn: ({ signal }) => ask<Rights>(at, { signal }),
  });
  const subjects = data?.subjects.filter(
    ({ subject }) => search.who === undefined || subject === search.who,
  );
  const cell = data?.subjects
    .find(({ subject }) => subject === search.who)
    ?.may.find(({ deed }) => deed === search.deed);
  return (
    <>
      <PageHead crumbs={[{ text: tenant, to: "/t/$tenant", params: { tenant } }]} title="Rights">
        {data?.of === "everybody" && (
          <Select
            aria-label="Who"
            className="!w-48"
            value={search.who ?? ""}
            onChange={({ target }) => change({ who: target.value || undefined, deed: undefined })}
          >
            <option value="">Everybody</option>
            {data.subjects.map(({ subject }) => (
              <option key={subject}>{subject}</option>
            ))}
          </Select>
        )}
        <DagField tenant={tenant} dag={search.dag} onDag={(dag) => change({ dag })} />
        <CopyAs
          {...(data?.of === "everybody" ? { command: ["grants", "list", "--tenant", tenant] } : {})}
          api={{ path: at }}
        />
      </PageHead>
      <div className="flex flex-col gap-3 px-4 pb-6">
        {error !== null && <Failed error={error} retry={() => void refetch()} />}
        {isPending && <Loading what="Rights" />}
        {data !== undefined && subjects !== undefined && (
          <Panel
            title={
              <span className="tenant-text">
                {data.of === "you" ? "What you may do" : "Who may do what"} on{" "}
                {search.dag === undefined ? "the tenant as a whole" : search.dag}
              </span>
            }
          >
            {subjects.length === 0 ? (
              <Empty title="Nobody has a right here">
                <p>
                  Roles are given by <code>npx airlock roles</code>, rules by{" "}
                  <code>npx airlock grants</code>.
                </p>
              </Empty>
            ) : (
              <Table
                label="Rights"
                columns={[{ head: "Who" }, ...data.deeds.map((deed) => ({ head: deed }))]}
              >
                {subjects.map(({ subject, may }) => (
                  <tr key={subject}>
                    <th
                      scope="row"
                      className="tenant-text min-w-32 px-3 py-1.5 text-left font-medium"
                    >
                      {subject}
                    </th>
                    {may.map((one) => {
                      const verdict = verdictWords(one);
                      return (
                        <td key={one.deed}>
                          <button
                            type="button"
                            aria-label={`${subject} ${verdict} ${one.deed}: why`}
                            aria-pressed={search.who === subject && search.deed === one.deed}
                            onClick={() => change({ who: subject, deed: one.deed })}
                            className={`size-7 rounded-md text-center font-semibold hover:bg-sunken aria-pressed:bg-accent-soft ${looks[verdict]}`}
                          >
                            {marks[verdict]}
                          </button>
                        </td>
                      );
                    })}
                  </tr>
                ))}
              </Table>
            )}
            <p className="border-t border-line px-3 py-1.5 text-sm text-muted">
              ✓ may, – has no right to it, ✗ is denied by a rule (a denial beats every right).
              Choose a mark to see why.
              {data.is_partial && " Only the first 300 are shown."}
            </p>
          </Panel>
        )}
        {cell !== undefined && (
          <Panel title={`Why ${search.who ?? ""} ${verdictWords(cell)} ${cell.deed}`}>
            {cell.reasons.length === 0 ? (
              <p className="px-3 py-2">
                No rule and no role says that it may: what nobody allowed is not allowed.
              </p>
            ) : (
              <ol className="list-decimal py-2 pr-3 pl-8">
                {cell.reasons.map((reason) => (
                  <li key={JSON.stringify(reason)} className="tenant-text">
                    {reasonWords(reason)}
                  </li>
                ))}
              </ol>
            )}
          </Panel>
        )}
      </div>
    </>
  );
}

/** A DAG by its id, with those that have what is typed in theirs on offer. */
function DagField({
  tenant,
  dag,
  onDag,
}: {
  readonly tenant: string;
  readonly dag: string | undefined;
  readonly onDag: (dag: string | undefined) => void;
}) {
  const list = useId();
  const { data } = useQuery({
    queryKey: ["rights", tenant, "dag-ids"],
    queryFn: ({ signal }) =>
      ask<{ dags: { dag_id: string }[] }>(path`/t/${tenant}/api/v2/dags` + query({ limit: 100 }), {
        signal,
      }),
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const typed = new FormData(event.currentTarget).get("dag");
        onDag(typeof typed === "string" && typed !== "" ? typed : undefined);
      }}
    >
      <Input
        key={dag ?? ""}
        name="dag"
        aria-label="DAG"
        list={list}
        defaultValue={dag ?? ""}
        placeholder="A DAG (empty: the tenant)"
        className="!w-64"
        autoComplete="off"
        onBlur={({ target }) => {
          if (target.value !== (dag ?? "")) onDag(target.value || undefined);
        }}
      />
      <datalist id={list}>
        {data?.dags.map(({ dag_id }) => (
          <option key={dag_id} value={dag_id} />
        ))}
      </datalist>
    </form>
  );
}
