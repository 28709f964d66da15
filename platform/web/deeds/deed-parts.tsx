/** What the dialogs of deeds have in common: the list of what would be touched, the sentence when it could not be. */
import { useState } from "react";
import { countText } from "../parts/durations.ts";
import { StateMark } from "../parts/state-mark.tsx";
import { VirtualRows } from "../parts/virtual-rows.tsx";

export type Touched = {
  readonly run_id: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly state?: string | null;
};

export const instanceName = ({ task_id, map_index }: Pick<Touched, "task_id" | "map_index">) =>
  map_index < 0 ? task_id : `${task_id} [${map_index}]`;

/** `{total}` may be more than are listed. */
export function TouchedList({
  touched,
  total,
  what,
}: {
  readonly touched: readonly Touched[];
  readonly total: number;
  /** "would be cleared" */
  readonly what: string;
}) {
  const [focused, setFocused] = useState(0);
  const runs = new Set(touched.map(({ run_id }) => run_id));
  const states = [...Map.groupBy(touched, ({ state }) => state ?? null)];
  const withStates = touched.some(({ state }) => state !== undefined);
  if (total === 0)
    return <p className="mt-3 rounded-md bg-sunken px-3 py-2 text-muted">Nothing {what}.</p>;
  return (
    <section aria-label={`What ${what}`} className="mt-3">
      <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <strong>
          {countText(total)} task instance{total === 1 ? "" : "s"}
          {runs.size > 1 ? ` of ${countText(runs.size)} runs` : ""} {what}
        </strong>
        {withStates &&
          states.map(([state, rows]) => (
            <span key={state ?? ""} className="inline-flex items-center gap-1 text-muted">
              <StateMark state={state} withWord /> {countText(rows.length)}
            </span>
          ))}
      </p>
      <VirtualRows
        label="Task instances"
        count={touched.length}
        rowHeight={26}
        focused={focused}
        onFocus={setFocused}
        onOpen={() => undefined}
        className="mt-1 max-h-56 rounded-md border border-line"
        row={(i) => {
          const one = touched[i];
          return one === undefined ? null : (
            <div role="gridcell" className="flex h-full items-center gap-2 px-2 text-sm">
              {one.state !== undefined && <StateMark state={one.state} />}
              <span className="tenant-text min-w-0 grow truncate" title={instanceName(one)}>
                {instanceName(one)}
              </span>
              {runs.size > 1 && (
                <span className="tenant-text max-w-[45%] truncate text-muted" title={one.run_id}>
                  {one.run_id}
                </span>
              )}
            </div>
          );
        }}
      />
      {touched.length < total && (
        <p className="mt-1 text-sm text-muted">
          The first {countText(touched.length)} are listed; all {countText(total)} are meant.
        </p>
      )}
    </section>
  );
}

export function DeedProblem({ error }: { readonly error: unknown }) {
  if (error === undefined || error === null) return null;
  return (
    <p
      role="alert"
      className="mt-3 rounded-md border border-danger/40 bg-danger-soft px-3 py-2 text-danger"
    >
      <span className="tenant-text">
        {error instanceof Error ? error.message : "It could not be done."}
      </span>
    </p>
  );
}

/** Something to know before the deed. */
export function Heed({ children }: { readonly children: React.ReactNode }) {
  return (
    <p role="status" className="mt-3 rounded-md bg-warn-soft px-3 py-2 text-warn">
      {children}
    </p>
  );
}
