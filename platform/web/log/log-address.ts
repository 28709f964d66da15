/** Where one is in a log, as words of the address of the page around it; and the addresses of the log's answers. */
import type { LogLevel } from "../../model/log-text.ts";
import { path, query } from "../ask/ask-server.ts";

export type LogPlace = {
  /** The line that is marked and in sight, from 1. */
  readonly line?: number;
  /** Lines `line` … `lineTo` are selected. */
  readonly lineTo?: number;
  readonly find?: string;
  readonly regexp?: boolean;
  /** Capitals matter. */
  readonly caps?: boolean;
  /** Lines at or above it. */
  readonly level?: LogLevel;
  readonly wrap?: boolean;
  /** The try that this one is compared with. */
  readonly against?: number;
};

/** For `readSearch` of a page that shows a log. */
export const logSearchFields = {
  line: "number",
  lineTo: "number",
  find: "text",
  regexp: "flag",
  caps: "flag",
  level: ["debug", "info", "warning", "error", "critical"],
  wrap: "flag",
  against: "number",
} as const;

type PlaceSearch = { readonly [K in keyof LogPlace]?: LogPlace[K] | undefined };
const names = Object.keys(logSearchFields) as readonly (keyof LogPlace)[];

/** The log's part of an address. Flags that are off and words that are empty are no part of it. */
export const placeIn = (search: { readonly [K in keyof LogPlace]?: unknown }): LogPlace =>
  Object.fromEntries(
    names
      .map((name) => [name, search[name]] as const)
      .filter(([, value]) => value !== undefined && value !== false && value !== ""),
  ) as LogPlace;

/** To be laid over an address' search: what the place does not say leaves it. */
export const placeSearch = (place: LogPlace): PlaceSearch => ({
  ...Object.fromEntries(names.map((name) => [name, undefined])),
  ...place,
});

export type LogTarget = {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
  readonly task: string;
  /** −1: not mapped. */
  readonly mapIndex: number;
  readonly tryNumber: number;
};

export function logPath(
  { tenant, dag, run, task, mapIndex, tryNumber }: LogTarget,
  rest: "" | "/lines" | "/line" | "/groups" | "/search" | "/text",
  fields: Parameters<typeof query>[0] = {},
): string {
  const base = path`/t/${tenant}/api/ui/dags/${dag}/dagRuns/${run}/taskInstances/${task}/tries/${tryNumber}/log`;
  return `${base}${rest}${query({ map_index: mapIndex < 0 ? undefined : mapIndex, ...fields })}`;
}
