/** The deeds on DAGs, runs and task instances, as dialogs that any page opens. What they need is loaded when one opens. */
import { lazy, Suspense } from "react";

export { PauseSwitch } from "./pause-switch.tsx";

export type TaskRef = { readonly task_id: string; readonly map_index?: number };

const Trigger = lazy(() => import("./trigger-dialog.tsx"));
const Clear = lazy(() => import("./clear-dialog.tsx"));
const Mark = lazy(() => import("./mark-dialog.tsx"));
const Stop = lazy(() => import("./stop-dialog.tsx"));

type OfRun = {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
  readonly onClose: () => void;
};
export type OfTasks = OfRun & { readonly tasks: readonly TaskRef[] | undefined };

/** Start a run: a form made from the params' JSON Schema, with the last run's values at hand. */
export function TriggerDialog(props: {
  readonly tenant: string;
  readonly dag: string;
  readonly onClose: () => void;
}) {
  return (
    <Suspense fallback={null}>
      <Trigger {...props} />
    </Suspense>
  );
}

/** Clear, after a look at what it would touch. `tasks` undefined: the whole run. */
export function ClearDialog(props: OfTasks) {
  return (
    <Suspense fallback={null}>
      <Clear {...props} />
    </Suspense>
  );
}

/** Mark a run (`tasks` undefined) or task instances as success, failed or skipped, after a look at what it would touch. */
export function MarkDialog(props: OfTasks) {
  return (
    <Suspense fallback={null}>
      <Mark {...props} />
    </Suspense>
  );
}

/** End what runs of a run. */
export function StopDialog(props: OfRun) {
  return (
    <Suspense fallback={null}>
      <Stop {...props} />
    </Suspense>
  );
}
