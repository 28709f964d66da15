/** What needs somebody, one row each: what it is, how bad, and the way to where one mends it. */
import { Link } from "@tanstack/react-router";
import {
  AlarmClock,
  ChevronRight,
  FileWarning,
  GitBranch,
  Hourglass,
  ListEnd,
  OctagonAlert,
} from "lucide-react";
import type { ReactNode } from "react";
import type { Now } from "../../../api/ui/now.ts";
import { serverNow } from "../../frame/now.ts";
import { durationText } from "../../parts/durations.ts";
import { Ago, Lasting } from "../../parts/time.tsx";

type Of<K extends keyof Now> = Now[K] extends readonly (infer Item)[] ? Item : never;
type Props<K extends keyof Now> = {
  readonly item: Of<K>;
  /** Among all tenants each row says whose it is. */
  readonly withTenant: boolean;
};

function Item({
  icon,
  tenant,
  head,
  children,
}: {
  readonly icon: ReactNode;
  readonly tenant: string | undefined;
  /** The row's link: what the keys move along. */
  readonly head: ReactNode;
  readonly children: ReactNode;
}) {
  return (
    <li className="flex gap-2.5 border-b border-line/60 px-3 py-2 last:border-b-0 hover:bg-sunken">
      <span className="mt-0.5 shrink-0">{icon}</span>
      <div className="min-w-0 grow">
        <div className="flex min-w-0 items-baseline gap-2">
          {tenant !== undefined && (
            <Link
              to="/t/$tenant"
              params={{ tenant }}
              className="max-w-32 shrink-0 truncate rounded bg-accent-soft px-1.5 text-xs hover:underline"
            >
              {tenant}
            </Link>
          )}
          {head}
        </div>
        <div className="tenant-text text-sm text-muted">{children}</div>
      </div>
    </li>
  );
}

const headLook = "tenant-text line-clamp-2 min-w-0 font-medium hover:underline";

const DagLink = ({ tenant, dag }: { readonly tenant: string; readonly dag: string }) => (
  <Link
    to="/t/$tenant/dags/$dag"
    params={{ tenant, dag }}
    className="tenant-text inline-block max-w-64 truncate align-bottom text-text underline decoration-line-strong underline-offset-2 hover:decoration-current"
  >
    {dag}
  </Link>
);

function DagLinks({
  tenant,
  dags,
  count = dags.length,
}: {
  readonly tenant: string;
  readonly dags: readonly string[];
  readonly count?: number;
}) {
  const shown = dags.slice(0, 4);
  return (
    <>
      {shown.map((dag, i) => (
        <span key={dag}>
          {i > 0 && ", "}
          <DagLink tenant={tenant} dag={dag} />
        </span>
      ))}
      {count > shown.length && ` and ${count - shown.length} more`}
    </>
  );
}

const taskName = (task_id: string, map_index: number): string =>
  map_index < 0 ? task_id : `${task_id}[${map_index}]`;

/** To the log of a try; of the run, where it is about no task. */
function InstanceLink({
  at,
  children,
}: {
  readonly at: Pick<
    Of<"stuck">,
    "tenant" | "dag_id" | "run_id" | "task_id" | "map_index" | "try_number"
  >;
  readonly children: ReactNode;
}) {
  const { tenant, dag_id: dag, run_id: run, task_id: task, map_index, try_number } = at;
  return task === "" ? (
    <Link
      data-attention
      to="/t/$tenant/dags/$dag/runs/$run"
      params={{ tenant, dag, run }}
      className={headLook}
    >
      {children}
    </Link>
  ) : (
    <Link
      data-attention
      to="/t/$tenant/dags/$dag/runs/$run/tasks/$task"
      params={{ tenant, dag, run, task }}
      search={logOf(map_index, try_number) as never}
      className={headLook}
    >
      {children}
    </Link>
  );
}

/** The task page's own words for an instance's log. */
const logOf = (map_index: number, try_number: number) => ({
  tab: "log",
  ...(map_index < 0 ? {} : { map: map_index }),
  ...(try_number < 1 ? {} : { try: try_number }),
});

const runCauses: Readonly<Record<string, string>> = {
  timed_out: "The run took longer than its time limit",
  all_tasks_deadlocked: "No task of the run could go on",
};

export function FailureItem({ item, withTenant }: Props<"failures">) {
  const { newest, count, more, dag_count, still_failing } = item;
  const cause =
    (newest.task_id === "" ? runCauses[newest.reason ?? ""] : undefined) ??
    (newest.reason?.trim() || "It failed without saying why");
  const isOver = still_failing === 0;
  return (
    <Item
      icon={
        <OctagonAlert size={16} aria-hidden className={isOver ? "text-muted" : "text-danger"} />
      }
      tenant={withTenant ? item.tenant : undefined}
      head={
        <InstanceLink at={newest}>
          {firstLine(cause)}
          <span className="sr-only">: the newest log</span>
        </InstanceLink>
      }
    >
      <p>
        {newest.task_id !== "" && <>{taskName(newest.task_id, newest.map_index)} in </>}
        <DagLinks tenant={item.tenant} dags={item.dag_ids} count={dag_count} />
      </p>
      <p>
        {count === 1 && !more ? (
          <>
            once, <Ago at={newest.at} />
          </>
        ) : (
          <>
            {count}
            {more ? "+" : ""} times, last <Ago at={newest.at} />, first <Ago at={item.first_at} />
          </>
        )}
        {isOver
          ? dag_count === 1
            ? "; it has gone well since"
            : "; all of them have gone well since"
          : still_failing < dag_count
            ? `; ${dag_count - still_failing} of ${dag_count} have gone well since`
            : ""}
      </p>
    </Item>
  );
}

