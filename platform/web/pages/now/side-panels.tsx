/** Beside what needs attention: how full it is, what comes, what was deployed. */
import { Link } from "@tanstack/react-router";
import type { Now } from "../../../api/ui/now.ts";
import { useNow } from "../../frame/now.ts";
import { timeText, useZone } from "../../frame/zone.ts";
import { countText, durationText } from "../../parts/durations.ts";
import { Panel } from "../../parts/panels.tsx";
import { StateMark } from "../../parts/state-mark.tsx";
import { Ago } from "../../parts/time.tsx";
import { minutes, rowsOf, runsPerMinute } from "./due-layout.ts";

/** Running, then queued, of a limit; what is above the limit is full. */
function PressureBar({
  name,
  running,
  queued,
  limit,
}: {
  readonly name: string;
  readonly running: number;
  readonly queued: number;
  /** Negative: none. */
  readonly limit: number;
}) {
  const most = limit > 0 ? limit : Math.max(1, running + queued);
  const share = (count: number): string => `${String(Math.min(100, (100 * count) / most))}%`;
  return (
    <div
      role="meter"
      aria-label={name}
      aria-valuemin={0}
      aria-valuemax={most}
      aria-valuenow={Math.min(most, running + queued)}
      aria-valuetext={`${running} running, ${queued} queued, ${limit < 0 ? "no limit" : `of ${limit}`}`}
      className="flex h-2 overflow-hidden rounded-full bg-sunken"
    >
      <div style={{ width: share(running), background: "var(--state-running)" }} />
      <div style={{ width: share(queued), background: "var(--state-queued)" }} />
    </div>
  );
}

const poolsShown = 8;

export function PressurePanel({ now, tenant }: { readonly now: Now; readonly tenant?: string }) {
  if (now.pressure.length + now.pools.length === 0) return null;
  const isOne = tenant !== undefined;
  const busy = isOne
    ? now.pressure
    : now.pressure.filter(({ running, queued }) => running + queued > 0).slice(0, poolsShown);
  return (
    <Panel
      title="Running and queued"
      {...(isOne
        ? {
            actions: (
              <Link
                to="/t/$tenant/capacity"
                params={{ tenant }}
                className="text-sm text-accent hover:underline"
              >
                Capacity
              </Link>
            ),
          }
        : {})}
    >
      <ul className="space-y-2 px-3 py-2 text-sm">
        {busy.length === 0 && now.pools.length === 0 && (
          <li className="text-muted">Nothing runs or waits.</li>
        )}
        {busy.map((one) => (
          <li key={one.tenant}>
            <p className="flex justify-between gap-2">
              <Link
                to="/t/$tenant"
                params={{ tenant: one.tenant }}
                className="truncate font-medium hover:underline"
              >
                {isOne ? "The tenant" : one.tenant}
              </Link>
              <span className="whitespace-nowrap text-muted tabular-nums">
                {countText(one.running)} running
                {one.queued > 0 && `, ${countText(one.queued)} queued`} of{" "}
                {countText(one.max_running)}
              </span>
            </p>
            <PressureBar
              name={`Tasks of ${one.tenant}`}
              running={one.running}
              queued={one.queued}
              limit={one.max_running}
            />
          </li>
        ))}
        {now.pools.slice(0, poolsShown).map((pool) => (
          <li key={`${pool.tenant} ${pool.pool}`}>
            <p className="flex justify-between gap-2">
              <span className="tenant-text min-w-0 truncate" title={pool.pool}>
                {isOne ? "" : `${pool.tenant} / `}
                {pool.pool}
              </span>
              <span className="whitespace-nowrap text-muted tabular-nums">
                {pool.waiting > 0 && `${countText(pool.waiting)} waiting · `}
                {countText(pool.running_slots + pool.queued_slots)}
                {pool.slots < 0 ? " slots" : ` of ${countText(pool.slots)} slots`}
              </span>
            </p>
            <PressureBar
              name={`Pool ${pool.pool} of ${pool.tenant}`}
              running={pool.running_slots}
              queued={pool.queued_slots}
              limit={pool.slots}
            />
          </li>
        ))}
      </ul>
    </Panel>
  );
}

const dueShown = 10;

