import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { Overview } from "../../../api/ui/platform.ts";
import { ask } from "../../ask/ask-server.ts";
import { useMe } from "../../ask/session.ts";
import { CopyAs } from "../../parts/copy-as.tsx";
import { Input } from "../../parts/fields.tsx";
import { Empty, Facts, Failed, Loading, PageHead, Panel } from "../../parts/panels.tsx";
import { StateMark } from "../../parts/state-mark.tsx";
import { Table } from "../../parts/table.tsx";
import { Ago, Time } from "../../parts/time.tsx";
import { WorkersPanel } from "../capacity/workers-panel.tsx";

export function PlatformPage() {
  const me = useMe();
  if (me?.is_platform_admin !== true)
    return (
      <>
        <PageHead title="Platform" />
        <Empty title="This page is for the platform's admins">
          <p>
            It shows all tenants, workers and the health of the platform. What is yours is in your
            tenants;{" "}
            <Link to="/" className="underline">
              what needs attention
            </Link>{" "}
            is a good start.
          </p>
        </Empty>
      </>
    );
  return <Whole />;
}

function Whole() {
  const search = useSearch({ from: "/platform" });
  const navigate = useNavigate({ from: "/platform" });
  // Asked for again by the clock: beats and tenants are no tenant's events.
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ["platform", "overview"],
    queryFn: ({ signal }) => ask<Overview>("/api/platform/overview", { signal }),
    refetchInterval: 5_000,
    refetchIntervalInBackground: false,
  });
  const like = search.q?.toLowerCase() ?? "";
  const shown = data?.tenants.filter(
    ({ tenant, display_name }) =>
      tenant.includes(like) || display_name.toLowerCase().includes(like),
  );
  const chosen = data?.tenants.find(({ tenant }) => tenant === search.tenant);
  return (
    <>
      <PageHead title="Platform">
        <CopyAs command={["tenants", "list"]} api={{ path: "/api/platform/overview" }} />
      </PageHead>
      <div className="flex flex-col gap-3 px-4 pb-6">
        {error !== null && <Failed error={error} retry={() => void refetch()} />}
        {isPending && <Loading what="Platform" />}
        {data !== undefined && <Health of={data} />}
        <WorkersPanel />
        {shown !== undefined && (
          <Panel
            title={`Tenants (${data?.tenants.length ?? 0}${data?.is_partial === true ? " or more" : ""})`}
            actions={
              <Input
                aria-label="Find a tenant"
                placeholder="Find a tenant …"
                className="!w-48"
                value={search.q ?? ""}
                onChange={({ target }) =>
                  void navigate({
                    search: (old) => ({ ...old, q: target.value || undefined }),
                    replace: true,
                  })
                }
              />
            }
          >
            {shown.length === 0 ? (
              <Empty title={like === "" ? "There is no tenant yet" : "No tenant has such a name"}>
                <p>
                  Make one: <code>npx airlock tenants create NAME</code>
                </p>
              </Empty>
            ) : (
              <Table
                label="Tenants"
                columns={[
                  { head: "Tenant" },
                  { head: "State" },
                  { head: "Running", align: "right" },
                  { head: "DAGs", align: "right" },
                  { head: "Repositories" },
                  { head: "Egress", align: "right" },
                  { head: "uid", align: "right" },
                ]}
              >
                {shown.map((tenant) => (
                  <tr
                    key={tenant.tenant}
                    className={tenant.tenant === search.tenant ? "bg-accent-soft" : ""}
                  >
                    <td className="tenant-text min-w-36">
                      <button
                        type="button"
                        aria-expanded={tenant.tenant === search.tenant}
                        onClick={() =>
                          void navigate({
                            search: (old) => ({
                              ...old,
                              tenant: tenant.tenant === search.tenant ? undefined : tenant.tenant,
                            }),
                            replace: true,
                          })
                        }
                        className="text-left font-medium underline decoration-line-strong hover:decoration-current"
                      >
                        {tenant.tenant}
                      </button>
                      <span className="block text-muted">{tenant.display_name}</span>
                    </td>
                    <td className="whitespace-nowrap">
                      <span aria-hidden className="mr-1 inline-flex align-middle">
                        <StateMark state={tenant.state === "active" ? "success" : "deferred"} />
                      </span>
                      {tenant.state}
                    </td>
                    <td className="text-right tabular-nums">
                      {tenant.running} of {tenant.max_running}
                    </td>
                    <td className="text-right tabular-nums">{tenant.dags}</td>
                    <td className="tenant-text min-w-40">
                      {tenant.repositories.map((repository) => (
                        <span key={repository.repository} className="block">
                          {repository.repository}{" "}
                          {repository.problem !== null && (
                            <span className="text-danger">failing</span>
                          )}
                          {repository.held && <span className="text-warn">rolled back</span>}
                        </span>
                      ))}
                    </td>
                    <td className="text-right tabular-nums">{tenant.egress.length}</td>
                    <td className="text-right tabular-nums">{tenant.uid}</td>
                  </tr>
                ))}
              </Table>
            )}
          </Panel>
        )}
        {chosen !== undefined && <Tenant of={chosen} />}
      </div>
    </>
  );
}