const firstLine = (text: string): string => text.split("\n", 1)[0]?.slice(0, 400) ?? "";

export function StuckItem({ item, withTenant }: Props<"stuck">) {
  const name = taskName(item.task_id, item.map_index);
  return (
    <Item
      icon={<Hourglass size={16} aria-hidden className="text-warn" />}
      tenant={withTenant ? item.tenant : undefined}
      head={
        <InstanceLink at={item}>
          {name} {item.kind === "queued" ? "has waited for a worker for" : "has been running for"}{" "}
          <Lasting from={item.since} to={null} />
        </InstanceLink>
      }
    >
      <p>
        in <DagLink tenant={item.tenant} dag={item.dag_id} />, run {item.run_id}
        {item.kind === "long" &&
          `; half of its runs take ${durationText(item.median_s)}, 95 % take ${durationText(item.p95_s)} or less`}
        {item.kind === "very_long" && "; it has not ended well yet, so nothing to compare with"}
        {item.kind === "queued" && "; is a worker up that takes its queue?"}
      </p>
    </Item>
  );
}

export function SlowPoolItem({ item, withTenant }: Props<"pools">) {
  return (
    <Item
      icon={<ListEnd size={16} aria-hidden className="text-warn" />}
      tenant={withTenant ? item.tenant : undefined}
      head={
        <Link
          data-attention
          to="/t/$tenant/capacity"
          params={{ tenant: item.tenant }}
          className={headLook}
        >
          {item.waiting} {item.waiting === 1 ? "task waits" : "tasks wait"} for a slot of pool{" "}
          {item.pool}, the oldest for <Lasting from={item.oldest_wait_at} to={null} />
        </Link>
      }
    >
      <p>
        {item.slots < 0
          ? "the pool has no limit: a limit of the DAG or of the tenant holds them"
          : `${item.running_slots + item.queued_slots} of ${item.slots} slots are taken`}
      </p>
    </Item>
  );
}

export function LateItem({ item, withTenant }: Props<"late">) {
  return (
    <Item
      icon={<AlarmClock size={16} aria-hidden className="text-warn" />}
      tenant={withTenant ? item.tenant : undefined}
      head={
        <Link
          data-attention
          to="/t/$tenant/dags/$dag"
          params={{ tenant: item.tenant, dag: item.dag_id }}
          className={headLook}
        >
          {item.display_name} is late by{" "}
          {durationText((serverNow() - Date.parse(item.due_at)) / 1_000)}
        </Link>
      }
    >
      <p>
        {item.open_runs >= item.max_active_runs
          ? `${item.open_runs} of the ${item.max_active_runs} runs that it may have at once are open: the next one waits for them`
          : "its time has passed and there is no run: is the scheduler up?"}
      </p>
    </Item>
  );
}

export function BrokenFileItem({ item, withTenant }: Props<"import_errors">) {
  return (
    <Item
      icon={<FileWarning size={16} aria-hidden className="text-danger" />}
      tenant={withTenant ? item.tenant : undefined}
      head={
        <Link
          data-attention
          to="/t/$tenant/deploys"
          params={{ tenant: item.tenant }}
          className={headLook}
        >
          <code>
            {item.path}
            {item.line === null ? "" : `:${item.line}`}
          </code>{" "}
          cannot be read
        </Link>
      }
    >
      <p className="line-clamp-3">
        {item.message}
        {item.hint !== null && ` – ${item.hint}`}
      </p>
      <p>
        {item.repository}, <Ago at={item.at} />
        {item.dag_ids.length > 0 && (
          <>
            ; the version before stays live of <DagLinks tenant={item.tenant} dags={item.dag_ids} />
          </>
        )}
      </p>
    </Item>
  );
}

export function LostRepositoryItem({ item, withTenant }: Props<"sync_errors">) {
  return (
    <Item
      icon={<GitBranch size={16} aria-hidden className="text-danger" />}
      tenant={withTenant ? item.tenant : undefined}
      head={
        <Link
          data-attention
          to="/t/$tenant/deploys"
          params={{ tenant: item.tenant }}
          className={headLook}
        >
          The repository {item.repository} could not be fetched
        </Link>
      }
    >
      <p className="line-clamp-3">
        {item.message}
        {item.hint !== null && ` – ${item.hint}`}
      </p>
      <p>
        tried {item.failures === 1 ? "once" : `${item.failures} times`}, again{" "}
        <Ago at={item.next_try_at} />; last fetched <Ago at={item.last_synced_at} />
      </p>
    </Item>
  );
}

/** Folds what needs nobody any more. */
export function Past({
  items,
  isOpen,
  onToggle,
  withTenant,
}: {
  readonly items: Now["failures"];
  readonly isOpen: boolean;
  readonly onToggle: () => void;
  readonly withTenant: boolean;
}) {
  if (items.length === 0) return null;
  return (
    <>
      <button
        type="button"
        aria-expanded={isOpen}
        onClick={onToggle}
        className="flex w-full items-center gap-1.5 px-3 py-2 text-left text-sm text-muted hover:bg-sunken"
      >
        <ChevronRight size={14} aria-hidden className={isOpen ? "rotate-90" : ""} />
        {items.length} {items.length === 1 ? "cause" : "causes"} of the last day, gone well since
      </button>
      {isOpen && (
        <ul className="border-t border-line/60">
          {items.map((item) => (
            <FailureItem
              key={`${item.tenant} ${item.fingerprint}`}
              item={item}
              withTenant={withTenant}
            />
          ))}
        </ul>
      )}
    </>
  );
}
