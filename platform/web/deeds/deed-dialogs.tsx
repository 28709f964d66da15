/** The deeds on DAGs, runs and task instances, as dialogs that any page opens. */

export type TaskRef = { readonly task_id: string; readonly map_index?: number };

/** Start a run: a form made from the params' JSON Schema, with the last run's values at hand. */
export function TriggerDialog(_: {
  readonly tenant: string;
  readonly dag: string;
  readonly onClose: () => void;
}) {
  return null;
}

/** Clear, after a look at what it would touch. `tasks` undefined: the whole run. */
export function ClearDialog(_: {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
  readonly tasks: readonly TaskRef[] | undefined;
  readonly onClose: () => void;
}) {
  return null;
}

/** Mark a run (`tasks` undefined) or task instances as success, failed or skipped, after a look at what it would touch. */
export function MarkDialog(_: {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
  readonly tasks: readonly TaskRef[] | undefined;
  readonly onClose: () => void;
}) {
  return null;
}

/** End what runs of a run. */
export function StopDialog(_: {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
  readonly onClose: () => void;
}) {
  return null;
}

/** Runs no more by its schedule, or does again. Shows what it will be at once, and takes it back if it could not be. */
export function PauseSwitch(_: {
  readonly tenant: string;
  readonly dag: string;
  readonly isPaused: boolean;
}) {
  return null;
}