function Health({ of }: { readonly of: Overview }) {
  const { health } = of;
  return (
    <Panel title="Health">
      <Facts
        rows={[
          ["Version", `${of.version} on Node ${of.node}`],
          ["Address", of.public_url],
          ["Database", health.database ? "answers" : "cannot be reached"],
          ["Scheduler", <Beat key="b" at={health.scheduler_heartbeat} />],
          ["Sync", <Beat key="s" at={health.sync_heartbeat} />],
        ]}
      />
      <div className="border-t border-line px-3 py-2">
        {health.warnings.length === 0 ? (
          <p>This machine can do all that the sandbox wants of it.</p>
        ) : (
          <>
            <h3 className="font-semibold text-warn">What this machine cannot do</h3>
            <ul className="list-disc pl-5">
              {health.warnings.map((warning) => (
                <li key={warning}>{warning}</li>
              ))}
            </ul>
          </>
        )}
      </div>
    </Panel>
  );
}

const Beat = ({ at }: { readonly at: string | null }) =>
  at === null ? (
    <span className="text-danger">never heard of</span>
  ) : (
    <>
      last beat <Ago at={at} />
    </>
  );

function Tenant({ of }: { readonly of: Overview["tenants"][number] }) {
  return (
    <Panel
      title={of.tenant}
      actions={
        <Link
          to="/t/$tenant/deploys"
          params={{ tenant: of.tenant }}
          className="text-sm underline decoration-line-strong hover:decoration-current"
        >
          Its deploys
        </Link>
      }
    >
      <Facts
        rows={[
          ["Made", <Time key="t" at={of.created_at} />],
          ["Runs at once", `${of.max_running}; its share weighs ${of.weight}`],
          [
            "Limits",
            Object.keys(of.limits).length === 0
              ? "the platform's defaults"
              : Object.entries(of.limits)
                  .map(([name, value]) => `${name} ${String(value)}`)
                  .join(", "),
          ],
          [
            "May reach",
            of.egress.length === 0
              ? "nothing outside"
              : of.egress.map(({ host, port }) => `${host}:${port}`).join(", "),
          ],
          [
            "May fetch from",
            of.allow_sources.length === 0 ? "public git hosts" : of.allow_sources.join(", "),
          ],
          ...of.repositories.map(
            (repository) =>
              [
                `Repository ${repository.repository}`,
                <span key={repository.repository}>
                  {repository.url ?? "on the built-in host"}, branch {repository.branch}
                  {repository.commit !== null && (
                    <>
                      , live <code>{repository.commit.slice(0, 10)}</code>
                    </>
                  )}
                  {repository.problem !== null && (
                    <span className="block text-danger">{repository.problem}</span>
                  )}
                </span>,
              ] as const,
          ),
        ]}
      />
    </Panel>
  );
}
