/** One DAG of the list. Wide: columns; narrow: two lines. */
import { Link } from "@tanstack/react-router";
import { AlarmClock, Play, Star, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { PauseSwitch } from "../../deeds/deed-dialogs.tsx";
import { serverNow } from "../../frame/now.ts";
import { IconButton } from "../../parts/button.tsx";
import { durationText } from "../../parts/durations.ts";
import { StateMark } from "../../parts/state-mark.tsx";
import { Ago } from "../../parts/time.tsx";
import { toggleFavourite } from "./favourites.ts";
import { type DagFacts, lateAfterS, lateSeconds, quotedIfNeeded } from "./query.ts";
import { RunBars } from "./run-bars.tsx";

export const wideRow = 46;
export const narrowRow = 76;

/** The same for head and rows. What has no room is left out from the right of importance: owners, schedule, durations. */
export const columns =
  "grid grid-cols-[1.75rem_minmax(9rem,1fr)_10.5rem_6.5rem_6rem_6rem] items-center gap-x-3 px-3 lg:grid-cols-[1.75rem_minmax(10rem,1fr)_10.5rem_6.5rem_6rem_8rem_6rem] xl:grid-cols-[1.75rem_minmax(12rem,1fr)_10.5rem_7rem_6.5rem_8rem_12rem_8rem_6rem]";

type RowProps = {
  readonly tenant: string;
  readonly facts: DagFacts;
  readonly isFavourite: boolean;
  readonly onTrigger: (dag: string) => void;
};

export function WideRow(props: RowProps) {
  const { tenant, facts } = props;
  const { dag, runs } = facts;
  return (
    <div role="presentation" className={`${columns} h-full`}>
      <Cell>
        <FavouriteStar {...props} />
      </Cell>
      <Cell>
        <Name {...props} />
        <Under {...props} />
      </Cell>
      <Cell>
        <RunBars tenant={tenant} dag={dag.dag_id} runs={runs} />
      </Cell>
      <Cell>
        <LastRun {...props} />
      </Cell>
      <Cell>
        <NextRun facts={facts} />
      </Cell>
      <Cell className="hidden lg:block">
        <Durations facts={facts} />
      </Cell>
      <Cell className="hidden xl:block">
        <p className="truncate text-muted" title={dag.schedule}>
          {dag.schedule}
        </p>
      </Cell>
      <Cell className="hidden xl:block">
        <p className="tenant-text truncate text-muted" title={dag.owners.join(", ")}>
          {dag.owners.join(", ")}
        </p>
      </Cell>
      <Cell>
        <Deeds {...props} />
      </Cell>
    </div>
  );
}

export function NarrowRow(props: RowProps) {
  const { tenant, facts } = props;
  return (
    <div
      role="presentation"
      className="grid h-full grid-cols-[1.75rem_minmax(0,1fr)_auto] content-center items-center gap-x-2 gap-y-1 px-2"
    >
      <Cell>
        <FavouriteStar {...props} />
      </Cell>
      <Cell>
        <Name {...props} />
      </Cell>
      <Cell>
        <Deeds {...props} />
      </Cell>
      <Cell className="col-start-2">
        <RunBars tenant={tenant} dag={facts.dag.dag_id} runs={facts.runs} />
      </Cell>
      <Cell className="text-right text-sm">
        <LastRun {...props} />
      </Cell>
    </div>
  );
}

const Cell = ({
  className = "",
  children,
}: {
  readonly className?: string;
  readonly children: ReactNode;
}) => (
  <div role="gridcell" className={`min-w-0 ${className}`}>
    {children}
  </div>
);

function FavouriteStar({ tenant, facts, isFavourite }: RowProps) {
  const { dag_id } = facts.dag;
  return (
    <button
      type="button"
      tabIndex={-1}
      aria-pressed={isFavourite}
      aria-label={`Favourite ${dag_id}`}
      title={isFavourite ? "A favourite on this machine" : "Make it a favourite on this machine"}
      onClick={() => toggleFavourite(tenant, dag_id)}
      className="flex size-7 items-center justify-center rounded hover:bg-sunken"
    >
      <Star
        size={15}
        className={isFavourite ? "fill-warn text-warn" : "text-line-strong"}
        aria-hidden
      />
    </button>
  );
}

function Name({ tenant, facts }: RowProps) {
  const { dag } = facts;
  return (
    <p className="flex min-w-0 items-center gap-1.5">
      <Link
        to="/t/$tenant/dags/$dag"
        params={{ tenant, dag: dag.dag_id }}
        className={`tenant-text block truncate font-medium hover:underline ${dag.is_paused ? "text-muted" : ""}`}
        title={dag.display_name === dag.dag_id ? dag.dag_id : `${dag.display_name} (${dag.dag_id})`}
      >
        {dag.display_name}
      </Link>
      {dag.has_import_error && (
        <Link
          to="/t/$tenant/deploys"
          params={{ tenant }}
          tabIndex={-1}
          aria-label={`The file of ${dag.dag_id} cannot be read: see the deploys`}
          title="Its file cannot be read any more; what was live stays live. See the deploys."
          className="shrink-0 text-danger"
        >
          <TriangleAlert size={14} aria-hidden />
        </Link>
      )}
    </p>
  );
}

const tagsShown = 3;

/** The id where the name is another one, and the tags, each a filter. */
function Under({ tenant, facts }: RowProps) {
  const { dag } = facts;
  const more = dag.tags.slice(tagsShown);
  return (
    <p className="flex min-w-0 items-center gap-1 overflow-hidden text-xs whitespace-nowrap text-muted">
      {dag.display_name !== dag.dag_id && (
        <span className="tenant-text mr-1 min-w-0 truncate">{dag.dag_id}</span>
      )}
      {dag.tags.slice(0, tagsShown).map((tag) => (
        <Link
          key={tag}
          to="/t/$tenant/dags"
          params={{ tenant }}
          search={{ q: `tag:${quotedIfNeeded(tag)}` }}
          tabIndex={-1}
          className="tenant-text max-w-24 truncate rounded bg-sunken px-1 hover:text-text hover:underline"
        >
          {tag}
        </Link>
      ))}
      {more.length > 0 && <span title={more.join(", ")}>+{more.length}</span>}
    </p>
  );
}

function LastRun({ tenant, facts }: RowProps) {
  const [last] = facts.runs;
  const { dag } = facts;
  if (last === undefined)
    return (
      <span className="text-sm text-muted">
        {dag.runs === null ? "not yours to see" : "no runs"}
      </span>
    );
  return (
    <Link
      to="/t/$tenant/dags/$dag/runs/$run"
      params={{ tenant, dag: dag.dag_id, run: last.run_id }}
      tabIndex={-1}
      className="inline-flex items-center gap-1.5 text-sm hover:underline"
    >
      <StateMark state={last.state} />
      <Ago at={new Date((last.started ?? last.after) * 1_000).toISOString()} />
    </Link>
  );
}

function NextRun({ facts }: { readonly facts: DagFacts }) {
  const { dag } = facts;
  if (dag.is_paused) return <span className="text-sm text-muted">paused</span>;
  if (dag.next_run_at === null) return <span className="text-sm text-muted">–</span>;
  const isLate = lateSeconds(facts, serverNow()) > lateAfterS;
  return (
    <span
      className={`inline-flex items-center gap-1 text-sm ${isLate ? "font-medium text-warn" : ""}`}
      title={isLate ? lateText(facts) : undefined}
    >
      {isLate && <AlarmClock size={13} aria-label="late" />}
      <Ago at={dag.next_run_at} />
    </span>
  );
}

const lateText = ({ dag }: DagFacts): string =>
  dag.running + dag.queued >= dag.max_active_runs
    ? `Its time has passed: ${dag.running + dag.queued} of ${dag.max_active_runs} runs that it may have are open.`
    : "Its time has passed, and there is no run yet.";

function Durations({ facts }: { readonly facts: DagFacts }) {
  const { median_s, p95_s } = facts.dag;
  if (median_s === null) return <span className="text-sm text-muted">–</span>;
  return (
    <p
      className="text-sm leading-tight whitespace-nowrap tabular-nums"
      title="Half of the last runs took no longer; 95 % took no longer."
    >
      {durationText(median_s)}
      <br />
      <span className="text-xs text-muted">95 %: {durationText(p95_s)}</span>
    </p>
  );
}

function Deeds({ tenant, facts, onTrigger }: RowProps) {
  const { dag } = facts;
  return (
    <div className="flex items-center justify-end gap-1">
      {dag.may.pause && (
        <span data-deed="pause">
          <PauseSwitch tenant={tenant} dag={dag.dag_id} isPaused={dag.is_paused} />
        </span>
      )}
      {dag.may.trigger && (
        <IconButton
          name={`Start a run of ${dag.dag_id}`}
          tabIndex={-1}
          onClick={() => onTrigger(dag.dag_id)}
        >
          <Play size={15} />
        </IconButton>
      )}
    </div>
  );
}
