import type { Asset, Duration, Schedule } from "./author-types.ts";

/**
 * `cron("0 6 * * *", { tz: "Europe/Zurich" })`. With `intervals` a run covers the time since the fire before it
 * (Airflow's data intervals); without, the run's interval is the moment itself, as in Airflow 3.
 */
export const cron = (
  expression: string,
  options: { readonly tz?: string; readonly catchup?: boolean; readonly intervals?: boolean } = {},
): Schedule => ({ kind: "cron", expression, intervals: false, ...options });

/** A fixed pause between the starts of two runs. */
export const every = (
  duration: Duration,
  options: { readonly catchup?: boolean } = {},
): Schedule => ({ kind: "every", every: duration, ...options });

/** Data that a task writes, for its `outlets`. */
export const asset = (uri: string, options: { readonly name?: string } = {}): Asset => ({
  uri,
  name: options.name ?? uri,
});