export function DuePanel({ now, withTenant }: { readonly now: Now; readonly withTenant: boolean }) {
  const nowMs = useNow();
  const zone = useZone();
  const rows = rowsOf(now.due, nowMs);
  const counts = runsPerMinute(now.due, nowMs);
  const most = Math.max(1, ...counts);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return (
    <Panel title="Due in the next hour">
      {rows.length === 0 ? (
        <p className="px-3 py-3 text-sm text-muted">
          No DAG has a run planned in the next hour. DAGs with a schedule that are not paused show
          here.
        </p>
      ) : (
        <>
          <svg
            viewBox={`0 0 ${minutes * 5} 40`}
            preserveAspectRatio="none"
            role="img"
            aria-label={`${total} ${total === 1 ? "run" : "runs"} planned in the next hour, at most ${most} in a minute`}
            className="mt-2 block h-10 w-full px-3"
          >
            {counts.map((count, minute) =>
              count === 0 ? null : (
                <rect
                  // biome-ignore lint/suspicious/noArrayIndexKey: the minute is what it is
                  key={minute}
                  x={minute * 5}
                  width={4}
                  y={40 - Math.max(4, (40 * count) / most)}
                  height={Math.max(4, (40 * count) / most)}
                  fill="var(--accent)"
                >
                  <title>{`${timeText(nowMs + minute * 60_000, zone).slice(11, 16)}: ${count} ${count === 1 ? "run" : "runs"}`}</title>
                </rect>
              ),
            )}
          </svg>
          <p className="flex justify-between border-t border-line px-3 text-xs text-muted tabular-nums">
            {[0, 20, 40, 60].map((minute) => (
              <span key={minute}>{timeText(nowMs + minute * 60_000, zone).slice(11, 16)}</span>
            ))}
          </p>
          <ul className="px-3 py-2 text-sm">
            {rows.slice(0, dueShown).map((row) => (
              <li key={`${row.tenant} ${row.dag_id}`} className="flex gap-2 py-0.5">
                <span className="w-16 shrink-0 text-muted">
                  <Ago at={row.next} />
                </span>
                <Link
                  to="/t/$tenant/dags/$dag"
                  params={{ tenant: row.tenant, dag: row.dag_id }}
                  className="tenant-text min-w-0 truncate hover:underline"
                >
                  {withTenant ? `${row.tenant} / ` : ""}
                  {row.display_name}
                </Link>
                {row.more > 0 && (
                  <span className="ml-auto whitespace-nowrap text-muted">+{row.more} more</span>
                )}
              </li>
            ))}
            {rows.length > dueShown && (
              <li className="pt-1 text-muted">and {rows.length - dueShown} more DAGs</li>
            )}
          </ul>
        </>
      )}
    </Panel>
  );
}

const deployStates = { live: "success", failed: "failed", syncing: "running" } as const;

export function DeploysPanel({
  now,
  withTenant,
}: {
  readonly now: Now;
  readonly withTenant: boolean;
}) {
  if (now.deploys.length === 0) return null;
  return (
    <Panel title="Last deploys">
      <ul className="px-3 py-1 text-sm">
        {now.deploys.map((deploy) => (
          <li
            key={`${deploy.tenant} ${deploy.repository} ${deploy.at}`}
            className="flex items-baseline gap-2 py-1"
          >
            <StateMark state={deployStates[deploy.state]} />
            <span className="min-w-0 grow">
              <Link
                to="/t/$tenant/deploys"
                params={{ tenant: deploy.tenant }}
                className="tenant-text block truncate hover:underline"
              >
                {withTenant ? `${deploy.tenant} / ` : ""}
                {deploy.repository}{" "}
                <code className="text-muted">{deploy.commit?.slice(0, 8) ?? "no commit"}</code>
              </Link>
              <span className="block text-muted">{changesIn(deploy)}</span>
            </span>
            <span className="shrink-0 text-muted">
              <Ago at={deploy.at} />
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function changesIn(deploy: Now["deploys"][number]): string {
  const parts = [
    deploy.dags_new > 0 && `${deploy.dags_new} new`,
    deploy.dags_changed > 0 && `${deploy.dags_changed} changed`,
    deploy.dags_removed > 0 && `${deploy.dags_removed} removed`,
    deploy.errors > 0 && `${deploy.errors} ${deploy.errors === 1 ? "error" : "errors"}`,
  ].filter((part) => part !== false);
  const what = parts.length === 0 ? "no DAG changed" : parts.join(", ");
  if (deploy.state === "syncing") return "under way";
  return deploy.ms === null ? what : `${what}; in ${durationText(deploy.ms / 1_000)}`;
}
