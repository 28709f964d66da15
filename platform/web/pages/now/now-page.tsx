/** What needs somebody, in the order in which one would do it: of one tenant, or of all that the person may see. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { CircleCheck } from "lucide-react";
import type { ReactNode } from "react";
import type { Now } from "../../../api/ui/now.ts";
import { ask, path } from "../../ask/ask-server.ts";
import { useMe } from "../../ask/session.ts";
import { useKeys } from "../../frame/keys.ts";
import { serverNow } from "../../frame/now.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { CopyAs } from "../../parts/copy-as.tsx";
import { Empty, Failed, Loading, PageHead, Panel } from "../../parts/panels.tsx";
import {
  BrokenFileItem,
  FailureItem,
  LateItem,
  LostRepositoryItem,
  Past,
  SlowPoolItem,
  StuckItem,
} from "./attention-items.tsx";
import { DeploysPanel, DuePanel, PressurePanel } from "./side-panels.tsx";
import { countByTenant, slowPools } from "./sum-up.ts";
import { TenantsPanel } from "./tenants-panel.tsx";

/** One stream follows this many tenants. */
const followedMax = 50;

export function NowPage() {
  const { tenant } = useParams({ strict: false });
  const { past } = useSearch({ strict: false });
  const navigate = useNavigate();
  const tenants = useMe()?.tenants ?? [];
  const isAll = tenant === undefined;
  const address = isAll ? "/api/platform/ui/now" : path`/t/${tenant}/api/ui/now`;
  const queryKey = ["now", tenant ?? "*"];
  const { data, error, refetch } = useQuery({
    queryKey,
    queryFn: ({ signal }) => ask<Now>(address, { signal }),
    // A schedule passes and a task takes too long without any change that could be told. Beyond what one stream
    // follows, changes of the other tenants are found so as well.
    refetchInterval: isAll && tenants.length > followedMax ? 15_000 : 60_000,
  });
  const followed = isAll ? tenants.slice(0, followedMax).map((one) => one.tenant) : [tenant];
  useLiveQuery(followed, queryKey, { everyMs: isAll ? 5_000 : 1_500 });
  useKeys("Now", {
    j: { does: "Next thing to do; Enter opens it", run: () => step(1) },
    k: { does: "Thing to do before; Enter opens it", run: () => step(-1) },
  });
  return (
    <>
      <PageHead
        {...(isAll ? {} : { crumbs: [{ text: tenant, to: "/t/$tenant", params: { tenant } }] })}
        title="Now"
      >
        <CopyAs api={{ path: address }} />
      </PageHead>
      {error !== null && data === undefined ? (
        <Failed error={error} retry={() => void refetch()} />
      ) : data === undefined ? (
        <Loading what="What needs attention" />
      ) : isAll && tenants.length === 0 ? (
        <Empty title="You are in no tenant yet.">
          <p>
            A tenant is a team’s place: its repositories, DAGs and runs. An administrator gives you
            a role in one, and what needs attention there shows here.
          </p>
        </Empty>
      ) : (
        <div className="grid gap-3 px-3 pb-6 lg:grid-cols-[minmax(0,1fr)_22rem]">
          <div className="min-w-0 space-y-3">
            <Attention
              now={data}
              withTenant={isAll}
              isPastOpen={past === true}
              onPast={() =>
                void navigate({
                  to: ".",
                  search: past === true ? {} : { past: true },
                  replace: true,
                })
              }
            />
            {data.left_out.length > 0 && (
              <p className="text-sm text-muted">
                Not looked at here, each has a page of its own: {data.left_out.join(", ")}
              </p>
            )}
          </div>
          <div className="min-w-0 space-y-3">
            {isAll && <TenantsPanel tenants={tenants} counts={countByTenant(data, serverNow())} />}
            <PressurePanel now={data} {...(isAll ? {} : { tenant })} />
            <DuePanel now={data} withTenant={isAll} />
            <DeploysPanel now={data} withTenant={isAll} />
          </div>
        </div>
      )}
    </>
  );
}

/** The keys go along the rows' own links, so that Enter, a right click and a screen reader all know where one is. */
function step(by: number): void {
  const links = [...document.querySelectorAll<HTMLElement>("#content [data-attention]")];
  const at = links.findIndex((link) => link === document.activeElement);
  const to = at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by;
  links[Math.min(Math.max(to, 0), links.length - 1)]?.focus();
}

const rowsShown = 50;

function Attention({
  now,
  withTenant,
  isPastOpen,
  onPast,
}: {
  readonly now: Now;
  readonly withTenant: boolean;
  readonly isPastOpen: boolean;
  readonly onPast: () => void;
}) {
  const open = now.failures.filter(({ still_failing }) => still_failing > 0);
  const past = now.failures.filter(({ still_failing }) => still_failing === 0);
  const slow = slowPools(now, serverNow());
  const parts = [
    part("Failing", open, (item) => (
      <FailureItem key={`${item.tenant} ${item.fingerprint}`} item={item} withTenant={withTenant} />
    )),
    part("Stuck", now.stuck, (item) => (
      <StuckItem
        key={`${item.tenant} ${item.dag_id} ${item.run_id} ${item.task_id} ${String(item.map_index)}`}
        item={item}
        withTenant={withTenant}
      />
    )),
    part("Waiting for long", slow, (item) => (
      <SlowPoolItem key={`${item.tenant} ${item.pool}`} item={item} withTenant={withTenant} />
    )),
    part("Late", now.late, (item) => (
      <LateItem key={`${item.tenant} ${item.dag_id}`} item={item} withTenant={withTenant} />
    )),
    part("Repositories that cannot be fetched", now.sync_errors, (item) => (
      <LostRepositoryItem
        key={`${item.tenant} ${item.repository}`}
        item={item}
        withTenant={withTenant}
      />
    )),
    part("Files that cannot be read", now.import_errors, (item) => (
      <BrokenFileItem
        key={`${item.tenant} ${item.repository} ${item.path}`}
        item={item}
        withTenant={withTenant}
      />
    )),
  ].filter(({ count }) => count > 0);
  return (
    <>
      {parts.length === 0 && (
        <Panel>
          <Empty title="Nothing needs you.">
            <CircleCheck size={28} aria-hidden className="order-first text-(--state-success)" />
            <p>
              What would show here: failures of the last day, gathered by cause; tasks that run far
              longer than they do as a rule, or wait for long; DAGs whose time has passed without a
              run; repositories and files that cannot be read.
            </p>
          </Empty>
        </Panel>
      )}
      {parts.map(({ title, count, rows }) => (
        <Panel
          key={title}
          title={
            <>
              {title} <span className="font-normal text-muted tabular-nums">{count}</span>
            </>
          }
        >
          <ul>{rows}</ul>
          {count > rowsShown && (
            <p className="px-3 py-2 text-sm text-muted">and {count - rowsShown} more</p>
          )}
        </Panel>
      ))}
      {past.length > 0 && (
        <Panel>
          <Past items={past} isOpen={isPastOpen} onToggle={onPast} withTenant={withTenant} />
        </Panel>
      )}
    </>
  );
}

const part = <T,>(title: string, items: readonly T[], row: (item: T) => ReactNode) => ({
  title,
  count: items.length,
  rows: items.slice(0, rowsShown).map(row),
});
