/** Where one is in a log, as the addresses of the run and of the task instance keep it. */
import type { LogPlace } from "../../log/log-view.tsx";

export const logLevels = ["debug", "info", "warning", "error", "critical"] as const;

/** undefined takes a field out of the address. */
type PlaceSearch = {
  readonly line?: number | undefined;
  readonly find?: string | undefined;
  readonly regexp?: boolean | undefined;
  readonly level?: (typeof logLevels)[number] | undefined;
};

export const placeOf = ({ line, find, regexp, level }: PlaceSearch): LogPlace => ({
  ...(line === undefined ? {} : { line }),
  ...(find === undefined ? {} : { find }),
  ...(regexp === undefined ? {} : { regexp }),
  ...(level === undefined ? {} : { level }),
});

/** What is no longer so must leave the address as well. */
export const searchOf = (place: LogPlace): PlaceSearch => ({
  line: undefined,
  find: undefined,
  regexp: undefined,
  level: undefined,
  ...place,
});
