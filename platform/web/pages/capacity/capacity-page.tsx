import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import type { Capacity } from "../../../api/ui/capacity.ts";
import { ask, path } from "../../ask/ask-server.ts";
import { useMe } from "../../ask/session.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { CopyAs } from "../../parts/copy-as.tsx";
import { Failed, Loading, PageHead, Panel } from "../../parts/panels.tsx";
import { Ago } from "../../parts/time.tsx";
import { Blocked } from "./blocked.tsx";
import { Pools, Queues } from "./pools-and-queues.tsx";
import { Share } from "./share.tsx";
import { UsagePanel } from "./usage-panel.tsx";
import { WorkersPanel } from "./workers-panel.tsx";

export function CapacityPage() {
  const { tenant } = useParams({ from: "/t/$tenant/capacity" });
  const me = useMe();
  const key = ["capacity", tenant, "now"];
  const { data, error, isPending, refetch } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => ask<Capacity>(path`/t/${tenant}/api/ui/capacity`, { signal }),
  });
  useLiveQuery([tenant], key, { everyMs: 1_000 });
  return (
    <>
      <PageHead
        crumbs={[{ text: tenant, to: "/t/$tenant", params: { tenant } }]}
        title="Queue and capacity"
      >
        <CopyAs
          command={["pools", "list", tenant]}
          api={{ path: path`/t/${tenant}/api/ui/capacity` }}
        />
      </PageHead>
      <div className="flex flex-col gap-3 px-4 pb-6">
        {error !== null && <Failed error={error} retry={() => void refetch()} />}
        {isPending && <Loading what="Queue and capacity" />}
        {data !== undefined && (
          <>
            <Tenant of={data.tenant} />
            <Blocked tenant={tenant} of={data} />
            <Pools tenant={tenant} of={data} />
            <Queues of={data} />
          </>
        )}
        {me?.is_platform_admin === true && <WorkersPanel />}
        <UsagePanel tenant={tenant} />
      </div>
    </>
  );
}

function Tenant({ of }: { readonly of: Capacity["tenant"] }) {
  const facts = [
    ["Running", `${of.running}`],
    ["Has its place, waits for a worker", `${of.admitted}`],
    ["Waiting", `${of.waiting_is_at_least ? "at least " : ""}${of.waiting}`],
  ] as const;
  return (
    <Panel title="The tenant as a whole">
      <div className="flex flex-wrap items-center gap-x-8 gap-y-2 px-3 py-2">
        {facts.map(([name, value]) => (
          <p key={name}>
            <span className="block text-xl font-semibold tabular-nums">{value}</span>
            <span className="text-sm text-muted">{name}</span>
          </p>
        ))}
        {of.oldest_waiting_at !== null && (
          <p>
            <span className="block text-xl font-semibold">
              <Ago at={of.oldest_waiting_at} />
            </span>
            <span className="text-sm text-muted">Waiting since, the oldest</span>
          </p>
        )}
        <div className="min-w-56 grow">
          <Share taken={of.running + of.admitted} of={of.max_running} />
          <p className="mt-1 text-sm text-muted">
            {of.running + of.admitted} of {of.max_running} places
            {of.weight !== 1 && `; its share among tenants weighs ${of.weight}`}
            {of.state === "suspended" && "; it is suspended: nothing starts"}
          </p>
        </div>
      </div>
    </Panel>
  );
}
